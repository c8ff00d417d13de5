//! The journal of a drill: what happened, in order, each entry bearing the SHA-256 of the one before.
//!
//! Invariants: an entry is written before the act that it announces; the course of a drill is the fold of its journal,
//! so that a restarted server knows exactly where it was; a changed, removed or inserted entry is found by [`verify`].
//! The first entry names the journal before it and its hash, so that a whole drill cannot vanish unseen either.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use siaga_protocol::orders::Outcome;

use super::approval::ApprovalNote;
use super::machine::{Event, Verdict};
use super::marks::RowCount;
use super::measure::Measurement;
use super::reason::Reason;
use crate::records::drills::{self, JournalRow};
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, Result};
use crate::time::Millis;

/// Hash that stands before the first entry of a journal.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// When a check was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckTime {
    /// Before the first step.
    Before,
    /// After a step.
    Step,
    /// After the rollback.
    After,
}

/// An order that was given, with what is needed to wait for it again after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderNote {
    /// Identifier of the order.
    pub order_id: String,
    /// Identifier of the host.
    pub host_id: String,
    /// Its `instance` label.
    pub host: String,
    /// Action in the agent's own file.
    pub action: String,
    /// Until when an answer is awaited.
    pub answer_until_ms: Millis,
    /// When the agent undoes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_at_ms: Option<Millis>,
}

/// What the agent answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerNote {
    /// Outcome.
    pub outcome: Outcome,
    /// Reason or exit status.
    pub message: String,
    /// End of the command's output.
    pub output: String,
    /// Start on the agent's clock.
    pub agent_started_ms: Millis,
    /// End on the agent's clock.
    pub agent_ended_ms: Millis,
}

/// A drill that was begun by hand though something stood against it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Despite {
    /// What stood against it.
    pub holds: Vec<Reason>,
    /// Why it was begun.
    pub why: String,
}

/// One thing that happened. Steps are named by their index in the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Fact {
    /// The drill began.
    Opened {
        /// Plan.
        plan_id: String,
        /// SHA-256 of the plan's text.
        plan_sha256: String,
        /// Who started it.
        by: String,
        /// Drill before this one and the hash of its newest entry.
        previous: Option<(String, String)>,
        /// Who approved it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approved_by: Vec<ApprovalNote>,
        /// What stood against it, and why it was begun all the same.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        despite: Option<Despite>,
    },
    /// One check was made.
    Check {
        /// When.
        when: CheckTime,
        /// Name.
        check: String,
        /// Whether it holds.
        held: bool,
        /// What was found.
        found: String,
    },
    /// The steady state was looked for before the first step.
    CheckedBefore {
        /// Whether it holds.
        held: bool,
        /// Why not.
        reasons: Vec<Reason>,
    },
    /// A step is about to act.
    StepStarted {
        /// Step.
        step: usize,
        /// The order.
        order: OrderNote,
    },
    /// The agent answered a step's order.
    StepAnswered {
        /// Step.
        step: usize,
        /// The answer; `None` if there was none in time.
        answer: Option<AnswerNote>,
    },
    /// The action of a step failed, and is about to be tried again.
    StepRetried {
        /// Step.
        step: usize,
        /// The new order.
        order: OrderNote,
    },
    /// A step waits for a person.
    Asked {
        /// Step.
        step: usize,
        /// Until when.
        until_ms: Millis,
    },
    /// A person said of a step whether it is done.
    Confirmed {
        /// Step.
        step: usize,
        /// Who.
        who: String,
        /// Whether it is done, or as it should be.
        done: bool,
        /// What was noted.
        note: String,
    },
    /// Rows that were written through the service's own path were counted.
    RowsCounted {
        /// When.
        when: CheckTime,
        /// What was found.
        count: RowCount,
        /// Whether no more was lost than the target allows.
        met: bool,
        /// Why not.
        reasons: Vec<Reason>,
    },
    /// A step has ended.
    StepEnded {
        /// Step.
        step: usize,
        /// Whether it did what it should.
        good: bool,
        /// Why not.
        reasons: Vec<Reason>,
    },
    /// Probes were evaluated.
    Measured {
        /// Whether the targets were met.
        met: bool,
        /// One a probe.
        probes: Vec<Measurement>,
        /// Why not.
        reasons: Vec<Reason>,
    },
    /// The drill is to end.
    Stopped {
        /// Why.
        reason: Reason,
    },
    /// An undo is about to act.
    UndoStarted {
        /// Step.
        step: usize,
        /// The order.
        order: OrderNote,
    },
    /// An undo has ended.
    UndoEnded {
        /// Step.
        step: usize,
        /// Whether it succeeded.
        good: bool,
        /// The answer; `None` if there was none in time.
        answer: Option<AnswerNote>,
        /// Why not.
        reasons: Vec<Reason>,
    },
    /// An agent undid by itself what no order of the server undid in time. May stand after the end of the drill.
    UndoneByAgent {
        /// Identifier of the report.
        report_id: String,
        /// The order that ran what was undone.
        order_id: String,
        /// The host's `instance` label.
        host: String,
        /// Action in the agent's own file.
        action: String,
        /// How it ended.
        answer: AnswerNote,
    },
    /// The time from the end of the steps to the end of the checks after the rollback was evaluated.
    RollbackMeasured {
        /// Whether the service was disturbed no longer than the target allows.
        met: bool,
        /// One a probe.
        probes: Vec<Measurement>,
        /// Why not.
        reasons: Vec<Reason>,
    },
    /// The steady state was looked for after the rollback.
    CheckedAfter {
        /// Whether it holds.
        held: bool,
        /// Why not.
        reasons: Vec<Reason>,
    },
    /// The result.
    Closed {
        /// Verdict.
        verdict: Verdict,
        /// Whether the system was found as it was before.
        restored: bool,
        /// Everything that was not as it should be.
        reasons: Vec<Reason>,
    },
}

