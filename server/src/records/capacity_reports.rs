//! Rows of the texts that planners write into periodic reports.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::Result;
use crate::time::Millis;

/// Writes a text of a report; an empty one takes it back, so that Siaga's draft stands again.
///
/// # Errors
/// If the statement fails.
pub fn write(
    db: &Connection,
    (period, section): (&str, &str),
    text: &str,
    by: &str,
    now_ms: Millis,
) -> Result<()> {
    if text.is_empty() {
        db.execute(
            "DELETE FROM capacity_report_texts WHERE period = ?1 AND section = ?2",
            params![period, section],
        )?;
        return Ok(());
    }
    db.execute(
        "INSERT INTO capacity_report_texts (period, section, text, written_at_ms, written_by) \
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (period, section) DO UPDATE SET text = excluded.text, \
         written_at_ms = excluded.written_at_ms, written_by = excluded.written_by",
        params![period, section, text, now_ms, by],
    )?;
    Ok(())
}

/// The texts of a period by section.
///
/// # Errors
/// If the statement fails.
pub fn texts(db: &Connection, period: &str) -> Result<BTreeMap<String, String>> {
    let mut statement =
        db.prepare_cached("SELECT section, text FROM capacity_report_texts WHERE period = ?1")?;
    let rows = statement.query_map([period], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
