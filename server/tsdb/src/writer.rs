//! The writer thread: the only one that writes to SQLite. It gathers waiting batches into one transaction (group
//! commit), answers when that is durable, and lets upkeep in between.
//!
//! Invariant: a sample is in the head exactly when the commit of its log row has succeeded. Freezing a bucket happens
//! here, between commits, so that "the samples of log rows up to n" is well defined.

mod commit;

use crate::append::{Appended, Prepared};
use crate::bucket::BucketKey;
use crate::directory::{BucketInfo, Buckets};
use crate::downsample::Resolution;
use crate::error::{AppendError, StorageError};
use crate::head::Frozen;
use crate::idset::IdSet;
use crate::schema::{self, series_crc};
use crate::shared::Shared;
use crate::sync;
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

/// Samples after which a group commit takes no further batch.
const GROUP_SAMPLES: usize = 200_000;
/// Without an append for this long the writer has time to make the files small.
const IDLE: Duration = Duration::from_secs(60);

/// What the writer is asked to do.
pub(crate) enum Command {
    Append(Append),
    Freeze(BucketKey, SyncSender<Option<Arc<Frozen>>>),
    Change(Change, SyncSender<Result<(), StorageError>>),
    /// Gives pages back to the file system, at most so many; answers whether it did.
    Shrink {
        pages: u32,
        free_bytes: u64,
        bound: u64,
        /// Everything that is free, whether or not samples come.
        all: bool,
        reply: SyncSender<Result<bool, StorageError>>,
    },
}

/// A batch that waits for its commit.
pub(crate) struct Append {
    pub(crate) batch: Prepared,
    pub(crate) reply: SyncSender<Outcome>,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Outcome {
    Stored(Appended),
    Refused(AppendError),
    /// A series of it was removed since it was looked up: to be prepared anew.
    Stale,
}

/// One transaction of upkeep.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) timelines: Vec<(i64, Vec<u8>)>,
    pub(crate) chunks: Vec<(i64, Vec<u8>)>,
    pub(crate) delete_chunks: Vec<i64>,
    /// New state of buckets; `None` deletes all rows of the bucket.
    pub(crate) buckets: Vec<(BucketKey, Option<BucketInfo>)>,
    /// This bucket's frozen samples are all in chunks: drop its log up to this row, and the samples.
    pub(crate) closed: Option<(BucketKey, u32)>,
    pub(crate) remove_series: Vec<u32>,
    pub(crate) next_timeline: Option<u32>,
}

impl Change {
    /// Takes the aggregates of these series away, because their samples of the bucket's day change.
    pub(crate) fn invalidate(
        &mut self,
        buckets: &Buckets,
        key: BucketKey,
        series: impl Iterator<Item = u32>,
    ) {
        let series = IdSet::from_sorted(series);
        for key in Resolution::ALL.map(|resolution| key.aggregates(resolution)) {
            let Some(known) = buckets.get(&key) else { continue };
            let left = known.series.minus(&series);
            if left == known.series {
                continue;
            }
            let gone = series.iter().filter(|&id| known.series.contains(id));
            self.delete_chunks.extend(gone.map(|id| key.row(id)));
            let info = BucketInfo { series: left, samples: known.samples };
            self.buckets.push((key, (!info.series.is_empty()).then_some(info)));
        }
    }
}

