//! A busy day of 300 series: what it takes on disk, and whether all of it comes out again, through the real sender, at a
//! receiver that was away: each sample once, none lost, none changed, at the rate that the configuration has by default,
//! while it goes on collecting.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::routing::any;
use siaga_agent::config::Config;
use siaga_agent::context::{Context, Running};
use siaga_agent::counters::Counters;
use siaga_agent::discovery::Discovery;
use siaga_agent::samples::Recorder;
use siaga_agent::sender;
use siaga_agent::spool::Spool;
use siaga_agent::state::Credentials;
use siaga_protocol::{paths, remote_write};
use tokio::sync::{Notify, watch};

use super::row;

const SERIES: usize = 300;
const COLLECTIONS: u32 = 24 * 3_600 / 15;
/// Collections that are made while the day is sent.
const LIVE: u32 = 20;
const LIVE_SERIES: &str = "node_example_live";

/// Times that a sample came, by itself: time, device and value.
type Seen = HashMap<u64, u32>;

fn key(time: i64, name: &str, value: f64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (time, name, value.to_bits()).hash(&mut hasher);
    hasher.finish()
}

/// The day, made up: a third clock ticks, a third bytes and packets that grow by random amounts, a third gauges of which
/// half move by random pages.
fn a_day(spool: &mut Spool) -> Seen {
    let (mut recorder, mut seed) = (Recorder::default(), 1_u64);
    let mut random = move |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let names: Vec<String> = (0..SERIES).map(|place| format!("node_example_{place}_total")).collect();
    let mut values = [0_u64; SERIES];
    let mut expected = Seen::with_capacity(SERIES * COLLECTIONS as usize);
    for collection in 0..COLLECTIONS {
        let time = i64::from(collection) * 15_000;
        recorder.begin();
        for (place, (value, name)) in values.iter_mut().zip(&names).enumerate() {
            match place % 6 {
                0 | 1 => *value += random(1_500),
                2 => *value += random(10_000_000),
                3 => *value += random(5_000),
                4 => *value = (1 << 32) + random(1 << 16) * 4_096,
                _ => *value = 1 << 33,
            }
            let figure = *value as f64 / if place % 6 < 2 { 100.0 } else { 1.0 };
            recorder.counter(name, &[("device", "sda")], figure);
            expected.insert(key(time, name, figure), 0);
        }
        recorder.end();
        spool.append(time, &recorder);
    }
    spool.flush();
    for collection in 0..LIVE {
        expected.insert(key(live_time(collection), LIVE_SERIES, f64::from(collection)), 0);
    }
    expected
}

fn live_time(collection: u32) -> i64 {
    i64::from(COLLECTIONS + collection) * 15_000
}

/// Collects while the day is sent, one collection a second.
async fn live(context: Context) {
    let mut recorder = Recorder::default();
    for collection in 0..LIVE {
        recorder.begin();
        recorder.gauge(LIVE_SERIES, &[], f64::from(collection));
        recorder.end();
        let take = || context.spool.lock().unwrap_or_else(PoisonError::into_inner);
        take().append(live_time(collection), &recorder);
        context.collected.send_replace(());
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

struct Receiver {
    seen: Mutex<Seen>,
    unknown: Mutex<u64>,
    came: Notify,
    left: Mutex<u64>,
}

impl Receiver {
    fn take(&self, body: &[u8]) -> StatusCode {
        let Ok(request) = remote_write::decode(body, 1 << 26) else { return StatusCode::BAD_REQUEST };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut unknown, mut first) = (0, 0);
        for series in &request.timeseries {
            let name =
                series.labels.iter().find(|label| label.name == "__name__").map_or("", |l| l.value.as_str());
            for sample in &series.samples {
                match seen.get_mut(&key(sample.timestamp, name, sample.value)) {
                    Some(times) => {
                        first += u64::from(*times == 0);
                        *times += 1;
                    }
                    None => unknown += 1,
                }
            }
        }
        *self.unknown.lock().unwrap_or_else(PoisonError::into_inner) += unknown;
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(first);
        self.came.notify_one();
        StatusCode::NO_CONTENT
    }

    async fn all_came(&self) {
        while *self.left.lock().unwrap_or_else(PoisonError::into_inner) > 0 {
            self.came.notified().await;
        }
    }
}

async fn listen(receiver: Arc<Receiver>) -> anyhow::Result<String> {
    let write = move |body: Bytes| {
        let status = receiver.take(&body);
        async move { status }
    };
    let router = Router::new().route(paths::REMOTE_WRITE, any(write));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// Measures and prints.
pub(super) async fn run() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let counters = Arc::new(Counters::default());
    let place = folder.path().join("spool");
    let expected = a_day(&mut Spool::open(&place, 1 << 30, Arc::default())?);
    let samples = (expected.len() - LIVE as usize) as f64;
    let files = std::fs::read_dir(&place)?.flatten().filter_map(|entry| entry.metadata().ok());
    let bytes = files.map(|meta| meta.len()).sum::<u64>() as f64;
    row("spool, bytes a sample", bytes / samples, "B", None);
    row("spool, a day of 300 series", bytes / f64::from(1 << 20), "MiB", Some(8.0));

    // Another life of the agent finds it on the disk.
    let left = Mutex::new(expected.len() as u64);
    let receiver =
        Arc::new(Receiver { seen: Mutex::new(expected), unknown: Mutex::new(0), came: Notify::new(), left });
    let credentials = Arc::new(Credentials {
        server: listen(Arc::clone(&receiver)).await?,
        host_id: "h".into(),
        instance: "bench".into(),
        agent_token: "t".into(),
        order_key: String::new(),
    });
    let config = Config { state_dir: folder.path().into(), ..Config::default() };
    let discovery = Arc::new(Discovery::open(&config));
    let spool = Arc::new(Mutex::new(Spool::open(&place, 1 << 30, Arc::clone(&counters))?));
    let (_keep, running) = watch::channel(Arc::new(Running::new(config, &credentials)?));
    let context = Context {
        running,
        config_path: std::path::PathBuf::new(),
        credentials,
        spool,
        counters,
        collected: Arc::new(watch::Sender::new(())),
        boards: Arc::default(),
        discovery,
        metadata: Arc::default(),
        started_at_ms: 0,
    };
    let started = Instant::now();
    let collecting = tokio::spawn(live(context.clone()));
    let sending = tokio::spawn(sender::run(context.clone()));
    let ended = tokio::time::timeout(std::time::Duration::from_secs(300), receiver.all_came()).await;
    let took = started.elapsed();
    while ended.is_ok() && context.counters.spool_bytes.get() > 0 {
        tokio::task::yield_now().await;
    }
    sending.abort();
    collecting.abort();
    let seen = receiver.seen.lock().unwrap_or_else(PoisonError::into_inner);
    let lost = seen.values().filter(|times| **times == 0).count() as f64;
    let doubled = seen.values().filter(|times| **times > 1).count() as f64;
    let unknown = *receiver.unknown.lock().unwrap_or_else(PoisonError::into_inner) as f64;
    row("replay of that day beside live collections", took.as_secs_f64(), "s", None);
    row("replay, samples lost", lost, "", Some(0.0));
    row("replay, samples doubled", doubled, "", Some(0.0));
    row("replay, samples changed", unknown, "", Some(0.0));
    Ok(())
}
