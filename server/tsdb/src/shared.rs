//! What the writer, the readers and upkeep share.

use crate::cache::TimelineCache;
use crate::directory::Directory;
use crate::head::Head;
use crate::index::Index;
use crate::options::Options;
use crate::rebuild;
use crate::schema;
use crate::sync;
use rusqlite::Connection;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, RwLock};

/// Damaged rows that are remembered one by one; beyond that they are only known to be many.
const MAX_DAMAGED: usize = 100_000;

/// Shared state. Order of locks: index, head; never the other way round.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) index: RwLock<Index>,
    pub(crate) head: RwLock<Head>,
    pub(crate) directory: Directory,
    pub(crate) timelines: TimelineCache,
    /// Samples that wait for the writer.
    pub(crate) queued: AtomicUsize,
    /// Whether what was last to be stored was.
    pub(crate) storing: AtomicBool,
    readers: Mutex<Vec<Connection>>,
    damaged: Mutex<HashSet<i64>>,
}

impl Shared {
    pub(crate) fn new(options: Options, index: Index, head: Head, directory: Directory) -> Self {
        Self {
            timelines: TimelineCache::new(options.timeline_cache_bytes),
            options,
            index: RwLock::new(index),
            head: RwLock::new(head),
            directory,
            queued: AtomicUsize::new(0),
            storing: AtomicBool::new(true),
            readers: Mutex::default(),
            damaged: Mutex::default(),
        }
    }

    /// Runs a query on one of the reading connections.
    pub(crate) fn with_reader<T, E: From<rusqlite::Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = sync::lock(&self.readers).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => schema::open_reader(&self.options.path)?,
        };
        let result = work(&connection);
        let mut readers = sync::lock(&self.readers);
        if readers.len() < self.options.readers {
            readers.push(connection);
        }
        result
    }

    /// Remembers a damaged row.
    pub(crate) fn note_damage(&self, row: i64) {
        let mut damaged = sync::lock(&self.damaged);
        if damaged.len() < MAX_DAMAGED {
            damaged.insert(row);
        }
    }

    /// Learns that writing failed: where damage is the cause, the next start makes the file anew.
    pub(crate) fn note_failed_write(&self, error: &rusqlite::Error) {
        let collided = error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation);
        if schema::is_damage(error) || collided {
            self.note_damage(i64::MAX);
            rebuild::remember(&self.options.path);
        }
    }

    /// The damaged rows that are remembered.
    pub(crate) fn damaged_rows(&self) -> Vec<i64> {
        sync::lock(&self.damaged).iter().copied().collect()
    }

    /// Damaged rows met since the start.
    pub(crate) fn damage(&self) -> usize {
        sync::lock(&self.damaged).len()
    }
}
