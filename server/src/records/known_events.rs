//! Rows of events that are known beforehand.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Result;
use super::forecasts::corrupt;
use crate::capacity::{EventCategory, KnownEvent, NewEvent};
use crate::time::Millis;

/// What storing an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is new.
    Added,
    /// It was there and is different now.
    Changed,
    /// It was there as it is.
    Known,
}

const COLUMNS: &str = "id, category, name, from_ms, to_ms, source";

fn raw(row: &Row<'_>) -> rusqlite::Result<(KnownEvent, String)> {
    let event = KnownEvent {
        id: Some(row.get(0)?),
        category: EventCategory::Other,
        name: row.get(2)?,
        from_ms: row.get(3)?,
        to_ms: row.get(4)?,
        source: row.get(5)?,
    };
    Ok((event, row.get(1)?))
}

fn read((mut event, category): (KnownEvent, String)) -> Result<KnownEvent> {
    event.category =
        EventCategory::from_code(&category).ok_or_else(|| corrupt("known_events.category", &category))?;
    Ok(event)
}

/// Stores an event by its `uid`.
///
/// # Errors
/// If a statement fails.
pub fn store(db: &Connection, event: &NewEvent, source: &str, by: &str, now_ms: Millis) -> Result<Stored> {
    let mut find = db.prepare_cached(&format!("SELECT {COLUMNS} FROM known_events WHERE uid = ?1"))?;
    let known = find.query_row([&event.uid], raw).optional()?.map(read).transpose()?;
    if let Some(known) = &known {
        let same =
            (known.category, known.from_ms, known.to_ms) == (event.category, event.from_ms, event.to_ms);
        if same && known.name == event.name {
            return Ok(Stored::Known);
        }
    }
    db.execute(
        "INSERT INTO known_events (uid, category, name, from_ms, to_ms, source, added_at_ms, added_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (uid) DO UPDATE SET category = excluded.category, \
         name = excluded.name, from_ms = excluded.from_ms, to_ms = excluded.to_ms, source = excluded.source, \
         added_at_ms = excluded.added_at_ms, added_by = excluded.added_by",
        params![
            event.uid,
            event.category.code(),
            event.name,
            event.from_ms,
            event.to_ms,
            source,
            now_ms,
            by
        ],
    )?;
    Ok(if known.is_some() { Stored::Changed } else { Stored::Added })
}

/// Events that touch a stretch of time, in its order, at most `limit`.
///
/// # Errors
/// If the statement fails.
pub fn list(db: &Connection, from_ms: Millis, to_ms: Millis, limit: u32) -> Result<Vec<KnownEvent>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM known_events WHERE to_ms >= ?1 AND from_ms <= ?2 ORDER BY from_ms, id LIMIT ?3"
    ))?;
    let rows =
        statement.query_map(params![from_ms, to_ms, limit], raw)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(read).collect()
}

/// How many there are.
///
/// # Errors
/// If the statement fails.
pub fn count(db: &Connection) -> Result<usize> {
    let count: i64 = db.query_row("SELECT COUNT(*) FROM known_events", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Deletes an event and gives its name; nothing if it is not there.
///
/// # Errors
/// If the statement fails.
pub fn delete(db: &Connection, id: i64) -> Result<Option<String>> {
    let sql = "DELETE FROM known_events WHERE id = ?1 RETURNING name";
    Ok(db.query_row(sql, [id], |row| row.get(0)).optional()?)
}
