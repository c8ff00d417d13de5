//! A client of a running server's API, for subcommands that ask it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;
use siaga_protocol::agent_api::Problem;

use crate::access::FIRST_RUN_FILE;
use crate::config::Config;

/// Which server is asked, and as whom.
#[derive(Debug, Args)]
pub(super) struct ServerArgs {
    /// Configuration file of the server on this machine; tells its address and data folder.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Address of the server; by default the one of the configuration.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// API token; by default that of the first start, if the data folder's file can be read.
    #[arg(long, env = "SIAGA_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// A server that can be asked.
#[derive(Debug, Clone)]
pub(super) struct Client {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Client {
    /// Finds address and token.
    pub(super) fn new(args: &ServerArgs) -> anyhow::Result<Self> {
        let config = args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?;
        let scheme = if config.http.tls_certificate.is_some() { "https" } else { "http" };
        let base = args.server.clone().unwrap_or_else(|| format!("{scheme}://{}", config.http.listen));
        let token = match &args.token {
            Some(token) => token.clone(),
            None => first_run_token(&config)?,
        };
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(120))
            .build()
            .context("cannot make an HTTP client")?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), token, http })
    }

    /// Address of the server.
    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// `GET`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let response = self.send(self.http.get(self.url(path))).await?;
        response.json().await.with_context(|| format!("cannot read the answer to {path}"))
    }

    /// `POST` with a JSON body.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let response = self.send(self.http.post(self.url(path)).json(body)).await?;
        response.json().await.with_context(|| format!("cannot read the answer to {path}"))
    }

    /// A request that the caller completes; the status is not looked at.
    pub(super) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path)).bearer_auth(&self.token)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::Response> {
        let response = request
            .bearer_auth(&self.token)
            .send()
            .await
            .with_context(|| format!("cannot reach the server at {}", self.base))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        match response.json::<Problem>().await {
            Ok(Problem { error, at: Some(at) }) => bail!("{status}: {at}: {error}"),
            Ok(Problem { error, at: None }) => bail!("{status}: {error}"),
            Err(_) => bail!("the server answered {status}"),
        }
    }
}

fn first_run_token(config: &Config) -> anyhow::Result<String> {
    let file = config.storage.data_dir.join(FIRST_RUN_FILE);
    let text = std::fs::read_to_string(&file).with_context(|| {
        format!("no --token and no SIAGA_TOKEN given, and {} cannot be read", file.display())
    })?;
    let value: serde_json::Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let token = value.get("api_token").and_then(serde_json::Value::as_str);
    token.map(str::to_owned).with_context(|| format!("{} has no api_token", file.display()))
}
