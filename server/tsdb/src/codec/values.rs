//! A column of floats, bit-exact, NaN payloads included.
//!
//! ```text
//! kind u8: 0 constant: 8 bytes
//!          1 scaled:   scale u8, shift u8, exceptions varint, each (index varint, 8 bytes), integer column
//!                      value = (integer << shift) / 10^scale, except at the exceptions
//!          2 xor:      bit stream to the end
//!          3 pco:      a standalone pco file of f64 to the end
//! ```
//! Servers' metrics are mostly decimals with few places (CPU seconds, loads) or multiples of a power of two
//! (memory pages): as integers they cost a fraction of what XOR costs. Stale markers are exceptions.

use super::bytes::{Reader, put_varint};
use super::{Corrupt, Effort, ints, xor};
use std::cell::RefCell;

const KIND_CONSTANT: u8 = 0;
const KIND_SCALED: u8 = 1;
const KIND_XOR: u8 = 2;
const KIND_PCO: u8 = 3;
/// Decimal places that are looked for.
const MAX_SCALE: usize = 6;
const POWERS: [f64; MAX_SCALE + 1] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
/// Integers up to this are exact as floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Integers for which a thread keeps room from one column to the next: those of a day at 15 s.
const KEPT_INTEGERS: usize = 8192;

thread_local! {
    /// A query decodes thousands of columns, one after the other.
    static INTEGERS: RefCell<Vec<i64>> = const { RefCell::new(Vec::new()) };
}

/// Appends the column.
pub(crate) fn encode(values: &[f64], effort: Effort, out: &mut Vec<u8>) {
    let Some(first) = values.first() else { return };
    if values.iter().all(|v| v.to_bits() == first.to_bits()) {
        out.push(KIND_CONSTANT);
        out.extend_from_slice(&first.to_bits().to_le_bytes());
        return;
    }
    if let Some(scaled) = Scaled::find(values) {
        out.push(KIND_SCALED);
        scaled.write(values, effort, out);
        return;
    }
    let start = out.len();
    out.push(KIND_XOR);
    xor::encode(values, out);
    if effort.tries_pco(values.len()) {
        let config = pco::ChunkConfig::default();
        if let Ok(packed) = pco::standalone::simple_compress(values, &config)
            && packed.len() + 1 < out.len() - start
        {
            out.truncate(start);
            out.push(KIND_PCO);
            out.extend_from_slice(&packed);
        }
    }
}

/// Appends `count` values.
pub(crate) fn decode(reader: &mut Reader<'_>, count: usize, out: &mut Vec<f64>) -> Result<(), Corrupt> {
    if count == 0 {
        return Ok(());
    }
    match reader.u8().ok_or(Corrupt)? {
        KIND_CONSTANT => {
            let value = f64::from_bits(reader.u64().ok_or(Corrupt)?);
            out.extend(std::iter::repeat_n(value, count));
            Ok(())
        }
        KIND_SCALED => decode_scaled(reader, count, out),
        KIND_XOR => xor::decode(reader.rest(), count, out),
        KIND_PCO => {
            let start = out.len();
            out.resize(start + count, 0.0);
            match pco::standalone::simple_decompress_into(reader.rest(), &mut out[start..]) {
                Ok(progress) if progress.n_processed == count => Ok(()),
                _ => Err(Corrupt),
            }
        }
        _ => Err(Corrupt),
    }
}

/// Values as integers, with what does not fit listed.
struct Scaled {
    scale: usize,
    shift: u32,
    integers: Vec<i64>,
    exceptions: Vec<usize>,
}

impl Scaled {
    /// The smallest scale at which all but a few values are integers.
    fn find(values: &[f64]) -> Option<Self> {
        let most = 1 + values.len() / 32;
        let mut scale = 0;
        let mut exceptions = Vec::new();
        for (i, &value) in values.iter().enumerate() {
            // A value that fits at one scale fits at every larger one until the integer grows too large,
            // which `fill` checks again.
            match (scale..=MAX_SCALE).find(|&s| integer(value, s).is_some()) {
                Some(fits) => scale = fits,
                None if exceptions.len() < most => exceptions.push(i),
                None => return None,
            }
        }
        Self::fill(values, scale, exceptions, most)
    }

    fn fill(values: &[f64], scale: usize, mut exceptions: Vec<usize>, most: usize) -> Option<Self> {
        exceptions.clear();
        let mut integers = Vec::with_capacity(values.len());
        let mut all_bits = 0_i64;
        let first = values.iter().find_map(|&v| integer(v, scale))?;
        let mut previous = first;
        for (i, &value) in values.iter().enumerate() {
            let n = integer(value, scale).unwrap_or_else(|| {
                exceptions.push(i);
                previous
            });
            all_bits |= n;
            integers.push(n);
            previous = n;
        }
        if exceptions.len() > most {
            return None;
        }
        let shift = if all_bits == 0 { 0 } else { all_bits.trailing_zeros() };
        if shift > 0 {
            integers.iter_mut().for_each(|n| *n >>= shift);
        }
        Some(Self { scale, shift, integers, exceptions })
    }

    fn write(&self, values: &[f64], effort: Effort, out: &mut Vec<u8>) {
        out.push(self.scale as u8);
        out.push(self.shift as u8);
        put_varint(out, self.exceptions.len() as u64);
        for &i in &self.exceptions {
            put_varint(out, i as u64);
            out.extend_from_slice(&values[i].to_bits().to_le_bytes());
        }
        ints::encode(&self.integers, effort, out);
    }
}

