//! Appending: what is checked and looked up on the caller's thread before a batch goes to the writer.

use crate::bucket::{BucketKey, DAY_MS, Level, MAX_TIMESTAMP_MS};
use crate::error::{AppendError, BadLabels};
use crate::index;
use crate::labels::Labels;
use crate::options::{Options, millis};
use crate::shared::Shared;
use crate::sync;
use std::sync::Arc;

/// Samples of one series.
#[derive(Debug, Clone)]
pub struct SeriesSamples {
    /// The series; it needs a `__name__`.
    pub labels: Labels,
    /// Milliseconds since the epoch, and value. Any order; of several with one timestamp the first wins.
    pub samples: Vec<(i64, f64)>,
}

/// What is appended together: all of it or nothing.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    /// Who sends it; the limit of series per source counts by this.
    pub source: &'a str,
    /// The samples.
    pub series: Vec<SeriesSamples>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Samples that are stored.
    pub accepted: usize,
    /// Samples left out because the series has one of the same timestamp in the head. (A repetition of a sample that
    /// is in a chunk already is counted as accepted and left out later, when its bucket closes.)
    pub duplicates: usize,
}

/// The number of a series that is not known yet.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// A checked batch.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) source: Arc<str>,
    pub(crate) series: Vec<SeriesSamples>,
    pub(crate) hashes: Vec<u64>,
    pub(crate) ids: Vec<u32>,
    /// State of the index when `ids` were looked up.
    pub(crate) removals: u64,
    pub(crate) samples: usize,
    now_ms: i64,
    settled_before_ms: i64,
}

impl Prepared {
    /// Checks every label set and timestamp.
    pub(crate) fn new(
        shared: &Shared,
        batch: Batch<'_>,
        now_ms: i64,
        oldest_ms: i64,
    ) -> Result<Self, AppendError> {
        let newest_ms = now_ms.saturating_add(millis(shared.options.max_future)).min(MAX_TIMESTAMP_MS);
        let mut hashes = Vec::with_capacity(batch.series.len());
        let mut scratch = Vec::with_capacity(512);
        let mut samples = 0;
        for series in &batch.series {
            if series.labels.metric().is_empty() {
                let labels = series.labels.clone();
                return Err(AppendError::BadLabels { labels, source: BadLabels::NoMetricName });
            }
            for &(timestamp_ms, _) in &series.samples {
                check_age(&series.labels, timestamp_ms, oldest_ms, newest_ms)?;
            }
            samples += series.samples.len();
            hashes.push(index::hash_labels(&series.labels, &mut scratch));
        }
        let index = sync::read(&shared.index);
        let ids = batch.series.iter().zip(&hashes);
        let ids = ids.map(|(s, &hash)| index.find(hash, &s.labels).unwrap_or(UNKNOWN)).collect();
        Ok(Self {
            source: batch.source.into(),
            hashes,
            ids,
            removals: index.removals(),
            samples,
            now_ms,
            settled_before_ms: settled_before(&shared.options, now_ms),
            series: batch.series,
        })
    }

    /// Minute of the append, for the account of active series. Never 0, which marks a replay.
    pub(crate) fn minute(&self) -> u32 {
        minute_of(self.now_ms).max(1)
    }

    /// Calls `each(series, bucket, timestamp, value)` in the order given.
    pub(crate) fn each(&self, mut each: impl FnMut(u32, BucketKey, i64, f64)) {
        let mut key = BucketKey::of(Level::Hour, self.now_ms);
        let mut span = 0..0;
        for (series, &id) in self.series.iter().zip(&self.ids) {
            for &(t, value) in &series.samples {
                if !span.contains(&t) {
                    let level = if t < self.settled_before_ms { Level::Day } else { Level::Hour };
                    key = BucketKey::of(level, t);
                    span = key.start_ms()..key.end_ms();
                }
                each(id, key, t, value);
            }
        }
    }
}

/// Minute since the epoch.
pub(crate) fn minute_of(now_ms: i64) -> u32 {
    u32::try_from(now_ms / 60_000).unwrap_or(0)
}

/// Days that end before this are settled: samples of them go to day buckets. A whole day, so that no bucket straddles it.
pub(crate) fn settled_before(options: &Options, now_ms: i64) -> i64 {
    now_ms.saturating_sub(millis(options.settle_after)).div_euclid(DAY_MS).saturating_mul(DAY_MS)
}

fn check_age(labels: &Labels, timestamp_ms: i64, oldest_ms: i64, newest_ms: i64) -> Result<(), AppendError> {
    if timestamp_ms < oldest_ms {
        return Err(AppendError::TooOld { labels: labels.clone(), timestamp_ms, limit_ms: oldest_ms });
    }
    if timestamp_ms > newest_ms {
        return Err(AppendError::TooNew { labels: labels.clone(), timestamp_ms, limit_ms: newest_ms });
    }
    Ok(())
}
