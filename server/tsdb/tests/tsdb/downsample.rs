//! Downsampled days answer as the samples do, and follow every change of them.

use crate::common::{ALL, DAY, HOUR, MIDNIGHT, batch, equal, labels, open, options};
use siaga_tsdb::{Aggregate, Resolution, Series, Tsdb};
use std::collections::BTreeMap;

const DAYS: i64 = 3;
/// Late enough for everything to settle and to be downsampled.
const LATER: i64 = MIDNIGHT + (DAYS + 9) * DAY;

fn counter(host: &str) -> siaga_tsdb::Labels {
    labels(&[("__name__", "requests_total"), ("host", host)])
}

/// A sample every minute; the counter starts again now and then.
fn run(seed: i64) -> Vec<(i64, f64)> {
    let mut value = 0;
    (0..DAYS * 1440)
        .map(|i| {
            value = if (i * 7919 + seed) % 700 == 0 { 0 } else { value + (i * 31 + seed) % 17 };
            (MIDNIGHT + i * 60_000 + 1 + (i * seed) % 9, value as f64)
        })
        .collect()
}

fn filled(folder: &std::path::Path) -> Tsdb {
    let store = open(folder);
    let samples = [(counter("a"), run(3)), (counter("b"), run(5))];
    let series: Vec<_> = samples.iter().map(|(labels, run)| (labels.clone(), run.as_slice())).collect();
    store.append_history(batch("test", &series), LATER).unwrap();
    upkeep(&store);
    store
}

fn upkeep(store: &Tsdb) -> usize {
    let mut downsampled = 0;
    for step in [Tsdb::settle, Tsdb::maintain] {
        loop {
            let report = step(store, LATER).unwrap();
            downsampled += report.downsampled;
            if !report.more {
                break;
            }
        }
    }
    downsampled
}

fn ask(store: &Tsdb, host: &str, resolution: Resolution, aggregate: Aggregate) -> Series {
    let found = store.select_downsampled(
        &[equal("host", host)],
        MIDNIGHT + 1,
        MIDNIGHT + DAYS * DAY,
        (resolution, aggregate),
        ALL,
    );
    found.unwrap().remove(0)
}

/// The values of each hour `(k, k + 1]`, folded.
fn by_hour(series: &Series, fold: impl Fn(&[f64]) -> f64) -> BTreeMap<i64, f64> {
    let mut hours: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (&t, &value) in series.timestamps.iter().zip(&series.values) {
        hours.entry((t - 1).div_euclid(HOUR)).or_default().push(value);
    }
    hours.into_iter().map(|(hour, values)| (hour, fold(&values))).collect()
}

fn raw(store: &Tsdb, host: &str) -> Series {
    store.select(&[equal("host", host)], MIDNIGHT + 1, MIDNIGHT + DAYS * DAY, ALL).unwrap().remove(0)
}

fn max(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

#[test]
fn aggregates_are_few_and_answer_as_the_samples_do() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    for host in ["a", "b"] {
        let samples = raw(&store, host);
        for resolution in Resolution::ALL {
            let largest = ask(&store, host, resolution, Aggregate::Max);
            assert!(largest.values.len() * 4 <= samples.values.len(), "{} windows", largest.values.len());
            assert_eq!(by_hour(&largest, max), by_hour(&samples, max));
            let total = ask(&store, host, resolution, Aggregate::Sum);
            assert_eq!(by_hour(&total, sum), by_hour(&samples, sum));
            let newest = ask(&store, host, resolution, Aggregate::Last);
            let last = |values: &[f64]| *values.last().unwrap();
            assert_eq!(by_hour(&newest, last), by_hour(&samples, last));
        }
    }
}

#[test]
fn a_counter_keeps_what_it_counted_before_it_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let increase = |series: &Series| {
        let steps = series.values.windows(2).map(|w| if w[1] < w[0] { w[1] } else { w[1] - w[0] });
        steps.sum::<f64>() + series.values[0]
    };
    let counted = increase(&ask(&store, "a", Resolution::FiveMinutes, Aggregate::Counter));
    assert_eq!(counted, increase(&raw(&store, "a")));
}

#[test]
fn what_changes_is_read_from_the_samples_until_it_is_downsampled_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let agrees = |store: &Tsdb| {
        let largest = ask(store, "a", Resolution::Hour, Aggregate::Max);
        assert_eq!(by_hour(&largest, max), by_hour(&raw(store, "a"), max));
    };
    let late = [(MIDNIGHT + 30 * HOUR + 77, 1e9)];
    store.append_history(batch("test", &[(counter("a"), &late)]), LATER).unwrap();
    agrees(&store);
    assert_eq!(max(&ask(&store, "a", Resolution::Hour, Aggregate::Max).values), 1e9);
    assert_eq!(upkeep(&store), 1, "one day of one series");
    agrees(&store);
    store.delete_series(&[equal("host", "a")], MIDNIGHT + 30 * HOUR, MIDNIGHT + 31 * HOUR).unwrap();
    agrees(&store);
    assert!(max(&ask(&store, "a", Resolution::Hour, Aggregate::Max).values) < 1e9);
    assert!(upkeep(&store) > 0);
    agrees(&store);
    drop(store);
    let mut options = options(folder.path());
    options.max_bytes = Some(1);
    let store = Tsdb::open(options).unwrap();
    agrees(&store);
    while store.maintain(LATER).unwrap().more {}
    let left = store.stats().unwrap();
    assert_eq!(
        (left.buckets, left.oldest_ms),
        (1, Some(MIDNIGHT + (DAYS - 1) * DAY)),
        "the newest day stays"
    );
    agrees(&store);
}

#[test]
fn damaged_aggregates_cost_nothing_but_are_reported() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let file = rusqlite::Connection::open(folder.path().join("metrics.db")).unwrap();
    let damaged = file.execute("UPDATE chunk SET data = zeroblob(40) WHERE id >> 60 = 3", []).unwrap();
    assert_eq!(damaged, 6, "three days of two series");
    drop(file);
    let store = open(folder.path());
    let largest = ask(&store, "b", Resolution::Hour, Aggregate::Max);
    assert_eq!(by_hour(&largest, max), by_hour(&raw(&store, "b"), max));
    assert_eq!(store.stats().unwrap().damaged_rows, 3);
}
