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

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use siaga_promql::Value;
use tokio::task::JoinSet;

pub use engine::Rules;
pub(crate) use evaluate::{ALERTS, ALERTS_FOR_STATE};
pub use format::{RuleFileError, RuleFileErrors};

use crate::app::{App, every};
use crate::incidents::{SignalSource, silence};
use crate::records::{RecordsError, hosts};
use crate::time::{Millis, millis, now_ms};

/// How often it is looked which groups are due and whether files changed.
const TICK: Duration = Duration::from_secs(1);

/// A series that every agent sends: a host that has it now has news.
const NEWS_SERIES: &str = "node_time_seconds";

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
    let no_news = Arc::new(hosts_without_news(&app, now).await?);
    let mut running = JoinSet::new();
    for (group, at_ms) in due {
        let (app, no_news) = (app.clone(), Arc::clone(&no_news));
        running.spawn(async move {
            evaluate::evaluate(&app, &group, at_ms, &no_news).await.with_context(|| {
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

/// Hosts of which nothing is known: silent ones, and those that are back but whose samples are not current yet.
async fn hosts_without_news(app: &App, now: Millis) -> anyhow::Result<BTreeSet<String>> {
    let mut without = silence(app, now).await?.unknown();
    let current: BTreeSet<String> = match app.metrics.instant(NEWS_SERIES, now).await {
        Ok(answer) => match answer.value {
            Value::Vector(samples) => {
                samples.iter().filter_map(|sample| sample.labels.get("instance").map(str::to_owned)).collect()
            }
            _ => BTreeSet::new(),
        },
        // Then no host counts as known, and no alert resolves because of a missing series.
        Err(_) => BTreeSet::new(),
    };
    let hosts = app.records.run(|db| hosts::list(db)).await.map_err(|error: RecordsError| error)?;
    without
        .extend(hosts.into_iter().map(|host| host.instance).filter(|instance| !current.contains(instance)));
    Ok(without)
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
