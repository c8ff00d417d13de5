//! Floats by XOR with the one before (after Pelkonen et al., "Gorilla", VLDB 2015): for values that are no short
//! decimals. Bits go in low end first: `0` = same; `1 0` = changed bits in the window of the one before;
//! `1 1`, 6 bits leading zeros, 6 bits length less one = a new window.

use super::Corrupt;

/// Appends all values as one bit stream. The first is 64 raw bits.
pub(crate) fn encode(values: &[f64], out: &mut Vec<u8>) {
    let mut bits = BitWriter { out, word: 0, used: 0 };
    let Some((first, rest)) = values.split_first() else { return };
    let mut previous = first.to_bits();
    bits.put(previous, 64);
    let (mut lead, mut len) = (0_u32, 0_u32);
    for value in rest {
        let value = value.to_bits();
        let xor = value ^ previous;
        previous = value;
        if xor == 0 {
            bits.put(0, 1);
            continue;
        }
        let (new_lead, trail) = (xor.leading_zeros(), xor.trailing_zeros());
        let new_len = 64 - new_lead - trail;
        let fits = len > 0 && new_lead >= lead && trail >= 64 - lead - len;
        if fits && len <= new_len + 12 {
            bits.put(0b01, 2);
        } else {
            (lead, len) = (new_lead, new_len);
            bits.put(0b11 | u64::from(lead) << 2 | u64::from(len - 1) << 8, 14);
        }
        bits.put(xor >> (64 - lead - len), len);
    }
    bits.finish();
}

/// Appends `count` values.
pub(crate) fn decode(bytes: &[u8], count: usize, out: &mut Vec<f64>) -> Result<(), Corrupt> {
    if count == 0 {
        return Ok(());
    }
    // Every value takes at least one bit.
    if count > bytes.len() * 8 {
        return Err(Corrupt);
    }
    let mut bits = BitReader { bytes, word: 0, left: 0 };
    out.reserve(count);
    let mut value = bits.take(64)?;
    out.push(f64::from_bits(value));
    let (mut lead, mut len) = (0_u32, 0_u32);
    for _ in 1..count {
        if bits.take(1)? == 1 {
            if bits.take(1)? == 1 {
                lead = bits.take(6)? as u32;
                len = bits.take(6)? as u32 + 1;
            }
            if len == 0 || lead + len > 64 {
                return Err(Corrupt);
            }
            value ^= bits.take(len)? << (64 - lead - len);
        }
        out.push(f64::from_bits(value));
    }
    Ok(())
}

struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    word: u64,
    used: u32,
}

impl BitWriter<'_> {
    /// Appends the low `len` bits (1..=64); the others are zero.
    fn put(&mut self, value: u64, len: u32) {
        self.word |= value << self.used;
        let total = self.used + len;
        if total >= 64 {
            self.out.extend_from_slice(&self.word.to_le_bytes());
            self.word = if self.used == 0 { 0 } else { value >> (64 - self.used) };
            self.used = total - 64;
        } else {
            self.used = total;
        }
    }

    fn finish(self) {
        let bytes = self.word.to_le_bytes();
        self.out.extend_from_slice(&bytes[..self.used.div_ceil(8) as usize]);
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    word: u64,
    left: u32,
}

impl BitReader<'_> {
    fn take(&mut self, len: u32) -> Result<u64, Corrupt> {
        if len <= self.left {
            let value = self.word & (u64::MAX >> (64 - len));
            self.word = if len == 64 { 0 } else { self.word >> len };
            self.left -= len;
            return Ok(value);
        }
        let low = self.word;
        let had = self.left;
        self.refill()?;
        let wanted = len - had;
        if wanted > self.left {
            return Err(Corrupt);
        }
        let high = self.word & (u64::MAX >> (64 - wanted));
        self.word = if wanted == 64 { 0 } else { self.word >> wanted };
        self.left -= wanted;
        Ok(low | if had == 64 { 0 } else { high << had })
    }

    fn refill(&mut self) -> Result<(), Corrupt> {
        let mut word = [0_u8; 8];
        let len = self.bytes.len().min(8);
        if len == 0 {
            return Err(Corrupt);
        }
        let (head, tail) = self.bytes.split_at(len);
        word[..len].copy_from_slice(head);
        (self.word, self.left, self.bytes) = (u64::from_le_bytes(word), len as u32 * 8, tail);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round_trip(values: &[f64]) {
        let mut out = Vec::new();
        encode(values, &mut out);
        let mut back = Vec::new();
        decode(&out, values.len(), &mut back).unwrap();
        assert!(values.iter().map(|v| v.to_bits()).eq(back.iter().map(|v| v.to_bits())));
    }

    proptest! {
        #[test]
        fn any_bits_round_trip(values in prop::collection::vec(any::<u64>(), 0..300), mask: u64) {
            round_trip(&values.iter().map(|&v| f64::from_bits(v)).collect::<Vec<_>>());
            round_trip(&values.iter().map(|&v| f64::from_bits(v & mask)).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), count in 0_usize..2000) {
            let _ = decode(&bytes, count, &mut Vec::new());
        }
    }
}
