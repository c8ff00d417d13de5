//! Reading chunks: one snapshot of SQLite with the directory that belongs to it.
//!
//! A damaged chunk, timeline or page costs the samples it held; it is remembered, and the read goes on.

use crate::bucket::BucketKey;
use crate::codec::chunk::{Chunk, read_timeline};
use crate::directory::Buckets;
use crate::schema;
use crate::shared::Shared;
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use std::sync::Arc;

/// A consistent view of all chunks.
pub(crate) struct Snapshot<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    chunk: CachedStatement<'a>,
    pub(crate) buckets: Arc<Buckets>,
}

impl<'a> Snapshot<'a> {
    /// Starts a read transaction; it ends with the value.
    pub(crate) fn begin(shared: &'a Shared, connection: &'a Connection) -> rusqlite::Result<Self> {
        let buckets = loop {
            let before = shared.directory.load();
            connection.execute_batch("BEGIN")?;
            // The snapshot is taken at the first read.
            let started = connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(()));
            let buckets = shared.directory.load();
            if started.is_ok() && Arc::ptr_eq(&before, &buckets) {
                break buckets;
            }
            connection.execute_batch("ROLLBACK")?;
            started?;
        };
        let chunk = connection.prepare_cached("SELECT data FROM chunk WHERE id = ?1");
        match chunk {
            Ok(chunk) => Ok(Self { shared, connection, chunk, buckets }),
            Err(error) => {
                let _ = connection.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    /// Buckets that touch the range, in the order in which they are read.
    pub(crate) fn buckets_in(&self, start_ms: i64, end_ms: i64) -> Vec<BucketKey> {
        let touching = self.buckets.keys().copied().filter(|key| key.overlaps(start_ms, end_ms));
        let mut keys: Vec<_> = touching.collect();
        keys.sort_by_key(|key| key.reading_order());
        keys
    }

    /// The samples of a series in a bucket: its timeline, and values appended to `values`. `None` when there are none.
    pub(crate) fn read(
        &mut self,
        key: BucketKey,
        series: u32,
        values: &mut Vec<f64>,
    ) -> rusqlite::Result<Option<Arc<[i64]>>> {
        let row_id = key.row(series);
        let before = values.len();
        let base_ms = key.start_ms();
        let read = self.chunk.query_row([row_id], |row| {
            let Ok(bytes) = row.get_ref(0)?.as_blob() else { return Ok(None) };
            let Ok(mut chunk) = Chunk::open(bytes) else { return Ok(None) };
            let timeline = chunk.timeline;
            let own = match timeline {
                0 => chunk.own_timestamps(base_ms).ok().map(Arc::from),
                _ => Some(Arc::from([])),
            };
            Ok(own.filter(|_| chunk.values(values).is_ok()).map(|own| (timeline, own)))
        });
        let found = match read.optional() {
            Ok(None) => return Ok(None),
            Ok(Some(found)) => found,
            Err(error) if schema::is_damage(&error) => None,
            Err(error) => return Err(error),
        };
        let timestamps = match found {
            None => None,
            Some((0, own)) => Some(own),
            Some((number, _)) => self.timeline(key, number)?,
        };
        if timestamps.as_ref().is_some_and(|t| t.len() == values.len() - before) {
            return Ok(timestamps);
        }
        values.truncate(before);
        self.shared.note_damage(row_id);
        Ok(None)
    }

    fn timeline(&self, key: BucketKey, number: u32) -> rusqlite::Result<Option<Arc<[i64]>>> {
        let row_id = key.row(number);
        if let Some(cached) = self.shared.timelines.get(row_id) {
            return Ok(Some(cached));
        }
        let mut statement = self.connection.prepare_cached("SELECT data FROM timeline WHERE id = ?1")?;
        let read = statement.query_row([row_id], |row| {
            let bytes = row.get_ref(0)?.as_blob().unwrap_or(&[]);
            Ok(read_timeline(bytes, key.start_ms()).ok())
        });
        let timeline: Option<Arc<[i64]>> = match read.optional() {
            Ok(found) => found.flatten().map(Arc::from),
            Err(error) if schema::is_damage(&error) => None,
            Err(error) => return Err(error),
        };
        if let Some(timeline) = &timeline {
            self.shared.timelines.put(row_id, timeline);
        }
        Ok(timeline)
    }
}

impl Drop for Snapshot<'_> {
    fn drop(&mut self) {
        // Fails only when SQLite ended the transaction itself.
        let _ = self.connection.execute_batch("ROLLBACK");
    }
}
