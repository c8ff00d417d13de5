//! What the fuzz targets of this crate share: bodies as clients send them are damaged at random, packed again so that
//! the framing does not shield what is behind it, and read. Under the stable toolchain, with a fixed seed, some seconds
//! in a debug build.

/// Bodies of each target.
pub(crate) const ROUNDS: usize = 150_000;

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n.max(1) as u64).unwrap()
    }

    pub(crate) fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len())]
    }

    /// Flips, replaces, cuts, inserts, repeats and moves bytes.
    pub(crate) fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            if bytes.is_empty() {
                bytes.push(self.next().to_le_bytes()[0]);
                continue;
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                // Lengths and tags of protobuf are where it hurts.
                1 => bytes[at] = [0, 1, 0x0a, 0x12, 0x7f, 0x80, 0xfe, 0xff][self.below(8)],
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.next().to_le_bytes()[0]),
                4 => {
                    let end = at + self.below(bytes.len() - at);
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => {
                    let from = self.below(bytes.len());
                    bytes[at] = bytes[from];
                }
            }
        }
    }
}

/// The body as it travels.
pub(crate) fn packed(raw: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(raw).unwrap()
}
