//! Asks a server over HTTP as a user would.

use anyhow::{Context as _, ensure};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::Value;
use siaga_protocol::remote_write::{self, Label, Sample, TimeSeries, WriteRequest};

/// A server's API with a token.
#[derive(Debug, Clone)]
pub struct Api {
    /// Address of the server.
    pub url: String,
    /// Bearer token.
    pub token: String,
    http: reqwest::Client,
}

impl Api {
    /// An API at `url` with `token`.
    #[must_use]
    pub fn new(url: &str, token: &str) -> Self {
        // An error means that a provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { url: url.to_owned(), token: token.to_owned(), http: reqwest::Client::new() }
    }

    /// An API over HTTPS that trusts an authority (PEM) alone.
    ///
    /// # Errors
    /// If that is no certificate.
    pub fn trusting(url: &str, authority: &[u8]) -> anyhow::Result<Self> {
        let api = Self::new(url, "");
        let certificates = reqwest::Certificate::from_pem_bundle(authority)?;
        Ok(Self { http: reqwest::Client::builder().tls_certs_only(certificates).build()?, ..api })
    }

    /// The same server with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A request without a token.
    pub fn nameless(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request that the test completes.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.nameless(method, path).bearer_auth(&self.token)
    }

    /// `GET` of JSON that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(self.request(Method::GET, path)).await
    }

    /// `POST` of JSON that must succeed.
    ///
    /// # Errors
    /// If it does not.
    pub async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.json(self.request(Method::POST, path).json(body)).await
    }

    async fn json(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let response = request.send().await?;
        let (status, url) = (response.status(), response.url().clone());
        let text = response.text().await?;
        ensure!(status.is_success(), "{url}: {status}: {text}");
        serde_json::from_str(&text).with_context(|| format!("{url} did not give JSON: {text}"))
    }

    /// The result of a PromQL query at one time.
    ///
    /// # Errors
    /// If it fails.
    pub async fn query(&self, query: &str, at_seconds: Option<f64>) -> anyhow::Result<Vec<Value>> {
        let mut form = vec![("query", query.to_owned())];
        if let Some(at) = at_seconds {
            form.push(("time", at.to_string()));
        }
        let request = self.request(Method::POST, "/prometheus/api/v1/query").form(&form);
        let answer = self.json(request).await?;
        answer["data"]["result"].as_array().cloned().with_context(|| format!("no result in {answer}"))
    }

    /// Sends samples by remote write and gives the status and the answer's text.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn write(&self, series: Vec<TimeSeries>) -> anyhow::Result<(StatusCode, String)> {
        let body = remote_write::encode(&WriteRequest { timeseries: series, metadata: Vec::new() })?;
        self.write_body(body).await
    }

    /// Sends any body to remote write.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn write_body(&self, body: Vec<u8>) -> anyhow::Result<(StatusCode, String)> {
        self.write_body_to(siaga_protocol::paths::REMOTE_WRITE, body).await
    }

    /// Sends any body as remote write to a path.
    ///
    /// # Errors
    /// If the server cannot be reached.
    pub async fn write_body_to(&self, path: &str, body: Vec<u8>) -> anyhow::Result<(StatusCode, String)> {
        let response = self
            .request(Method::POST, path)
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .body(body)
            .send()
            .await?;
        Ok((response.status(), response.text().await?))
    }
}

/// A series with samples, for [`Api::write`].
#[must_use]
pub fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    let label = |&(name, value): &(&str, &str)| Label { name: name.to_owned(), value: value.to_owned() };
    TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(|&(timestamp, value)| Sample { value, timestamp }).collect(),
    }
}

/// The cookies that an answer sets, as a browser sends them back.
#[must_use]
pub fn cookies(headers: &HeaderMap) -> String {
    let set = headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    set.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
}
