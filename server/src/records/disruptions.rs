//! Rows of declared disruptions, of what happened during them, and of what is still to be told.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Result;
use crate::time::Millis;

/// A declared disruption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "columns, which the form of the domain names")]
pub struct Disruption {
    pub id: String,
    pub number: i64,
    pub plan_id: Option<String>,
    pub service: String,
    pub address: String,
    pub form: String,
    pub reporter: String,
    pub reported_at_ms: Millis,
    pub analysis: String,
    pub basis: String,
    pub began_at_ms: Millis,
    pub declared_by: String,
    pub declared_at_ms: Millis,
    pub rto_target_ms: Option<Millis>,
    pub rpo_target_ms: Option<Millis>,
    pub cause: Option<String>,
    pub effect: Option<String>,
    pub recovered_at_ms: Option<Millis>,
    pub data_until_ms: Option<Millis>,
    pub lifted_by: Option<String>,
    pub lifted_at_ms: Option<Millis>,
    pub lift_note: Option<String>,
}

const COLUMNS: &str = "id, number, plan_id, service, address, form, reporter, reported_at_ms, analysis, basis, \
                       began_at_ms, declared_by, declared_at_ms, rto_target_ms, rpo_target_ms, cause, effect, \
                       recovered_at_ms, data_until_ms, lifted_by, lifted_at_ms, lift_note";

fn disruption(row: &Row<'_>) -> rusqlite::Result<Disruption> {
    Ok(Disruption {
        id: row.get(0)?,
        number: row.get(1)?,
        plan_id: row.get(2)?,
        service: row.get(3)?,
        address: row.get(4)?,
        form: row.get(5)?,
        reporter: row.get(6)?,
        reported_at_ms: row.get(7)?,
        analysis: row.get(8)?,
        basis: row.get(9)?,
        began_at_ms: row.get(10)?,
        declared_by: row.get(11)?,
        declared_at_ms: row.get(12)?,
        rto_target_ms: row.get(13)?,
        rpo_target_ms: row.get(14)?,
        cause: row.get(15)?,
        effect: row.get(16)?,
        recovered_at_ms: row.get(17)?,
        data_until_ms: row.get(18)?,
        lifted_by: row.get(19)?,
        lifted_at_ms: row.get(20)?,
        lift_note: row.get(21)?,
    })
}

/// Adds a disruption; its number is the next one.
///
/// # Errors
/// If the statement fails.
pub fn insert(db: &Connection, new: &Disruption) -> Result<()> {
    db.execute(
        "INSERT INTO disruptions (id, number, plan_id, service, address, form, reporter, reported_at_ms, analysis, \
         basis, began_at_ms, declared_by, declared_at_ms, rto_target_ms, rpo_target_ms) \
         SELECT ?1, COALESCE(MAX(number), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14 \
         FROM disruptions",
        params![
            new.id,
            new.plan_id,
            new.service,
            new.address,
            new.form,
            new.reporter,
            new.reported_at_ms,
            new.analysis,
            new.basis,
            new.began_at_ms,
            new.declared_by,
            new.declared_at_ms,
            new.rto_target_ms,
            new.rpo_target_ms
        ],
    )?;
    Ok(())
}

/// One disruption.
///
/// # Errors
/// If the statement fails.
pub fn get(db: &Connection, id: &str) -> Result<Option<Disruption>> {
    let sql = format!("SELECT {COLUMNS} FROM disruptions WHERE id = ?1");
    Ok(db.query_row(&sql, [id], disruption).optional()?)
}

/// The newest disruptions.
///
/// # Errors
/// If the statement fails.
pub fn latest(db: &Connection, limit: u32) -> Result<Vec<Disruption>> {
    let sql = format!("SELECT {COLUMNS} FROM disruptions ORDER BY number DESC LIMIT ?1");
    let mut statement = db.prepare_cached(&sql)?;
    Ok(statement.query_map([limit], disruption)?.collect::<rusqlite::Result<_>>()?)
}

/// Those that are not lifted, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn open(db: &Connection) -> Result<Vec<Disruption>> {
    let sql = format!("SELECT {COLUMNS} FROM disruptions WHERE lifted_at_ms IS NULL ORDER BY number");
    let mut statement = db.prepare_cached(&sql)?;
    Ok(statement.query_map([], disruption)?.collect::<rusqlite::Result<_>>()?)
}

