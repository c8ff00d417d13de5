//! One chunk row and one timeline row.
//!
//! ```text
//! chunk:    type u8 (1 = floats), crc32 u32 of what follows, timeline varint, count varint,
//!           [timeline = 0: timestamp column], value column
//! timeline: type u8 (1), crc32 u32 of what follows, count varint, timestamp column
//! timestamp column: integer column of (timestamp - start of the bucket), milliseconds
//! ```
//! The timeline number is that of a row in the same bucket, or 0 for timestamps of the chunk's own. Type 2 is that of
//! aggregates; those above are kept for native histograms.

use super::bytes::{Reader, put_varint};
use super::{Corrupt, Effort, ints, values};

const TYPE_FLOATS: u8 = 1;
const TYPE_TIMELINE: u8 = 1;
/// Most samples of a chunk that a decoder believes: a day at one a millisecond.
const MAX_SAMPLES: u64 = 86_400_000;

/// Where a chunk's timestamps are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timestamps<'a> {
    /// In the timeline row of this number.
    Shared(u32),
    /// In the chunk: an encoded timestamp column.
    Own(&'a [u8]),
}

/// Builds a chunk row from encoded columns.
pub(crate) fn write_chunk(timestamps: Timestamps<'_>, count: usize, values: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(values.len() + 16);
    body.extend_from_slice(&[TYPE_FLOATS, 0, 0, 0, 0]);
    match timestamps {
        Timestamps::Shared(number) => {
            put_varint(&mut body, u64::from(number));
            put_varint(&mut body, count as u64);
        }
        Timestamps::Own(column) => {
            put_varint(&mut body, 0);
            put_varint(&mut body, count as u64);
            body.extend_from_slice(column);
        }
    }
    body.extend_from_slice(values);
    seal(body)
}

/// Builds a timeline row.
pub(crate) fn write_timeline(count: usize, column: &[u8]) -> Vec<u8> {
    let mut body = Vec::with_capacity(column.len() + 8);
    body.extend_from_slice(&[TYPE_TIMELINE, 0, 0, 0, 0]);
    put_varint(&mut body, count as u64);
    body.extend_from_slice(column);
    seal(body)
}

/// Encodes timestamps relative to the start of their bucket.
pub(crate) fn write_timestamps(base_ms: i64, timestamps: &[i64], effort: Effort) -> Vec<u8> {
    let offsets: Vec<i64> = timestamps.iter().map(|t| t - base_ms).collect();
    let mut out = Vec::new();
    ints::encode(&offsets, effort, &mut out);
    out
}

/// Reads a timeline row.
pub(crate) fn read_timeline(row: &[u8], base_ms: i64) -> Result<Vec<i64>, Corrupt> {
    let mut reader = open(row, TYPE_TIMELINE)?;
    let count = read_count(&mut reader)?;
    read_timestamps(&mut reader, count, base_ms)
}

/// A chunk row whose checksum holds, values not decoded yet.
pub(crate) struct Chunk<'a> {
    /// Timeline number, 0 for its own timestamps.
    pub(crate) timeline: u32,
    /// Samples.
    pub(crate) count: usize,
    rest: Reader<'a>,
}

impl<'a> Chunk<'a> {
    /// Checks and opens a row.
    pub(crate) fn open(row: &'a [u8]) -> Result<Self, Corrupt> {
        let mut rest = open(row, TYPE_FLOATS)?;
        let timeline = rest.varint().and_then(|n| u32::try_from(n).ok()).ok_or(Corrupt)?;
        let count = read_count(&mut rest)?;
        Ok(Self { timeline, count, rest })
    }

    /// The chunk's own timestamps: call exactly when `timeline` is 0, before the values.
    pub(crate) fn own_timestamps(&mut self, base_ms: i64) -> Result<Vec<i64>, Corrupt> {
        read_timestamps(&mut self.rest, self.count, base_ms)
    }

