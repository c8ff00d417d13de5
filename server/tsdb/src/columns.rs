//! A batch in columns: labels borrow from what was received, so that samples of known series cost no allocation.

use crate::labels::{self, LabelsError, MAX_LABELS};

/// Name and value of a label.
pub type Pair<'a> = (&'a str, &'a str);

/// Series with samples. Label sets are normalized as they are ended: sorted, unique, no empty values, within limits.
#[derive(Debug, Clone, Default)]
pub struct Columns<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    samples: Vec<(i64, f64)>,
    /// Where the pairs and the samples of each series end.
    ends: Vec<(u32, u32)>,
}

impl<'a> Columns<'a> {
    /// Adds a label to the series that is open.
    pub fn push_label(&mut self, name: &'a str, value: &'a str) {
        // One too many is kept, so that the end of the series finds it; more would only cost memory.
        if self.pairs.len() - self.last_end().0 <= MAX_LABELS {
            self.pairs.push((name, value));
        }
    }

    /// Adds a sample to the series that is open: milliseconds since the epoch, value.
    pub fn push_sample(&mut self, timestamp_ms: i64, value: f64) {
        self.samples.push((timestamp_ms, value));
    }

    /// Ends the open series and gives its labels.
    ///
    /// # Errors
    /// The label set is broken; the columns are of no use then.
    pub fn end_series(&mut self) -> Result<&[(&'a str, &'a str)], LabelsError> {
        let from = self.last_end().0;
        labels::normalize(&mut self.pairs, from)?;
        // More than 2^32 pairs or samples would not have fitted in memory.
        self.ends.push((self.pairs.len() as u32, self.samples.len() as u32));
        Ok(&self.pairs[from..])
    }

    /// Series that are ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether no series is ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Samples of all series, one series after the other.
    #[must_use]
    pub fn samples(&self) -> &[(i64, f64)] {
        &self.samples
    }

    /// Labels and samples of each series.
    pub fn iter(&self) -> impl Iterator<Item = (&[Pair<'a>], &[(i64, f64)])> {
        let mut from = (0, 0);
        self.ends.iter().map(move |&(pairs, samples)| {
            let end = (pairs as usize, samples as usize);
            let series = (&self.pairs[from.0..end.0], &self.samples[from.1..end.1]);
            from = end;
            series
        })
    }

    /// Where the samples of each series end.
    pub(crate) fn ends(&self) -> impl Iterator<Item = u32> {
        self.ends.iter().map(|&(_, samples)| samples)
    }

    fn last_end(&self) -> (usize, usize) {
        self.ends.last().map_or((0, 0), |&(pairs, samples)| (pairs as usize, samples as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_series_keeps_its_own_labels_and_samples() {
        let mut columns = Columns::default();
        columns.push_label("b", "2");
        columns.push_label("a", "1");
        columns.push_label("c", "");
        columns.push_sample(1, 0.5);
        assert_eq!(columns.end_series(), Ok(&[("a", "1"), ("b", "2")][..]));
        columns.push_label("a", "3");
        assert_eq!(columns.end_series(), Ok(&[("a", "3")][..]));
        let series: Vec<_> = columns.iter().map(|(pairs, samples)| (pairs.len(), samples.len())).collect();
        assert_eq!(series, [(2, 1), (1, 0)]);
    }

    #[test]
    fn a_series_of_too_many_labels_costs_no_memory_for_them() {
        let mut columns = Columns::default();
        (0..100_000).for_each(|_| columns.push_label("a", "1"));
        assert!(columns.pairs.len() <= MAX_LABELS + 1);
        assert_eq!(columns.end_series(), Err(LabelsError::TooMany(MAX_LABELS + 1)));
    }
}
