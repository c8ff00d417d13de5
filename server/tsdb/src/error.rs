//! Errors of the store. Each names the operation that failed; the cause is its source.

use crate::labels::{Labels, LabelsError};
use std::path::PathBuf;
use std::sync::Arc;

/// What SQLite reported. Shared, because all batches of a group commit fail together.
pub type StorageError = Arc<rusqlite::Error>;

/// The store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the lock file could not be made.
    #[error("cannot prepare {path}")]
    Folder {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it open.
    #[error("{path} is locked: another process uses this store")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file was written by a newer or unknown version.
    #[error("{path} has format {found}, this program knows format {known}")]
    Format {
        /// The store.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Version of this program.
        known: i64,
    },
    /// SQLite failed.
    #[error("cannot open {path}")]
    Storage {
        /// The store.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the writer thread")]
    Thread(#[source] std::io::Error),
}

/// A batch was not stored; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// A sample is older than what is accepted.
    #[error("sample of {labels} at {timestamp_ms} ms is older than {limit_ms} ms")]
    TooOld {
        /// The series.
        labels: Labels,
        /// The sample's timestamp.
        timestamp_ms: i64,
        /// The oldest accepted one.
        limit_ms: i64,
    },
    /// A sample is further in the future than clocks may differ.
    #[error("sample of {labels} at {timestamp_ms} ms is in the future, after {limit_ms} ms")]
    TooNew {
        /// The series.
        labels: Labels,
        /// The sample's timestamp.
        timestamp_ms: i64,
        /// The newest accepted one.
        limit_ms: i64,
    },
    /// A label set without a metric name, or broken otherwise.
    #[error("bad labels {labels}")]
    BadLabels {
        /// The series.
        labels: Labels,
        /// What is wrong.
        #[source]
        source: BadLabels,
    },
    /// The batch's new series would exceed a limit.
    #[error("{}", too_many(source_name, *limit, largest.as_ref()))]
    TooManySeries {
        /// Who sent the batch.
        source_name: String,
        /// The limit that was met, in active series.
        limit: usize,
        /// When the limit of the whole store was met: who has most series, and how many.
        largest: Option<(String, usize)>,
    },
    /// The queue to the writer is full; try again later.
    #[error("the write queue is full")]
    Busy,
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// SQLite failed, for example because the disk is full.
    #[error("cannot write to the store")]
    Storage(#[source] StorageError),
}

/// What is wrong with a label set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLabels {
    /// No `__name__`.
    #[error("no metric name")]
    NoMetricName,
    /// Refused by [`Labels`].
    #[error(transparent)]
    Set(#[from] LabelsError),
}

fn too_many(source: &str, limit: usize, largest: Option<&(String, usize)>) -> String {
    match largest {
        None => format!("{source} would have more than {limit} active series"),
        Some((name, series)) => format!(
            "the store would have more than {limit} active series by the new ones of {source}; {name} has most: {series}"
        ),
    }
}

/// A query failed.
#[derive(Debug, thiserror::Error)]
pub enum SelectError {
    /// More series match than the query may have.
    #[error("the query matches {found} series, at most {limit} are allowed")]
    TooManySeries {
        /// Series that match.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// More samples than the query may load.
    #[error("the query loads more than {limit} samples")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// SQLite failed.
    #[error("cannot read the store")]
    Storage(#[source] rusqlite::Error),
}

/// Upkeep failed; it can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// SQLite failed to read.
    #[error("cannot read the store for upkeep")]
    Read(#[source] rusqlite::Error),
    /// SQLite failed to write.
    #[error("cannot write the store for upkeep")]
    Write(#[source] StorageError),
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
}

/// A copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is a file of that name already.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// SQLite failed.
    #[error("cannot copy the store to {path}")]
    Storage {
        /// The copy.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}
