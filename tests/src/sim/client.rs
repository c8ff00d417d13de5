//! The HTTP that the simulator's programs share: a server, the agents' and users' tokens, reasons of refusals.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use siaga_protocol::agent_api::{EnrolRequest, EnrolResponse, Problem};
use siaga_protocol::paths;

/// Longest time of one request.
const TIMEOUT: Duration = Duration::from_secs(120);

/// A server that is spoken to with several tokens.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
}

/// An answer that is not 2xx.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server answered {status}: {reason}")]
pub struct Refused {
    /// Its status.
    pub status: StatusCode,
    /// What it said.
    pub reason: String,
}

impl Client {
    /// A client of the server at `url`.
    ///
    /// # Errors
    /// If the address is none.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        // An error means that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parsed = Url::parse(url).with_context(|| format!("{url:?} is not an address"))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            bail!("{url:?} does not begin with http:// or https://");
        }
        let http =
            reqwest::Client::builder().timeout(TIMEOUT).build().context("cannot make an HTTP client")?;
        Ok(Self { base: url.trim_end_matches('/').to_owned(), http })
    }

    /// Sends JSON and gives the answer.
    ///
    /// # Errors
    /// If the server cannot be reached, or [`Refused`].
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<Response> {
        let request = self.http.request(method, format!("{}{path}", self.base)).json(body);
        let request = if token.is_empty() { request } else { request.bearer_auth(token) };
        let response = request.send().await.with_context(|| format!("cannot reach {}", self.base))?;
        accept(response).await
    }

    /// As [`Client::send`], for answers that are JSON.
    ///
    /// # Errors
    /// As [`Client::send`], or if the answer is another one.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let response = self.send(method, path, token, body).await?;
        response.json().await.with_context(|| format!("cannot read the answer to {path}"))
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn get<T: DeserializeOwned>(&self, path: &str, token: &str) -> anyhow::Result<T> {
        let request = self.http.get(format!("{}{path}", self.base)).bearer_auth(token);
        let response =
            accept(request.send().await.with_context(|| format!("cannot reach {}", self.base))?).await?;
        response.json().await.with_context(|| format!("cannot read the answer to {path}"))
    }

    /// Sends a packed remote write.
    ///
    /// # Errors
    /// If the server cannot be reached, or [`Refused`].
    pub async fn write(&self, path: &str, token: &str, body: Vec<u8>) -> anyhow::Result<()> {
        let response = self
            .http
            .post(format!("{}{path}", self.base))
            .bearer_auth(token)
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .body(body)
            .send()
            .await
            .with_context(|| format!("cannot reach {}", self.base))?;
        accept(response).await.map(drop)
    }

    /// Enrols a host: makes a one-time token as the user of `token`, and uses it.
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn enrol(
        &self,
        token: &str,
        hostname: &str,
        machine_id: &str,
    ) -> anyhow::Result<EnrolResponse> {
        let made: serde_json::Value =
            self.ask(Method::POST, "/api/v1/enrol-tokens", token, &serde_json::json!({})).await?;
        let request = EnrolRequest {
            token: made["token"].as_str().context("the answer has no token")?.to_owned(),
            hostname: hostname.to_owned(),
            machine_id: machine_id.to_owned(),
            agent_version: super::series::AGENT_VERSION.to_owned(),
        };
        self.ask(Method::POST, paths::ENROL, "", &request).await
    }
}

async fn accept(response: Response) -> anyhow::Result<Response> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let reason = match response.json::<Problem>().await {
        Ok(Problem { error, at: Some(at) }) => format!("{at}: {error}"),
        Ok(Problem { error, at: None }) => error,
        Err(_) => "no reason given".to_owned(),
    };
    Err(Refused { status, reason }.into())
}

/// The status of an error that is a refusal.
#[must_use]
pub fn status(error: &anyhow::Error) -> Option<StatusCode> {
    error.downcast_ref::<Refused>().map(|refused| refused.status)
}

/// Whether an address is of this machine.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let host = url.host_str().unwrap_or("").trim_start_matches('[').trim_end_matches(']').to_owned();
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_are_loopback() {
        for url in ["http://127.0.0.1:8480", "https://localhost/x", "http://[::1]:1", "http://127.9.9.9"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in [
            "http://192.0.2.1",
            "http://example.org",
            "http://localhost.example.org",
            "x",
            "http://[2001:db8::1]",
        ] {
            assert!(!is_loopback(url), "{url}");
        }
    }

    #[test]
    fn an_address_without_a_scheme_is_refused() {
        assert!(Client::new("127.0.0.1:8480").is_err());
        assert!(Client::new("ftp://127.0.0.1").is_err());
    }
}
