//! Undos that agents carried out by themselves, as they report them: each goes into its drill's journal once, and only
//! if that host was really ordered that action in that drill.

use ed25519_dalek::SigningKey;
use siaga_protocol::orders::AgentUndo;

use super::journal::{self, AnswerNote, Fact};
use super::seal;
use crate::fleet::orders::times_can_be;
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
    /// Its times cannot be: the end before the start, before the order was given, or in the future.
    ImpossibleTimes,
}

/// Takes a report of `host`.
pub(super) fn take(
    db: &Connection,
    key: &SigningKey,
    host: &Host,
    undo: AgentUndo,
    now_ms: Millis,
) -> Result<Taken, RecordsError> {
    let ordered = orders::ordered_at(db, &host.id, &undo.order_id, &undo.drill_id, &undo.action)?;
    let Some(ordered_ms) = ordered else { return Ok(Taken::NotOrdered) };
    if !times_can_be(undo.started_at_ms, undo.ended_at_ms, ordered_ms, now_ms) {
        return Ok(Taken::ImpossibleTimes);
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
    seal::renew(db, key, &undo.drill_id, now_ms)?;
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

#[cfg(test)]
mod tests {
    use siaga_protocol::orders::{Order, OrderKind, Outcome, SignedOrder};

    use super::*;
    use crate::records::Records;
    use crate::records::hosts;

    fn host(id: &str) -> Host {
        Host {
            id: id.to_owned(),
            instance: format!("host-{id}"),
            machine_id: id.to_owned(),
            hostname: id.to_owned(),
            agent_version: "1".to_owned(),
            interval_seconds: 15,
            enrolled_at_ms: 1,
            started_at_ms: None,
            last_seen_ms: None,
            actions: Vec::new(),
        }
    }

    fn undo(id: &str) -> AgentUndo {
        AgentUndo {
            id: id.to_owned(),
            drill_id: "d".to_owned(),
            order_id: "o".to_owned(),
            action: "stop".to_owned(),
            outcome: Outcome::Succeeded,
            message: "exit status: 0".to_owned(),
            output: String::new(),
            started_at_ms: 1,
            ended_at_ms: 2,
        }
    }

    #[test]
    fn a_report_counts_once_and_only_from_the_host_that_was_ordered() {
        let records = Records::in_memory().unwrap();
        let order = Order {
            id: "o".to_owned(),
            host_id: "a".to_owned(),
            drill_id: "d".to_owned(),
            action: "stop".to_owned(),
            kind: OrderKind::Run,
            expires_at_ms: 9,
            undo_at_ms: Some(20),
        };
        let key = SigningKey::from_bytes(&[1; 32]);
        let signed = SignedOrder { payload: String::new(), signature: String::new() };
        records
            .transaction(|db| {
                hosts::insert(db, &host("a"), "hash-a")?;
                hosts::insert(db, &host("b"), "hash-b")?;
                db.execute("PRAGMA defer_foreign_keys = ON", [])?;
                orders::insert(db, &order, &signed, 1)?;
                let taken = |host: &Host, undo| take(db, &key, host, undo, 30);
                assert_eq!(taken(&host("b"), undo("u"))?, Taken::NotOrdered);
                assert_eq!(
                    taken(&host("a"), AgentUndo { action: "x".to_owned(), ..undo("u") })?,
                    Taken::NotOrdered
                );
                assert_eq!(
                    taken(&host("a"), AgentUndo { ended_at_ms: i64::MAX, ..undo("u") })?,
                    Taken::ImpossibleTimes
                );
                assert_eq!(taken(&host("a"), undo("u"))?, Taken::Yes);
                assert_eq!(taken(&host("a"), undo("u"))?, Taken::Before);
                for number in 0..2 * MAX_REPORTS {
                    taken(&host("a"), undo(&number.to_string()))?;
                }
                let rows = drills::journal(db, "d")?;
                assert_eq!(rows.len(), MAX_REPORTS, "bounded");
                assert!(journal::verify("d", &rows).is_ok());
                db.execute_batch("DROP TRIGGER drill_journal_is_not_deleted; DELETE FROM drill_journal")?;
                Ok::<_, RecordsError>(())
            })
            .unwrap();
    }
}
