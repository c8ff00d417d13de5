//! Time as the server uses it: milliseconds since the epoch in UTC. The clock is read here and nowhere in rules.

use std::time::{SystemTime, UNIX_EPOCH};

/// A point in time, milliseconds since the epoch, UTC.
pub type Millis = i64;

/// One second in [`Millis`].
pub const SECOND_MS: Millis = 1_000;
/// One hour in [`Millis`].
pub const HOUR_MS: Millis = 3_600_000;
/// One day in [`Millis`].
pub const DAY_MS: Millis = 86_400_000;

/// The wall clock now.
#[must_use]
pub fn now_ms() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX))
}

/// A duration in milliseconds, saturating.
#[must_use]
pub fn millis(duration: std::time::Duration) -> Millis {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
