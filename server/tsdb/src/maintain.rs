//! Upkeep: buckets are closed, days settle, what is too old or too much goes. One thread at a time.
//!
//! Every step is one transaction of bounded size and leaves the store whole: upkeep may stop anywhere and go on later.

mod close;
mod delete;
mod downsample;
mod expire;
mod settle;

use crate::bucket::{BucketKey, DAY_MS, Level};
use crate::error::{MaintainError, StorageError};
use crate::head::{Frozen, OpenBucket};
use crate::options::millis;
use crate::schema;
use crate::shared::Shared;
use crate::sync;
use crate::writer::{Change, Command};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

/// What a call did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaintainReport {
    /// Buckets whose samples went from the head to chunks.
    pub closed_buckets: usize,
    /// Chunks of days that were compressed for good.
    pub settled_chunks: usize,
    /// Days of a series that were downsampled.
    pub downsampled: usize,
    /// Buckets deleted by age or size.
    pub expired_buckets: usize,
    /// Series that had no sample left.
    pub removed_series: usize,
    /// There is more to do: call again soon.
    pub more: bool,
}

/// Samples after which a call leaves the rest to the next one.
const CALL_SAMPLES: usize = 16_000_000;
/// Samples of one transaction.
const SLICE_SAMPLES: usize = 2_000_000;
/// Series of one transaction.
const SLICE_SERIES: usize = 8192;
/// A bucket that gets late samples is closed again when none came for this long ...
const LATE_IDLE_MINUTES: u32 = 5;
/// ... or when it has been open for this long.
const LATE_OPEN_MINUTES: u32 = 60;
/// Samples of each active series that the head is sized for: an hour at 15 s, and the grace.
const HEAD_SAMPLES_PER_SERIES: usize = 400;

/// Free bytes that are kept for what comes next.
const SHRINK_FLOOR: u64 = 16 << 20;
/// Pages that one call gives back.
const SHRINK_PAGES: u32 = 1024;

impl From<rusqlite::Error> for MaintainError {
    fn from(source: rusqlite::Error) -> Self {
        Self::Read(source)
    }
}

/// The state that only upkeep uses.
#[derive(Debug)]
pub(crate) struct Upkeep {
    next_timeline: u32,
    /// Buckets went: series may have none left.
    series_may_be_gone: bool,
}

impl Upkeep {
    pub(crate) fn new(next_timeline: u32) -> Self {
        // Looked at once after each start: a crash may have come between deleting buckets and series.
        Self { next_timeline, series_may_be_gone: true }
    }
}

/// One call of upkeep.
pub(crate) struct Maintainer<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) queue: &'a SyncSender<Command>,
    pub(crate) upkeep: &'a mut Upkeep,
    pub(crate) report: MaintainReport,
    samples: usize,
}

impl<'a> Maintainer<'a> {
    pub(crate) fn new(shared: &'a Shared, queue: &'a SyncSender<Command>, upkeep: &'a mut Upkeep) -> Self {
        Self { shared, queue, upkeep, report: MaintainReport::default(), samples: 0 }
    }

    /// Everything that is due.
    pub(crate) fn run(&mut self, now_ms: i64) -> Result<(), MaintainError> {
        let minute =
            crate::append::minute_of(now_ms.saturating_sub(millis(self.shared.options.inactive_after)));
        sync::write(&self.shared.head).expire_before(minute);
        self.expire_by_age(now_ms)?;
        self.finish_closing()?;
        let due: Vec<_> = self.due(now_ms);
        self.close_all(due)?;
        self.relieve()?;
        self.settle(now_ms)?;
        self.downsample(now_ms)?;
        self.expire_by_size()?;
        self.remove_series()?;
        self.shrink(false)
    }

