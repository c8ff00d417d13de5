//! Queries: samples, and the names, values and series that exist.

use crate::directory::Buckets;
use crate::error::SelectError;
use crate::head::{Head, Part};
use crate::idset::IdSet;
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::merge;
use crate::reader::Snapshot;
use crate::shared::Shared;
use crate::sync;
use std::sync::Arc;

/// Bounds of one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Series that may match.
    pub max_series: usize,
    /// Samples that may be loaded, in all.
    pub max_samples: usize,
}

/// One series of a query's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Milliseconds, ascending, each once. Series of one collection share the column.
    pub timestamps: Arc<[i64]>,
    /// As many as timestamps.
    pub values: Vec<f64>,
}

impl From<rusqlite::Error> for SelectError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Storage(source)
    }
}

/// Samples of the series that match, within both ends; ordered by labels, series without a sample left out.
pub(crate) fn select(
    shared: &Shared,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
    limits: Limits,
) -> Result<Vec<Series>, SelectError> {
    if start_ms > end_ms {
        return Ok(Vec::new());
    }
    let candidates = matching(shared, matchers, start_ms, end_ms);
    if candidates.len() > limits.max_series {
        return Err(SelectError::TooManySeries { found: candidates.len(), limit: limits.max_series });
    }
    // The head before the snapshot: a bucket that closes in between is then seen twice, not never.
    let mut heads = collect_heads(shared, &candidates, start_ms, end_ms, limits.max_samples)?;
    let found = shared.with_reader(|connection| {
        let mut snapshot = Snapshot::begin(shared, connection)?;
        let mut assembly = Assembly::new(&snapshot, start_ms, end_ms, limits.max_samples);
        for ((id, labels), head) in candidates.into_iter().zip(&mut heads) {
            assembly.add(&mut snapshot, id, labels, std::mem::take(head))?;
        }
        Ok::<_, SelectError>(assembly.done)
    });
    found.map(|mut series| {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        series
    })
}

fn collect_heads(
    shared: &Shared,
    candidates: &[(u32, Labels)],
    start_ms: i64,
    end_ms: i64,
    max_samples: usize,
) -> Result<Vec<Vec<Part>>, SelectError> {
    let head = sync::read(&shared.head);
    let mut loaded = 0;
    let parts = candidates.iter().map(|(id, _)| {
        let mut parts = Vec::new();
        head.collect(*id, start_ms, end_ms, &mut parts);
        loaded += parts.iter().map(|p| p.timestamps.len()).sum::<usize>();
        if loaded > max_samples {
            return Err(SelectError::TooManySamples { limit: max_samples });
        }
        Ok(parts)
    });
    parts.collect()
}

/// Puts series together from chunks and head.
struct Assembly {
    buckets: Vec<(crate::bucket::BucketKey, Arc<crate::directory::BucketInfo>)>,
    start_ms: i64,
    end_ms: i64,
    max_samples: usize,
    samples: usize,
    timestamps: Vec<i64>,
    run: Vec<f64>,
    done: Vec<Series>,
}

impl Assembly {
    fn new(snapshot: &Snapshot<'_>, start_ms: i64, end_ms: i64, max_samples: usize) -> Self {
        let keys = snapshot.buckets_in(start_ms, end_ms).into_iter();
        let buckets =
            keys.filter_map(|k| snapshot.buckets.get(&k).map(|info| (k, Arc::clone(info)))).collect();
        Self {
            buckets,
            start_ms,
            end_ms,
            max_samples,
            samples: 0,
            timestamps: Vec::new(),
            run: Vec::new(),
            done: Vec::new(),
        }
    }

    fn add(
        &mut self,
        snapshot: &mut Snapshot<'_>,
        id: u32,
        labels: Labels,
        head: Vec<Part>,
    ) -> Result<(), SelectError> {
        self.timestamps.clear();
        let mut values = Vec::with_capacity(self.done.last().map_or(0, |s| s.values.len() + 16));
        // A bucket's chunk came before what the head has of it.
        let mut head = head.into_iter().peekable();
        for at in 0..self.buckets.len() {
            let (key, info) = &self.buckets[at];
            if !info.series.contains(id) {
                continue;
            }
            while let Some(part) = head.next_if(|part| part.key.reading_order() < key.reading_order()) {
                merge::add(&mut self.timestamps, &mut values, (&part.timestamps, &part.values));
            }
            let before = values.len();
            if let Some(run) = snapshot.read(*key, id, &mut values)? {
                self.append_run(&run, before, &mut values);
            }
            if self.samples + values.len() > self.max_samples {
                // Clipped first: a chunk may reach far beyond the range.
                merge::clip(0, self.start_ms, self.end_ms, &mut self.timestamps, &mut values);
                self.check(values.len())?;
            }
        }
        for part in head {
            merge::add(&mut self.timestamps, &mut values, (&part.timestamps, &part.values));
        }
        merge::clip(0, self.start_ms, self.end_ms, &mut self.timestamps, &mut values);
        self.check(values.len())?;
        self.samples += values.len();
        if !values.is_empty() {
            let timestamps = self.share_timestamps();
            self.done.push(Series { labels, timestamps, values });
        }
        Ok(())
    }

