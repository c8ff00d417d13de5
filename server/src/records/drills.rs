//! Rows of drills, their journals and raw traces, and how far each plan's schedule was dealt with.
//!
//! Invariant: journal rows are only ever added; the caller chains them (`continuity::journal`).

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{RecordsError, Result};
use crate::time::Millis;

/// A drill as a row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drill {
    /// Identifier.
    pub id: String,
    /// Number for people, from 1.
    pub number: i64,
    /// Plan.
    pub plan_id: String,
    /// Name of the plan at that time.
    pub plan_name: String,
    /// Service that was exercised.
    pub service: String,
    /// File of the plan.
    pub plan_file: String,
    /// Text of the plan that was followed.
    pub plan_text: String,
    /// SHA-256 of that text, hexadecimal.
    pub plan_sha256: String,
    /// Who started it: an actor of the audit trail, or `schedule`.
    pub started_by: String,
    /// The instant of the schedule that it stands for.
    pub scheduled_for_ms: Option<Millis>,
    /// When it began.
    pub created_at_ms: Millis,
    /// When it ended.
    pub ended_at_ms: Option<Millis>,
    /// `running`, `missed` or the code of a verdict.
    pub status: String,
    /// Whether the system was found as it was before; `None` while it runs.
    pub restored: Option<bool>,
    /// Recovery time objective, milliseconds.
    pub rto_target_ms: Millis,
    /// Recovery time, milliseconds.
    pub rto_ms: Option<Millis>,
    /// Downtime, milliseconds.
    pub downtime_ms: Option<Millis>,
    /// Reasons, as JSON.
    pub reasons: String,
}

/// Status of a drill that has not ended.
pub const RUNNING: &str = "running";
/// Status of a date that passed without a drill.
pub const MISSED: &str = "missed";

const COLUMNS: &str = "id, number, plan_id, plan_name, service, plan_file, plan_text, plan_sha256, started_by, \
                       scheduled_for_ms, created_at_ms, ended_at_ms, status, restored, rto_target_ms, rto_ms, \
                       downtime_ms, reasons";

fn drill(row: &Row<'_>) -> rusqlite::Result<Drill> {
    Ok(Drill {
        id: row.get(0)?,
        number: row.get(1)?,
        plan_id: row.get(2)?,
        plan_name: row.get(3)?,
        service: row.get(4)?,
        plan_file: row.get(5)?,
        plan_text: row.get(6)?,
        plan_sha256: row.get(7)?,
        started_by: row.get(8)?,
        scheduled_for_ms: row.get(9)?,
        created_at_ms: row.get(10)?,
        ended_at_ms: row.get(11)?,
        status: row.get(12)?,
        restored: row.get::<_, Option<i64>>(13)?.map(|flag| flag != 0),
        rto_target_ms: row.get(14)?,
        rto_ms: row.get(15)?,
        downtime_ms: row.get(16)?,
        reasons: row.get(17)?,
    })
}

/// Adds a drill; its number is given here and returned.
///
/// # Errors
/// If the statement fails.
pub fn insert(db: &Connection, new: &Drill) -> Result<i64> {
    let number: i64 =
        db.query_row("SELECT COALESCE(MAX(number), 0) + 1 FROM drills", [], |row| row.get(0))?;
    db.execute(
        &format!(
            "INSERT INTO drills ({COLUMNS}) VALUES \
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
        ),
        params![
            new.id,
            number,
            new.plan_id,
            new.plan_name,
            new.service,
            new.plan_file,
            new.plan_text,
            new.plan_sha256,
            new.started_by,
            new.scheduled_for_ms,
            new.created_at_ms,
            new.ended_at_ms,
            new.status,
            new.restored.map(i64::from),
            new.rto_target_ms,
            new.rto_ms,
            new.downtime_ms,
            new.reasons
        ],
    )?;
    Ok(number)
}

/// A drill by identifier.
///
/// # Errors
/// If the statement fails.
pub fn get(db: &Connection, id: &str) -> Result<Option<Drill>> {
    let sql = format!("SELECT {COLUMNS} FROM drills WHERE id = ?1");
    Ok(db.query_row(&sql, [id], drill).optional()?)
}

