//! Appending: what is checked and looked up on the caller's thread before a batch goes to the writer.

use crate::bucket::{BucketKey, DAY_MS, Level, MAX_TIMESTAMP_MS};
use crate::columns::Columns;
use crate::error::{AppendError, BadLabels};
use crate::index;
use crate::labels::{Labels, METRIC_NAME};
use crate::logs::{LogRow, Logs};
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

impl<'a> Batch<'a> {
    /// The batch in columns.
    pub(crate) fn columns(&self) -> Result<Columns<'_>, AppendError> {
        let mut columns = Columns::default();
        for one in &self.series {
            one.labels.iter().for_each(|(name, value)| columns.push_label(name, value));
            one.samples.iter().for_each(|&(t, value)| columns.push_sample(t, value));
            columns.end_series().map_err(|source| AppendError::BadLabels {
                labels: one.labels.clone(),
                source: source.into(),
            })?;
        }
        Ok(columns)
    }
}

/// Samples of a batch whose log rows are made before it goes to the writer; smaller ones share rows.
const OWN_ROWS: usize = 2_000;

/// The number of a series that is not known yet.
pub(crate) const UNKNOWN: u32 = u32::MAX;

/// A series that was not found.
#[derive(Debug)]
pub(crate) struct Unknown {
    /// Its place in the batch.
    pub(crate) at: usize,
    pub(crate) hash: u64,
    pub(crate) labels: Labels,
}

/// A checked batch.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) source: Arc<str>,
    /// Number of each series.
    pub(crate) ids: Vec<u32>,
    /// Where the samples of each series end.
    ends: Vec<u32>,
    pub(crate) samples: Vec<(i64, f64)>,
    pub(crate) unknown: Vec<Unknown>,
    /// The batch's log rows, where it is large and all its series are known: made here, so that the writer need not.
    pub(crate) rows: Option<Vec<LogRow>>,
    /// State of the index when `ids` were looked up.
    pub(crate) removals: u64,
    now_ms: i64,
    settled_before_ms: i64,
}

impl Prepared {
    /// Checks every label set and timestamp, and looks the series up.
    pub(crate) fn new(
        shared: &Shared,
        source: &str,
        columns: &Columns<'_>,
        now_ms: i64,
        oldest_ms: i64,
    ) -> Result<Self, AppendError> {
        let newest_ms = now_ms.saturating_add(millis(shared.options.max_future)).min(MAX_TIMESTAMP_MS);
        let mut hashes = Vec::with_capacity(columns.len());
        let mut scratch = Vec::with_capacity(512);
        for (pairs, samples) in columns.iter() {
            if !pairs.iter().any(|(name, _)| *name == METRIC_NAME) {
                return Err(AppendError::BadLabels { labels: owned(pairs), source: BadLabels::NoMetricName });
            }
            for &(timestamp_ms, _) in samples {
                check_age(pairs, timestamp_ms, oldest_ms, newest_ms)?;
            }
            hashes.push(index::hash_pairs(pairs.iter().copied(), &mut scratch));
        }
        let (mut ids, mut unknown) = (Vec::with_capacity(hashes.len()), Vec::new());
        let index = sync::read(&shared.index);
        for ((at, (pairs, _)), &hash) in columns.iter().enumerate().zip(&hashes) {
            let id = index.find_pairs(hash, pairs.iter().copied());
            if id.is_none() {
                unknown.push(Unknown { at, hash, labels: owned(pairs) });
            }
            ids.push(id.unwrap_or(UNKNOWN));
        }
        let mut prepared = Self {
            source: source.into(),
            ids,
            ends: columns.ends().collect(),
            samples: columns.samples().to_vec(),
            unknown,
            rows: None,
            removals: index.removals(),
            now_ms,
            settled_before_ms: settled_before(&shared.options, now_ms),
        };
        drop(index);
        if prepared.unknown.is_empty() && prepared.samples.len() >= OWN_ROWS {
            let mut logs = Logs::default();
            prepared.each(|id, key, t, value| logs.push(id, key, t, value));
            prepared.rows = Some(logs.take().collect());
        }
        Ok(prepared)
    }

    /// Minute of the append, for the account of active series. Never 0, which marks a replay.
    pub(crate) fn minute(&self) -> u32 {
        minute_of(self.now_ms).max(1)
    }

    /// Calls `each(series, bucket, timestamp, value)` in the order given.
    pub(crate) fn each(&self, mut each: impl FnMut(u32, BucketKey, i64, f64)) {
        let mut key = BucketKey::of(Level::Hour, self.now_ms);
        let mut span = 0..0;
        let mut from = 0;
        for (&id, &end) in self.ids.iter().zip(&self.ends) {
            let samples = &self.samples[from..end as usize];
            from = end as usize;
            for &(t, value) in samples {
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

fn check_age(
    pairs: &[(&str, &str)],
    timestamp_ms: i64,
    oldest_ms: i64,
    newest_ms: i64,
) -> Result<(), AppendError> {
    if timestamp_ms < oldest_ms {
        return Err(AppendError::TooOld { labels: owned(pairs), timestamp_ms, limit_ms: oldest_ms });
    }
    if timestamp_ms > newest_ms {
        return Err(AppendError::TooNew { labels: owned(pairs), timestamp_ms, limit_ms: newest_ms });
    }
    Ok(())
}

/// Pairs of [`Columns`] are a label set's already.
fn owned(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_interned(pairs.iter().map(|&(n, v)| (n.into(), v.into())).collect())
}
