//! Rows of orders to agents. An order is answered once; a later answer changes nothing.

use rusqlite::{Connection, OptionalExtension as _, params};
use siaga_protocol::orders::{Order, OrderKind, OrderResult, SignedOrder};

use super::{RecordsError, Result};
use crate::time::Millis;

const fn kind_code(kind: OrderKind) -> &'static str {
    match kind {
        OrderKind::Run => "run",
        OrderKind::Undo => "undo",
        OrderKind::Watch => "watch",
        OrderKind::Unwatch => "unwatch",
    }
}

/// Adds an order.
///
/// # Errors
/// If the statement fails.
pub fn insert(db: &Connection, order: &Order, signed: &SignedOrder, now_ms: Millis) -> Result<()> {
    db.execute(
        "INSERT INTO orders (id, host_id, drill_id, action, kind, payload, signature, created_at_ms, expires_at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            order.id,
            order.host_id,
            order.drill_id,
            order.action,
            kind_code(order.kind),
            signed.payload,
            signed.signature,
            now_ms,
            order.expires_at_ms
        ],
    )?;
    Ok(())
}

/// Orders of a host that are neither answered nor expired, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn open_for_host(db: &Connection, host_id: &str, now_ms: Millis, limit: u32) -> Result<Vec<SignedOrder>> {
    let mut statement = db.prepare_cached(
        "SELECT payload, signature FROM orders \
         WHERE host_id = ?1 AND ended_at_ms IS NULL AND expires_at_ms > ?2 ORDER BY created_at_ms, id LIMIT ?3",
    )?;
    let rows = statement.query_map(params![host_id, now_ms, limit], |row| {
        Ok(SignedOrder { payload: row.get(0)?, signature: row.get(1)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores the first answer of the host that the order is for. Says whether it was that.
///
/// # Errors
/// If the statement fails.
pub fn set_result(db: &Connection, host_id: &str, result: &OrderResult, now_ms: Millis) -> Result<bool> {
    let text = serde_json::to_string(result)
        .map_err(|e| RecordsError::Corrupt { column: "orders.result", reason: e.to_string() })?;
    let changed = db.execute(
        "UPDATE orders SET result = ?3, ended_at_ms = ?4 WHERE id = ?1 AND host_id = ?2 AND ended_at_ms IS NULL",
        params![result.order_id, host_id, text, now_ms],
    )?;
    Ok(changed == 1)
}

/// When a host was ordered to run an action in a drill, if it was.
///
/// # Errors
/// If the statement fails.
pub fn ordered_at(
    db: &Connection,
    host_id: &str,
    order_id: &str,
    drill_id: &str,
    action: &str,
) -> Result<Option<Millis>> {
    let found = db.query_row(
        "SELECT created_at_ms FROM orders \
         WHERE id = ?1 AND host_id = ?2 AND drill_id = ?3 AND action = ?4 AND kind = 'run'",
        params![order_id, host_id, drill_id, action],
        |row| row.get(0),
    );
    Ok(found.optional()?)
}

/// The answer to an order, if there is one yet.
///
/// # Errors
/// If the statement fails.
pub fn result(db: &Connection, order_id: &str) -> Result<Option<OrderResult>> {
    let text: Option<Option<String>> =
        db.query_row("SELECT result FROM orders WHERE id = ?1", [order_id], |row| row.get(0)).optional()?;
    text.flatten()
        .map(|text| {
            serde_json::from_str(&text)
                .map_err(|e| RecordsError::Corrupt { column: "orders.result", reason: e.to_string() })
        })
        .transpose()
}
