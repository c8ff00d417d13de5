//! One segment, on disk or in memory, and the file that remembers what was acknowledged.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{Position, frames, payload};

const MAGIC: &[u8; 8] = b"SIAGASP1";
/// Where the first frame stands.
pub(super) const HEADER_BYTES: u64 = MAGIC.len() as u64;
const EXTENSION: &str = "spool";
const ACKED_FILE: &str = "acked";

/// What went wrong with the disk or with what stands on it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// The folder.
    #[error("cannot open the spool folder {}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A file.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Not a frame.
    #[error("damaged frame at byte {offset}")]
    Damaged {
        /// Where.
        offset: u64,
    },
}

enum Store {
    Disk { path: PathBuf, file: File },
    Memory(Vec<u8>),
}

pub(super) struct Segment {
    number: u64,
    bytes: u64,
    store: Store,
}

/// A frame that was read, and where the next one begins.
pub(super) struct Frame {
    pub(super) payload: Vec<u8>,
    pub(super) next: u64,
}

impl Segment {
    pub(super) fn create(folder: &Path, number: u64) -> Result<Self, SpoolError> {
        let path = folder.join(format!("{number:016}.{EXTENSION}"));
        let failed = |operation, source| SpoolError::File { operation, path: path.clone(), source };
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|e| failed("create", e))?;
        if let Err(source) = file.write_all(MAGIC) {
            drop(file);
            // Nothing can be done if this fails too; an empty file is skipped when the folder is read.
            drop(std::fs::remove_file(&path));
            return Err(failed("write", source));
        }
        Ok(Self { number, bytes: HEADER_BYTES, store: Store::Disk { path, file } })
    }

    pub(super) fn in_memory(number: u64) -> Self {
        Self { number, bytes: HEADER_BYTES, store: Store::Memory(MAGIC.to_vec()) }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.store, Store::Memory(_))
    }

    /// Appends a frame wholly or not at all.
    pub(super) fn append(&mut self, frame: &[u8]) -> Result<(), SpoolError> {
        match &mut self.store {
            Store::Memory(bytes) => bytes.extend_from_slice(frame),
            Store::Disk { path, file } => {
                if let Err(source) = file.write_all_at(frame, self.bytes) {
                    // Readers go by `bytes`; after a restart the checksum ends the segment here.
                    drop(file.set_len(self.bytes));
                    return Err(SpoolError::File { operation: "write", path: path.clone(), source });
                }
            }
        }
        self.bytes += frame.len() as u64;
        Ok(())
    }

    /// The frame at `offset`; `None` at the end. A cut frame at the end of an old file is its end.
    pub(super) fn read(&self, offset: u64) -> Result<Option<Frame>, SpoolError> {
        let head_end = offset + frames::HEAD_BYTES as u64;
        if head_end > self.bytes {
            return Ok(None);
        }
        let mut head = [0; frames::HEAD_BYTES];
        self.read_at(&mut head, offset)?;
        let damaged = SpoolError::Damaged { offset };
        let Some((length, checksum)) = frames::parse_head(head) else { return Err(damaged) };
        let next = head_end + length as u64;
        if next > self.bytes {
            return Ok(None);
        }
        let mut payload = vec![0; length];
        self.read_at(&mut payload, head_end)?;
        if crc32fast::hash(&payload) != checksum {
            return Err(damaged);
        }
        Ok(Some(Frame { payload, next }))
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> Result<(), SpoolError> {
        match &self.store {
            Store::Disk { path, file } => file
                .read_exact_at(out, offset)
                .map_err(|source| SpoolError::File { operation: "read", path: path.clone(), source }),
            Store::Memory(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = bytes.get(start..).and_then(|rest| rest.get(..out.len()));
                out.copy_from_slice(part.ok_or(SpoolError::Damaged { offset })?);
                Ok(())
            }
        }
    }

    /// Samples in frames at or behind `offset`, as far as they are readable.
    pub(super) fn count_samples(&self, offset: u64) -> u64 {
        let (mut at, mut samples) = (HEADER_BYTES, 0);
        while let Ok(Some(frame)) = self.read(at) {
            if at >= offset {
                samples += payload::count(&frame.payload) as u64;
            }
            at = frame.next;
        }
        samples
    }

    /// Makes sure that what was written outlives a power cut.
    pub(super) fn close(&mut self) -> Result<(), SpoolError> {
        match &self.store {
            Store::Disk { path, file } => file.sync_data().map_err(|source| SpoolError::File {
                operation: "sync",
                path: path.clone(),
                source,
            }),
            Store::Memory(_) => Ok(()),
        }
    }

    /// Brings a segment from memory to disk.
    pub(super) fn persist(&mut self, folder: &Path) -> Result<(), SpoolError> {
        let Store::Memory(bytes) = &self.store else { return Ok(()) };
        let mut on_disk = Self::create(folder, self.number)?;
        if let Err(error) = on_disk.append(bytes.get(MAGIC.len()..).unwrap_or_default()) {
            // Left behind, it would stand in the way of the next attempt.
            drop(on_disk.delete());
            return Err(error);
        }
        *self = on_disk;
        Ok(())
    }

    pub(super) fn delete(&self) -> Result<(), SpoolError> {
        match &self.store {
            Store::Disk { path, .. } => std::fs::remove_file(path).map_err(|source| SpoolError::File {
                operation: "delete",
                path: path.clone(),
                source,
            }),
            Store::Memory(_) => Ok(()),
        }
    }
}

