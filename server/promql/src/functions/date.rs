//! Parts of a date, in UTC, of seconds since 1970.

use crate::ast::DatePart;

const DAY_SECONDS: i64 = 86_400;
/// Seconds beyond this (about 31 billion years) are taken as this, so that no arithmetic overflows.
const MAX_SECONDS: f64 = 1e18;

/// One part of the date.
pub(crate) fn part(part: DatePart, seconds: f64) -> f64 {
    if seconds.is_nan() {
        return f64::NAN;
    }
    // Go truncates towards zero when it turns the float into seconds.
    let seconds = seconds.clamp(-MAX_SECONDS, MAX_SECONDS) as i64;
    let days = seconds.div_euclid(DAY_SECONDS);
    let of_day = seconds.rem_euclid(DAY_SECONDS);
    let (year, month, day) = civil(days);
    let value = match part {
        DatePart::Minute => of_day / 60 % 60,
        DatePart::Hour => of_day / 3600,
        // 1970-01-01 was a Thursday; Sunday is 0.
        DatePart::DayOfWeek => (days + 4).rem_euclid(7),
        DatePart::DayOfMonth => day,
        DatePart::DayOfYear => days - days_from_civil(year, 1, 1) + 1,
        DatePart::DaysInMonth => days_in_month(year, month),
        DatePart::Month => month,
        DatePart::Year => year,
    };
    value as f64
}

/// Year, month and day of a number of days since 1970-01-01, in the proleptic Gregorian calendar.
/// Counts from 1 March of year 0, so that the leap day is the last of its year.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let march_month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * march_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let (next_year, next_month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
    days_from_civil(next_year, next_month, 1) - days_from_civil(year, month, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_agree_with_the_calendar() {
        // 2024-02-29 23:59:30 UTC, a Thursday.
        let t = 1_709_251_170.0;
        let cases = [
            (DatePart::Minute, 59.0),
            (DatePart::Hour, 23.0),
            (DatePart::DayOfWeek, 4.0),
            (DatePart::DayOfMonth, 29.0),
            (DatePart::DayOfYear, 60.0),
            (DatePart::DaysInMonth, 29.0),
            (DatePart::Month, 2.0),
            (DatePart::Year, 2024.0),
        ];
        for (p, value) in cases {
            assert_eq!(part(p, t), value, "{p:?}");
        }
        assert_eq!(part(DatePart::Year, -1.0), 1970.0 - 1.0);
    }
}
