//! The server, as the agent sees it: one HTTP client, the bearer token, and what an answer means.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, Method, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use siaga_protocol::agent_api::Problem;
use siaga_protocol::paths;

use crate::clock;
use crate::config::{Server, ServerUrl};

/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Longest text of an error answer that is kept for the log, in bytes.
const MAX_REASON_BYTES: usize = 400;
/// Longest time to make a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An idle connection is closed after this time; longer than most intervals, so that it is used again.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApiError {
    /// The certificates or the client itself.
    #[error("cannot read certificates from {}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The client could not be made.
    #[error("cannot set up the HTTP client")]
    Client(#[source] reqwest::Error),
    /// The token's file.
    #[error("cannot read the token in {}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The token cannot stand in a header.
    #[error("the agent's token holds characters that no header may hold")]
    Token,
    /// No answer came.
    #[error("{operation}: no answer")]
    Transport {
        /// What was tried.
        operation: &'static str,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The server said no.
    #[error("{operation}: the server answered {status}: {reason}")]
    Status {
        /// What was tried.
        operation: &'static str,
        /// HTTP status.
        status: u16,
        /// The server's reason, shortened.
        reason: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The answer is not what it should be.
    #[error("{operation}: the answer is not understood: {reason}")]
    Answer {
        /// What was tried.
        operation: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The server cannot take it now: keep it, and try again.
    Later,
    /// The server does not know this agent: keep it, and tell people.
    Unauthorised,
    /// The server will never take this content.
    Rejected,
}

impl ApiError {
    /// What to do. Only statuses that speak of the content are final: a wrong path or proxy must not cost data.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Status { status: 401 | 403, .. } => Verdict::Unauthorised,
            Self::Status { status: 400 | 413 | 422, .. } => Verdict::Rejected,
            _ => Verdict::Later,
        }
    }

    /// When the server wants to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The server.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    /// Server's clock minus this host's, milliseconds, as the last answer told; see [`Api::clock_offset_ms`].
    clock_offset_ms: Arc<AtomicI64>,
    url: ServerUrl,
    authorization: Option<HeaderValue>,
}

impl Api {
    /// A client of `url`. Without a token only enrolment is possible.
    ///
    /// # Errors
    /// The certificates, the token or the client.
    pub fn new(url: ServerUrl, config: &Server, token: Option<&str>) -> Result<Self, ApiError> {
        let mut builder = Client::builder()
            .user_agent(concat!("siaga-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(config.request_timeout_seconds.seconds())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if let Some(path) = &config.ca_file {
            builder = builder.tls_certs_only(read_certificates(path)?);
        } else if !url.is_tls() {
            // Spares the memory of the system's certificates, which are not needed.
            builder = builder.tls_certs_only([]);
        }
        let authorization = match token {
            Some(token) => {
                let mut value =
                    HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| ApiError::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let client = builder.build().map_err(ApiError::Client)?;
        Ok(Self { client, clock_offset_ms: Arc::new(AtomicI64::new(i64::MIN)), url, authorization })
    }

    /// The server's clock minus this host's in milliseconds, by the `Date` of its last answer; to half a second and
    /// half of the time that the answer took. `None` before there was one.
    #[must_use]
    pub fn clock_offset_ms(&self) -> Option<i64> {
        Some(self.clock_offset_ms.load(Ordering::Relaxed)).filter(|offset| *offset != i64::MIN)
    }

    /// Sends, and compares clocks.
    async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Result<Response> {
        let sent_ms = clock::now_ms();
        // By it the server learns of a clock that is off; the answer's tells this host.
        let response = request.header(DATE, http_date(sent_ms)).send().await?;
        let date = response.headers().get(DATE).and_then(|value| value.to_str().ok());
        if let Some(date) = date.and_then(|text| httpdate::parse_http_date(text).ok()) {
            let offset = clock_offset(clock::unix_ms(date), sent_ms, clock::now_ms());
            self.clock_offset_ms.store(offset, Ordering::Relaxed);
        }
        Ok(response)
    }

    /// The server's address, for the log.
    #[must_use]
    pub fn address(&self) -> &str {
        self.url.as_str()
    }

    /// Sends a value as JSON; the answer's body is not looked at.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn send_json(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<(), ApiError> {
        let request = self.request(method, path).json(body);
        check(operation, self.send(request).await).await.map(drop)
    }

    /// Sends a value as JSON and reads the answer.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer that is not understood.
    pub async fn exchange_json<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ApiError> {
        let request = self.request(method, path).json(body);
        read_json(operation, check(operation, self.send(request).await).await?).await
    }

    /// Asks for a value and waits up to `wait` longer than usual.
    ///
    /// # Errors
    /// No answer, a refusal, or an answer that is not understood.
    pub async fn poll_json<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        path: &str,
        timeout: Duration,
    ) -> Result<T, ApiError> {
        let request = self.request(Method::GET, path).timeout(timeout);
        read_json(operation, check(operation, self.send(request).await).await?).await
    }

    /// Sends a body of another kind.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn send_body(
        &self,
        operation: &'static str,
        path: &str,
        headers: &[(&'static str, &'static str)],
        body: Vec<u8>,
    ) -> Result<(), ApiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        let request = self.request(Method::POST, path).headers(map).body(body);
        check(operation, self.send(request).await).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.request(method, self.url.join(path)).header(paths::RUN_HEADER, run());
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value.clone()),
            None => request,
        }
    }
}

