//! How long to wait before the next attempt: doubling, with jitter, bounded.

use std::time::Duration;

/// Pause after the first failure, before jitter.
const FIRST: Duration = Duration::from_secs(1);
/// Longest pause that a server may ask for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(600);

/// Pause after `failures` failures in a row. `random` is in `0..1`: the pause is half of the doubled time and up to
/// as much again, so that many agents do not come back at once. What the server asked for is kept, but not beyond
/// [`MAX_RETRY_AFTER`].
#[must_use]
pub fn pause(failures: u32, longest: Duration, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(longest);
    let jittered = doubled.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
    jittered.max(asked.unwrap_or_default().min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(60);

    #[test]
    fn pauses_double_up_to_the_longest() {
        for (failures, seconds) in [(1, 1), (2, 2), (3, 4), (7, 60), (1_000, 60)] {
            let full = pause(failures, LONGEST, None, 1.0);
            assert_eq!(full, Duration::from_secs(seconds), "{failures}");
            assert_eq!(pause(failures, LONGEST, None, 0.0), full / 2);
        }
    }

    #[test]
    fn what_the_server_asks_for_is_kept_within_reason() {
        let asked = |seconds| pause(1, LONGEST, Some(Duration::from_secs(seconds)), 1.0);
        assert_eq!(asked(30), Duration::from_secs(30));
        assert_eq!(asked(1_000_000), MAX_RETRY_AFTER);
        assert_eq!(asked(0), Duration::from_secs(1));
    }
}
