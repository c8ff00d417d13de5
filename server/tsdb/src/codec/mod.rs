//! Codecs of everything that is stored as bytes. Pure: bytes in, numbers out. Every decoder survives any input.

pub(crate) mod aggregates;
pub(crate) mod bytes;
pub(crate) mod chunk;
#[cfg(test)]
mod fuzz;
pub(crate) mod ints;
pub(crate) mod log;
pub(crate) mod values;
mod xor;

/// The bytes are not what an encoder wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

/// How hard to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Bit-packed differences: hundreds of millions of samples a second.
    Fast,
    /// pco as well, where it is smaller: for data that settles.
    Dense,
}

/// Below this pco's header outweighs what it saves.
const PCO_MIN_SAMPLES: usize = 256;

impl Effort {
    fn tries_pco(self, samples: usize) -> bool {
        self == Self::Dense && samples >= PCO_MIN_SAMPLES
    }
}
