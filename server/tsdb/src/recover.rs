//! Start: the file is read into index, directory and head.

use crate::append::minute_of;
use crate::bucket::BucketKey;
use crate::codec::log;
use crate::directory::{Buckets, Directory};
use crate::head::{Head, Inserted, NewSamples};
use crate::idset::IdSet;
use crate::index::{Index, hash_labels};
use crate::labels::Labels;
use crate::options::{Options, millis};
use crate::scan;
use crate::schema;
use crate::shared::Shared;
use rusqlite::Connection;
use std::collections::HashMap;

/// What was found.
pub(crate) struct Recovered {
    pub(crate) shared: Shared,
    /// Number of the next log row of each bucket.
    pub(crate) next_log: HashMap<BucketKey, u32>,
    pub(crate) next_timeline: u32,
    /// Tables are damaged so that writing to them may fail or collide: the file should be made anew.
    pub(crate) broken: bool,
}

/// A number of a series that far beyond the one before was never given: it would only take memory.
const MAX_GAP: i64 = 1 << 24;

/// Reads everything. Damaged rows are passed over and remembered. `proven`: rows of `series` carry a checksum.
pub(crate) fn recover(
    options: Options,
    connection: &Connection,
    proven: bool,
) -> rusqlite::Result<Recovered> {
    // Every reading transaction begins with this table.
    connection.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
    let (buckets, lost) = scan::buckets(connection)?;
    // Told apart from rows of other tables by the sign and a high bit.
    let mut damaged: Vec<i64> = lost.into_iter().map(|row| !row).collect();
    let (mut index, mut head) = (Index::default(), Head::default());
    let mut broken = !damaged.is_empty();
    let before = damaged.len();
    read_series(connection, proven, &options, &buckets, &mut index, &mut head, &mut damaged)?;
    broken |= damaged.len() > before;
    let mut next_log = HashMap::new();
    let mut last_logged = 0;
    let lost = scan::log(connection, |row, data| {
        let Some(key) = BucketKey::of_row(row) else { return damaged.push(row) };
        next_log.insert(key, (row as u32).saturating_add(1));
        let span = key.start_ms()..key.end_ms();
        let read = log::read(data, |series, t, value| {
            last_logged = last_logged.max(series);
            if span.contains(&t) && head.insert(series, key, t, value, 0) == Inserted::New {
                head.count(&NewSamples::one(key, t), 0);
            }
        });
        if read.is_err() {
            damaged.push(row);
        }
    })?;
    broken |= !lost.is_empty();
    damaged.extend(lost);
    // Samples of a series whose row was lost must not fall to a new one.
    index.reserve(last_logged);
    let next_timeline = schema::next_timeline(connection)?;
    let shared = Shared::new(options, index, head, Directory::new(buckets));
    damaged.into_iter().for_each(|row| shared.note_damage(row));
    Ok(Recovered { shared, next_log, next_timeline, broken })
}

fn read_series(
    connection: &Connection,
    proven: bool,
    options: &Options,
    buckets: &Buckets,
    index: &mut Index,
    head: &mut Head,
    damaged: &mut Vec<i64>,
) -> rusqlite::Result<()> {
    // Which series are active is not stored: those in the buckets of the last day before the newest are.
    let newest_ms = buckets.keys().map(|key| key.end_ms()).max().unwrap_or(0);
    let since_ms = newest_ms.saturating_sub(millis(options.inactive_after));
    let recent = buckets.iter().filter(|(key, _)| key.end_ms() > since_ms);
    let active = IdSet::union_all(recent.map(|(_, info)| &info.series));
    let minute = minute_of(newest_ms);
    let mut scratch = Vec::new();
    let mut last = 0;
    let lost = scan::series(connection, proven, |id, source, key, intact| {
        let labels =
            Labels::from_key(key).and_then(|pairs| Labels::from_pairs(pairs).ok()).filter(|l| !l.is_empty());
        let labels = labels.filter(|_| intact && (proven || id - last <= MAX_GAP));
        let (Some(labels), Ok(id)) = (labels, u32::try_from(id)) else { return damaged.push(i64::MIN | id) };
        let hash = hash_labels(&labels, &mut scratch);
        if index.find(hash, &labels).is_some() {
            // Two series are never the same.
            return damaged.push(i64::MIN | i64::from(id));
        }
        last = i64::from(id);
        index.insert(id, hash, &labels);
        head.register(id, source, minute, active.contains(id));
    })?;
    damaged.extend(lost.into_iter().map(|row| i64::MIN | row));
    // Chunks of a series whose row was lost must not fall to a new one.
    if let Some(last) = buckets.values().filter_map(|info| info.series.last()).max() {
        index.reserve(last);
    }
    Ok(())
}
