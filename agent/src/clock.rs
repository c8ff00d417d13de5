//! The wall clock, read in one place, and how its jumps are noticed.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// A step of the wall clock by less is none: time services slew a clock by half a millisecond a second at most.
pub const MIN_JUMP_MS: i64 = 500;

/// Milliseconds since the epoch. A clock before 1970 reads as 0.
#[must_use]
pub fn now_ms() -> i64 {
    unix_ms(SystemTime::now())
}

/// Milliseconds since the epoch of a time; 0 before 1970.
#[must_use]
pub fn unix_ms(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since the machine started, sleep included. Nobody sets this clock.
#[must_use]
pub fn boot_ms() -> i64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
}

/// Notices when the wall clock is set: it then moves otherwise than the clock that nobody sets.
#[derive(Debug, Default)]
pub struct JumpWatch {
    before: Option<i64>,
}

impl JumpWatch {
    /// Milliseconds by which the wall clock has jumped since the last look, if it has.
    pub fn look(&mut self, wall_ms: i64, boot_ms: i64) -> Option<i64> {
        let difference = wall_ms - boot_ms;
        let jump = difference - self.before.replace(difference)?;
        (jump.abs() >= MIN_JUMP_MS).then_some(jump)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_one_that_is_slewed_is_not() {
        let mut watch = JumpWatch::default();
        for (wall, boot, jump) in [
            (1_000_000, 5_000, None),
            (1_015_007, 20_000, None),
            (4_630_000, 35_000, Some(3_599_993)),
            (4_645_000, 50_000, None),
            (1_060_000, 65_000, Some(-3_600_000)),
            // Suspended for a day: both clocks go on.
            (87_460_000, 86_465_000, None),
        ] {
            assert_eq!(watch.look(wall, boot), jump, "{wall}");
        }
    }
}