    /// Appends the values. On damage `out` is as it was.
    pub(crate) fn values(mut self, out: &mut Vec<f64>) -> Result<(), Corrupt> {
        let start = out.len();
        let result = values::decode(&mut self.rest, self.count, out);
        if result.is_err() || out.len() - start != self.count {
            out.truncate(start);
            return Err(Corrupt);
        }
        Ok(())
    }
}

pub(super) fn seal(mut body: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&body[5..]);
    body[1..5].copy_from_slice(&crc.to_le_bytes());
    body
}

pub(super) fn open(row: &[u8], kind: u8) -> Result<Reader<'_>, Corrupt> {
    let mut reader = Reader::new(row);
    if reader.u8() != Some(kind) || reader.u32() != Some(crc32fast::hash(reader.rest())) {
        return Err(Corrupt);
    }
    Ok(reader)
}

pub(super) fn read_count(reader: &mut Reader<'_>) -> Result<usize, Corrupt> {
    let count = reader.varint().filter(|&n| n <= MAX_SAMPLES).ok_or(Corrupt)?;
    usize::try_from(count).map_err(|_| Corrupt)
}

pub(super) fn read_timestamps(
    reader: &mut Reader<'_>,
    count: usize,
    base_ms: i64,
) -> Result<Vec<i64>, Corrupt> {
    let mut timestamps = Vec::new();
    ints::decode(reader, count, &mut timestamps)?;
    for t in &mut timestamps {
        *t = t.checked_add(base_ms).ok_or(Corrupt)?;
    }
    Ok(timestamps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own(timestamps: &[i64], values: &[f64], effort: Effort) -> Vec<u8> {
        let mut column = Vec::new();
        values::encode(values, effort, &mut column);
        write_chunk(Timestamps::Own(&write_timestamps(0, timestamps, effort)), values.len(), &column)
    }

    #[test]
    fn a_chunk_with_a_shared_timeline_reads_back() {
        let timestamps = [5_000, 20_001, 34_999];
        let timeline = write_timeline(3, &write_timestamps(3_000, &timestamps, Effort::Fast));
        assert_eq!(read_timeline(&timeline, 3_000).unwrap(), timestamps);
        let mut column = Vec::new();
        values::encode(&[1.0, 2.0, 3.5], Effort::Fast, &mut column);
        let row = write_chunk(Timestamps::Shared(7), 3, &column);
        let chunk = Chunk::open(&row).unwrap();
        assert_eq!((chunk.timeline, chunk.count), (7, 3));
        let mut values = vec![0.0];
        chunk.values(&mut values).unwrap();
        assert_eq!(values, [0.0, 1.0, 2.0, 3.5]);
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let row = own(&[1, 2, 30], &[0.5, 0.25, 7.0], Effort::Fast);
        for bit in 0..row.len() * 8 {
            let mut damaged = row.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Chunk::open(&damaged).is_err(), "bit {bit}");
        }
    }

    proptest! {
        #[test]
        fn chunks_round_trip(samples in prop::collection::btree_map(0_i64..86_400_000, any::<u64>(), 1..400), dense: bool) {
            let timestamps: Vec<i64> = samples.keys().copied().collect();
            let values: Vec<f64> = samples.values().map(|&b| f64::from_bits(b)).collect();
            let row = own(&timestamps, &values, if dense { Effort::Dense } else { Effort::Fast });
            let mut chunk = Chunk::open(&row).unwrap();
            prop_assert_eq!(chunk.own_timestamps(0).unwrap(), timestamps);
            let mut back = Vec::new();
            chunk.values(&mut back).unwrap();
            prop_assert!(values.iter().map(|v| v.to_bits()).eq(back.iter().map(|v| v.to_bits())));
        }

        #[test]
        fn any_sealed_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let row = seal([&[TYPE_FLOATS, 0, 0, 0, 0], &bytes[..]].concat());
            if let Ok(mut chunk) = Chunk::open(&row) {
                if chunk.timeline == 0 {
                    let _ = chunk.own_timestamps(0);
                }
                let _ = chunk.values(&mut Vec::new());
            }
        }
    }
}
