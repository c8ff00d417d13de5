//! Times typical range queries over synthetic series held in memory: `cargo run -p siaga-promql --example range_speed`.
//!
//! The data: 200 hosts with 8 CPU counters and a gauge each, one sample every 15 s with jitter, over 12 h.

#![expect(clippy::print_stdout, reason = "prints a table")]

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use siaga_promql::{
    Engine, EngineOptions, Labels, METRIC_NAME, Matcher, SelectBudget, SelectHints, SeriesData, Storage,
    StorageError, Value,
};

struct Memory(Vec<SeriesData>);

impl Storage for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        _: &SelectBudget,
    ) -> Result<Vec<SeriesData>, StorageError> {
        let mut compiled = Vec::new();
        for m in matchers {
            compiled.push(m.compile().map_err(|e| StorageError::Other(Box::new(e)))?);
        }
        let wanted =
            |s: &&SeriesData| compiled.iter().all(|m| m.matches(s.labels.get(m.name()).unwrap_or("")));
        let mut shared: Option<(*const [i64], Arc<[i64]>)> = None;
        let cut = |s: &SeriesData| {
            let from = s.timestamps.partition_point(|t| *t < hints.start_ms);
            let to = s.timestamps.partition_point(|t| *t <= hints.end_ms);
            let source = Arc::as_ptr(&s.timestamps);
            let timestamps = match &shared {
                Some((of, list)) if std::ptr::addr_eq(*of, source) => list.clone(),
                _ => Arc::from(&s.timestamps[from..to]),
            };
            shared = Some((source, timestamps.clone()));
            SeriesData::with_shared_times(s.labels.clone(), timestamps, s.values[from..to].to_vec())
        };
        Ok(self.0.iter().filter(wanted).map(cut).collect())
    }
}

const SCRAPES: i64 = 12 * 240;

fn data() -> Memory {
    let mut out = Vec::new();
    let mut seed = 1u64;
    let mut random = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as f64 / f64::from(1u32 << 31)
    };
    for host in 0..200 {
        let times: Arc<[i64]> = (0..SCRAPES).map(|i| i * 15_000 + (random() * 10.0) as i64).collect();
        for series in 0..9 {
            let (name, mode) = if series < 8 {
                ("node_cpu_seconds_total", format!("m{series}"))
            } else {
                ("node_load1", String::new())
            };
            let labels = Labels::new([
                (METRIC_NAME, name),
                ("host", &*format!("h{host}")),
                ("mode", &*mode),
                ("job", "siaga"),
            ]);
            let mut total = 0.0;
            let values = (0..SCRAPES).map(|_| {
                total += random() * 15.0;
                if series < 8 { total } else { random() }
            });
            out.push(SeriesData::with_shared_times(labels, times.clone(), values.collect()));
        }
    }
    Memory(out)
}

fn main() -> Result<(), Box<dyn Error>> {
    let storage = data();
    let engine = Engine::new(EngineOptions::default());
    let (start, end) = (6 * 3_600_000, 12 * 3_600_000 - 60_000);
    let queries = [
        (r#"rate(node_cpu_seconds_total{host="h42",mode="m1"}[5m])"#, 60_000),
        ("node_load1", 60_000),
        ("rate(node_cpu_seconds_total[5m])", 60_000),
        ("sum by (host) (rate(node_cpu_seconds_total[5m]))", 60_000),
        ("avg_over_time(node_load1[1h])", 300_000),
        ("max by (host) (node_cpu_seconds_total) / 1e9", 60_000),
        ("topk(10, node_load1)", 60_000),
        ("node_load1 / on(host) group_left sum by (host) (node_load1)", 60_000),
        ("quantile(0.9, node_load1)", 60_000),
        ("topk(10, predict_linear(node_load1[6h], 86400*30))", 0),
    ];
    println!("{:>9}  query", "ms");
    for (text, step) in queries {
        let query = engine.parse(text)?;
        let mut times = Vec::new();
        let mut points = 0;
        for _ in 0..7 {
            let begin = Instant::now();
            let answer = if step == 0 {
                engine.instant(&storage, &query, end)?
            } else {
                engine.range(&storage, &query, start, end, step)?
            };
            times.push(begin.elapsed().as_secs_f64() * 1e3);
            points = match answer.value {
                Value::Matrix(m) => m.iter().map(|s| s.points.len()).sum(),
                Value::Vector(v) => v.len(),
                _ => 1,
            };
        }
        times.sort_by(f64::total_cmp);
        println!("{:>9.2}  {text}  ({points} points)", times[times.len() / 2]);
    }
    Ok(())
}
