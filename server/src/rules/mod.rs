//! Recording and alerting rules in Prometheus' own file format, evaluated on schedule.
//!
//! Files are read by [`load`] and checked by [`format`]; [`engine`] holds what is in force; [`evaluate`] asks the
//! store and moves each alert on by [`alert`] (pure); firing alerts go to the helpdesk queue as [`signals`].

mod alert;
mod engine;
mod evaluate;
mod format;
pub mod http;
mod load;
mod shape;
mod signals;
mod template;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::task::JoinSet;

pub use engine::Rules;
use evaluate::FleetNews;
pub(crate) use evaluate::{ALERTS, ALERTS_FOR_STATE};
pub use format::{RuleFileError, RuleFileErrors};

use crate::app::{App, every};
use crate::fleet::News;
use crate::fleet::http::host_is_silent;
use crate::incidents::SignalSource;
use crate::records::{RecordsError, hosts};
use crate::time::{Millis, millis, now_ms};

/// How often it is looked which groups are due and whether files changed.
const TICK: Duration = Duration::from_secs(1);

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(set, app, "evaluate_rules", |_| TICK, tick);
}

/// Checks a rule file; gives the number of groups and rules in it. Blocks.
///
/// # Errors
/// What is wrong, with file, line and rule.
pub fn check_file(file: &Path) -> anyhow::Result<(usize, usize)> {
    let groups = load::load_file(file)?;
    Ok((groups.len(), groups.iter().map(|group| group.rules.len()).sum()))
}

/// Checks all rules of a configuration. Blocks.
///
/// # Errors
/// What is wrong, with file, line and rule.
pub fn check_all(config: &crate::config::Rules) -> anyhow::Result<()> {
    load::load(config).map(|_| ())
}

async fn tick(app: App) -> anyhow::Result<()> {
    reload(&app).await?;
    let now = now_ms();
    let default_ms = millis(app.config.current().rules.interval);
    let groups = app.rules.groups();
    let due: Vec<_> = groups
        .into_iter()
        .filter_map(|group| group.due(default_ms, now).map(|at_ms| (group, at_ms)))
        .collect();
    if due.is_empty() {
        return Ok(());
    }
    let fleet = Arc::new(fleet_news(&app, now).await?);
    let mut running = JoinSet::new();
    for (group, at_ms) in due {
        let (app, fleet) = (app.clone(), Arc::clone(&fleet));
        running.spawn(async move {
            evaluate::evaluate(&app, &group, at_ms, &fleet).await.with_context(|| {
                format!("cannot evaluate group {} of {}", group.group.name, group.group.file)
            })
        });
    }
    let mut failure = None;
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended.map_err(anyhow::Error::from).and_then(|result| result) {
            failure = Some(error);
        }
    }
    report(&app).await?;
    failure.map_or(Ok(()), Err)
}

/// Reads changed files again. A wrong one is logged and the rules in force stay.
async fn reload(app: &App) -> anyhow::Result<()> {
    let (rules, records, config) =
        (app.rules.clone(), app.records.clone(), app.config.current().rules.clone());
    match tokio::task::spawn_blocking(move || rules.reload(&config, &records)).await? {
        Ok(true) => tracing::info!("rules read again"),
        Ok(false) => {}
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "new rules refused, those in force stay");
        }
    }
    Ok(())
}

/// What the samples of every host allow to conclude.
async fn fleet_news(app: &App, now: Millis) -> anyhow::Result<FleetNews> {
    let hosts = app.records.run(|db| hosts::list(db)).await.map_err(|error: RecordsError| error)?;
    Ok(hosts
        .into_iter()
        .map(|host| {
            let silent = host_is_silent(app, &host, now);
            let news = if silent { News::Late } else { app.presence.news(&host, now) };
            (host.instance, news)
        })
        .collect())
}

/// Hands all firing alerts over to the helpdesk queue.
async fn report(app: &App) -> anyhow::Result<()> {
    let mut signals = Vec::new();
    for live in app.rules.groups() {
        let status = live.status();
        for (rule, status) in live.group.rules.iter().zip(&status.rules) {
            signals.extend(signals::signals(&rule.key, &status.alerts));
            signals.extend(signals::failing(&rule.key, &rule.name, status));
        }
    }
    crate::incidents::sync_graded(app, SignalSource::Alert, signals).await
}
