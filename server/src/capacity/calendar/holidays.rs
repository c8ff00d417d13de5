//! What is laid down: holidays of Indonesia and the end of the budget year. Pure.
//!
//! Sources: for 2026 the joint decree of three ministers (SKB Menteri Agama 1497/2025, Menteri Ketenagakerjaan 2/2025,
//! Menteri PANRB 5/2025; 17 holidays and 8 days off in common). For other years only the holidays whose date never
//! moves; the moving ones are decreed each year and have to be imported until this table has them. The budget year is
//! the calendar year (UU 17/2003, article 4).

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
        None => add(EventCategory::Holiday, &FIXED, false, "capacity.event.source.fixed"),
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
    fn a_year_without_a_decree_has_only_what_never_moves() {
        let codes: Vec<_> = in_year(2031).iter().map(|day| day.code).collect();
        assert_eq!(
            codes,
            ["new_year", "labour", "pancasila", "independence", "christmas", "budget_year_end"]
        );
        assert_eq!(known_until(), 2026);
        assert!(between(&jakarta(), i64::MIN, i64::MIN + 1).is_empty());
    }
}
