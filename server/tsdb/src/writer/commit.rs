//! One group commit: admit each batch, write new series and log rows in one transaction, then fill the head.

use super::{Append, Outcome, Writer};
use crate::append::{Appended, Prepared, UNKNOWN, Unknown};
use crate::bucket::BucketKey;
use crate::codec::log::LogWriter;
use crate::error::AppendError;
use crate::head::Inserted;
use crate::index::Index;
use crate::labels::Labels;
use crate::sync;
use rusqlite::params;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A series that this commit makes.
struct NewSeries {
    id: u32,
    source: Arc<str>,
    labels: Labels,
}

impl Writer {
    pub(super) fn commit(&mut self, group: Vec<Append>) {
        let waiting: usize = group.iter().map(|a| a.batch.samples.len()).sum();
        let mut new_series = Vec::new();
        let mut logs = Logs::default();
        let mut admitted = Vec::with_capacity(group.len());
        for mut append in group {
            match self.admit(&mut append.batch, &mut new_series) {
                Ok(()) => {
                    append.batch.each(|id, key, t, value| logs.push(id, key, t, value));
                    admitted.push(append);
                }
                Err(outcome) => {
                    let _ = append.reply.send(outcome);
                }
            }
        }
        let written = self.write(&new_series, logs).map_err(Arc::new);
        self.shared.queued.fetch_sub(waiting, std::sync::atomic::Ordering::Relaxed);
        match written {
            Ok(()) => self.fill(admitted),
            Err(error) => {
                self.withdraw(&new_series);
                for append in admitted {
                    let _ = append.reply.send(Outcome::Refused(AppendError::Storage(Arc::clone(&error))));
                }
            }
        }
    }

    /// Gives every series of the batch its number, making those that do not exist.
    fn admit(&self, batch: &mut Prepared, new_series: &mut Vec<NewSeries>) -> Result<(), Outcome> {
        {
            let index = sync::read(&self.shared.index);
            let gone = |&id: &u32| id != UNKNOWN && index.labels(id).is_none();
            if index.removals() != batch.removals && batch.ids.iter().any(gone) {
                return Err(Outcome::Stale);
            }
            // Another batch may have made them meanwhile.
            let ids = &mut batch.ids;
            batch.unknown.retain(|unknown| match index.find(unknown.hash, &unknown.labels) {
                Some(id) => {
                    ids[unknown.at] = id;
                    false
                }
                None => true,
            });
        }
        if batch.unknown.is_empty() {
            return Ok(());
        }
        let distinct = batch.unknown.iter().map(|u| &u.labels).collect::<HashSet<_>>().len();
        self.check_limits(&batch.source, distinct).map_err(Outcome::Refused)?;
        let minute = batch.minute();
        let mut index = sync::write(&self.shared.index);
        let mut head = sync::write(&self.shared.head);
        for Unknown { at, hash, labels } in batch.unknown.drain(..) {
            batch.ids[at] = match index.find(hash, &labels) {
                Some(id) => id,
                None => {
                    let id = add_series(&mut index, hash, &labels);
                    head.register(id, &batch.source, minute, true);
                    new_series.push(NewSeries { id, source: Arc::clone(&batch.source), labels });
                    id
                }
            };
        }
        Ok(())
    }

    fn check_limits(&self, source: &str, new: usize) -> Result<(), AppendError> {
        let options = &self.shared.options;
        let head = sync::read(&self.shared.head);
        let bounded = options.unbounded_source != Some(source);
        if bounded && head.active_of(source) + new > options.max_series_per_source {
            let limit = options.max_series_per_source;
            return Err(AppendError::TooManySeries { source_name: source.to_owned(), limit, largest: None });
        }
        if head.active() + new > options.max_series {
            let largest = head.sources().first().map(|(name, count)| (name.to_string(), *count));
            let limit = options.max_series;
            let largest = Some(largest.unwrap_or_else(|| (source.to_owned(), new)));
            return Err(AppendError::TooManySeries { source_name: source.to_owned(), limit, largest });
        }
        Ok(())
    }

    fn write(&mut self, new_series: &[NewSeries], logs: Logs) -> rusqlite::Result<()> {
        if new_series.is_empty() && logs.open.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO series(id, source, labels) VALUES (?1, ?2, ?3)")?;
            let mut key = Vec::new();
            for series in new_series {
                key.clear();
                series.labels.write_key(&mut key);
                insert.execute(params![series.id, series.source.as_ref(), key])?;
            }
            let mut insert = transaction.prepare_cached("INSERT INTO log(id, data) VALUES (?1, ?2)")?;
            for (key, log) in logs.open {
                let number = self.next_log.entry(key).or_insert(0);
                insert.execute(params![key.row(*number), log.finish()])?;
                // Counted up even if the commit fails: a gap does no harm.
                *number += 1;
            }
        }
        transaction.commit()
    }

    fn fill(&self, admitted: Vec<Append>) {
        let mut answers = Vec::with_capacity(admitted.len());
        {
            let mut head = sync::write(&self.shared.head);
            for append in &admitted {
                let mut appended = Appended { accepted: 0, duplicates: 0 };
                let minute = append.batch.minute();
                append.batch.each(|id, key, t, value| match head.insert(id, key, t, value, minute) {
                    Inserted::New => appended.accepted += 1,
                    Inserted::Duplicate => appended.duplicates += 1,
                });
                answers.push(appended);
            }
        }
        for (append, appended) in admitted.into_iter().zip(answers) {
            let _ = append.reply.send(Outcome::Stored(appended));
        }
    }

    /// Forgets series whose rows did not get written.
    fn withdraw(&self, new_series: &[NewSeries]) {
        if new_series.is_empty() {
            return;
        }
        let ids: Vec<u32> = new_series.iter().map(|s| s.id).collect();
        sync::write(&self.shared.index).remove(&ids);
        let mut head = sync::write(&self.shared.head);
        ids.into_iter().for_each(|id| head.forget(id));
    }
}

fn add_series(index: &mut Index, hash: u64, labels: &Labels) -> u32 {
    let id = index.next_id();
    index.insert(id, hash, labels);
    id
}

/// The log rows of a commit, one for each bucket that it touches.
#[derive(Default)]
struct Logs {
    open: Vec<(BucketKey, LogWriter)>,
    at: HashMap<BucketKey, usize>,
    last: usize,
}

impl Logs {
    fn push(&mut self, series: u32, key: BucketKey, t: i64, value: f64) {
        if self.open.get(self.last).is_none_or(|(k, _)| *k != key) {
            self.last = *self.at.entry(key).or_insert_with(|| {
                self.open.push((key, LogWriter::new()));
                self.open.len() - 1
            });
        }
        self.open[self.last].1.push(series, t, value);
    }
}
