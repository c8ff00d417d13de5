//! Rows of approvals of drills.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Result;
use crate::access::Role;
use crate::time::Millis;

/// An approval as a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRow {
    /// Identifier.
    pub id: String,
    /// Plan.
    pub plan_id: String,
    /// SHA-256 of the plan's text as it was approved.
    pub plan_sha256: String,
    /// Who approved.
    pub user_id: String,
    /// The same, as the audit trail names users.
    pub actor: String,
    /// The same, for people.
    pub name: String,
    /// Role in which it was approved.
    pub role: Role,
    /// Why.
    pub reason: String,
    /// When.
    pub given_at_ms: Millis,
    /// Until when it holds.
    pub valid_until_ms: Millis,
    /// When it was withdrawn.
    pub withdrawn_at_ms: Option<Millis>,
    /// The drill for which it was used.
    pub drill_id: Option<String>,
}

const COLUMNS: &str = "id, plan_id, plan_sha256, user_id, actor, name, role, reason, given_at_ms, valid_until_ms, \
                       withdrawn_at_ms, drill_id";

fn approval(row: &Row<'_>) -> rusqlite::Result<ApprovalRow> {
    let role: String = row.get(6)?;
    let role = Role::from_code(&role).ok_or_else(|| {
        let why = format!("{role:?} is no role");
        rusqlite::Error::FromSqlConversionFailure(6, rusqlite::types::Type::Text, why.into())
    })?;
    Ok(ApprovalRow {
        id: row.get(0)?,
        plan_id: row.get(1)?,
        plan_sha256: row.get(2)?,
        user_id: row.get(3)?,
        actor: row.get(4)?,
        name: row.get(5)?,
        role,
        reason: row.get(7)?,
        given_at_ms: row.get(8)?,
        valid_until_ms: row.get(9)?,
        withdrawn_at_ms: row.get(10)?,
        drill_id: row.get(11)?,
    })
}

/// Adds an approval.
///
/// # Errors
/// If the statement fails.
pub fn insert(db: &Connection, new: &ApprovalRow) -> Result<()> {
    db.execute(
        &format!(
            "INSERT INTO drill_approvals ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
        ),
        params![
            new.id,
            new.plan_id,
            new.plan_sha256,
            new.user_id,
            new.actor,
            new.name,
            new.role.code(),
            new.reason,
            new.given_at_ms,
            new.valid_until_ms,
            new.withdrawn_at_ms,
            new.drill_id
        ],
    )?;
    Ok(())
}

/// Approvals of a plan that hold at a moment, oldest first: in time, not withdrawn, not used, of users who may still
/// sign in and still have the role.
///
/// # Errors
/// If the statement fails.
pub fn holding(
    db: &Connection,
    plan_id: &str,
    plan_sha256: &str,
    now_ms: Millis,
) -> Result<Vec<ApprovalRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM drill_approvals a WHERE plan_id = ?1 AND plan_sha256 = ?2 AND valid_until_ms > ?3 \
         AND withdrawn_at_ms IS NULL AND drill_id IS NULL \
         AND EXISTS (SELECT 1 FROM users u JOIN user_roles r ON r.user_id = u.id \
         WHERE u.id = a.user_id AND u.disabled_at_ms IS NULL AND r.role = a.role) ORDER BY given_at_ms, id"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![plan_id, plan_sha256, now_ms], approval)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The newest approvals of a plan, whatever became of them, newest first.
///
/// # Errors
/// If the statement fails.
pub fn latest(db: &Connection, plan_id: &str, limit: u32) -> Result<Vec<ApprovalRow>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM drill_approvals WHERE plan_id = ?1 ORDER BY given_at_ms DESC, id LIMIT ?2"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![plan_id, limit], approval)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// An approval by identifier.
///
/// # Errors
/// If the statement fails.
pub fn get(db: &Connection, id: &str) -> Result<Option<ApprovalRow>> {
    let sql = format!("SELECT {COLUMNS} FROM drill_approvals WHERE id = ?1");
    Ok(db.query_row(&sql, [id], approval).optional()?)
}

/// Notes for which drill an approval was used.
///
/// # Errors
/// If the statement fails.
pub fn set_used(db: &Connection, id: &str, drill_id: &str) -> Result<()> {
    db.execute("UPDATE drill_approvals SET drill_id = ?2 WHERE id = ?1", [id, drill_id])?;
    Ok(())
}

/// Withdraws an approval that was not used. Says whether it was there to be withdrawn.
///
/// # Errors
/// If the statement fails.
pub fn withdraw(db: &Connection, id: &str, now_ms: Millis) -> Result<bool> {
    let sql = "UPDATE drill_approvals SET withdrawn_at_ms = ?2 \
               WHERE id = ?1 AND drill_id IS NULL AND withdrawn_at_ms IS NULL";
    Ok(db.execute(sql, params![id, now_ms])? > 0)
}
