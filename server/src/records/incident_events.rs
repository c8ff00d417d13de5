//! Rows of the history of incidents. Rows are only ever added.

use rusqlite::{Connection, params};

use super::Result;
use super::incidents::coded;
use crate::incidents::EventKind;
use crate::time::Millis;

/// One entry of an incident's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at_ms: Millis,
    /// Who: `user:NAME` or `siaga`.
    pub actor: String,
    /// What happened.
    pub kind: EventKind,
    /// Further facts, Indonesian; for a note of a person the note itself.
    pub detail_id: String,
    /// Further facts, English; for a note of a person the note itself.
    pub detail_en: String,
}

/// Adds an entry.
///
/// # Errors
/// If the statement fails.
pub fn add(db: &Connection, incident_id: &str, event: &Event) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO incident_events (incident_id, at_ms, actor, kind, detail_id, detail_en) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        incident_id,
        event.at_ms,
        event.actor,
        event.kind.code(),
        event.detail_id,
        event.detail_en
    ])?;
    Ok(())
}

/// The newest entries of an incident, oldest of them first.
///
/// # Errors
/// If the statement fails.
pub fn of_incident(db: &Connection, incident_id: &str, limit: u32) -> Result<Vec<Event>> {
    let mut statement = db.prepare_cached(
        "SELECT at_ms, actor, kind, detail_id, detail_en FROM incident_events WHERE incident_id = ?1 \
         ORDER BY id DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![incident_id, limit], |row| {
        Ok(Event {
            at_ms: row.get(0)?,
            actor: row.get(1)?,
            kind: coded(row, 2, EventKind::from_code)?,
            detail_id: row.get(3)?,
            detail_en: row.get(4)?,
        })
    })?;
    let mut events = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    events.reverse();
    Ok(events)
}
