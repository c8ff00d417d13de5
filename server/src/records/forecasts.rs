//! Rows of forecasts: every evaluation, the newest of each resource with its paths, and the runs that made them.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde::{Deserialize, Serialize};

use super::{RecordsError, Result};
use crate::capacity::Standing;
use crate::capacity::{
    Crossing, Evaluation, HorizonPoint, Made, Paths, Remark, ResourceKey, ResourceKind, SignalMemory, State,
};
use crate::time::Millis;

/// The newest evaluation of a resource and the memory of its signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Latest {
    /// The evaluation.
    pub evaluation: Evaluation,
    /// Memory of the signal.
    pub memory: SignalMemory,
}

/// What a forecast says beyond its dates; one JSON column, because it is only ever read as a whole.
#[derive(Debug, Serialize, Deserialize)]
struct MadeColumn {
    breach: [f64; 3],
    model: String,
    mase: Option<f64>,
    smape: Option<f64>,
    coverage: Option<f64>,
    trend_percent_per_day: f64,
    significant: bool,
    remarks: Vec<Remark>,
    horizons: Vec<HorizonPoint>,
}

pub(super) fn corrupt(column: &'static str, reason: impl ToString) -> RecordsError {
    RecordsError::Corrupt { column, reason: reason.to_string() }
}

fn crossing_code(crossing: Crossing) -> &'static str {
    match crossing {
        Crossing::Past => "past",
        Crossing::Never => "never",
        Crossing::Within { .. } => "within",
    }
}

/// Stores an evaluation and makes it the newest of its resource.
///
/// # Errors
/// If a statement fails.
pub fn store(
    db: &Connection,
    evaluation: &Evaluation,
    paths: Option<&Paths>,
    memory: SignalMemory,
) -> Result<()> {
    let (crossing, made, reason) = match &evaluation.outcome {
        Ok(made) => {
            let column = MadeColumn {
                breach: made.breach,
                model: made.model.clone(),
                mase: made.mase,
                smape: made.smape,
                coverage: made.coverage,
                trend_percent_per_day: made.trend_percent_per_day,
                significant: made.significant,
                remarks: made.remarks.clone(),
                horizons: made.horizons.clone(),
            };
            let json = serde_json::to_string(&column).map_err(|e| corrupt("forecasts.made", e))?;
            (Some(made.crossing), Some(json), None)
        }
        Err(reason) => {
            let json = serde_json::to_string(reason).map_err(|e| corrupt("forecasts.reason", e))?;
            (None, None, Some(json))
        }
    };
    let (earliest, likely, latest) = match crossing {
        Some(Crossing::Within { earliest_ms, likely_ms, latest_ms }) => (earliest_ms, likely_ms, latest_ms),
        _ => (None, None, None),
    };
    let key = &evaluation.key;
    let mut insert = db.prepare_cached(
        "INSERT INTO forecasts (instance, resource, item, made_at_ms, data_end_ms, known_hours, full_value, \
         threshold_percent, current_percent, state, reason, crossing, earliest_ms, likely_ms, latest_ms, made) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16) RETURNING id",
    )?;
    let id: i64 = insert.query_row(
        params![
            key.instance,
            key.kind.code(),
            key.item,
            evaluation.made_at_ms,
            evaluation.data_end_ms,
            evaluation.known_hours,
            evaluation.full,
            evaluation.threshold_percent,
            evaluation.current_percent,
            evaluation.state.code(),
            reason,
            crossing.map(crossing_code),
            earliest,
            likely,
            latest,
            made
        ],
        |row| row.get(0),
    )?;
    let mut upsert = db.prepare_cached(
        "INSERT INTO forecast_latest (instance, resource, item, forecast_id, running, counted_ms, since_ms, \
         paths_start_ms, paths, peaks) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (instance, resource, item) DO UPDATE SET forecast_id = excluded.forecast_id, \
         running = excluded.running, counted_ms = excluded.counted_ms, since_ms = excluded.since_ms, \
         paths_start_ms = excluded.paths_start_ms, paths = excluded.paths, peaks = excluded.peaks",
    )?;
    upsert.execute(params![
        key.instance,
        key.kind.code(),
        key.item,
        id,
        memory.running,
        memory.counted_ms,
        memory.since_ms,
        paths.map(|paths| paths.start_ms),
        paths.map(|paths| to_blob(hours(paths))),
        paths.map(|paths| to_blob(paths.peaks.iter().copied()))
    ])?;
    // What said only why there is no forecast holds nobody to account: the newest is enough.
    let mut forget = db.prepare_cached(
        "DELETE FROM forecasts WHERE instance = ?1 AND resource = ?2 AND item = ?3 AND made IS NULL AND id <> ?4",
    )?;
    forget.execute(params![key.instance, key.kind.code(), key.item, id])?;
    Ok(())
}

