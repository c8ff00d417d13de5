//! A proposal against a shortage: what, how much, by which date, on what evidence; and what may happen to it. Pure.
//!
//! A proposal follows from a forecast alone, never from a single moment above the threshold: who buys hardware needs
//! more than a peak. The planner decides; what was decided is left alone until its date has come.

use serde::{Deserialize, Serialize};

use super::evaluation::{Crossing, Evaluation, Made};
use super::resource::ResourceKey;
use crate::time::{DAY_MS, Millis};

/// How far ahead shortages are looked for, and for how long what is added has to last: procurement takes weeks, and
/// forecasts beyond a quarter are guesses.
pub const PLAN_AHEAD_DAYS: u16 = 90;
/// A date further off than this takes an open proposal back; the distance to [`PLAN_AHEAD_DAYS`] keeps it from flapping.
const WITHDRAW_BEYOND_DAYS: i64 = 120;
/// What is proposed comes in steps of this, percent of today's capacity.
const STEP_PERCENT: f64 = 5.0;
/// What is less than this share of a step above one is not worth the next.
const ROUNDING: f64 = 1e-6;
/// Most that is proposed, percent of today's capacity: beyond it a planner has to think anew.
const MAX_PERCENT: f64 = 400.0;
/// An open proposal is revised at most once in this time.
const REVISE_AFTER_MS: Millis = DAY_MS;
/// Changes of date that are worth a revision.
const REVISE_DATE_MS: Millis = 3 * DAY_MS;
/// For how long a rejected shortage is not proposed again, and for how long after its date one that was accepted.
const REST_MS: Millis = 30 * DAY_MS;

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Waits for a decision.
    Open,
    /// The planner accepts it as it is.
    Accepted,
    /// The planner accepts it with other figures.
    Changed,
    /// The planner rejects it.
    Rejected,
    /// It was carried out.
    Done,
    /// Siaga took it back, because the shortage is no longer foretold.
    Withdrawn,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Open, Self::Accepted, Self::Changed, Self::Rejected, Self::Done, Self::Withdrawn];

    /// Code in records, in the API and in texts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Changed => "changed",
            Self::Rejected => "rejected",
            Self::Done => "done",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The status of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// Class of its badge.
    #[must_use]
    pub const fn badge(self) -> &'static str {
        match self {
            Self::Open => "warn",
            Self::Accepted | Self::Changed => "info",
            Self::Done => "ok",
            Self::Rejected | Self::Withdrawn => "unknown",
        }
    }

    /// Whether the planner may bring it from here to `next`. What was done or taken back is history.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Open => matches!(next, Self::Accepted | Self::Changed | Self::Rejected),
            Self::Accepted | Self::Changed => matches!(next, Self::Changed | Self::Rejected | Self::Done),
            Self::Rejected => matches!(next, Self::Accepted | Self::Changed),
            Self::Done | Self::Withdrawn => false,
        }
    }
}

/// What a proposal stands on: figures of the forecast on the day it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// When the forecast was made.
    pub made_at_ms: Millis,
    /// Hours of data.
    pub known_hours: u32,
    /// Use then, percent.
    pub current_percent: Option<f64>,
    /// Threshold, percent.
    pub threshold_percent: f64,
    /// Growth, percent of the capacity a day.
    pub trend_percent_per_day: f64,
    /// Use that has to be met within [`PLAN_AHEAD_DAYS`], percent of today's capacity.
    pub need_percent: f64,
    /// Dates of the crossing; none where it is passed already.
    pub earliest_ms: Option<Millis>,
    /// Most likely.
    pub likely_ms: Option<Millis>,
    /// Late end.
    pub latest_ms: Option<Millis>,
    /// Model.
    pub model: String,
    /// Share of the back-test inside the 80 % interval.
    pub coverage: Option<f64>,
}

/// What Siaga proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// Which component.
    pub key: ResourceKey,
    /// What to add, percent of today's capacity.
    pub add_percent: f64,
    /// What 100 percent is, in the unit of the component.
    pub full: f64,
    /// By when.
    pub due_ms: Millis,
    /// On what evidence.
    pub evidence: Evidence,
}

/// A proposal as kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// Number.
    pub id: i64,
    /// Where it stands.
    pub status: Status,
    /// What to do in the planner's words; empty for what Siaga proposes: to add capacity.
    pub what: String,
    /// The figures in force.
    pub draft: Draft,
    /// When it was made.
    pub created_at_ms: Millis,
    /// When anything about it changed last.
    pub changed_at_ms: Millis,
}

/// One thing that happened to a proposal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Happened {
    /// When.
    pub at_ms: Millis,
    /// Who.
    pub actor: String,
    /// `proposed`, `revised`, or the status that it was brought to.
    pub action: String,
    /// What, as of then.
    pub what: String,
    /// How much, as of then.
    pub add_percent: f64,
    /// By when, as of then.
    pub due_ms: Millis,
    /// Why.
    pub reason: String,
}

