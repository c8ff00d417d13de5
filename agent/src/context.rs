//! What the agent's tasks share.

use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};

use crate::api::{Api, ApiError};
use crate::config::{Config, ServerUrl};
use crate::counters::Counters;
use crate::spool::Spool;
use crate::state::Credentials;

/// The configuration in force, and the client that belongs to it.
#[derive(Debug)]
pub struct Running {
    /// The configuration.
    pub config: Config,
    /// The server.
    pub api: Api,
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
        Ok(Self { config, api })
    }
}

/// Gives the configuration in force, and tells when it changes.
pub type RunningReceiver = watch::Receiver<Arc<Running>>;

/// What the agent's tasks share.
#[derive(Clone)]
pub struct Context {
    /// The configuration in force.
    pub running: RunningReceiver,
    /// What enrolment gave.
    pub credentials: Arc<Credentials>,
    /// The queue. Never held across a wait.
    pub spool: Arc<Mutex<Spool>>,
    /// What the agent counts of itself.
    pub counters: Arc<Counters>,
    /// Rings after each collection.
    pub collected: Arc<Notify>,
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