/// The integer that gives back exactly this value when divided by `10^scale`.
fn integer(value: f64, scale: usize) -> Option<i64> {
    let scaled = if scale == 0 { value } else { (value * POWERS[scale]).round() };
    if scaled.is_nan() || scaled.abs() >= EXACT {
        return None;
    }
    let n = scaled as i64;
    (unscale(n, scale).to_bits() == value.to_bits()).then_some(n)
}

fn unscale(n: i64, scale: usize) -> f64 {
    if scale == 0 { n as f64 } else { n as f64 / POWERS[scale] }
}

fn decode_scaled(reader: &mut Reader<'_>, count: usize, out: &mut Vec<f64>) -> Result<(), Corrupt> {
    let scale = usize::from(reader.u8().ok_or(Corrupt)?);
    let shift = u32::from(reader.u8().ok_or(Corrupt)?);
    let exceptions = reader.varint().ok_or(Corrupt)?;
    if scale > MAX_SCALE || shift > 63 || exceptions > count as u64 {
        return Err(Corrupt);
    }
    let listed = reader.clone();
    for _ in 0..exceptions {
        reader.varint().ok_or(Corrupt)?;
        reader.u64().ok_or(Corrupt)?;
    }
    let start = out.len();
    INTEGERS.with_borrow_mut(|integers| {
        integers.clear();
        integers.shrink_to(KEPT_INTEGERS);
        ints::decode(reader, count, integers)?;
        if scale == 0 {
            out.extend(integers.iter().map(|&n| (n << shift) as f64));
        } else {
            let power = POWERS[scale];
            out.extend(integers.iter().map(|&n| (n << shift) as f64 / power));
        }
        Ok(())
    })?;
    let mut listed = listed;
    for _ in 0..exceptions {
        let index = listed.varint().ok_or(Corrupt)?;
        let value = listed.u64().ok_or(Corrupt)?;
        let index = usize::try_from(index).map_err(|_| Corrupt)?;
        *out[start..].get_mut(index).ok_or(Corrupt)? = f64::from_bits(value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STALE: u64 = 0x7ff0_0000_0000_0002;

    fn round_trip(values: &[f64], effort: Effort) -> (u8, usize) {
        let mut out = Vec::new();
        encode(values, effort, &mut out);
        let mut back = Vec::new();
        decode(&mut Reader::new(&out), values.len(), &mut back).unwrap();
        assert!(values.iter().map(|v| v.to_bits()).eq(back.iter().map(|v| v.to_bits())), "{values:?}");
        (out.first().copied().unwrap_or(0), out.len())
    }

    #[test]
    fn each_kind_of_series_gets_its_encoding() {
        let kinds: [(&str, Vec<f64>, u8); 5] = [
            ("constant", vec![42.5; 240], KIND_CONSTANT),
            ("cpu seconds", (0..240).map(|i| (100_000 + i * 37) as f64 / 100.0).collect(), KIND_SCALED),
            ("memory", (0..240).map(|i| f64::from(1000 + i * i % 77) * 4096.0).collect(), KIND_SCALED),
            ("load", (0..240).map(|i| f64::from(i * i % 97) / 100.0).collect(), KIND_SCALED),
            ("ratio", (1..241).map(|i| 1.0 / f64::from(i)).collect(), KIND_XOR),
        ];
        for (name, values, kind) in kinds {
            let (found, len) = round_trip(&values, Effort::Fast);
            assert_eq!(found, kind, "{name} took {len} bytes");
        }
    }

    #[test]
    fn a_stale_marker_does_not_spoil_a_series_of_integers() {
        let mut values: Vec<f64> = (0..240).map(|i| 1e6 + f64::from(i)).collect();
        values[239] = f64::from_bits(STALE);
        let (kind, len) = round_trip(&values, Effort::Fast);
        assert_eq!(kind, KIND_SCALED);
        assert!(len < 60, "{len}");
        values[0] = f64::from_bits(STALE);
        round_trip(&values, Effort::Dense);
    }

    #[test]
    fn odd_floats_round_trip() {
        let odd =
            [0.0, -0.0, f64::NAN, f64::INFINITY, -f64::MAX, f64::MIN_POSITIVE, 5e-324, 0.1, 9.1e15, 1e300];
        round_trip(&odd, Effort::Fast);
        round_trip(&odd.repeat(60), Effort::Dense);
        round_trip(&[9_007_199_254_740_991.0, 0.01], Effort::Fast);
        round_trip(&[0.0, f64::from_bits(STALE), 0.0], Effort::Fast);
    }

    proptest! {
        #[test]
        fn any_bits_round_trip(values in prop::collection::vec(any::<u64>(), 0..300)) {
            let values: Vec<f64> = values.into_iter().map(f64::from_bits).collect();
            round_trip(&values, Effort::Fast);
            round_trip(&values, Effort::Dense);
        }

        #[test]
        fn decimals_round_trip(values in prop::collection::vec((-1_000_000_i64..1_000_000, 0_usize..7, any::<bool>()), 1..300)) {
            let values: Vec<f64> = values.iter().map(|&(n, s, odd)| {
                if odd && n % 50 == 0 { f64::from_bits(STALE) } else { n as f64 / POWERS[s] }
            }).collect();
            round_trip(&values, Effort::Fast);
            round_trip(&values, Effort::Dense);
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..2000) {
            let _ = decode(&mut Reader::new(&bytes), count, &mut Vec::new());
        }
    }
}
