//! Puts series together from chunks and head.
//!
//! Bucket by bucket, each in the order of its rows, so that reading is stepping. Series of one collection have the
//! very same timeline in each bucket: the first of them pays for their common column of timestamps, the others find it
//! by comparing pointers.

use super::Series;
use crate::bucket::{BucketKey, Level};
use crate::directory::BucketInfo;
use crate::downsample::{Aggregate, Resolution};
use crate::error::SelectError;
use crate::head::Part;
use crate::labels::Labels;
use crate::merge;
use crate::reader::Snapshot;
use crate::shared::Shared;
use crate::sync;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is asked for, and how much of it was loaded by all threads of the query.
pub(crate) struct Window {
    start_ms: i64,
    end_ms: i64,
    max_samples: usize,
    downsampled: Option<(Resolution, Aggregate)>,
    loaded: AtomicUsize,
}

impl Window {
    pub(crate) fn new(start_ms: i64, end_ms: i64, max_samples: usize) -> Self {
        Self { start_ms, end_ms, max_samples, downsampled: None, loaded: AtomicUsize::new(0) }
    }

    /// With aggregates in place of samples, where there are.
    pub(crate) fn downsampled(mut self, how: Option<(Resolution, Aggregate)>) -> Self {
        self.downsampled = how;
        self
    }

    pub(super) fn range(&self) -> (i64, i64) {
        (self.start_ms, self.end_ms)
    }

    /// Samples of a run that lie in the window.
    fn count(&self, run: &[i64]) -> usize {
        match (run.first(), run.last()) {
            (Some(first), Some(last)) if *first >= self.start_ms && *last <= self.end_ms => run.len(),
            _ => run.partition_point(|&t| t <= self.end_ms) - run.partition_point(|&t| t < self.start_ms),
        }
    }

    fn load(&self, samples: usize) -> Result<(), SelectError> {
        let before = self.loaded.fetch_add(samples, Ordering::Relaxed);
        if before.saturating_add(samples) > self.max_samples {
            return Err(SelectError::TooManySamples { limit: self.max_samples });
        }
        Ok(())
    }
}

/// A series that is being put together.
struct Pending {
    id: u32,
    labels: Labels,
    /// What the head has of it, in the order of reading.
    head: std::vec::IntoIter<(BucketKey, Arc<[i64]>, Vec<f64>)>,
    /// Timestamps so far, each run after the one before.
    runs: Vec<Arc<[i64]>>,
    values: Vec<f64>,
}

impl Pending {
    /// Takes in a run whose values are at the end of `values` already.
    fn append(&mut self, run: Arc<[i64]>, before: usize) {
        let last = self.runs.last().and_then(|run| run.last());
        if last.is_none_or(|last| run.first().is_some_and(|first| last < first)) {
            self.runs.push(run);
            return;
        }
        let mut timestamps = self.runs.concat();
        let values = self.values.split_off(before);
        merge::add(&mut timestamps, &mut self.values, (&run, &values));
        self.runs = vec![timestamps.into()];
    }

    /// Takes in what the head has of buckets that are read before this one; of all when there is none.
    fn append_head(&mut self, before: Option<BucketKey>) {
        let limit = before.map(BucketKey::reading_order);
        while let Some((key, ..)) = self.head.as_slice().first()
            && limit.is_none_or(|limit| key.reading_order() < limit)
            && let Some((_, run, values)) = self.head.next()
        {
            let at = self.values.len();
            self.values.extend_from_slice(&values);
            self.append(run, at);
        }
    }
}

/// The samples of these series (ascending by number), within the window.
pub(super) fn assemble(
    shared: &Shared,
    candidates: &[(u32, Labels)],
    window: &Window,
) -> Result<Vec<Series>, SelectError> {
    // The head before the snapshot: a bucket that closes in between is then seen twice, not never.
    let mut pending = collect_heads(shared, candidates, window)?;
    shared.with_reader(|connection| {
        let mut snapshot = Snapshot::begin(shared, connection)?;
        read_buckets(&mut snapshot, &mut pending, window)
    })?;
    let mut done = Finished::new(window, pending.len());
    for mut one in pending {
        one.append_head(None);
        done.add(one);
    }
    Ok(done.series)
}

