//! What the tests of the store share.

use siaga_tsdb::{Batch, Labels, Limits, MatchOp, Matcher, Options, Series, SeriesSamples, Tsdb};
use std::path::Path;

pub const HOUR: i64 = 3_600_000;
pub const DAY: i64 = 24 * HOUR;
/// A midnight.
pub const MIDNIGHT: i64 = 20_000 * DAY;
pub const ALL: Limits = Limits { max_series: usize::MAX, max_samples: usize::MAX };

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

pub fn up(host: &str) -> Labels {
    labels(&[("__name__", "up"), ("host", host)])
}

pub fn equal(name: &str, value: &str) -> Matcher {
    Matcher::new(name, MatchOp::Equal, value).unwrap()
}

pub fn options(folder: &Path) -> Options {
    Options::new(folder.join("metrics.db"))
}

pub fn open(folder: &Path) -> Tsdb {
    Tsdb::open(options(folder)).unwrap()
}

pub fn batch<'a>(source: &'a str, series: &[(Labels, &[(i64, f64)])]) -> Batch<'a> {
    let series = series
        .iter()
        .map(|(labels, samples)| SeriesSamples { labels: labels.clone(), samples: samples.to_vec() });
    Batch { source, series: series.collect() }
}

/// One sample every 15 s for the whole range.
pub fn regular(start: i64, end: i64) -> Vec<(i64, f64)> {
    (start..end).step_by(15_000).map(|t| (t, (t - MIDNIGHT) as f64 / 1000.0)).collect()
}

pub fn everything(store: &Tsdb) -> Vec<Series> {
    store.select(&[], 0, i64::MAX, ALL).unwrap()
}

pub fn samples(series: &Series) -> Vec<(i64, u64)> {
    assert_eq!(series.timestamps.len(), series.values.len());
    series.timestamps.iter().copied().zip(series.values.iter().map(|v| v.to_bits())).collect()
}

pub fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples.iter().map(|&(t, v)| (t, v.to_bits())).collect()
}
