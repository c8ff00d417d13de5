//! Queries: samples, and the names, values and series that exist.

mod assembly;

use crate::directory::Buckets;
use crate::error::SelectError;
use crate::head::Head;
use crate::idset::IdSet;
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::shared::Shared;
use crate::sync;
pub(crate) use assembly::Window;
use std::ops::ControlFlow;
use std::slice::Chunks;
use std::sync::{Arc, Mutex};

/// Series that are put together at a time: their columns stay in the processor's cache until they are worked off, and
/// the snapshot that each batch takes costs next to nothing.
const SERIES_OF_A_BATCH: usize = 64;
/// Series for which a further thread is started. Starting one takes as long as reading some ten, and on a busy machine
/// as long as reading most of a host.
const SERIES_OF_A_THREAD: usize = 60;
/// Batches of each thread at least, so that none waits long for another.
const BATCHES_OF_A_THREAD: usize = 2;
/// Threads of a query for which nothing else is said, at most.
const MAX_THREADS: usize = 4;

/// Takes the series of a query, some at a time, on whichever thread read them; [`ControlFlow::Break`] ends the query.
pub type Consumer<'a> = &'a (dyn Fn(Vec<Series>) -> ControlFlow<()> + Sync);

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
    window: Window,
    limits: Limits,
) -> Result<Vec<Series>, SelectError> {
    let (start_ms, end_ms) = window.range();
    if start_ms > end_ms {
        return Ok(Vec::new());
    }
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
    let all = Mutex::new(Vec::new());
    select_batches(shared, matchers, window, limits, threads, &|mut batch| {
        sync::lock(&all).append(&mut batch);
        ControlFlow::Continue(())
    })?;
    let mut found = all.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(found)
}

/// As [`select`], but handed to `each` in batches, in no order, by as many threads as may be of use.
pub(crate) fn select_batches(
    shared: &Shared,
    matchers: &[Matcher],
    window: Window,
    limits: Limits,
    threads: usize,
    each: Consumer<'_>,
) -> Result<(), SelectError> {
    let (start_ms, end_ms) = window.range();
    if start_ms > end_ms {
        return Ok(());
    }
    let candidates = matching(shared, matchers, start_ms, end_ms);
    if candidates.len() > limits.max_series {
        return Err(SelectError::TooManySeries { found: candidates.len(), limit: limits.max_series });
    }
    let threads = threads.min(candidates.len() / SERIES_OF_A_THREAD).max(1);
    let size = candidates.len().div_ceil(threads * BATCHES_OF_A_THREAD).clamp(1, SERIES_OF_A_BATCH);
    let batches = Mutex::new(candidates.chunks(size));
    let work = || {
        while let Some(batch) = next(&batches) {
            let done = assembly::assemble(shared, batch, &window).map(each);
            if !matches!(done, Ok(ControlFlow::Continue(()))) {
                // Nothing is left for the others either.
                *sync::lock(&batches) = [].chunks(1);
                return done.map(drop);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut result = work();
        for worker in workers {
            // A panic there is a bug, and goes on here.
            let done = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            result = result.and(done);
        }
        result
    })
}

fn next<'a, T>(batches: &Mutex<Chunks<'a, T>>) -> Option<&'a [T]> {
    sync::lock(batches).next()
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
