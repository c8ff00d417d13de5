//! A pass over the fleet: measure, evaluate, store, hand signals to the incidents. Idempotent; one at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Context as _;

use super::evaluation::{Evaluation, Paths, Reason, Subject, evaluate, known_hours};
use super::history_cache::HistoryCache;
use super::measure::{Reader, SeriesSource, measure_host};
use super::resource::ResourceKey;
use super::services::{self, Analysed, Entered as ServiceEntered};
use super::signal_rule::{SignalMemory, SignalRule, advance};
use super::state::State;
use super::usage;
use crate::app::App;
use crate::config::Capacity;
use crate::records::forecasts::{self, Run};
use crate::records::{RecordsError, capacity_components, hosts};
use crate::time::{Millis, millis, now_ms};

/// Which hosts a pass looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    AllHosts,
    /// All of them, and the whole history is read again: a person asks, perhaps after an import.
    AllHostsAnew,
    /// Those without any evaluation.
    NewHosts,
}

/// How far a running pass is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Progress {
    /// Its start.
    pub started_at_ms: Millis,
    /// Hosts that are done.
    pub done: usize,
    /// Hosts in all.
    pub total: usize,
}

/// Whether forecasts are being made. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Forecasting {
    turn: Arc<tokio::sync::Mutex<()>>,
    progress: Arc<Mutex<Option<Progress>>>,
    cache: Arc<HistoryCache>,
    services: Arc<Mutex<BTreeMap<String, Arc<Analysed>>>>,
}

impl Forecasting {
    /// How far the running pass over all hosts is, if one runs.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hours at hand of one resource, in the unit of its series; see [`HistoryCache::hours_of`].
    pub(super) fn hours_of(&self, key: &ResourceKey) -> Vec<(Millis, f64)> {
        self.cache.hours_of(&key.instance, key.kind, &key.item)
    }

    /// Remembers hours as a pass does.
    #[cfg(test)]
    pub(super) fn remember_hours(
        &self,
        key: &ResourceKey,
        (start_ms, end_ms): (Millis, Millis),
        hours: &super::history_cache::Hours,
    ) {
        self.cache.put(&key.instance, key.kind, start_ms, end_ms, hours);
    }

    /// A service as it was last worked out.
    pub(super) fn service(&self, name: &str) -> Option<Arc<Analysed>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All services as they were last worked out.
    pub(super) fn services(&self) -> Vec<Arc<Analysed>> {
        self.services.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Remembers what was worked out.
    pub(super) fn remember_service(&self, analysed: &Arc<Analysed>) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.insert(analysed.name().to_owned(), Arc::clone(analysed));
    }

    /// Forgets services that were taken out.
    pub(super) fn forget_services_but(&self, entered: &[ServiceEntered]) {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        services.retain(|name, _| entered.iter().any(|one| one.service.name == *name));
    }

    fn set(&self, progress: Option<Progress>) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }
}

/// The rule for signals as configured.
#[must_use]
pub(super) fn signal_rule(config: &Capacity) -> SignalRule {
    SignalRule {
        lead_ms: millis(config.lead_time),
        evaluations: config.signal_evaluations,
        floor_percent: config.signal_floor.get(),
    }
}

/// Makes the forecasts of the hosts in scope. Waits for a pass that is running.
///
/// # Errors
/// If the records fail, or every host did.
pub(super) async fn run(app: &App, scope: Scope) -> anyhow::Result<Run> {
    let _turn = app.forecasting.turn.lock().await;
    let result = run_alone(app, scope).await;
    app.forecasting.set(None);
    result
}

