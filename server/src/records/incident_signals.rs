//! Rows of signals: each belongs to one incident and keeps its start and end as evidence.

use rusqlite::{Connection, Row, params};

use super::Result;
use super::incidents::coded;
use crate::incidents::{Cause, Grade, Impact, Severity, Signal, SignalSource, Urgency};
use crate::time::Millis;

/// A stored signal.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSignal {
    /// Identifier.
    pub id: String,
    /// Incident.
    pub incident_id: String,
    /// Who reported it.
    pub source: SignalSource,
    /// Key within the source.
    pub key: String,
    /// How bad.
    pub severity: Severity,
    /// Impact and urgency.
    pub grade: Grade,
    /// One line, Indonesian.
    pub title_id: String,
    /// One line, English.
    pub title_en: String,
    /// What was seen last, Indonesian.
    pub detail_id: String,
    /// What was seen last, English.
    pub detail_en: String,
    /// Last figure.
    pub value: Option<f64>,
    /// When it began.
    pub started_at_ms: Millis,
    /// When it ended.
    pub ended_at_ms: Option<Millis>,
    /// How often it began, counting returns within the hold time.
    pub occurrences: i64,
}

impl StoredSignal {
    /// Whether a report says anything new.
    #[must_use]
    pub fn differs(&self, signal: &Signal, grade: Grade) -> bool {
        self.ended_at_ms.is_some()
            || self.severity != signal.severity
            || self.grade != grade
            || self.title_id != signal.title_id
            || self.title_en != signal.title_en
            || self.detail_id != signal.detail_id
            || self.detail_en != signal.detail_en
    }
}

const COLUMNS: &str = "id, incident_id, source, key, severity, impact, urgency, title_id, title_en, detail_id, \
                       detail_en, value, started_at_ms, ended_at_ms, occurrences";

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredSignal> {
    Ok(StoredSignal {
        id: row.get(0)?,
        incident_id: row.get(1)?,
        source: coded(row, 2, SignalSource::from_code)?,
        key: row.get(3)?,
        severity: coded(row, 4, Severity::from_code)?,
        grade: Grade {
            impact: coded(row, 5, Impact::from_code)?,
            urgency: coded(row, 6, Urgency::from_code)?,
        },
        title_id: row.get(7)?,
        title_en: row.get(8)?,
        detail_id: row.get(9)?,
        detail_en: row.get(10)?,
        value: row.get(11)?,
        started_at_ms: row.get(12)?,
        ended_at_ms: row.get(13)?,
        occurrences: row.get(14)?,
    })
}

/// Signals that stand or ended since `since_ms`.
///
/// # Errors
/// If the statement fails.
pub fn standing_or_recent(db: &Connection, since_ms: Millis) -> Result<Vec<StoredSignal>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incident_signals WHERE ended_at_ms IS NULL OR ended_at_ms >= ?1 \
         ORDER BY ended_at_ms DESC"
    ))?;
    let rows = statement.query_map([since_ms], stored)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The newest signals of an incident, standing ones first.
///
/// # Errors
/// If the statement fails.
pub fn of_incident(db: &Connection, incident_id: &str, limit: u32) -> Result<Vec<StoredSignal>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incident_signals WHERE incident_id = ?1 \
         ORDER BY CASE WHEN ended_at_ms IS NULL THEN 0 ELSE 1 END, started_at_ms DESC, id LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![incident_id, limit], stored)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Adds a signal to an incident.
///
/// # Errors
/// If the statement fails.
pub fn insert(
    db: &Connection,
    id: &str,
    incident_id: &str,
    source: SignalSource,
    signal: &Signal,
    grade: Grade,
) -> Result<()> {
    db.prepare_cached(
        "INSERT INTO incident_signals (id, incident_id, source, key, severity, impact, urgency, title_id, title_en, \
         detail_id, detail_en, value, started_at_ms, occurrences) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 1)",
    )?
    .execute(params![
        id,
        incident_id,
        source.code(),
        signal.key,
        signal.severity.code(),
        grade.impact.code(),
        grade.urgency.code(),
        signal.title_id,
        signal.title_en,
        signal.detail_id,
        signal.detail_en,
        signal.value,
        signal.started_at_ms,
    ])?;
    Ok(())
}

/// Takes over what a signal says now. One that had ended stands again, which counts as a further occurrence.
///
/// # Errors
/// If the statement fails.
pub fn carry_on(db: &Connection, id: &str, signal: &Signal, grade: Grade) -> Result<()> {
    db.prepare_cached(
        "UPDATE incident_signals SET severity = ?2, impact = ?3, urgency = ?4, title_id = ?5, title_en = ?6, \
         detail_id = ?7, detail_en = ?8, value = ?9, \
         occurrences = occurrences + CASE WHEN ended_at_ms IS NULL THEN 0 ELSE 1 END, ended_at_ms = NULL \
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        signal.severity.code(),
        grade.impact.code(),
        grade.urgency.code(),
        signal.title_id,
        signal.title_en,
        signal.detail_id,
        signal.detail_en,
        signal.value,
    ])?;
    Ok(())
}

/// Notes that a signal is gone.
///
/// # Errors
/// If the statement fails.
pub fn end(db: &Connection, id: &str, now_ms: Millis) -> Result<()> {
    db.execute("UPDATE incident_signals SET ended_at_ms = ?2 WHERE id = ?1", params![id, now_ms])?;
    Ok(())
}

/// Causes that a signal of a source stands for, each with when it began.
///
/// # Errors
/// If the statement fails.
pub fn standing_causes(db: &Connection, source: SignalSource) -> Result<Vec<(Cause, Millis)>> {
    let mut statement = db.prepare_cached(
        "SELECT i.instance, i.component, s.started_at_ms FROM incident_signals s \
         JOIN incidents i ON i.id = s.incident_id WHERE s.source = ?1 AND s.ended_at_ms IS NULL",
    )?;
    let rows = statement.query_map([source.code()], |row| {
        Ok((Cause { instance: row.get(0)?, component: row.get(1)? }, row.get(2)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
