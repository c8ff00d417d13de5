//! A drill as the journal that Chaos Toolkit writes of an experiment, for programs that read those. Pure.
//!
//! Checks are its probes, steps its actions, undos its rollbacks. Times are those of the drill's journal, in UTC; what
//! Chaos Toolkit has no place for stands in the experiment's extension `siaga`.

use jiff::Timestamp;
use serde_json::{Value, json};
use siaga_protocol::orders::Outcome;

use super::journal::{AnswerNote, CheckTime, Entry, Fact, OrderNote};
use super::plan::{Check, CheckKind, Plan, Step, Undo};
use super::reason::Reason;
use crate::records::drills::Drill;
use crate::time::Millis;

/// The journal of a drill that has ended.
pub(super) fn export(drill: &Drill, plan: &Plan, entries: &[Entry]) -> Value {
    let ended_at_ms = drill.ended_at_ms.unwrap_or(drill.created_at_ms);
    let held_after = entries.iter().find_map(|entry| match entry.fact {
        Fact::CheckedAfter { held, .. } => Some(held),
        _ => None,
    });
    let held_before = entries.iter().find_map(|entry| match entry.fact {
        Fact::CheckedBefore { held, .. } => Some(held),
        _ => None,
    });
    json!({
        "chaoslib-version": concat!("siaga-", env!("CARGO_PKG_VERSION")),
        "platform": std::env::consts::OS,
        "node": "siaga",
        "experiment": experiment(drill, plan),
        "start": moment(drill.created_at_ms),
        "status": status(drill, entries),
        "deviated": held_after == Some(false),
        "steady_states": {
            "before": hypothesis(plan, entries, CheckTime::Before, held_before),
            "after": hypothesis(plan, entries, CheckTime::After, held_after),
            "during": [],
        },
        "run": run(plan, entries),
        "rollbacks": rollbacks(plan, entries),
        "end": moment(ended_at_ms),
        "duration": seconds(drill.created_at_ms, ended_at_ms),
    })
}

/// The states of Chaos Toolkit: an experiment whose steady state was not there before or after has failed.
fn status(drill: &Drill, entries: &[Entry]) -> &'static str {
    let by_person = |reason: &Reason| matches!(reason, Reason::StoppedBy { .. });
    match drill.status.as_str() {
        "passed" => "completed",
        "aborted" if entries.iter().any(|entry| entry.fact.reasons().iter().any(by_person)) => "interrupted",
        "aborted" => "aborted",
        _ => "failed",
    }
}

fn experiment(drill: &Drill, plan: &Plan) -> Value {
    let probes: Vec<Value> = plan.steady_state.iter().map(probe).collect();
    let mut method = Vec::new();
    for step in &plan.steps {
        method.push(action(step, None));
        method.extend(step.checks.iter().map(probe));
    }
    let undoable = plan.steps.iter().rev().filter(|step| step.undo == Undo::ByAgent);
    json!({
        "version": "1.0.0",
        "title": drill.plan_name,
        "description": plan.scenario,
        "tags": ["siaga", plan.kind.code()],
        "steady-state-hypothesis": { "title": drill.service, "probes": probes },
        "method": method,
        "rollbacks": undoable.map(|step| action(step, None)).collect::<Vec<_>>(),
        "extensions": [{
            "name": "siaga",
            "drill_id": drill.id,
            "number": drill.number,
            "plan_id": drill.plan_id,
            "plan_sha256": drill.plan_sha256,
            "verdict": drill.status,
            "restored": drill.restored,
            "rto_target_ms": drill.rto_target_ms,
            "rto_ms": drill.rto_ms,
            "downtime_ms": drill.downtime_ms,
        }],
    })
}

fn probe(check: &Check) -> Value {
    match &check.kind {
        CheckKind::Http(http) => json!({
            "type": "probe",
            "name": check.name,
            "tolerance": http.status,
            "provider": { "type": "http", "url": http.url.as_str(), "timeout": http.timeout.as_secs_f64() },
        }),
        CheckKind::Promql { query, comparison } => json!({
            "type": "probe",
            "name": check.name,
            "tolerance": comparison.to_string(),
            "provider": {
                "type": "python",
                "module": "chaosprometheus.probes",
                "func": "query",
                "arguments": { "query": query },
            },
        }),
    }
}

