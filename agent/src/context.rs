//! What the agent's tasks share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::api::{Api, ApiError};
use crate::config::{Config, Server, ServerUrl, Target, guard};
use crate::counters::Counters;
use crate::discovery::Discovery;
use crate::services::Boards;
use crate::spool::Spool;
use crate::state::Credentials;

/// The configuration in force, and the client that belongs to it.
#[derive(Debug)]
pub struct Running {
    /// The configuration.
    pub config: Config,
    /// The server.
    pub api: Api,
    /// The other receivers, by name.
    pub targets: Vec<(String, Api)>,
}

impl Running {
    /// Puts a configuration into force.
    ///
    /// # Errors
    /// The client cannot be made from it.
    pub fn new(config: Config, credentials: &Credentials) -> Result<Self, ApiError> {
        let enrolled = || {
            ServerUrl::try_from(credentials.server.clone())
                .map_err(|reason| ApiError::Answer { operation: "read the enrolment", reason })
        };
        let url = config.server.url.clone().map_or_else(enrolled, Ok)?;
        let api = Api::new(url, &config.server, Some(&credentials.agent_token))?;
        let target = |target: &Target| {
            let token = target.token_file.as_deref().map(read_token).transpose()?;
            let server = Server {
                url: None,
                ca_file: target.ca_file.clone(),
                request_timeout_seconds: config.server.request_timeout_seconds,
            };
            Ok((target.name.clone(), Api::new(target.url.clone(), &server, token.as_deref())?))
        };
        let targets = config.targets.iter().map(target).collect::<Result<_, ApiError>>()?;
        Ok(Self { config, api, targets })
    }
}

fn read_token(path: &Path) -> Result<String, ApiError> {
    let text =
        guard::read_secret(path).map_err(|source| ApiError::TokenFile { path: path.into(), source })?;
    Ok(text.trim().to_owned())
}

/// Gives the configuration in force, and tells when it changes.
pub type RunningReceiver = watch::Receiver<Arc<Running>>;

/// What the agent's tasks share.
#[derive(Clone)]
pub struct Context {
    /// The configuration in force.
    pub running: RunningReceiver,
    /// Its file.
    pub config_path: PathBuf,
    /// What enrolment gave.
    pub credentials: Arc<Credentials>,
    /// The queue. Never held across a wait.
    pub spool: Arc<Mutex<Spool>>,
    /// What the agent counts of itself.
    pub counters: Arc<Counters>,
    /// Tells each sender of a collection.
    pub collected: Arc<watch::Sender<()>>,
    /// What the services said last.
    pub boards: Arc<Boards>,
    /// What listens on this host, and what of it is watched because the console said so.
    pub discovery: Arc<Discovery>,
    /// A request with types and help of all families, from time to time; the sender takes it to the server.
    pub metadata: Arc<Mutex<Option<Vec<u8>>>>,
    /// When the agent started, milliseconds since the epoch.
    pub started_at_ms: i64,
}

impl Context {
    /// The configuration in force now.
    #[must_use]
    pub fn now(&self) -> Arc<Running> {
        Arc::clone(&self.running.borrow())
    }
}
