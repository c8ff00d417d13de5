//! Deleting samples of chosen series in a range.

use super::{MaintainError, Maintainer, SLICE_SAMPLES, SLICE_SERIES};
use crate::bucket::BucketKey;
use crate::directory::BucketInfo;
use crate::idset::IdSet;
use crate::packer::Packer;
use crate::reader::Snapshot;
use crate::sync;
use crate::writer::Change;

impl Maintainer<'_> {
    /// Deletes the samples of these series (ascending) within both ends; returns how many.
    pub(crate) fn delete(&mut self, ids: &[u32], start_ms: i64, end_ms: i64) -> Result<u64, MaintainError> {
        self.finish_closing()?;
        let open = sync::read(&self.shared.head).open_buckets().map(|(key, _)| key).collect::<Vec<_>>();
        for key in open.into_iter().filter(|key| key.overlaps(start_ms, end_ms)) {
            self.close(key)?;
        }
        let touching = self.shared.directory.load();
        let mut deleted = 0;
        let samples = |key: &BucketKey| key.is_raw() && key.overlaps(start_ms, end_ms);
        for (&key, info) in touching.iter().filter(|(key, _)| samples(key)) {
            let held: Vec<u32> = ids.iter().copied().filter(|&id| info.series.contains(id)).collect();
            let mut rest = held.as_slice();
            while !rest.is_empty() {
                let (done, count) = self.delete_slice(key, rest, start_ms, end_ms)?;
                deleted += count;
                rest = &rest[done..];
            }
        }
        self.upkeep.series_may_be_gone = true;
        Ok(deleted)
    }

    /// Rewrites chunks without the range, as many as fit one transaction. Returns series done and samples deleted.
    fn delete_slice(
        &mut self,
        key: BucketKey,
        ids: &[u32],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<(usize, u64), MaintainError> {
        let shared = self.shared;
        let (mut packer, mut gone) = (Packer::new(key), Vec::new());
        let (done, before) = shared.with_reader(|connection| {
            let mut snapshot = Snapshot::begin(shared, connection)?;
            let (mut done, mut before) = (0, 0);
            let mut values = Vec::new();
            for &id in ids.iter().take(SLICE_SERIES) {
                values.clear();
                let run = snapshot.read(key, id, &mut values)?.unwrap_or_default();
                before += run.len();
                let (ts, vs) = cut(&run, &values, start_ms, end_ms);
                packer.add(id, &ts, &vs);
                if ts.is_empty() {
                    gone.push(id);
                }
                done += 1;
                if before >= SLICE_SAMPLES {
                    break;
                }
            }
            Ok::<_, MaintainError>((done, before))
        })?;
        let deleted = (before - packer.samples()) as u64;
        let known = shared.directory.load().get(&key).cloned().unwrap_or_default();
        let series = known.series.minus(&IdSet::from_sorted(gone.iter().copied()));
        let info = BucketInfo { series, samples: known.samples.saturating_sub(deleted) };
        let rows = packer.finish(&mut self.upkeep.next_timeline);
        let mut change = Change {
            timelines: rows.timelines,
            chunks: rows.chunks,
            delete_chunks: gone.iter().map(|&id| key.row(id)).collect(),
            buckets: vec![(key, (!info.series.is_empty()).then_some(info))],
            next_timeline: Some(self.upkeep.next_timeline),
            ..Change::default()
        };
        change.invalidate(&shared.directory.load(), key, ids[..done].iter().copied());
        self.change(change)?;
        Ok((done, deleted))
    }
}

fn cut(timestamps: &[i64], values: &[f64], start_ms: i64, end_ms: i64) -> (Vec<i64>, Vec<f64>) {
    let kept = timestamps.iter().zip(values).filter(|(t, _)| !(start_ms..=end_ms).contains(*t));
    kept.map(|(&t, &v)| (t, v)).unzip()
}
