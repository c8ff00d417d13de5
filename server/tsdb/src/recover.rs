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
}

/// Reads everything. Damaged rows are passed over and remembered.
pub(crate) fn recover(options: Options, connection: &Connection) -> rusqlite::Result<Recovered> {
    let (buckets, lost) = scan::buckets(connection)?;
    // Told apart from rows of other tables by the sign and a high bit.
    let mut damaged: Vec<i64> = lost.into_iter().map(|row| !row).collect();
    let (mut index, mut head) = (Index::default(), Head::default());
    read_series(connection, &options, &buckets, &mut index, &mut head, &mut damaged)?;
    let mut next_log = HashMap::new();
    let lost = scan::log(connection, |row, data| {
        let Some(key) = BucketKey::of_row(row) else { return damaged.push(row) };
        next_log.insert(key, (row as u32).saturating_add(1));
        let span = key.start_ms()..key.end_ms();
        let read = log::read(data, |series, t, value| {
            if span.contains(&t) && head.insert(series, key, t, value, 0) == Inserted::New {
                head.count(&NewSamples::one(key, t), 0);
            }
        });
        if read.is_err() {
            damaged.push(row);
        }
    })?;
    damaged.extend(lost);
    let next_timeline = schema::next_timeline(connection)?;
    let shared = Shared::new(options, index, head, Directory::new(buckets));
    damaged.into_iter().for_each(|row| shared.note_damage(row));
    Ok(Recovered { shared, next_log, next_timeline })
}

fn read_series(
    connection: &Connection,
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
    let lost = scan::series(connection, |id, source, key| {
        let labels =
            Labels::from_key(key).and_then(|pairs| Labels::from_pairs(pairs).ok()).filter(|l| !l.is_empty());
        let (Some(labels), Ok(id)) = (labels, u32::try_from(id)) else { return damaged.push(i64::MIN | id) };
        let hash = hash_labels(&labels, &mut scratch);
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
