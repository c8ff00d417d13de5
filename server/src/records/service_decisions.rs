//! Rows of decisions on services that agents found, with the answer to the order that carried each.

use rusqlite::{Connection, OptionalExtension as _, params};
use siaga_protocol::orders::OrderResult;

use super::{RecordsError, Result};
use crate::discovery::{Decided, Decision, Sent};
use crate::time::Millis;

/// All decisions on services of a host, by service.
///
/// # Errors
/// If the statement fails or a row cannot be read.
pub fn of_host(db: &Connection, host_id: &str) -> Result<Vec<Decided>> {
    let mut statement = db.prepare_cached(
        "SELECT d.service_id, d.decision, d.decided_by, d.decided_at_ms, o.expires_at_ms, o.result \
         FROM service_decisions d LEFT JOIN orders o ON o.id = d.order_id WHERE d.host_id = ?1 ORDER BY d.service_id",
    )?;
    let rows = statement.query_map([host_id], |row| {
        let decided = Decided {
            service_id: row.get(0)?,
            decision: Decision::Dismiss,
            by: row.get(2)?,
            at_ms: row.get(3)?,
            sent: None,
        };
        Ok((decided, row.get(1)?, row.get(4)?, row.get(5)?))
    })?;
    rows.map(|row| complete(row?)).collect()
}

fn complete(
    (mut decided, code, expires_at_ms, result): (Decided, String, Option<Millis>, Option<String>),
) -> Result<Decided> {
    decided.decision = Decision::from_code(&code).ok_or_else(|| RecordsError::Corrupt {
        column: "service_decisions.decision",
        reason: code.clone(),
    })?;
    let result: Option<OrderResult> = result
        .map(|text| {
            serde_json::from_str(&text)
                .map_err(|e| RecordsError::Corrupt { column: "orders.result", reason: e.to_string() })
        })
        .transpose()?;
    decided.sent = expires_at_ms.map(|expires_at_ms| Sent { expires_at_ms, result });
    Ok(decided)
}

/// Puts down a decision in the place of an earlier one.
///
/// # Errors
/// If the statement fails.
pub fn set(
    db: &Connection,
    host_id: &str,
    service_id: &str,
    decision: Decision,
    order_id: Option<&str>,
    by: &str,
    now_ms: Millis,
) -> Result<()> {
    db.execute(
        "INSERT INTO service_decisions (host_id, service_id, decision, order_id, decided_by, decided_at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (host_id, service_id) DO UPDATE SET decision = excluded.decision, \
         order_id = excluded.order_id, decided_by = excluded.decided_by, decided_at_ms = excluded.decided_at_ms",
        params![host_id, service_id, decision.code(), order_id, by, now_ms],
    )?;
    Ok(())
}

/// Takes a decision back.
///
/// # Errors
/// If the statement fails.
pub fn remove(db: &Connection, host_id: &str, service_id: &str) -> Result<()> {
    db.execute(
        "DELETE FROM service_decisions WHERE host_id = ?1 AND service_id = ?2",
        params![host_id, service_id],
    )?;
    Ok(())
}

/// The latest end of an order on a service of a host, answered or not.
///
/// # Errors
/// If the statement fails.
pub fn latest_expiry(db: &Connection, host_id: &str, service_id: &str) -> Result<Option<Millis>> {
    let found = db.query_row(
        "SELECT MAX(expires_at_ms) FROM orders WHERE host_id = ?1 AND action = ?2 AND kind IN ('watch', 'unwatch')",
        params![host_id, service_id],
        |row| row.get(0),
    );
    Ok(found.optional()?.flatten())
}
