//! Which buckets exist and which series have a chunk in them; so that a query touches no row in vain.
//!
//! Invariant: an entry is there before the commit that needs it and goes after the commit that empties it. So a reader
//! that finds the same directory before and after it took its snapshot misses nothing of the snapshot.

use crate::bucket::BucketKey;
use crate::idset::IdSet;
use crate::sync;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

/// One bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BucketInfo {
    /// Series with a chunk.
    pub(crate) series: IdSet,
    /// Samples in the chunks.
    pub(crate) samples: u64,
}

/// All buckets.
pub(crate) type Buckets = BTreeMap<BucketKey, Arc<BucketInfo>>;

/// The directory, replaced as a whole.
#[derive(Debug)]
pub(crate) struct Directory {
    buckets: RwLock<Arc<Buckets>>,
    /// Entries may be there whose rows are not: a commit is under way, or one has failed since the start.
    ahead: AtomicBool,
}

impl Directory {
    pub(crate) fn new(buckets: Buckets) -> Self {
        Self { buckets: RwLock::new(Arc::new(buckets)), ahead: AtomicBool::new(false) }
    }

    pub(crate) fn load(&self) -> Arc<Buckets> {
        Arc::clone(&sync::read(&self.buckets))
    }

    /// Makes room for what is about to be committed: nothing is taken away yet. Gives what [`Directory::settle`] needs.
    pub(crate) fn announce(&self, changes: &[(BucketKey, Option<BucketInfo>)]) -> bool {
        let was_ahead = self.ahead.swap(true, Ordering::SeqCst);
        self.update(|buckets| {
            for (key, info) in changes {
                let Some(info) = info else { continue };
                let known = buckets.get(key).map(|b| b.series.union(&info.series));
                let series = known.unwrap_or_else(|| info.series.clone());
                buckets.insert(*key, Arc::new(BucketInfo { series, samples: info.samples }));
            }
        });
        was_ahead
    }

    /// Whether entries may be there whose rows are not.
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead.load(Ordering::SeqCst)
    }

    /// Takes over what was committed.
    pub(crate) fn settle(&self, changes: Vec<(BucketKey, Option<BucketInfo>)>, was_ahead: bool) {
        self.update(|buckets| {
            for (key, info) in changes {
                match info {
                    Some(info) => buckets.insert(key, Arc::new(info)),
                    None => buckets.remove(&key),
                };
            }
        });
        self.ahead.store(was_ahead, Ordering::SeqCst);
    }

    fn update(&self, change: impl FnOnce(&mut Buckets)) {
        let mut current = sync::write(&self.buckets);
        let mut next = Buckets::clone(&current);
        change(&mut next);
        *current = Arc::new(next);
    }
}
