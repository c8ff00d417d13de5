//! The inverted index: from labels to series and from matchers to series. In memory, rebuilt from the series table.
//!
//! Invariants: a series number is never used twice; postings are sorted; every string is held once.
//! Lookups hash the label set's canonical bytes with XXH3 and then compare the labels themselves.

mod postings;

use crate::labels::{self, LabelPair, Labels};
use postings::Postings;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// Hash of a label set.
pub(crate) fn hash_labels(labels: &Labels, scratch: &mut Vec<u8>) -> u64 {
    hash_pairs(labels.iter(), scratch)
}

/// Hash of a label set that is given as sorted pairs.
pub(crate) fn hash_pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, scratch: &mut Vec<u8>) -> u64 {
    scratch.clear();
    labels::write_key(pairs, scratch);
    xxhash_rust::xxh3::xxh3_64(scratch)
}

/// The keys are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only u64 keys are hashed, by `write_u64`; anything else is still a valid, if slow, hash.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type ByHash<V> = HashMap<u64, V, BuildHasherDefault<AsIs>>;

/// All series that exist.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By number; a hole where a series was removed.
    series: Vec<Option<Labels>>,
    by_hash: ByHash<u32>,
    /// Series whose hash another one took first.
    collisions: Vec<u32>,
    symbols: HashSet<Arc<str>>,
    postings: Postings,
    count: usize,
    /// Grows with every removal: numbers looked up before may be stale after.
    removals: u64,
}

impl Index {
    /// The series of a label set, given its hash.
    pub(crate) fn find(&self, hash: u64, labels: &Labels) -> Option<u32> {
        self.find_pairs(hash, labels.iter())
    }

