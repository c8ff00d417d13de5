//! Periods of the report: months in the zone of the office. Pure.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::console::Page;
use crate::http::ApiError;
use crate::time::Millis;

/// Months that can be reported on, the running one included: measured hours are kept at hand for about four.
pub(super) const OFFERED: usize = 4;

/// A month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Period {
    /// Its first day.
    first: Date,
}

impl Period {
    /// The month of a point in time.
    pub(super) fn of(at_ms: Millis, zone: &TimeZone) -> Self {
        let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        Self { first: at.to_zoned(zone.clone()).date().first_of_month() }
    }

    /// A month by its code, such as `2026-11`.
    pub(super) fn from_code(code: &str) -> Option<Self> {
        let first = format!("{code}-01").parse::<Date>().ok()?;
        (Self { first }.code() == code).then_some(Self { first })
    }

    /// Its code.
    pub(super) fn code(self) -> String {
        format!("{:04}-{:02}", self.first.year(), self.first.month())
    }

    /// The month before it.
    pub(super) fn before(self) -> Self {
        self.moved(-1)
    }

    fn moved(self, months: i64) -> Self {
        let moved = self.first.checked_add(Span::new().months(months));
        Self { first: moved.unwrap_or(self.first) }
    }

    /// The months that can be reported on, the newest first.
    pub(super) fn offered(now_ms: Millis, zone: &TimeZone) -> Vec<Self> {
        let newest = Self::of(now_ms, zone);
        (0..).map(|back: i64| newest.moved(-back)).take(OFFERED).collect()
    }

    /// Its start, and the start of the next one.
    pub(super) fn span(self, zone: &TimeZone) -> (Millis, Millis) {
        let start = |day: Date| day.to_zoned(zone.clone()).map_or(0, |at| at.timestamp().as_millisecond());
        (start(self.first), start(self.moved(1).first))
    }
}

/// The month that is asked for; the running one if none is.
pub(super) fn chosen(page: &Page, code: &str, now_ms: Millis) -> Result<Period, ApiError> {
    let offered = Period::offered(now_ms, page.zone());
    if code.is_empty() {
        return Ok(Period::of(now_ms, page.zone()));
    }
    Period::from_code(code)
        .filter(|period| offered.contains(period))
        .ok_or_else(|| ApiError::bad_request("a month of the last four is wanted").at("periode"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_follow_each_other_over_the_year() {
        let zone = TimeZone::get("Asia/Jakarta").unwrap();
        // 1 January 2027, 00:30 in Jakarta, still December in UTC.
        let now = 1_798_736_400_000 + 1_800_000;
        let codes: Vec<_> = Period::offered(now, &zone).into_iter().map(Period::code).collect();
        assert_eq!(codes, ["2027-01", "2026-12", "2026-11", "2026-10"]);
        let december = Period::from_code("2026-12").unwrap();
        assert_eq!(december.span(&zone).1, 1_798_736_400_000);
        for wrong in ["", "2026", "2026-13", "2026-1", "2026-12-01", "x"] {
            assert_eq!(Period::from_code(wrong), None, "{wrong}");
        }
    }
}
