//! Which buckets exist and which series have a chunk in them; so that a query touches no row in vain.
//!
//! Invariant: an entry is there before the commit that needs it and goes after the commit that empties it. So a reader
//! that finds the same directory before and after it took its snapshot misses nothing of the snapshot.

use crate::bucket::BucketKey;
use crate::idset::IdSet;
use crate::sync;
use std::collections::BTreeMap;
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
pub(crate) struct Directory(RwLock<Arc<Buckets>>);

impl Directory {
    pub(crate) fn new(buckets: Buckets) -> Self {
        Self(RwLock::new(Arc::new(buckets)))
    }

    pub(crate) fn load(&self) -> Arc<Buckets> {
        Arc::clone(&sync::read(&self.0))
    }

    /// Makes room for what is about to be committed: nothing is taken away yet.
    pub(crate) fn announce(&self, changes: &[(BucketKey, Option<BucketInfo>)]) {
        self.update(|buckets| {
            for (key, info) in changes {
                let Some(info) = info else { continue };
                let known = buckets.get(key).map(|b| b.series.union(&info.series));
                let series = known.unwrap_or_else(|| info.series.clone());
                buckets.insert(*key, Arc::new(BucketInfo { series, samples: info.samples }));
            }
        });
    }

    /// Takes over what was committed.
    pub(crate) fn settle(&self, changes: Vec<(BucketKey, Option<BucketInfo>)>) {
        self.update(|buckets| {
            for (key, info) in changes {
                match info {
                    Some(info) => buckets.insert(key, Arc::new(info)),
                    None => buckets.remove(&key),
                };
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut Buckets)) {
        let mut current = sync::write(&self.0);
        let mut next = Buckets::clone(&current);
        change(&mut next);
        *current = Arc::new(next);
    }
}
