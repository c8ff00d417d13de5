//! Rows that a drill writes through the service's own path, and what of them is there afterwards: the recovery point,
//! measured.
//!
//! Definitions: a row is *acknowledged* when the service said that it is kept; it is *lost* if it is not among those that
//! are read through the same path afterwards. The *recovery point* is the last acknowledged row before the first lost one;
//! the *RPO* is the time from its acknowledgement to that of the last lost row. Rows that were written without an answer
//! count as nothing, wherever they are. A row is named by the millisecond at which it was begun, so that the raw trace,
//! which is kept like that of a probe, says which rows they were.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::measure::{Answer, Point};
use super::plan::{Marker, MarkerPath};
use super::prober::client;
use crate::records::{Records, drills};
use crate::time::{Millis, now_ms};

/// Rows that may be open at once.
const MAX_IN_FLIGHT: usize = 16;
/// Rows of one drill.
const MAX_ROWS: usize = 200_000;
/// Bytes of the list of rows.
const MAX_LIST_BYTES: usize = 16 * 1_024 * 1_024;
/// Longest password.
const MAX_SECRET_BYTES: usize = 4_096;
/// How often the raw trace is written down.
const FLUSH: Duration = Duration::from_secs(2);

/// What was found of the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowCount {
    /// Name of the marker.
    pub marker: String,
    /// Time between two rows, milliseconds: the resolution of the time.
    pub interval_ms: Millis,
    /// Rows that were begun.
    pub written: usize,
    /// Rows that the service said it keeps.
    pub acknowledged: usize,
    /// Of these, those that are there; `None` if nobody could tell.
    pub found: Option<usize>,
    /// Of these, those that are not.
    pub lost: usize,
    /// From the recovery point to the last lost row, milliseconds; 0 if none is lost, `None` if nobody could tell.
    pub rpo_ms: Option<Millis>,
}

/// Compares what was acknowledged with what is there. Pure.
#[must_use]
pub fn compare(
    marker: &str,
    interval_ms: Millis,
    trace: &[Point],
    there: Option<&BTreeSet<Millis>>,
) -> RowCount {
    let mut kept: Vec<&Point> = trace.iter().filter(|point| point.good()).collect();
    kept.sort_by_key(|point| point.0);
    let is_lost = |point: &&&Point| there.is_some_and(|there| !there.contains(&point.0));
    let lost: Vec<&&Point> = kept.iter().filter(is_lost).collect();
    let rpo_ms = match (there, lost.first()) {
        (None, _) => None,
        (Some(_), None) => Some(0),
        (Some(_), Some(first)) => {
            let last_end = lost.iter().map(|point| point.end_ms()).max().unwrap_or(first.end_ms());
            let before = kept.iter().filter(|point| point.0 < first.0).map(|point| point.end_ms()).max();
            // Without a row before it, the first lost one is all that is known.
            Some(last_end - before.unwrap_or(first.0).min(first.end_ms()))
        }
    };
    RowCount {
        marker: marker.to_owned(),
        interval_ms,
        written: trace.len(),
        acknowledged: kept.len(),
        found: there.map(|_| kept.len() - lost.len()),
        lost: lost.len(),
        rpo_ms,
    }
}

#[derive(Debug, Default)]
struct Trace {
    points: Vec<Point>,
    written: usize,
}

#[derive(Debug)]
struct Track {
    marker: Marker,
    drill_id: String,
    client: reqwest::Client,
    trace: Mutex<Trace>,
}

