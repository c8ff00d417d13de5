//! The store's face: [`Tsdb`].

use crate::append::{Appended, Batch, Prepared};
use crate::columns::Columns;
use crate::downsample::{Aggregate, Resolution};
use crate::error::{AppendError, BackupError, MaintainError, OpenError, SelectError};
use crate::labels::Labels;
use crate::maintain::{MaintainReport, Maintainer, Upkeep, head_is_full};
use crate::matcher::Matcher;
use crate::options::{Options, millis};
use crate::query::{self, Consumer, Limits, Series, Window};
use crate::rebuild::{self, Repair};
use crate::recover::{Recovered, recover};
use crate::schema;
use crate::shared::Shared;
use crate::sync;
use crate::writer::{Append, Command, Outcome, Writer};
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// Name of the file whose lock says that a store's folder is in use.
const LOCK_FILE: &str = "tsdb.lock";
/// The head may hold this many times what it should before appends wait for relief.
const HEAD_FULL_WAITS: usize = 2;

/// A store. Clones share it; the last one to go closes it.
#[derive(Clone)]
pub struct Tsdb(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    upkeep: Mutex<Upkeep>,
    /// `None` only while it closes.
    queue: Option<SyncSender<Command>>,
    writer: Option<JoinHandle<()>>,
    repair: Option<Repair>,
    _lock: File,
}

/// Active series of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStats {
    /// Who sends.
    pub source: Arc<str>,
    /// Its active series.
    pub active_series: usize,
}

/// Figures of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Series that have a sample or are active.
    pub series: usize,
    /// Series with an append within [`Options::inactive_after`].
    pub active_series: usize,
    /// Samples that are in the head, not in chunks yet.
    pub head_samples: usize,
    /// Samples in chunks.
    pub chunk_samples: u64,
    /// Buckets with chunks of samples.
    pub buckets: usize,
    /// Bytes of the data in use, without free pages and the write-ahead log.
    pub used_bytes: u64,
    /// Bytes of the files.
    pub disk_bytes: u64,
    /// Oldest timestamp, to the accuracy of a bucket.
    pub oldest_ms: Option<i64>,
    /// Newest timestamp, to the accuracy of a bucket.
    pub newest_ms: Option<i64>,
    /// Rows found damaged since the start.
    pub damaged_rows: usize,
    /// Samples waiting for the writer.
    pub queued_samples: usize,
    /// Active series by source, the largest first.
    pub sources: Vec<SourceStats>,
}

impl Tsdb {
    /// Opens a store, creating it if there is none, and reads its log.
    ///
    /// # Errors
    /// The folder is locked by another process, the file is of another format, or SQLite fails.
    pub fn open(options: Options) -> Result<Self, OpenError> {
        let lock = lock_folder(&options.path)?;
        let path = options.path.clone();
        let queue_batches = options.queue_batches;
        let synchronous = options.synchronous;
        let failed = |source| OpenError::Storage { path: path.clone(), source };
        let (mut connection, mut proven) = schema::open_writer(&path, synchronous)?;
        let mut found = recover(options.clone(), &connection, proven);
        let broken = match &found {
            Ok(found) => found.broken,
            Err(error) => schema::is_damage(error),
        };
        let mut repair = None;
        if broken || rebuild::is_remembered(&path) {
            let first = found.map_or_else(|_| vec![i64::MIN], |found| found.shared.damaged_rows());
            let (opened, is_proven, what) = rebuild::rebuild(&path, synchronous, connection, proven)?;
            (connection, proven, repair) = (opened, is_proven, Some(what));
            found = recover(options, &connection, proven);
            if let Ok(found) = &found {
                first.into_iter().for_each(|row| found.shared.note_damage(row));
            }
        } else if !proven && found.is_ok() {
            // Without room for it the rows stay as they are until the next start.
            proven = schema::add_checksums(&mut connection).is_ok();
        }
        let Recovered { shared, next_log, next_timeline, .. } = found.map_err(failed)?;
        let shared = Arc::new(shared);
        let (queue, commands) = sync_channel(queue_batches.max(1));
        let writer = Writer::new(connection, Arc::clone(&shared), next_log, proven);
        let thread = std::thread::Builder::new().name("tsdb-writer".into());
        let writer = thread.spawn(move || writer.run(&commands)).map_err(OpenError::Thread)?;
        let upkeep = Mutex::new(Upkeep::new(next_timeline));
        let (queue, writer) = (Some(queue), Some(writer));
        Ok(Self(Arc::new(Inner { shared, upkeep, queue, writer, repair, _lock: lock })))
    }

