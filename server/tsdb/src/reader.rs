//! Reading chunks: one snapshot of SQLite with the directory that belongs to it.
//!
//! A damaged chunk, timeline or page costs the samples it held; it is remembered, and the read goes on.

use crate::bucket::BucketKey;
use crate::codec::aggregates;
use crate::codec::chunk::{Chunk, read_timeline};
use crate::directory::Buckets;
use crate::downsample::Windows;
use crate::schema;
use crate::shared::Shared;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension};
use std::cell::RefCell;
use std::sync::Arc;

/// Rows of no interest that are stepped over rather than sought past.
const STEP_OVER: u32 = 8;

/// A consistent view of all chunks.
pub(crate) struct Snapshot<'a> {
    shared: &'a Shared,
    connection: &'a Connection,
    last_timeline: RefCell<Option<(i64, Arc<[i64]>)>>,
    pub(crate) buckets: Arc<Buckets>,
    /// Every chunk that the directory tells of is there.
    is_exact: bool,
}

impl<'a> Snapshot<'a> {
    /// Starts a read transaction; it ends with the value.
    pub(crate) fn begin(shared: &'a Shared, connection: &'a Connection) -> rusqlite::Result<Self> {
        let (buckets, is_exact) = loop {
            let before = shared.directory.load();
            connection.execute_batch("BEGIN")?;
            // The snapshot is taken at the first read.
            let started = connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(()));
            let is_ahead = shared.directory.is_ahead();
            let buckets = shared.directory.load();
            if started.is_ok() && Arc::ptr_eq(&before, &buckets) {
                break (buckets, !is_ahead);
            }
            connection.execute_batch("ROLLBACK")?;
            started?;
        };
        Ok(Self { shared, connection, last_timeline: RefCell::default(), buckets, is_exact })
    }

    /// Buckets of samples that touch the range, in the order in which they are read.
    pub(crate) fn buckets_in(&self, start_ms: i64, end_ms: i64) -> Vec<BucketKey> {
        let touching =
            self.buckets.keys().copied().filter(|key| key.is_raw() && key.overlaps(start_ms, end_ms));
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
        let mut statement = self.connection.prepare_cached("SELECT data FROM chunk WHERE id = ?1")?;
        let read =
            statement.query_row([key.row(series)], |row| self.decode(row.get_ref(0)?, key, series, values));
        match read.optional() {
            Ok(Some(found)) => Ok(found),
            Ok(None) => {
                // A damaged page may hide a row without any error.
                if self.is_exact && self.is_told(key, series) {
                    self.shared.note_damage(key.row(series));
                }
                Ok(None)
            }
            Err(error) if schema::is_damage(&error) => {
                self.shared.note_damage(key.row(series));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the directory tells of a chunk.
    fn is_told(&self, key: BucketKey, series: u32) -> bool {
        self.buckets.get(&key).is_some_and(|info| info.series.contains(series))
    }

    /// The aggregates of a series in a bucket of them; `None` when there are none, or none that can be read.
    pub(crate) fn read_windows(&self, key: BucketKey, series: u32) -> rusqlite::Result<Option<Windows>> {
        let mut statement = self.connection.prepare_cached("SELECT data FROM chunk WHERE id = ?1")?;
        let read = statement.query_row([key.row(series)], |row| {
            let bytes = row.get_ref(0)?.as_blob().unwrap_or(&[]);
            Ok(aggregates::read(bytes, key.start_ms()).ok())
        });
        match read.optional() {
            Ok(None) => return Ok(None),
            Ok(Some(Some(windows))) => return Ok(Some(windows)),
            Ok(Some(None)) => {}
            Err(error) if schema::is_damage(&error) => {}
            Err(error) => return Err(error),
        }
        self.shared.note_damage(key.row(series));
        Ok(None)
    }

    /// Reads the chunks of several series (ascending) of a bucket: `target(i)` gives the values that those of the
    /// i-th are appended to, `each(i, timeline, before)` learns what they were appended with and where they begin.
    pub(crate) fn read_many<T: ?Sized>(
        &mut self,
        key: BucketKey,
        series: &[u32],
        context: &mut T,
        target: impl Fn(&mut T, usize) -> &mut Vec<f64>,
        mut each: impl FnMut(&mut T, usize, Arc<[i64]>, usize),
    ) -> rusqlite::Result<()> {
        let mut at = 0;
        while at < series.len() {
            // Rows of one run lie side by side: stepping over a few is cheaper than seeking.
            let mut end = at + 1;
            while end < series.len() && series[end] - series[end - 1] <= STEP_OVER {
                end += 1;
            }
            let (mut next, mut missing) = (at, Vec::new());
            {
                let mut statement = self
                    .connection
                    .prepare_cached("SELECT id, data FROM chunk WHERE id BETWEEN ?1 AND ?2 ORDER BY id")?;
                let mut rows = statement.query([key.row(series[at]), key.row(series[end - 1])])?;
                loop {
                    let row = match rows.next() {
                        Ok(Some(row)) => row,
                        Ok(None) => break,
                        Err(error) if schema::is_damage(&error) => break,
                        Err(error) => return Err(error),
                    };
                    let id = row.get::<_, i64>(0)? as u32;
                    while next < end && series[next] < id {
                        missing.push(next);
                        next += 1;
                    }
                    if next == end || series[next] != id {
                        continue;
                    }
                    let values = target(context, next);
                    let before = values.len();
                    if let Some(timeline) = self.decode(row.get_ref(1)?, key, id, values)? {
                        each(context, next, timeline, before);
                    }
                    next += 1;
                }
            }
            // One by one what damage hid, so that it costs no more than its own rows.
            missing.extend(next..end);
            for at in missing {
                let id = series[at];
                if self.is_told(key, id) {
                    let values = target(context, at);
                    let before = values.len();
                    if let Some(timeline) = self.read(key, id, values)? {
                        each(context, at, timeline, before);
                    }
                }
            }
            at = end;
        }
        Ok(())
    }

    /// Decodes a chunk, its values to the end of `values`. What does not decode or fit together is remembered as
    /// damage. The timeline is looked at first, so that a chunk never unpacks to more than its bucket has times.
    fn decode(
        &self,
        data: ValueRef<'_>,
        key: BucketKey,
        series: u32,
        values: &mut Vec<f64>,
    ) -> rusqlite::Result<Option<Arc<[i64]>>> {
        let timeline = self.try_decode(data, key, values)?;
        if timeline.is_none() {
            self.shared.note_damage(key.row(series));
        }
        Ok(timeline)
    }

    fn try_decode(
        &self,
        data: ValueRef<'_>,
        key: BucketKey,
        values: &mut Vec<f64>,
    ) -> rusqlite::Result<Option<Arc<[i64]>>> {
        let Some(mut chunk) = data.as_blob().ok().and_then(|bytes| Chunk::open(bytes).ok()) else {
            return Ok(None);
        };
        let timeline = match chunk.timeline {
            0 => chunk.own_timestamps(key.start_ms()).ok().map(Arc::from),
            number => self.timeline(key, number)?,
        };
        let fitting = timeline.filter(|timeline| timeline.len() == chunk.count);
        Ok(fitting.filter(|_| chunk.values(values).is_ok()))
    }

    fn timeline(&self, key: BucketKey, number: u32) -> rusqlite::Result<Option<Arc<[i64]>>> {
        let row_id = key.row(number);
        // Series of a collection follow each other.
        if let Some((_, last)) = self.last_timeline.borrow().as_ref().filter(|(row, _)| *row == row_id) {
            return Ok(Some(Arc::clone(last)));
        }
        let found = self.find_timeline(key, row_id)?;
        if let Some(found) = &found {
            *self.last_timeline.borrow_mut() = Some((row_id, Arc::clone(found)));
        }
        Ok(found)
    }

    fn find_timeline(&self, key: BucketKey, row_id: i64) -> rusqlite::Result<Option<Arc<[i64]>>> {
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
