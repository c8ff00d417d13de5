//! One row of downsampled windows.
//!
//! ```text
//! type u8 (2 = aggregates), crc32 u32 of what follows, count varint, timestamp column, then for each of
//! minimum, maximum, sum, count, last: length varint, value column
//! ```
//! Timestamps are those of the newest samples, relative to the start of the bucket.

use super::bytes::{Reader, put_varint};
use super::chunk::{open, read_count, read_timestamps, seal, write_timestamps};
use super::{Corrupt, Effort, values};
use crate::downsample::Windows;

const TYPE_AGGREGATES: u8 = 2;

/// Builds a row.
pub(crate) fn write(windows: &Windows, base_ms: i64) -> Vec<u8> {
    let mut body = vec![TYPE_AGGREGATES, 0, 0, 0, 0];
    put_varint(&mut body, windows.timestamps.len() as u64);
    body.extend_from_slice(&write_timestamps(base_ms, &windows.timestamps, Effort::Dense));
    let mut column = Vec::new();
    for floats in [&windows.min, &windows.max, &windows.sum, &windows.count, &windows.last] {
        column.clear();
        values::encode(floats, Effort::Dense, &mut column);
        put_varint(&mut body, column.len() as u64);
        body.extend_from_slice(&column);
    }
    seal(body)
}

/// Reads a row.
pub(crate) fn read(row: &[u8], base_ms: i64) -> Result<Windows, Corrupt> {
    let mut reader = open(row, TYPE_AGGREGATES)?;
    let count = read_count(&mut reader)?;
    let timestamps = read_timestamps(&mut reader, count, base_ms)?;
    let mut column = || {
        let len = reader.varint().and_then(|n| usize::try_from(n).ok()).ok_or(Corrupt)?;
        let bytes = reader.take(len).ok_or(Corrupt)?;
        let mut floats = Vec::new();
        values::decode(&mut Reader::new(bytes), count, &mut floats)?;
        if floats.len() == count { Ok(floats) } else { Err(Corrupt) }
    };
    Ok(Windows {
        min: column()?,
        max: column()?,
        sum: column()?,
        count: column()?,
        last: column()?,
        timestamps,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downsample::Resolution;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn rows_round_trip(samples in prop::collection::btree_map(0_i64..86_400_000, -1e9..1e9_f64, 1..400)) {
            let (ts, vs): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
            for resolution in Resolution::ALL {
                let windows = Windows::of(&ts, &vs, resolution);
                prop_assert_eq!(read(&write(&windows, -7), -7), Ok(windows));
            }
        }

        #[test]
        fn any_sealed_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&seal([&[TYPE_AGGREGATES, 0, 0, 0, 0], &bytes[..]].concat()), 0);
        }
    }
}
