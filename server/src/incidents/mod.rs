//! The helpdesk queue. Other parts hand over their active signals; the queue opens one incident per cause, lets
//! further signals join it, and resolves it when the last one is gone. People take, comment and resolve.
//!
//! A signal's way: [`sync`] -> [`plan`] (pure: what follows) -> [`mod@self::sync`] (carried out in one transaction).

mod agents;
mod handling;
pub mod http;
pub(crate) mod pages;
pub mod plan;
mod priority;
mod signal;
mod silence;
mod state;
pub mod sync;

use std::time::Duration;

use tokio::task::JoinSet;

pub(crate) use agents::host_was_heard;
pub use handling::HandlingError;
pub use priority::{Impact, Priority, Urgency, priority_of};
pub use signal::{AGENT_COMPONENT, CLOCK_COMPONENT, Cause, Grade, Graded, Severity, Signal, SignalSource};
pub use silence::{Silence, silence};
pub use state::{EventKind, State};

use self::plan::Settings;
use self::sync::{Circumstances, Outcome};
use crate::app::{App, every};
use crate::config::Config;
use crate::time::{Millis, millis, now_ms};

/// How often silent agents and wrong clocks are looked for.
const AGENT_INTERVAL: Duration = Duration::from_secs(5);
/// How often `up` and the differences of clocks are written.
const UP_INTERVAL: Duration = Duration::from_secs(15);

/// Takes over the complete set of active signals of one source: opens, joins, updates, ends, resolves. Idempotent.
///
/// # Errors
/// If the records fail; nothing was changed then.
pub async fn sync(app: &App, source: SignalSource, signals: Vec<Signal>) -> anyhow::Result<()> {
    sync_graded(app, source, signals.into_iter().map(Graded::from).collect()).await
}

/// [`sync`] for signals that state impact and urgency themselves.
///
/// # Errors
/// As [`sync`].
pub async fn sync_graded(app: &App, source: SignalSource, signals: Vec<Graded>) -> anyhow::Result<()> {
    let now = now_ms();
    let silent_hosts = silence(app, now).await?.unknown();
    let config = app.config.current();
    let circumstances =
        Circumstances { silent_hosts, settings: settings(&config), year: year(&config, now), now_ms: now };
    let outcome = app.records.run(move |db| sync::apply(db, source, signals, &circumstances)).await?;
    log(source, &outcome);
    Ok(())
}

fn settings(config: &Config) -> Settings {
    let incidents = &config.incidents;
    Settings {
        hold_ms: millis(incidents.hold),
        reopen_within_ms: millis(incidents.reopen_within),
        reopen_after_ms: millis(incidents.reopen_after),
        max_open: incidents.max_open,
    }
}

/// The year of a moment where the office is.
fn year(config: &Config, at_ms: Millis) -> i16 {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_zoned(config.console.time_zone.zone().clone()).year()
}

fn log(source: SignalSource, outcome: &Outcome) {
    let source = source.code();
    for (what, numbers) in
        [("opened", &outcome.opened), ("re-opened", &outcome.reopened), ("resolved", &outcome.resolved)]
    {
        for number in numbers {
            tracing::info!(incident.number = number, source, "incident {what}");
        }
    }
    if outcome.refused > 0 {
        tracing::warn!(
            signals = outcome.refused,
            source,
            "too many open incidents (incidents.max_open), signals have none"
        );
    }
}

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(set, app, "watch_agents", |_| AGENT_INTERVAL, agents::watch);
    every(set, app, "write_up", |_| UP_INTERVAL, agents::write_up);
}