    /// What came of damage that was found when the store was opened.
    #[must_use]
    pub fn repair(&self) -> Option<&Repair> {
        self.0.repair.as_ref()
    }

    /// Whether what was last to be stored was: `false` while the disk is full, until a batch is stored again.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        self.0.shared.storing.load(Ordering::Relaxed)
    }

    /// Stores a batch, all of it or nothing. Blocks until it is durable (see [`Options::synchronous`]).
    ///
    /// # Errors
    /// A bad label set, a sample older than [`Options::out_of_order_window`] or further in the future than
    /// [`Options::max_future`], a series limit, a full queue, or SQLite.
    pub fn append(&self, batch: Batch<'_>, now_ms: i64) -> Result<Appended, AppendError> {
        self.append_columns(batch.source, &batch.columns()?, now_ms)
    }

    /// As [`Tsdb::append`], for what the caller holds in columns.
    ///
    /// # Errors
    /// As [`Tsdb::append`].
    pub fn append_columns(
        &self,
        source: &str,
        columns: &Columns<'_>,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        let window_ms = millis(self.options().out_of_order_window);
        let oldest_ms = now_ms.saturating_sub(window_ms).max(self.oldest_accepted_ms(now_ms));
        self.append_from(source, columns, now_ms, oldest_ms)
    }

    /// As [`Tsdb::append`] for imports: any age down to [`Tsdb::oldest_accepted_ms`], any order.
    ///
    /// # Errors
    /// As [`Tsdb::append`].
    pub fn append_history(&self, batch: Batch<'_>, now_ms: i64) -> Result<Appended, AppendError> {
        self.append_history_columns(batch.source, &batch.columns()?, now_ms)
    }

    /// As [`Tsdb::append_history`], for what the caller holds in columns.
    ///
    /// # Errors
    /// As [`Tsdb::append`].
    pub fn append_history_columns(
        &self,
        source: &str,
        columns: &Columns<'_>,
        now_ms: i64,
    ) -> Result<Appended, AppendError> {
        self.append_from(source, columns, now_ms, self.oldest_accepted_ms(now_ms))
    }

    /// The oldest timestamp that the retention would keep.
    #[must_use]
    pub fn oldest_accepted_ms(&self, now_ms: i64) -> i64 {
        now_ms.saturating_sub(millis(self.options().retention)).max(0)
    }

    fn append_from(
        &self,
        source: &str,
        columns: &Columns<'_>,
        now_ms: i64,
        oldest_ms: i64,
    ) -> Result<Appended, AppendError> {
        self.relieve_head();
        loop {
            let batch = Prepared::new(&self.0.shared, source, columns, now_ms, oldest_ms)?;
            match self.submit(batch)? {
                Outcome::Stored(appended) => return Ok(appended),
                Outcome::Refused(error) => return Err(error),
                Outcome::Stale => {}
            }
        }
    }

    /// Hands a batch to the writer and waits for what becomes of it.
    fn submit(&self, batch: Prepared) -> Result<Outcome, AppendError> {
        let shared = &self.0.shared;
        let samples = batch.samples.len();
        let queued = shared.queued.fetch_add(samples, Ordering::Relaxed);
        // A single batch larger than the bound must not be refused for ever.
        let answer = if queued > 0 && queued + samples > self.options().queue_samples {
            Err(AppendError::Busy)
        } else {
            self.enqueue(batch)
        };
        match answer {
            Ok(answer) => answer.recv().map_err(|_| AppendError::Closed),
            Err(error) => {
                shared.queued.fetch_sub(samples, Ordering::Relaxed);
                Err(error)
            }
        }
    }

    fn enqueue(&self, batch: Prepared) -> Result<std::sync::mpsc::Receiver<Outcome>, AppendError> {
        let (reply, answer) = sync_channel(1);
        let queue = self.0.queue.as_ref().ok_or(AppendError::Closed)?;
        match queue.try_send(Command::Append(Append { batch, reply })) {
            Ok(()) => Ok(answer),
            Err(TrySendError::Full(_)) => Err(AppendError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(AppendError::Closed),
        }
    }

    /// Keeps the head bounded when samples come faster than [`Tsdb::maintain`] is called: whoever appends helps.
    fn relieve_head(&self) {
        if !head_is_full(&self.0.shared, 1) {
            return;
        }
        let upkeep = match self.0.upkeep.try_lock() {
            Ok(upkeep) => Some(upkeep),
            // Someone is at it. Beyond the second bound wait for them, which slows the sender down.
            Err(_) if head_is_full(&self.0.shared, HEAD_FULL_WAITS) => Some(sync::lock(&self.0.upkeep)),
            Err(_) => None,
        };
        if let (Some(mut upkeep), Some(queue)) = (upkeep, self.0.queue.as_ref()) {
            let mut maintainer = Maintainer::new(&self.0.shared, queue, &mut upkeep);
            // A failure to write shows in the append itself or in the next upkeep.
            let _ = maintainer.relieve();
        }
    }

    /// Samples of the series that satisfy all matchers, within `start_ms..=end_ms`. Ordered by labels; each series
    /// has at least one sample, in order of time, each timestamp once.
    ///
    /// # Errors
    /// A limit is exceeded, or SQLite fails.
    pub fn select(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limits: Limits,
    ) -> Result<Vec<Series>, SelectError> {
        query::select(&self.0.shared, matchers, Window::new(start_ms, end_ms, limits.max_samples), limits)
    }

    /// As [`Tsdb::select`], but each series is handed over as soon as it is read, in batches and in no order, by up to
    /// `threads` threads at the same time.
    ///
    /// # Errors
    /// As [`Tsdb::select`]; batches may have been handed over before.
    pub fn select_batches(
        &self,
        matchers: &[Matcher],
        (start_ms, end_ms): (i64, i64),
        downsampled: Option<(Resolution, Aggregate)>,
        limits: Limits,
        threads: usize,
        each: Consumer<'_>,
    ) -> Result<(), SelectError> {
        let window = Window::new(start_ms, end_ms, limits.max_samples).downsampled(downsampled);
        query::select_batches(&self.0.shared, matchers, window, limits, threads, each)
    }

    /// As [`Tsdb::select`], but with aggregates in place of the samples where days have been downsampled: for
    /// questions whose instants and ranges are multiples of the resolution.
    ///
    /// # Errors
    /// As [`Tsdb::select`].
    pub fn select_downsampled(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        how: (Resolution, Aggregate),
        limits: Limits,
    ) -> Result<Vec<Series>, SelectError> {
        let window = Window::new(start_ms, end_ms, limits.max_samples).downsampled(Some(how));
        query::select(&self.0.shared, matchers, window, limits)
    }

    /// Names of labels of matching series that have samples in the range (to the accuracy of an hour, or of a day
    /// where it has settled). Sorted, at most `limit`.
    #[must_use]
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Vec<Arc<str>> {
        query::label_names(&self.0.shared, matchers, start_ms, end_ms, limit)
    }

    /// Values of a label of matching series that have samples in the range, as [`Tsdb::label_names`].
    #[must_use]
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        limit: usize,
    ) -> Vec<Arc<str>> {
        query::label_values(&self.0.shared, name, matchers, start_ms, end_ms, limit)
    }

    /// Labels of matching series that have samples in the range, as [`Tsdb::label_names`].
    #[must_use]
    pub fn series(&self, matchers: &[Matcher], start_ms: i64, end_ms: i64, limit: usize) -> Vec<Labels> {
        query::series(&self.0.shared, matchers, start_ms, end_ms, limit)
    }

    /// Upkeep that is due: closing, settling, retention. Call it every few seconds, and at once again while it reports
    /// [`MaintainReport::more`]. One call does a bounded amount; appends and queries go on meanwhile.
    ///
    /// # Errors
    /// SQLite fails; the next call goes on where this one stopped.
    pub fn maintain(&self, now_ms: i64) -> Result<MaintainReport, MaintainError> {
        let mut upkeep = sync::lock(&self.0.upkeep);
        let queue = self.0.queue.as_ref().ok_or(MaintainError::Closed)?;
        let mut maintainer = Maintainer::new(&self.0.shared, queue, &mut upkeep);
        maintainer.run(now_ms)?;
        Ok(maintainer.report)
    }

    /// Closes every bucket and settles every day that is over, without waiting for their time: after an import, so
    /// that the store is as small as it gets. One call does a bounded amount: call it again while it reports
    /// [`MaintainReport::more`]. Appends and queries go on meanwhile.
    ///
    /// # Errors
    /// SQLite fails; what was done stays done.
    pub fn settle(&self, now_ms: i64) -> Result<MaintainReport, MaintainError> {
        let mut upkeep = sync::lock(&self.0.upkeep);
        let queue = self.0.queue.as_ref().ok_or(MaintainError::Closed)?;
        let mut maintainer = Maintainer::new(&self.0.shared, queue, &mut upkeep);
        maintainer.settle_now(now_ms)?;
        Ok(maintainer.report)
    }

    /// Deletes the samples of matching series within `start_ms..=end_ms`; returns how many.
    ///
    /// # Errors
    /// SQLite fails; part may be deleted then.
    pub fn delete_series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
    ) -> Result<u64, MaintainError> {
        let mut upkeep = sync::lock(&self.0.upkeep);
        let queue = self.0.queue.as_ref().ok_or(MaintainError::Closed)?;
        let ids = sync::read(&self.0.shared.index).select(matchers);
        Maintainer::new(&self.0.shared, queue, &mut upkeep).delete(&ids, start_ms, end_ms)
    }

    /// Copies the store, while it is in use, to a new file: everything acknowledged before the call is in it.
    ///
    /// # Errors
    /// The file exists, or SQLite fails.
    pub fn backup(&self, path: &Path) -> Result<(), BackupError> {
        if path.exists() {
            return Err(BackupError::Exists(path.to_owned()));
        }
        let failed = |source| BackupError::Storage { path: path.to_owned(), source };
        let connection = schema::open_reader(&self.options().path).map_err(failed)?;
        connection.execute("VACUUM INTO ?1", [path.to_string_lossy()]).map_err(failed)?;
        Ok(())
    }

    /// Rows found damaged since the start; each cost what it held and nothing else.
    #[must_use]
    pub fn damaged_rows(&self) -> usize {
        self.0.shared.damage()
    }

    /// Figures of the store.
    ///
    /// # Errors
    /// SQLite fails.
    pub fn stats(&self) -> Result<Stats, SelectError> {
        let shared = &self.0.shared;
        let (used_bytes, _) = shared.with_reader(|c| schema::size_bytes(c).map_err(SelectError::Storage))?;
        let series = sync::read(&shared.index).len();
        let head = sync::read(&shared.head);
        let buckets = shared.directory.load();
        let span = head.span_ms();
        let oldest = buckets.keys().map(|key| key.start_ms()).chain(span.map(|s| s.0)).min();
        let newest = buckets.keys().map(|key| key.end_ms() - 1).chain(span.map(|s| s.1)).max();
        let sources = head.sources().into_iter();
        Ok(Stats {
            series,
            active_series: head.active(),
            head_samples: head.samples(),
            chunk_samples: buckets.iter().filter(|(key, _)| key.is_raw()).map(|(_, info)| info.samples).sum(),
            buckets: buckets.keys().filter(|key| key.is_raw()).count(),
            used_bytes,
            disk_bytes: disk_bytes(&self.options().path),
            oldest_ms: oldest,
            newest_ms: newest,
            damaged_rows: shared.damage(),
            queued_samples: shared.queued.load(Ordering::Relaxed),
            sources: sources.map(|(source, active_series)| SourceStats { source, active_series }).collect(),
        })
    }

    fn options(&self) -> &Options {
        &self.0.shared.options
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Without senders the writer finishes what is queued and ends.
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been reported by the panic hook.
            let _ = writer.join();
        }
    }
}

fn lock_folder(path: &Path) -> Result<File, OpenError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |path: &Path, source| OpenError::Folder { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    let lock_path = folder.join(LOCK_FILE);
    let lock = File::create(&lock_path).map_err(|e| failed(&lock_path, e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked { path: lock_path }),
        Err(TryLockError::Error(source)) => Err(failed(&lock_path, source)),
    }
}

fn disk_bytes(path: &Path) -> u64 {
    let side = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let files = [path.to_owned(), side("-wal"), side("-shm")];
    files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|m| m.len()).sum()
}
