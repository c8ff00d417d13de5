//! Which series to forecast, thresholds, and what follows from them.
//!
//! - Rules: `resource` (what is forecast), `evaluation` (one forecast in percent and dates), `state` (words),
//!   `signal_rule` (when it becomes an incident).
//! - Around them: `measure` reads series (`history_cache`: only what is new), `pass` evaluates the fleet and stores, `publish` writes PromQL series,
//!   `notice` words incidents, `usage` says what is used now and what that is worth, `live` sets forecasts against it, `http` and `pages` show.
//! - Planning: `score` (what a forecast was worth), `proposal` (what follows from a shortage), `component` (the register);
//!   around them `scoring` and `planning`; `plan_http` and `plan_pages` show.
//! - `services`: how the components of a service follow its load, how much load fits, what would be.
//! - `anomaly`: what is unusual on a host, by several signs that agree.
//! - `calendar`: events that are known beforehand. `report`: the periodic report.
//!
//! Invariants: every resource is listed, with a forecast or with the reason why there is none; forecasts are made off
//! the async threads, one pass at a time; every evaluation is kept for as long as configured.

mod anomaly;
mod calendar;
mod component;
mod evaluation;
mod history_cache;
pub mod http;
mod live;
mod measure;
mod notice;
pub mod pages;
mod pass;
mod plan_http;
pub(crate) mod plan_pages;
mod planning;
mod proposal;
mod publish;
mod report;
mod resource;
mod score;
mod scoring;
mod services;
mod signal_rule;
mod state;
mod usage;
pub(crate) mod views;

use std::time::Duration;

use tokio::task::JoinSet;

pub use anomaly::Anomalies;
pub(crate) use calendar::around as known_events;
pub use calendar::{EventCategory, EventFormat, KnownEvent, NewEvent};
pub(crate) use calendar::{IMPORT as IMPORT_EVENTS, Imported as ImportedEvents};
pub use component::{Category, Component, ComponentKey, Entered as ComponentEntered};
pub use evaluation::{
    Crossing, Evaluation, HORIZON_DAYS, HorizonPoint, Made, Paths, Reason, Remark, Subject, evaluate,
};
pub use history_cache::HistoryCache;
pub(crate) use http::newest;
pub use measure::{Reader, Reading, SeriesSource, measure_history, measure_host};
pub use pass::{Forecasting, Progress, Scope};
pub use proposal::{Draft, Evidence, Happened, PLAN_AHEAD_DAYS, Proposal, Status};
pub use resource::{ResourceKey, ResourceKind};
pub use score::{Foretold, Score, Summary, summarise};
pub use services::{Analysed, Entered as ServiceEntered, Load, Part, Service};
pub use signal_rule::{SignalMemory, SignalRule, advance, is_due};
pub use state::State;
pub use usage::{Hearing, Standing};

use crate::app::{App, every};

/// How often hosts without any evaluation are looked for: a new machine is not to wait for the next whole pass.
const NEW_HOSTS_INTERVAL: Duration = Duration::from_secs(15);

/// Bounds of the interval at which the newest forecasts are written as series.
const PUBLISH_AT_LEAST: Duration = Duration::from_secs(15);

/// How often it is looked for new samples to judge.
const ANOMALY_INTERVAL: Duration = Duration::from_secs(15);

/// How often it is looked whether the report of a month that ended is to be sent.
const REPORT_INTERVAL: Duration = Duration::from_secs(600);

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(
        set,
        app,
        "forecast",
        |app| app.config.current().capacity.interval,
        |app| async move { pass::run(&app, Scope::AllHosts).await.map(drop) },
    );
    every(
        set,
        app,
        "forecast_new_hosts",
        |_| NEW_HOSTS_INTERVAL,
        |app| async move { pass::run(&app, Scope::NewHosts).await.map(drop) },
    );
    every(
        set,
        app,
        "forecast_scores",
        |app| app.config.current().capacity.interval,
        |app| async move { scoring::run(&app).await },
    );
    every(set, app, "anomalies", |_| ANOMALY_INTERVAL, |app| async move { anomaly::run(&app).await });
    every(
        set,
        app,
        "capacity_report",
        |_| REPORT_INTERVAL,
        |app| async move { report::send::run(&app).await },
    );
    every(
        set,
        app,
        "forecast_publish",
        // Twice within the lookback of queries, so that the series never have a hole.
        |app| (app.config.current().query.lookback / 2).max(PUBLISH_AT_LEAST),
        |app| async move { publish::run(&app).await },
    );
}

#[cfg(test)]
mod examples;
#[cfg(test)]
mod walk_tests;
