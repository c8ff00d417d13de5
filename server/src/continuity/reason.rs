//! Why something is not as it should be: typed, so that it can be said in both languages. Pure.

use serde::{Deserialize, Serialize};

/// A reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Reason {
    /// A check does not hold.
    CheckFailed {
        /// Name of the check.
        check: String,
        /// What was found.
        found: String,
    },
    /// A probe already failed before anything was done.
    ProbeUnhealthy {
        /// Name of the probe.
        probe: String,
    },
    /// The fleet cannot do what the plan asks.
    NotPossible {
        /// Field of the plan.
        field: String,
        /// Why, in English as `check` says it.
        why: String,
    },
    /// The agent reported a failure.
    ActionFailed {
        /// Name of the step.
        step: String,
        /// What the agent said.
        message: String,
    },
    /// The agent did not answer in time.
    NoAnswer {
        /// Name of the step.
        step: String,
        /// Host.
        host: String,
    },
    /// The order could not be given.
    NotSent {
        /// Name of the step.
        step: String,
    },
    /// A probe was not good again in time.
    NotRecovered {
        /// Name of the probe.
        probe: String,
        /// Time that was allowed, milliseconds.
        within_ms: i64,
    },
    /// The recovery time is over the target.
    RtoExceeded {
        /// Name of the probe.
        probe: String,
        /// Measured, milliseconds.
        rto_ms: i64,
        /// Target, milliseconds.
        target_ms: i64,
    },
    /// The service did not come back before the rollback.
    StillDown {
        /// Name of the probe.
        probe: String,
    },
    /// The undo of a step failed.
    UndoFailed {
        /// Name of the step.
        step: String,
        /// Host.
        host: String,
        /// Why.
        message: String,
    },
    /// A person stopped the drill.
    StoppedBy {
        /// Who.
        who: String,
    },
    /// The server ended in the middle of the drill.
    ServerRestarted,
    /// The plan that was followed cannot be read by this version.
    PlanUnreadable,
    /// The journal does not fit its own hashes.
    JournalAltered,
    /// The date passed while the server was not running, or another drill was.
    DateMissed {
        /// Further dates before it that were missed as well.
        others: usize,
    },
    /// The date lies in a blackout.
    InBlackout {
        /// Name of the blackout.
        blackout: String,
    },
}

impl Reason {
    /// Key of the text, and the values to put into it.
    #[must_use]
    pub fn text(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let own = Clone::clone;
        match self {
            Self::CheckFailed { check, found } => {
                ("continuity.reason.check_failed", vec![("check", own(check)), ("found", own(found))])
            }
            Self::ProbeUnhealthy { probe } => {
                ("continuity.reason.probe_unhealthy", vec![("probe", own(probe))])
            }
            Self::NotPossible { field, why } => {
                ("continuity.reason.not_possible", vec![("field", own(field)), ("why", own(why))])
            }
            Self::ActionFailed { step, message } => {
                ("continuity.reason.action_failed", vec![("step", own(step)), ("message", own(message))])
            }
            Self::NoAnswer { step, host } => {
                ("continuity.reason.no_answer", vec![("step", own(step)), ("host", own(host))])
            }
            Self::NotSent { step } => ("continuity.reason.not_sent", vec![("step", own(step))]),
            Self::NotRecovered { probe, within_ms } => (
                "continuity.reason.not_recovered",
                vec![("probe", own(probe)), ("within", within_ms.to_string())],
            ),
            Self::RtoExceeded { probe, rto_ms, target_ms } => (
                "continuity.reason.rto_exceeded",
                vec![("probe", own(probe)), ("rto", rto_ms.to_string()), ("target", target_ms.to_string())],
            ),
            Self::StillDown { probe } => ("continuity.reason.still_down", vec![("probe", own(probe))]),
            Self::UndoFailed { step, host, message } => (
                "continuity.reason.undo_failed",
                vec![("step", own(step)), ("host", own(host)), ("message", own(message))],
            ),
            Self::StoppedBy { who } => ("continuity.reason.stopped_by", vec![("who", own(who))]),
            Self::ServerRestarted => ("continuity.reason.server_restarted", vec![]),
            Self::PlanUnreadable => ("continuity.reason.plan_unreadable", vec![]),
            Self::JournalAltered => ("continuity.reason.journal_altered", vec![]),
            Self::DateMissed { others } => {
                ("continuity.reason.date_missed", vec![("others", others.to_string())])
            }
            Self::InBlackout { blackout } => {
                ("continuity.reason.in_blackout", vec![("blackout", own(blackout))])
            }
        }
    }

    /// The sentence in a language, by its code.
    #[must_use]
    pub fn say(&self, language: &str) -> String {
        let (key, values) = self.text();
        let text = rust_i18n::t!(key, locale = language).into_owned();
        values.iter().fold(text, |text, (name, value)| text.replace(&format!("%{{{name}}}"), value))
    }
}

/// Sentences of several reasons.
#[must_use]
pub fn say_all(reasons: &[Reason], language: &str) -> Vec<String> {
    reasons.iter().map(|reason| reason.say(language)).collect()
}
