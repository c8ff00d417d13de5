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

/// A volume that grows less than this a day (percent) is a system's own: what grows there are logs and packages, which
/// somebody clears away now and then.
const QUIET_PER_DAY: f64 = 0.06;
/// What such a clear-away frees, percent of the size.
const CLEARED: f64 = 2.6;
/// Hours that temporary files stay at most.
const TEMPORARY_HOURS: i64 = 3;
/// Chance that a stretch of [`TEMPORARY_HOURS`] has temporary files.
const TEMPORARY_CHANCE: f64 = 0.12;

/// The share in use of a filesystem, within [`BOUNDS`].
#[must_use]
pub fn used_share(growth: Growth, seed: u64, anchor_ms: i64, at_ms: i64) -> f64 {
    let grown = |per_day: f64| {
        let worked = calendar::working_time(at_ms) - calendar::working_time(anchor_ms);
        per_day * (worked + wander(seed, at_ms) - wander(seed, anchor_ms))
    };
    let (percent, restless) = match growth {
        Growth::Flat { level } => (level + 0.35 * noise::smooth(seed ^ 1, at_ms, 2 * DAY_MS), 0.05),
        Growth::Steady { now, per_day } if per_day < QUIET_PER_DAY => {
            (now + grown(per_day) + logs(seed, at_ms) - logs(seed, anchor_ms), 0.08)
        }
        Growth::Steady { now, per_day } => (now + grown(per_day) + temporary(seed, at_ms), 0.12),
        Growth::SawTooth { low, high } => {
            // Some weeks write less than the fullest one.
            let fullness = 0.8 + 0.2 * noise::unit(seed ^ 2, week(at_ms));
            (low + (high - low) * fullness * week_part(at_ms), 0.5)
        }
        Growth::CleanedUp { now, per_day, freed, days_ago } => {
            let before = at_ms < anchor_ms - days_ago * DAY_MS;
            (now + grown(per_day) + temporary(seed, at_ms) + if before { freed } else { 0.0 }, 0.1)
        }
        Growth::Backups { now, per_night, per_day } => {
            (now + grown(per_day) + per_night * nights(seed, at_ms), 0.05)
        }
    };
    let noise = restless * noise::smooth(seed, at_ms, HOUR_MS);
    ((percent + noise) / 100.0).clamp(BOUNDS.0, BOUNDS.1)
}

/// How far the work done runs ahead of the mean, or behind it, in mean days: no two weeks have the same tenders.
fn wander(seed: u64, at_ms: i64) -> f64 {
    [(3, 2, 0.4), (4, 9, 0.8), (5, 31, 1.2)]
        .into_iter()
        .map(|(channel, days, strength)| strength * noise::smooth(seed ^ channel, at_ms, days * DAY_MS))
        .sum()
}

/// Sorting, uploads and dumps under way: there for some hours, gone again.
fn temporary(seed: u64, at_ms: i64) -> f64 {
    let stretch = at_ms.div_euclid(TEMPORARY_HOURS * HOUR_MS);
    if noise::unit(seed ^ 6, stretch) < TEMPORARY_CHANCE { 0.6 * noise::unit(seed ^ 7, stretch) } else { 0.0 }
}

/// Logs of a system: those of a day are compressed in the night, and every five to eight weeks somebody clears away old
/// ones and packages.
fn logs(seed: u64, at_ms: i64) -> f64 {
    let hour = calendar::local_hour(at_ms - 3 * HOUR_MS);
    let days = 35.0 + 21.0 * noise::unit(seed ^ 8, 0);
    let turn = as_f64(at_ms) / as_f64(DAY_MS) / days + noise::unit(seed ^ 9, 0);
    0.25 * hour / 24.0 + CLEARED * turn.rem_euclid(1.0)
}

/// The Sunday at whose 03:30 the week began.
fn week(at_ms: i64) -> i64 {
    let day = calendar::local_day(at_ms - (3 * HOUR_MS + HOUR_MS / 2));
    day - (calendar::weekday(day) + 1).rem_euclid(7)
}

/// The part of the week since Sunday 03:30, 0 to 1, as work goes.
fn week_part(at_ms: i64) -> f64 {
    let start = calendar::day_start_ms(week(at_ms)) + 3 * HOUR_MS + HOUR_MS / 2;
    ((calendar::working_time(at_ms) - calendar::working_time(start)) / 7.0).clamp(0.0, 1.0)
}

/// Backups of this week that are there, by their sizes; one that is being written counts by its part.
fn nights(seed: u64, at_ms: i64) -> f64 {
    // The week of backups begins on Sunday at 01:00.
    let shifted = at_ms - HOUR_MS;
    let day = calendar::local_day(shifted);
    let since_sunday = (calendar::weekday(day) + 1).rem_euclid(7);
    // A night has what the day before changed: no two have the same size.
    let size = |day: i64| 0.75 + 0.5 * noise::unit(seed ^ 10, day);
    let whole: f64 = (day - since_sunday..day).map(size).sum();
    whole + size(day) * (calendar::local_hour(shifted) / 2.0).clamp(0.0, 1.0)
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
    fn growth_is_uneven_from_week_to_week_but_keeps_its_pace() {
        let growth = Growth::Steady { now: 60.0, per_day: 0.5 };
        let weeks: Vec<f64> = (-16..0).map(|w| share(growth, 7.0 * f64::from(w))).collect();
        let steps: Vec<f64> = weeks.windows(2).map(|pair| (pair[1] - pair[0]) * 100.0).collect();
        let mean = steps.iter().sum::<f64>() / 15.0;
        assert!((mean - 3.5).abs() < 0.5, "{mean}");
        let (low, high) = steps.iter().fold((f64::MAX, f64::MIN), |(l, h), s| (l.min(*s), h.max(*s)));
        assert!(high - low > 0.4 && low > 0.0, "{low} to {high}");
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
        assert!((wednesday - tuesday - 0.05).abs() < 0.016);
        let saturday_evening = used_share(growth, 1, NOW, NOW + 5 * DAY_MS + 10 * HOUR_MS);
        let sunday = used_share(growth, 1, NOW, NOW + 6 * DAY_MS - 8 * HOUR_MS + 5 * MINUTE_MS);
        assert!(sunday < saturday_evening - 0.2, "{saturday_evening} {sunday}");
    }
}
