//! A column of integers: timestamps, and values that are decimal numbers in disguise.
//!
//! ```text
//! mode u8: 0..=2 = order of differences, 3 = pco
//! order: `mode` first values as zigzag varints, each one difference deeper, then blocks of 64 differences:
//!        minimum zigzag varint, width u8, (difference - minimum) packed in `width` bits, low bit first
//! pco:   length varint, a standalone pco file of i64
//! ```
//! The number of values is the caller's to know. Differences wrap, so any `i64` round-trips.

use super::bytes::{Reader, put_varint, put_zigzag, varint_len, zigzag};
use super::{Corrupt, Effort};

/// Differences of one block.
const BLOCK: usize = 64;
const MODE_PCO: u8 = 3;
/// pco's level: 8 is its default, more buys under one percent.
const PCO_LEVEL: usize = 8;

/// Appends the column; chooses the cheapest order of differences, and pco when asked and smaller.
pub(crate) fn encode(values: &[i64], effort: Effort, out: &mut Vec<u8>) {
    let (order, bits) = cheapest_order(values);
    if effort.tries_pco(values.len()) {
        let config = pco::ChunkConfig::default().with_compression_level(PCO_LEVEL);
        if let Ok(packed) = pco::standalone::simple_compress(values, &config)
            && (packed.len() + 2) * 8 < bits
        {
            out.push(MODE_PCO);
            put_varint(out, packed.len() as u64);
            out.extend_from_slice(&packed);
            return;
        }
    }
    out.push(order as u8);
    let mut encoder = Differences::new(order);
    let mut block = [0_i64; BLOCK];
    let mut filled = 0;
    for (i, &value) in values.iter().enumerate() {
        let difference = encoder.next(value);
        if i < order {
            put_zigzag(out, difference);
            continue;
        }
        block[filled] = difference;
        filled += 1;
        if filled == BLOCK {
            put_block(&block, out);
            filled = 0;
        }
    }
    if filled > 0 {
        put_block(&block[..filled], out);
    }
}

/// Appends `count` values to `out`; returns at the first sign of damage.
pub(crate) fn decode(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Corrupt> {
    let mode = reader.u8().ok_or(Corrupt)?;
    if mode == MODE_PCO {
        return decode_pco(reader, count, out);
    }
    let order = usize::from(mode);
    if order > 2 {
        return Err(Corrupt);
    }
    // A block of 64 takes at least two bytes: refuse counts that the bytes cannot hold before reserving for them.
    if count > (reader.rest().len() + order) * BLOCK {
        return Err(Corrupt);
    }
    let start = out.len();
    out.reserve(count);
    for _ in 0..order.min(count) {
        out.push(reader.zigzag().ok_or(Corrupt)?);
    }
    let mut left = count - order.min(count);
    while left > 0 {
        let len = left.min(BLOCK);
        take_block(reader, len, out)?;
        left -= len;
    }
    integrate(&mut out[start..], order);
    Ok(())
}

fn decode_pco(reader: &mut Reader<'_>, count: usize, out: &mut Vec<i64>) -> Result<(), Corrupt> {
    let len = reader.varint().and_then(|n| usize::try_from(n).ok()).ok_or(Corrupt)?;
    let packed = reader.take(len).ok_or(Corrupt)?;
    let start = out.len();
    out.resize(start + count, 0);
    // Straight into its place, and never more than is wanted of it.
    match pco::standalone::simple_decompress_into(packed, &mut out[start..]) {
        Ok(progress) if progress.n_processed == count => Ok(()),
        _ => Err(Corrupt),
    }
}

/// Undoes [`Differences`].
fn integrate(values: &mut [i64], order: usize) {
    if order == 1 {
        let mut value = 0_i64;
        for slot in values {
            value = value.wrapping_add(*slot);
            *slot = value;
        }
    } else if order == 2 {
        let Some((first, rest)) = values.split_first_mut() else { return };
        let (mut value, mut slope) = (*first, 0_i64);
        for slot in rest {
            slope = slope.wrapping_add(*slot);
            value = value.wrapping_add(slope);
            *slot = value;
        }
    }
}

/// Differences of order 0, 1 or 2: the first value, then the first slope, then changes of slope.
struct Differences {
    order: usize,
    previous: i64,
    slope: i64,
    seen: usize,
}

impl Differences {
    fn new(order: usize) -> Self {
        Self { order, previous: 0, slope: 0, seen: 0 }
    }

    fn next(&mut self, value: i64) -> i64 {
        let slope = value.wrapping_sub(self.previous);
        self.previous = value;
        let second = slope.wrapping_sub(self.slope);
        self.slope = if self.seen == 0 { 0 } else { slope };
        self.seen += 1;
        match self.order {
            0 => value,
            1 => slope,
            _ => second,
        }
    }
}

/// The order that needs fewest bits, and how many.
fn cheapest_order(values: &[i64]) -> (usize, usize) {
    let mut ranges = [(i64::MAX, i64::MIN); 3];
    let mut bits = [8_usize; 3];
    let (mut previous, mut previous_slope) = (0_i64, 0_i64);
    let mut in_block = [0_usize; 3];
    for (i, &value) in values.iter().enumerate() {
        let slope = value.wrapping_sub(previous);
        let second = slope.wrapping_sub(previous_slope);
        previous_slope = if i == 0 { 0 } else { slope };
        previous = value;
        for (order, difference) in [value, slope, second].into_iter().enumerate() {
            if i < order {
                bits[order] += 8 * varint_len(zigzag(difference));
                continue;
            }
            let (low, high) = &mut ranges[order];
            *low = (*low).min(difference);
            *high = (*high).max(difference);
            in_block[order] += 1;
            if in_block[order] == BLOCK {
                bits[order] += block_bits(*low, *high, BLOCK);
                (in_block[order], ranges[order]) = (0, (i64::MAX, i64::MIN));
            }
        }
    }
    for order in 0..3 {
        if in_block[order] > 0 {
            bits[order] += block_bits(ranges[order].0, ranges[order].1, in_block[order]);
        }
    }
    // Ties go to the lower order, which decodes faster.
    (0..3).map(|order| (order, bits[order])).min_by_key(|&(_, bits)| bits).unwrap_or((0, 0))
}

fn width(low: i64, high: i64) -> u32 {
    64 - (high.wrapping_sub(low) as u64).leading_zeros()
}

fn block_bits(low: i64, high: i64, len: usize) -> usize {
    8 * (varint_len(zigzag(low)) + 1 + (len * width(low, high) as usize).div_ceil(8))
}

fn put_block(block: &[i64], out: &mut Vec<u8>) {
    let low = block.iter().copied().min().unwrap_or(0);
    let high = block.iter().copied().max().unwrap_or(0);
    let width = width(low, high);
    put_zigzag(out, low);
    out.push(width as u8);
    let (mut word, mut used) = (0_u64, 0_u32);
    for &value in block {
        let packed = value.wrapping_sub(low) as u64;
        word |= packed << used;
        used += width;
        if used >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            used -= 64;
            word = if used == 0 { 0 } else { packed >> (width - used) };
        }
        // `used` stays below 64, so the shift above never overflows.
    }
    let bytes = word.to_le_bytes();
    out.extend_from_slice(&bytes[..used.div_ceil(8) as usize]);
}

