//! One collection as bytes, told by its difference to the one before in the same segment. Layout in [`super`].

use std::io;

use super::{Row, values, varint};
use crate::samples::{MAX_SERIES, Recorder, SeriesId};

/// Most samples of one collection: all series, and as many that go stale.
pub const MAX_SAMPLES: usize = MAX_SERIES * 2;
/// Largest block of new series, unpacked, in bytes.
const MAX_SERIES_BLOCK_BYTES: usize = 16 * 1024 * 1024;
const SAME_SHAPE: u8 = 0;
const NEW_SHAPE: u8 = 1;
const UNKNOWN: u32 = u32::MAX;

/// Labels of a series, sorted by name, with `__name__`.
pub type Labels = Box<[(Box<str>, Box<str>)]>;

/// What the frames before have told; lives as long as its segment is written.
pub(super) struct Encoder {
    generation: u64,
    /// Number in the segment by the recorder's place.
    numbers: Vec<u32>,
    values: Vec<f64>,
    shape: Vec<u32>,
    time_ms: i64,
    fresh: Vec<SeriesId>,
}

impl Encoder {
    pub(super) fn new(generation: u64) -> Self {
        Self { generation, numbers: vec![], values: vec![], shape: vec![], time_ms: 0, fresh: vec![] }
    }

    /// Whether nothing was told yet: the next payload can be understood alone.
    pub(super) fn is_new(&self) -> bool {
        self.values.is_empty()
    }

    /// Whether the recorder's places still mean what they meant.
    pub(super) fn fits(&self, recorder: &Recorder) -> bool {
        self.generation == recorder.generation() && self.values.len() < MAX_SERIES * 4
    }

    pub(super) fn encode(&mut self, time_ms: i64, recorder: &Recorder, out: &mut Vec<u8>) {
        let samples = recorder.samples();
        varint::write_signed(out, time_ms.wrapping_sub(self.time_ms));
        self.time_ms = time_ms;
        varint::write(out, samples.len() as u64);
        self.number_new_series(recorder);
        self.write_new_series(recorder, out);
        self.write_shape(recorder, out);
        let numbers = &self.shape;
        values::encode(numbers.iter().zip(samples).map(|(&n, s)| (self.values[n as usize], s.1)), out);
        for (&number, sample) in numbers.iter().zip(samples) {
            self.values[number as usize] = sample.1;
        }
    }

    fn number_new_series(&mut self, recorder: &Recorder) {
        self.fresh.clear();
        for &(id, _) in recorder.samples() {
            let place = id as usize;
            if self.numbers.len() <= place {
                self.numbers.resize(place + 1, UNKNOWN);
            }
            if self.numbers[place] == UNKNOWN {
                self.numbers[place] = u32::try_from(self.values.len()).unwrap_or(UNKNOWN);
                self.values.push(0.0);
                self.fresh.push(id);
            }
        }
    }

    fn write_new_series(&self, recorder: &Recorder, out: &mut Vec<u8>) {
        varint::write(out, self.fresh.len() as u64);
        if self.fresh.is_empty() {
            return;
        }
        let mut block = Vec::new();
        for &id in &self.fresh {
            let labels = recorder.labels(id);
            varint::write(&mut block, labels.len() as u64);
            for text in labels.iter().flat_map(|(name, value)| [name, value]) {
                varint::write(&mut block, text.len() as u64);
                block.extend_from_slice(text.as_bytes());
            }
        }
        // Snappy refuses only blocks of 4 GiB and more.
        let packed = snap::raw::Encoder::new().compress_vec(&block).unwrap_or_default();
        varint::write(out, packed.len() as u64);
        out.extend_from_slice(&packed);
    }