/// The three paths side by side, hour by hour.
fn hours(paths: &Paths) -> impl Iterator<Item = [f64; 3]> {
    paths.p10.iter().zip(&paths.p50).zip(&paths.p90).map(|((a, b), c)| [*a, *b, *c])
}

/// Triples as 32-bit floats: a percentage needs no more.
fn to_blob(triples: impl Iterator<Item = [f64; 3]>) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, reason = "seven digits of a percentage are plenty")]
    triples.flatten().flat_map(|value| (value as f32).to_le_bytes()).collect()
}

fn from_blob(blob: &[u8]) -> Vec<[f64; 3]> {
    let values = blob.as_chunks::<4>().0.iter().map(|bytes| f64::from(f32::from_le_bytes(*bytes)));
    let values: Vec<f64> = values.collect();
    values.as_chunks::<3>().0.to_vec()
}

fn to_paths(start_ms: Millis, hours: &[u8], peaks: Option<Vec<u8>>) -> Paths {
    let hours = from_blob(hours);
    let path = |which: usize| hours.iter().map(|hour| hour[which]).collect();
    let peaks = peaks.map(|blob| from_blob(&blob)).unwrap_or_default();
    Paths { start_ms, p10: path(0), p50: path(1), p90: path(2), peaks }
}

pub(super) const COLUMNS: &str = "f.instance, f.resource, f.item, f.made_at_ms, f.data_end_ms, f.known_hours, f.full_value, \
                       f.threshold_percent, f.current_percent, f.state, f.reason, f.crossing, f.earliest_ms, \
                       f.likely_ms, f.latest_ms, f.made";

/// The columns that are text to be read after the row was.
pub(super) struct Texts {
    kind: String,
    state: String,
    reason: Option<String>,
    crossing: Option<String>,
    dates: [Option<Millis>; 3],
    made: Option<String>,
}

pub(super) fn evaluation(row: &Row<'_>) -> rusqlite::Result<(Evaluation, Texts)> {
    let evaluation = Evaluation {
        key: ResourceKey { instance: row.get(0)?, kind: ResourceKind::Filesystem, item: row.get(2)? },
        made_at_ms: row.get(3)?,
        data_end_ms: row.get(4)?,
        known_hours: row.get(5)?,
        full: row.get(6)?,
        threshold_percent: row.get(7)?,
        current_percent: row.get(8)?,
        standing: Standing::Late { at_ms: row.get(3)? },
        state: State::Unknown,
        outcome: Err(crate::capacity::Reason::plain("unusable")),
    };
    let texts = Texts {
        kind: row.get(1)?,
        state: row.get(9)?,
        reason: row.get(10)?,
        crossing: row.get(11)?,
        dates: [row.get(12)?, row.get(13)?, row.get(14)?],
        made: row.get(15)?,
    };
    Ok((evaluation, texts))
}

pub(super) fn read((mut evaluation, texts): (Evaluation, Texts)) -> Result<Evaluation> {
    evaluation.key.kind =
        ResourceKind::from_code(&texts.kind).ok_or_else(|| corrupt("forecasts.resource", &texts.kind))?;
    evaluation.state =
        State::from_code(&texts.state).ok_or_else(|| corrupt("forecasts.state", &texts.state))?;
    evaluation.outcome = match (texts.made, texts.reason) {
        (Some(json), _) => {
            let column: MadeColumn = serde_json::from_str(&json).map_err(|e| corrupt("forecasts.made", e))?;
            let [earliest_ms, likely_ms, latest_ms] = texts.dates;
            Ok(Made {
                crossing: match texts.crossing.as_deref() {
                    Some("past") => Crossing::Past,
                    Some("within") => Crossing::Within { earliest_ms, likely_ms, latest_ms },
                    _ => Crossing::Never,
                },
                breach: column.breach,
                model: column.model,
                mase: column.mase,
                smape: column.smape,
                coverage: column.coverage,
                trend_percent_per_day: column.trend_percent_per_day,
                significant: column.significant,
                remarks: column.remarks,
                horizons: column.horizons,
            })
        }
        (None, Some(json)) => Err(serde_json::from_str(&json).map_err(|e| corrupt("forecasts.reason", e))?),
        (None, None) => return Err(corrupt("forecasts.made", "neither forecast nor reason")),
    };
    Ok(evaluation)
}

fn with_memory(row: &Row<'_>) -> rusqlite::Result<((Evaluation, Texts), SignalMemory)> {
    let memory = SignalMemory { running: row.get(16)?, counted_ms: row.get(17)?, since_ms: row.get(18)? };
    Ok((evaluation(row)?, memory))
}

/// The newest evaluation of every resource.
///
/// # Errors
/// If the statement fails.
pub fn latest(db: &Connection) -> Result<Vec<Latest>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS}, l.running, l.counted_ms, l.since_ms FROM forecast_latest l \
         JOIN forecasts f ON f.id = l.forecast_id ORDER BY l.instance, l.resource, l.item"
    ))?;
    let rows = statement.query_map([], with_memory)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(|(row, memory)| Ok(Latest { evaluation: read(row)?, memory })).collect()
}

