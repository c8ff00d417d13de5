//! Rows of incidents. Their signals and history lie in [`super::incident_signals`] and [`super::incident_events`].

use rusqlite::types::{ToSql, Type};
use rusqlite::{Connection, OptionalExtension as _, Row, params, params_from_iter};

use super::Result;
use crate::incidents::{Cause, Grade, Impact, Priority, State, Urgency};
use crate::time::Millis;

/// An incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Identifier.
    pub id: String,
    /// Number for people: `G-2026-0001`.
    pub number: String,
    /// What is broken.
    pub cause: Cause,
    /// Whether a person recorded it.
    pub manual: bool,
    /// State.
    pub state: State,
    /// Impact and urgency.
    pub grade: Grade,
    /// Priority.
    pub priority: Priority,
    /// One line, Indonesian.
    pub title_id: String,
    /// One line, English.
    pub title_en: String,
    /// What was seen, Indonesian.
    pub detail_id: String,
    /// What was seen, English.
    pub detail_en: String,
    /// When the disturbance began.
    pub started_at_ms: Millis,
    /// When the incident was opened.
    pub opened_at_ms: Millis,
    /// When its last signal went.
    pub quiet_since_ms: Option<Millis>,
    /// When it was resolved.
    pub resolved_at_ms: Option<Millis>,
    /// Who resolved it: `user:NAME` or `siaga`.
    pub resolved_by: Option<String>,
    /// How it was resolved.
    pub solution: String,
    /// User name of who handles it.
    pub handler: Option<String>,
}

const COLUMNS: &str = "id, number, instance, component, manual, state, impact, urgency, priority, title_id, title_en, \
                       detail_id, detail_en, started_at_ms, opened_at_ms, quiet_since_ms, resolved_at_ms, \
                       resolved_by, solution, handler";

/// Reads a column that holds a code.
pub(super) fn coded<T>(
    row: &Row<'_>,
    index: usize,
    from_code: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let code: String = row.get(index)?;
    from_code(&code).ok_or_else(|| {
        rusqlite::Error::FromSqlConversionFailure(index, Type::Text, format!("unknown code {code:?}").into())
    })
}

fn incident(row: &Row<'_>) -> rusqlite::Result<Incident> {
    Ok(Incident {
        id: row.get(0)?,
        number: row.get(1)?,
        cause: Cause { instance: row.get(2)?, component: row.get(3)? },
        manual: row.get::<_, i64>(4)? != 0,
        state: coded(row, 5, State::from_code)?,
        grade: Grade {
            impact: coded(row, 6, Impact::from_code)?,
            urgency: coded(row, 7, Urgency::from_code)?,
        },
        priority: coded(row, 8, Priority::from_code)?,
        title_id: row.get(9)?,
        title_en: row.get(10)?,
        detail_id: row.get(11)?,
        detail_en: row.get(12)?,
        started_at_ms: row.get(13)?,
        opened_at_ms: row.get(14)?,
        quiet_since_ms: row.get(15)?,
        resolved_at_ms: row.get(16)?,
        resolved_by: row.get(17)?,
        solution: row.get(18)?,
        handler: row.get(19)?,
    })
}

/// The next number of a year: year, running number, and both as people write them.
///
/// # Errors
/// If the statement fails.
pub fn next_number(db: &Connection, year: i16) -> Result<(i64, String)> {
    let seq: i64 =
        db.query_row("SELECT COALESCE(MAX(seq), 0) + 1 FROM incidents WHERE year = ?1", [year], |row| {
            row.get(0)
        })?;
    Ok((seq, format!("G-{year}-{seq:04}")))
}

/// Adds an incident; its number must come from [`next_number`] of the same transaction.
///
/// # Errors
/// If the statement fails, for example because the cause has an open incident.
pub fn insert(db: &Connection, incident: &Incident, year: i16, seq: i64) -> Result<()> {
    db.execute(
        "INSERT INTO incidents (id, number, year, seq, instance, component, manual, state, impact, urgency, priority, \
         title_id, title_en, detail_id, detail_en, started_at_ms, opened_at_ms, handler) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            incident.id,
            incident.number,
            year,
            seq,
            incident.cause.instance,
            incident.cause.component,
            i64::from(incident.manual),
            incident.state.code(),
            incident.grade.impact.code(),
            incident.grade.urgency.code(),
            incident.priority.code(),
            incident.title_id,
            incident.title_en,
            incident.detail_id,
            incident.detail_en,
            incident.started_at_ms,
            incident.opened_at_ms,
            incident.handler,
        ],
    )?;
    Ok(())
}

/// Replaces what may change of an incident.
///
/// # Errors
/// If the statement fails.
pub fn update(db: &Connection, incident: &Incident) -> Result<()> {
    db.prepare_cached(
        "UPDATE incidents SET state = ?2, impact = ?3, urgency = ?4, priority = ?5, title_id = ?6, title_en = ?7, \
         detail_id = ?8, detail_en = ?9, quiet_since_ms = ?10, resolved_at_ms = ?11, resolved_by = ?12, \
         solution = ?13, handler = ?14 WHERE id = ?1",
    )?
    .execute(params![
        incident.id,
        incident.state.code(),
        incident.grade.impact.code(),
        incident.grade.urgency.code(),
        incident.priority.code(),
        incident.title_id,
        incident.title_en,
        incident.detail_id,
        incident.detail_en,
        incident.quiet_since_ms,
        incident.resolved_at_ms,
        incident.resolved_by,
        incident.solution,
        incident.handler,
    ])?;
    Ok(())
}

