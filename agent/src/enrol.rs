//! Enrolment: a one-time token against this host's own credentials.

use std::path::Path;

use reqwest::Method;
use siaga_protocol::agent_api::{EnrolRequest, EnrolResponse};
use siaga_protocol::paths;

use crate::api::{Api, ApiError};
use crate::config::{Config, ServerUrl};
use crate::durable::DurableError;
use crate::state::{self, Credentials};

/// Why a host could not be enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The host's identity could not be found out.
    #[error("cannot tell which machine this is")]
    Identity(#[source] DurableError),
    /// The server said no, or nothing.
    #[error("cannot enrol")]
    Server(#[source] ApiError),
    /// The credentials could not be kept. The token is used up: a new one is needed.
    #[error("enrolled, but the credentials cannot be kept; a new token is needed")]
    Store(#[source] DurableError),
}

/// Enrols this host at `url`, and keeps the credentials in the configured folder.
///
/// # Errors
/// See [`EnrolError`].
pub async fn enrol(url: ServerUrl, token: &str, config: &Config) -> Result<Credentials, EnrolError> {
    if !url.is_local_or_tls() {
        tracing::warn!(server = url.as_str(), "token and credentials travel unencrypted; use https");
    }
    // Before the token is used: a folder that cannot be written would cost it.
    crate::durable::create_folder(&config.state_dir).map_err(EnrolError::Identity)?;
    let request = EnrolRequest {
        token: token.to_owned(),
        hostname: state::hostname(),
        machine_id: state::machine_id(Path::new("/"), &config.state_dir).map_err(EnrolError::Identity)?,
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let server = url.as_str().to_owned();
    let api = Api::new(url, &config.server, None).map_err(EnrolError::Server)?;
    let answer: EnrolResponse =
        api.exchange_json("enrol", Method::POST, paths::ENROL, &request).await.map_err(EnrolError::Server)?;
    let credentials = Credentials {
        server,
        host_id: answer.host_id,
        instance: answer.instance,
        agent_token: answer.agent_token,
        order_key: answer.order_key,
    };
    credentials.store(&config.state_dir).map_err(EnrolError::Store)?;
    Ok(credentials)
}
