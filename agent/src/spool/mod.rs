//! The bounded queue between collection and sending. It lives on disk, and survives the end of the process.
//!
//! # On disk
//! A folder with segments `0000000000000001.spool`, `0000000000000002.spool` ... and the file `acked`.
//!
//! ```text
//! segment = magic "SIAGASP1" frame*
//! frame   = length u32 | crc32 of payload u32 | payload        little endian; one payload is one collection
//! payload = time       zigzag varint, milliseconds, difference to the frame before (the first: to 0)
//!           count      varint, number of samples
//!           series     varint, number of new series; if not 0: varint length, snappy block of
//!                      (varint labels (varint length, bytes; varint length, bytes)*)*
//!           shape      0: the same series as the frame before; 1: count zigzag varints, each the
//!                      difference to the successor of the series before; series are numbered
//!                      in a segment by their first appearance
//!           values     tokens until count values are told, see `values`
//! acked   = segment u64 | offset u64 | crc32 of both u32        little endian
//! ```
//! Each destination has its own `acked`: the server's is called so, those of others `acked-NAME`.
//!
//! # Promises
//! - A segment stands alone: the others may be missing. Old segments are never written again after a restart.
//! - A frame is visible to the reader only when it is whole. After a crash, a cut or damaged frame ends its segment;
//!   what stands before it is read. Values are told by their difference, so nothing behind damage can be.
//! - What was not acknowledged is read again after a restart: a sample may be sent twice, never lost.
//! - If the disk takes no more, collections go on in memory ([`MEMORY_BYTES`]), so that a full disk is still reported.
//! - Beyond the bound the oldest segment is dropped and its samples are counted.
//!
//! Frames are written without `fsync`, which outlives the process but not a power cut; a segment is synced when it
//! is closed, and at the end.

mod frames;
mod payload;
mod segment;
mod values;
mod varint;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::counters::Counters;
use crate::samples::Recorder;

use payload::{Decoder, Encoder};
use segment::Segment;

pub use payload::{Labels, MAX_SAMPLES};
pub use segment::SpoolError;

/// Name of the server among the destinations.
pub const SERVER: &str = "";
/// A segment is closed when it has this size; a smaller bound of the whole makes it smaller.
const SEGMENT_BYTES: u64 = 512 * 1024;
/// Bytes that are kept in memory while the disk takes no more.
pub const MEMORY_BYTES: u64 = 1024 * 1024;
/// A segment in memory is closed at this size.
const MEMORY_SEGMENT_BYTES: u64 = 16 * 1024;

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    segment: u64,
    offset: u64,
}

/// One sample of a batch: place of its series in [`Batch::series`], time in milliseconds, value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Place of the series.
    pub series: u32,
    /// Milliseconds since the epoch.
    pub time_ms: i64,
    /// Value.
    pub value: f64,
}

/// Collections that wait, oldest first.
pub struct Batch<'a> {
    /// Labels by place.
    pub series: &'a [Labels],
    /// Samples in order of time.
    pub rows: Vec<Row>,
    /// Number of collections.
    pub collections: usize,
    /// What to acknowledge when they have arrived.
    pub end: Position,
}

/// How far one destination has come.
struct Reader {
    name: String,
    decoder: Option<(Position, Decoder)>,
    acked: Position,
}

impl Reader {
    fn open(folder: &Path, name: &str) -> Self {
        let acked = segment::read_acked(folder, name).unwrap_or(Position { segment: 0, offset: 0 });
        Self { name: name.to_owned(), decoder: None, acked }
    }
}

/// The queue.
pub struct Spool {
    folder: PathBuf,
    max_bytes: u64,
    segments: VecDeque<Segment>,
    /// Encodes into the last segment; absent when the next collection begins a new one.
    encoder: Option<Encoder>,
    /// One for each destination; the first is the server.
    readers: Vec<Reader>,
    next_number: u64,
    counters: Arc<Counters>,
    frame: Vec<u8>,
    disk_fails: bool,
}

