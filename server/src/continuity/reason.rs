//! Why something is not as it should be: typed, so that it can be said in both languages. Pure.

use serde::{Deserialize, Serialize};

use super::plan::{FleetProblem, Plan};

/// How an undo failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UndoFailure {
    /// The agent did not answer in time.
    NoAnswer,
    /// The agent refused the order.
    Refused,
    /// The command failed.
    Failed,
}

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
        /// The same, typed; drills of earlier versions have only the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        problem: Option<FleetProblem>,
    },
    /// The agent reported a failure.
    ActionFailed {
        /// Name of the step.
        step: String,
        /// What the agent said.
        message: String,
    },
    /// The agent refused the order.
    ActionRefused {
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
    /// What was not measured leaves it open whether the target was met.
    RtoUnproven {
        /// Name of the probe.
        probe: String,
        /// Target, milliseconds.
        target_ms: i64,
    },
    /// The probe was not asked all the time, so that its figures are lower bounds.
    PartlyUnmeasured {
        /// Name of the probe.
        probe: String,
        /// Time without questions, milliseconds.
        unmeasured_ms: i64,
    },
    /// The probe asked nothing at all.
    NothingMeasured {
        /// Name of the probe.
        probe: String,
    },
    /// The service did not come back before the rollback.
    StillDown {
        /// Name of the probe.
        probe: String,
    },
    /// The rollback disturbed the service for longer than the target.
    RollbackOutage {
        /// Name of the probe.
        probe: String,
        /// From its beginning to its end, milliseconds.
        rto_ms: i64,
        /// Target, milliseconds.
        target_ms: i64,
    },
    /// What was not measured leaves it open whether the rollback disturbed the service for longer than the target.
    RollbackUnproven {
        /// Name of the probe.
        probe: String,
        /// Target, milliseconds.
        target_ms: i64,
    },
    /// The service did not answer at the end of the drill.
    StillDownAfter {
        /// Name of the probe.
        probe: String,
    },
    /// The undo of a step failed.
    UndoFailed {
        /// Name of the step.
        step: String,
        /// Host.
        host: String,
        /// What the agent said; of drills of earlier versions, what the server said.
        message: String,
        /// How; drills of earlier versions have only the words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<UndoFailure>,
    },
    /// Rows could not be written before the first step.
    RowsNotWritten {
        /// Name of the marker.
        marker: String,
    },
    /// Rows could not be counted.
    RowsUncounted {
        /// Name of the marker.
        marker: String,
        /// What the path said.
        why: String,
    },
    /// More was lost than the target allows.
    RpoExceeded {
        /// Name of the marker.
        marker: String,
        /// Rows.
        lost: usize,
        /// Measured, milliseconds.
        rpo_ms: i64,
        /// Target, milliseconds.
        target_ms: i64,
    },
    /// The way back lost rows.
    RowsLostAfter {
        /// Name of the marker.
        marker: String,
        /// Rows.
        lost: usize,
    },
    /// The restore took longer than the target.
    RestoreTooSlow {
        /// Measured, milliseconds.
        took_ms: i64,
        /// Target, milliseconds.
        target_ms: i64,
    },
    /// Nobody confirmed a step in time.
    NotConfirmed {
        /// Name of the step.
        step: String,
        /// Time that was allowed, milliseconds.
        within_ms: i64,
    },
    /// A person said that a step is not as it should be.
    Denied {
        /// Name of the step.
        step: String,
        /// Who.
        who: String,
        /// What was noted.
        note: String,
    },
    /// A stop condition did not hold.
    StopCondition {
        /// Its name.
        check: String,
        /// What was found.
        found: String,
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
    /// The date lies in a blackout around a known event.
    InEvent {
        /// Name of the blackout.
        blackout: String,
        /// Name of the event.
        event: String,
    },
    /// Incidents of high priority are open.
    IncidentsOpen {
        /// Name of the blackout.
        blackout: String,
        /// How many.
        count: u64,
    },
    /// Too few have approved.
    NotApproved {
        /// How many have.
        given: usize,
        /// How many must.
        wanted: usize,
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
            Self::NotPossible { field, why, .. } => {
                ("continuity.reason.not_possible", vec![("field", own(field)), ("why", own(why))])
            }
            Self::ActionFailed { step, message } => {
                ("continuity.reason.action_failed", vec![("step", own(step)), ("message", own(message))])
            }
            Self::ActionRefused { step, message } => {
                ("continuity.reason.action_refused", vec![("step", own(step)), ("words", own(message))])
            }
            Self::NoAnswer { step, host } => {
                ("continuity.reason.no_answer", vec![("step", own(step)), ("host", own(host))])
            }
            Self::NotRecovered { probe, within_ms } => (
                "continuity.reason.not_recovered",
                vec![("probe", own(probe)), ("within", within_ms.to_string())],
            ),
            Self::RtoExceeded { probe, rto_ms, target_ms } => (
                "continuity.reason.rto_exceeded",
                vec![("probe", own(probe)), ("rto", rto_ms.to_string()), ("target", target_ms.to_string())],
            ),
            Self::RtoUnproven { probe, target_ms } => (
                "continuity.reason.rto_unproven",
                vec![("probe", own(probe)), ("target", target_ms.to_string())],
            ),
            Self::PartlyUnmeasured { probe, unmeasured_ms } => (
                "continuity.reason.partly_unmeasured",
                vec![("probe", own(probe)), ("unmeasured", unmeasured_ms.to_string())],
            ),
            Self::NothingMeasured { probe } => {
                ("continuity.reason.nothing_measured", vec![("probe", own(probe))])
            }
            Self::StillDown { probe } => ("continuity.reason.still_down", vec![("probe", own(probe))]),
            Self::RollbackOutage { probe, rto_ms, target_ms } => (
                "continuity.reason.rollback_outage",
                vec![("probe", own(probe)), ("rto", rto_ms.to_string()), ("target", target_ms.to_string())],
            ),
            Self::RollbackUnproven { probe, target_ms } => (
                "continuity.reason.rollback_unproven",
                vec![("probe", own(probe)), ("target", target_ms.to_string())],
            ),
            Self::StillDownAfter { probe } => {
                ("continuity.reason.still_down_after", vec![("probe", own(probe))])
            }
            Self::UndoFailed { step, host, message, cause } => {
                let values = vec![("step", own(step)), ("host", own(host))];
                let (key, said) = match cause {
                    None => ("continuity.reason.undo_failed_so", Some(("words", own(message)))),
                    Some(UndoFailure::NoAnswer) => ("continuity.reason.undo_unanswered", None),
                    Some(UndoFailure::Refused) => {
                        ("continuity.reason.undo_refused", Some(("words", own(message))))
                    }
                    Some(UndoFailure::Failed) => {
                        ("continuity.reason.undo_failed", Some(("message", own(message))))
                    }
                };
                (key, values.into_iter().chain(said).collect())
            }
            Self::RowsNotWritten { marker } => {
                ("continuity.reason.rows_not_written", vec![("marker", own(marker))])
            }
            Self::RowsUncounted { marker, why } => {
                ("continuity.reason.rows_uncounted", vec![("marker", own(marker)), ("words", own(why))])
            }
            Self::RpoExceeded { marker, lost, rpo_ms, target_ms } => (
                "continuity.reason.rpo_exceeded",
                vec![
                    ("marker", own(marker)),
                    ("lost", lost.to_string()),
                    ("rpo", rpo_ms.to_string()),
                    ("target", target_ms.to_string()),
                ],
            ),
            Self::RowsLostAfter { marker, lost } => (
                "continuity.reason.rows_lost_after",
                vec![("marker", own(marker)), ("lost", lost.to_string())],
            ),
            Self::RestoreTooSlow { took_ms, target_ms } => (
                "continuity.reason.restore_too_slow",
                vec![("took", took_ms.to_string()), ("target", target_ms.to_string())],
            ),
            Self::NotConfirmed { step, within_ms } => (
                "continuity.reason.not_confirmed",
                vec![("step", own(step)), ("within", within_ms.to_string())],
            ),
            Self::Denied { step, who, note } => (
                "continuity.reason.denied",
                vec![("step", own(step)), ("who", own(who)), ("note", own(note))],
            ),
            Self::StopCondition { check, found } => {
                ("continuity.reason.stop_condition", vec![("check", own(check)), ("found", own(found))])
            }
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
            Self::InEvent { blackout, event } => {
                ("continuity.reason.in_event", vec![("blackout", own(blackout)), ("event", own(event))])
            }
            Self::IncidentsOpen { blackout, count } => (
                "continuity.reason.incidents_open",
                vec![("blackout", own(blackout)), ("count", count.to_string())],
            ),
            Self::NotApproved { given, wanted } => (
                "continuity.reason.not_approved",
                vec![("given", given.to_string()), ("wanted", wanted.to_string())],
            ),
        }
    }

    /// The sentence in a language, by its code.
    #[must_use]
    pub fn say(&self, language: &str) -> String {
        self.say_with(language, &Clone::clone)
    }

    fn fleet_problem(&self) -> Option<&FleetProblem> {
        match self {
            Self::NotPossible { problem, .. } => problem.as_ref(),
            _ => None,
        }
    }

    /// As [`Reason::say`], with the names that the plan gave said by `named`.
    fn say_with(&self, language: &str, named: &dyn Fn(&String) -> String) -> String {
        let (key, values) = self.text();
        let text = rust_i18n::t!(key, locale = language).into_owned();
        values.iter().fold(text, |text, (name, value)| {
            let value = match *name {
                "check" | "probe" | "marker" | "step" | "blackout" => named(value),
                "message" => agent_words(language, value),
                "found" => found_words(language, value),
                "words" => unmarked(value),
                // Of earlier versions there are only the English words.
                "why" => self
                    .fleet_problem()
                    .map_or_else(|| format!("“{}”", unmarked(value)), |problem| problem.say(language)),
                _ => value.clone(),
            };
            text.replace(&format!("%{{{name}}}"), &value)
        })
    }
}

