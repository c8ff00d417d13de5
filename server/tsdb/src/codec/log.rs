//! One log row: the samples of one group commit that fall into one bucket.
//!
//! ```text
//! type u8 (1), crc32 u32 of what follows, entries to the end. An entry:
//! tag u8: bits 0-3 = n, bytes of the value (0..=8); bits 4-5 = series; bits 6-7 = timestamp
//!   series:    0 = the one before, 1 = the one before + 1, 2 = zigzag varint difference
//!   timestamp: 0 = the one before, 1 = zigzag varint difference
//! [series difference] [timestamp difference] [the value's n most significant bytes, the others are zero]
//! ```
//! The first entry differs from series 0 and timestamp 0. One byte of tag and the significant bytes of the value is
//! all that a sample of a collection costs.

use super::Corrupt;
use super::bytes::{Reader, put_zigzag};

const TYPE_LOG: u8 = 1;

/// Builds a row.
#[derive(Debug)]
pub(crate) struct LogWriter {
    row: Vec<u8>,
    series: u32,
    timestamp_ms: i64,
}

impl LogWriter {
    pub(crate) fn new() -> Self {
        Self { row: vec![TYPE_LOG, 0, 0, 0, 0], series: 0, timestamp_ms: 0 }
    }

    pub(crate) fn push(&mut self, series: u32, timestamp_ms: i64, value: f64) {
        let bits = value.to_bits();
        let len = 8 - bits.trailing_zeros() as usize / 8;
        let step = i64::from(series) - i64::from(self.series);
        let (series_tag, far) = match step {
            0 => (0, false),
            1 => (1, false),
            _ => (2, true),
        };
        let moved = timestamp_ms != self.timestamp_ms;
        self.row.push(len as u8 | series_tag << 4 | u8::from(moved) << 6);
        if far {
            put_zigzag(&mut self.row, step);
        }
        if moved {
            put_zigzag(&mut self.row, timestamp_ms.wrapping_sub(self.timestamp_ms));
        }
        self.row.extend_from_slice(&bits.to_be_bytes()[..len]);
        (self.series, self.timestamp_ms) = (series, timestamp_ms);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let crc = crc32fast::hash(&self.row[5..]);
        self.row[1..5].copy_from_slice(&crc.to_le_bytes());
        self.row
    }
}

/// Calls `each(series, timestamp, value)` for the entries of a row, in the order they were written.
pub(crate) fn read(row: &[u8], mut each: impl FnMut(u32, i64, f64)) -> Result<(), Corrupt> {
    let mut reader = Reader::new(row);
    if reader.u8() != Some(TYPE_LOG) || reader.u32() != Some(crc32fast::hash(reader.rest())) {
        return Err(Corrupt);
    }
    let (mut series, mut timestamp_ms) = (0_i64, 0_i64);
    while !reader.is_empty() {
        let tag = reader.u8().ok_or(Corrupt)?;
        series += match tag >> 4 & 3 {
            step @ (0 | 1) => i64::from(step),
            2 => reader.zigzag().filter(|step| step.unsigned_abs() <= u64::from(u32::MAX)).ok_or(Corrupt)?,
            _ => return Err(Corrupt),
        };
        timestamp_ms = match tag >> 6 {
            0 => timestamp_ms,
            1 => timestamp_ms.wrapping_add(reader.zigzag().ok_or(Corrupt)?),
            _ => return Err(Corrupt),
        };
        let len = usize::from(tag & 15);
        let mut bits = [0_u8; 8];
        bits.get_mut(..len).ok_or(Corrupt)?.copy_from_slice(reader.take(len).ok_or(Corrupt)?);
        let series = u32::try_from(series).map_err(|_| Corrupt)?;
        each(series, timestamp_ms, f64::from_bits(u64::from_be_bytes(bits)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sample_of_a_collection_costs_its_significant_bytes_and_one() {
        let mut log = LogWriter::new();
        for series in 1..=1000 {
            log.push(series, 1_700_000_000_000, 1024.0);
        }
        assert!(log.finish().len() < 1000 * 3 + 20);
    }

    proptest! {
        #[test]
        fn rows_round_trip_in_order(entries in prop::collection::vec((any::<u32>(), any::<i64>(), any::<u64>()), 0..100)) {
            let mut log = LogWriter::new();
            for &(series, timestamp, bits) in &entries {
                log.push(series, timestamp, f64::from_bits(bits));
            }
            let mut back = Vec::new();
            read(&log.finish(), |s, t, v| back.push((s, t, v.to_bits()))).unwrap();
            prop_assert_eq!(back, entries);
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let crc = crc32fast::hash(&bytes).to_le_bytes();
            let _ = read(&[&[TYPE_LOG], &crc[..], &bytes[..]].concat(), |_, _, _| {});
        }
    }
}
