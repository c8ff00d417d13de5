//! Retention: by age, by size; and the series that nothing is left of.

use super::{MaintainError, Maintainer, SLICE_SERIES};
use crate::bucket::{BucketKey, Level};
use crate::downsample::Resolution;
use crate::idset::IdSet;
use crate::options::millis;
use crate::schema;
use crate::sync;
use crate::writer::Change;

/// Buckets that one call deletes.
const CALL_BUCKETS: usize = 64;

impl Maintainer<'_> {
    /// Deletes the buckets that end before the retention begins.
    pub(super) fn expire_by_age(&mut self, now_ms: i64) -> Result<(), MaintainError> {
        let before_ms = now_ms.saturating_sub(millis(self.shared.options.retention));
        let old = |key: &BucketKey| key.end_ms() <= before_ms;
        let open: Vec<_> =
            sync::read(&self.shared.head).open_buckets().map(|(key, _)| key).filter(old).collect();
        for key in open {
            // Closed first, so that what is deleted is in one place.
            self.close(key)?;
        }
        let expired: Vec<_> = self.shared.directory.load().keys().copied().filter(old).collect();
        for key in expired {
            if self.report.expired_buckets >= CALL_BUCKETS {
                self.report.more = true;
                break;
            }
            self.drop_bucket(key)?;
        }
        Ok(())
    }

    /// Deletes the oldest buckets while the data is larger than it may be. The newest bucket stays.
    pub(super) fn expire_by_size(&mut self) -> Result<(), MaintainError> {
        let Some(max_bytes) = self.shared.options.max_bytes else { return Ok(()) };
        while self.shared.with_reader(schema::size_bytes)?.0 > max_bytes {
            let buckets = self.shared.directory.load();
            let oldest = buckets.keys().copied().filter(|key| key.is_raw()).min_by_key(|key| key.start_ms());
            let newest = buckets.keys().filter(|key| key.is_raw()).map(|key| key.start_ms()).max();
            let Some(key) = oldest.filter(|key| Some(key.start_ms()) < newest) else { break };
            if self.report.expired_buckets >= CALL_BUCKETS {
                self.report.more = true;
                break;
            }
            self.drop_bucket(key)?;
        }
        Ok(())
    }

    /// Deletes a bucket, with the aggregates that were made of it.
    fn drop_bucket(&mut self, key: BucketKey) -> Result<(), MaintainError> {
        let known = self.shared.directory.load();
        let aggregates = Resolution::ALL.map(|resolution| key.aggregates(resolution));
        let with = aggregates.into_iter().filter(|a| key.level() == Level::Day && known.contains_key(a));
        let buckets = [key].into_iter().chain(with).map(|key| (key, None)).collect();
        self.change(Change { buckets, ..Change::default() })?;
        self.report.expired_buckets += 1;
        self.upkeep.series_may_be_gone = true;
        Ok(())
    }

    /// Removes series that have no sample, neither in chunks nor in the head, and are not active.
    pub(super) fn remove_series(&mut self) -> Result<(), MaintainError> {
        if !std::mem::take(&mut self.upkeep.series_may_be_gone) {
            return Ok(());
        }
        let mut gone: Vec<u32> = {
            let index = sync::read(&self.shared.index);
            let head = sync::read(&self.shared.head);
            let buckets = self.shared.directory.load();
            let stored = IdSet::union_all(buckets.values().map(|info| &info.series));
            index.all().filter(|&id| !stored.contains(id) && head.is_idle(id)).collect()
        };
        if gone.len() > SLICE_SERIES {
            gone.truncate(SLICE_SERIES);
            self.upkeep.series_may_be_gone = true;
            self.report.more = true;
        }
        if gone.is_empty() {
            return Ok(());
        }
        self.report.removed_series += gone.len();
        self.change(Change { remove_series: gone, ..Change::default() })
    }
}
