//! Turns samples of many series into the rows of one bucket: equal timestamp columns become one timeline.

use crate::bucket::{BucketKey, Level};
use crate::codec::chunk::{Timestamps, write_chunk, write_timeline, write_timestamps};
use crate::codec::{Effort, values};
use std::collections::HashMap;

/// Collects the chunks of one bucket.
pub(crate) struct Packer {
    key: BucketKey,
    timelines: Vec<Timeline>,
    by_hash: HashMap<u64, Vec<usize>>,
    chunks: Vec<Packed>,
    samples: usize,
}

struct Timeline {
    timestamps: Vec<i64>,
    users: usize,
}

struct Packed {
    series: u32,
    timeline: usize,
    values: Vec<u8>,
}

/// The rows: timelines and chunks, each with its number.
pub(crate) struct Rows {
    pub(crate) timelines: Vec<(i64, Vec<u8>)>,
    pub(crate) chunks: Vec<(i64, Vec<u8>)>,
}

impl Packer {
    pub(crate) fn new(key: BucketKey) -> Self {
        Self { key, timelines: Vec::new(), by_hash: HashMap::new(), chunks: Vec::new(), samples: 0 }
    }

    /// Adds a series; its timestamps are sorted, unique and within the bucket.
    pub(crate) fn add(&mut self, series: u32, timestamps: &[i64], floats: &[f64]) {
        if timestamps.is_empty() {
            return;
        }
        let timeline = self.timeline(timestamps);
        self.timelines[timeline].users += 1;
        let mut column = Vec::new();
        values::encode(floats, self.effort(), &mut column);
        self.samples += timestamps.len();
        self.chunks.push(Packed { series, timeline, values: column });
    }

    /// Samples added.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    fn effort(&self) -> Effort {
        match self.key.level() {
            Level::Hour => Effort::Fast,
            Level::Day | Level::FiveMinutes | Level::Hours => Effort::Dense,
        }
    }

    fn timeline(&mut self, timestamps: &[i64]) -> usize {
        // Series of one collection follow each other.
        if let Some(last) = self.chunks.last()
            && self.timelines[last.timeline].timestamps == timestamps
        {
            return last.timeline;
        }
        let hash = timestamps
            .iter()
            .fold(0_u64, |h, &t| (h.rotate_left(5) ^ t as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let alike = self.by_hash.entry(hash).or_default();
        if let Some(&at) = alike.iter().find(|&&at| self.timelines[at].timestamps == timestamps) {
            return at;
        }
        alike.push(self.timelines.len());
        self.timelines.push(Timeline { timestamps: timestamps.to_vec(), users: 0 });
        self.timelines.len() - 1
    }

    /// The rows. Takes numbers for shared timelines from the counter.
    pub(crate) fn finish(self, next_timeline: &mut u32) -> Rows {
        let (base_ms, effort) = (self.key.start_ms(), self.effort());
        let mut rows = Rows { timelines: Vec::new(), chunks: Vec::with_capacity(self.chunks.len()) };
        let mut columns = Vec::with_capacity(self.timelines.len());
        for timeline in &self.timelines {
            let column = write_timestamps(base_ms, &timeline.timestamps, effort);
            let mut number = 0;
            if timeline.users > 1 {
                // Number 0 means "own timestamps"; after four thousand million the numbers start again.
                number = (*next_timeline).max(1);
                *next_timeline = number.wrapping_add(1);
                rows.timelines
                    .push((self.key.row(number), write_timeline(timeline.timestamps.len(), &column)));
            }
            columns.push((number, column));
        }
        for chunk in self.chunks {
            let (number, column) = &columns[chunk.timeline];
            let timestamps = if *number > 0 { Timestamps::Shared(*number) } else { Timestamps::Own(column) };
            let count = self.timelines[chunk.timeline].timestamps.len();
            rows.chunks.push((self.key.row(chunk.series), write_chunk(timestamps, count, &chunk.values)));
        }
        rows
    }
}
