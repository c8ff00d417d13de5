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
use std::sync::Arc;

/// From this many series on a query is shared among threads. Starting one takes as long as reading some ten, and on a
/// busy machine as long as reading a whole host.
const SERIES_OF_A_THREAD: usize = 200;
/// Threads of one query at most.
const MAX_THREADS: usize = 4;

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
    let mut candidates = matching(shared, matchers, start_ms, end_ms);
    if candidates.len() > limits.max_series {
        return Err(SelectError::TooManySeries { found: candidates.len(), limit: limits.max_series });
    }
    let mut found = if candidates.len() < SERIES_OF_A_THREAD {
        assembly::assemble(shared, candidates, &window)?
    } else {
        let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_THREADS));
        let share = candidates.len().div_ceil(threads);
        std::thread::scope(|scope| {
            let mut workers = Vec::with_capacity(threads);
            while candidates.len() > share {
                let part = candidates.split_off(candidates.len() - share);
                let window = &window;
                workers.push(scope.spawn(move || assembly::assemble(shared, part, window)));
            }
            let mut found = assembly::assemble(shared, candidates, &window)?;
            for worker in workers {
                // A panic there is a bug, and goes on here.
                let part = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                found.append(&mut part?);
            }
            Ok::<_, SelectError>(found)
        })?
    };
    found.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
    Ok(found)
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