async fn run_alone(app: &App, scope: Scope) -> anyhow::Result<Run> {
    let (started_at_ms, started) = (now_ms(), Instant::now());
    let config = app.config.current();
    let (late_ms, config) = (millis(config.metrics.out_of_order_window), config.capacity.clone());
    if scope == Scope::AllHostsAnew {
        app.forecasting.cache.clear();
        app.anomalies.reset();
    }
    let instances = instances(app, scope).await?;
    let thresholds = app.records.run(|db| capacity_components::thresholds(db)).await?;
    let hearings = usage::hearings(app, now_ms()).await?;
    let mut run = Run { started_at_ms, duration_ms: 0, hosts: 0, resources: 0, refused: 0, failed_hosts: 0 };
    let mut last_error = None;
    for (done, instance) in instances.iter().enumerate() {
        if app.is_stopping() {
            break;
        }
        if scope != Scope::NewHosts {
            app.forecasting.set(Some(Progress { started_at_ms, done, total: instances.len() }));
        }
        run.hosts += 1;
        // Retired meanwhile.
        let Some(hearing) = hearings.get(instance).copied() else { continue };
        let cache = &app.forecasting.cache;
        let reader = Reader { config: &config, cache, late_ms, hearing, now_ms: now_ms() };
        match evaluate_host(&app.metrics, instance, reader, &thresholds).await {
            Ok(evaluated) => {
                run.resources += i64::try_from(evaluated.len()).unwrap_or(i64::MAX);
                let refused = evaluated.iter().filter(|(evaluation, _)| evaluation.outcome.is_err()).count();
                run.refused += i64::try_from(refused).unwrap_or(i64::MAX);
                store_host(app, instance.clone(), evaluated, signal_rule(&config)).await?;
            }
            Err(error) => {
                run.failed_hosts += 1;
                tracing::warn!(
                    host.instance = instance,
                    error = format!("{error:#}"),
                    "cannot forecast a host"
                );
                last_error = Some(error);
            }
        }
    }
    run.duration_ms = millis(started.elapsed());
    if scope != Scope::NewHosts {
        let (done, before) = (run.clone(), started_at_ms - millis(config.keep));
        app.records
            .run(move |db| {
                forecasts::add_run(db, &done)?;
                forget_retired(db)?;
                forecasts::prune(db, before)
            })
            .await?;
    }
    if run.hosts > 0 {
        super::notice::hand_over(app).await?;
        super::planning::follow(app).await?;
        if scope != Scope::NewHosts {
            services::analyse_all(app).await?;
        }
        super::publish::run(app).await?;
    }
    match last_error {
        Some(error) if run.failed_hosts == run.hosts => Err(error.context("no host could be forecast")),
        _ => Ok(run),
    }
}

async fn instances(app: &App, scope: Scope) -> Result<Vec<String>, RecordsError> {
    app.records
        .run(move |db| {
            let all = hosts::list(db)?.into_iter().map(|host| host.instance);
            let known = match scope {
                Scope::AllHosts | Scope::AllHostsAnew => Vec::new(),
                Scope::NewHosts => forecasts::instances(db)?,
            };
            Ok(all.filter(|instance| !known.contains(instance)).collect())
        })
        .await
}

fn forget_retired(db: &crate::records::rusqlite::Connection) -> Result<(), RecordsError> {
    let in_service: Vec<String> = hosts::list(db)?.into_iter().map(|host| host.instance).collect();
    for instance in forecasts::instances(db)? {
        if !in_service.contains(&instance) {
            forecasts::keep_only(db, &instance, &[])?;
        }
    }
    Ok(())
}

type Evaluated = (Evaluation, Option<Paths>);

/// Measures and evaluates the resources of a host. `thresholds` are those of the register, percent.
///
/// # Errors
/// If its series cannot be read.
pub(super) async fn evaluate_host(
    source: &impl SeriesSource,
    instance: &str,
    reader: Reader<'_>,
    thresholds: &BTreeMap<ResourceKey, f64>,
) -> anyhow::Result<Vec<Evaluated>> {
    let subjects = measure_host(source, instance, reader)
        .await
        .with_context(|| format!("cannot read the series of {instance}"))?;
    let (now_ms, lead_ms) = (reader.now_ms, millis(reader.config.lead_time));
    let mut evaluated = Vec::with_capacity(subjects.len());
    for mut subject in subjects {
        subject.threshold_percent =
            thresholds.get(&subject.key).copied().unwrap_or(subject.threshold_percent);
        let copy = subject.clone();
        let work = tokio::task::spawn_blocking(move || evaluate(&copy, now_ms, lead_ms));
        evaluated.push(work.await.unwrap_or_else(|_| (interrupted(subject, now_ms), None)));
    }
    Ok(evaluated)
}

/// A forecaster that breaks on one series must not take the others along.
fn interrupted(subject: Subject, now_ms: Millis) -> Evaluation {
    Evaluation {
        made_at_ms: now_ms,
        data_end_ms: subject.history.end_ms(),
        known_hours: known_hours(&subject.history),
        key: subject.key,
        full: subject.full,
        threshold_percent: subject.threshold_percent,
        current_percent: subject.current_percent,
        standing: subject.standing,
        state: State::Unknown,
        outcome: Err(Reason::plain("interrupted")),
    }
}

async fn store_host(
    app: &App,
    instance: String,
    evaluated: Vec<Evaluated>,
    rule: SignalRule,
) -> Result<(), RecordsError> {
    app.records
        .run(move |db| {
            let keys: Vec<_> = evaluated.iter().map(|(evaluation, _)| evaluation.key.clone()).collect();
            for (evaluation, paths) in &evaluated {
                let known = forecasts::one(db, &evaluation.key)?;
                let memory = known.map_or_else(SignalMemory::default, |(latest, _)| latest.memory);
                let memory = advance(memory, evaluation, &rule);
                forecasts::store(db, evaluation, paths.as_ref(), memory)?;
            }
            forecasts::keep_only(db, &instance, &keys)
        })
        .await
}

#[cfg(test)]
#[path = "pass_tests.rs"]
mod tests;