/// A drill by its number.
///
/// # Errors
/// If the statement fails.
pub fn by_number(db: &Connection, number: i64) -> Result<Option<Drill>> {
    let sql = format!("SELECT {COLUMNS} FROM drills WHERE number = ?1");
    Ok(db.query_row(&sql, [number], drill).optional()?)
}

/// Number and identifier of every drill, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn numbers(db: &Connection) -> Result<Vec<(i64, String)>> {
    let mut statement = db.prepare_cached("SELECT number, id FROM drills ORDER BY number")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Whether the journal of a drill holds an entry of this hash.
///
/// # Errors
/// If the statement fails.
pub fn has_journal_hash(db: &Connection, drill_id: &str, hash: &str) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM drill_journal WHERE drill_id = ?1 AND hash = ?2";
    let count: i64 = db.query_row(sql, [drill_id, hash], |row| row.get(0))?;
    Ok(count > 0)
}

/// The newest drills, newest first; of one plan only if given.
///
/// # Errors
/// If the statement fails.
pub fn latest(db: &Connection, plan_id: Option<&str>, limit: u32) -> Result<Vec<Drill>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM drills WHERE ?1 IS NULL OR plan_id = ?1 ORDER BY number DESC LIMIT ?2"
    ))?;
    Ok(statement.query_map(params![plan_id, limit], drill)?.collect::<rusqlite::Result<_>>()?)
}

/// The newest drill of a plan, or, where its identifier is not known, of the file in which it stands.
///
/// # Errors
/// If the statement fails.
pub fn latest_of_file(db: &Connection, plan_id: Option<&str>, file: &str) -> Result<Option<Drill>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM drills WHERE plan_id = ?1 OR (?1 IS NULL AND plan_file = ?2) \
         ORDER BY number DESC LIMIT 1"
    );
    Ok(db.query_row(&sql, params![plan_id, file], drill).optional()?)
}

/// Drills that have not ended, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn running(db: &Connection) -> Result<Vec<Drill>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM drills WHERE status = '{RUNNING}' AND ended_at_ms IS NULL ORDER BY number"
    ))?;
    Ok(statement.query_map([], drill)?.collect::<rusqlite::Result<_>>()?)
}

/// Of each plan the newest ended drill that acted, if it did not find the system restored.
///
/// # Errors
/// If the statement fails.
pub fn not_restored(db: &Connection) -> Result<Vec<Drill>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM drills WHERE restored = 0 AND number IN (SELECT MAX(number) FROM drills \
         WHERE ended_at_ms IS NOT NULL AND status IN ('passed', 'failed', 'aborted') GROUP BY plan_id) ORDER BY number"
    ))?;
    Ok(statement.query_map([], drill)?.collect::<rusqlite::Result<_>>()?)
}

/// How a drill ended.
#[derive(Debug, Clone, Copy)]
pub struct Ending<'a> {
    /// When.
    pub ended_at_ms: Millis,
    /// Code of the verdict.
    pub status: &'a str,
    /// Whether the system was found as it was before.
    pub restored: bool,
    /// Recovery time, milliseconds.
    pub rto_ms: Option<Millis>,
    /// Downtime, milliseconds.
    pub downtime_ms: Option<Millis>,
    /// Reasons, as JSON.
    pub reasons: &'a str,
}

/// Ends a drill.
///
/// # Errors
/// If the statement fails.
pub fn end(db: &Connection, id: &str, ending: Ending<'_>) -> Result<()> {
    db.execute(
        "UPDATE drills SET ended_at_ms = ?2, status = ?3, restored = ?4, rto_ms = ?5, downtime_ms = ?6, reasons = ?7 \
         WHERE id = ?1 AND ended_at_ms IS NULL",
        params![
            id,
            ending.ended_at_ms,
            ending.status,
            i64::from(ending.restored),
            ending.rto_ms,
            ending.downtime_ms,
            ending.reasons
        ],
    )?;
    Ok(())
}

/// One row of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalRow {
    /// Number within the drill, from 1.
    pub seq: i64,
    /// When.
    pub at_ms: Millis,
    /// What, as JSON.
    pub body: String,
    /// Hash of the row before.
    pub previous_hash: String,
    /// Hash of this row.
    pub hash: String,
}