/// What an agent said of its command, in words where they are known, else introduced and quoted: `exit status: 0` is what the system calls it.
#[must_use]
pub fn agent_words(language: &str, message: &str) -> String {
    let words = |key: &str| rust_i18n::t!(key, locale = language).into_owned();
    let killed = message.strip_prefix("killed after ").and_then(|rest| rest.strip_suffix(" s"));
    match (message.strip_prefix("exit status: "), killed) {
        (Some("0"), _) => words("continuity.agent.done"),
        (Some(status), _) => words("continuity.agent.status").replace("%{status}", status),
        (None, Some(seconds)) => words("continuity.agent.killed").replace("%{seconds}", seconds),
        _ if message.is_empty() => String::new(),
        _ => words("continuity.agent.said").replace("%{message}", &unmarked(message)),
    }
}

/// Words of a machine without the quotation marks in which the catalogue puts them, so that a quotation ends at its end.
fn unmarked(words: &str) -> String {
    words.replace(['“', '”'], "\"")
}

/// What a check found, in words where they are known.
#[must_use]
pub fn found_words(language: &str, found: &str) -> String {
    let key = match found {
        "HTTP body ≠ body_contains" => "continuity.found.body",
        "HTTP timeout" => "continuity.found.timeout",
        "HTTP connect" => "continuity.found.connect",
        "HTTP broken" => "continuity.found.broken",
        _ => {
            return match found.strip_prefix("PromQL: ") {
                Some(message) => {
                    let words = rust_i18n::t!("continuity.found.query", locale = language);
                    words.replace("%{message}", &unmarked(message))
                }
                None => found.to_owned(),
            };
        }
    };
    rust_i18n::t!(key, locale = language).into_owned()
}

