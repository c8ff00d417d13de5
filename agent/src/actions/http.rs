//! HTTP calls: a switch of DNS or of a proxy by its own interface, or a check from this host's place.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use super::{Job, read_secret, say};
use crate::config::actions::{Http, HttpCall, HttpMethod};

/// Part of an answer that is looked at.
const MAX_BODY_BYTES: usize = 256 * 1024;
/// Longest time for one request.
const REQUEST: Duration = Duration::from_secs(30);

pub(super) async fn carry_out(calls: &Http, job: &Job) -> anyhow::Result<()> {
    let call = match job.undo {
        false => &calls.run,
        true => calls.undo.as_ref().context("it has no undo")?,
    };
    let token = calls.token_file.as_deref().map(read_secret).transpose()?;
    let mut request = client()?.request(method(call), &call.url).timeout(REQUEST.min(job.left()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = &call.body {
        if body.trim_start().starts_with('{') {
            request = request.header("content-type", "application/json");
        }
        request = request.body(body.clone());
    }
    let (status, body) = answer(request).await?;
    say(&format!("HTTP {status}"));
    ensure!(status == call.status, "HTTP {status} instead of {}", call.status);
    if let Some(text) = &call.contains {
        ensure!(body.contains(text.as_str()), "the answer does not hold {text:?}");
    }
    Ok(())
}

pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("siaga-agent/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot make an HTTP client")
}

/// Status and the beginning of the body.
pub(super) async fn answer(request: reqwest::RequestBuilder) -> anyhow::Result<(u16, String)> {
    let mut response =
        request.send().await.map_err(|error| anyhow::anyhow!("{}", crate::error_chain(&error)))?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while body.len() < MAX_BODY_BYTES {
        match response.chunk().await.context("the answer broke off")? {
            Some(chunk) => body.extend_from_slice(&chunk),
            None => break,
        }
    }
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

fn method(call: &HttpCall) -> reqwest::Method {
    match call.method {
        HttpMethod::Get => reqwest::Method::GET,
        HttpMethod::Post => reqwest::Method::POST,
        HttpMethod::Put => reqwest::Method::PUT,
        HttpMethod::Patch => reqwest::Method::PATCH,
        HttpMethod::Delete => reqwest::Method::DELETE,
    }
}
