//! The background tasks: takes up unfinished drills, starts due ones, records missed ones.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use super::begin::{Asked, StartError, library, record_missed, resume_unfinished, start};
use super::execute::Pace;
use super::hold::{dated_blackouts, reason_of};
use super::plan::{Entry, Plan};
use super::reason::Reason;
use super::schedule::{Due, blackout_at, due};
use super::watch::Watch;
use crate::app::{App, every};
use crate::records::drills;
use crate::time::{Millis, SECOND_MS, now_ms};

/// How often schedules are looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// A drill begins no later than this after its date; a later one is missed.
const GRACE_MS: Millis = 60 * SECOND_MS;
/// How often the incidents are told again what is not restored.
const SIGNALS_INTERVAL: Duration = Duration::from_secs(60);

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    super::emergency::start_tasks(set, app);
    let watch = Arc::new(Mutex::new(Watch::default()));
    every(
        set,
        app,
        "run_due_drills",
        |_| INTERVAL,
        move |app| {
            let watch = Arc::clone(&watch);
            async move {
                // Unfinished ones first: what is broken is repaired before anything new is broken.
                resume_unfinished(&app, Pace::NORMAL).await?;
                look(&app, &watch, now_ms()).await
            }
        },
    );
    every(
        set,
        app,
        "drill_signals",
        |_| SIGNALS_INTERVAL,
        |app| async move { super::signals::sync(&app).await },
    );
}

/// Looks at the schedule of every good plan, and at what is wrong with the others.
pub(super) async fn look(app: &App, watch: &Mutex<Watch>, now: Millis) -> anyhow::Result<()> {
    let library = library(app).await?;
    watch.lock().unwrap_or_else(PoisonError::into_inner).tell(&library);
    for (plan, entry) in library.good() {
        look_at(app, plan, entry, now).await?;
    }
    Ok(())
}

async fn look_at(app: &App, plan: &Plan, entry: &Entry, now: Millis) -> anyhow::Result<()> {
    let Some(schedule) = &plan.schedule else { return Ok(()) };
    let id = plan.id.clone();
    let handled = app.records.run(move |db| drills::handled_until(db, &id)).await?;
    let scheduled = app.config.current().continuity.scheduled;
    // A plan that is seen for the first time, or while schedules are off, owes nothing for the past.
    let Some(handled) = handled.filter(|_| scheduled) else {
        return set_handled(app, plan, now).await;
    };
    let blackouts = dated_blackouts(app, plan, now).await?;
    let Due { run, missed, skipped } = due(schedule, &blackouts, handled, now, GRACE_MS);
    let mut started = true;
    if let Some(at) = run {
        let held = match start(app, &plan.id, Asked::by_schedule(at)).await {
            Ok(_) => Vec::new(),
            // It may still begin within its time of grace; after that it is missed.
            Err(StartError::Busy(_)) => {
                started = false;
                Vec::new()
            }
            Err(StartError::Held(reasons)) => reasons,
            Err(StartError::NotApproved { given, wanted, .. }) => {
                vec![Reason::NotApproved { given, wanted }]
            }
            Err(error) => return Err(error.into()),
        };
        if !held.is_empty() {
            record_missed(app, plan, &entry.file, &entry.text, at, held).await?;
        }
    }
    if let Some(at) = missed.last() {
        let reasons = vec![Reason::DateMissed { others: missed.len() - 1 }];
        record_missed(app, plan, &entry.file, &entry.text, *at, reasons).await?;
    }
    if let Some((at, blackout)) = skipped.last() {
        let by_name = || Reason::InBlackout { blackout: blackout.clone() };
        let reasons = vec![blackout_at(&blackouts, *at).map_or_else(by_name, reason_of)];
        record_missed(app, plan, &entry.file, &entry.text, *at, reasons).await?;
    }
    let until = if started { now } else { run.unwrap_or(now) - 1 };
    set_handled(app, plan, until).await
}

async fn set_handled(app: &App, plan: &Plan, at_ms: Millis) -> anyhow::Result<()> {
    let id = plan.id.clone();
    app.records.run(move |db| drills::set_handled_until(db, &id, at_ms)).await?;
    Ok(())
}
