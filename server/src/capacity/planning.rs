//! Carries proposals along: after each pass by the forecasts, in between by the planner. Every step stands in the
//! proposal's history, every decision of a person in the audit trail too.

use super::component::{Component, ComponentError, ComponentKey, MAX_COUNTED};
use super::proposal::{Happened, Proposal, Status, Step, step};
use crate::app::App;
use crate::http::ApiError;
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, audit, capacity_components, capacity_proposals, forecasts};
use crate::time::{Millis, now_ms};

/// Who acts when Siaga does.
const SIAGA: &str = "siaga";
/// Longest reason or wording, characters.
const MAX_TEXT: usize = 2_000;
/// Most that a planner may enter, percent of today's capacity.
const MAX_PERCENT: f64 = 10_000.0;

/// Brings the proposals of all components in line with the newest forecasts.
///
/// # Errors
/// If the records fail.
pub(super) async fn follow(app: &App) -> Result<(), RecordsError> {
    app.records.run(move |db| follow_all(db, now_ms())).await
}

fn follow_all(db: &Connection, now_ms: Millis) -> Result<(), RecordsError> {
    let latest = forecasts::latest(db)?;
    for one in &latest {
        let newest = capacity_proposals::newest_of(db, &one.evaluation.key)?;
        match (step(&one.evaluation, newest.as_ref(), now_ms), newest) {
            (Step::Propose(draft), _) => {
                let id = capacity_proposals::add(db, &draft, now_ms)?;
                let proposal = capacity_proposals::get(db, id)?;
                proposal.map_or(Ok(()), |p| note(db, &p, SIAGA, "proposed", ""))?;
            }
            (Step::Revise(draft), Some(mut proposal)) => {
                proposal.draft = *draft;
                change(db, proposal, SIAGA, "revised", "", now_ms)?;
            }
            (Step::Withdraw, Some(proposal)) => withdraw(db, proposal, now_ms)?,
            (Step::Keep | Step::Revise(_) | Step::Withdraw, _) => {}
        }
    }
    for proposal in capacity_proposals::list(db, Some(Status::Open), u32::MAX)? {
        if !latest.iter().any(|one| one.evaluation.key == proposal.draft.key) {
            withdraw(db, proposal, now_ms)?;
        }
    }
    Ok(())
}

fn withdraw(db: &Connection, mut proposal: Proposal, now_ms: Millis) -> Result<(), RecordsError> {
    proposal.status = Status::Withdrawn;
    change(db, proposal, SIAGA, Status::Withdrawn.code(), "", now_ms)
}

fn change(
    db: &Connection,
    mut proposal: Proposal,
    actor: &str,
    action: &str,
    reason: &str,
    now_ms: Millis,
) -> Result<(), RecordsError> {
    proposal.changed_at_ms = now_ms;
    capacity_proposals::update(db, &proposal)?;
    note(db, &proposal, actor, action, reason)
}

fn note(
    db: &Connection,
    proposal: &Proposal,
    actor: &str,
    action: &str,
    reason: &str,
) -> Result<(), RecordsError> {
    let happened = Happened {
        at_ms: proposal.changed_at_ms,
        actor: actor.to_owned(),
        action: action.to_owned(),
        what: proposal.what.clone(),
        add_percent: proposal.draft.add_percent,
        due_ms: proposal.draft.due_ms,
        reason: reason.to_owned(),
    };
    capacity_proposals::note(db, proposal.id, &happened)
}

/// What a planner decides on a proposal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    /// What it becomes.
    pub(super) status: Status,
    /// Why; always wanted.
    pub(super) reason: String,
    /// With a change: what to do, where it is not to add capacity.
    pub(super) what: Option<String>,
    /// With a change: how much, percent of today's capacity.
    pub(super) add_percent: Option<f64>,
    /// With a change: by when.
    pub(super) due_ms: Option<Millis>,
}

