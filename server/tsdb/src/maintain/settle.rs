//! Settling a day: the hour chunks of a series become one day chunk, compressed for good.

use super::{MaintainError, Maintainer, SLICE_SAMPLES, SLICE_SERIES};
use crate::append::settled_before;
use crate::bucket::{BucketKey, Level};
use crate::directory::{BucketInfo, Buckets};
use crate::idset::IdSet;
use crate::merge;
use crate::packer::Packer;
use crate::reader::Snapshot;
use crate::sync;
use crate::writer::Change;
use std::sync::Arc;

/// The hours of a day that have chunks.
struct Day {
    key: BucketKey,
    hours: Vec<BucketKey>,
    series: IdSet,
}

/// What was read of a slice.
struct Slice {
    packer: Packer,
    done: Vec<u32>,
    delete: Vec<i64>,
    /// Samples read from each hour, and from the day.
    read: Vec<(BucketKey, usize)>,
}

impl Maintainer<'_> {
    /// Settles the days that are old enough, oldest first.
    pub(super) fn settle(&mut self, now_ms: i64) -> Result<(), MaintainError> {
        self.settle_days(settled_before(&self.shared.options, now_ms))
    }

    /// Settles the days that end before this midnight.
    pub(super) fn settle_days(&mut self, before_ms: i64) -> Result<(), MaintainError> {
        let open = sync::read(&self.shared.head).open_buckets().map(|(key, _)| key).collect::<Vec<_>>();
        for key in open.into_iter().filter(|key| key.level() == Level::Hour && key.end_ms() <= before_ms) {
            self.close(key)?;
        }
        while !self.spent() {
            let Some(day) = next_day(&self.shared.directory.load(), before_ms) else { break };
            self.settle_slice(&day)?;
        }
        Ok(())
    }

    fn settle_slice(&mut self, day: &Day) -> Result<(), MaintainError> {
        let shared = self.shared;
        let slice = shared.with_reader(|connection| {
            let mut snapshot = Snapshot::begin(shared, connection)?;
            read_slice(&mut snapshot, day)
        })?;
        let buckets = shared.directory.load();
        let done = IdSet::from_sorted(slice.done.iter().copied());
        let samples = slice.packer.samples();
        let mut changes = Vec::new();
        for &(key, read) in &slice.read {
            let known = buckets.get(&key).cloned().unwrap_or_default();
            let left = known.samples.saturating_sub(read as u64);
            if key == day.key {
                let series = known.series.union(&done);
                changes.push((key, Some(BucketInfo { series, samples: left + samples as u64 })));
                continue;
            }
            let series = known.series.minus(&done);
            let info = (!series.is_empty()).then_some(BucketInfo { series, samples: left });
            changes.push((key, info));
        }
        self.report.settled_chunks += slice.done.len();
        self.spend(samples.max(slice.done.len()));
        let rows = slice.packer.finish(&mut self.upkeep.next_timeline);
        let mut change = Change {
            timelines: rows.timelines,
            chunks: rows.chunks,
            delete_chunks: slice.delete,
            buckets: changes,
            next_timeline: Some(self.upkeep.next_timeline),
            ..Change::default()
        };
        change.invalidate(&buckets, day.key, slice.done.iter().copied());
        self.change(change)
    }
}

fn next_day(buckets: &Buckets, before_ms: i64) -> Option<Day> {
    let hours = |key: &&BucketKey| key.level() == Level::Hour && key.end_ms() <= before_ms;
    let first = buckets.keys().find(hours)?;
    let key = BucketKey::of(Level::Day, first.start_ms());
    let of_day: Vec<_> = buckets
        .iter()
        .filter(|(hour, _)| hour.level() == Level::Hour && key.overlaps(hour.start_ms(), hour.start_ms()))
        .collect();
    let series = IdSet::union_all(of_day.iter().map(|(_, info)| &info.series));
    Some(Day { key, hours: of_day.iter().map(|(key, _)| **key).collect(), series })
}

fn read_slice(snapshot: &mut Snapshot<'_>, day: &Day) -> Result<Slice, MaintainError> {
    let info = |key: &BucketKey, snapshot: &Snapshot<'_>| snapshot.buckets.get(key).map(Arc::clone);
    // What is in an hour came before what is in the day: see `BucketKey::reading_order`.
    let sources: Vec<_> = (day.hours.iter())
        .chain([&day.key])
        .map(|key| (*key, info(key, snapshot).unwrap_or_default()))
        .collect();
    let mut slice = Slice {
        packer: Packer::new(day.key),
        done: Vec::new(),
        delete: Vec::new(),
        read: sources.iter().map(|(key, _)| (*key, 0)).collect(),
    };
    let (mut timestamps, mut values, mut run_values) = (Vec::new(), Vec::new(), Vec::new());
    for id in day.series.iter().take(SLICE_SERIES) {
        timestamps.clear();
        values.clear();
        for (at, (key, info)) in sources.iter().enumerate() {
            if !info.series.contains(id) {
                continue;
            }
            if *key != day.key {
                slice.delete.push(key.row(id));
            }
            run_values.clear();
            if let Some(run) = snapshot.read(*key, id, &mut run_values)? {
                merge::add(&mut timestamps, &mut values, (&run, &run_values));
                slice.read[at].1 += run.len();
            }
        }
        slice.packer.add(id, &timestamps, &values);
        slice.done.push(id);
        if slice.packer.samples() >= SLICE_SAMPLES {
            break;
        }
    }
    Ok(slice)
}
