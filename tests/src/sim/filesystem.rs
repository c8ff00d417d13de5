//! How full a filesystem is at any moment, in closed form: what fills, what is rotated, what was cleaned up once.

use super::calendar::{self, DAY_MS, HOUR_MS};
use super::noise::{self, as_f64};

/// Bytes of a block; sizes are whole blocks.
pub const BLOCK_BYTES: f64 = 4096.0;
/// Lowest and highest share that is ever in use.
pub const BOUNDS: (f64, f64) = (0.02, 0.985);

/// How the used space of a filesystem moves. Levels and rates are in percent of its size; `now` is the moment that
/// the history ends and the live part begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Growth {
    /// Always the same.
    Flat {
        /// Level.
        level: f64,
    },
    /// Grows with the work that is done.
    Steady {
        /// Level now.
        now: f64,
        /// Per mean day.
        per_day: f64,
    },
    /// Logs that are rotated away once a week, in the night to Sunday.
    SawTooth {
        /// Just after the rotation.
        low: f64,
        /// Just before it.
        high: f64,
    },
    /// Grows, and was cleaned up once.
    CleanedUp {
        /// Level now.
        now: f64,
        /// Per mean day.
        per_day: f64,
        /// What the clean-up freed.
        freed: f64,
        /// How many days ago.
        days_ago: i64,
    },
    /// Each night adds a backup; on Sunday those of the week are thrown away but for one.
    Backups {
        /// Level now, without those of this week.
        now: f64,
        /// What one night adds.
        per_night: f64,
        /// What stays of a week, as growth per mean day.
        per_day: f64,
    },
}

/// The share in use of a filesystem, within [`BOUNDS`].
#[must_use]
pub fn used_share(growth: Growth, seed: u64, anchor_ms: i64, at_ms: i64) -> f64 {
    let grown = |per_day: f64| {
        // No two days bring the same: a day is half a day's growth ahead or behind, a fortnight about two.
        let wander =
            0.5 * noise::smooth(seed ^ 1, at_ms, DAY_MS) + 2.0 * noise::smooth(seed ^ 2, at_ms, 14 * DAY_MS);
        per_day * (calendar::working_time(at_ms) - calendar::working_time(anchor_ms) + wander)
    };
    let (percent, restless) = match growth {
        Growth::Flat { level } => (level, 0.25),
        Growth::Steady { now, per_day } => (now + grown(per_day), 0.15),
        Growth::SawTooth { low, high } => {
            // Some weeks log more than others.
            let week = 1.0 + 0.12 * noise::smooth(seed ^ 3, at_ms, 7 * DAY_MS);
            (low + (high - low) * week_part(at_ms) * week, 0.6)
        }
        Growth::CleanedUp { now, per_day, freed, days_ago } => {
            let before = at_ms < anchor_ms - days_ago * DAY_MS;
            (now + grown(per_day) + if before { freed } else { 0.0 }, 0.15)
        }
        Growth::Backups { now, per_night, per_day } => {
            (now + grown(per_day) + per_night * nights(at_ms), 0.1)
        }
    };
    let noise = restless * noise::smooth(seed, at_ms, HOUR_MS);
    ((percent + noise) / 100.0).clamp(BOUNDS.0, BOUNDS.1)
}

/// The part of the week since Sunday 03:30, 0 to 1, as work goes.
fn week_part(at_ms: i64) -> f64 {
    let shifted = at_ms - (3 * HOUR_MS + HOUR_MS / 2);
    let day = calendar::local_day(shifted);
    let sunday = day - (calendar::weekday(day) + 1).rem_euclid(7);
    let start = calendar::day_start_ms(sunday) + 3 * HOUR_MS + HOUR_MS / 2;
    ((calendar::working_time(at_ms) - calendar::working_time(start)) / 7.0).clamp(0.0, 1.0)
}

/// Backups of this week that are there; one that is being written counts by its part.
fn nights(at_ms: i64) -> f64 {
    // The week of backups begins on Sunday at 01:00.
    let shifted = at_ms - HOUR_MS;
    let day = calendar::local_day(shifted);
    let since_sunday = (calendar::weekday(day) + 1).rem_euclid(7);
    as_f64(since_sunday) + (calendar::local_hour(shifted) / 2.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::calendar::MINUTE_MS;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_399_200_000; // 2026-11-23T02:00:00Z, a Monday

    fn share(growth: Growth, days: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, reason = "days of a test")]
        let offset = (days * as_f64(DAY_MS)) as i64;
        used_share(growth, 1, NOW, NOW + offset)
    }

    proptest! {
        #[test]
        fn the_share_in_use_stays_in_its_bounds(now in 0.0..120.0_f64, per_day in 0.0..3.0_f64, days in -400.0..400.0_f64) {
            for growth in [
                Growth::Steady { now, per_day },
                Growth::CleanedUp { now, per_day, freed: 30.0, days_ago: 20 },
                Growth::Backups { now, per_night: per_day, per_day },
                Growth::SawTooth { low: now / 2.0, high: now },
            ] {
                let share = share(growth, days);
                prop_assert!((BOUNDS.0..=BOUNDS.1).contains(&share));
            }
        }
    }

    #[test]
    fn a_clean_up_is_a_step_down_that_stays() {
        let growth = Growth::CleanedUp { now: 45.0, per_day: 0.1, freed: 30.0, days_ago: 40 };
        assert!((share(growth, -39.99) - share(growth, -40.01) + 0.30).abs() < 0.01);
        assert!(share(growth, 0.0) < share(growth, -41.0));
        assert!((share(growth, 0.0) - 0.45).abs() < 0.01);
    }

    #[test]
    fn a_rotation_empties_once_a_week_and_fills_between() {
        let growth = Growth::SawTooth { low: 20.0, high: 60.0 };
        let shares: Vec<f64> =
            (0..4 * 7 * 24).map(|hour| used_share(growth, 1, NOW, NOW + hour * HOUR_MS)).collect();
        let drops = shares.windows(2).filter(|pair| pair[1] < pair[0] - 0.2).count();
        assert_eq!(drops, 4);
        assert!(shares.iter().all(|share| (0.19..0.61).contains(share)));
    }

    #[test]
    fn backups_grow_by_night_and_are_thrown_away_on_sunday() {
        let growth = Growth::Backups { now: 40.0, per_night: 5.0, per_day: 0.0 };
        let (tuesday, wednesday) = (share(growth, 1.0), share(growth, 2.0));
        assert!((wednesday - tuesday - 0.05).abs() < 0.005);
        let saturday_evening = used_share(growth, 1, NOW, NOW + 5 * DAY_MS + 10 * HOUR_MS);
        let sunday = used_share(growth, 1, NOW, NOW + 6 * DAY_MS - 8 * HOUR_MS + 5 * MINUTE_MS);
        assert!(sunday < saturday_evening - 0.2, "{saturday_evening} {sunday}");
    }
}
