//! The log rows of samples that are committed together, one for each bucket that they touch.

use crate::bucket::BucketKey;
use crate::codec::log::LogWriter;
use std::collections::HashMap;

/// Rows in the making.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    open: Vec<(BucketKey, LogWriter)>,
    at: HashMap<BucketKey, usize>,
    last: usize,
}

/// A row and the bucket that it belongs to.
pub(crate) type LogRow = (BucketKey, Vec<u8>);

impl Logs {
    pub(crate) fn push(&mut self, series: u32, key: BucketKey, t: i64, value: f64) {
        if self.open.get(self.last).is_none_or(|(k, _)| *k != key) {
            self.last = *self.at.entry(key).or_insert_with(|| {
                self.open.push((key, LogWriter::new()));
                self.open.len() - 1
            });
        }
        self.open[self.last].1.push(series, t, value);
    }

    /// The finished rows; there are none left then.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = LogRow> {
        std::mem::take(self).open.into_iter().map(|(key, log)| (key, log.finish()))
    }
}
