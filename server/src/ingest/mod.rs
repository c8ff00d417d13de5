//! What comes in: Prometheus remote write and history, with limits and back-pressure.
//!
//! Invariants: a request is stored whole or not at all, and is durable before it is answered with 2xx; an agent
//! writes only series of its own host.

mod body;
mod convert;
pub mod http;
pub mod import;
mod names;
mod vanished;
mod wire;

use std::time::Duration;

use tokio::task::JoinSet;

use crate::app::{App, every};

/// How often the store's upkeep runs.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(set, app, "maintain_store", |_| UPKEEP_INTERVAL, |app| async move { app.metrics.maintain().await });
}