/// An action of an agent's own file: its name stands where Chaos Toolkit has a program.
fn action(step: &Step, order: Option<&OrderNote>) -> Value {
    let (host, name) = step.order().unwrap_or((None, "confirm"));
    let host = order.map(|order| order.host.as_str()).or(host);
    json!({
        "type": "action",
        "name": step.name,
        "provider": {
            "type": "process",
            "path": name,
            "arguments": { "host": host },
            "timeout": step.timeout.as_secs_f64(),
        },
    })
}

fn hypothesis(plan: &Plan, entries: &[Entry], wanted: CheckTime, held: Option<bool>) -> Value {
    let Some(held) = held else { return Value::Null };
    let probes: Vec<Value> = entries.iter().filter_map(|entry| checked(plan, entry, wanted)).collect();
    json!({ "steady_state_met": held, "probes": probes })
}

/// One check, if it was made at that time.
fn checked(plan: &Plan, entry: &Entry, wanted: CheckTime) -> Option<Value> {
    let Fact::Check { when, check, held, found } = &entry.fact else { return None };
    if *when != wanted {
        return None;
    }
    let of_steps = plan.steps.iter().flat_map(|step| &step.checks);
    let mut known = plan.steady_state.iter().chain(&plan.after).chain(of_steps);
    let activity =
        known.find(|one| one.name == *check).map_or_else(|| json!({ "type": "probe", "name": check }), probe);
    Some(json!({
        "activity": activity,
        "output": found,
        "status": "succeeded",
        "tolerance_met": held,
        "start": moment(entry.at_ms),
        "end": moment(entry.at_ms),
        "duration": 0.0,
    }))
}

fn run(plan: &Plan, entries: &[Entry]) -> Vec<Value> {
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match &entry.fact {
            Fact::StepStarted { step, order } => {
                let later = entries.get(index..).unwrap_or_default();
                let answer = later.iter().find_map(|later| match &later.fact {
                    Fact::StepAnswered { step: of, answer } if of == step => {
                        Some((later.at_ms, answer.as_ref()))
                    }
                    _ => None,
                });
                found.extend(plan.steps.get(*step).map(|one| carried_out(one, order, entry.at_ms, answer)));
            }
            _ => found.extend(checked(plan, entry, CheckTime::Step)),
        }
    }
    found
}

fn rollbacks(plan: &Plan, entries: &[Entry]) -> Vec<Value> {
    let mut found = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let Fact::UndoStarted { step, order } = &entry.fact else { continue };
        let later = entries.get(index + 1..).unwrap_or_default();
        // A second attempt begins where the first one had no success.
        let answer = later.iter().find_map(|later| match &later.fact {
            Fact::UndoEnded { step: of, answer, .. } if of == step => Some((later.at_ms, answer.as_ref())),
            Fact::UndoStarted { step: of, .. } if of == step => Some((later.at_ms, None)),
            _ => None,
        });
        found.extend(plan.steps.get(*step).map(|one| carried_out(one, order, entry.at_ms, answer)));
    }
    found
}

fn carried_out(
    step: &Step,
    order: &OrderNote,
    start_ms: Millis,
    answer: Option<(Millis, Option<&AnswerNote>)>,
) -> Value {
    let (end_ms, answer) = answer.map_or((start_ms, None), |(end_ms, answer)| (end_ms, answer));
    let good = answer.is_some_and(|answer| answer.outcome == Outcome::Succeeded);
    json!({
        "activity": action(step, Some(order)),
        "output": answer.map(|answer| json!({ "message": answer.message, "stdout": answer.output })),
        "status": if good { "succeeded" } else { "failed" },
        "start": moment(start_ms),
        "end": moment(end_ms),
        "duration": seconds(start_ms, end_ms),
    })
}

/// UTC without a zone, as Python writes it.
fn moment(at_ms: Millis) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S.%6f").to_string()
}

fn seconds(from_ms: Millis, to_ms: Millis) -> f64 {
    (to_ms - from_ms) as f64 / 1_000.0
}