impl Track {
    fn with<T>(&self, work: impl FnOnce(&mut Trace) -> T) -> T {
        work(&mut self.trace.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Writes rows until dropped.
#[derive(Debug)]
pub(super) struct Marks {
    track: Arc<Track>,
    records: Records,
    // Dropping the set ends the tasks.
    tasks: JoinSet<()>,
}

impl Marks {
    /// Starts to write.
    pub(super) fn start(marker: &Marker, records: Records, drill_id: &str) -> anyhow::Result<Self> {
        let (marker, drill_id) = (marker.clone(), drill_id.to_owned());
        let track = Arc::new(Track { marker, drill_id, client: client()?, trace: Mutex::default() });
        let mut tasks = JoinSet::new();
        tasks.spawn(write_at_pace(Arc::clone(&track)));
        tasks.spawn(flush_at_pace(Arc::clone(&track), records.clone()));
        Ok(Self { track, records, tasks })
    }

    /// Whether rows have been acknowledged, and all of them.
    pub(super) fn healthy(&self) -> bool {
        self.track.with(|trace| !trace.points.is_empty() && trace.points.iter().all(|point| point.good()))
    }

    /// Name of the marker.
    pub(super) fn name(&self) -> &str {
        &self.track.marker.name
    }

    /// Counts what was acknowledged up to now; where reading fails, it is tried again for `patience`.
    pub(super) async fn count(&self, patience: Duration) -> (RowCount, Option<String>) {
        // Rows that are acknowledged while it is read need not be in the answer.
        let points = self.track.with(|trace| trace.points.clone());
        let deadline = Instant::now() + patience;
        let there = loop {
            match read(&self.track, patience).await {
                Ok(there) => break Ok(there),
                Err(error) if Instant::now() > deadline => break Err(format!("{error:#}")),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        };
        let interval_ms = crate::time::millis(self.track.marker.interval);
        (compare(self.name(), interval_ms, &points, there.as_ref().ok()), there.err())
    }

    /// Writes no more, and writes down the rest of the raw trace.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        self.tasks.shutdown().await;
        flush(&self.track, &self.records).await
    }
}

async fn write_at_pace(track: Arc<Track>) {
    let mut ticks = tokio::time::interval(track.marker.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut rows, mut last) = (JoinSet::new(), 0);
    loop {
        ticks.tick().await;
        while rows.try_join_next().is_some() {}
        let row = now_ms();
        // The name of a row must be its own, also where the clock was set back.
        if rows.len() >= MAX_IN_FLIGHT || row <= last || track.with(|trace| trace.points.len() >= MAX_ROWS) {
            continue;
        }
        last = row;
        let track = Arc::clone(&track);
        rows.spawn(async move {
            let started = Instant::now();
            let written = tokio::time::timeout(track.marker.timeout, write(&track, row)).await;
            let answer = written.unwrap_or(Answer::Timeout);
            let took = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
            track.with(|trace| trace.points.push(Point(row, took, answer)));
        });
    }
}

async fn write(track: &Track, row: Millis) -> Answer {
    match &track.marker.path {
        MarkerPath::Http { write, .. } => {
            let body = serde_json::json!({ "drill": track.drill_id, "mark": row });
            match track.client.post(write.clone()).json(&body).send().await {
                Ok(response) if response.status().is_success() => Answer::Good,
                Ok(response) => Answer::Status(response.status().as_u16()),
                Err(error) if error.is_timeout() => Answer::Timeout,
                Err(error) if error.is_connect() => Answer::Connect,
                Err(_) => Answer::Broken,
            }
        }
        MarkerPath::Postgres { .. } => {
            let Ok(database) = database(&track.marker.path).await else { return Answer::Connect };
            let sql = crate::records::marker_rows::INSERT;
            match database.client.execute(sql, &[&track.drill_id, &row]).await {
                Ok(1) => Answer::Good,
                _ => Answer::Broken,
            }
        }
    }
}

/// All rows of the drill.
async fn read(track: &Track, limit: Duration) -> anyhow::Result<BTreeSet<Millis>> {
    let question = async {
        match &track.marker.path {
            MarkerPath::Http { read, .. } => {
                let mut url = read.clone();
                url.query_pairs_mut().append_pair("drill", &track.drill_id);
                let mut response = track.client.get(url).send().await?;
                ensure!(response.status().is_success(), "HTTP {}", response.status().as_u16());
                let mut body = Vec::new();
                while let Some(chunk) = response.chunk().await? {
                    body.extend_from_slice(&chunk);
                    ensure!(
                        body.len() <= MAX_LIST_BYTES,
                        "the list of rows is larger than {MAX_LIST_BYTES} bytes"
                    );
                }
                serde_json::from_slice(&body).context("the answer is no list of numbers")
            }
            MarkerPath::Postgres { .. } => {
                let database = database(&track.marker.path).await?;
                let rows =
                    database.client.query(crate::records::marker_rows::LIST, &[&track.drill_id]).await?;
                rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
            }
        }
    };
    tokio::time::timeout(limit, question).await.context("no answer in time")?
}

/// A connection of its own, as a new client's would be.
struct Database {
    client: tokio_postgres::Client,
    _connection: JoinSet<()>,
}

async fn database(path: &MarkerPath) -> anyhow::Result<Database> {
    let MarkerPath::Postgres { address, password_file } = path else { anyhow::bail!("no database") };
    let mut config: tokio_postgres::Config = address.parse()?;
    config.application_name("siaga");
    if let Some(file) = password_file {
        let text = tokio::fs::read(file).await.with_context(|| format!("cannot read {}", file.display()))?;
        ensure!(text.len() <= MAX_SECRET_BYTES, "{} is larger than {MAX_SECRET_BYTES} bytes", file.display());
        config.password(text.trim_ascii_end());
    }
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // Its end is seen by who asks.
        let _ = connection.await;
    });
    Ok(Database { client, _connection: tasks })
}

async fn flush_at_pace(track: Arc<Track>, records: Records) {
    loop {
        tokio::time::sleep(FLUSH).await;
        if let Err(error) = flush(&track, &records).await {
            tracing::error!(error = format!("{error:#}"), "cannot write down the raw trace of rows");
        }
    }
}

async fn flush(track: &Track, records: &Records) -> anyhow::Result<()> {
    let fresh = track.with(|trace| trace.points[trace.written..].to_vec());
    if fresh.is_empty() {
        return Ok(());
    }
    let (id, name) = (track.drill_id.clone(), track.marker.name.clone());
    let points = serde_json::to_string(&fresh)?;
    records.run(move |db| drills::add_trace(db, &id, &name, &points)).await?;
    track.with(|trace| trace.written += fresh.len());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows every 100 ms that take 5 ms; `+` is acknowledged, `-` is not.
    fn trace(text: &str) -> Vec<Point> {
        let answer = |letter| if letter == '+' { Answer::Good } else { Answer::Connect };
        (0..).zip(text.chars()).map(|(index, letter)| Point(index * 100, 5, answer(letter))).collect()
    }

    #[test]
    fn what_was_acknowledged_and_is_not_there_is_lost_and_its_time_is_the_recovery_point() {
        for (name, text, there, lost, rpo) in [
            ("nothing lost", "++++", "++++", 0, Some(0)),
            ("the last two before the fault", "++++--++", "++----++", 2, Some(200)),
            ("a row without an answer that is there", "+-++", "++++", 0, Some(0)),
            ("lost rows with one between them that is there", "+++++", "+-+-+", 2, Some(300)),
            ("all", "+++", "---", 3, Some(205)),
        ] {
            let there = trace(there).into_iter().filter(|point| point.good()).map(|point| point.0).collect();
            let found = compare("m", 100, &trace(text), Some(&there));
            assert_eq!((found.lost, found.rpo_ms), (lost, rpo), "{name}");
            assert_eq!(found.found, Some(found.acknowledged - lost), "{name}");
        }
        let unread = compare("m", 100, &trace("+++"), None);
        assert_eq!((unread.found, unread.rpo_ms, unread.acknowledged), (None, None, 3), "nothing is claimed");
    }
}