/// The newest evaluation of one resource, with its paths.
///
/// # Errors
/// If the statement fails.
pub fn one(db: &Connection, key: &ResourceKey) -> Result<Option<(Latest, Option<Paths>)>> {
    let found = db
        .query_row(
            &format!(
                "SELECT {COLUMNS}, l.running, l.counted_ms, l.since_ms, l.paths_start_ms, l.paths, l.peaks \
                 FROM forecast_latest l JOIN forecasts f ON f.id = l.forecast_id \
                 WHERE l.instance = ?1 AND l.resource = ?2 AND l.item = ?3"
            ),
            params![key.instance, key.kind.code(), key.item],
            |row| {
                let (start, blob): (Option<Millis>, Option<Vec<u8>>) = (row.get(19)?, row.get(20)?);
                let peaks: Option<Vec<u8>> = row.get(21)?;
                Ok((with_memory(row)?, start.zip(blob).map(|(start, hours)| to_paths(start, &hours, peaks))))
            },
        )
        .optional()?;
    let Some(((row, memory), paths)) = found else { return Ok(None) };
    Ok(Some((Latest { evaluation: read(row)?, memory }, paths)))
}

/// Past evaluations of one resource, newest first.
///
/// # Errors
/// If the statement fails.
pub fn past(db: &Connection, key: &ResourceKey, limit: u32) -> Result<Vec<Evaluation>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM forecasts f WHERE f.instance = ?1 AND f.resource = ?2 AND f.item = ?3 \
         ORDER BY f.id DESC LIMIT ?4"
    ))?;
    let rows = statement
        .query_map(params![key.instance, key.kind.code(), key.item, limit], evaluation)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(read).collect()
}

/// Takes the resources of a host that are not in `kept` out of the newest; their past evaluations stay.
///
/// # Errors
/// If a statement fails.
pub fn keep_only(db: &Connection, instance: &str, kept: &[ResourceKey]) -> Result<()> {
    let mut statement =
        db.prepare_cached("SELECT resource, item FROM forecast_latest WHERE instance = ?1")?;
    let known = statement
        .query_map([instance], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<(String, String)>>>()?;
    for (resource, item) in known {
        if !kept.iter().any(|key| key.kind.code() == resource && key.item == item) {
            db.execute(
                "DELETE FROM forecast_latest WHERE instance = ?1 AND resource = ?2 AND item = ?3",
                params![instance, resource, item],
            )?;
        }
    }
    Ok(())
}

/// Instances that have a newest evaluation.
///
/// # Errors
/// If the statement fails.
pub fn instances(db: &Connection) -> Result<Vec<String>> {
    let mut statement =
        db.prepare_cached("SELECT DISTINCT instance FROM forecast_latest ORDER BY instance")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A run over all hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Run {
    /// Start.
    pub started_at_ms: Millis,
    /// Duration in milliseconds.
    pub duration_ms: i64,
    /// Hosts looked at.
    pub hosts: i64,
    /// Resources evaluated.
    pub resources: i64,
    /// Resources without a forecast.
    pub refused: i64,
    /// Hosts whose series could not be read.
    pub failed_hosts: i64,
}

/// Adds a run.
///
/// # Errors
/// If the statement fails.
pub fn add_run(db: &Connection, run: &Run) -> Result<()> {
    db.execute(
        "INSERT INTO forecast_runs (started_at_ms, duration_ms, hosts, resources, refused, failed_hosts) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![run.started_at_ms, run.duration_ms, run.hosts, run.resources, run.refused, run.failed_hosts],
    )?;
    Ok(())
}

/// The last run.
///
/// # Errors
/// If the statement fails.
pub fn last_run(db: &Connection) -> Result<Option<Run>> {
    let run = db.query_row(
        "SELECT started_at_ms, duration_ms, hosts, resources, refused, failed_hosts FROM forecast_runs \
         ORDER BY id DESC LIMIT 1",
        [],
        |row| {
            Ok(Run {
                started_at_ms: row.get(0)?,
                duration_ms: row.get(1)?,
                hosts: row.get(2)?,
                resources: row.get(3)?,
                refused: row.get(4)?,
                failed_hosts: row.get(5)?,
            })
        },
    );
    Ok(run.optional()?)
}

/// Forgets evaluations and runs made before `before_ms`, except the newest of each resource.
///
/// # Errors
/// If a statement fails.
pub fn prune(db: &Connection, before_ms: Millis) -> Result<usize> {
    let gone = db.execute(
        "DELETE FROM forecasts WHERE made_at_ms < ?1 AND id NOT IN (SELECT forecast_id FROM forecast_latest)",
        [before_ms],
    )?;
    db.execute("DELETE FROM forecast_runs WHERE started_at_ms < ?1", [before_ms])?;
    Ok(gone)
}

#[cfg(test)]
#[path = "forecasts_tests.rs"]
mod tests;
