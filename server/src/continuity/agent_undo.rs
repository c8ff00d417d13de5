//! Undos that agents carried out by themselves, as they report them: each goes into its drill's journal once, and only
//! if that host was really ordered that action in that drill.

use siaga_protocol::orders::AgentUndo;

use super::journal::{self, AnswerNote, Fact};
use crate::records::hosts::Host;
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, audit, drills, orders};
use crate::time::Millis;

/// Reports about one order that are taken; an agent tries five times.
const MAX_REPORTS: usize = 20;

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It stands in the journal now.
    Yes,
    /// It stood there before, or there are enough of its kind.
    Before,
    /// The host was never ordered that.
    NotOrdered,
}

/// Takes a report of `host`.
pub(super) fn take(
    db: &Connection,
    host: &Host,
    undo: AgentUndo,
    now_ms: Millis,
) -> Result<Taken, RecordsError> {
    if !orders::was_ordered(db, &host.id, &undo.order_id, &undo.drill_id, &undo.action)? {
        return Ok(Taken::NotOrdered);
    }
    let rows = drills::journal(db, &undo.drill_id)?;
    let mut reports = 0;
    for entry in journal::entries(&rows)? {
        if let Fact::UndoneByAgent { report_id, order_id, .. } = entry.fact
            && order_id == undo.order_id
        {
            reports += 1;
            if report_id == undo.id || reports >= MAX_REPORTS {
                return Ok(Taken::Before);
            }
        }
    }
    let fact = Fact::UndoneByAgent {
        report_id: undo.id,
        order_id: undo.order_id,
        host: host.instance.clone(),
        action: undo.action.clone(),
        answer: AnswerNote {
            outcome: undo.outcome,
            message: undo.message,
            output: undo.output,
            agent_started_ms: undo.started_at_ms,
            agent_ended_ms: undo.ended_at_ms,
        },
    };
    journal::append(db, &undo.drill_id, now_ms, &fact)?;
    audit::add(
        db,
        now_ms,
        &format!("agent:{}", host.instance),
        "drill.undone",
        &undo.drill_id,
        &undo.action,
    )?;
    Ok(Taken::Yes)
}
