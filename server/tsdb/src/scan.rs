//! Whole tables, read once at start. A damaged page costs its rows: the scan goes on behind it.

use crate::bucket::BucketKey;
use crate::directory::{BucketInfo, Buckets};
use crate::idset::IdSet;
use crate::schema;
use rusqlite::{Connection, Row};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Places that are tried behind damage before the rest of a table is given up.
const MAX_TRIES: usize = 4096;

/// Calls `each(id, row)` for the rows of a table from `first` to `last`, ascending. Returns the places of damage.
fn table(
    connection: &Connection,
    columns: &str,
    first: i64,
    last: i64,
    mut each: impl FnMut(i64, &Row<'_>),
) -> rusqlite::Result<Vec<i64>> {
    let mut statement =
        connection.prepare(&format!("SELECT id, {columns} WHERE id BETWEEN ?1 AND ?2 ORDER BY id"))?;
    let (mut from, mut step, mut tries) = (first, 1_i64, 0);
    let mut damaged = Vec::new();
    loop {
        let mut next = from;
        let mut rows = statement.query([from, last])?;
        let result = loop {
            match rows.next() {
                Ok(Some(row)) => {
                    let id = row.get(0)?;
                    next = id + 1;
                    each(id, row);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        match result {
            Err(error) if !schema::is_damage(&error) => return Err(error),
            Ok(()) => return Ok(damaged),
            Err(_) => {}
        }
        if next > from || damaged.is_empty() {
            damaged.push(next);
            (from, step) = (next, 1);
        } else {
            // Ever larger steps find the next whole page; they stop at a bucket's end, lest they miss its successor.
            let boundary = ((from >> 32) + 1) << 32;
            let stepped = from.saturating_add(step);
            (from, step) = if stepped < boundary { (stepped, step * 2) } else { (boundary, 1) };
        }
        tries += 1;
        if from > last || tries > MAX_TRIES {
            return Ok(damaged);
        }
    }
}

/// Calls `each(id, source, labels)` for every series.
pub(crate) fn series(
    connection: &Connection,
    mut each: impl FnMut(i64, &str, &[u8]),
) -> rusqlite::Result<Vec<i64>> {
    table(connection, "source, labels FROM series", 0, i64::from(u32::MAX), |id, row| {
        // A value of a wrong type gives an empty label set, which the caller counts as damage.
        let source = row.get_ref(1).ok().and_then(|v| v.as_str().ok()).unwrap_or("");
        each(id, source, blob(row, 2));
    })
}

/// Calls `each(id, data)` for the log, bucket by bucket, each in the order it was written.
pub(crate) fn log(connection: &Connection, mut each: impl FnMut(i64, &[u8])) -> rusqlite::Result<Vec<i64>> {
    table(connection, "data FROM log", 0, i64::MAX - 1, |id, row| each(id, blob(row, 1)))
}

fn blob<'a>(row: &'a Row<'_>, column: usize) -> &'a [u8] {
    row.get_ref(column).ok().and_then(|v| v.as_blob().ok()).unwrap_or(&[])
}

/// The directory of buckets. What is damaged of it is made again from the chunks themselves.
pub(crate) fn buckets(connection: &Connection) -> rusqlite::Result<(Buckets, Vec<i64>)> {
    let mut buckets = Buckets::new();
    let mut entries = Vec::new();
    let mut lost =
        table(connection, "samples, crc, series FROM bucket", 0, i64::from(u32::MAX), |id, row| {
            let samples = row.get::<_, i64>(1).unwrap_or(0).max(0) as u64;
            let intact =
                row.get::<_, i64>(2).is_ok_and(|crc| crc == i64::from(crc32fast::hash(blob(row, 3))));
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

fn sets_of_chunks(connection: &Connection) -> rusqlite::Result<BTreeMap<BucketKey, IdSet>> {
    let mut ids: BTreeMap<BucketKey, Vec<u32>> = BTreeMap::new();
    table(connection, "0 FROM chunk", 0, i64::MAX - 1, |id, _| {
        if let Some(key) = BucketKey::of_row(id) {
            ids.entry(key).or_default().push(id as u32);
        }
    })?;
    Ok(ids.into_iter().map(|(key, ids)| (key, IdSet::from_sorted(ids))).collect())
}
