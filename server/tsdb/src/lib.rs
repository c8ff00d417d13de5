//! An embedded time-series store in one SQLite file. It knows no HTTP and no PromQL.
//!
//! A sample is durable when [`Tsdb::append`] returns, can be queried from then on, and costs one to two bytes once its
//! hour has closed.
//!
//! # On disk (format 2)
//!
//! One SQLite file in WAL mode, `application_id` "SiTS", `user_version` 2. Time is in milliseconds since the epoch.
//! A *bucket* is an hour (level 0), a day (level 1), or aggregates of a day over five minutes (level 2) or an hour
//! (level 3): `bucket = level << 28 | start / length`. Every row that belongs
//! to a bucket has `id = bucket << 32 | number`, so a bucket is one range of rows in each table.
//!
//! | table | number | data |
//! |---|---|---|
//! | `series` | series number, never used twice | who sent it first; label names and values, each with its length as varint; CRC-32 of all and the number |
//! | `log` | running number in the bucket | the samples of one group commit that fall into the bucket, see `codec::log` |
//! | `chunk` | series number | the samples of the series in the bucket, see `codec::chunk`, or its aggregates, see `codec::aggregates` |
//! | `timeline` | running number of the store | a timestamp column that chunks of the bucket share |
//! | `bucket` | (the bucket) | samples, and the set of series with a chunk, as ranges, with CRC-32 |
//! | `meta` | (a key) | the next timeline number |
//!
//! Log rows, chunks and timelines carry a type byte and a CRC-32; a damaged one costs the samples in it, is counted in
//! [`Stats::damaged_rows`], and nothing else. Integers are little-endian; varints are LEB128. Rows of `series` in a file
//! of format 1 have no CRC-32: it is added when such a file is opened.
//!
//! Where a start finds `series`, `log`, `bucket` or `meta` damaged, or writing met damage before, the file is made anew
//! of what can be read ([`Tsdb::repair`]), because a damaged tree may refuse new rows or take them twice.
//!
//! # A sample's way
//!
//! 1. [`Tsdb::append`] checks the batch and looks its series up on the caller's thread, and queues it for the writer.
//! 2. The writer thread gathers what waits, writes new series and one log row for each bucket in one transaction, and
//!    commits. Then the samples go into the head (memory) and the callers get their answer.
//! 3. [`Tsdb::maintain`] closes an hour that is over: the head's samples become chunks, and the log rows are deleted in
//!    the same transaction as the last chunks are written. Samples that come later are in the head again and are merged
//!    when the bucket closes once more.
//! 4. A day that is older than [`Options::settle_after`] settles: its hour chunks become one day chunk a series. Samples
//!    of settled days (imports) go to day buckets at once.
//! 5. A settled day that is older than [`Options::downsample_after`] is downsampled as well: for each series the
//!    minimum, maximum, sum, count and last value of every five minutes and every hour. [`Tsdb::select_downsampled`]
//!    reads those in place of the samples. A change to a day takes its aggregates away until they are made anew.
//! 6. Retention deletes whole buckets, and series of which nothing is left.
//!
//! After a crash the log is read into the head again. A bucket that was being closed may then be in chunks and in the
//! log: each sample is still seen once, and the next close merges them.
//!
//! Of several samples of one series with the same timestamp the first that was stored wins.

mod append;
mod bucket;
mod cache;
mod codec;
mod columns;
mod directory;
mod downsample;
mod error;
mod head;
mod idset;
mod index;
mod labels;
mod logs;
mod maintain;
mod matcher;
mod merge;
mod options;
mod packer;
mod query;
mod reader;
mod rebuild;
mod recover;
mod scan;
mod schema;
mod shared;
mod store;
mod sync;
mod writer;

pub use append::{Appended, Batch, SeriesSamples};
pub use columns::{Columns, Pair};
pub use downsample::{Aggregate, Resolution};
pub use error::{AppendError, BackupError, BadLabels, MaintainError, OpenError, SelectError, StorageError};
pub use labels::{LabelPair, Labels, LabelsError, MAX_LABELS, MAX_LABELS_BYTES, METRIC_NAME};
pub use maintain::MaintainReport;
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use options::{Options, Synchronous};
pub use query::{Consumer, Limits, Series};
pub use rebuild::Repair;
pub use store::{SourceStats, Stats, Tsdb};
