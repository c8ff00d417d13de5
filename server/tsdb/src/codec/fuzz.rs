//! Fuzzing of every decoder under the stable toolchain: rows that an encoder wrote are damaged at random, sealed again
//! so that the checksum does not shield the decoder, and decoded. A decoder may refuse; it may not panic, and it may
//! not answer with another number of samples than it was asked for.
//!
//! What was found once stands in `CORPUS` and is tried first.

use super::bytes::Reader;
use super::chunk::{Chunk, Timestamps, read_timeline, write_chunk, write_timeline, write_timestamps};
use super::{Effort, aggregates, ints, log, values};
use crate::downsample::{Resolution, Windows};
use crate::idset::IdSet;

/// Rows of each kind: some seconds in a debug build.
const ROUNDS: usize = 300_000;
/// Rows in hexadecimal, without type and checksum, that were trouble or could be.
const CORPUS: [&str; 7] = [
    // Nothing at all; a count without columns.
    "",
    "00f0ffff29",
    // A constant column of as many samples as a day has milliseconds, with a timestamp column that holds three.
    "0080c0992902002a000000000000f03f",
    // A width of 65 bits; an order of 4.
    "00030041ff",
    "000304010101",
    // A pco column of no bytes; one that ends early.
    "00030300",
    "0003030470636f21",
];

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    /// Flips, replaces, cuts, repeats: what file damage and hostile hands do.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            if bytes.is_empty() {
                bytes.push(self.next() as u8);
                continue;
            }
            let at = self.below(bytes.len());
            match self.below(6) {
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xfe, 0xff][self.below(6)],
                2 => bytes.truncate(at),
                3 => bytes.insert(at, self.next() as u8),
                4 => {
                    let end = at + self.below(bytes.len() - at);
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => {
                    let to = self.below(bytes.len());
                    bytes[at] = bytes[to];
                }
            }
        }
    }

    fn samples(&mut self) -> (Vec<i64>, Vec<f64>) {
        let count = [1, 2, 63, 64, 65, 240, 400][self.below(7)];
        let kind = self.below(5);
        let (mut t, mut v) = (0_i64, 1e6_f64);
        (0..count)
            .map(|i| {
                t += 15_000 + self.below(11) as i64;
                v += self.below(100) as f64;
                let value = match kind {
                    0 => 42.5,
                    1 => v,
                    2 => v / 100.0,
                    3 => f64::from_bits(self.next()),
                    _ if i % 60 == 59 => f64::from_bits(0x7ff0_0000_0000_0002),
                    _ => v * 4096.0,
                };
                (t, value)
            })
            .unzip()
    }
}

fn seal(body: &[u8]) -> Vec<u8> {
    let crc = crc32fast::hash(body).to_le_bytes();
    [&[1], &crc[..], body].concat()
}

fn decode_chunk(body: &[u8]) {
    let row = seal(body);
    let Ok(mut chunk) = Chunk::open(&row) else { return };
    let (count, mut out) = (chunk.count, vec![0.5]);
    if chunk.timeline == 0 {
        match chunk.own_timestamps(0) {
            Ok(timestamps) => assert_eq!(timestamps.len(), count),
            Err(_) => return,
        }
    } else if count > 1_000_000 {
        // The reader refuses a chunk that is longer than its timeline before it decodes it.
        return;
    }
    match chunk.values(&mut out) {
        Ok(()) => assert_eq!(out.len(), count + 1),
        Err(_) => assert_eq!(out, [0.5], "damage left something behind"),
    }
}

fn decode_others(body: &[u8], count: usize) {
    let row = seal(body);
    if let Ok(timestamps) = read_timeline(&row, 0) {
        assert!(timestamps.len() <= 86_400_000);
    }
    let _ = log::read(&row, |_, _, _| {});
    let _ = IdSet::decode(body);
    let mut integers = Vec::new();
    if ints::decode(&mut Reader::new(body), count, &mut integers).is_ok() {
        assert_eq!(integers.len(), count);
    }
    let mut floats = Vec::new();
    if values::decode(&mut Reader::new(body), count, &mut floats).is_ok() {
        assert_eq!(floats.len(), count);
    }
}

#[test]
fn the_corpus_ends_in_errors_and_not_in_panics() {
    for hex in CORPUS {
        let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let body: Vec<u8> = (0..hex.len()).step_by(2).map(digit).collect();
        decode_chunk(&body);
        decode_others(&body, 100);
    }
}

#[test]
fn damaged_chunks_never_panic_and_never_answer_with_another_number_of_samples() {
    let mut random = Random(5);
    for round in 0..ROUNDS {
        let (timestamps, floats) = random.samples();
        let effort = if round % 4 == 0 { Effort::Dense } else { Effort::Fast };
        let mut column = Vec::new();
        values::encode(&floats, effort, &mut column);
        let times = write_timestamps(0, &timestamps, effort);
        let own = if round % 3 == 0 { Timestamps::Shared(9) } else { Timestamps::Own(&times) };
        let mut chunk = write_chunk(own, floats.len(), &column).split_off(5);
        random.damage(&mut chunk);
        decode_chunk(&chunk);
        let mut timeline = write_timeline(timestamps.len(), &times).split_off(5);
        random.damage(&mut timeline);
        decode_others(&timeline, timestamps.len());
        random.damage(&mut column);
        decode_others(&column, floats.len());
    }
}

#[test]
fn damaged_rows_of_aggregates_never_panic_and_have_columns_of_one_length() {
    let mut random = Random(6);
    for round in 0..ROUNDS / 4 {
        let (timestamps, floats) = random.samples();
        let resolution = Resolution::ALL[round % Resolution::ALL.len()];
        let mut body = aggregates::write(&Windows::of(&timestamps, &floats, resolution), 0).split_off(5);
        random.damage(&mut body);
        let mut row = seal(&body);
        // The type is not under the checksum.
        row[0] = 2;
        if let Ok(windows) = aggregates::read(&row, 0) {
            let columns = [&windows.min, &windows.max, &windows.sum, &windows.count, &windows.last];
            assert!(columns.iter().all(|column| column.len() == windows.timestamps.len()));
        }
    }
}

#[test]
fn damaged_log_rows_never_panic() {
    let mut random = Random(7);
    for _ in 0..ROUNDS {
        let mut writer = log::LogWriter::new();
        for _ in 0..random.below(40) {
            let (series, t, bits) = (random.next() as u32 % 9, random.next() as i64 >> 20, random.next());
            writer.push(series, t, f64::from_bits(bits));
        }
        let mut body = writer.finish().split_off(5);
        random.damage(&mut body);
        decode_others(&body, 10);
    }
}
