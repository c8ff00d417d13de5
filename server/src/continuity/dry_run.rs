//! A dry run: everything that a drill would do, and how everything stands now.
//!
//! Invariant: nothing is ordered and nothing is written; what is asked is asked by reading.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::approval_pages::standing_now;
use super::begin::{fleet, library};
use super::checks::{Finding, look};
use super::execute::{Pace, longest_from};
use super::hold::holds;
use super::http::problems_of;
use super::measure::Answer;
use super::plan::{Check, HostState, MarkerPath, Plan, Step, Undo};
use super::prober::{ask, client};
use super::reason::say_all;
use crate::app::App;
use crate::console::Page;
use crate::http::ApiError;
use crate::time::{Millis, millis, now_ms};

/// What a drill would do, and how everything stands now.
#[derive(Debug, Serialize, Deserialize)]
pub struct DryRun {
    /// Plan.
    pub plan: String,
    /// What stands against a drill now: the fleet, blackouts, incidents, approvals.
    pub against: Vec<String>,
    /// Checks that are made before, and again after.
    pub steady_state: Vec<Looked>,
    /// Stop conditions.
    pub stops: Vec<Looked>,
    /// Probes.
    pub probes: Vec<Looked>,
    /// Name and way of the marker rows. Nothing is written.
    pub marker: Option<(String, String)>,
    /// Steps in the order in which they are carried out; those with the same number at the same time.
    pub steps: Vec<DryStep>,
    /// Names of the steps that are undone, in that order.
    pub rollback: Vec<String>,
    /// Longest time until everything is undone, milliseconds.
    pub longest_ms: Millis,
}

/// Something that was asked now.
#[derive(Debug, Serialize, Deserialize)]
pub struct Looked {
    /// Name.
    pub name: String,
    /// Whether it holds.
    pub held: bool,
    /// What was found, without a language.
    pub found: String,
}

/// A step that would be carried out.
#[derive(Debug, Serialize, Deserialize)]
pub struct DryStep {
    /// Place in the order, from 1.
    pub order: usize,
    /// Identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Host that would get the order.
    pub host: Option<String>,
    /// Action of its own file.
    pub action: Option<String>,
    /// What that file says of it.
    pub description: Option<String>,
    /// What a person is asked.
    pub confirm: Option<String>,
    /// How often it would be tried again.
    pub retries: u32,
    /// Longest time of one attempt, milliseconds.
    pub timeout_ms: Millis,
    /// When the agent undoes by itself at the latest, milliseconds from the order.
    pub undo_after_ms: Option<Millis>,
    /// Why nothing is undone.
    pub no_undo: Option<String>,
}

/// Looks at everything.
///
/// # Errors
/// If there is no such plan, or the records cannot be read.
pub(super) async fn dry_run(app: &App, id: &str) -> Result<DryRun, ApiError> {
    let (library, hosts) = (library(app).await?, fleet(app).await?);
    let (plan, entry) = library.get(id).ok_or_else(|| ApiError::not_found(format!("plan {id}")))?;
    let client = client()?;
    let mut against: Vec<String> = problems_of(entry, &hosts).into_iter().map(|one| one.text).collect();
    against.extend(say_all(&holds(app, plan, now_ms()).await?, Some(plan), "en"));
    if let Some(standing) = standing_now(app, plan, entry, None).await?.filter(|standing| !standing.enough())
    {
        against.push(format!("{} of {} approvals are given", standing.holding.len(), standing.wanted));
    }
    if let Some(running) = app.running_drill.id() {
        against.push(format!("drill {running} is running"));
    }
    let stops: Vec<Check> = plan.stops.iter().map(|stop| stop.check.clone()).collect();
    let mut probes = Vec::new();
    for probe in &plan.probes {
        let answer = ask(&client, &probe.http).await;
        probes.push(Looked {
            name: probe.name.clone(),
            held: answer == Answer::Good,
            found: format!("{answer:?}"),
        });
    }
    let steps = steps(plan, &hosts);
    let undone = |index: &usize| plan.steps.get(*index).filter(|step| step.undo == Undo::ByAgent);
    let order: Vec<usize> = plan.waves.iter().flatten().copied().collect();
    Ok(DryRun {
        plan: plan.id.clone(),
        against,
        steady_state: looked(look(app, &client, &plan.steady_state).await),
        stops: looked(look(app, &client, &stops).await),
        probes,
        marker: plan.marker.as_ref().map(|marker| {
            let way = match &marker.path {
                MarkerPath::Http { write, .. } => write.to_string(),
                MarkerPath::Postgres { address, .. } => address.clone(),
            };
            (marker.name.clone(), way)
        }),
        rollback: order.iter().rev().filter_map(undone).map(|step| step.name.clone()).collect(),
        longest_ms: order.first().map_or(0, |first| millis(longest(plan, *first))),
        steps,
    })
}

fn looked(findings: Vec<Finding>) -> Vec<Looked> {
    findings.into_iter().map(|one| Looked { name: one.check, held: one.held, found: one.found }).collect()
}

fn longest(plan: &Plan, index: usize) -> Duration {
    longest_from(plan, Pace::NORMAL, index)
}

fn steps(plan: &Plan, hosts: &[HostState]) -> Vec<DryStep> {
    let mut found = Vec::new();
    for (order, wave) in (1..).zip(&plan.waves) {
        for index in wave {
            found.extend(plan.steps.get(*index).map(|step| dry_step(plan, *index, order, step, hosts)));
        }
    }
    found
}

fn dry_step(plan: &Plan, index: usize, order: usize, step: &Step, hosts: &[HostState]) -> DryStep {
    let action = step.order().map(|(_, action)| action);
    let offers = |host: &&HostState| {
        let named = step.order().and_then(|(name, _)| name).is_none_or(|name| name == host.instance);
        named && host.actions.iter().any(|offer| Some(offer.name.as_str()) == action)
    };
    let host = hosts.iter().find(offers);
    let offer = host.and_then(|host| host.actions.iter().find(|offer| Some(offer.name.as_str()) == action));
    let no_undo = match &step.undo {
        Undo::Nothing(why) if action.is_some() => Some(why.clone()),
        _ => None,
    };
    DryStep {
        order,
        id: step.id.clone(),
        name: step.name.clone(),
        host: host.map(|host| host.instance.clone()),
        action: action.map(ToOwned::to_owned),
        description: offer.map(|offer| offer.description.clone()).filter(|text| !text.is_empty()),
        confirm: step.question().cloned(),
        retries: step.retries,
        timeout_ms: millis(step.timeout),
        undo_after_ms: (step.undo == Undo::ByAgent).then(|| millis(longest(plan, index))),
        no_undo,
    }
}

/// How everything stands, for people: the page of a dry run.
pub(super) fn in_words(page: &Page, one: &Looked) -> String {
    let word = page.t(if one.held { "continuity.holds" } else { "continuity.holds_not" });
    format!("{word} – {}", super::reason::found_words(page.lang(), &one.found))
}
