//! Rows of scores: what came of forecasts. The forecasts that are due for one are found here too.

use rusqlite::{Connection, Row, ToSql, params};

use super::Result;
use super::forecasts::{COLUMNS, Texts, corrupt, evaluation, read};
use crate::capacity::{Evaluation, Foretold, ResourceKey, ResourceKind, Score};
use crate::time::{DAY_MS, Millis};

/// Forecasts with a distance of `days` that fell due within `window` and have no score yet: the first of each day of
/// each component, oldest first, at most `limit`.
///
/// # Errors
/// If the statement fails.
pub fn due(db: &Connection, days: u16, window: (Millis, Millis), limit: u32) -> Result<Vec<Evaluation>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM forecasts f JOIN (SELECT MIN(id) AS id FROM forecasts \
         WHERE made IS NOT NULL AND made_at_ms >= ?1 AND made_at_ms <= ?2 AND data_end_ms <= ?3 \
         GROUP BY instance, resource, item, data_end_ms / {DAY_MS}) d ON d.id = f.id \
         WHERE NOT EXISTS (SELECT 1 FROM forecast_scores s WHERE s.instance = f.instance \
         AND s.resource = f.resource AND s.item = f.item AND s.made_day = f.data_end_ms / {DAY_MS} \
         AND s.days = ?4) ORDER BY f.id LIMIT ?5"
    ))?;
    let ahead = Millis::from(days) * DAY_MS;
    let (first, last) = (window.0 - ahead, window.1 - ahead);
    // Data end at most a little before the forecast is made; the time of making is what has an index.
    let rows = statement
        .query_map(params![first, last + DAY_MS, last, days, limit], evaluation)?
        .collect::<rusqlite::Result<Vec<(Evaluation, Texts)>>>()?;
    rows.into_iter().map(read).collect()
}

/// When an evaluation first saw a component at `threshold_percent` or above, after `from_ms` and up to `to_ms`.
///
/// # Errors
/// If the statement fails.
pub fn first_reached(
    db: &Connection,
    key: &ResourceKey,
    threshold_percent: f64,
    from_ms: Millis,
    to_ms: Millis,
) -> Result<Option<Millis>> {
    let mut statement = db.prepare_cached(
        "SELECT MIN(made_at_ms) FROM forecasts WHERE instance = ?1 AND resource = ?2 AND item = ?3 \
         AND made_at_ms > ?4 AND made_at_ms <= ?5 AND current_percent >= ?6",
    )?;
    let found = statement.query_row(
        params![key.instance, key.kind.code(), key.item, from_ms, to_ms, threshold_percent],
        |row| row.get(0),
    )?;
    Ok(found)
}

/// Stores a score; one that is there already stays.
///
/// # Errors
/// If the statement fails.
pub fn add(db: &Connection, score: &Score) -> Result<()> {
    let mut statement = db.prepare_cached(
        "INSERT INTO forecast_scores (instance, resource, item, made_day, days, due_at_ms, p10, p50, p90, \
         threshold_percent, last_percent, actual_percent, foretold, likely_ms, crossed_at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT DO NOTHING",
    )?;
    statement.execute(params![
        score.key.instance,
        score.key.kind.code(),
        score.key.item,
        score.made_day,
        score.days,
        score.due_at_ms,
        score.p10,
        score.p50,
        score.p90,
        score.threshold_percent,
        score.last_percent,
        score.actual_percent,
        score.foretold.code(),
        score.likely_ms,
        score.crossed_at_ms
    ])?;
    Ok(())
}

/// Of what scores are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Of<'a> {
    /// Everything.
    All,
    /// The components of a host.
    Instance(&'a str),
    /// One component.
    Component(&'a ResourceKey),
}

/// Scores that fell due from `since_ms` on, newest first, at most `limit`.
///
/// # Errors
/// If the statement fails.
pub fn list(db: &Connection, of: Of<'_>, since_ms: Millis, limit: u32) -> Result<Vec<Score>> {
    let mut values: Vec<&dyn ToSql> = vec![&since_ms, &limit];
    let kind = if let Of::Component(key) = of { key.kind.code() } else { "" };
    let condition = match &of {
        Of::All => "",
        Of::Instance(instance) => {
            values.push(instance);
            "AND instance = ?3"
        }
        Of::Component(key) => {
            values.extend([&key.instance as &dyn ToSql, &kind, &key.item]);
            "AND instance = ?3 AND resource = ?4 AND item = ?5"
        }
    };
    let mut statement = db.prepare_cached(&format!(
        "SELECT instance, resource, item, made_day, days, due_at_ms, p10, p50, p90, threshold_percent, \
         last_percent, actual_percent, foretold, likely_ms, crossed_at_ms FROM forecast_scores \
         WHERE due_at_ms >= ?1 {condition} ORDER BY due_at_ms DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(values.as_slice(), score)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter()
        .map(|(mut score, kind, foretold)| {
            score.key.kind =
                ResourceKind::from_code(&kind).ok_or_else(|| corrupt("forecast_scores.resource", &kind))?;
            score.foretold = Foretold::from_code(&foretold)
                .ok_or_else(|| corrupt("forecast_scores.foretold", &foretold))?;
            Ok(score)
        })
        .collect()
}

fn score(row: &Row<'_>) -> rusqlite::Result<(Score, String, String)> {
    let score = Score {
        key: ResourceKey { instance: row.get(0)?, kind: ResourceKind::Filesystem, item: row.get(2)? },
        made_day: row.get(3)?,
        days: row.get(4)?,
        due_at_ms: row.get(5)?,
        p10: row.get(6)?,
        p50: row.get(7)?,
        p90: row.get(8)?,
        threshold_percent: row.get(9)?,
        last_percent: row.get(10)?,
        actual_percent: row.get(11)?,
        foretold: Foretold::Quiet,
        likely_ms: row.get(13)?,
        crossed_at_ms: row.get(14)?,
    };
    Ok((score, row.get(1)?, row.get(12)?))
}

/// Forgets scores that fell due before `before_ms`.
///
/// # Errors
/// If the statement fails.
pub fn prune(db: &Connection, before_ms: Millis) -> Result<usize> {
    Ok(db.execute("DELETE FROM forecast_scores WHERE due_at_ms < ?1", [before_ms])?)
}