/// Adds a row to a journal.
///
/// # Errors
/// If the statement fails, also when the number is taken.
pub fn add_journal(db: &Connection, drill_id: &str, row: &JournalRow) -> Result<()> {
    db.execute(
        "INSERT INTO drill_journal (drill_id, seq, at_ms, body, previous_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![drill_id, row.seq, row.at_ms, row.body, row.previous_hash, row.hash],
    )?;
    Ok(())
}

fn journal_row(row: &Row<'_>) -> rusqlite::Result<JournalRow> {
    Ok(JournalRow {
        seq: row.get(0)?,
        at_ms: row.get(1)?,
        body: row.get(2)?,
        previous_hash: row.get(3)?,
        hash: row.get(4)?,
    })
}

/// The whole journal of a drill, in order.
///
/// # Errors
/// If the statement fails.
pub fn journal(db: &Connection, drill_id: &str) -> Result<Vec<JournalRow>> {
    let mut statement = db.prepare_cached(
        "SELECT seq, at_ms, body, previous_hash, hash FROM drill_journal WHERE drill_id = ?1 ORDER BY seq",
    )?;
    Ok(statement.query_map([drill_id], journal_row)?.collect::<rusqlite::Result<_>>()?)
}

/// The newest row of a journal.
///
/// # Errors
/// If the statement fails.
pub fn journal_head(db: &Connection, drill_id: &str) -> Result<Option<JournalRow>> {
    let sql = "SELECT seq, at_ms, body, previous_hash, hash FROM drill_journal WHERE drill_id = ?1 \
               ORDER BY seq DESC LIMIT 1";
    Ok(db.query_row(sql, [drill_id], journal_row).optional()?)
}

/// The drill with the highest number and the hash of its newest journal row.
///
/// # Errors
/// If the statement fails.
pub fn newest_head(db: &Connection) -> Result<Option<(String, String)>> {
    let sql = "SELECT j.drill_id, j.hash FROM drill_journal j JOIN drills d ON d.id = j.drill_id \
               ORDER BY d.number DESC, j.seq DESC LIMIT 1";
    Ok(db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Adds a part of a raw trace; `points` is JSON.
///
/// # Errors
/// If the statement fails.
pub fn add_trace(db: &Connection, drill_id: &str, probe: &str, points: &str) -> Result<()> {
    db.execute(
        "INSERT INTO drill_traces (drill_id, probe, part, points) SELECT ?1, ?2, COALESCE(MAX(part), 0) + 1, ?3 \
         FROM drill_traces WHERE drill_id = ?1 AND probe = ?2",
        params![drill_id, probe, points],
    )?;
    Ok(())
}

/// Parts of all raw traces of a drill: probe and points as JSON, in order.
///
/// # Errors
/// If the statement fails.
pub fn traces(db: &Connection, drill_id: &str) -> Result<Vec<(String, String)>> {
    let mut statement =
        db.prepare_cached("SELECT probe, points FROM drill_traces WHERE drill_id = ?1 ORDER BY probe, part")?;
    let rows = statement.query_map([drill_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Up to which instant a plan's schedule was dealt with.
///
/// # Errors
/// If the statement fails.
pub fn handled_until(db: &Connection, plan_id: &str) -> Result<Option<Millis>> {
    let sql = "SELECT handled_until_ms FROM plan_schedules WHERE plan_id = ?1";
    Ok(db.query_row(sql, [plan_id], |row| row.get(0)).optional()?)
}

/// Notes up to which instant a plan's schedule was dealt with.
///
/// # Errors
/// If the statement fails.
pub fn set_handled_until(db: &Connection, plan_id: &str, at_ms: Millis) -> Result<()> {
    db.execute(
        "INSERT INTO plan_schedules (plan_id, handled_until_ms) VALUES (?1, ?2) \
         ON CONFLICT (plan_id) DO UPDATE SET handled_until_ms = excluded.handled_until_ms",
        params![plan_id, at_ms],
    )?;
    Ok(())
}

/// A stored list as JSON.
///
/// # Errors
/// If it is not what its column holds.
pub fn parse_json<T: serde::de::DeserializeOwned>(column: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| RecordsError::Corrupt { column, reason: e.to_string() })
}
