//! Buckets: the spans of time that data is grouped in, and the row numbers made of them.
//!
//! Two levels of samples: an hour for what is recent, a day for what has settled; and two of aggregates of a day.
//! `rowid = bucket << 32 | number`, so that all rows of a bucket lie together: writing appends, retention cuts one range.

use crate::downsample::Resolution;

/// Milliseconds of an hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// What the buckets of a level hold, and how long they are. Three bits are kept for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Level {
    /// Recent: fast to write, quick to read a little of.
    Hour = 0,
    /// Settled: compressed for good.
    Day = 1,
    /// Windows of five minutes of a day.
    FiveMinutes = 2,
    /// Windows of an hour of a day.
    Hours = 3,
}

impl Level {
    pub(crate) fn span_ms(self) -> i64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day | Self::FiveMinutes | Self::Hours => DAY_MS,
        }
    }
}

/// Bits of the number within a level.
const NUMBER_BITS: u32 = 28;
/// The latest timestamp that a bucket exists for (about the year 30,000).
pub(crate) const MAX_TIMESTAMP_MS: i64 = ((1 << NUMBER_BITS) - 1) * HOUR_MS;

/// A level and the number of a span in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BucketKey(u32);

impl BucketKey {
    /// The bucket of a timestamp within `0..=MAX_TIMESTAMP_MS`.
    pub(crate) fn of(level: Level, timestamp_ms: i64) -> Self {
        let number = timestamp_ms.clamp(0, MAX_TIMESTAMP_MS) / level.span_ms();
        Self((level as u32) << NUMBER_BITS | number as u32)
    }

    /// The bucket of a row number, if it is one.
    pub(crate) fn of_row(row: i64) -> Option<Self> {
        u32::try_from(row >> 32).ok().and_then(Self::from_raw)
    }

    /// From [`BucketKey::raw`], if the level is known.
    pub(crate) fn from_raw(raw: u32) -> Option<Self> {
        (raw >> NUMBER_BITS <= 3).then_some(Self(raw))
    }

    pub(crate) fn raw(self) -> u32 {
        self.0
    }

    pub(crate) fn level(self) -> Level {
        match self.0 >> NUMBER_BITS {
            0 => Level::Hour,
            1 => Level::Day,
            2 => Level::FiveMinutes,
            _ => Level::Hours,
        }
    }

    /// Whether it holds samples, not aggregates of them.
    pub(crate) fn is_raw(self) -> bool {
        matches!(self.level(), Level::Hour | Level::Day)
    }

    /// The bucket of the aggregates of its day.
    pub(crate) fn aggregates(self, resolution: Resolution) -> Self {
        let level = match resolution {
            Resolution::FiveMinutes => Level::FiveMinutes,
            Resolution::Hour => Level::Hours,
        };
        Self::of(level, self.start_ms())
    }

    /// First millisecond.
    pub(crate) fn start_ms(self) -> i64 {
        i64::from(self.0 & ((1 << NUMBER_BITS) - 1)) * self.level().span_ms()
    }

    /// First millisecond after it.
    pub(crate) fn end_ms(self) -> i64 {
        self.start_ms() + self.level().span_ms()
    }

    /// The order in which buckets are read: by day, and in a day its hours before the day's own bucket. Samples go to
    /// hours until the day is old enough to settle and to the day from then on, so what is in an hour came first, and
    /// wins.
    pub(crate) fn reading_order(self) -> (i64, Level, u32) {
        (self.start_ms() / DAY_MS, self.level(), self.0)
    }

    /// Whether it shares a millisecond with `start_ms..=end_ms`.
    pub(crate) fn overlaps(self, start_ms: i64, end_ms: i64) -> bool {
        self.start_ms() <= end_ms && start_ms < self.end_ms()
    }

    /// The row of a series, timeline or log entry in this bucket.
    pub(crate) fn row(self, number: u32) -> i64 {
        i64::from(self.0) << 32 | i64::from(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_know_their_span_and_rows_their_key() {
        let t = 1_795_500_000_123;
        for level in [Level::Hour, Level::Day, Level::FiveMinutes, Level::Hours] {
            let key = BucketKey::of(level, t);
            assert!(key.start_ms() <= t && t < key.end_ms());
            assert_eq!(key.level(), level);
            assert_eq!(BucketKey::of_row(key.row(u32::MAX)), Some(key));
            assert_eq!(BucketKey::of(level, key.end_ms()).start_ms(), key.end_ms());
            assert!(key.overlaps(t, t) && !key.overlaps(key.end_ms(), i64::MAX));
        }
        assert!(BucketKey::of(Level::Hour, MAX_TIMESTAMP_MS) < BucketKey::of(Level::Day, 0));
    }
}
