//! Background tasks: input-less, idempotent, run by a timer; the state of each is kept for the operator.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::App;
use crate::time::{Millis, now_ms};

/// State of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskStatus {
    /// Start of the last run.
    pub last_run_ms: Option<Millis>,
    /// Its duration in milliseconds.
    pub duration_ms: u64,
    /// Runs so far.
    pub runs: u64,
    /// Failed runs so far.
    pub failures: u64,
    /// Error of the last run, if it failed.
    pub last_error: Option<String>,
}

/// States of all tasks by name.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    states: Arc<Mutex<BTreeMap<&'static str, TaskStatus>>>,
}

impl Tasks {
    /// A copy of all states.
    #[must_use]
    pub fn states(&self) -> BTreeMap<&'static str, TaskStatus> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, name: &'static str, started_ms: Millis, duration: Duration, error: Option<String>) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let state = states.entry(name).or_default();
        state.last_run_ms = Some(started_ms);
        state.duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        state.runs += 1;
        state.failures += u64::from(error.is_some());
        state.last_error = error;
    }
}

/// Runs `work` now and then at intervals until the process is to end. `interval` is asked before each wait, so that
/// a new configuration takes effect. A failed run is logged and the next one comes as usual.
pub(crate) fn every<F, Fut>(
    set: &mut JoinSet<()>,
    app: &App,
    name: &'static str,
    interval: impl Fn(&App) -> Duration + Send + 'static,
    work: F,
) where
    F: Fn(App) -> Fut + Send + 'static,
    Fut: Future<Output = anyhow::Result<()>> + Send,
{
    let app = app.clone();
    let mut stopping = app.stopping.clone();
    set.spawn(async move {
        loop {
            let (started_ms, started) = (now_ms(), Instant::now());
            let outcome = work(app.clone()).await;
            let error = outcome.err().map(|error| format!("{error:#}"));
            if let Some(error) = &error {
                tracing::error!(task = name, error, "background task failed");
            }
            app.tasks.note(name, started_ms, started.elapsed(), error);
            let wait = interval(&app).saturating_sub(started.elapsed());
            if tokio::time::timeout(wait, stopping.wait_for(|stop| *stop)).await.is_ok() {
                return;
            }
        }
    });
}