    fn write_shape(&mut self, recorder: &Recorder, out: &mut Vec<u8>) {
        let samples = recorder.samples();
        let same = self.shape.len() == samples.len()
            && self.shape.iter().zip(samples).all(|(&number, &(id, _))| self.numbers[id as usize] == number);
        if same {
            out.push(SAME_SHAPE);
            return;
        }
        out.push(NEW_SHAPE);
        self.shape.clear();
        let mut expected = 0;
        for &(id, _) in samples {
            let number = self.numbers[id as usize];
            varint::write_signed(out, i64::from(number) - expected);
            expected = i64::from(number) + 1;
            self.shape.push(number);
        }
    }
}

/// Number of samples of a payload, 0 if it is none.
pub(super) fn count(mut payload: &[u8]) -> usize {
    let input = &mut payload;
    let count = varint::read(input).and_then(|_time| varint::read(input)).unwrap_or(0);
    usize::try_from(count).unwrap_or(0).min(MAX_SAMPLES)
}

/// What the frames before have told; lives as long as its segment is read.
#[derive(Default)]
pub(super) struct Decoder {
    series: Vec<Labels>,
    values: Vec<f64>,
    shape: Vec<u32>,
    time_ms: i64,
}

impl Decoder {
    pub(super) fn series(&self) -> &[Labels] {
        &self.series
    }

    /// Samples of the payload read last.
    pub(super) fn last_count(&self) -> u64 {
        self.shape.len() as u64
    }

    /// Reads a payload. After an error the decoder is of no use any more.
    pub(super) fn decode(&mut self, mut payload: &[u8], rows: &mut Vec<Row>) -> io::Result<()> {
        self.try_decode(&mut payload, rows).ok_or_else(|| io::Error::other("the frame is not a collection"))
    }

    fn try_decode(&mut self, input: &mut &[u8], rows: &mut Vec<Row>) -> Option<()> {
        self.time_ms = self.time_ms.wrapping_add(varint::read_signed(input)?);
        let count = usize::try_from(varint::read(input)?).ok().filter(|count| *count <= MAX_SAMPLES)?;
        self.read_new_series(input)?;
        let (&kind, rest) = input.split_first()?;
        *input = rest;
        match kind {
            SAME_SHAPE if self.shape.len() == count => {}
            NEW_SHAPE => self.read_shape(count, input)?,
            _ => return None,
        }
        let mut values = values::Values::new(input);
        rows.reserve(count);
        for &number in &self.shape {
            let before = self.values.get_mut(number as usize)?;
            let value = values.next(*before)?;
            *before = value;
            rows.push(Row { series: number, time_ms: self.time_ms, value });
        }
        Some(())
    }

    fn read_new_series(&mut self, input: &mut &[u8]) -> Option<()> {
        let count = varint::read(input)?;
        if count == 0 {
            return Some(());
        }
        if count > MAX_SAMPLES as u64 {
            return None;
        }
        let length = varint::read(input)?;
        let packed = varint::read_bytes(input, length)?;
        if snap::raw::decompress_len(packed).ok()? > MAX_SERIES_BLOCK_BYTES {
            return None;
        }
        let block = snap::raw::Decoder::new().decompress_vec(packed).ok()?;
        let block = &mut block.as_slice();
        for _ in 0..count {
            let labels = varint::read(block)?;
            // Each label takes two bytes at least, so this reserves no more than what is there.
            let mut series = Vec::with_capacity(usize::try_from(labels).ok()?.min(block.len() / 2));
            for _ in 0..labels {
                series.push((read_text(block)?, read_text(block)?));
            }
            self.series.push(series.into());
            self.values.push(0.0);
        }
        Some(())
    }

    fn read_shape(&mut self, count: usize, input: &mut &[u8]) -> Option<()> {
        self.shape.clear();
        let mut expected: i64 = 0;
        for _ in 0..count {
            let number = u32::try_from(expected.checked_add(varint::read_signed(input)?)?).ok()?;
            if number as usize >= self.series.len() {
                return None;
            }
            self.shape.push(number);
            expected = i64::from(number) + 1;
        }
        Some(())
    }
}

fn read_text(input: &mut &[u8]) -> Option<Box<str>> {
    let length = varint::read(input)?;
    std::str::from_utf8(varint::read_bytes(input, length)?).ok().map(Into::into)
}
