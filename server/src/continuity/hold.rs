//! What holds what back. A blackout, a known event or an open incident holds back a drill that is to begin; a running
//! drill holds back a host that is to leave: one that was given an order cannot go before the drill has ended, or nobody
//! could undo there any more.

use super::journal::{self, Fact};
use super::plan::{Entry, Plan};
use super::reason::Reason;
use super::schedule::{Blackout, BlackoutTime, blackout_at, next_allowed, with_events};
use crate::app::App;
use crate::capacity::known_events;
use crate::config::Language;
use crate::console::Page;
use crate::incidents::Priority;
use crate::records::drills::{self, Drill};
use crate::records::rusqlite::Connection;
use crate::records::{Result, incidents};
use crate::time::{DAY_MS, Millis};

/// How far known events are looked at: back, as far as a blackout may reach beyond its event, and ahead.
const EVENTS_BACK_MS: Millis = 120 * DAY_MS;
const EVENTS_AHEAD_MS: Millis = 460 * DAY_MS;

/// The running drill that has begun a step on a host, if there is one.
///
/// # Errors
/// If the records cannot be read.
pub(crate) fn drill_on_host(db: &Connection, host_id: &str) -> Result<Option<Drill>> {
    for drill in drills::running(db)? {
        let begun = |fact: &Fact| matches!(fact, Fact::StepStarted { order, .. } if order.host_id == host_id);
        let entries = journal::entries(&drills::journal(db, &drill.id)?)?;
        if entries.iter().any(|entry| begun(&entry.fact)) {
            return Ok(Some(drill));
        }
    }
    Ok(None)
}

/// The blackouts of a plan with the dates of the known events that they name.
///
/// # Errors
/// If the records cannot be read.
pub(super) async fn dated_blackouts(app: &App, plan: &Plan, now_ms: Millis) -> Result<Vec<Blackout>> {
    if !plan.blackouts.iter().any(|one| matches!(one.when, BlackoutTime::Events { .. })) {
        return Ok(plan.blackouts.clone());
    }
    let console = app.config.current().console.clone();
    // The names go into records, which are kept in the language of the office.
    let page = Page::detached(Language::Indonesian, &console.organisation, console.time_zone, false);
    let events = known_events(app, &page, now_ms - EVENTS_BACK_MS, now_ms + EVENTS_AHEAD_MS).await?;
    Ok(with_events(&plan.blackouts, &events))
}

/// The next date of a plan that no blackout covers.
///
/// # Errors
/// If the records cannot be read.
pub(super) async fn next_date(app: &App, entry: &Entry, now_ms: Millis) -> Result<Option<Millis>> {
    let Ok(plan) = &entry.plan else { return Ok(None) };
    let Some(schedule) = &plan.schedule else { return Ok(None) };
    let dated = dated_blackouts(app, plan, now_ms).await?;
    Ok(next_allowed(schedule, &dated, now_ms))
}

/// Why a drill of a plan is not to begin now.
///
/// # Errors
/// If the records cannot be read.
pub(super) async fn holds(app: &App, plan: &Plan, now_ms: Millis) -> Result<Vec<Reason>> {
    let dated = dated_blackouts(app, plan, now_ms).await?;
    let mut found: Vec<Reason> = blackout_at(&dated, now_ms).map(reason_of).into_iter().collect();
    if let Some(blackout) = plan.blackouts.iter().find(|one| matches!(one.when, BlackoutTime::HighIncidents))
    {
        let open = app.records.run(|db| incidents::count_open(db)).await?;
        let count =
            open.iter().find(|(priority, _)| *priority == Priority::High).map_or(0, |(_, count)| *count);
        if count > 0 {
            found.push(Reason::IncidentsOpen { blackout: blackout.name.clone(), count });
        }
    }
    Ok(found)
}

/// A blackout as a reason.
pub(super) fn reason_of(blackout: &Blackout) -> Reason {
    let name = blackout.name.clone();
    match &blackout.event {
        None => Reason::InBlackout { blackout: name },
        Some(event) => Reason::InEvent { blackout: name, event: event.clone() },
    }
}
