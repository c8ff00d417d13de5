//! Whole tables, read once at start. Damage costs the rows it met: the scan goes on behind it.
//!
//! A damaged page may hold rows whose numbers were never given. They are told from real ones by their place: numbers
//! ascend, and a row with a gap before it must be where the tree looks for it. What fails this is damage; it neither
//! ends the scan nor moves it.

use crate::bucket::BucketKey;
use crate::directory::{BucketInfo, Buckets};
use crate::idset::IdSet;
use crate::schema;
use rusqlite::{Connection, OptionalExtension, Row, Statement};
use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

/// Places of damage after which the rest of a table is given up.
const MAX_DAMAGE: usize = 4096;

/// Calls `each(id, row)` for the rows of a table whose numbers are in `range`, ascending. All numbers of the table are
/// supposed to be. Returns the places of damage.
pub(crate) fn table(
    connection: &Connection,
    name: &str,
    columns: &str,
    range: RangeInclusive<i64>,
    mut each: impl FnMut(i64, &Row<'_>),
) -> rusqlite::Result<Vec<i64>> {
    let mut scan = Scan::new(connection, name, columns, range)?;
    let mut damaged = Vec::new();
    let mut from = *scan.range.start();
    while damaged.len() <= MAX_DAMAGE {
        let place = scan.run(from, &mut damaged, &mut each)?;
        let Some(place) = place else { break };
        damaged.push(place);
        let Some(next) = scan.resume(place)? else { break };
        from = next;
    }
    Ok(damaged)
}

struct Scan<'c> {
    rows: Statement<'c>,
    exact: Statement<'c>,
    before: Statement<'c>,
    range: RangeInclusive<i64>,
}

impl<'c> Scan<'c> {
    fn new(
        connection: &'c Connection,
        name: &str,
        columns: &str,
        range: RangeInclusive<i64>,
    ) -> rusqlite::Result<Self> {
        Ok(Self {
            // Without an upper end, which a number that was never given would satisfy.
            rows: connection
                .prepare(&format!("SELECT id, {columns} FROM {name} WHERE id >= ?1 ORDER BY id"))?,
            exact: connection.prepare(&format!("SELECT 1 FROM {name} WHERE id = ?1"))?,
            before: connection
                .prepare(&format!("SELECT id FROM {name} WHERE id < ?1 ORDER BY id DESC LIMIT 1"))?,
            range,
        })
    }

