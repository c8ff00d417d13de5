//! Values by their difference to the value before. Lossless: bits come back as they were.
//!
//! A token is a varint; its lowest three bits say what it is, the others are its number.
//!
//! | bits | number | means |
//! |---|---|---|
//! | 0 | n | the next n values are unchanged |
//! | 1 | zigzag difference | whole numbers |
//! | 2 | zigzag difference | thousandths: clock ticks, milliseconds, load |
//! | 3 | zigzag difference | millionths |
//! | 4 | 0 | eight bytes follow, little endian: any double |
//!
//! Where the value before is not a multiple of the unit, the difference is to 0.

use super::varint;

const UNCHANGED: u64 = 0;
const SCALES: [f64; 3] = [1.0, 1e3, 1e6];
const RAW: u64 = 4;
const KIND_BITS: u32 = 3;
/// Beyond it a double does not hold every whole number.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The value as a multiple of `1 / scale`, if it is exactly one.
fn scaled(value: f64, scale: f64) -> Option<i64> {
    let multiple = (value * scale).round();
    // Not so either where it is not a number at all.
    if multiple.is_nan() || multiple.abs() >= EXACT {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "bounded just above")]
    let multiple = multiple as i64;
    (unscaled(multiple, scale).to_bits() == value.to_bits()).then_some(multiple)
}

#[expect(clippy::cast_precision_loss, reason = "multiples are below 2^53")]
fn unscaled(multiple: i64, scale: f64) -> f64 {
    multiple as f64 / scale
}

/// Appends the values of `pairs` (before, now).
pub(super) fn encode(pairs: impl Iterator<Item = (f64, f64)>, out: &mut Vec<u8>) {
    let mut unchanged = 0;
    for (before, now) in pairs {
        if before.to_bits() == now.to_bits() {
            unchanged += 1;
            continue;
        }
        flush_unchanged(&mut unchanged, out);
        let fit =
            SCALES.iter().zip(1u64..).find_map(|(&scale, kind)| Some((kind, scale, scaled(now, scale)?)));
        match fit {
            Some((kind, scale, multiple)) => {
                let difference = multiple - scaled(before, scale).unwrap_or(0);
                varint::write(out, varint::zigzag(difference) << KIND_BITS | kind);
            }
            None => {
                varint::write(out, RAW);
                out.extend_from_slice(&now.to_le_bytes());
            }
        }
    }
    flush_unchanged(&mut unchanged, out);
}

fn flush_unchanged(unchanged: &mut u64, out: &mut Vec<u8>) {
    if *unchanged > 0 {
        varint::write(out, *unchanged << KIND_BITS | UNCHANGED);
        *unchanged = 0;
    }
}

/// Gives the values one after the other.
pub(super) struct Values<'a> {
    input: &'a [u8],
    unchanged: u64,
}

impl<'a> Values<'a> {
    pub(super) fn new(input: &'a [u8]) -> Self {
        Self { input, unchanged: 0 }
    }

    /// The next value, given the one before of the same series. `None` if the bytes are not values.
    pub(super) fn next(&mut self, before: f64) -> Option<f64> {
        if self.unchanged > 0 {
            self.unchanged -= 1;
            return Some(before);
        }
        let token = varint::read(&mut self.input)?;
        let number = token >> KIND_BITS;
        match token & ((1 << KIND_BITS) - 1) {
            UNCHANGED => {
                self.unchanged = number.checked_sub(1)?;
                Some(before)
            }
            RAW => Some(f64::from_le_bytes(varint::read_bytes(&mut self.input, 8)?.try_into().ok()?)),
            kind => {
                let scale = *SCALES.get(usize::try_from(kind - 1).ok()?)?;
                let start = scaled(before, scale).unwrap_or(0);
                Some(unscaled(start.checked_add(varint::unzigzag(number))?, scale))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_value() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (0u64..1 << 53).prop_map(|n| n as f64),
            any::<i32>().prop_map(|n| f64::from(n) / 100.0),
            any::<i32>().prop_map(|n| f64::from(n) / 1e6),
            Just(-0.0),
        ]
    }

    proptest! {
        #[test]
        fn every_value_comes_back_bit_for_bit(pairs in prop::collection::vec((any_value(), any_value(), any::<bool>()), 0..50)) {
            let pairs: Vec<_> = pairs.into_iter().map(|(a, b, same)| (a, if same { a } else { b })).collect();
            let mut bytes = Vec::new();
            encode(pairs.iter().copied(), &mut bytes);
            let mut values = Values::new(&bytes);
            for (before, now) in pairs {
                prop_assert_eq!(values.next(before).unwrap().to_bits(), now.to_bits());
            }
            prop_assert_eq!(values.next(0.0), None);
        }

        #[test]
        fn any_bytes_end_in_values_or_none(bytes in prop::collection::vec(any::<u8>(), 0..60), before in any_value()) {
            let mut values = Values::new(&bytes);
            for _ in 0..100 {
                if values.next(before).is_none() {
                    break;
                }
            }
        }
    }

    #[test]
    fn clock_ticks_and_bytes_take_few_bytes() {
        let mut bytes = Vec::new();
        encode(
            [(123.45, 123.46), (1_048_576.0, 1_052_672.0), (5.0, 5.0), (6.0, 6.0)].into_iter(),
            &mut bytes,
        );
        assert_eq!(bytes.len(), 2 + 3 + 1);
    }
}
