//! Rows of the history of assets: what changed, when, and who says so. Rows are only ever added.

use rusqlite::{Connection, Row, params};

use super::Result;
use crate::time::Millis;

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AssetChange {
    /// Number, rising.
    pub id: i64,
    /// Code of the asset.
    pub asset: String,
    /// When it was noticed.
    pub at_ms: Millis,
    /// Who says so: `agent:INSTANCE`, `user:NAME` or `siaga`.
    pub source: String,
    /// `first_seen`, `added`, `removed`, `changed`, `entered`, `state` or `more`.
    pub kind: String,
    /// Which field.
    pub field: String,
    /// Value before.
    pub old: Option<String>,
    /// Value after.
    pub new: Option<String>,
}

/// A change to add.
#[derive(Debug, Clone, Copy)]
pub struct NewChange<'a> {
    /// Asset.
    pub asset_id: i64,
    /// When.
    pub at_ms: Millis,
    /// Who says so.
    pub source: &'a str,
    /// How it changed.
    pub kind: &'a str,
    /// Which field.
    pub field: &'a str,
    /// Value before.
    pub old: Option<&'a str>,
    /// Value after.
    pub new: Option<&'a str>,
}

/// Adds a change.
///
/// # Errors
/// If the statement fails.
pub fn add(db: &Connection, change: &NewChange<'_>) -> Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO asset_changes (asset_id, at_ms, source, kind, field, old_value, new_value) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    statement.execute(params![
        change.asset_id,
        change.at_ms,
        change.source,
        change.kind,
        change.field,
        change.old,
        change.new
    ])?;
    Ok(())
}

/// How many changes of an asset were noticed since a time.
///
/// # Errors
/// If the statement fails.
pub fn count_since(db: &Connection, asset_id: i64, since_ms: Millis) -> Result<usize> {
    let mut statement =
        db.prepare_cached("SELECT COUNT(*) FROM asset_changes WHERE asset_id = ?1 AND at_ms > ?2")?;
    let count: i64 = statement.query_row(params![asset_id, since_ms], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

fn change(row: &Row<'_>) -> rusqlite::Result<AssetChange> {
    Ok(AssetChange {
        id: row.get(0)?,
        asset: row.get(1)?,
        at_ms: row.get(2)?,
        source: row.get(3)?,
        kind: row.get(4)?,
        field: row.get(5)?,
        old: row.get(6)?,
        new: row.get(7)?,
    })
}

/// Changes from `since_ms` on, newest first; of one asset if its code is given.
///
/// # Errors
/// If the statement fails.
pub fn list(
    db: &Connection,
    asset_code: Option<&str>,
    since_ms: Millis,
    limit: u32,
    offset: u32,
) -> Result<Vec<AssetChange>> {
    let mut statement = db.prepare_cached(
        "SELECT c.id, a.code, c.at_ms, c.source, c.kind, c.field, c.old_value, c.new_value \
         FROM asset_changes c JOIN assets a ON a.id = c.asset_id \
         WHERE (?1 IS NULL OR a.code = ?1) AND c.at_ms >= ?2 ORDER BY c.id DESC LIMIT ?3 OFFSET ?4",
    )?;
    let rows = statement.query_map(params![asset_code, since_ms, limit, offset], change)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
