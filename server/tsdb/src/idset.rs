//! A set of series numbers as ranges: series of a fleet are numbered as they appear, so a set of thousands is
//! a handful of ranges.

use crate::codec::bytes::{Reader, put_varint};

/// Sorted, disjoint, not touching, inclusive ranges.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct IdSet(Vec<(u32, u32)>);

impl IdSet {
    /// From numbers in ascending order.
    pub(crate) fn from_sorted(ids: impl IntoIterator<Item = u32>) -> Self {
        let mut set = Self::default();
        for id in ids {
            set.push(id, id);
        }
        set
    }

    /// Appends a range that begins at or after the start of the last.
    fn push(&mut self, start: u32, end: u32) {
        match self.0.last_mut() {
            Some((_, last)) if u64::from(start) <= u64::from(*last) + 1 => *last = (*last).max(end),
            _ => self.0.push((start, end)),
        }
    }

    pub(crate) fn contains(&self, id: u32) -> bool {
        let at = self.0.partition_point(|&(start, _)| start <= id);
        at > 0 && id <= self.0[at - 1].1
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.0.iter().map(|&(start, end)| (end - start) as usize + 1).sum()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flat_map(|&(s, e)| s..=e)
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        Self::union_all([self, other])
    }

    pub(crate) fn union_all<'a>(sets: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut ranges: Vec<_> = sets.into_iter().flat_map(|set| &set.0).copied().collect();
        ranges.sort_unstable();
        let mut union = Self::default();
        for (start, end) in ranges {
            union.push(start, end);
        }
        union
    }

    /// The highest.
    pub(crate) fn last(&self) -> Option<u32> {
        self.0.last().map(|&(_, end)| end)
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut cuts = other.0.iter().peekable();
        for &(mut start, end) in &self.0 {
            let mut open = true;
            while let Some(&&(cut_start, cut_end)) = cuts.peek() {
                if cut_end < start {
                    cuts.next();
                    continue;
                }
                if cut_start > end {
                    break;
                }
                if cut_start > start {
                    out.push((start, cut_start - 1));
                }
                if cut_end >= end {
                    open = false;
                    break;
                }
                start = cut_end + 1;
                cuts.next();
            }
            if open {
                out.push((start, end));
            }
        }
        Self(out)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut last = 0;
        for &(start, end) in &self.0 {
            put_varint(&mut out, u64::from(start - last));
            put_varint(&mut out, u64::from(end - start));
            last = end;
        }
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let mut set = Self::default();
        let mut last = 0_u32;
        while !reader.is_empty() {
            let start = last.checked_add(u32::try_from(reader.varint()?).ok()?)?;
            last = start.checked_add(u32::try_from(reader.varint()?).ok()?)?;
            set.push(start, last);
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn a_set_behaves_as_a_set(a: BTreeSet<u8>, b: BTreeSet<u8>) {
            let set = |s: &BTreeSet<u8>| IdSet::from_sorted(s.iter().map(|&i| u32::from(i)));
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(x.union(&y), set(&a.union(&b).copied().collect()));
            prop_assert_eq!(x.minus(&y), set(&a.difference(&b).copied().collect()));
            prop_assert!((0..=255).all(|i| x.contains(u32::from(i)) == a.contains(&i)));
            prop_assert!(x.iter().eq(a.iter().map(|&i| u32::from(i))));
            prop_assert_eq!(IdSet::decode(&x.encode()), Some(x));
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let _ = IdSet::decode(&bytes);
        }
    }
}
