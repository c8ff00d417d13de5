//! Decoded timelines: all series of a collection share one, so a few serve many chunks. Bounded.

use crate::sync;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Two generations: the older one is dropped when the younger one is half of the bound. Timeline numbers are never
/// used twice, so nothing needs to be invalidated.
#[derive(Debug)]
pub(crate) struct TimelineCache {
    half_bytes: usize,
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<i64, Arc<[i64]>>,
    old: HashMap<i64, Arc<[i64]>>,
    young_bytes: usize,
}

impl TimelineCache {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { half_bytes: bytes / 2, generations: Mutex::default() }
    }

    pub(crate) fn get(&self, row: i64) -> Option<Arc<[i64]>> {
        let mut generations = sync::lock(&self.generations);
        if let Some(found) = generations.young.get(&row) {
            return Some(Arc::clone(found));
        }
        let found = generations.old.remove(&row)?;
        generations.put(row, &found, self.half_bytes);
        Some(found)
    }

    pub(crate) fn put(&self, row: i64, timeline: &Arc<[i64]>) {
        sync::lock(&self.generations).put(row, timeline, self.half_bytes);
    }
}

impl Generations {
    fn put(&mut self, row: i64, timeline: &Arc<[i64]>, half_bytes: usize) {
        self.young_bytes += timeline.len() * size_of::<i64>() + 64;
        self.young.insert(row, Arc::clone(timeline));
        if self.young_bytes > half_bytes {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_goes() {
        let cache = TimelineCache::new(10_000);
        let timeline: Arc<[i64]> = vec![0; 100].into();
        cache.put(0, &timeline);
        for row in 1..100 {
            cache.put(row, &timeline);
            assert!(cache.get(0).is_some());
        }
        assert!(cache.get(1).is_none());
    }
}
