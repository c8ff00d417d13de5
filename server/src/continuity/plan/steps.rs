//! The steps of a plan: who does what, in which order, and how it is taken back. Pure.
//!
//! A step waits for those that it names, else for the one before it in the file. Invariant: waiting has an end, as no
//! step waits for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use super::place::Problems;
use super::text::{CheckText, MAX_WAIT, check_id, check_range, check_text, checks};
use super::{FleetProblem, Kind, Step, Undo, Work};

/// Steps of one plan.
const MAX_STEPS: usize = 50;
/// How often an action may be tried again.
const MAX_RETRIES: u32 = 5;
/// Bounds of the time of one action.
const STEP_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3_600));
/// Bounds of the time in which a person confirms.
const CONFIRM_TIMEOUT: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8 * 3_600));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StepText {
    id: String,
    pub(super) name: String,
    host: Option<String>,
    action: Option<String>,
    pub(super) confirm: Option<String>,
    #[serde(with = "humantime_serde")]
    timeout: Duration,
    #[serde(default)]
    retries: u32,
    after: Option<Vec<String>>,
    #[serde(default)]
    undo: bool,
    pub(super) no_undo: Option<String>,
    #[serde(default, with = "humantime_serde")]
    pause_after: Duration,
    #[serde(default, with = "humantime_serde")]
    recovers_within: Option<Duration>,
    #[serde(default)]
    pub(super) check: Vec<CheckText>,
}

/// The steps, and the order in which they are carried out.
pub(super) fn steps(
    raw: Vec<StepText>,
    kind: Kind,
    problems: &mut Problems<'_>,
) -> (Vec<Step>, Vec<Vec<usize>>) {
    if raw.is_empty() {
        problems.add("step", "at least one [[step]] is needed");
    }
    if raw.len() > MAX_STEPS {
        problems.add("step", format!("more than {MAX_STEPS} steps"));
    }
    let waves = waves(&raw, problems);
    let mut ids = BTreeSet::new();
    let mut found = Vec::new();
    for (index, one) in raw.into_iter().enumerate() {
        let at = format!("step[{index}]");
        check_id(problems, &format!("{at}.id"), &one.id);
        if !ids.insert(one.id.clone()) {
            problems.add(&format!("{at}.id"), format!("{:?} is the id of an earlier step as well", one.id));
        }
        check_text(problems, &format!("{at}.name"), &one.name);
        if one.retries > MAX_RETRIES {
            problems.add(&format!("{at}.retries"), format!("more than {MAX_RETRIES}"));
        }
        check_range(problems, &format!("{at}.pause_after"), one.pause_after, (Duration::ZERO, MAX_WAIT));
        if let Some(within) = one.recovers_within {
            let bounds = (Duration::from_millis(1), MAX_WAIT);
            check_range(problems, &format!("{at}.recovers_within"), within, bounds);
        }
        let (work, undo) = work(&at, &one, kind, problems);
        let checks = checks(&format!("{at}.check"), one.check, problems);
        found.push(Step {
            id: one.id,
            name: one.name,
            work,
            timeout: one.timeout,
            retries: one.retries,
            undo,
            pause_after: one.pause_after,
            recovers_within: one.recovers_within,
            checks,
        });
    }
    (found, waves)
}