    /// The series of a label set that is given as sorted pairs, and its hash.
    pub(crate) fn find_pairs<'a>(
        &self,
        hash: u64,
        pairs: impl Iterator<Item = (&'a str, &'a str)> + Clone,
    ) -> Option<u32> {
        let same = |id: u32| {
            let Some(labels) = self.labels(id) else { return false };
            // Not `eq`: it would want the strings to live equally long.
            let mut wanted = pairs.clone();
            labels.iter().all(|(n, v)| wanted.next().is_some_and(|w| w.0 == n && w.1 == v))
                && wanted.next().is_none()
        };
        let &first = self.by_hash.get(&hash)?;
        if same(first) {
            return Some(first);
        }
        self.collisions.iter().copied().find(|&id| same(id))
    }

    /// Adds a series under a number larger than all before.
    pub(crate) fn insert(&mut self, id: u32, hash: u64, labels: &Labels) {
        let labels = self.intern(labels);
        if let std::collections::hash_map::Entry::Vacant(slot) = self.by_hash.entry(hash) {
            slot.insert(id);
        } else {
            self.collisions.push(id);
        }
        self.postings.add(id, &labels);
        let at = id as usize;
        if self.series.len() <= at {
            self.series.resize(at + 1, None);
        }
        self.series[at] = Some(labels);
        self.count += 1;
    }

    fn intern(&mut self, labels: &Labels) -> Labels {
        let mut shared = |text: &Arc<str>| match self.symbols.get(text) {
            Some(known) => Arc::clone(known),
            None => {
                self.symbols.insert(Arc::clone(text));
                Arc::clone(text)
            }
        };
        let pairs: Vec<LabelPair> = labels.shared().iter().map(|(n, v)| (shared(n), shared(v))).collect();
        Labels::from_interned(pairs)
    }

    /// Removes series; unknown numbers are passed over.
    pub(crate) fn remove(&mut self, ids: &[u32]) {
        let mut gone = Vec::with_capacity(ids.len());
        let mut scratch = Vec::new();
        for &id in ids {
            let Some(labels) = self.series.get_mut(id as usize).and_then(Option::take) else { continue };
            let hash = hash_labels(&labels, &mut scratch);
            if self.by_hash.get(&hash) == Some(&id) {
                self.by_hash.remove(&hash);
                self.promote_collision(hash);
            } else {
                self.collisions.retain(|&other| other != id);
            }
            gone.push((id, labels));
        }
        self.count -= gone.len();
        self.removals += 1;
        self.postings.remove(&gone);
        drop(gone);
        // One reference left: no series uses the string.
        self.symbols.retain(|symbol| Arc::strong_count(symbol) > 1);
    }

    fn promote_collision(&mut self, hash: u64) {
        let mut scratch = Vec::new();
        let same = |&id: &u32| self.labels(id).is_some_and(|l| hash_labels(l, &mut scratch) == hash);
        if let Some(at) = self.collisions.iter().position(same) {
            let id = self.collisions.swap_remove(at);
            self.by_hash.insert(hash, id);
        }
    }

    /// Labels of a series.
    pub(crate) fn labels(&self, id: u32) -> Option<&Labels> {
        self.series.get(id as usize)?.as_ref()
    }

    /// Number of series.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The number after the highest ever used.
    pub(crate) fn next_id(&self) -> u32 {
        self.series.len().max(1) as u32
    }

    /// Never gives out this number or a lower one.
    pub(crate) fn reserve(&mut self, id: u32) {
        if self.series.len() <= id as usize {
            self.series.resize(id as usize + 1, None);
        }
    }

    /// Removals so far.
    pub(crate) fn removals(&self) -> u64 {
        self.removals
    }

    /// All numbers, ascending.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> + '_ {
        self.series.iter().enumerate().filter(|(_, s)| s.is_some()).map(|(id, _)| id as u32)
    }

    /// Series that satisfy all matchers, ascending.
    pub(crate) fn select(&self, matchers: &[crate::Matcher]) -> Vec<u32> {
        self.postings.select(matchers, || self.all().collect())
    }

    /// Label names, sorted.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.postings.names()
    }

    /// Values of a label with their series, sorted by value.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = (&Arc<str>, &[u32])> {
        self.postings.values(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MatchOp, Matcher};
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        Labels::from_pairs(pairs.iter().copied()).unwrap()
    }

    fn filled(sets: &[Labels]) -> Index {
        let mut index = Index::default();
        for (i, set) in sets.iter().enumerate() {
            let hash = hash_labels(set, &mut Vec::new());
            index.insert(i as u32 + 1, hash, set);
        }
        index
    }

    #[test]
    fn series_with_the_same_hash_are_told_apart() {
        let (a, b, c) = (labels(&[("a", "1")]), labels(&[("a", "2")]), labels(&[("a", "3")]));
        let mut index = Index::default();
        index.insert(1, 7, &a);
        index.insert(2, 7, &b);
        assert_eq!(index.find(7, &a), Some(1));
        assert_eq!(index.find(7, &b), Some(2));
        assert_eq!(index.find(7, &c), None);
    }

    #[test]
    fn removed_series_leave_nothing_behind() {
        let sets =
            [labels(&[("__name__", "up"), ("host", "a")]), labels(&[("__name__", "up"), ("host", "b")])];
        let mut index = filled(&sets);
        drop(sets);
        index.remove(&[1, 1, 99]);
        assert_eq!(index.len(), 1);
        assert_eq!(index.select(&[Matcher::new("__name__", MatchOp::Equal, "up").unwrap()]), [2]);
        assert_eq!(index.values("host").map(|(v, _)| v.to_string()).collect::<Vec<_>>(), ["b"]);
        assert!(!index.symbols.contains("a"));
        index.remove(&[2]);
        assert!(index.names().next().is_none() && index.symbols.is_empty());
    }

    fn op() -> impl Strategy<Value = MatchOp> {
        prop_oneof![
            Just(MatchOp::Equal),
            Just(MatchOp::NotEqual),
            Just(MatchOp::Regex),
            Just(MatchOp::NotRegex)
        ]
    }

    const PATTERNS: [&str; 10] = ["", "x", "y", "x.*", ".*", ".+", "xx|y", "y(x|y)", "[xy]", "yy?"];

    proptest! {
        #[test]
        fn selection_equals_a_scan(
            sets in prop::collection::btree_set(prop::collection::btree_map("[abc]", "[xy]{1,2}", 0..3), 0..20),
            matchers in prop::collection::vec(("[abc]", op(), prop::sample::select(&PATTERNS[..])), 0..4),
        ) {
            let sets: Vec<Labels> = sets.into_iter().map(|s| Labels::from_pairs(s).unwrap()).collect();
            let index = filled(&sets);
            let matchers: Vec<Matcher> = matchers.iter().map(|(n, op, v)| Matcher::new(n, *op, v).unwrap()).collect();
            let wanted: Vec<u32> = (1..).zip(&sets)
                .filter(|(_, set)| matchers.iter().all(|m| m.matches(set.get(m.name()).unwrap_or(""))))
                .map(|(id, _)| id).collect();
            prop_assert_eq!(index.select(&matchers), wanted);
        }
    }
}