    /// Reads from a number on. Gives the place where SQLite could not go on, or nothing at the end.
    fn run(
        &mut self,
        from: i64,
        damaged: &mut Vec<i64>,
        each: &mut impl FnMut(i64, &Row<'_>),
    ) -> rusqlite::Result<Option<i64>> {
        let Self { rows, exact, before, range } = self;
        let mut rows = rows.query([from])?;
        let (mut next, mut seen) = (from, None);
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(None),
                Err(error) if schema::is_damage(&error) => return Ok(Some(next)),
                Err(error) => return Err(error),
            };
            let id: i64 = row.get(0)?;
            let follows = id == next && seen.is_some();
            let real =
                id >= next && range.contains(&id) && (follows || in_place(exact, before, id, next, seen)?);
            seen = Some(id);
            if real {
                next = id + 1;
                each(id, row);
            } else if damaged.last() != Some(&next) && damaged.len() <= MAX_DAMAGE {
                damaged.push(next);
            }
        }
    }

    /// The first number behind `bad` from which can be read again.
    fn resume(&mut self, mut bad: i64) -> rusqlite::Result<Option<i64>> {
        let end = *self.range.end();
        let (mut step, mut buckets) = (1_i64, 1_i64);
        let mut good = loop {
            // Ever larger steps find the next whole page. They stop at a bucket's end, lest they miss its successor;
            // of buckets in which nothing can be read ever more are passed over at once.
            let next_bucket = ((bad >> 32) + 1) << 32;
            let stepped = bad.saturating_add(step);
            let at;
            if stepped < next_bucket {
                (at, step) = (stepped, step * 2);
            } else {
                at = (bad >> 32).saturating_add(buckets).min(end >> 32) << 32;
                (step, buckets) = (1, buckets * 2);
                if at <= bad {
                    break end.saturating_add(1);
                }
            }
            if at > end {
                break end.saturating_add(1);
            }
            if self.can_read(at)? {
                break at;
            }
            bad = at;
        };
        // No more is passed over than must be.
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2;
            if self.can_read(middle)? { good = middle } else { bad = middle }
        }
        Ok(self.range.contains(&good).then_some(good))
    }

    fn can_read(&mut self, from: i64) -> rusqlite::Result<bool> {
        let first = self.rows.query_row([from], |row| row.get::<_, i64>(0)).optional();
        match first {
            Ok(Some(id)) => Ok(id >= from && in_place(&mut self.exact, &mut self.before, id, from, None)?),
            Ok(None) => Ok(true),
            Err(error) if schema::is_damage(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether the tree looks for a row where it was found: behind the row `seen` before it, with none between it and
/// `next`, from where on rows are looked for.
fn in_place(
    exact: &mut Statement<'_>,
    before: &mut Statement<'_>,
    id: i64,
    next: i64,
    seen: Option<i64>,
) -> rusqlite::Result<bool> {
    match exact.exists([id]) {
        Ok(true) => {}
        Ok(false) => return Ok(false),
        Err(error) if schema::is_damage(&error) => return Ok(false),
        Err(error) => return Err(error),
    }
    match before.query_row([id], |row| row.get::<_, i64>(0)).optional() {
        Ok(Some(before)) => Ok(before < next || before >= id || Some(before) == seen),
        Ok(None) => Ok(true),
        Err(error) if schema::is_damage(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Numbers of series and of buckets.
const NUMBERS: RangeInclusive<i64> = 0..=u32::MAX as i64;
/// Numbers of rows that belong to a bucket.
pub(crate) const ROWS: RangeInclusive<i64> = 0..=i64::MAX - 1;

/// Calls `each(id, source, labels, intact)` for every series. Of a store whose rows carry no checksum (`proven`) all
/// count as intact.
pub(crate) fn series(
    connection: &Connection,
    proven: bool,
    mut each: impl FnMut(i64, &str, &[u8], bool),
) -> rusqlite::Result<Vec<i64>> {
    let columns = if proven { "source, labels, crc" } else { "source, labels" };
    table(connection, "series", columns, NUMBERS, |id, row| {
        // A value of a wrong type gives an empty label set, which the caller counts as damage.
        let source = row.get_ref(1).ok().and_then(|v| v.as_str().ok()).unwrap_or("");
        let labels = blob(row, 2);
        let crc = || row.get::<_, i64>(3).ok();
        let intact = !proven || crc() == Some(i64::from(schema::series_crc(id, source, labels)));
        each(id, source, labels, intact);
    })
}

/// Calls `each(id, data)` for the log, bucket by bucket, each in the order it was written.
pub(crate) fn log(connection: &Connection, mut each: impl FnMut(i64, &[u8])) -> rusqlite::Result<Vec<i64>> {
    table(connection, "log", "data", ROWS, |id, row| each(id, blob(row, 1)))
}

pub(crate) fn blob<'a>(row: &'a Row<'_>, column: usize) -> &'a [u8] {
    row.get_ref(column).ok().and_then(|v| v.as_blob().ok()).unwrap_or(&[])
}

/// The directory of buckets. What is damaged of it is made again from the chunks themselves.
pub(crate) fn buckets(connection: &Connection) -> rusqlite::Result<(Buckets, Vec<i64>)> {
    let mut buckets = Buckets::new();
    let mut entries = Vec::new();
    let mut lost = table(connection, "bucket", "samples, crc, series", NUMBERS, |id, row| {
        let samples = row.get::<_, i64>(1).unwrap_or(0).max(0) as u64;
        let intact = row.get::<_, i64>(2).is_ok_and(|crc| crc == i64::from(crc32fast::hash(blob(row, 3))));
        entries.push((id, samples, IdSet::decode(blob(row, 3)).filter(|_| intact)));
    })?;
    let mut incomplete = HashSet::new();
    for (id, samples, series) in entries {
        let Some(key) = u32::try_from(id).ok().and_then(BucketKey::from_raw) else { continue };
        if series.is_none() {
            lost.push(id);
            incomplete.insert(key);
        }
        buckets.insert(key, Arc::new(BucketInfo { series: series.unwrap_or_default(), samples }));
    }
    if !lost.is_empty() {
        for (key, series) in sets_of_chunks(connection)? {
            let samples = buckets.get(&key).map_or(0, |info| info.samples);
            if incomplete.contains(&key) || !buckets.contains_key(&key) {
                buckets.insert(key, Arc::new(BucketInfo { series, samples }));
            }
        }
    }
    Ok((buckets, lost))
}

pub(crate) fn sets_of_chunks(connection: &Connection) -> rusqlite::Result<BTreeMap<BucketKey, IdSet>> {
    let mut ids: BTreeMap<BucketKey, Vec<u32>> = BTreeMap::new();
    table(connection, "chunk", "0", ROWS, |id, _| {
        if let Some(key) = BucketKey::of_row(id) {
            ids.entry(key).or_default().push(id as u32);
        }
    })?;
    Ok(ids.into_iter().map(|(key, ids)| (key, IdSet::from_sorted(ids))).collect())
}