/// The thread's state.
pub(crate) struct Writer {
    connection: Connection,
    shared: Arc<Shared>,
    /// Number of the next log row of each bucket.
    next_log: HashMap<BucketKey, u32>,
    last_append: Instant,
    /// Something was written since the write-ahead log was emptied.
    untidy: bool,
    /// Rows of `series` carry a checksum.
    proven: bool,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        shared: Arc<Shared>,
        next_log: HashMap<BucketKey, u32>,
        proven: bool,
    ) -> Self {
        connection.set_prepared_statement_cache_capacity(32);
        Self { connection, shared, next_log, last_append: Instant::now(), untidy: true, proven }
    }

    /// Works until every sender is gone.
    pub(crate) fn run(mut self, queue: &Receiver<Command>) {
        let mut held = None;
        while let Some(command) = held.take().or_else(|| queue.recv().ok()) {
            match command {
                Command::Append(first) => held = self.group(first, queue),
                Command::Freeze(key, reply) => {
                    let last = self.next_log.remove(&key).unwrap_or(0).saturating_sub(1);
                    let frozen = sync::write(&self.shared.head).freeze(key, last);
                    // Numbering goes on, so that new rows are told from those that will be dropped.
                    self.next_log.insert(key, last + 1);
                    // A requester that went away leaves the bucket frozen; the next upkeep finds it.
                    let _ = reply.send(frozen);
                }
                Command::Change(change, reply) => {
                    let changed =
                        self.change(change).inspect_err(|error| self.shared.note_failed_write(error));
                    let _ = reply.send(changed.map_err(Arc::new));
                }
                Command::Shrink { pages, free_bytes, bound, all, reply } => {
                    let shrunk = self.shrink(pages, free_bytes, bound, all);
                    let shrunk = shrunk.inspect_err(|error| self.shared.note_failed_write(error));
                    let _ = reply.send(shrunk.map_err(Arc::new));
                }
            }
        }
        // Not needed for safety: the next start replays the write-ahead log.
        let _ = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }

    /// Commits the batch together with those that wait behind it. Returns a command that came between.
    fn group(&mut self, first: Append, queue: &Receiver<Command>) -> Option<Command> {
        let mut samples = first.batch.samples.len();
        let mut group = vec![first];
        let mut other = None;
        while samples < GROUP_SAMPLES {
            match queue.try_recv() {
                Ok(Command::Append(next)) => {
                    samples += next.batch.samples.len();
                    group.push(next);
                }
                Ok(command) => {
                    other = Some(command);
                    break;
                }
                Err(_) => break,
            }
        }
        self.commit(group);
        (self.last_append, self.untidy) = (Instant::now(), true);
        other
    }

    /// Gives free pages back when there are more than the bound, or all of them when there is nothing else to do.
    fn shrink(&mut self, pages: u32, free_bytes: u64, bound: u64, all: bool) -> rusqlite::Result<bool> {
        let idle = all || self.last_append.elapsed() >= IDLE;
        if free_bytes > if idle { 0 } else { bound } {
            self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({pages})"))?;
            self.untidy = true;
            return Ok(true);
        }
        if idle && std::mem::take(&mut self.untidy) {
            self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        }
        Ok(false)
    }

    fn change(&mut self, mut change: Change) -> rusqlite::Result<()> {
        if !change.remove_series.is_empty() {
            // A batch may have come since upkeep looked.
            let head = sync::read(&self.shared.head);
            change.remove_series.retain(|&id| head.is_idle(id));
        }
        let was_ahead = self.shared.directory.announce(&change.buckets);
        let transaction = self.connection.transaction()?;
        apply(&transaction, &change)?;
        transaction.commit()?;
        self.untidy = true;
        self.shared.directory.settle(change.buckets, was_ahead);
        if let Some((key, _)) = change.closed {
            let mut head = sync::write(&self.shared.head);
            head.thaw(key);
            if !head.is_open(key) {
                self.next_log.remove(&key);
            }
        }
        if !change.remove_series.is_empty() {
            sync::write(&self.shared.index).remove(&change.remove_series);
            let mut head = sync::write(&self.shared.head);
            change.remove_series.iter().for_each(|&id| head.forget(id));
        }
        Ok(())
    }
}

fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<()> {
    let put = |table: &str, rows: &[(i64, Vec<u8>)]| -> rusqlite::Result<()> {
        let mut statement = connection
            .prepare_cached(&format!("INSERT OR REPLACE INTO {table}(id, data) VALUES (?1, ?2)"))?;
        rows.iter().try_for_each(|(id, row)| statement.execute(params![id, row]).map(drop))
    };
    put("timeline", &change.timelines)?;
    put("chunk", &change.chunks)?;
    let mut delete = connection.prepare_cached("DELETE FROM chunk WHERE id = ?1")?;
    for id in &change.delete_chunks {
        delete.execute([id])?;
    }
    for (key, info) in &change.buckets {
        match info {
            Some(info) => schema::put_bucket(connection, *key, info)?,
            None => delete_bucket(connection, *key)?,
        }
    }
    if let Some((key, last)) = change.closed {
        delete_range(connection, "log", key.row(0), key.row(last))?;
    }
    let mut remove = connection.prepare_cached("DELETE FROM series WHERE id = ?1")?;
    for id in &change.remove_series {
        remove.execute([id])?;
    }
    if let Some(next) = change.next_timeline {
        connection
            .prepare_cached("INSERT OR REPLACE INTO meta(key, value) VALUES ('next_timeline', ?1)")?
            .execute([next])?;
    }
    Ok(())
}

fn delete_bucket(connection: &Connection, key: BucketKey) -> rusqlite::Result<()> {
    delete_range(connection, "chunk", key.row(0), key.row(u32::MAX))?;
    delete_range(connection, "timeline", key.row(0), key.row(u32::MAX))?;
    connection.prepare_cached("DELETE FROM bucket WHERE id = ?1")?.execute([key.raw()])?;
    Ok(())
}

fn delete_range(connection: &Connection, table: &str, first: i64, last: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(&format!("DELETE FROM {table} WHERE id BETWEEN ?1 AND ?2"))?
        .execute(params![first, last])?;
    Ok(())
}