    /// Closes and settles all that is over, whether or not it is due.
    pub(crate) fn settle_now(&mut self, now_ms: i64) -> Result<(), MaintainError> {
        self.finish_closing()?;
        let open: Vec<_> = sync::read(&self.shared.head).open_buckets().map(|(key, _)| key).collect();
        self.close_all(open)?;
        self.settle_days(now_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS))?;
        self.downsample(now_ms)?;
        self.shrink(true)
    }

    /// Closes the fullest buckets while the head holds more than it should.
    pub(crate) fn relieve(&mut self) -> Result<(), MaintainError> {
        while head_is_full(self.shared, 1) {
            let open: Vec<_> = sync::read(&self.shared.head).open_buckets().collect();
            // The newest hour is still being written by everyone: it goes last.
            let newest = open.iter().map(|(k, _)| *k).filter(|k| k.level() == Level::Hour).max();
            let late = open.iter().filter(|(k, _)| Some(*k) != newest);
            let fullest = late.max_by_key(|(_, b)| b.samples).filter(|(_, b)| b.samples > 0);
            match fullest.map(|(k, _)| *k).or(newest) {
                Some(key) => self.close(key)?,
                None => break,
            }
        }
        Ok(())
    }

    fn due(&self, now_ms: i64) -> Vec<BucketKey> {
        let closed_before = now_ms.saturating_sub(millis(self.shared.options.close_grace));
        let minute = crate::append::minute_of(now_ms);
        let idle = |bucket: &OpenBucket| {
            minute >= bucket.touched_minute + LATE_IDLE_MINUTES
                || minute >= bucket.opened_minute + LATE_OPEN_MINUTES
        };
        let head = sync::read(&self.shared.head);
        let due = head.open_buckets().filter(|(key, bucket)| key.end_ms() <= closed_before && idle(bucket));
        due.map(|(key, _)| key).collect()
    }

    fn close_all(&mut self, keys: Vec<BucketKey>) -> Result<(), MaintainError> {
        for key in keys {
            if self.spent() {
                break;
            }
            self.close(key)?;
        }
        Ok(())
    }

    /// Notes work done; beyond the bound the rest is left to the next call.
    fn spend(&mut self, samples: usize) {
        self.samples += samples;
    }

    fn spent(&mut self) -> bool {
        let spent = self.samples >= CALL_SAMPLES;
        self.report.more |= spent;
        spent
    }

    fn change(&self, change: Change) -> Result<(), MaintainError> {
        self.ask(|reply| Command::Change(change, reply))?.map_err(MaintainError::Write)
    }

    fn freeze(&self, key: BucketKey) -> Result<Option<Arc<Frozen>>, MaintainError> {
        self.ask(|reply| Command::Freeze(key, reply))
    }

    fn ask<T>(&self, command: impl FnOnce(SyncSender<T>) -> Command) -> Result<T, MaintainError> {
        let (reply, answer) = sync_channel(1);
        self.queue.send(command(reply)).map_err(|_| MaintainError::Closed)?;
        answer.recv().map_err(|_| MaintainError::Closed)
    }

    /// Gives free pages back to the file system when there are many, or when there is time.
    fn shrink(&mut self, whole: bool) -> Result<(), MaintainError> {
        let (used, all) = self.shared.with_reader(schema::size_bytes)?;
        let (free_bytes, bound) = (all - used, (all / 4).max(SHRINK_FLOOR));
        let ask = |reply| Command::Shrink { pages: SHRINK_PAGES, free_bytes, bound, all: whole, reply };
        let shrunk: Result<bool, StorageError> = self.ask(ask)?;
        self.report.more |= shrunk.map_err(MaintainError::Write)?;
        Ok(())
    }
}

/// Whether the head holds more than `times` of what it should.
pub(crate) fn head_is_full(shared: &Shared, times: usize) -> bool {
    let head = sync::read(&shared.head);
    let bound = shared.options.head_samples.max(head.active().saturating_mul(HEAD_SAMPLES_PER_SERIES));
    head.samples() > bound.saturating_mul(times)
}
