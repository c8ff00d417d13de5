//! Configuration of a store. Every queue, buffer and cardinality has its bound here or beside its code.

use std::path::PathBuf;
use std::time::Duration;

/// When SQLite waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// At every commit: what was acknowledged survives a loss of power.
    #[default]
    Full,
    /// At checkpoints: survives the end of the process; a loss of power may cost the last seconds.
    Normal,
}

impl Synchronous {
    pub(crate) fn pragma(self) -> &'static str {
        match self {
            Self::Full => "FULL",
            Self::Normal => "NORMAL",
        }
    }
}

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The SQLite file. Its folder is made, and locked for this process.
    pub path: PathBuf,
    /// Data older than this is deleted, a bucket (hour or day) at a time.
    pub retention: Duration,
    /// When the data exceeds this many bytes the oldest buckets are deleted.
    pub max_bytes: Option<u64>,
    /// Active series in all. A series is active from an append until [`Options::inactive_after`].
    pub max_series: usize,
    /// Active series of one source.
    pub max_series_per_source: usize,
    /// A source that only `max_series` bounds: what it writes follows from what the others do.
    pub unbounded_source: Option<&'static str>,
    /// How far a sample may be ahead of this machine's clock.
    pub max_future: Duration,
    /// How old a sample may be (imports excepted): agents catch up after a day away.
    pub out_of_order_window: Duration,
    /// A series without an append for this long no longer counts as active.
    pub inactive_after: Duration,
    /// Whether a commit waits for the disk.
    pub synchronous: Synchronous,
    /// Batches that may wait for the writer before an append is refused as busy.
    pub queue_batches: usize,
    /// Samples that may wait for the writer before an append is refused as busy.
    pub queue_samples: usize,
    /// An hour is closed this long after its end.
    pub close_grace: Duration,
    /// A day is settled (compressed for good) when it is older than this.
    pub settle_after: Duration,
    /// A settled day is downsampled when it is older than this.
    pub downsample_after: Duration,
    /// Samples that the head may hold before it is relieved early; active series raise it.
    pub head_samples: usize,
    /// Connections kept open for queries.
    pub readers: usize,
    /// Bytes of decoded timestamp columns kept in memory.
    pub timeline_cache_bytes: usize,
}

impl Options {
    /// The defaults, for a store in this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        const HOUR: u64 = 3600;
        Self {
            path: path.into(),
            retention: Duration::from_secs(400 * 24 * HOUR),
            max_bytes: None,
            max_series: 1_000_000,
            max_series_per_source: 20_000,
            unbounded_source: None,
            max_future: Duration::from_secs(600),
            out_of_order_window: Duration::from_secs(26 * HOUR),
            inactive_after: Duration::from_secs(24 * HOUR),
            synchronous: Synchronous::Full,
            queue_batches: 256,
            queue_samples: 4_000_000,
            close_grace: Duration::from_secs(600),
            settle_after: Duration::from_secs(48 * HOUR),
            downsample_after: Duration::from_secs(7 * 24 * HOUR),
            head_samples: 4_000_000,
            readers: 4,
            timeline_cache_bytes: 16 << 20,
        }
    }
}

/// Milliseconds, saturating.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