    fn check(&self, more: usize) -> Result<(), SelectError> {
        if self.samples + more > self.max_samples {
            return Err(SelectError::TooManySamples { limit: self.max_samples });
        }
        Ok(())
    }

    /// The values of the run are at the end of `values` already.
    fn append_run(&mut self, run: &[i64], before: usize, values: &mut Vec<f64>) {
        let in_order = match (self.timestamps.last(), run.first()) {
            (Some(last), Some(first)) => last < first,
            _ => true,
        };
        if in_order {
            self.timestamps.extend_from_slice(run);
        } else {
            self.run.clear();
            self.run.extend_from_slice(&values[before..]);
            values.truncate(before);
            merge::add(&mut self.timestamps, values, (run, &self.run));
        }
    }

    /// The column of a series before, when it is the same.
    fn share_timestamps(&self) -> Arc<[i64]> {
        let recent = self.done.iter().rev().take(4).map(|s| &s.timestamps);
        let same = recent.into_iter().find(|t| ***t == *self.timestamps.as_slice());
        same.map_or_else(|| Arc::from(self.timestamps.as_slice()), Arc::clone)
    }
}

/// What may have samples in a range: by the directory and the head, to the accuracy of a bucket.
pub(crate) struct Presence {
    stored: IdSet,
    start_ms: i64,
    end_ms: i64,
}

impl Presence {
    pub(crate) fn new(buckets: &Buckets, start_ms: i64, end_ms: i64) -> Self {
        let touching = buckets.iter().filter(|(key, _)| key.overlaps(start_ms, end_ms));
        let stored = IdSet::union_all(touching.map(|(_, info)| &info.series));
        Self { stored, start_ms, end_ms }
    }

    fn has(&self, head: &Head, id: u32) -> bool {
        self.stored.contains(id) || head.touches(id, self.start_ms, self.end_ms)
    }
}

/// Series that match and may have samples in the range, by number.
pub(crate) fn matching(
    shared: &Shared,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
) -> Vec<(u32, Labels)> {
    let index = sync::read(&shared.index);
    let ids = index.select(matchers);
    let head = sync::read(&shared.head);
    // The directory after the head is locked: a bucket that closed before is in it.
    let presence = Presence::new(&shared.directory.load(), start_ms, end_ms);
    let present = ids.into_iter().filter(|&id| presence.has(&head, id));
    present.filter_map(|id| index.labels(id).map(|labels| (id, labels.clone()))).collect()
}

/// Labels of the series that match, sorted; at most `limit`.
pub(crate) fn series(
    shared: &Shared,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
    limit: usize,
) -> Vec<Labels> {
    let mut found: Vec<Labels> =
        matching(shared, matchers, start_ms, end_ms).into_iter().map(|(_, l)| l).collect();
    found.sort();
    found.truncate(limit);
    found
}

/// Names of the labels of the series that match, sorted; at most `limit`.
pub(crate) fn label_names(
    shared: &Shared,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
    limit: usize,
) -> Vec<Arc<str>> {
    if !matchers.is_empty() {
        let found = matching(shared, matchers, start_ms, end_ms);
        let names = found.iter().flat_map(|(_, labels)| labels.shared().iter().map(|(n, _)| n));
        return names.collect::<std::collections::BTreeSet<_>>().into_iter().take(limit).cloned().collect();
    }
    let index = sync::read(&shared.index);
    let head = sync::read(&shared.head);
    let presence = Presence::new(&shared.directory.load(), start_ms, end_ms);
    let used =
        |name: &&Arc<str>| index.values(name).any(|(_, ids)| ids.iter().any(|&id| presence.has(&head, id)));
    index.names().filter(used).take(limit).cloned().collect()
}

/// Values of a label among the series that match, sorted; at most `limit`.
pub(crate) fn label_values(
    shared: &Shared,
    name: &str,
    matchers: &[Matcher],
    start_ms: i64,
    end_ms: i64,
    limit: usize,
) -> Vec<Arc<str>> {
    if !matchers.is_empty() {
        let found = matching(shared, matchers, start_ms, end_ms);
        let pairs = found.iter().flat_map(|(_, labels)| labels.shared().iter());
        let values = pairs.filter(|(n, _)| n.as_ref() == name).map(|(_, v)| v);
        return values.collect::<std::collections::BTreeSet<_>>().into_iter().take(limit).cloned().collect();
    }
    let index = sync::read(&shared.index);
    let head = sync::read(&shared.head);
    let presence = Presence::new(&shared.directory.load(), start_ms, end_ms);
    let used = index.values(name).filter(|(_, ids)| ids.iter().any(|&id| presence.has(&head, id)));
    used.map(|(value, _)| Arc::clone(value)).take(limit).collect()
}
