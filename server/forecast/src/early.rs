//! A look a short way ahead from minutes of samples, for what is too new for a forecast.
//!
//! Rules: it looks [`REACH`] times as far ahead as it looks back, and says nothing of what lies beyond; the rules of the
//! long view for trends hold (significant, and plain to the eye).

use crate::{envelope::Envelope, outlook::Outlook, request::SeriesKind};

/// How many times the stretch that was seen is looked ahead.
pub const REACH: i64 = 12;

/// Shortest stretch that is enough, minutes.
pub const MIN_EARLY_MINUTES: i64 = 10;

/// Lengths of a block, minutes; each divides a day.
const BLOCK_MINUTES: [i64; 9] = [1, 2, 4, 6, 10, 15, 20, 30, 60];

/// Blocks that are enough to see a trend in.
const MAX_BLOCKS: i64 = 60;

/// Known blocks that are needed.
const MIN_BLOCKS: usize = 8;

const MINUTE_MS: i64 = 60_000;
const DAY_MS: f64 = 86_400_000.0;

/// What can be said early. Times are milliseconds since the epoch; a time that is `None` lies beyond `reach_ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Early {
    /// How long the samples go back, milliseconds.
    pub seen_ms: i64,
    /// Up to when something is said.
    pub reach_ms: i64,
    /// The limit may be reached as early as this (one in ten).
    pub earliest_ms: Option<i64>,
    /// The limit is likely reached then.
    pub likely_ms: Option<i64>,
    /// The limit is reached by then (nine in ten).
    pub latest_ms: Option<i64>,
}

/// Looks ahead from samples (time, value; ascending) towards a limit from below. `None` with less than
/// [`MIN_EARLY_MINUTES`] or with too many gaps.
#[must_use]
pub fn early(points: &[(i64, f64)], limit: f64, kind: SeriesKind) -> Option<Early> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    let seen_ms = last.checked_sub(first)?;
    if seen_ms < MIN_EARLY_MINUTES * MINUTE_MS || !limit.is_finite() {
        return None;
    }
    let minutes = BLOCK_MINUTES.into_iter().find(|minutes| seen_ms / (minutes * MINUTE_MS) <= MAX_BLOCKS)?;
    let blocks = peaks(points, last, minutes * MINUTE_MS);
    if blocks.iter().filter(|value| value.is_finite()).count() < MIN_BLOCKS {
        return None;
    }
    let per_day = usize::try_from(24 * 60 / minutes).ok()?;
    let envelope = Envelope {
        blocks,
        profile: Vec::new(),
        per_day,
        shifts: Vec::new(),
        saw_tooth: None,
        skipped_hours: 0,
    };
    let outlook = Outlook::fit(&envelope, kind == SeriesKind::Stock)?;
    let reach_ms = last.checked_add(seen_ms.checked_mul(REACH)?)?;
    let [earliest_ms, likely_ms, latest_ms] = outlook.crossings(limit).map(|days| {
        #[expect(clippy::cast_possible_truncation, reason = "days of one year in milliseconds fit")]
        let at_ms = last + (days? * DAY_MS).max(0.0) as i64;
        Some(at_ms).filter(|at_ms| *at_ms <= reach_ms)
    });
    Some(Early { seen_ms, reach_ms, earliest_ms, likely_ms, latest_ms })
}

/// The largest value of each stretch of `length_ms`, counted back from the last sample; `NaN` where there is none.
fn peaks(points: &[(i64, f64)], last: i64, length_ms: i64) -> Vec<f64> {
    let back = |at: i64| usize::try_from((last - at) / length_ms).unwrap_or(0);
    let count = points.first().map_or(0, |(first, _)| back(*first) + 1);
    let mut blocks = vec![f64::NAN; count];
    for (at, value) in points.iter().filter(|(_, value)| value.is_finite()) {
        if let Some(block) = count.checked_sub(1 + back(*at)).and_then(|place| blocks.get_mut(place)) {
            *block = block.max(*value);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn samples(minutes: i64, value: impl Fn(f64) -> f64) -> Vec<(i64, f64)> {
        (0..=minutes * 4).map(|n| (n * 15_000, value(n as f64 / 240.0))).collect()
    }

    /// Noise between -1 and 1 that repeats with no period that matters here.
    fn noise(hours: f64) -> f64 {
        ((hours * 12_345.678).sin() * 43_758.545).fract()
    }

    #[test]
    fn a_disk_that_a_runaway_program_fills_gets_its_time_within_minutes() {
        // 10 an hour from 50: 90 after four hours.
        let found = early(&samples(30, |hours| 50.0 + 10.0 * hours), 90.0, SeriesKind::Stock).unwrap();
        assert_eq!((found.seen_ms, found.reach_ms), (HOUR_MS / 2, HOUR_MS / 2 + 6 * HOUR_MS));
        let likely = found.likely_ms.unwrap();
        assert!((likely - 4 * HOUR_MS).abs() < HOUR_MS / 5, "{likely}");
        assert!(found.earliest_ms.unwrap() <= likely && likely <= found.latest_ms.unwrap());
    }

    #[test]
    fn nothing_is_said_of_what_lies_beyond_the_reach() {
        let found = early(&samples(30, |hours| 50.0 + hours), 90.0, SeriesKind::Stock).unwrap();
        assert_eq!((found.earliest_ms, found.likely_ms, found.latest_ms), (None, None, None));
    }

    #[test]
    fn noise_and_what_comes_and_goes_get_no_time() {
        for (minutes, kind) in [
            (10, SeriesKind::Stock),
            (45, SeriesKind::Stock),
            (600, SeriesKind::Stock),
            (45, SeriesKind::Flow),
        ] {
            let found = early(&samples(minutes, |hours| 40.0 + noise(hours)), 90.0, kind).unwrap();
            assert_eq!(found.likely_ms, None, "{minutes} {kind:?}");
        }
        let rising = early(&samples(60, |hours| 40.0 + 20.0 * hours), 90.0, SeriesKind::Flow).unwrap();
        assert_eq!(rising.likely_ms, None, "a load that rises in the morning is no trend");
    }

    #[test]
    fn too_little_is_too_little_and_odd_numbers_cost_nothing() {
        assert_eq!(early(&samples(9, |_| 1.0), 90.0, SeriesKind::Stock), None);
        assert_eq!(early(&[], 90.0, SeriesKind::Stock), None);
        assert_eq!(early(&[(i64::MIN, 1.0), (i64::MAX, 2.0)], 90.0, SeriesKind::Stock), None);
        assert_eq!(early(&samples(60, |_| f64::NAN), 90.0, SeriesKind::Stock), None);
        assert!(
            early(&samples(60, |_| 7.0), 90.0, SeriesKind::Stock)
                .is_some_and(|found| found.likely_ms.is_none())
        );
    }
}
