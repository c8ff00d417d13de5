//! For every label pair the sorted list of its series, and the set algebra that answers matchers with them.

use crate::Matcher;
use crate::labels::Labels;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::Arc;

type Values = BTreeMap<Arc<str>, Vec<u32>>;

/// The lists.
#[derive(Debug, Default)]
pub(super) struct Postings {
    by_name: BTreeMap<Arc<str>, Values>,
}

impl Postings {
    /// Adds a series; its number is the highest so far.
    pub(super) fn add(&mut self, id: u32, labels: &Labels) {
        for (name, value) in labels.shared().iter() {
            if !self.by_name.contains_key(name) {
                self.by_name.insert(Arc::clone(name), Values::new());
            }
            let Some(values) = self.by_name.get_mut(name) else { continue };
            match values.get_mut(value) {
                Some(ids) => ids.push(id),
                None => {
                    values.insert(Arc::clone(value), vec![id]);
                }
            }
        }
    }

    pub(super) fn remove(&mut self, gone: &[(u32, Labels)]) {
        let ids: HashSet<u32> = gone.iter().map(|(id, _)| *id).collect();
        let mut touched: HashMap<&Arc<str>, HashSet<&Arc<str>>> = HashMap::new();
        for (_, labels) in gone {
            for (name, value) in labels.shared().iter() {
                touched.entry(name).or_default().insert(value);
            }
        }
        for (name, values) in touched {
            let Some(known) = self.by_name.get_mut(name) else { continue };
            for value in values {
                if let Some(list) = known.get_mut(value) {
                    list.retain(|id| !ids.contains(id));
                    if list.is_empty() {
                        known.remove(value);
                    }
                }
            }
            if known.is_empty() {
                self.by_name.remove(name);
            }
        }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = (&Arc<str>, &[u32])> {
        self.by_name.get(name).into_iter().flatten().map(|(v, ids)| (v, ids.as_slice()))
    }

    /// Series that satisfy all matchers, ascending. `all` lists every series, and is called only when needed.
    pub(super) fn select(&self, matchers: &[Matcher], all: impl FnOnce() -> Vec<u32>) -> Vec<u32> {
        // A matcher that a missing label satisfies excludes the series whose value it refuses;
        // any other one requires a listed value.
        let (excluding, requiring): (Vec<_>, Vec<_>) = matchers.iter().partition(|m| m.matches(""));
        let mut lists: Vec<Vec<&[u32]>> = requiring.iter().map(|m| self.lists(m, true)).collect();
        lists.sort_by_key(|lists| lists.iter().map(|l| l.len()).sum::<usize>());
        let mut found = match lists.split_first() {
            None => all(),
            Some((fewest, others)) => {
                let mut found = union(fewest);
                for other in others {
                    keep(&mut found, other, true);
                }
                found
            }
        };
        for matcher in excluding {
            keep(&mut found, &self.lists(matcher, false), false);
        }
        found
    }

    /// Lists of the values on which the matcher's verdict is `wanted`.
    fn lists(&self, matcher: &Matcher, wanted: bool) -> Vec<&[u32]> {
        let Some(values) = self.by_name.get(matcher.name()) else { return Vec::new() };
        let accepted = matcher.negative() != wanted;
        if accepted {
            if let Some(literals) = matcher.literals() {
                return literals.iter().filter_map(|l| values.get(*l)).map(Vec::as_slice).collect();
            }
            let prefix = matcher.prefix();
            let from = (Bound::Included(prefix), Bound::Unbounded);
            return values
                .range::<str, _>(from)
                .take_while(|(v, _)| v.starts_with(prefix))
                .filter(|(v, _)| matcher.accepts(v))
                .map(|(_, ids)| ids.as_slice())
                .collect();
        }
        values.iter().filter(|(v, _)| !matcher.accepts(v)).map(|(_, ids)| ids.as_slice()).collect()
    }
}

/// All numbers of disjoint lists, ascending.
fn union(lists: &[&[u32]]) -> Vec<u32> {
    let mut all = lists.concat();
    if lists.len() > 1 {
        all.sort_unstable();
    }
    all
}

/// Keeps the numbers whose presence in one of the disjoint lists is `wanted`.
fn keep(found: &mut Vec<u32>, lists: &[&[u32]], wanted: bool) {
    let listed: usize = lists.iter().map(|l| l.len()).sum();
    if lists.len() <= 4 || found.len() * 16 < listed {
        found.retain(|id| lists.iter().any(|l| l.binary_search(id).is_ok()) == wanted);
        return;
    }
    let union = union(lists);
    let mut at = 0;
    found.retain(|&id| {
        while at < union.len() && union[at] < id {
            at += 1;
        }
        (union.get(at) == Some(&id)) == wanted
    });
}