impl Spool {
    /// Opens or creates the queue in `folder`.
    ///
    /// # Errors
    /// The folder cannot be made or listed. Damaged files are no error.
    pub fn open(folder: &Path, max_bytes: u64, counters: Arc<Counters>) -> Result<Self, SpoolError> {
        let segments = segment::list(folder)?;
        let readers = vec![Reader::open(folder, SERVER)];
        // Numbers never come again: an old acknowledgement must not cover new data.
        let acked = segment::newest_acked(folder);
        let next_number = segments.back().map_or(0, Segment::number).max(acked) + 1;
        let mut spool = Self {
            folder: folder.into(),
            max_bytes,
            segments,
            encoder: None,
            readers,
            next_number,
            counters,
            frame: Vec::new(),
            disk_fails: false,
        };
        spool.enforce_bound();
        Ok(spool)
    }

    /// Names the destinations beside the server. Each begins with the oldest collection that it has not acknowledged
    /// and that is still there; one that is named no more is forgotten. Must be called once before the first
    /// acknowledgement, else what only others still need may be gone.
    pub fn set_destinations<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        let mut before = std::mem::take(&mut self.readers);
        for name in std::iter::once(SERVER).chain(names) {
            let place = before.iter().position(|reader| reader.name == name);
            let reader = match place {
                Some(place) => before.swap_remove(place),
                None => Reader::open(&self.folder, name),
            };
            self.readers.push(reader);
        }
        segment::forget_acked(&self.folder, |name| self.readers.iter().any(|reader| reader.name == name));
        self.forget_acknowledged();
    }

    /// Up to where every destination has what was collected.
    fn acked(&self) -> Position {
        let all = self.readers.iter().map(|reader| reader.acked);
        all.min().unwrap_or(Position { segment: 0, offset: 0 })
    }

    /// Changes the bound.
    pub fn set_max_bytes(&mut self, max_bytes: u64) {
        self.max_bytes = max_bytes;
        self.enforce_bound();
    }

    /// Takes in one collection. Never fails: what the disk refuses is kept in memory, and counted.
    pub fn append(&mut self, time_ms: i64, recorder: &Recorder) {
        if recorder.samples().is_empty() {
            return;
        }
        // As soon as the disk takes something again, what is in memory goes there.
        let in_memory = self.encoder.is_some() && self.segments.back().is_some_and(Segment::is_in_memory);
        if in_memory && segment::has_room(&self.folder, MEMORY_SEGMENT_BYTES * 2) {
            self.close_segment();
        }
        let full = self.segments.back().is_some_and(|segment| segment.bytes() >= self.segment_limit(segment));
        if full || self.encoder.as_ref().is_none_or(|encoder| !encoder.fits(recorder)) {
            self.close_segment();
        }
        if self.encoder.is_none() {
            self.begin_segment(recorder.generation());
        }
        if !self.try_append(time_ms, recorder) {
            // The encoder has told of series that did not reach the disk: begin again, in memory.
            self.close_segment();
            self.segments.push_back(Segment::in_memory(self.next_number));
            self.next_number += 1;
            self.encoder = Some(Encoder::new(recorder.generation()));
            self.try_append(time_ms, recorder);
        }
        self.enforce_bound();
    }

    fn try_append(&mut self, time_ms: i64, recorder: &Recorder) -> bool {
        let (Some(encoder), Some(segment)) = (&mut self.encoder, self.segments.back_mut()) else {
            return false;
        };
        self.frame.clear();
        frames::begin(&mut self.frame);
        encoder.encode(time_ms, recorder, &mut self.frame);
        frames::end(&mut self.frame);
        match segment.append(&self.frame) {
            Ok(()) => true,
            Err(error) => {
                self.note_failure(&error);
                false
            }
        }
    }

    fn begin_segment(&mut self, generation: u64) {
        let segment = match Segment::create(&self.folder, self.next_number) {
            Ok(segment) => {
                if std::mem::take(&mut self.disk_fails) {
                    tracing::info!("the spool can write to disk again");
                    self.persist_memory();
                }
                segment
            }
            Err(error) => {
                self.note_failure(&error);
                Segment::in_memory(self.next_number)
            }
        };
        self.next_number += 1;
        self.segments.push_back(segment);
        self.encoder = Some(Encoder::new(generation));
    }

    fn persist_memory(&mut self) {
        let failed = self.segments.iter_mut().find_map(|segment| segment.persist(&self.folder).err());
        if let Some(error) = failed {
            self.note_failure(&error);
        }
    }

    fn note_failure(&mut self, error: &SpoolError) {
        self.counters.spool_errors.add(1);
        if !std::mem::replace(&mut self.disk_fails, true) {
            let error = crate::error_chain(error);
            tracing::error!(error, "the spool cannot write to disk, samples are kept in memory");
        }
    }

    fn segment_limit(&self, segment: &Segment) -> u64 {
        if segment.is_in_memory() { MEMORY_SEGMENT_BYTES } else { SEGMENT_BYTES.min(self.max_bytes / 8) }
    }

    fn close_segment(&mut self) {
        self.encoder = None;
        if let Some(segment) = self.segments.back_mut()
            && let Err(error) = segment.close()
        {
            self.note_failure(&error);
        }
        self.forget_acknowledged();
    }

    /// The oldest collections that the destination has not acknowledged (the server is [`SERVER`]): at most `max_collections`, and no more samples than
    /// `max_samples` unless one collection alone has more. Nothing waits: `None`.
    pub fn next_batch(
        &mut self,
        destination: &str,
        max_samples: usize,
        max_collections: usize,
    ) -> Option<Batch<'_>> {
        let reader = self.readers.iter().position(|reader| reader.name == destination)?;
        let mut rows = Vec::new();
        let (mut collections, mut end) = (0, self.readers.get(reader)?.acked);
        while collections < max_collections {
            let Some(position) = self.readable_position(end, collections > 0) else { break };
            match self.read_frame(
                reader,
                position,
                max_samples.saturating_sub(rows.len()),
                collections > 0,
                &mut rows,
            ) {
                ReadFrame::Taken(next) => (collections, end) = (collections + 1, next),
                ReadFrame::TooMuch => break,
                ReadFrame::EndOfSegment if collections > 0 => break,
                ReadFrame::EndOfSegment => end = Position { segment: position.segment + 1, offset: 0 },
            }
        }
        if collections == 0 {
            return None;
        }
        let decoder = self.readers.get(reader)?.decoder.as_ref();
        let series = decoder.map_or(&[][..], |(_, decoder)| decoder.series());
        Some(Batch { series, rows, collections, end })
    }

    /// Where to read next at or behind `position`; a batch stays within one segment.
    fn readable_position(&self, position: Position, same_segment: bool) -> Option<Position> {
        let segment = self.segments.iter().find(|segment| segment.number() >= position.segment)?;
        if segment.number() == position.segment {
            let whole = position.offset < segment.bytes();
            let is_last = self.segments.back().is_some_and(|last| last.number() == segment.number());
            return (whole || !is_last).then_some(position);
        }
        (!same_segment).then_some(Position { segment: segment.number(), offset: 0 })
    }

    fn read_frame(
        &mut self,
        reader: usize,
        at: Position,
        room: usize,
        may_refuse: bool,
        rows: &mut Vec<Row>,
    ) -> ReadFrame {
        let Some(reader) = self.readers.get_mut(reader) else { return ReadFrame::EndOfSegment };
        let Some(segment) = self.segments.iter().find(|segment| segment.number() == at.segment) else {
            return ReadFrame::EndOfSegment;
        };
        let start = Position { segment: at.segment, offset: segment::HEADER_BYTES };
        let (mut place, mut decoder) = match reader.decoder.take() {
            Some((place, decoder))
                if place.segment == at.segment && place.offset <= at.offset.max(start.offset) =>
            {
                (place, decoder)
            }
            _ => (start, Decoder::default()),
        };
        // Values are told by difference: what was read before must be read again to understand the rest.
        loop {
            let wanted = place.offset >= at.offset;
            let frame = match segment.read(place.offset) {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    reader.decoder = Some((place, decoder));
                    return ReadFrame::EndOfSegment;
                }
                Err(error) => return give_up_segment(reader, place, decoder, &error),
            };
            if wanted && may_refuse && payload::count(&frame.payload) > room {
                reader.decoder = Some((place, decoder));
                return ReadFrame::TooMuch;
            }
            let before = rows.len();
            if let Err(error) = decoder.decode(&frame.payload, rows) {
                rows.truncate(before);
                return give_up_segment(reader, place, decoder, &error);
            }
            place.offset = frame.next;
            if wanted {
                reader.decoder = Some((place, decoder));
                return ReadFrame::Taken(place);
            }
            rows.truncate(before);
        }
    }

    /// The samples before `end` have arrived at the destination, or are given up: it never reads them again.
    pub fn acknowledge(&mut self, destination: &str, end: Position) {
        let Some(reader) = self.readers.iter_mut().find(|reader| reader.name == destination) else { return };
        if end <= reader.acked {
            return;
        }
        reader.acked = end;
        if let Err(error) = segment::write_acked(&self.folder, destination, end) {
            // They would be sent once more after a restart, which is harmless.
            self.note_failure(&error);
        }
        self.forget_acknowledged();
    }

    fn forget_acknowledged(&mut self) {
        let acked = self.acked();
        while let Some(first) = self.segments.front() {
            let in_use = self.segments.len() == 1 && self.encoder.is_some();
            let done = first.number() < acked.segment
                || (first.number() == acked.segment && acked.offset >= first.bytes());
            if in_use || !done {
                break;
            }
            if let Err(error) = first.delete() {
                self.note_failure(&error);
            }
            self.segments.pop_front();
        }
        self.update_size();
    }

    fn enforce_bound(&mut self) {
        let size = |segments: &VecDeque<Segment>, memory: bool| -> u64 {
            segments.iter().filter(|s| s.is_in_memory() == memory).map(Segment::bytes).sum()
        };
        while self.segments.len() > 1 {
            let memory = size(&self.segments, true) > MEMORY_BYTES;
            if !memory && size(&self.segments, false) <= self.max_bytes {
                break;
            }
            // The last one is being written.
            let closed = self.segments.len() - 1;
            let oldest = self.segments.iter().take(closed).position(|s| s.is_in_memory() == memory);
            let Some(oldest) = oldest.and_then(|place| self.segments.remove(place)) else { break };
            let acked = self.acked();
            let lost = match oldest.number().cmp(&acked.segment) {
                std::cmp::Ordering::Less => 0,
                std::cmp::Ordering::Equal => oldest.count_samples(acked.offset),
                std::cmp::Ordering::Greater => oldest.count_samples(0),
            };
            self.counters.spool_dropped_samples.add(lost);
            tracing::warn!(samples = lost, "the spool is full, its oldest samples are dropped");
            if let Err(error) = oldest.delete() {
                self.note_failure(&error);
            }
        }
        self.update_size();
    }

    fn update_size(&self) {
        let acked = self.acked();
        let waiting = |segment: &Segment| match segment.number().cmp(&acked.segment) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => segment.bytes().saturating_sub(acked.offset),
            std::cmp::Ordering::Greater => segment.bytes(),
        };
        self.counters.spool_bytes.set(self.segments.iter().map(waiting).sum());
    }

    /// Brings everything to disk, also what was kept in memory, as far as there is room.
    pub fn flush(&mut self) {
        self.encoder = None;
        for segment in &mut self.segments {
            if let Err(error) = segment.persist(&self.folder).and_then(|()| segment.close()) {
                self.counters.spool_errors.add(1);
                tracing::error!(error = crate::error_chain(&error), "samples in memory are lost");
            }
        }
        for reader in self.readers.iter().filter(|reader| reader.acked.segment > 0) {
            if let Err(error) = segment::write_acked(&self.folder, &reader.name, reader.acked) {
                self.counters.spool_errors.add(1);
                tracing::warn!(error = crate::error_chain(&error), "what has arrived will be sent once more");
            }
        }
    }
}

fn give_up_segment(
    reader: &mut Reader,
    at: Position,
    decoder: Decoder,
    error: &dyn std::error::Error,
) -> ReadFrame {
    let error = crate::error_chain(error);
    tracing::warn!(error, segment = at.segment, "the rest of a spool segment is unreadable");
    // Its series are still needed for what was read; the place says that it must not be read on.
    reader.decoder = Some((Position { segment: at.segment, offset: u64::MAX }, decoder));
    ReadFrame::EndOfSegment
}

enum ReadFrame {
    Taken(Position),
    TooMuch,
    EndOfSegment,
}

#[cfg(test)]
mod tests;
