//! What is laid down: holidays of Indonesia and the end of the budget year. Pure.
//!
//! Sources: for 2026 the joint decree of three ministers (SKB Menteri Agama 1497/2025, Menteri Ketenagakerjaan 2/2025,
//! Menteri PANRB 5/2025; 17 holidays and 8 days off in common). For other years the holidays whose date never moves, and
//! those of Islam by the tabular Hijri calendar, which is within a day of what is decreed; the others are decreed each
//! year and have to be imported until this table has them. The budget year is the calendar year (UU 17/2003,
//! article 4).

use calendrical_calculations::islamic::{ISLAMIC_EPOCH_FRIDAY, fixed_from_tabular_islamic};
use jiff::Span;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use super::EventCategory;
use crate::time::Millis;

/// A day that is laid down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Laid {
    /// Sort.
    pub(super) category: EventCategory,
    /// Its name in the catalogue, under `capacity.day.`.
    pub(super) code: &'static str,
    /// Whether it is a day off in common (cuti bersama) for the holiday of its name.
    pub(super) in_common: bool,
    /// Start of the day.
    pub(super) from_ms: Millis,
    /// End of the day.
    pub(super) to_ms: Millis,
    /// Key of its source in the catalogue.
    pub(super) source: &'static str,
}

/// Month, day, name.
type Day = (i8, i8, &'static str);

/// Holidays whose date never moves.
const FIXED: [Day; 5] = [
    (1, 1, "new_year"),
    (5, 1, "labour"),
    (6, 1, "pancasila"),
    (8, 17, "independence"),
    (12, 25, "christmas"),
];

/// Holidays of the Hijri calendar: month, day, name.
const HIJRI: [(u8, u8, &str); 6] = [
    (1, 1, "islamic_new_year"),
    (3, 12, "mawlid"),
    (7, 27, "isra_miraj"),
    (10, 1, "eid"),
    (10, 2, "eid"),
    (12, 10, "eid_adha"),
];

/// Days of a year of ours on which holidays of the Hijri calendar fall, by its tabular form.
fn hijri(year: i16) -> Vec<Day> {
    // A Hijri year is some eleven days shorter than ours; it began in the year 622 of ours.
    let near = (i32::from(year) - 622) * 33 / 32;
    let years = near - 1..=near + 2;
    let all = years.flat_map(|year| HIJRI.iter().map(move |(month, day, code)| (year, *month, *day, *code)));
    all.filter_map(|(hijri_year, month, day, code)| {
        let days = fixed_from_tabular_islamic(hijri_year, month, day, ISLAMIC_EPOCH_FRIDAY).to_i64_date();
        // Day 1 of that count is the first of the first January.
        let at = date(1, 1, 1).checked_add(Span::new().try_days(days - 1).ok()?).ok()?;
        (at.year() == year).then_some((at.month(), at.day(), code))
    })
    .collect()
}

/// A year whose decree this table has.
struct Decree {
    year: i16,
    holidays: &'static [Day],
    in_common: &'static [Day],
    source: &'static str,
}

const DECREES: [Decree; 1] = [Decree {
    year: 2026,
    holidays: &[
        (1, 1, "new_year"),
        (1, 16, "isra_miraj"),
        (2, 17, "lunar_new_year"),
        (3, 19, "nyepi"),
        (3, 21, "eid"),
        (3, 22, "eid"),
        (4, 3, "good_friday"),
        (4, 5, "easter"),
        (5, 1, "labour"),
        (5, 14, "ascension"),
        (5, 27, "eid_adha"),
        (5, 31, "vesak"),
        (6, 1, "pancasila"),
        (6, 16, "islamic_new_year"),
        (8, 17, "independence"),
        (8, 25, "mawlid"),
        (12, 25, "christmas"),
    ],
    in_common: &[
        (2, 16, "lunar_new_year"),
        (3, 18, "nyepi"),
        (3, 20, "eid"),
        (3, 23, "eid"),
        (3, 24, "eid"),
        (5, 15, "ascension"),
        (5, 28, "eid_adha"),
        (12, 24, "christmas"),
    ],
    source: "capacity.event.source.skb_2026",
}];

/// Last year whose moving holidays are known.
pub(super) fn known_until() -> i16 {
    DECREES.iter().map(|decree| decree.year).max().unwrap_or_default()
}

/// What is laid down in a stretch of time, in its order. Years far from ours are left out.
#[must_use]
pub(super) fn between(zone: &TimeZone, from_ms: Millis, to_ms: Millis) -> Vec<Laid> {
    let year = |at_ms: Millis| {
        let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        at.to_zoned(zone.clone()).year().clamp(2000, 2100)
    };
    let mut days: Vec<Laid> = (year(from_ms)..=year(to_ms)).flat_map(|year| of_year(zone, year)).collect();
    days.retain(|day| day.to_ms > from_ms && day.from_ms <= to_ms);
    days.sort_by_key(|day| day.from_ms);
    days
}

fn of_year(zone: &TimeZone, year: i16) -> Vec<Laid> {
    let mut days = Vec::new();
    let mut add = |category, list: &[Day], in_common, source| {
        for (month, day, code) in list {
            let (from_ms, to_ms) = span(zone, date(year, *month, *day));
            days.push(Laid { category, code, in_common, from_ms, to_ms, source });
        }
    };
    match DECREES.iter().find(|decree| decree.year == year) {
        Some(decree) => {
            add(EventCategory::Holiday, decree.holidays, false, decree.source);
            add(EventCategory::Holiday, decree.in_common, true, decree.source);
        }
        None => {
            add(EventCategory::Holiday, &FIXED, false, "capacity.event.source.fixed");
            add(EventCategory::Holiday, &hijri(year), false, "capacity.event.source.hijri");
        }
    }
    add(EventCategory::BudgetYear, &[(12, 31, "budget_year_end")], false, "capacity.event.source.budget");
    days
}

/// Start and end of a day.
pub(super) fn span(zone: &TimeZone, day: Date) -> (Millis, Millis) {
    let start = |day: Date| day.to_zoned(zone.clone()).map_or(0, |at| at.timestamp().as_millisecond());
    (start(day), day.tomorrow().map_or(i64::MAX, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jakarta() -> TimeZone {
        TimeZone::get("Asia/Jakarta").unwrap()
    }

    fn in_year(year: i16) -> Vec<Laid> {
        let (from, _) = span(&jakarta(), date(year, 1, 1));
        let (_, to) = span(&jakarta(), date(year, 12, 31));
        between(&jakarta(), from, to - 1)
    }

    #[test]
    fn the_decree_of_2026_has_its_17_holidays_and_8_days_off_in_common() {
        let days = in_year(2026);
        let count = |in_common| {
            days.iter().filter(|d| d.category == EventCategory::Holiday && d.in_common == in_common).count()
        };
        assert_eq!((count(false), count(true)), (17, 8));
        let eid: Vec<_> = days.iter().filter(|d| d.code == "eid" && !d.in_common).collect();
        // 21 March 2026 begins at 17:00 UTC of the day before.
        assert_eq!(eid[0].from_ms, 1_774_026_000_000);
        assert_eq!(eid[0].to_ms - eid[0].from_ms, 86_400_000);
        assert!(days.is_sorted_by_key(|day| day.from_ms));
    }

    #[test]
    fn a_year_without_a_decree_has_what_never_moves_and_the_hijri_calendar() {
        let days = in_year(2031);
        let of = |source: &str| days.iter().filter(|day| day.source == source).map(|day| day.code).collect();
        let fixed: Vec<_> = of("capacity.event.source.fixed");
        assert_eq!(fixed, ["new_year", "labour", "pancasila", "independence", "christmas"]);
        let hijri: Vec<_> = of("capacity.event.source.hijri");
        assert_eq!(hijri, ["eid", "eid", "eid_adha", "islamic_new_year", "mawlid", "isra_miraj"]);
        assert_eq!(known_until(), 2026);
        assert!(between(&jakarta(), i64::MIN, i64::MIN + 1).is_empty());
    }

    #[test]
    fn the_hijri_calendar_is_within_a_day_of_the_decree() {
        let decree = &DECREES[0];
        let by_calendar = hijri(decree.year);
        for (month, day, code) in HIJRI
            .map(|(_, _, code)| code)
            .iter()
            .flat_map(|code| decree.holidays.iter().filter(move |(_, _, decreed)| decreed == code).take(1))
        {
            let decreed = date(decree.year, *month, *day);
            let near = by_calendar.iter().filter(|(_, _, other)| other == code).any(|(month, day, _)| {
                let at = date(decree.year, *month, *day);
                at.since(decreed).is_ok_and(|span| span.get_days().abs() <= 1)
            });
            assert!(near, "{code} {decreed} {by_calendar:?}");
        }
        // Two feasts of two days in one year of ours.
        assert_eq!(hijri(2033).iter().filter(|(_, _, code)| *code == "eid").count(), 4);
        assert_eq!(hijri(2030).iter().filter(|(_, _, code)| *code == "isra_miraj").count(), 1);
    }
}
