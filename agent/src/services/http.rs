//! One HTTP request of a probe, by hand on a connection of its own, so that each phase has its time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{HOST, LOCATION, USER_AGENT};
use hyper::{Method, Request, Version};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::tls::{self, Seen};

/// Largest part of a body that is looked at, in bytes.
pub(super) const MAX_BODY_BYTES: usize = 1024 * 1024;

/// What the request took, by phase.
#[derive(Debug, Default)]
pub(super) struct Phases {
    pub(super) resolve: Duration,
    pub(super) connect: Duration,
    pub(super) tls: Duration,
    pub(super) processing: Duration,
    pub(super) transfer: Duration,
    /// 4 or 6 once an address was found, else 0.
    pub(super) ip_protocol: u8,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) version: f64,
    pub(super) body: Vec<u8>,
    pub(super) location: Option<String>,
    /// Length of the body as the server said it.
    pub(super) content_length: Option<u64>,
}

/// Finds the host and connects. Times go to `phases`.
pub(super) async fn connect(host: &str, port: u16, phases: &mut Phases) -> Result<TcpStream, String> {
    let started = Instant::now();
    let host = host.trim_matches(['[', ']']);
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(|e| crate::error_chain(&e))?;
    phases.resolve += started.elapsed();
    let (started, mut failure) = (Instant::now(), format!("{host} has no address"));
    for address in addresses {
        phases.ip_protocol = super::ip_protocol(address);
        match TcpStream::connect(address).await {
            Ok(stream) => {
                phases.connect += started.elapsed();
                return Ok(stream);
            }
            Err(error) => failure = format!("{address}: {error}"),
        }
    }
    phases.connect += started.elapsed();
    Err(failure)
}

/// Sends one request without a body.
pub(super) async fn request(
    url: &Url,
    method: &str,
    ca_file: Option<&Path>,
    phases: &mut Phases,
    seen: &Arc<Seen>,
) -> Result<Answer, String> {
    let host = url.host_str().ok_or("the address has no host")?;
    let port = url.port_or_known_default().ok_or("the address has no port")?;
    let stream = connect(host, port, phases).await?;
    if url.scheme() != "https" {
        return exchange(stream, url, method, phases).await;
    }
    let started = Instant::now();
    let stream = tls::begin(stream, host, ca_file, seen).await;
    phases.tls += started.elapsed();
    exchange(stream?, url, method, phases).await
}

async fn exchange<S>(stream: S, url: &Url, method: &str, phases: &mut Phases) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| crate::error_chain(&error);
    let started = Instant::now();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let connection = tokio::spawn(connection);
    let path = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    };
    let authority = match url.port() {
        Some(port) => format!("{}:{port}", url.host_str().unwrap_or_default()),
        None => url.host_str().unwrap_or_default().to_owned(),
    };
    let request = Request::builder()
        .method(Method::from_bytes(method.as_bytes()).map_err(|e| e.to_string())?)
        .uri(path)
        .header(HOST, authority)
        .header(USER_AGENT, concat!("siaga-agent/", env!("CARGO_PKG_VERSION")))
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let response = sender.send_request(request).await.map_err(failed)?;
    phases.processing += started.elapsed();
    let (status, location) = (response.status().as_u16(), response.headers().get(LOCATION));
    let location = location.and_then(|text| text.to_str().ok()).map(str::to_owned);
    let content_length = hyper::body::Body::size_hint(response.body()).exact();
    let version = match response.version() {
        Version::HTTP_10 => 1.0,
        Version::HTTP_2 => 2.0,
        _ => 1.1,
    };
    let (started, mut body, mut incoming) = (Instant::now(), Vec::new(), response.into_body());
    while let Some(frame) = incoming.frame().await {
        if let Ok(part) = frame.map_err(failed)?.into_data() {
            let room = MAX_BODY_BYTES - body.len();
            body.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
            if body.len() == MAX_BODY_BYTES {
                break;
            }
        }
    }
    phases.transfer += started.elapsed();
    connection.abort();
    Ok(Answer { status, version, body, location, content_length })
}
