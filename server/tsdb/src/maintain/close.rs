//! Closing a bucket: from the head to chunks, in slices; with the last slice its log rows go.

use super::{MaintainError, Maintainer, SLICE_SAMPLES, SLICE_SERIES};
use crate::bucket::BucketKey;
use crate::directory::BucketInfo;
use crate::head::{Buf, Frozen};
use crate::idset::IdSet;
use crate::merge;
use crate::packer::Packer;
use crate::reader::Snapshot;
use crate::writer::Change;
use std::sync::Arc;

impl Maintainer<'_> {
    /// Closes a bucket of the head.
    pub(super) fn close(&mut self, key: BucketKey) -> Result<(), MaintainError> {
        match self.freeze(key)? {
            Some(frozen) => self.write_frozen(key, &frozen),
            None => Ok(()),
        }
    }

    /// Goes on with buckets that a failure left half closed.
    pub(super) fn finish_closing(&mut self) -> Result<(), MaintainError> {
        let head = crate::sync::read(&self.shared.head);
        let left = head.closing();
        drop(head);
        left.into_iter().try_for_each(|(key, frozen)| self.write_frozen(key, &frozen))
    }

    fn write_frozen(&mut self, key: BucketKey, frozen: &Arc<Frozen>) -> Result<(), MaintainError> {
        let mut rest = frozen.series.as_slice();
        loop {
            let (slice, after) = rest.split_at(slice_len(rest));
            let mut change = self.slice(key, slice)?;
            if after.is_empty() {
                change.closed = Some((key, frozen.last_log));
            }
            self.change(change)?;
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        self.spend(frozen.samples);
        self.report.closed_buckets += 1;
        Ok(())
    }

    fn slice(&mut self, key: BucketKey, slice: &[(u32, Buf)]) -> Result<Change, MaintainError> {
        let mut packer = Packer::new(key);
        let replaced = self.shared.with_reader(|connection| {
            let mut snapshot = Snapshot::begin(self.shared, connection)?;
            let stored = snapshot.buckets.get(&key).cloned();
            let (mut timestamps, mut values) = (Vec::new(), Vec::new());
            let mut replaced = 0;
            for (id, buf) in slice {
                timestamps.clear();
                values.clear();
                if stored.as_ref().is_some_and(|info| info.series.contains(*id))
                    && let Some(run) = snapshot.read(key, *id, &mut values)?
                {
                    timestamps.extend_from_slice(&run);
                    replaced += run.len();
                }
                if timestamps.is_empty() {
                    buf.collect(key.start_ms(), i64::MIN, i64::MAX, &mut timestamps, &mut values);
                } else {
                    let (mut more_ts, mut more_vs) = (Vec::new(), Vec::new());
                    buf.collect(key.start_ms(), i64::MIN, i64::MAX, &mut more_ts, &mut more_vs);
                    merge::add(&mut timestamps, &mut values, (&more_ts, &more_vs));
                }
                packer.add(*id, &timestamps, &values);
            }
            Ok::<_, MaintainError>(replaced)
        })?;
        let samples = packer.samples();
        let series = IdSet::from_sorted(slice.iter().map(|(id, _)| *id));
        let known = self.shared.directory.load().get(&key).cloned().unwrap_or_default();
        let info = BucketInfo {
            series: known.series.union(&series),
            samples: (known.samples + samples as u64).saturating_sub(replaced as u64),
        };
        let rows = packer.finish(&mut self.upkeep.next_timeline);
        let mut change = Change {
            timelines: rows.timelines,
            chunks: rows.chunks,
            buckets: if slice.is_empty() { Vec::new() } else { vec![(key, Some(info))] },
            next_timeline: Some(self.upkeep.next_timeline),
            ..Change::default()
        };
        change.invalidate(&self.shared.directory.load(), key, slice.iter().map(|(id, _)| *id));
        Ok(change)
    }
}

/// How many of the series fit one transaction.
fn slice_len(series: &[(u32, Buf)]) -> usize {
    let mut samples = 0;
    let fits = series.iter().take(SLICE_SERIES).take_while(|(_, buf)| {
        samples += buf.len();
        samples <= SLICE_SAMPLES
    });
    fits.count().max(1).min(series.len())
}