fn collect_heads(
    shared: &Shared,
    candidates: &[(u32, Labels)],
    window: &Window,
) -> Result<Vec<Pending>, SelectError> {
    let head = sync::read(&shared.head);
    let mut before: Vec<Arc<[i64]>> = Vec::new();
    let pending = candidates.iter().map(|&(id, ref labels)| {
        let mut parts = Vec::new();
        head.collect(id, window.start_ms, window.end_ms, &mut parts);
        window.load(parts.iter().map(|p| p.timestamps.len()).sum())?;
        let share = |(at, part): (usize, Part)| {
            let same = before.get(at).filter(|run| ***run == *part.timestamps);
            (part.key, same.map_or_else(|| part.timestamps.into(), Arc::clone), part.values)
        };
        let head: Vec<_> = parts.into_iter().enumerate().map(share).collect();
        before = head.iter().map(|(_, run, _)| Arc::clone(run)).collect();
        Ok(Pending {
            id,
            labels: labels.clone(),
            head: head.into_iter(),
            runs: Vec::new(),
            values: Vec::new(),
        })
    });
    pending.collect()
}

fn read_buckets(
    snapshot: &mut Snapshot<'_>,
    pending: &mut [Pending],
    window: &Window,
) -> Result<(), SelectError> {
    let keys = snapshot.buckets_in(window.start_ms, window.end_ms);
    let buckets: Vec<(BucketKey, Arc<BucketInfo>)> = keys
        .into_iter()
        .filter_map(|key| snapshot.buckets.get(&key).map(|info| (key, Arc::clone(info))))
        .collect();
    reserve(pending, &buckets, window);
    let mut rest = buckets.as_slice();
    while let Some((key, _)) = rest.first() {
        // The buckets of one day follow each other.
        let day = BucketKey::of(Level::Day, key.start_ms());
        let of_day = rest.iter().take_while(|(key, _)| day.overlaps(key.start_ms(), key.start_ms())).count();
        let (of_day, later) = rest.split_at(of_day);
        rest = later;
        let covered = read_aggregates(snapshot, pending, window, day, of_day)?;
        read_day(snapshot, pending, window, of_day, &covered)?;
    }
    Ok(())
}

/// Takes in the aggregates of a day. Returns which of the series they answer for.
fn read_aggregates(
    snapshot: &Snapshot<'_>,
    pending: &mut [Pending],
    window: &Window,
    day: BucketKey,
    buckets: &[(BucketKey, Arc<BucketInfo>)],
) -> Result<Vec<bool>, SelectError> {
    let mut covered = vec![false; pending.len()];
    let Some((resolution, aggregate)) = window.downsampled else { return Ok(covered) };
    let key = day.aggregates(resolution);
    let Some(info) = snapshot.buckets.get(&key) else { return Ok(covered) };
    for (one, covered) in pending.iter_mut().zip(&mut covered) {
        let late = |key: &BucketKey| day.overlaps(key.start_ms(), key.start_ms());
        let unsettled = buckets.iter().any(|(key, hour)| *key != day && hour.series.contains(one.id));
        if !info.series.contains(one.id) || unsettled || one.head.as_slice().iter().any(|(k, ..)| late(k)) {
            continue;
        }
        // Aggregates that went meanwhile, or are damaged, cost nothing: the samples are there.
        let Some(windows) = snapshot.read_windows(key, one.id)? else { continue };
        one.append_head(Some(day));
        let before = one.values.len();
        let mut timestamps = Vec::with_capacity(windows.timestamps.len());
        windows.answer(aggregate, &mut timestamps, &mut one.values);
        window.load(window.count(&timestamps))?;
        if !timestamps.is_empty() {
            one.append(timestamps.into(), before);
        }
        *covered = true;
    }
    Ok(covered)
}