impl Fact {
    /// What it means for the course of the drill.
    #[must_use]
    pub fn event(&self) -> Option<Event> {
        Some(match self {
            Self::StepAnswered { step, answer: Some(answer) } if answer.outcome == Outcome::Refused => {
                Event::StepRefused(*step)
            }
            Self::Opened { .. }
            | Self::Check { .. }
            | Self::StepRetried { .. }
            | Self::Asked { .. }
            | Self::Confirmed { .. }
            | Self::StepAnswered { .. }
            | Self::UndoStarted { .. }
            | Self::UndoneByAgent { .. } => {
                return None;
            }
            Self::CheckedBefore { held, .. } => Event::CheckedBefore { held: *held },
            Self::StepStarted { step, .. } => Event::StepStarted(*step),
            Self::StepEnded { step, good, .. } => Event::StepEnded { step: *step, good: *good },
            Self::Measured { met, .. } => Event::Measured { met: *met },
            Self::Stopped { .. } => Event::Stopped,
            Self::UndoEnded { step, good, .. } => Event::UndoEnded { step: *step, good: *good },
            Self::RowsCounted { met, .. } => Event::RowsCounted { met: *met },
            Self::RollbackMeasured { met, .. } => Event::RollbackMeasured { met: *met },
            Self::CheckedAfter { held, .. } => Event::CheckedAfter { held: *held },
            Self::Closed { .. } => Event::Closed,
        })
    }

    /// What was not as it should be.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        match self {
            Self::CheckedBefore { reasons, .. }
            | Self::StepEnded { reasons, .. }
            | Self::Measured { reasons, .. }
            | Self::RowsCounted { reasons, .. }
            | Self::UndoEnded { reasons, .. }
            | Self::RollbackMeasured { reasons, .. }
            | Self::CheckedAfter { reasons, .. } => reasons,
            Self::Stopped { reason } => std::slice::from_ref(reason),
            _ => &[],
        }
    }
}

/// A fact with its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at_ms: Millis,
    /// What.
    pub fact: Fact,
}

/// Why a journal is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// A number is missing or out of order.
    #[error("entry {found} stands where entry {wanted} belongs")]
    Order {
        /// Number that belongs there.
        wanted: i64,
        /// Number found.
        found: i64,
    },
    /// An entry does not follow the one before.
    #[error("entry {0} does not bear the hash of the entry before")]
    Chain(i64),
    /// An entry was changed.
    #[error("entry {0} does not fit its own hash")]
    Altered(i64),
}

