//! When the office is busy: working hours of WIB, the shape of a week and a year, tender deadlines, the nightly backup.
//!
//! The shape follows what is known of LPSE: deadlines lie at round hours of working days, the load of the last hours
//! before them is a multiple of the ordinary, and the last quarter has the most.

use jiff::civil::{Date, Weekday};

use super::noise::{self, as_f64};

/// Milliseconds of a minute.
pub const MINUTE_MS: i64 = 60_000;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;
/// WIB is seven hours ahead of UTC and has no summer time.
const WIB_MS: i64 = 7 * HOUR_MS;
/// Local hours at which tenders close, the usual ones more than once.
const CLOSING_HOURS: [i64; 8] = [9, 10, 10, 11, 13, 14, 14, 15];
/// Chance that a tender closes on a working day of an ordinary month.
const DEADLINE_CHANCE: f64 = 0.38;
/// How many hours before a deadline its load begins.
const DEADLINE_LEAD_HOURS: f64 = 10.0;
/// Within so many hours the load before a deadline grows by the factor e.
const DEADLINE_RISE_HOURS: f64 = 1.3;
/// Within so many hours the load after a deadline falls by the factor e.
const DEADLINE_FALL_HOURS: f64 = 0.15;
/// How much of a week's growth one working day brings, in mean days.
const WORKING_DAY_WEIGHT: f64 = 1.26;
/// The same of a day of the weekend; five and two of them make seven.
const FREE_DAY_WEIGHT: f64 = 0.35;

/// How busy the office is at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Activity {
    /// Ordinary work, 0 to 1.
    pub office: f64,
    /// Uploads before a deadline, 0 to 1.5.
    pub deadline: f64,
    /// The nightly backup, 0 to 1.
    pub backup: f64,
}

/// The end of a tender's submission.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Deadline {
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// How many bidders: the load of its last minute, 0 to 1.
    pub weight: f64,
}

/// What there is to know of one local day.
#[derive(Debug, Clone, PartialEq)]
pub struct Day {
    /// Days since 1970-01-01 in local time.
    pub number: i64,
    work: f64,
    late_backup: bool,
    /// Deadlines of this day, the one before and the one after.
    near: Vec<Deadline>,
}

/// The office's calendar for one seed.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    seed: u64,
}

/// The local day of a time.
#[must_use]
pub fn local_day(at_ms: i64) -> i64 {
    (at_ms + WIB_MS).div_euclid(DAY_MS)
}

/// Local hours since midnight.
#[must_use]
pub fn local_hour(at_ms: i64) -> f64 {
    as_f64((at_ms + WIB_MS).rem_euclid(DAY_MS)) / as_f64(HOUR_MS)
}

/// When a local day begins, milliseconds since the epoch.
#[must_use]
pub fn day_start_ms(day: i64) -> i64 {
    day * DAY_MS - WIB_MS
}

/// 0 for Monday to 6 for Sunday; day 0 was a Thursday.
#[must_use]
pub fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// Time as growth feels it, in mean days: working days count more than free ones, working hours more than nights.
#[must_use]
pub fn working_time(at_ms: i64) -> f64 {
    let day = local_day(at_ms);
    let of_week = weekday(day);
    let passed = (0..of_week).map(day_weight).sum::<f64>();
    let hour = local_hour(at_ms);
    let part = match hour {
        h if h < 7.0 => h / 7.0 * 0.10,
        h if h < 18.0 => 0.10 + (h - 7.0) / 11.0 * 0.75,
        h => 0.85 + (h - 18.0) / 6.0 * 0.15,
    };
    as_f64(day - of_week) + passed + day_weight(of_week) * part
}

fn day_weight(of_week: i64) -> f64 {
    if of_week < 5 { WORKING_DAY_WEIGHT } else { FREE_DAY_WEIGHT }
}