/// This process, to the server.
fn run() -> u64 {
    static RUN: OnceLock<u64> = OnceLock::new();
    *RUN.get_or_init(rand::random)
}

fn read_certificates(path: &Path) -> Result<Vec<Certificate>, ApiError> {
    let failed = |source| ApiError::Certificates { path: path.into(), source };
    let text = std::fs::read(path).map_err(|e| failed(e.into()))?;
    let certificates = Certificate::from_pem_bundle(&text).map_err(|e| failed(e.into()))?;
    if certificates.is_empty() {
        return Err(failed("the file holds no certificate".into()));
    }
    Ok(certificates)
}

async fn check(operation: &'static str, sent: reqwest::Result<Response>) -> Result<Response, ApiError> {
    // The address is in every message of the client; it tells nothing new and may be long.
    let response = sent.map_err(|e| ApiError::Transport { operation, source: e.without_url() })?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| parse_retry_after(text, SystemTime::now()));
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|t| t.as_bytes().starts_with(b"application/json"));
    let body = read_bounded(response, 16 * 1024).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let problem = if is_json { serde_json::from_str::<Problem>(&text).ok() } else { None };
    let reason = problem.map_or_else(|| text.trim().to_owned(), |problem| problem.error);
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON_BYTES).collect();
    Err(ApiError::Status { operation, status: status.as_u16(), reason, retry_after })
}

async fn read_json<T: DeserializeOwned>(operation: &'static str, response: Response) -> Result<T, ApiError> {
    let body = match read_bounded(response, MAX_ANSWER_BYTES).await {
        Ok(body) => body,
        Err(Some(source)) => return Err(ApiError::Transport { operation, source }),
        Err(None) => {
            let reason = format!("larger than {MAX_ANSWER_BYTES} bytes");
            return Err(ApiError::Answer { operation, reason });
        }
    };
    serde_json::from_slice(&body).map_err(|e| ApiError::Answer { operation, reason: e.to_string() })
}

/// The body, or `None` as error if it is larger than `limit`.
async fn read_bounded(mut response: Response, limit: usize) -> Result<Vec<u8>, Option<reqwest::Error>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| Some(e.without_url()))? {
        if body.len() + chunk.len() > limit {
            return Err(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A time as a `Date` header has it; years after 9999 do not fit in.
fn http_date(unix_ms: i64) -> String {
    const MAX_SECONDS: u64 = 253_402_300_799;
    let seconds = u64::try_from(unix_ms / 1_000).unwrap_or(0).min(MAX_SECONDS);
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The server's clock minus this host's. `Date` is cut to the second, and was set between sending and answer.
fn clock_offset(date_ms: i64, sent_ms: i64, answered_ms: i64) -> i64 {
    date_ms + 500 - (sent_ms + answered_ms) / 2
}

/// Seconds or an HTTP date (RFC 9110, section 10.2.3).
fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_as_seconds_and_as_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, expected) in [
            ("120", Some(120)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(parse_retry_after(text, now), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_clock_may_say_anything() {
        for (ms, text) in [
            (784_111_777_999, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(ms), text);
        }
    }

    #[test]
    fn the_clock_is_compared_in_the_middle_of_the_request() {
        for (date, sent, answered, offset) in [
            (10_000, 10_400, 10_600, 0),
            (10_000, 13_400, 13_600, -3_000),
            (3_610_000, 10_500, 10_500, 3_600_000),
        ] {
            assert_eq!(clock_offset(date, sent, answered), offset);
        }
    }

    #[test]
    fn only_statuses_that_speak_of_the_content_are_final() {
        let status =
            |status| ApiError::Status { operation: "x", status, reason: "".into(), retry_after: None };
        for (code, verdict) in [
            (400, Verdict::Rejected),
            (413, Verdict::Rejected),
            (401, Verdict::Unauthorised),
            (403, Verdict::Unauthorised),
            (404, Verdict::Later),
            (429, Verdict::Later),
            (500, Verdict::Later),
            (503, Verdict::Later),
            (302, Verdict::Later),
        ] {
            assert_eq!(status(code).verdict(), verdict, "{code}");
        }
    }
}
