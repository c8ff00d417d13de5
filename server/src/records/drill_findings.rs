//! Rows of findings of drills, with their corrective actions, and of signatures under reports.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Result;
use crate::time::Millis;

/// A finding with its corrective action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Identifier.
    pub id: String,
    /// Drill.
    pub drill_id: String,
    /// Number within the drill, from 1.
    pub number: i64,
    /// What was found.
    pub finding: String,
    /// What is done about it.
    pub action: String,
    /// By whom.
    pub owner: String,
    /// Until when.
    pub due_ms: Millis,
    /// Who noted it.
    pub noted_by: String,
    /// When.
    pub noted_at_ms: Millis,
    /// Who closed it.
    pub closed_by: Option<String>,
    /// When.
    pub closed_at_ms: Option<Millis>,
    /// What was done.
    pub closed_note: Option<String>,
}

const COLUMNS: &str = "id, drill_id, number, finding, action, owner, due_ms, noted_by, noted_at_ms, closed_by, \
                       closed_at_ms, closed_note";

fn finding(row: &Row<'_>) -> rusqlite::Result<Finding> {
    Ok(Finding {
        id: row.get(0)?,
        drill_id: row.get(1)?,
        number: row.get(2)?,
        finding: row.get(3)?,
        action: row.get(4)?,
        owner: row.get(5)?,
        due_ms: row.get(6)?,
        noted_by: row.get(7)?,
        noted_at_ms: row.get(8)?,
        closed_by: row.get(9)?,
        closed_at_ms: row.get(10)?,
        closed_note: row.get(11)?,
    })
}

/// Adds a finding; its number is the next one of its drill.
///
/// # Errors
/// If the statement fails.
pub fn insert(db: &Connection, new: &Finding) -> Result<()> {
    db.execute(
        "INSERT INTO drill_findings (id, drill_id, number, finding, action, owner, due_ms, noted_by, noted_at_ms) \
         SELECT ?1, ?2, COALESCE(MAX(number), 0) + 1, ?3, ?4, ?5, ?6, ?7, ?8 FROM drill_findings WHERE drill_id = ?2",
        params![
            new.id,
            new.drill_id,
            new.finding,
            new.action,
            new.owner,
            new.due_ms,
            new.noted_by,
            new.noted_at_ms
        ],
    )?;
    Ok(())
}

/// One finding.
///
/// # Errors
/// If the statement fails.
pub fn get(db: &Connection, id: &str) -> Result<Option<Finding>> {
    let sql = format!("SELECT {COLUMNS} FROM drill_findings WHERE id = ?1");
    Ok(db.query_row(&sql, [id], finding).optional()?)
}

/// Findings of a drill, in order.
///
/// # Errors
/// If the statement fails.
pub fn of_drill(db: &Connection, drill_id: &str) -> Result<Vec<Finding>> {
    let sql = format!("SELECT {COLUMNS} FROM drill_findings WHERE drill_id = ?1 ORDER BY number");
    let mut statement = db.prepare_cached(&sql)?;
    Ok(statement.query_map([drill_id], finding)?.collect::<rusqlite::Result<_>>()?)
}

/// Findings whose corrective action is not closed, the most urgent first.
///
/// # Errors
/// If the statement fails.
pub fn open(db: &Connection, limit: u32) -> Result<Vec<Finding>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM drill_findings WHERE closed_at_ms IS NULL ORDER BY due_ms, number LIMIT ?1"
    );
    let mut statement = db.prepare_cached(&sql)?;
    Ok(statement.query_map([limit], finding)?.collect::<rusqlite::Result<_>>()?)
}

/// Closes a finding. Says whether it was open.
///
/// # Errors
/// If the statement fails.
pub fn close(db: &Connection, id: &str, by: &str, note: &str, now_ms: Millis) -> Result<bool> {
    let changed = db.execute(
        "UPDATE drill_findings SET closed_by = ?2, closed_note = ?3, closed_at_ms = ?4 \
         WHERE id = ?1 AND closed_at_ms IS NULL",
        params![id, by, note, now_ms],
    )?;
    Ok(changed == 1)
}

/// A signature under a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOff {
    /// Drill.
    pub drill_id: String,
    /// Who.
    pub user_id: String,
    /// The same, as the audit trail names users.
    pub actor: String,
    /// The same, for people.
    pub name: String,
    /// Code of the role in which it was signed.
    pub role: String,
    /// Hash of the newest entry of the journal that was signed.
    pub journal_hash: String,
    /// What was noted beside it.
    pub note: String,
    /// When.
    pub signed_at_ms: Millis,
}

/// Adds a signature. Says whether that user had not signed yet.
///
/// # Errors
/// If the statement fails.
pub fn sign(db: &Connection, new: &SignOff) -> Result<bool> {
    let changed = db.execute(
        "INSERT INTO drill_sign_offs (drill_id, user_id, actor, name, role, journal_hash, note, signed_at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (drill_id, user_id) DO NOTHING",
        params![
            new.drill_id,
            new.user_id,
            new.actor,
            new.name,
            new.role,
            new.journal_hash,
            new.note,
            new.signed_at_ms
        ],
    )?;
    Ok(changed == 1)
}

/// Signatures under the report of a drill, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn signed(db: &Connection, drill_id: &str) -> Result<Vec<SignOff>> {
    let mut statement = db.prepare_cached(
        "SELECT drill_id, user_id, actor, name, role, journal_hash, note, signed_at_ms FROM drill_sign_offs \
         WHERE drill_id = ?1 ORDER BY signed_at_ms",
    )?;
    let rows = statement.query_map([drill_id], |row| {
        Ok(SignOff {
            drill_id: row.get(0)?,
            user_id: row.get(1)?,
            actor: row.get(2)?,
            name: row.get(3)?,
            role: row.get(4)?,
            journal_hash: row.get(5)?,
            note: row.get(6)?,
            signed_at_ms: row.get(7)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
