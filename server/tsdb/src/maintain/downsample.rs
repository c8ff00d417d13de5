//! Downsampling of settled days: one row of aggregates for each resolution, series and day.

use super::{MaintainError, Maintainer, SLICE_SAMPLES, SLICE_SERIES};
use crate::bucket::{BucketKey, DAY_MS, Level};
use crate::codec::aggregates;
use crate::directory::{BucketInfo, Buckets};
use crate::downsample::{Resolution, Windows};
use crate::idset::IdSet;
use crate::options::millis;
use crate::reader::Snapshot;
use crate::writer::Change;

impl Maintainer<'_> {
    /// Downsamples the days that are old enough and lack aggregates, oldest first.
    pub(super) fn downsample(&mut self, now_ms: i64) -> Result<(), MaintainError> {
        let after_ms = millis(self.shared.options.downsample_after);
        let before_ms = now_ms.saturating_sub(after_ms).div_euclid(DAY_MS).saturating_mul(DAY_MS);
        while !self.spent() {
            let Some((day, series)) = next_day(&self.shared.directory.load(), before_ms) else { break };
            self.downsample_slice(day, &series)?;
        }
        Ok(())
    }

    fn downsample_slice(&mut self, day: BucketKey, series: &IdSet) -> Result<(), MaintainError> {
        let shared = self.shared;
        let keys = Resolution::ALL.map(|resolution| (resolution, day.aggregates(resolution)));
        let (mut rows, mut done, mut windows) = (Vec::new(), Vec::new(), 0);
        let samples = shared.with_reader(|connection| {
            let mut snapshot = Snapshot::begin(shared, connection)?;
            let (mut values, mut samples) = (Vec::new(), 0);
            for id in series.iter().take(SLICE_SERIES) {
                values.clear();
                // Of a damaged chunk nothing is left to aggregate, which an empty row says.
                let timestamps = snapshot.read(day, id, &mut values)?.unwrap_or_default();
                for (resolution, key) in keys {
                    let of_series = Windows::of(&timestamps, &values, resolution);
                    windows += of_series.timestamps.len() as u64;
                    rows.push((key.row(id), aggregates::write(&of_series, key.start_ms())));
                }
                done.push(id);
                samples += values.len();
                if samples >= SLICE_SAMPLES {
                    break;
                }
            }
            Ok::<_, MaintainError>(samples)
        })?;
        let buckets = shared.directory.load();
        let taken = IdSet::from_sorted(done.iter().copied());
        let info = |key: &BucketKey| {
            let known = buckets.get(key).cloned().unwrap_or_default();
            BucketInfo { series: known.series.union(&taken), samples: known.samples + windows }
        };
        self.report.downsampled += done.len();
        self.spend(samples.max(done.len()));
        self.change(Change {
            chunks: rows,
            buckets: keys.iter().map(|(_, key)| (*key, Some(info(key)))).collect(),
            ..Change::default()
        })
    }
}

/// The oldest day of which some series lack aggregates, and those series.
fn next_day(buckets: &Buckets, before_ms: i64) -> Option<(BucketKey, IdSet)> {
    let days = buckets.iter().filter(|(key, _)| key.level() == Level::Day && key.end_ms() <= before_ms);
    days.map(|(key, info)| {
        // Those of both resolutions come and go together.
        let known = buckets.get(&key.aggregates(Resolution::Hour));
        (*key, known.map_or_else(|| info.series.clone(), |known| info.series.minus(&known.series)))
    })
    .find(|(_, series)| !series.is_empty())
}
