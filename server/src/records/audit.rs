//! The audit trail: who did what to which thing, and when. Rows are only ever added.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Result;
use crate::time::Millis;

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at_ms: Millis,
    /// Who: `user:NAME`, `agent:INSTANCE` or `siaga`.
    pub actor: String,
    /// What was done, for example `user.create`.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Further facts; never a secret.
    pub detail: String,
}

/// Adds an entry.
///
/// # Errors
/// If the statement fails.
pub fn add(
    db: &Connection,
    at_ms: Millis,
    actor: &str,
    action: &str,
    subject: &str,
    detail: &str,
) -> Result<()> {
    db.execute(
        "INSERT INTO audit (at_ms, actor, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![at_ms, actor, action, subject, detail],
    )?;
    Ok(())
}

/// The newest entries, newest first.
///
/// # Errors
/// If the statement fails.
pub fn latest(db: &Connection, limit: u32) -> Result<Vec<Entry>> {
    let mut statement = db.prepare_cached(
        "SELECT at_ms, actor, action, subject, detail FROM audit ORDER BY id DESC LIMIT ?1",
    )?;
    let rows = statement.query_map([limit], |row| {
        Ok(Entry {
            at_ms: row.get(0)?,
            actor: row.get(1)?,
            action: row.get(2)?,
            subject: row.get(3)?,
            detail: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The name that an API token had when it was made, by its identifier; also of one that was revoked.
///
/// # Errors
/// If the statement fails.
pub fn token_name(db: &Connection, token_id: &str) -> Result<Option<String>> {
    let sql = "SELECT subject FROM audit WHERE action = 'token.create' AND detail = ?1 LIMIT 1";
    Ok(db.query_row(sql, [token_id], |row| row.get(0)).optional()?)
}
