//! Label sets: sorted by name, shared, never holding an empty value.
//!
//! Invariants: names are unique and in byte order; a label with an empty value is the same as no label,
//! so it is dropped when a set is built. The metric name is the label `__name__`.

use std::fmt;
use std::sync::Arc;

/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// One label: name and value.
pub type Pair = (Arc<str>, Arc<str>);

/// A label set; a clone copies one pointer.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[Pair]>);

impl Labels {
    /// Builds a set from pairs in any order. Of two pairs with one name the later wins; empty values are dropped.
    pub fn new<N, V, I>(pairs: I) -> Self
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
        I: IntoIterator<Item = (N, V)>,
    {
        let mut list: Vec<Pair> = pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        let mut kept: Vec<Pair> = Vec::with_capacity(list.len());
        for pair in list {
            match kept.last_mut() {
                Some(last) if last.0 == pair.0 => *last = pair,
                _ => kept.push(pair),
            }
        }
        kept.retain(|(_, value)| !value.is_empty());
        Self(kept.into())
    }

    /// Takes over a shared list that already keeps the invariants (sorted, unique, no empty value).
    pub fn from_shared(pairs: Arc<[Pair]>) -> Self {
        debug_assert!(pairs.windows(2).all(|w| w[0].0 < w[1].0));
        Self(pairs)
    }

    /// The set without labels.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// The shared list behind the set.
    pub fn shared(&self) -> &Arc<[Pair]> {
        &self.0
    }

    /// The value of a label, `None` when the label is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Label sets are short: a scan beats a binary search.
        self.0.iter().find(|(n, _)| &**n == name).map(|(_, v)| &**v)
    }

    /// The pairs in order of name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True for the set without labels.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set reduced to the labels for which `keep` says true.
    pub(crate) fn filtered(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        if self.0.iter().all(|(n, _)| keep(n)) {
            return self.clone();
        }
        let kept: Vec<Pair> = self.0.iter().filter(|(n, _)| keep(n)).cloned().collect();
        Self(kept.into())
    }

    /// The set without the metric name and the other labels that describe the metric (type and unit).
    pub(crate) fn without_metric_identity(&self) -> Self {
        self.filtered(|n| !is_metric_identity(n))
    }

    /// True if dropping the metric's identity would change the set.
    pub(crate) fn has_metric_identity(&self) -> bool {
        self.0.iter().any(|(n, _)| is_metric_identity(n))
    }

    /// True if both describe the same metric.
    pub(crate) fn has_metric_identity_of(&self, other: &Self) -> bool {
        self.metric_identity().eq(other.metric_identity())
    }

    fn metric_identity(&self) -> impl Iterator<Item = &Pair> {
        self.0.iter().filter(|(n, _)| is_metric_identity(n))
    }

    /// The set with one label set to a value, or removed when the value is empty.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut list: Vec<Pair> = self.0.iter().filter(|(n, _)| &**n != name).cloned().collect();
        if !value.is_empty() {
            let at = list.partition_point(|(n, _)| &**n < name);
            list.insert(at, (name.into(), value.into()));
        }
        Self(list.into())
    }
}

/// Labels that say which metric a sample belongs to; they no longer hold once the value was computed with.
pub(crate) fn is_metric_identity(name: &str) -> bool {
    matches!(name, METRIC_NAME | "__type__" | "__unit__")
}

impl Default for Labels {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Display for Labels {
    /// `{a="1", b="2"}`, as Prometheus writes label sets in its messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            if is_plain_label_name(name) {
                f.write_str(name)?;
            } else {
                write!(f, "{}", crate::format::quoted(name))?;
            }
            write!(f, "={}", crate::format::quoted(value))?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// True for names that need no quotes inside braces.
pub(crate) fn is_plain_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_unique_and_without_empty_values() {
        let labels = Labels::new([("b", "2"), ("a", "1"), ("b", "3"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="1", b="3"}"#);
        assert_eq!(labels.get("c"), None);
    }

    #[test]
    fn setting_a_label_keeps_the_order_and_an_empty_value_removes_it() {
        let labels = Labels::new([("a", "1"), ("c", "3")]);
        assert_eq!(labels.with("b", "2").to_string(), r#"{a="1", b="2", c="3"}"#);
        assert_eq!(labels.with("a", "").to_string(), r#"{c="3"}"#);
    }
}