fn take_block(reader: &mut Reader<'_>, len: usize, out: &mut Vec<i64>) -> Result<(), Corrupt> {
    let low = reader.zigzag().ok_or(Corrupt)?;
    let width = usize::from(reader.u8().ok_or(Corrupt)?);
    if width == 0 {
        out.extend(std::iter::repeat_n(low, len));
        return Ok(());
    }
    if width > 64 {
        return Err(Corrupt);
    }
    let packed = reader.take((len * width).div_ceil(8)).ok_or(Corrupt)?;
    // Padded copy, so that whole words can be loaded at any place.
    let mut padded = [0_u8; BLOCK * 8 + 16];
    padded[..packed.len()].copy_from_slice(packed);
    let mask = u64::MAX >> (64 - width);
    out.extend((0..len).map(|i| {
        let bit = i * width;
        let word = if width <= 56 {
            load(&padded, bit / 8) >> (bit % 8)
        } else {
            let low = u128::from(load(&padded, bit / 8));
            let high = u128::from(load(&padded, bit / 8 + 8));
            ((low | high << 64) >> (bit % 8)) as u64
        };
        low.wrapping_add((word & mask) as i64)
    }));
    Ok(())
}

fn load(bytes: &[u8; BLOCK * 8 + 16], at: usize) -> u64 {
    bytes[at..].first_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[i64], effort: Effort) -> usize {
        let mut out = Vec::new();
        encode(values, effort, &mut out);
        let mut back = Vec::new();
        decode(&mut Reader::new(&out), values.len(), &mut back).unwrap();
        assert_eq!(values, back);
        out.len()
    }

    #[test]
    fn regular_timestamps_cost_almost_nothing_and_jitter_little() {
        let regular: Vec<i64> = (0..240).map(|i| 1_700_000_000_000 + i * 15_000).collect();
        assert!(round_trip(&regular, Effort::Fast) < 40);
        let jittered: Vec<i64> =
            (0..240).map(|i| 1_700_000_000_000 + i * 15_000 + (i * 7919) % 11 - 5).collect();
        assert!(round_trip(&jittered, Effort::Fast) < 240);
    }

    #[test]
    fn extremes_round_trip() {
        round_trip(&[], Effort::Fast);
        round_trip(&[i64::MIN], Effort::Fast);
        round_trip(&[i64::MIN, i64::MAX, 0, -1, i64::MAX, i64::MIN], Effort::Fast);
        round_trip(&(0..400).map(|i| (i % 2) * i64::MAX).collect::<Vec<_>>(), Effort::Dense);
    }

    proptest! {
        #[test]
        fn any_column_round_trips(values in prop::collection::vec(any::<i64>(), 0..300), shift in 0_u32..64) {
            let values: Vec<i64> = values.into_iter().map(|v| v >> shift).collect();
            round_trip(&values, Effort::Fast);
            round_trip(&values, Effort::Dense);
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..100_000) {
            let _ = decode(&mut Reader::new(&bytes), count, &mut Vec::new());
        }
    }
}