/// Notes that the service is back. May be said anew until the disruption is lifted.
///
/// # Errors
/// If the statement fails.
pub fn recovered(db: &Connection, one: &Disruption) -> Result<bool> {
    let changed = db.execute(
        "UPDATE disruptions SET recovered_at_ms = ?2, data_until_ms = ?3, cause = ?4, effect = ?5 \
         WHERE id = ?1 AND lifted_at_ms IS NULL",
        params![one.id, one.recovered_at_ms, one.data_until_ms, one.cause, one.effect],
    )?;
    Ok(changed == 1)
}

/// Lifts a disruption. Says whether it was open.
///
/// # Errors
/// If the statement fails.
pub fn lift(db: &Connection, id: &str, by: &str, note: &str, now_ms: Millis) -> Result<bool> {
    let changed = db.execute(
        "UPDATE disruptions SET lifted_by = ?2, lift_note = ?3, lifted_at_ms = ?4 \
         WHERE id = ?1 AND lifted_at_ms IS NULL",
        params![id, by, note, now_ms],
    )?;
    Ok(changed == 1)
}

/// Something that happened during a disruption.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Number within the disruption, from 1.
    pub seq: i64,
    /// When.
    pub at_ms: Millis,
    /// Who.
    pub actor: String,
    /// `note`, `task`, `done` or `told`.
    pub kind: String,
    /// Number of the entry of the task that was done.
    pub task: Option<i64>,
    /// What.
    pub words: String,
    /// Who is to do a task.
    pub owner: Option<String>,
}

/// Adds an entry at the end.
///
/// # Errors
/// If the statement fails.
pub fn add_entry(db: &Connection, disruption_id: &str, new: &Entry) -> Result<()> {
    db.execute(
        "INSERT INTO disruption_entries (disruption_id, seq, at_ms, actor, kind, task, words, owner) \
         SELECT ?1, COALESCE(MAX(seq), 0) + 1, ?2, ?3, ?4, ?5, ?6, ?7 FROM disruption_entries \
         WHERE disruption_id = ?1",
        params![disruption_id, new.at_ms, new.actor, new.kind, new.task, new.words, new.owner],
    )?;
    Ok(())
}

/// All entries of a disruption, in order.
///
/// # Errors
/// If the statement fails.
pub fn entries(db: &Connection, disruption_id: &str) -> Result<Vec<Entry>> {
    let mut statement = db.prepare_cached(
        "SELECT seq, at_ms, actor, kind, task, words, owner FROM disruption_entries \
         WHERE disruption_id = ?1 ORDER BY seq",
    )?;
    let rows = statement.query_map([disruption_id], |row| {
        Ok(Entry {
            seq: row.get(0)?,
            at_ms: row.get(1)?,
            actor: row.get(2)?,
            kind: row.get(3)?,
            task: row.get(4)?,
            words: row.get(5)?,
            owner: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Something that a unit is to be told through its webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Identifier, which goes with it.
    pub id: String,
    /// Disruption.
    pub disruption_id: String,
    /// Unit.
    pub unit: String,
    /// Address of the webhook.
    pub url: String,
    /// JSON that is sent.
    pub body: String,
    /// Attempts so far.
    pub attempts: u32,
}

/// Queues a notice.
///
/// # Errors
/// If the statement fails.
pub fn add_notice(db: &Connection, new: &Notice, now_ms: Millis) -> Result<()> {
    db.execute(
        "INSERT INTO disruption_notices (id, disruption_id, unit, url, body, next_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![new.id, new.disruption_id, new.unit, new.url, new.body, now_ms],
    )?;
    Ok(())
}

/// Notices that are due.
///
/// # Errors
/// If the statement fails.
pub fn due_notices(db: &Connection, now_ms: Millis, limit: u32) -> Result<Vec<Notice>> {
    let mut statement = db.prepare_cached(
        "SELECT id, disruption_id, unit, url, body, attempts FROM disruption_notices \
         WHERE ended_at_ms IS NULL AND next_at_ms <= ?1 ORDER BY next_at_ms LIMIT ?2",
    )?;
    let rows = statement.query_map(params![now_ms, limit], |row| {
        Ok(Notice {
            id: row.get(0)?,
            disruption_id: row.get(1)?,
            unit: row.get(2)?,
            url: row.get(3)?,
            body: row.get(4)?,
            attempts: row.get(5)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes an attempt: ended, or to be tried again.
///
/// # Errors
/// If the statement fails.
pub fn tried_notice(
    db: &Connection,
    id: &str,
    ended_at_ms: Option<Millis>,
    next_at_ms: Millis,
) -> Result<()> {
    db.execute(
        "UPDATE disruption_notices SET attempts = attempts + 1, ended_at_ms = ?2, next_at_ms = ?3 WHERE id = ?1",
        params![id, ended_at_ms, next_at_ms],
    )?;
    Ok(())
}