/// Who does what, and how it is taken back.
fn work(at: &str, one: &StepText, kind: Kind, problems: &mut Problems<'_>) -> (Work, Undo) {
    let nothing = || Undo::Nothing(String::new());
    match (&one.action, &one.confirm) {
        (Some(action), None) => {
            if kind == Kind::Tabletop {
                problems.add(&format!("{at}.action"), "a tabletop exercise touches nothing: state confirm");
            }
            check_text(problems, &format!("{at}.action"), action);
            check_range(problems, &format!("{at}.timeout"), one.timeout, STEP_TIMEOUT);
            match &one.host {
                Some(host) => check_text(problems, &format!("{at}.host"), host),
                None => {
                    let problem = FleetProblem::HostNotNamed { action: action.clone() };
                    problems.warn(&format!("{at}.host"), problem);
                }
            }
            let undo = undo(at, one.undo, one.no_undo.clone(), problems);
            (Work::Order { host: one.host.clone(), action: action.clone() }, undo)
        }
        (None, Some(question)) => {
            check_text(problems, &format!("{at}.confirm"), question);
            check_range(problems, &format!("{at}.timeout"), one.timeout, CONFIRM_TIMEOUT);
            let given = [
                ("host", one.host.is_some()),
                ("undo", one.undo),
                ("no_undo", one.no_undo.is_some()),
                ("retries", one.retries > 0),
            ];
            for (field, _) in given.into_iter().filter(|(_, given)| *given) {
                problems.add(&format!("{at}.{field}"), "stands beside action alone, not beside confirm");
            }
            (Work::Person { question: question.clone() }, nothing())
        }
        // What was taken out because it is wrong is not missing.
        _ if problems.passes_over_any(&["action", "confirm"]) => {
            (Work::Person { question: String::new() }, nothing())
        }
        _ => {
            problems.add(at, "state exactly one of action (of an agent) and confirm (by a person)");
            (Work::Person { question: String::new() }, nothing())
        }
    }
}

fn undo(at: &str, undo: bool, reason: Option<String>, problems: &mut Problems<'_>) -> Undo {
    match (undo, reason) {
        (true, None) => Undo::ByAgent,
        (true, Some(_)) => {
            problems.add(&format!("{at}.no_undo"), "contradicts undo = true");
            Undo::ByAgent
        }
        (false, Some(reason)) => {
            check_text(problems, &format!("{at}.no_undo"), &reason);
            Undo::Nothing(reason)
        }
        (false, None) => {
            problems.add(
                &format!("{at}.undo"),
                "missing: state undo = true (the agent's file defines it), or no_undo = \"why nothing is to be undone\"",
            );
            Undo::ByAgent
        }
    }
}

/// Steps that can be carried out at the same time, list by list.
fn waves(raw: &[StepText], problems: &mut Problems<'_>) -> Vec<Vec<usize>> {
    let by_id: BTreeMap<&str, usize> =
        raw.iter().enumerate().rev().map(|(i, step)| (step.id.as_str(), i)).collect();
    let mut waits: Vec<Vec<usize>> = Vec::new();
    for (index, step) in raw.iter().enumerate() {
        let Some(after) = &step.after else {
            waits.push(index.checked_sub(1).into_iter().collect());
            continue;
        };
        let mut found = Vec::new();
        for (place, id) in after.iter().enumerate() {
            match by_id.get(id.as_str()) {
                Some(other) => found.push(*other),
                None => problems
                    .add(&format!("step[{index}].after[{place}]"), format!("{id:?} is no step of this plan")),
            }
        }
        waits.push(found);
    }
    let mut waves: Vec<Vec<usize>> = Vec::new();
    let mut done = BTreeSet::new();
    while done.len() < raw.len() {
        let ready =
            |index: &usize| !done.contains(index) && waits[*index].iter().all(|other| done.contains(other));
        let wave: Vec<usize> = (0..raw.len()).filter(ready).collect();
        if wave.is_empty() {
            cycle(raw, &waits, &done, problems);
            break;
        }
        done.extend(wave.iter().copied());
        waves.push(wave);
    }
    waves
}

/// Names one round in which steps wait for each other.
fn cycle(raw: &[StepText], waits: &[Vec<usize>], done: &BTreeSet<usize>, problems: &mut Problems<'_>) {
    let Some(first) = (0..raw.len()).find(|index| !done.contains(index)) else { return };
    let (mut way, mut at) = (vec![first], first);
    // Each step that is left waits for another one that is left, so that this comes back to a step it knows.
    while let Some(next) = waits[at].iter().copied().find(|other| !done.contains(other)) {
        if let Some(begin) = way.iter().position(|known| *known == next) {
            let names: Vec<&str> =
                way[begin..].iter().chain([&next]).map(|index| raw[*index].id.as_str()).collect();
            let place =
                way[begin..].iter().copied().find(|index| raw[*index].after.is_some()).unwrap_or(next);
            problems.add(
                &format!("step[{place}].after"),
                format!("these steps wait for each other: {}", names.join(" -> ")),
            );
            return;
        }
        way.push(next);
        at = next;
    }
}
