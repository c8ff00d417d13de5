//! One group commit: admit each batch, write new series and log rows in one transaction, then fill the head.

use super::{Append, Outcome, Writer};
use crate::append::{Appended, Prepared, UNKNOWN, Unknown};
use crate::error::AppendError;
use crate::head::{Inserted, NewSamples};
use crate::index::Index;
use crate::labels::Labels;
use crate::logs::{LogRow, Logs};
use crate::sync;
use rusqlite::params;
use std::collections::HashSet;
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
        let (mut logs, mut rows) = (Logs::default(), Vec::new());
        let mut admitted = Vec::with_capacity(group.len());
        for mut append in group {
            match self.admit(&mut append.batch, &mut new_series) {
                Ok(()) => {
                    match append.batch.rows.take() {
                        // Rows stay in the order of the batches: after a crash the same sample wins as before.
                        Some(ready) => rows.extend(logs.take().chain(ready)),
                        None => append.batch.each(|id, key, t, value| logs.push(id, key, t, value)),
                    }
                    admitted.push(append);
                }
                Err(outcome) => {
                    let _ = append.reply.send(outcome);
                }
            }
        }
        rows.extend(logs.take());
        let written = self.write(&new_series, rows).map_err(Arc::new);
        self.shared.queued.fetch_sub(waiting, std::sync::atomic::Ordering::Relaxed);
        // Only an attempt tells; batches that were all refused are none.
        if admitted.iter().any(|append| !append.batch.samples.is_empty()) {
            self.shared.storing.store(written.is_ok(), std::sync::atomic::Ordering::Relaxed);
        }
        match written {
            Ok(()) => self.fill(admitted),
            Err(error) => {
                self.shared.note_failed_write(&error);
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

    fn write(&mut self, new_series: &[NewSeries], rows: Vec<LogRow>) -> rusqlite::Result<()> {
        if new_series.is_empty() && rows.is_empty() {
            return Ok(());
        }
        let transaction = self.connection.transaction()?;
        {
            let sql = "INSERT INTO series(id, source, labels) VALUES (?1, ?2, ?3)";
            let with_crc = "INSERT INTO series(id, source, labels, crc) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = transaction.prepare_cached(if self.proven { with_crc } else { sql })?;
            let mut key = Vec::new();
            for series in new_series {
                key.clear();
                series.labels.write_key(&mut key);
                if self.proven {
                    let crc = super::series_crc(i64::from(series.id), &series.source, &key);
                    insert.execute(params![series.id, series.source.as_ref(), key, crc])?;
                } else {
                    insert.execute(params![series.id, series.source.as_ref(), key])?;
                }
            }
            let mut insert = transaction.prepare_cached("INSERT INTO log(id, data) VALUES (?1, ?2)")?;
            for (key, row) in rows {
                let number = self.next_log.entry(key).or_insert(0);
                insert.execute(params![key.row(*number), row])?;
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
                let mut run: Option<NewSamples> = None;
                append.batch.each(|id, key, t, value| {
                    if head.insert(id, key, t, value, minute) == Inserted::Duplicate {
                        appended.duplicates += 1;
                        return;
                    }
                    appended.accepted += 1;
                    if !run.as_mut().is_some_and(|run| run.add(key, t))
                        && let Some(done) = run.replace(NewSamples::one(key, t))
                    {
                        head.count(&done, minute);
                    }
                });
                if let Some(done) = run {
                    head.count(&done, minute);
                }
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
