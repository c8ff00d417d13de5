//! The samples of one series in one open bucket: compressed blocks, then an uncompressed tail, and apart from both
//! what came late.

use crate::codec::bytes::Reader;
use crate::codec::{Corrupt, Effort, ints, values};
use crate::merge;

/// Samples of a block. Larger blocks compress a little better, the tail then holds more uncompressed.
const BLOCK: usize = 64;

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inserted {
    /// It is new.
    New,
    /// There is one of this timestamp.
    Duplicate,
}

/// Twelve bytes: offset from the bucket's start, and the value's bits in two halves (no padding).
#[derive(Debug, Clone, Copy)]
struct Point {
    offset: u32,
    low: u32,
    high: u32,
}

impl Point {
    fn new(offset: u32, value: f64) -> Self {
        let bits = value.to_bits();
        Self { offset, low: bits as u32, high: (bits >> 32) as u32 }
    }

    fn value(self) -> f64 {
        f64::from_bits(u64::from(self.high) << 32 | u64::from(self.low))
    }
}

/// Samples in order of time.
#[derive(Debug, Default)]
pub(crate) struct Buf {
    tail: Vec<Point>,
    blocks: Vec<Box<[u8]>>,
    /// Sorted; older than the last block's end. May repeat timestamps of blocks, which win.
    late: Vec<Point>,
    /// Last offset in the blocks.
    sealed_to: u32,
}

impl Buf {
    /// Samples, repeated ones among the late included.
    pub(crate) fn len(&self) -> usize {
        self.blocks.len() * BLOCK + self.tail.len() + self.late.len()
    }

    pub(crate) fn insert(&mut self, offset: u32, value: f64) -> Inserted {
        let point = Point::new(offset, value);
        if !self.blocks.is_empty() && offset <= self.sealed_to {
            if offset == self.sealed_to {
                return Inserted::Duplicate;
            }
            return insert_sorted(&mut self.late, point);
        }
        if self.tail.len() == BLOCK {
            // A sample that belongs before the tail's end would break the order of blocks: it is late.
            if offset <= self.tail[BLOCK - 1].offset {
                if self.tail.binary_search_by_key(&offset, |p| p.offset).is_ok() {
                    return Inserted::Duplicate;
                }
                self.seal();
                return insert_sorted(&mut self.late, point);
            }
            self.seal();
        }
        insert_sorted(&mut self.tail, point)
    }

    fn seal(&mut self) {
        let offsets: Vec<i64> = self.tail.iter().map(|p| i64::from(p.offset)).collect();
        let floats: Vec<f64> = self.tail.iter().map(|p| p.value()).collect();
        let mut block = Vec::with_capacity(256);
        ints::encode(&offsets, Effort::Fast, &mut block);
        values::encode(&floats, Effort::Fast, &mut block);
        self.blocks.push(block.into_boxed_slice());
        self.sealed_to = self.tail[BLOCK - 1].offset;
        self.tail.clear();
    }

    /// Appends the samples within `start_ms..=end_ms`, each timestamp once.
    pub(crate) fn collect(
        &self,
        base_ms: i64,
        start_ms: i64,
        end_ms: i64,
        ts: &mut Vec<i64>,
        vs: &mut Vec<f64>,
    ) {
        let from = ts.len();
        for block in &self.blocks {
            // Blocks were encoded in this process; one that does not decode cannot be, and costs only itself.
            let before = (ts.len(), vs.len());
            if read_block(block, ts, vs).is_err() {
                ts.truncate(before.0);
                vs.truncate(before.1);
            }
        }
        ts.extend(self.tail.iter().map(|p| i64::from(p.offset)));
        vs.extend(self.tail.iter().map(|p| p.value()));
        if !self.late.is_empty() {
            let late: (Vec<i64>, Vec<f64>) =
                self.late.iter().map(|p| (i64::from(p.offset), p.value())).unzip();
            let on_time = (ts.split_off(from), vs.split_off(from));
            merge::two((&on_time.0, &on_time.1), (&late.0, &late.1), ts, vs);
        }
        ts[from..].iter_mut().for_each(|t| *t += base_ms);
        merge::clip(from, start_ms, end_ms, ts, vs);
    }
}

fn read_block(block: &[u8], ts: &mut Vec<i64>, vs: &mut Vec<f64>) -> Result<(), Corrupt> {
    let mut reader = Reader::new(block);
    ints::decode(&mut reader, BLOCK, ts)?;
    values::decode(&mut reader, BLOCK, vs)
}

fn insert_sorted(points: &mut Vec<Point>, point: Point) -> Inserted {
    if points.last().is_none_or(|last| last.offset < point.offset) {
        points.push(point);
        return Inserted::New;
    }
    match points.binary_search_by_key(&point.offset, |p| p.offset) {
        Ok(_) => Inserted::Duplicate,
        Err(at) => {
            points.insert(at, point);
            Inserted::New
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn the_first_of_each_timestamp_comes_back_in_order(
            offsets in prop::collection::vec(0_u32..2000, 0..400), sorted: bool, range in (0_i64..2500, 0_i64..2500),
        ) {
            let mut offsets = offsets;
            if sorted {
                offsets.sort_unstable();
            }
            let (mut buf, mut model) = (Buf::default(), BTreeMap::new());
            for (i, &offset) in offsets.iter().enumerate() {
                buf.insert(offset, i as f64);
                model.entry(i64::from(offset) + 100).or_insert(i as f64);
            }
            let (mut ts, mut vs) = (vec![-1], vec![-1.0]);
            buf.collect(100, range.0, range.1, &mut ts, &mut vs);
            let wanted: Vec<_> = model.into_iter().filter(|(t, _)| (range.0..=range.1).contains(t)).collect();
            let found: Vec<_> = ts.into_iter().zip(vs).skip(1).collect();
            prop_assert_eq!(found, wanted);
        }
    }
}
