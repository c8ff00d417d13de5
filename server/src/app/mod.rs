//! Builds the parts, holds what they share, and stops them in order.

pub(crate) mod ballast;
pub mod http;
mod own_metrics;
mod run;
mod tasks;

use std::ops::Deref;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use tokio::sync::watch;

use crate::config::LiveConfig;
use crate::continuity::{Emergencies, RunningDrill};
use crate::fleet::Presence;
use crate::metrics::Metrics;
use crate::records::Records;
use crate::rules::Rules;
use crate::time::Millis;

pub use own_metrics::OwnMetrics;
#[cfg(test)]
pub(crate) use run::open;
pub use run::run;
pub(crate) use tasks::every;
pub use tasks::{TaskStatus, Tasks};

/// What all parts share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App(Arc<Parts>);

/// The parts.
#[derive(Debug)]
pub struct Parts {
    /// Configuration in force.
    pub config: LiveConfig,
    /// Rows.
    pub records: Records,
    /// Time series and PromQL.
    pub metrics: Metrics,
    /// Recording and alerting rules in force.
    pub rules: Rules,
    /// Last signs of life of agents.
    pub presence: Presence,
    /// Signs orders.
    pub order_key: SigningKey,
    /// Signs the journals of drills.
    pub journal_key: SigningKey,
    /// Counts new orders; wakes waiting polls.
    pub order_news: watch::Sender<u64>,
    /// Counts new answers to orders.
    pub answer_news: watch::Sender<u64>,
    /// The drill that runs now.
    pub running_drill: RunningDrill,
    /// Emergencies that are declared now.
    pub emergencies: Emergencies,
    /// State of background tasks.
    pub tasks: Tasks,
    /// Whether forecasts are being made, and how far that is.
    pub forecasting: crate::capacity::Forecasting,
    /// What is unusual on the hosts.
    pub anomalies: crate::capacity::Anomalies,
    /// Turns at the renderer of PDF.
    pub pdf_turns: crate::reports::pdf::PdfTurns,
    /// What the server tells of itself.
    pub own_metrics: OwnMetrics,
    /// When this process started to serve.
    pub started_at_ms: Millis,
    /// Becomes true when the process is to end.
    pub stopping: watch::Receiver<bool>,
}

impl App {
    /// Joins the parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