fn read_day(
    snapshot: &mut Snapshot<'_>,
    pending: &mut [Pending],
    window: &Window,
    buckets: &[(BucketKey, Arc<BucketInfo>)],
    covered: &[bool],
) -> Result<(), SelectError> {
    for (key, info) in buckets {
        let key = *key;
        let wanted = |at: &usize| !covered[*at] && info.series.contains(pending[*at].id);
        let held: Vec<usize> = (0..pending.len()).filter(wanted).collect();
        let ids: Vec<u32> = held.iter().map(|&at| pending[at].id).collect();
        held.iter().for_each(|&at| pending[at].append_head(Some(key)));
        let mut result = Ok(());
        snapshot.read_many(
            key,
            &ids,
            &mut *pending,
            |pending, i| &mut pending[held[i]].values,
            |pending, i, run, before| {
                if result.is_ok() {
                    result = window.load(window.count(&run));
                }
                match result {
                    Ok(()) => pending[held[i]].append(run, before),
                    // Too much already: nothing more is kept.
                    Err(_) => pending[held[i]].values.truncate(before),
                }
            },
        )?;
        result?;
    }
    Ok(())
}

/// Room for the values, by the average of each bucket and never for more than may be loaded.
fn reserve(pending: &mut [Pending], buckets: &[(BucketKey, Arc<BucketInfo>)], window: &Window) {
    let average = |info: &BucketInfo| info.samples as usize / info.series.len().max(1) + 1;
    let averages: Vec<usize> = buckets.iter().map(|(_, info)| average(info)).collect();
    let mut left = window.max_samples;
    for one in pending {
        let held = buckets.iter().zip(&averages).filter(|((_, info), _)| info.series.contains(one.id));
        let stored: usize = held.map(|(_, average)| average).sum();
        let wanted = stored + one.head.as_slice().iter().map(|(.., values)| values.len()).sum::<usize>();
        if wanted > left {
            break;
        }
        left -= wanted;
        one.values.reserve(wanted);
    }
}

/// Series that are complete.
struct Finished<'a> {
    window: &'a Window,
    series: Vec<Series>,
    /// The runs of the last series, and what of them is in the window.
    runs: Vec<Arc<[i64]>>,
    kept: std::ops::Range<usize>,
}

impl<'a> Finished<'a> {
    fn new(window: &'a Window, series: usize) -> Self {
        Self { window, series: Vec::with_capacity(series), runs: Vec::new(), kept: 0..0 }
    }

    fn add(&mut self, one: Pending) {
        let Pending { labels, runs, mut values, .. } = one;
        let pointers = |runs: &[Arc<[i64]>]| runs.iter().map(Arc::as_ptr).collect::<Vec<_>>();
        let same = self.runs.len() == runs.len() && pointers(&self.runs) == pointers(&runs);
        let timestamps = match self.series.last().filter(|_| same) {
            Some(last) => Arc::clone(&last.timestamps),
            None => {
                let (timestamps, kept) = self.clip(&runs);
                (self.runs, self.kept) = (runs, kept);
                timestamps
            }
        };
        values.truncate(self.kept.end);
        if self.kept.start > 0 {
            values.drain(..self.kept.start.min(values.len()));
        }
        if values.is_empty() {
            // Without a series the next must not look for its column there.
            self.runs.clear();
            return;
        }
        self.series.push(Series { labels, timestamps, values });
    }

    /// The runs as one column, and which part of them it is.
    fn clip(&self, runs: &[Arc<[i64]>]) -> (Arc<[i64]>, std::ops::Range<usize>) {
        let (start_ms, end_ms) = (self.window.start_ms, self.window.end_ms);
        if let [one] = runs
            && self.window.count(one) == one.len()
        {
            return (Arc::clone(one), 0..one.len());
        }
        let all = runs.concat();
        let kept = all.partition_point(|&t| t < start_ms)..all.partition_point(|&t| t <= end_ms);
        let timestamps: Arc<[i64]> = all[kept.clone()].into();
        // A column of another run that says the same, as those of day and head may.
        let last = self.series.last().map(|s| &s.timestamps).filter(|last| ***last == *timestamps);
        (last.map_or(timestamps, Arc::clone), kept)
    }
}
