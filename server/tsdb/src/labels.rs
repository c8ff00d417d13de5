//! Label sets: what names a series.
//!
//! Invariants of [`Labels`]: sorted by name, names unique and not empty, no empty value (an empty value is the
//! same as no label), bounded by [`MAX_LABELS`] and [`MAX_LABELS_BYTES`].

use std::fmt;
use std::sync::Arc;

/// Most labels of one series, `__name__` included.
pub const MAX_LABELS: usize = 128;
/// Most bytes of names and values of one series.
pub const MAX_LABELS_BYTES: usize = 16 * 1024;
/// The label that holds the metric's name.
pub const METRIC_NAME: &str = "__name__";

/// One name and value.
pub type LabelPair = (Arc<str>, Arc<str>);

/// A sorted label set, `__name__` included. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[LabelPair]>);

/// Why a label set was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// A label without a name.
    #[error("label with an empty name")]
    EmptyName,
    /// A name that occurs twice.
    #[error("label {0:?} occurs twice")]
    Duplicate(String),
    /// More than [`MAX_LABELS`] labels.
    #[error("{0} labels, at most {MAX_LABELS} are allowed")]
    TooMany(usize),
    /// More than [`MAX_LABELS_BYTES`] bytes.
    #[error("{0} bytes of labels, at most {MAX_LABELS_BYTES} are allowed")]
    TooLong(usize),
}

impl Labels {
    /// Sorts and checks the pairs. Pairs with an empty value are left out.
    ///
    /// # Errors
    /// An empty or repeated name, or a set beyond the limits of this module.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self, LabelsError>
    where
        N: Into<Arc<str>>,
        V: Into<Arc<str>>,
    {
        Self::from_shared(pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect())
    }

    /// As [`Labels::from_pairs`], for strings that are shared already (interned by the caller): copies no text.
    ///
    /// # Errors
    /// As [`Labels::from_pairs`].
    pub fn from_shared(mut pairs: Vec<LabelPair>) -> Result<Self, LabelsError> {
        normalize(&mut pairs, 0)?;
        Ok(Self(pairs.into()))
    }

    /// Pairs of a set that was checked before.
    pub(crate) fn from_interned(pairs: Vec<LabelPair>) -> Self {
        Self(pairs.into())
    }

    /// The empty set.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// The pairs, sorted by name, to share without copying text.
    #[must_use]
    pub fn shared(&self) -> &Arc<[LabelPair]> {
        &self.0
    }

    /// The value of a label, if it has one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.binary_search_by(|(n, _)| n.as_ref().cmp(name)).ok().map(|i| self.0[i].1.as_ref())
    }

    /// The metric's name, or the empty string.
    #[must_use]
    pub fn metric(&self) -> &str {
        self.get(METRIC_NAME).unwrap_or("")
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(n, v)| (n.as_ref(), v.as_ref()))
    }

    /// Number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Canonical bytes, see [`write_key`].
    pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
        write_key(self.iter(), out);
    }

    /// Reads what [`Labels::write_key`] wrote.
    pub(crate) fn from_key(key: &[u8]) -> Option<Vec<(&str, &str)>> {
        let mut reader = crate::codec::bytes::Reader::new(key);
        let mut pairs = Vec::new();
        while !reader.is_empty() {
            let mut text = || {
                let len = usize::try_from(reader.varint()?).ok()?;
                std::str::from_utf8(reader.take(len)?).ok()
            };
            pairs.push((text()?, text()?));
        }
        Some(pairs)
    }
}

/// Brings the pairs from `from` on into the form of a label set: no empty values, sorted, unique, within the limits.
pub(crate) fn normalize<T: AsRef<str>>(pairs: &mut Vec<(T, T)>, from: usize) -> Result<(), LabelsError> {
    let len = pairs.len() - from;
    if len > MAX_LABELS {
        return Err(LabelsError::TooMany(len));
    }
    if pairs[from..].iter().any(|(_, v)| v.as_ref().is_empty()) {
        let mut at = 0;
        pairs.retain(|(_, v)| {
            at += 1;
            at <= from || !v.as_ref().is_empty()
        });
    }
    let set = &mut pairs[from..];
    if !set.is_sorted_by(|a, b| a.0.as_ref() < b.0.as_ref()) {
        set.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        if let Some(twice) = set.windows(2).find(|w| w[0].0.as_ref() == w[1].0.as_ref()) {
            return Err(LabelsError::Duplicate(twice[0].0.as_ref().to_owned()));
        }
    }
    if set.first().is_some_and(|(n, _)| n.as_ref().is_empty()) {
        return Err(LabelsError::EmptyName);
    }
    let bytes = set.iter().map(|(n, v)| n.as_ref().len() + v.as_ref().len()).sum::<usize>();
    if bytes > MAX_LABELS_BYTES {
        return Err(LabelsError::TooLong(bytes));
    }
    Ok(())
}

/// Canonical bytes of a set: equal exactly for equal sets. Lengths come first, so no separator can be forged.
pub(crate) fn write_key<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, out: &mut Vec<u8>) {
    for (n, v) in pairs {
        crate::codec::bytes::put_varint(out, n.len() as u64);
        out.extend_from_slice(n.as_bytes());
        crate::codec::bytes::put_varint(out, v.len() as u64);
        out.extend_from_slice(v.as_bytes());
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{", self.metric())?;
        let rest = self.iter().filter(|(n, _)| *n != METRIC_NAME);
        for (i, (name, value)) in rest.enumerate() {
            write!(f, "{}{name}={value:?}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_and_empty_values_dropped() {
        let labels = Labels::from_pairs([("b", "2"), ("__name__", "up"), ("c", ""), ("a", "1")]).unwrap();
        assert_eq!(labels.to_string(), r#"up{a="1", b="2"}"#);
        assert_eq!(labels.get("c"), None);
        assert_eq!(labels.get("b"), Some("2"));
    }

    #[test]
    fn broken_sets_are_refused() {
        assert_eq!(Labels::from_pairs([("", "x")]), Err(LabelsError::EmptyName));
        assert_eq!(Labels::from_pairs([("a", "x"), ("a", "x")]), Err(LabelsError::Duplicate("a".into())));
        let many = (0..=MAX_LABELS).map(|i| (i.to_string(), "v"));
        assert_eq!(Labels::from_pairs(many), Err(LabelsError::TooMany(MAX_LABELS + 1)));
        let long = "v".repeat(MAX_LABELS_BYTES);
        assert_eq!(Labels::from_pairs([("a", long)]), Err(LabelsError::TooLong(MAX_LABELS_BYTES + 1)));
    }

    #[test]
    fn the_key_reads_back_and_a_cut_key_does_not() {
        let labels = Labels::from_pairs([("__name__", "up"), ("a", "é")]).unwrap();
        let mut key = Vec::new();
        labels.write_key(&mut key);
        assert_eq!(Labels::from_key(&key), Some(vec![("__name__", "up"), ("a", "é")]));
        assert_eq!(Labels::from_key(&key[..key.len() - 1]), None);
    }
}
