//! Rows of proposals against shortages and of what happened to each. Nothing is ever deleted: a component has at most one
//! open proposal and one revision of it a day, so the history stays small.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Result;
use super::forecasts::corrupt;
use crate::capacity::{Draft, Evidence, Happened, Proposal, ResourceKey, ResourceKind, Status};
use crate::time::Millis;

const COLUMNS: &str = "id, instance, resource, item, status, what, add_percent, full_value, due_ms, evidence, \
                       created_at_ms, changed_at_ms";

fn json(evidence: &Evidence) -> Result<String> {
    serde_json::to_string(evidence).map_err(|e| corrupt("capacity_proposals.evidence", e))
}

/// Adds an open proposal and gives its number.
///
/// # Errors
/// If the statement fails.
pub fn add(db: &Connection, draft: &Draft, now_ms: Millis) -> Result<i64> {
    Ok(db.query_row(
        "INSERT INTO capacity_proposals (instance, resource, item, status, what, add_percent, full_value, due_ms, \
         evidence, created_at_ms, changed_at_ms) VALUES (?1, ?2, ?3, ?4, '', ?5, ?6, ?7, ?8, ?9, ?9) RETURNING id",
        params![
            draft.key.instance,
            draft.key.kind.code(),
            draft.key.item,
            Status::Open.code(),
            draft.add_percent,
            draft.full,
            draft.due_ms,
            json(&draft.evidence)?,
            now_ms
        ],
        |row| row.get(0),
    )?)
}

/// Stores what a proposal has become.
///
/// # Errors
/// If the statement fails.
pub fn update(db: &Connection, proposal: &Proposal) -> Result<()> {
    db.execute(
        "UPDATE capacity_proposals SET status = ?2, what = ?3, add_percent = ?4, full_value = ?5, due_ms = ?6, \
         evidence = ?7, changed_at_ms = ?8 WHERE id = ?1",
        params![
            proposal.id,
            proposal.status.code(),
            proposal.what,
            proposal.draft.add_percent,
            proposal.draft.full,
            proposal.draft.due_ms,
            json(&proposal.draft.evidence)?,
            proposal.changed_at_ms
        ],
    )?;
    Ok(())
}

/// Adds an entry to the history of a proposal.
///
/// # Errors
/// If the statement fails.
pub fn note(db: &Connection, proposal_id: i64, happened: &Happened) -> Result<()> {
    db.execute(
        "INSERT INTO capacity_proposal_events (proposal_id, at_ms, actor, action, what, add_percent, due_ms, reason) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            proposal_id,
            happened.at_ms,
            happened.actor,
            happened.action,
            happened.what,
            happened.add_percent,
            happened.due_ms,
            happened.reason
        ],
    )?;
    Ok(())
}

/// The history of a proposal, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn history(db: &Connection, proposal_id: i64) -> Result<Vec<Happened>> {
    let mut statement = db.prepare_cached(
        "SELECT at_ms, actor, action, what, add_percent, due_ms, reason FROM capacity_proposal_events \
         WHERE proposal_id = ?1 ORDER BY id",
    )?;
    let rows = statement.query_map([proposal_id], |row| {
        Ok(Happened {
            at_ms: row.get(0)?,
            actor: row.get(1)?,
            action: row.get(2)?,
            what: row.get(3)?,
            add_percent: row.get(4)?,
            due_ms: row.get(5)?,
            reason: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

struct Texts {
    kind: String,
    status: String,
    evidence: String,
}

type Raw = (Proposal, Texts);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    let evidence = Evidence {
        made_at_ms: 0,
        known_hours: 0,
        current_percent: None,
        threshold_percent: 0.0,
        trend_percent_per_day: 0.0,
        need_percent: 0.0,
        earliest_ms: None,
        likely_ms: None,
        latest_ms: None,
        model: String::new(),
        coverage: None,
    };
    let draft = Draft {
        key: ResourceKey { instance: row.get(1)?, kind: ResourceKind::Filesystem, item: row.get(3)? },
        add_percent: row.get(6)?,
        full: row.get(7)?,
        due_ms: row.get(8)?,
        evidence,
    };
    let proposal = Proposal {
        id: row.get(0)?,
        status: Status::Open,
        what: row.get(5)?,
        draft,
        created_at_ms: row.get(10)?,
        changed_at_ms: row.get(11)?,
    };
    Ok((proposal, Texts { kind: row.get(2)?, status: row.get(4)?, evidence: row.get(9)? }))
}

fn read((mut proposal, texts): Raw) -> Result<Proposal> {
    proposal.draft.key.kind = ResourceKind::from_code(&texts.kind)
        .ok_or_else(|| corrupt("capacity_proposals.resource", &texts.kind))?;
    proposal.status = Status::from_code(&texts.status)
        .ok_or_else(|| corrupt("capacity_proposals.status", &texts.status))?;
    proposal.draft.evidence =
        serde_json::from_str(&texts.evidence).map_err(|e| corrupt("capacity_proposals.evidence", e))?;
    Ok(proposal)
}

/// A proposal by its number.
///
/// # Errors
/// If the statement fails.
pub fn get(db: &Connection, id: i64) -> Result<Option<Proposal>> {
    let sql = format!("SELECT {COLUMNS} FROM capacity_proposals WHERE id = ?1");
    db.query_row(&sql, [id], raw).optional()?.map(read).transpose()
}

/// The newest proposal of a component.
///
/// # Errors
/// If the statement fails.
pub fn newest_of(db: &Connection, key: &ResourceKey) -> Result<Option<Proposal>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM capacity_proposals WHERE instance = ?1 AND resource = ?2 AND item = ?3 \
         ORDER BY id DESC LIMIT 1"
    ))?;
    let found = statement.query_row(params![key.instance, key.kind.code(), key.item], raw).optional()?;
    found.map(read).transpose()
}

/// Proposals, newest first; of one status or of all.
///
/// # Errors
/// If the statement fails.
pub fn list(db: &Connection, status: Option<Status>, limit: u32) -> Result<Vec<Proposal>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM capacity_proposals WHERE ?1 = '' OR status = ?1 ORDER BY id DESC LIMIT ?2"
    ))?;
    let rows = statement
        .query_map(params![status.map_or("", Status::code), limit], raw)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(read).collect()
}
