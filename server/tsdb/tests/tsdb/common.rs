//! What the tests of the store share.

use siaga_tsdb::{Batch, Labels, Limits, MatchOp, Matcher, Options, Series, SeriesSamples, Tsdb};
use std::path::Path;

pub(crate) const HOUR: i64 = 3_600_000;
pub(crate) const DAY: i64 = 24 * HOUR;
/// A midnight.
pub(crate) const MIDNIGHT: i64 = 20_000 * DAY;
pub(crate) const ALL: Limits = Limits { max_series: usize::MAX, max_samples: usize::MAX };

pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

pub(crate) fn up(host: &str) -> Labels {
    labels(&[("__name__", "up"), ("host", host)])
}

pub(crate) fn equal(name: &str, value: &str) -> Matcher {
    Matcher::new(name, MatchOp::Equal, value).unwrap()
}

pub(crate) fn options(folder: &Path) -> Options {
    Options::new(folder.join("metrics.db"))
}

pub(crate) fn open(folder: &Path) -> Tsdb {
    Tsdb::open(options(folder)).unwrap()
}

pub(crate) fn batch<'a>(source: &'a str, series: &[(Labels, &[(i64, f64)])]) -> Batch<'a> {
    let series = series
        .iter()
        .map(|(labels, samples)| SeriesSamples { labels: labels.clone(), samples: samples.to_vec() });
    Batch { source, series: series.collect() }
}

/// One sample every 15 s for the whole range.
pub(crate) fn regular(start: i64, end: i64) -> Vec<(i64, f64)> {
    (start..end).step_by(15_000).map(|t| (t, (t - MIDNIGHT) as f64 / 1000.0)).collect()
}

pub(crate) fn everything(store: &Tsdb) -> Vec<Series> {
    store.select(&[], 0, i64::MAX, ALL).unwrap()
}

pub(crate) fn samples(series: &Series) -> Vec<(i64, u64)> {
    assert_eq!(series.timestamps.len(), series.values.len());
    series.timestamps.iter().copied().zip(series.values.iter().map(|v| v.to_bits())).collect()
}

pub(crate) fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples.iter().map(|&(t, v)| (t, v.to_bits())).collect()
}