/// Open incidents, those resolved since `since_ms`, and those that a signal still stands in.
///
/// # Errors
/// If the statement fails.
pub fn open_or_recent(db: &Connection, since_ms: Millis) -> Result<Vec<Incident>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM incidents WHERE resolved_at_ms IS NULL OR resolved_at_ms >= ?1 \
         OR id IN (SELECT incident_id FROM incident_signals WHERE ended_at_ms IS NULL)"
    ))?;
    let rows = statement.query_map([since_ms], incident)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The incident of a number.
///
/// # Errors
/// If the statement fails.
pub fn by_number(db: &Connection, number: &str) -> Result<Option<Incident>> {
    Ok(db
        .query_row(&format!("SELECT {COLUMNS} FROM incidents WHERE number = ?1"), [number], incident)
        .optional()?)
}

/// The open incident of a cause.
///
/// # Errors
/// If the statement fails.
pub fn open_by_cause(db: &Connection, cause: &Cause) -> Result<Option<Incident>> {
    Ok(db
        .query_row(
            &format!(
                "SELECT {COLUMNS} FROM incidents WHERE instance = ?1 AND component = ?2 AND resolved_at_ms IS NULL"
            ),
            params![cause.instance, cause.component],
            incident,
        )
        .optional()?)
}

/// Which states a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateFilter {
    /// Recorded or in handling.
    Open,
    /// One state.
    One(State),
}

impl StateFilter {
    /// Reads `open` or the code of a state.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        if code == "open" { Some(Self::Open) } else { State::from_code(code).map(Self::One) }
    }
}

/// What a list shows. Empty fields do not narrow it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// States.
    pub state: Option<StateFilter>,
    /// Host.
    pub instance: Option<String>,
    /// Priority.
    pub priority: Option<Priority>,
}

/// The conditions of a filter with their values, in order.
fn conditions(filter: &Filter) -> (String, Vec<Box<dyn ToSql>>) {
    let mut text = String::from("1 = 1");
    let mut values: Vec<Box<dyn ToSql>> = Vec::new();
    let mut equals = |column: &str, value: String, text: &mut String| {
        values.push(Box::new(value));
        text.push_str(&format!(" AND {column} = ?{}", values.len()));
    };
    match filter.state {
        Some(StateFilter::Open) => text.push_str(" AND resolved_at_ms IS NULL"),
        Some(StateFilter::One(state)) => equals("state", state.code().to_owned(), &mut text),
        None => {}
    }
    if let Some(instance) = &filter.instance {
        equals("instance", instance.clone(), &mut text);
    }
    if let Some(priority) = filter.priority {
        equals("priority", priority.code().to_owned(), &mut text);
    }
    (text, values)
}

fn select(db: &Connection, sql: &str, values: Vec<Box<dyn ToSql>>) -> Result<Vec<Incident>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params_from_iter(values), incident)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Incidents, newest first, older than the one numbered `after` if given.
///
/// # Errors
/// If the statement fails.
pub fn newest(db: &Connection, filter: &Filter, after: Option<&str>, limit: u32) -> Result<Vec<Incident>> {
    let (mut text, mut values) = conditions(filter);
    if let Some(after) = after {
        let place: Option<(i64, i64)> = db
            .query_row("SELECT year, seq FROM incidents WHERE number = ?1", [after], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let (year, seq) = place.unwrap_or((0, 0));
        values.push(Box::new(year));
        values.push(Box::new(seq));
        let count = values.len();
        text.push_str(&format!(" AND (year < ?{0} OR (year = ?{0} AND seq < ?{count}))", count - 1));
    }
    values.push(Box::new(limit));
    let sql = format!(
        "SELECT {COLUMNS} FROM incidents WHERE {text} ORDER BY year DESC, seq DESC LIMIT ?{}",
        values.len()
    );
    select(db, &sql, values)
}

/// Incidents as the helpdesk works on them: open ones first, by priority, the oldest first; then resolved ones, the
/// latest first.
///
/// # Errors
/// If the statement fails.
pub fn queue(db: &Connection, filter: &Filter, limit: u32, offset: u32) -> Result<Vec<Incident>> {
    let (text, mut values) = conditions(filter);
    values.push(Box::new(limit));
    values.push(Box::new(offset));
    let sql = format!(
        "SELECT {COLUMNS} FROM incidents WHERE {text} ORDER BY \
         CASE WHEN resolved_at_ms IS NULL THEN 0 ELSE 1 END, \
         CASE WHEN resolved_at_ms IS NOT NULL THEN 0 WHEN priority = 'high' THEN 1 WHEN priority = 'medium' THEN 2 \
         ELSE 3 END, COALESCE(-resolved_at_ms, started_at_ms), year, seq LIMIT ?{} OFFSET ?{}",
        values.len() - 1,
        values.len()
    );
    select(db, &sql, values)
}

/// Open incidents by priority.
///
/// # Errors
/// If the statement fails.
pub fn count_open(db: &Connection) -> Result<Vec<(Priority, u64)>> {
    let mut statement = db.prepare_cached(
        "SELECT priority, COUNT(*) FROM incidents WHERE resolved_at_ms IS NULL GROUP BY priority",
    )?;
    let rows = statement.query_map([], |row| {
        Ok((coded(row, 0, Priority::from_code)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0)))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