impl Decision {
    fn check(&self) -> Result<(), ApiError> {
        let wrong = |field: &str, text: &str| Err(ApiError::bad_request(text).at(field.to_owned()));
        let texts = [Some(&self.reason), self.what.as_ref()];
        if texts.into_iter().flatten().any(|text| text.chars().count() > MAX_TEXT) {
            return wrong("reason", "a text of at most 2,000 characters is taken");
        }
        if self.reason.trim().is_empty() {
            return wrong("reason", "a decision needs a reason");
        }
        if self.add_percent.is_some_and(|n| !(0.0..=MAX_PERCENT).contains(&n)) {
            return wrong("add_percent", "0 to 10,000 percent of today's capacity is wanted");
        }
        let figures = self.what.is_some() || self.add_percent.is_some() || self.due_ms.is_some();
        match self.status {
            Status::Changed if !figures => wrong("decision", "a change needs what, add_percent or due_ms"),
            Status::Changed => Ok(()),
            _ if figures => wrong("decision", "only a change takes what, add_percent or due_ms"),
            _ => Ok(()),
        }
    }
}

/// Carries out a decision.
///
/// # Errors
/// 400 without a reason or with figures that cannot be, 404, 409 if the proposal is not in a state for it.
pub(super) fn decide(
    db: &Connection,
    id: i64,
    decision: &Decision,
    actor: &str,
    now_ms: Millis,
) -> Result<Proposal, ApiError> {
    decision.check()?;
    let mut proposal = find(db, id)?;
    if !proposal.status.may_become(decision.status) {
        return Err(ApiError::conflict(format!(
            "proposal {id} is {}, it cannot become {}",
            proposal.status.code(),
            decision.status.code()
        )));
    }
    proposal.status = decision.status;
    if let Some(what) = &decision.what {
        proposal.what = what.trim().to_owned();
    }
    proposal.draft.add_percent = decision.add_percent.unwrap_or(proposal.draft.add_percent);
    proposal.draft.due_ms = decision.due_ms.unwrap_or(proposal.draft.due_ms);
    let reason = decision.reason.trim();
    change(db, proposal, actor, decision.status.code(), reason, now_ms)?;
    let action = match decision.status {
        Status::Accepted => "proposal.accept",
        Status::Changed => "proposal.change",
        Status::Done => "proposal.done",
        Status::Open | Status::Rejected | Status::Withdrawn => "proposal.reject",
    };
    audit::add(db, now_ms, actor, action, &id.to_string(), reason)?;
    find(db, id)
}

/// A proposal by its number, or 404.
pub(super) fn find(db: &Connection, id: i64) -> Result<Proposal, ApiError> {
    capacity_proposals::get(db, id)?.ok_or_else(|| ApiError::not_found(format!("proposal {id}")))
}

impl From<ComponentError> for ApiError {
    fn from(error: ComponentError) -> Self {
        Self::bad_request(error.reason).at(error.field)
    }
}

/// How the audit trail names a component.
fn audit_name(key: &ComponentKey) -> String {
    let parts = [key.instance.as_str(), key.resource.as_str(), key.item.as_str()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Enters a component into the register.
///
/// # Errors
/// 400 with the field that is wrong, 404 for a measured component that is not there, 409 if the register is full.
pub(super) fn enter(
    db: &Connection,
    component: &Component,
    actor: &str,
    now_ms: Millis,
) -> Result<(), ApiError> {
    component.check()?;
    let known = capacity_components::get(db, &component.key)?.is_some();
    if component.key.is_counted() {
        if !known && capacity_components::counted(db)? >= MAX_COUNTED {
            return Err(ApiError::conflict(format!("the register holds {MAX_COUNTED} counted components")));
        }
    } else if !known {
        let measured = forecasts::latest(db)?;
        if !measured.iter().any(|one| ComponentKey::from(&one.evaluation.key) == component.key) {
            return Err(ApiError::not_found(format!("component {}", audit_name(&component.key))));
        }
    }
    capacity_components::enter(db, component, actor, now_ms)?;
    audit::add(db, now_ms, actor, "component.enter", &audit_name(&component.key), "")?;
    Ok(())
}

/// Takes a component out of the register.
///
/// # Errors
/// 404 if it is not there.
pub(super) fn remove(
    db: &Connection,
    key: &ComponentKey,
    actor: &str,
    now_ms: Millis,
) -> Result<(), ApiError> {
    if !capacity_components::delete(db, key)? {
        return Err(ApiError::not_found(format!("component {}", audit_name(key))));
    }
    audit::add(db, now_ms, actor, "component.delete", &audit_name(key), "")?;
    Ok(())
}

#[cfg(test)]
#[path = "planning_tests.rs"]
mod tests;