/// The shortage that an evaluation foretells, if it does.
#[must_use]
pub(super) fn shortage(evaluation: &Evaluation, now_ms: Millis) -> Option<Draft> {
    let made = evaluation.outcome.as_ref().ok()?;
    let ahead_ms = now_ms + Millis::from(PLAN_AHEAD_DAYS) * DAY_MS;
    let stays = || made.horizons.iter().any(|p| p.days >= 7 && p.p50 >= evaluation.threshold_percent);
    let (dates, due_ms) = match made.crossing {
        // A peak that is over in a week is no shortage.
        crossing if is_peak(crossing, evaluation) && !stays() => return None,
        Crossing::Past => ([None; 3], now_ms),
        Crossing::Within { earliest_ms, likely_ms: Some(likely), latest_ms } if likely <= ahead_ms => {
            ([earliest_ms, Some(likely), latest_ms], earliest_ms.unwrap_or(likely).max(now_ms))
        }
        Crossing::Within { .. } | Crossing::Never => return None,
    };
    let need_percent = need(evaluation, made);
    let wanted = (need_percent / evaluation.threshold_percent - 1.0) * 100.0;
    let add_percent =
        ((wanted / STEP_PERCENT - ROUNDING).ceil() * STEP_PERCENT).clamp(STEP_PERCENT, MAX_PERCENT);
    let [earliest_ms, likely_ms, latest_ms] = dates;
    Some(Draft {
        key: evaluation.key.clone(),
        add_percent,
        full: evaluation.full,
        due_ms,
        evidence: Evidence {
            made_at_ms: evaluation.made_at_ms,
            known_hours: evaluation.known_hours,
            current_percent: evaluation.current_percent,
            threshold_percent: evaluation.threshold_percent,
            trend_percent_per_day: made.trend_percent_per_day,
            need_percent,
            earliest_ms,
            likely_ms,
            latest_ms,
            model: made.model.clone(),
            coverage: made.coverage,
        },
    })
}

/// Whether what is passed, or was in the last hour before the evaluation, may be but a peak.
fn is_peak(crossing: Crossing, evaluation: &Evaluation) -> bool {
    match crossing {
        Crossing::Past => true,
        Crossing::Within { likely_ms, .. } => likely_ms.is_some_and(|likely| likely <= evaluation.made_at_ms),
        Crossing::Never => false,
    }
}

/// The largest use that has to be met: the upper path, or the trend where the path ends at a full disk.
fn need(evaluation: &Evaluation, made: &Made) -> f64 {
    let within = made.horizons.iter().filter(|point| point.days <= PLAN_AHEAD_DAYS);
    let path = within.map(|point| point.p90).fold(0.0, f64::max);
    let growth = if made.significant { made.trend_percent_per_day.max(0.0) } else { 0.0 };
    let piles_up = evaluation.key.kind.series_kind() == siaga_forecast::SeriesKind::Stock;
    let grown =
        evaluation.current_percent.filter(|_| piles_up).unwrap_or(0.0) + growth * f64::from(PLAN_AHEAD_DAYS);
    path.max(grown)
}

/// What has to happen with a component's proposals after a pass.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// Nothing.
    Keep,
    /// A new proposal is made.
    Propose(Box<Draft>),
    /// The open one gets new figures.
    Revise(Box<Draft>),
    /// The open one is taken back.
    Withdraw,
}

/// The step that follows from a component's newest evaluation and its newest proposal.
#[must_use]
pub(super) fn step(evaluation: &Evaluation, newest: Option<&Proposal>, now_ms: Millis) -> Step {
    let shortage = shortage(evaluation, now_ms).map(Box::new);
    let Some(known) = newest else { return shortage.map_or(Step::Keep, Step::Propose) };
    match (known.status, shortage) {
        (Status::Open, None) if is_over(evaluation, now_ms) => Step::Withdraw,
        (Status::Open, Some(draft)) if is_worth_revising(known, &draft, now_ms) => Step::Revise(draft),
        (Status::Open, _) | (_, None) => Step::Keep,
        (Status::Accepted | Status::Changed, Some(draft)) => {
            let rests = now_ms < known.draft.due_ms.max(known.changed_at_ms) + REST_MS;
            if rests { Step::Keep } else { Step::Propose(draft) }
        }
        (Status::Rejected, Some(draft)) => {
            if now_ms < known.changed_at_ms + REST_MS {
                Step::Keep
            } else {
                Step::Propose(draft)
            }
        }
        (Status::Done, Some(draft)) => {
            // Until what was carried out is seen, or a month has passed, the old figures say nothing new.
            let seen = evaluation.full > known.draft.full * 1.01;
            let waited = now_ms >= known.changed_at_ms + REST_MS;
            if seen || waited { Step::Propose(draft) } else { Step::Keep }
        }
        (Status::Withdrawn, Some(draft)) => Step::Propose(draft),
    }
}

/// Whether no shortage is in sight, by a margin. Without a forecast nothing is known, so nothing is over.
fn is_over(evaluation: &Evaluation, now_ms: Millis) -> bool {
    match evaluation.outcome.as_ref().map(|made| made.crossing) {
        Err(_) => false,
        Ok(Crossing::Never) => true,
        Ok(crossing) if is_peak(crossing, evaluation) => true,
        Ok(Crossing::Past) => true,
        Ok(Crossing::Within { likely_ms, .. }) => {
            likely_ms.is_none_or(|likely| likely > now_ms + WITHDRAW_BEYOND_DAYS * DAY_MS)
        }
    }
}

fn is_worth_revising(known: &Proposal, draft: &Draft, now_ms: Millis) -> bool {
    let moved = (known.draft.due_ms - draft.due_ms).abs() >= REVISE_DATE_MS;
    let grown = (known.draft.add_percent - draft.add_percent).abs() >= 2.0 * STEP_PERCENT;
    // What is to be done today stays due today; its date moves with the clock.
    let overdue = draft.due_ms <= now_ms && known.draft.due_ms <= now_ms;
    now_ms - known.changed_at_ms >= REVISE_AFTER_MS && ((moved && !overdue) || grown)
}

#[cfg(test)]
#[path = "proposal_tests.rs"]
mod tests;
