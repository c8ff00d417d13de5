//! What comes in: Prometheus remote write and history, with limits and back-pressure.
//!
//! Invariants: a request is stored whole or not at all, and is durable before it is answered with 2xx; an agent
//! writes only series of its own host.

mod body;
mod convert;
#[cfg(test)]
mod fuzz;
pub mod http;
pub mod import;
mod names;
mod vanished;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use siaga_protocol::metric_names::STORE_DAMAGED_ROWS;
use tokio::task::JoinSet;

use crate::app::{App, every};
use crate::metrics::OwnSample;
use crate::time::now_ms;

/// How often the store's upkeep runs.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);
/// How often damage of the store is told, as long as there is any.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(set, app, "maintain_store", |_| UPKEEP_INTERVAL, |app| async move { app.metrics.maintain().await });
    let told = Arc::new(AtomicUsize::new(0));
    every(
        set,
        app,
        "report_store_damage",
        |_| REPORT_INTERVAL,
        move |app| report_damage(app, Arc::clone(&told)),
    );
}

/// Says that parts of the store are damaged: in the log, and as a series, of which a rule makes an incident.
async fn report_damage(app: App, told: Arc<AtomicUsize>) -> anyhow::Result<()> {
    let rows = app.metrics.damaged_rows();
    if rows == 0 {
        return Ok(());
    }
    if told.swap(rows, Ordering::Relaxed) != rows {
        tracing::error!(
            rows,
            "rows of the store of time series are damaged: what they held is lost, the rest is there"
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "the store counts to 100,000")]
    let sample = OwnSample::new(STORE_DAMAGED_ROWS, &[], now_ms(), rows as f64);
    Ok(app.metrics.append_own(vec![sample]).await?)
}
