//! Asks a service at a fixed pace from this server and keeps every answer.
//!
//! Invariants: questions start at the pace even while earlier ones hang, up to [`MAX_IN_FLIGHT`]; each goes over a new
//! connection, as a new client's would; the raw trace is written down every [`FLUSH`], so that a crash loses little.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::measure::{Answer, Measurement, Point, is_stable, measure, measure_rest};
use super::plan::{HttpExpectation, Probe};
use crate::records::{Records, drills};
use crate::time::{Millis, millis, now_ms};

/// Questions of one probe that may be open at once.
const MAX_IN_FLIGHT: usize = 64;
/// How often the raw trace is written down.
const FLUSH: Duration = Duration::from_secs(2);
/// Points of one probe that are kept in memory and written; further ones end the recording.
const MAX_POINTS: usize = 200_000;
/// Bytes of an answer that are looked at.
const MAX_BODY_BYTES: usize = 64 * 1_024;

#[derive(Debug, Default)]
struct Trace {
    points: Vec<Point>,
    in_flight: BTreeSet<Millis>,
    written: usize,
}

#[derive(Debug)]
struct Track {
    probe: Probe,
    trace: Mutex<Trace>,
}

impl Track {
    fn with<T>(&self, work: impl FnOnce(&mut Trace) -> T) -> T {
        work(&mut self.trace.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Probes of one drill, asking until dropped.
#[derive(Debug)]
pub(super) struct Prober {
    tracks: Vec<Arc<Track>>,
    records: Records,
    drill_id: String,
    // Dropping the set ends the tasks.
    tasks: JoinSet<()>,
}

impl Prober {
    /// Starts to ask.
    pub(super) fn start(probes: &[Probe], records: Records, drill_id: &str) -> anyhow::Result<Self> {
        let client = client()?;
        let mut tasks = JoinSet::new();
        let tracks: Vec<Arc<Track>> = probes
            .iter()
            .map(|probe| Arc::new(Track { probe: probe.clone(), trace: Mutex::default() }))
            .collect();
        for track in &tracks {
            tasks.spawn(ask_at_pace(Arc::clone(track), client.clone()));
        }
        tasks.spawn(flush_at_pace(tracks.clone(), records.clone(), drill_id.to_owned()));
        Ok(Self { tracks, records, drill_id: drill_id.to_owned(), tasks })
    }

    /// Names of probes that are not stable since `after_ms`.
    pub(super) fn unstable(&self, after_ms: Millis, stable_ms: Millis) -> Vec<String> {
        self.tracks
            .iter()
            .filter(|track| {
                let interval = millis(track.probe.interval);
                track.with(|trace| !is_stable(&trace.points, interval, after_ms, stable_ms))
            })
            .map(|track| track.probe.name.clone())
            .collect()
    }

    /// Names of probes that have failed since they started, or have not answered yet.
    pub(super) fn unhealthy(&self) -> Vec<String> {
        let bad =
            |trace: &mut Trace| trace.points.is_empty() || trace.points.iter().any(|point| !point.good());
        self.tracks.iter().filter(|track| track.with(bad)).map(|track| track.probe.name.clone()).collect()
    }

    /// What each probe measured between the fault and `until_ms`; waits for the questions that are still open.
    pub(super) async fn measure(&self, fault_ms: Millis, until_ms: Millis) -> Vec<Measurement> {
        self.await_open(until_ms).await;
        self.tracks
            .iter()
            .map(|track| {
                let points = track.with(|trace| trace.points.clone());
                let (name, interval) = (&track.probe.name, millis(track.probe.interval));
                measure(name, interval, &points, fault_ms, until_ms)
            })
            .collect()
    }

    /// What each probe measured between `from_ms`, where the measurements `before` ended, and `until_ms`.
    pub(super) async fn measure_rest(
        &self,
        before: &[Measurement],
        from_ms: Millis,
        until_ms: Millis,
    ) -> Vec<Measurement> {
        self.await_open(until_ms).await;
        let of = |one: &Measurement| {
            let track = self.tracks.iter().find(|track| track.probe.name == one.probe)?;
            let points = track.with(|trace| trace.points.clone());
            Some(measure_rest(one, &points, from_ms, until_ms))
        };
        before.iter().filter_map(of).collect()
    }

    /// Waits for the questions that began before `until_ms` and are still open.
    async fn await_open(&self, until_ms: Millis) {
        let longest = self.tracks.iter().map(|track| track.probe.http.timeout).max().unwrap_or_default();
        let deadline = Instant::now() + longest + Duration::from_millis(500);
        let open = |track: &Arc<Track>| {
            track.with(|trace| trace.in_flight.first().is_some_and(|first| *first <= until_ms))
        };
        while self.tracks.iter().any(open) && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks no more, and writes down what is not written yet.
    pub(super) async fn finish(mut self) -> anyhow::Result<()> {
        // The flushing task must be gone, or a part could be written twice.
        self.tasks.shutdown().await;
        flush(&self.tracks, &self.records, &self.drill_id).await
    }
}

/// A client that opens a new connection for each request and follows no redirect.
pub(super) fn client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("siaga/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot make an HTTP client")
}

async fn ask_at_pace(track: Arc<Track>, client: reqwest::Client) {
    let mut ticks = tokio::time::interval(track.probe.interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut questions = JoinSet::new();
    loop {
        ticks.tick().await;
        while questions.try_join_next().is_some() {}
        if questions.len() >= MAX_IN_FLIGHT || track.with(|trace| trace.points.len() >= MAX_POINTS) {
            continue;
        }
        let (track, client) = (Arc::clone(&track), client.clone());
        questions.spawn(async move {
            let (at_ms, started) = (now_ms(), Instant::now());
            track.with(|trace| trace.in_flight.insert(at_ms));
            let answer = ask(&client, &track.probe.http).await;
            let took = u32::try_from(started.elapsed().as_millis()).unwrap_or(u32::MAX);
            track.with(|trace| {
                trace.in_flight.remove(&at_ms);
                trace.points.push(Point(at_ms, took, answer));
            });
        });
    }
}

/// One question.
pub(super) async fn ask(client: &reqwest::Client, wanted: &HttpExpectation) -> Answer {
    let question = async {
        let mut response = match client.get(wanted.url.clone()).send().await {
            Ok(response) => response,
            Err(error) if error.is_timeout() => return Answer::Timeout,
            Err(error) if error.is_connect() => return Answer::Connect,
            Err(_) => return Answer::Broken,
        };
        if response.status().as_u16() != wanted.status {
            return Answer::Status(response.status().as_u16());
        }
        let Some(text) = &wanted.body_contains else { return Answer::Good };
        let mut body = Vec::new();
        while body.len() < MAX_BODY_BYTES {
            match response.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => break,
                Err(_) => return Answer::Broken,
            }
        }
        if String::from_utf8_lossy(&body).contains(text.as_str()) { Answer::Good } else { Answer::Body }
    };
    tokio::time::timeout(wanted.timeout, question).await.unwrap_or(Answer::Timeout)
}

async fn flush_at_pace(tracks: Vec<Arc<Track>>, records: Records, drill_id: String) {
    loop {
        tokio::time::sleep(FLUSH).await;
        if let Err(error) = flush(&tracks, &records, &drill_id).await {
            tracing::error!(
                drill.id = drill_id,
                error = format!("{error:#}"),
                "cannot write down the raw trace"
            );
        }
    }
}

async fn flush(tracks: &[Arc<Track>], records: &Records, drill_id: &str) -> anyhow::Result<()> {
    for track in tracks {
        let fresh = track.with(|trace| trace.points[trace.written..].to_vec());
        if fresh.is_empty() {
            continue;
        }
        let (id, name, points) =
            (drill_id.to_owned(), track.probe.name.clone(), serde_json::to_string(&fresh)?);
        records.run(move |db| drills::add_trace(db, &id, &name, &points)).await?;
        track.with(|trace| trace.written += fresh.len());
    }
    Ok(())
}