fn hash(drill_id: &str, seq: i64, at_ms: Millis, body: &str, previous_hash: &str) -> String {
    let mut digest = Sha256::new();
    // The body is JSON without line breaks, so that no two entries give the same text.
    digest.update(format!("{previous_hash}\n{drill_id}\n{seq}\n{at_ms}\n{body}"));
    hex(&digest.finalize())
}

/// Bytes as hexadecimal text.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Adds an entry at the end of a drill's journal.
///
/// # Errors
/// If the records cannot be read or written.
pub fn append(db: &Connection, drill_id: &str, at_ms: Millis, fact: &Fact) -> Result<()> {
    let body = serde_json::to_string(fact)
        .map_err(|e| RecordsError::Corrupt { column: "drill_journal.body", reason: e.to_string() })?;
    let (seq, previous_hash) = drills::journal_head(db, drill_id)?
        .map_or_else(|| (1, GENESIS.to_owned()), |head| (head.seq + 1, head.hash));
    let hash = hash(drill_id, seq, at_ms, &body, &previous_hash);
    drills::add_journal(db, drill_id, &JournalRow { seq, at_ms, body, previous_hash, hash })
}

/// Checks that a journal is what was written, and gives the hash of its newest entry.
///
/// # Errors
/// The first entry that does not fit.
pub fn verify(drill_id: &str, rows: &[JournalRow]) -> Result<String, JournalError> {
    let mut previous = GENESIS.to_owned();
    for (wanted, row) in (1..).zip(rows) {
        if row.seq != wanted {
            return Err(JournalError::Order { wanted, found: row.seq });
        }
        if row.previous_hash != previous {
            return Err(JournalError::Chain(row.seq));
        }
        if row.hash != hash(drill_id, row.seq, row.at_ms, &row.body, &row.previous_hash) {
            return Err(JournalError::Altered(row.seq));
        }
        previous.clone_from(&row.hash);
    }
    Ok(previous)
}

/// The facts of a journal.
///
/// # Errors
/// If an entry cannot be read.
pub fn entries(rows: &[JournalRow]) -> Result<Vec<Entry>> {
    rows.iter()
        .map(|row| Ok(Entry { at_ms: row.at_ms, fact: drills::parse_json("drill_journal.body", &row.body)? }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain() -> Vec<JournalRow> {
        let mut previous_hash = GENESIS.to_owned();
        (1..=4)
            .map(|seq| {
                let fact = Fact::UndoEnded { step: 0, good: true, answer: None, reasons: vec![] };
                let body = serde_json::to_string(&fact).unwrap();
                let hash = hash("d", seq, 1_000 + seq, &body, &previous_hash);
                let row =
                    JournalRow { seq, at_ms: 1_000 + seq, body, previous_hash: previous_hash.clone(), hash };
                previous_hash.clone_from(&row.hash);
                row
            })
            .collect()
    }

    #[test]
    fn an_untouched_journal_is_verified_and_gives_its_newest_hash() {
        let rows = chain();
        assert_eq!(verify("d", &rows), Ok(rows[3].hash.clone()));
        assert_eq!(entries(&rows).unwrap().len(), 4);
    }

    #[test]
    fn a_changed_removed_moved_or_borrowed_entry_is_found() {
        let mut changed = chain();
        changed[1].body = changed[1].body.replace("true", "false");
        assert_eq!(verify("d", &changed), Err(JournalError::Altered(2)));
        let mut later = chain();
        later[2].at_ms += 1;
        assert_eq!(verify("d", &later), Err(JournalError::Altered(3)));
        let mut removed = chain();
        removed.remove(1);
        assert_eq!(verify("d", &removed), Err(JournalError::Order { wanted: 2, found: 3 }));
        let mut renumbered = removed.clone();
        renumbered[1].seq = 2;
        assert_eq!(verify("d", &renumbered), Err(JournalError::Chain(2)));
        assert_eq!(verify("other", &chain()), Err(JournalError::Altered(1)));
    }
}