/// Sentences of several reasons, with the names of the plan in that language.
#[must_use]
pub fn say_all(reasons: &[Reason], plan: Option<&Plan>, language: &str) -> Vec<String> {
    let named = |name: &String| plan.map_or_else(|| name.clone(), |plan| plan.say(language, name).to_owned());
    reasons.iter().map(|reason| reason.say_with(language, &named)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_server_are_not_put_into_the_mouth_of_the_agent() {
        let undo = |message: &str, cause| {
            let (step, host) = ("S".to_owned(), "vm".to_owned());
            Reason::UndoFailed { step, host, message: message.to_owned(), cause }.say("en")
        };
        let failed = "undo of step S on vm FAILED: ";
        for (said, wanted) in [
            (undo("", Some(UndoFailure::NoAnswer)), "the agent did not answer in time"),
            (
                undo("runs none for an hour", Some(UndoFailure::Refused)),
                "the agent refused it: “runs none for an hour”",
            ),
            (undo("exit status: 3", Some(UndoFailure::Failed)), "ended with status 3"),
            // As earlier versions wrote it.
            (undo("the agent of vm did not answer step S", None), "“the agent of vm did not answer step S”"),
        ] {
            assert_eq!(said, format!("{failed}{wanted}"));
        }
    }

    #[test]
    fn what_agents_and_checks_say_is_worded_where_it_is_known() {
        for (said, indonesian, english) in [
            ("exit status: 0", "selesai tanpa kesalahan", "done without an error"),
            ("exit status: 3", "berakhir dengan kode 3", "ended with status 3"),
            ("killed after 10 s", "dihentikan paksa setelah 10 detik", "killed after 10 s"),
            ("no such action", "pesan agen: “no such action”", "the agent said “no such action”"),
        ] {
            assert_eq!(
                (agent_words("id", said), agent_words("en", said)),
                (indonesian.to_owned(), english.to_owned())
            );
        }
        let earlier = Reason::NotPossible {
            field: "steps[0]".to_owned(),
            why: "no host “vm”".to_owned(),
            problem: None,
        };
        assert!(earlier.say("id").contains("“no host \"vm\"”"), "{}", earlier.say("id"));
        let step = "S".to_owned();
        let refused = Reason::ActionRefused { step, message: "no “x” here".to_owned() }.say("id");
        assert!(refused.ends_with("“no \"x\" here”"), "{refused}");
        assert_eq!(found_words("id", "HTTP timeout"), "tidak menjawab dalam batas waktu");
        assert_eq!(found_words("id", "PromQL: timed out"), "kueri gagal: “timed out”");
        assert_eq!(found_words("id", "HTTP 503 (≠ 200)"), "HTTP 503 (≠ 200)");
    }
}