/// Whether the disk takes as much as a segment in memory may be, tried with a file that is taken away at once.
pub(super) fn has_room(folder: &Path, bytes: u64) -> bool {
    let path = folder.join("room");
    let write = || {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(&vec![0; usize::try_from(bytes).unwrap_or(0)])
    };
    let written = write().is_ok();
    drop(std::fs::remove_file(&path));
    written
}

/// The segments of a folder, oldest first. The folder is made where it is missing. What is no segment is left alone.
pub(super) fn list(folder: &Path) -> Result<VecDeque<Segment>, SpoolError> {
    let failed = |source| SpoolError::Folder { path: folder.into(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        match number.and_then(|number| open(path.clone(), number)) {
            Some(segment) => segments.push(segment),
            None => {
                tracing::warn!(path = %path.display(), "not a spool segment, it is taken away");
                drop(std::fs::remove_file(&path));
            }
        }
    }
    segments.sort_by_key(Segment::number);
    Ok(segments.into())
}

fn open(path: PathBuf, number: u64) -> Option<Segment> {
    let file = File::open(&path).ok()?;
    let mut magic = [0; MAGIC.len()];
    file.read_exact_at(&mut magic, 0).ok()?;
    let bytes = file.metadata().ok()?.len();
    (&magic == MAGIC).then_some(Segment { number, bytes, store: Store::Disk { path, file } })
}

/// Name of the file of a destination; the server has none.
fn acked_file(destination: &str) -> String {
    if destination.is_empty() { ACKED_FILE.to_owned() } else { format!("{ACKED_FILE}-{destination}") }
}

/// Destinations of which there is a file.
fn acked_destinations(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let names = names.filter_map(|name| {
        let rest = name.strip_prefix(ACKED_FILE)?;
        if rest.is_empty() { Some(String::new()) } else { rest.strip_prefix('-').map(str::to_owned) }
    });
    names.collect()
}

/// The highest number of a segment of which anything was acknowledged by anybody.
pub(super) fn newest_acked(folder: &Path) -> u64 {
    let acked = acked_destinations(folder).into_iter().filter_map(|name| read_acked(folder, &name));
    acked.map(|acked| acked.segment).max().unwrap_or(0)
}

/// Takes away what is remembered of destinations that are not to be kept.
pub(super) fn forget_acked(folder: &Path, is_kept: impl Fn(&str) -> bool) {
    for name in acked_destinations(folder).iter().filter(|name| !is_kept(name)) {
        // Left behind, it is only a small file.
        drop(std::fs::remove_file(folder.join(acked_file(name))));
    }
}

/// What was acknowledged; `None` if the file is missing or damaged: then everything is sent once more.
pub(super) fn read_acked(folder: &Path, destination: &str) -> Option<Position> {
    let bytes: [u8; 20] = std::fs::read(folder.join(acked_file(destination))).ok()?.try_into().ok()?;
    let (body, checksum) = bytes.split_at(16);
    if crc32fast::hash(body).to_le_bytes() != checksum {
        return None;
    }
    let number = |part: &[u8]| Some(u64::from_le_bytes(part.try_into().ok()?));
    Some(Position { segment: number(&body[..8])?, offset: number(&body[8..])? })
}

/// Remembers what was acknowledged. Twenty bytes in place; a cut write is caught by the checksum.
pub(super) fn write_acked(folder: &Path, destination: &str, acked: Position) -> Result<(), SpoolError> {
    let path = folder.join(acked_file(destination));
    let failed = |source| SpoolError::File { operation: "write", path: path.clone(), source };
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&acked.segment.to_le_bytes());
    bytes[8..16].copy_from_slice(&acked.offset.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..16]);
    bytes[16..].copy_from_slice(&checksum.to_le_bytes());
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
    file.write_all_at(&bytes, 0).map_err(failed)
}
