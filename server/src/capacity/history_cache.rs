//! Hours that were read before, so that a pass reads only what is new.
//!
//! Samples may come late, so the newest stretch is always read again; a pass that is asked for by a person reads
//! everything, which takes in imported history. Bounded: what does not fit is read whole each time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use super::resource::ResourceKind;
use crate::time::{HOUR_MS, Millis};

/// Points that are remembered in all: 16 bytes each, 64 MiB.
const MAX_POINTS: usize = 4 << 20;

/// Points by item, ascending in time.
pub(super) type Hours = BTreeMap<String, Vec<(Millis, f64)>>;

/// What is remembered.
#[derive(Debug, Default)]
pub struct HistoryCache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    points: usize,
    hosts: HashMap<(String, ResourceKind), Entry>,
}

#[derive(Debug)]
struct Entry {
    start_ms: Millis,
    end_ms: Millis,
    hours: Hours,
}

fn count(hours: &Hours) -> usize {
    hours.values().map(Vec::len).sum()
}

impl HistoryCache {
    /// Takes out the hours from `start_ms` on that need not be read again, and the first hour that must be. Hours that
    /// ended within `late_ms` before the last reading's end may still change.
    pub(super) fn take(
        &self,
        instance: &str,
        kind: ResourceKind,
        start_ms: Millis,
        late_ms: Millis,
    ) -> (Hours, Millis) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = kept.hosts.remove(&(instance.to_owned(), kind)) else {
            return (Hours::new(), start_ms);
        };
        kept.points -= count(&entry.hours);
        let late_hours = late_ms.div_euclid(HOUR_MS) + 1;
        let fresh_from = entry.end_ms - late_hours * HOUR_MS;
        if entry.start_ms > start_ms || fresh_from <= start_ms {
            return (Hours::new(), start_ms);
        }
        let mut hours = entry.hours;
        for points in hours.values_mut() {
            points.retain(|(at, _)| (start_ms..fresh_from).contains(at));
        }
        hours.retain(|_, points| !points.is_empty());
        (hours, fresh_from)
    }

    /// Remembers hours that were read from `start_ms` to `end_ms`.
    pub(super) fn put(
        &self,
        instance: &str,
        kind: ResourceKind,
        start_ms: Millis,
        end_ms: Millis,
        hours: &Hours,
    ) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let points = count(hours);
        if kept.points + points > MAX_POINTS {
            return;
        }
        kept.points += points;
        let entry = Entry { start_ms, end_ms, hours: hours.clone() };
        if let Some(old) = kept.hosts.insert((instance.to_owned(), kind), entry) {
            kept.points -= count(&old.hours);
        }
    }

    /// Hours that are remembered of one item; none of what no pass has read yet, or had no room for.
    pub(super) fn hours_of(&self, instance: &str, kind: ResourceKind, item: &str) -> Vec<(Millis, f64)> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = kept.hosts.get(&(instance.to_owned(), kind));
        entry.and_then(|entry| entry.hours.get(item)).cloned().unwrap_or_default()
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: ResourceKind = ResourceKind::Memory;

    fn hours(range: std::ops::Range<i64>) -> Hours {
        Hours::from([(String::new(), range.map(|hour| (hour * HOUR_MS, 1.0)).collect())])
    }

    #[test]
    fn only_what_may_still_change_is_read_again() {
        let cache = HistoryCache::default();
        assert_eq!(cache.take("a", KIND, 0, 2 * HOUR_MS), (Hours::new(), 0));
        cache.put("a", KIND, 0, 100 * HOUR_MS, &hours(0..101));
        assert_eq!(cache.take("b", KIND, 0, 0), (Hours::new(), 0), "another host");
        assert_eq!((cache.hours_of("a", KIND, "").len(), cache.hours_of("a", KIND, "/").len()), (101, 0));
        let (kept, from) = cache.take("a", KIND, 10 * HOUR_MS, 26 * HOUR_MS);
        assert_eq!(from, 73 * HOUR_MS);
        assert_eq!(kept, hours(10..73));
        assert_eq!(cache.take("a", KIND, 10 * HOUR_MS, 0).0, Hours::new(), "it was taken out");
    }

    #[test]
    fn a_longer_history_than_remembered_is_read_whole() {
        let cache = HistoryCache::default();
        cache.put("a", KIND, 50 * HOUR_MS, 100 * HOUR_MS, &hours(50..101));
        assert_eq!(cache.take("a", KIND, 0, 0), (Hours::new(), 0));
        cache.put("a", KIND, 0, 100 * HOUR_MS, &hours(0..101));
        cache.clear();
        assert_eq!(cache.take("a", KIND, 0, 0), (Hours::new(), 0));
    }

    #[test]
    fn what_does_not_fit_is_not_remembered() {
        let cache = HistoryCache::default();
        let many: i64 = (MAX_POINTS / 2 + 1) as i64;
        cache.put("a", KIND, 0, many * HOUR_MS, &hours(0..many));
        cache.put("b", KIND, 0, many * HOUR_MS, &hours(0..many));
        assert_eq!(cache.take("b", KIND, 0, 0).1, 0);
        assert!(cache.take("a", KIND, 0, 0).1 > 0);
        cache.put("b", KIND, 0, many * HOUR_MS, &hours(0..many));
        assert!(cache.take("b", KIND, 0, 0).1 > 0, "there is room again");
    }
}
