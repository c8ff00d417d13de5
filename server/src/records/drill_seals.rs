//! Rows of seals: what the server signed of drills that had ended.
//!
//! Invariant: rows are only ever added; the caller chains and signs them (`continuity::seal`).

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Result;

/// A seal as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealRow {
    /// Place in the one list of all seals, from 1.
    pub seq: i64,
    /// The drill.
    pub drill_id: String,
    /// What was signed, as JSON.
    pub statement: String,
    /// The public key, as PEM.
    pub public_key: String,
    /// Ed25519 signature of the statement, base64.
    pub signature: String,
}

const COLUMNS: &str = "seq, drill_id, statement, public_key, signature";

fn seal(row: &Row<'_>) -> rusqlite::Result<SealRow> {
    Ok(SealRow {
        seq: row.get(0)?,
        drill_id: row.get(1)?,
        statement: row.get(2)?,
        public_key: row.get(3)?,
        signature: row.get(4)?,
    })
}

/// Adds a seal.
///
/// # Errors
/// If the statement fails, also when the place is taken.
pub fn add(db: &Connection, new: &SealRow) -> Result<()> {
    db.execute(
        &format!("INSERT INTO drill_seals ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"),
        params![new.seq, new.drill_id, new.statement, new.public_key, new.signature],
    )?;
    Ok(())
}

/// The seals of a drill, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn of_drill(db: &Connection, drill_id: &str) -> Result<Vec<SealRow>> {
    let sql = format!("SELECT {COLUMNS} FROM drill_seals WHERE drill_id = ?1 ORDER BY seq");
    let mut statement = db.prepare_cached(&sql)?;
    Ok(statement.query_map([drill_id], seal)?.collect::<rusqlite::Result<_>>()?)
}

/// All seals, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn all(db: &Connection) -> Result<Vec<SealRow>> {
    let mut statement = db.prepare_cached(&format!("SELECT {COLUMNS} FROM drill_seals ORDER BY seq"))?;
    Ok(statement.query_map([], seal)?.collect::<rusqlite::Result<_>>()?)
}

/// The newest seal.
///
/// # Errors
/// If the statement fails.
pub fn newest(db: &Connection) -> Result<Option<SealRow>> {
    let sql = format!("SELECT {COLUMNS} FROM drill_seals ORDER BY seq DESC LIMIT 1");
    Ok(db.query_row(&sql, [], seal).optional()?)
}

/// Lowest number of a drill that bears a seal: each later one that has ended bears one too.
///
/// # Errors
/// If the statement fails.
pub fn first_number(db: &Connection) -> Result<Option<i64>> {
    let sql = "SELECT MIN(number) FROM drills WHERE id IN (SELECT drill_id FROM drill_seals)";
    Ok(db.query_row(sql, [], |row| row.get(0))?)
}