fn date(day: i64) -> Date {
    let epoch = jiff::civil::date(1970, 1, 1);
    epoch.saturating_add(jiff::SignedDuration::from_hours(24 * day))
}

/// From 0 to 1 between two hours, without corners.
fn rise(hour: f64, from: f64, to: f64) -> f64 {
    let t = ((hour - from) / (to - from)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

impl Calendar {
    /// The calendar of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed: noise::hash(seed, "calendar") }
    }

    /// Monday to Friday, but for the holidays with a fixed date.
    #[must_use]
    pub fn is_working_day(&self, day: i64) -> bool {
        let date = date(day);
        let fixed = matches!((date.month(), date.day()), (1, 1) | (5, 1) | (6, 1) | (8, 17) | (12, 25));
        !fixed && !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
    }

    /// How many tenders there are in a day's month against an ordinary one.
    #[must_use]
    pub fn season(&self, day: i64) -> f64 {
        match date(day).month() {
            1 => 0.5,
            2 | 7..=9 => 0.9,
            3..=6 => 1.1,
            10 | 11 => 1.5,
            _ => 1.7,
        }
    }

    /// Deadlines of one local day, in order.
    #[must_use]
    pub fn deadlines(&self, day: i64) -> Vec<Deadline> {
        if !self.is_working_day(day) {
            return Vec::new();
        }
        let mut hours: Vec<(i64, f64)> = (0..3)
            .filter(|n| noise::unit(self.seed ^ n, day) < DEADLINE_CHANCE * self.season(day) / 2.0)
            .map(|n| {
                let pick = noise::mix(self.seed ^ noise::mix(n + 10) ^ day.cast_unsigned()) % 8;
                let hour = CLOSING_HOURS[usize::try_from(pick).unwrap_or(0)];
                (hour, 0.35 + 0.65 * noise::unit(self.seed ^ (n + 20), day))
            })
            .collect();
        hours.sort_by_key(|(hour, _)| *hour);
        let start = day_start_ms(day);
        hours.into_iter().map(|(hour, weight)| Deadline { at_ms: start + hour * HOUR_MS, weight }).collect()
    }

    /// What there is to know of a local day.
    #[must_use]
    pub fn day(&self, number: i64) -> Day {
        let growth = (self.season(number) - 1.0) * 0.15;
        let today = 1.0 + growth + 0.08 * noise::smooth(self.seed ^ 77, number, 1);
        let work = if self.is_working_day(number) { today * 0.85 } else { 0.14 };
        let near = (number - 1..=number + 1).flat_map(|day| self.deadlines(day)).collect();
        Day { number, work: work.clamp(0.0, 1.0), late_backup: weekday(number) == 5, near }
    }

    /// How busy it is at a moment of a day.
    #[must_use]
    pub fn activity(&self, day: &Day, at_ms: i64) -> Activity {
        let hour = local_hour(at_ms);
        let desk = rise(hour, 7.0, 8.8) * (1.0 - rise(hour, 15.3, 17.5));
        let lunch = 1.0 - 0.35 * (-((hour - 12.5) / 0.6).powi(2)).exp();
        let evening = 0.22 * rise(hour, 18.0, 19.5) * (1.0 - rise(hour, 21.5, 23.8));
        let office = (0.04 + day.work * (desk * lunch + evening)).clamp(0.0, 1.0);
        let uploads: f64 = day.near.iter().map(|deadline| pressure(deadline, at_ms)).sum();
        let end = if day.late_backup { 5.0 } else { 3.0 };
        let backup = rise(hour, 1.0, 1.1) * (1.0 - rise(hour, end - 0.2, end));
        Activity { office, deadline: uploads.clamp(0.0, 1.5), backup }
    }
}

/// Load of one deadline: it grows until the last minute and is gone soon after.
fn pressure(deadline: &Deadline, at_ms: i64) -> f64 {
    let hours = as_f64(deadline.at_ms - at_ms) / as_f64(HOUR_MS);
    if !(-DEADLINE_LEAD_HOURS * DEADLINE_FALL_HOURS..DEADLINE_LEAD_HOURS).contains(&hours) {
        0.0
    } else if hours >= 0.0 {
        deadline.weight * (-hours / DEADLINE_RISE_HOURS).exp()
    } else {
        deadline.weight * (hours / DEADLINE_FALL_HOURS).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23, a Monday.
    const MONDAY: i64 = 20_780;

    #[test]
    fn local_time_is_seven_hours_ahead() {
        assert_eq!(date(MONDAY).to_string(), "2026-11-23");
        assert_eq!(weekday(MONDAY), 0);
        let nine = day_start_ms(MONDAY) + 9 * HOUR_MS;
        assert_eq!(nine, 1_795_399_200_000); // 2026-11-23T02:00:00Z
        assert_eq!((local_day(nine), local_hour(nine)), (MONDAY, 9.0));
    }

    #[test]
    fn working_hours_are_busier_than_nights_and_weekends() {
        let calendar = Calendar::new(1);
        let office = |day: i64, hour: i64| {
            calendar.activity(&calendar.day(day), day_start_ms(day) + hour * HOUR_MS).office
        };
        assert!(office(MONDAY, 10) > 5.0 * office(MONDAY, 3));
        assert!(office(MONDAY, 10) > 3.0 * office(MONDAY + 5, 10));
        assert!(office(MONDAY, 12) < office(MONDAY, 10));
        assert!(calendar.activity(&calendar.day(MONDAY), day_start_ms(MONDAY) + 2 * HOUR_MS).backup > 0.99);
    }

    #[test]
    fn deadlines_lie_at_round_hours_of_working_days_and_are_more_in_the_last_quarter() {
        let calendar = Calendar::new(1);
        let year = date(MONDAY).first_of_year();
        let first = (MONDAY - i64::from(date(MONDAY).day_of_year()) + 1).max(0);
        assert_eq!(date(first), year);
        let count =
            |days: std::ops::Range<i64>| days.map(|d| calendar.deadlines(first + d).len()).sum::<usize>();
        for day in first..first + 365 {
            for deadline in calendar.deadlines(day) {
                assert!(calendar.is_working_day(day));
                assert_eq!(deadline.at_ms.rem_euclid(HOUR_MS), 0);
                assert!((9.0..=15.0).contains(&local_hour(deadline.at_ms)));
            }
        }
        let (year, quarter) = (count(0..365), count(273..365));
        assert!((100..300).contains(&year), "{year} deadlines");
        assert!(quarter * 3 > year, "{quarter} of {year} in the last quarter");
    }

    #[test]
    fn the_hours_before_a_deadline_are_a_sharp_peak() {
        let calendar = Calendar::new(1);
        let deadlines: Vec<_> = (MONDAY..MONDAY + 30).flat_map(|day| calendar.deadlines(day)).collect();
        let deadline = deadlines.first().unwrap();
        let at = |ms: i64| calendar.activity(&calendar.day(local_day(ms)), ms).deadline;
        let last = at(deadline.at_ms - MINUTE_MS);
        assert!(last >= deadline.weight * 0.9);
        assert!(pressure(deadline, deadline.at_ms - 5 * HOUR_MS) < deadline.weight * 0.1);
        assert!(pressure(deadline, deadline.at_ms + HOUR_MS) < deadline.weight * 0.01);
    }

    #[test]
    fn a_week_of_working_time_is_seven_days_and_time_never_runs_back() {
        let start = day_start_ms(MONDAY);
        let week = working_time(start + 7 * DAY_MS) - working_time(start);
        assert!((week - 7.0).abs() < 1e-9);
        let mut last = working_time(start);
        for minute in 1..14 * 24 * 60 {
            let now = working_time(start + minute * MINUTE_MS);
            assert!(now > last && now - last < 0.01);
            last = now;
        }
    }
}
