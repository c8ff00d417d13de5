//! A storage that hands its series over on several threads, in batches and in no order.

#![expect(clippy::unwrap_used, reason = "tests")]

#[expect(dead_code, reason = "what other tests share")]
mod common;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use common::{MINUTE, Memory, show};
use siaga_promql::{
    Consumer, Engine, EngineOptions, Labels, Matcher, MemoryPool, SelectBudget, SelectHints, SeriesData,
    Storage, StorageError,
};

const SERIES: usize = 50;
const SAMPLES: i64 = 60;

/// Gives every thread one series after the other, the last first.
struct Batches(Memory);

impl Storage for Batches {
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        budget: &SelectBudget,
    ) -> Result<Vec<SeriesData>, StorageError> {
        self.0.select(matchers, hints, budget)
    }

    fn select_batches(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        budget: &SelectBudget,
        each: Consumer<'_>,
    ) -> Result<(), StorageError> {
        let series = Mutex::new(self.select(matchers, hints, budget)?);
        let next = || series.lock().unwrap().pop();
        std::thread::scope(|scope| {
            for _ in 0..budget.threads {
                scope.spawn(|| {
                    while let Some(one) = next() {
                        if each(vec![one]) == ControlFlow::Break(()) {
                            series.lock().unwrap().clear();
                        }
                    }
                });
            }
        });
        Ok(())
    }
}

fn fleet() -> Memory {
    let series = (0..SERIES).map(|i| {
        let labels = Labels::new([
            ("__name__", if i % 2 == 0 { "a_total" } else { "gauge" }),
            ("host", &format!("h{}", i % 7)),
            ("n", &i.to_string()),
        ]);
        let value = |at: i64| (at * (i as i64 + 3) % 40) as f64 / 10.0 + 0.1 * i as f64;
        let times: Vec<i64> = (0..SAMPLES).map(|at| at * MINUTE + i as i64).collect();
        SeriesData::new(labels, times, (0..SAMPLES).map(value).collect())
    });
    Memory(series.collect())
}

fn options(threads: usize) -> EngineOptions {
    EngineOptions { threads, ..EngineOptions::default() }
}

#[test]
fn threads_change_nothing_in_an_answer() {
    let (one, many) = (fleet(), Batches(fleet()));
    let queries = [
        "a_total",
        "sum by (host) (rate(a_total[5m]))",
        "avg(gauge) by (host) + on (host) max(a_total) by (host)",
        "topk(3, predict_linear(gauge[30m], 600))",
        "quantile_over_time(0.3, gauge[10m])",
        "sum(max_over_time(sum by (n) (gauge)[10m:1m]))",
        "absent_over_time(gauge[1m]) or count by (n) (timestamp(gauge))",
    ];
    for text in queries {
        let ask = |threads, storage: &dyn Storage| {
            let engine = Engine::new(options(threads));
            let query = engine.parse(text).unwrap();
            let range = show(engine.range(storage, &query, 0, SAMPLES * MINUTE, 2 * MINUTE));
            (range, show(engine.instant(storage, &query, 30 * MINUTE)))
        };
        let alone = ask(1, &one);
        assert!(alone.0.len() + alone.1.len() > 1, "{text}: {alone:?}");
        for _ in 0..5 {
            assert_eq!(ask(4, &many), alone, "{text}");
        }
    }
}

#[test]
fn what_bounds_a_query_bounds_its_threads_together() {
    let storage = Batches(fleet());
    let samples = SERIES / 2 * 30;
    let error = |options: EngineOptions| {
        let engine = Engine::new(options);
        let query = engine.parse("sum_over_time(gauge[30m])").unwrap();
        engine.instant(&storage, &query, 40 * MINUTE).map(|_| ()).unwrap_err().to_string()
    };
    let too_many = "query processing would load too many samples into memory in query execution";
    assert_eq!(error(EngineOptions { max_samples: samples, ..options(4) }), too_many);
    assert!(
        error(EngineOptions { max_series: SERIES / 2 - 1, ..options(4) }).contains("more than 24 series")
    );
    assert!(error(EngineOptions { timeout: Duration::ZERO, ..options(4) }).contains("timed out"));
    let pool = Arc::new(MemoryPool::new(16 * samples));
    let bounded = EngineOptions { memory: Some(Arc::clone(&pool)), ..options(4) };
    assert!(error(bounded).contains("too much memory"));
    assert_eq!(pool.free(), pool.limit());
}
