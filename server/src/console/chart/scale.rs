//! Arithmetic of axes: round values for a unit, round times for a zone. Pure.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::Unit;
use crate::time::{DAY_MS, HOUR_MS, Millis};

/// A vertical axis: its ends and the values that bear a label, rising.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ValueAxis {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) ticks: Vec<f64>,
}

/// An axis that holds `min` to `max` in about `steps` round steps. It begins at zero where values do not go below,
/// and a share ends at 100 unless values go beyond.
pub(super) fn value_axis(unit: Unit, min: f64, max: f64, steps: u32) -> ValueAxis {
    let low = min.min(0.0);
    let top = if max > low { max } else { low + smallest_span(unit) };
    let step = round_step(unit, (top - low) / f64::from(steps.max(1)));
    let (first, last) = ((low / step).floor(), (top / step).ceil());
    let mut high = last * step;
    if unit == Unit::Percent && max <= 100.0 {
        high = high.min(100.0);
    }
    // Steps are few: a round step is at least the wanted one.
    let mut ticks = Vec::new();
    let mut index = first;
    while index <= last && ticks.len() <= MAX_TICKS {
        let value = index * step;
        if value <= high {
            ticks.push(value);
        }
        index += 1.0;
    }
    ValueAxis { low: first * step, high, ticks }
}

/// More labels than this never fit.
const MAX_TICKS: usize = 24;

/// Height of an axis on which all values are the same.
fn smallest_span(unit: Unit) -> f64 {
    match unit {
        Unit::Percent | Unit::Milliseconds => 10.0,
        Unit::Bytes => 1_024.0,
        Unit::Number => 1.0,
    }
}

/// The smallest round step that is at least `wanted`: 1, 2, 5 (or 25) times a power of ten; for bytes a power of two.
fn round_step(unit: Unit, wanted: f64) -> f64 {
    if !wanted.is_finite() || wanted <= 0.0 {
        return 1.0;
    }
    if unit == Unit::Bytes {
        return wanted.log2().ceil().max(0.0).exp2();
    }
    let power = 10_f64.powf(wanted.log10().floor());
    let multiple = wanted / power;
    // Quarters of a hundred are round, quarters of ten are not. The margin forgives rounding of the power.
    let quarter = if power >= 10.0 { 2.5 } else { 2.0 };
    let round = [1.0, 2.0, quarter, 5.0].into_iter().find(|round| multiple <= round * 1.000_001);
    round.unwrap_or(10.0) * power
}

/// How many decimals tell labels with this step apart.
pub(super) fn decimals(step: f64) -> usize {
    (0..6)
        .find(|places| {
            let scaled = step * 10_f64.powi(*places);
            (scaled - scaled.round()).abs() < 1e-6 * scaled.abs().max(1e-6)
        })
        .map_or(6, |places| usize::try_from(places).unwrap_or(0))
}

/// What a label of the time axis says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TimeLabel {
    /// Hour and minute.
    Clock,
    /// Day and month.
    Day,
    /// Month and year.
    Month,
}

/// Distance of two labels of the time axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimeStep {
    Minutes(i64),
    Days(i64),
    Months(i64),
}

const TIME_STEPS: [TimeStep; 22] = [
    TimeStep::Minutes(1),
    TimeStep::Minutes(2),
    TimeStep::Minutes(5),
    TimeStep::Minutes(10),
    TimeStep::Minutes(15),
    TimeStep::Minutes(30),
    TimeStep::Minutes(60),
    TimeStep::Minutes(120),
    TimeStep::Minutes(180),
    TimeStep::Minutes(360),
    TimeStep::Minutes(720),
    TimeStep::Days(1),
    TimeStep::Days(2),
    TimeStep::Days(7),
    TimeStep::Days(14),
    TimeStep::Months(1),
    TimeStep::Months(2),
    TimeStep::Months(3),
    TimeStep::Months(6),
    TimeStep::Months(12),
    TimeStep::Months(24),
    TimeStep::Months(60),
];

impl TimeStep {
    fn about_ms(self) -> Millis {
        match self {
            Self::Minutes(count) => count * HOUR_MS / 60,
            Self::Days(count) => count * DAY_MS,
            Self::Months(count) => count * 30 * DAY_MS,
        }
    }

    fn span(self) -> Span {
        match self {
            Self::Minutes(count) => Span::new().minutes(count),
            Self::Days(count) => Span::new().days(count),
            Self::Months(count) => Span::new().months(count),
        }
    }

    /// The last round civil time at or before `at`.
    fn floor(self, at: DateTime) -> Option<DateTime> {
        match self {
            Self::Minutes(count) => {
                let minutes = i64::from(at.hour()) * 60 + i64::from(at.minute());
                Some(
                    at.date().to_datetime(jiff::civil::Time::midnight())
                        + Span::new().minutes(minutes - minutes % count),
                )
            }
            Self::Days(count) => {
                // Days are counted from a Monday, so that weeks begin on Mondays.
                let monday = Date::new(1970, 1, 5).ok()?;
                let days = i64::from(at.date().since(monday).ok()?.get_days());
                at.date().checked_sub(Span::new().days(days.rem_euclid(count))).ok().map(DateTime::from)
            }
            Self::Months(count) => {
                let months = i64::from(at.year()) * 12 + i64::from(at.month()) - 1;
                let first = Date::new(at.year(), at.month(), 1).ok()?;
                first.checked_sub(Span::new().months(months.rem_euclid(count))).ok().map(DateTime::from)
            }
        }
    }
}

/// Round times of `zone` from `from_ms` to `to_ms`, at most about `most` of them.
pub(super) fn time_ticks(
    zone: &TimeZone,
    from_ms: Millis,
    to_ms: Millis,
    most: i64,
) -> Vec<(Millis, TimeLabel)> {
    let length = to_ms.saturating_sub(from_ms).max(1);
    let step = TIME_STEPS
        .into_iter()
        .find(|step| length / step.about_ms() < most.max(1))
        .unwrap_or(TimeStep::Months(120));
    let Ok(start) = Timestamp::from_millisecond(from_ms) else { return Vec::new() };
    let Some(mut civil) = step.floor(start.to_zoned(zone.clone()).datetime()) else { return Vec::new() };
    let mut ticks = Vec::new();
    while ticks.len() <= MAX_TICKS {
        let Ok(zoned) = civil.to_zoned(zone.clone()) else { break };
        let at_ms = zoned.timestamp().as_millisecond();
        if at_ms > to_ms {
            break;
        }
        if at_ms >= from_ms {
            ticks.push((at_ms, label_kind(step, civil)));
        }
        let Ok(next) = civil.checked_add(step.span()) else { break };
        civil = next;
    }
    ticks
}

fn label_kind(step: TimeStep, at: DateTime) -> TimeLabel {
    match step {
        TimeStep::Minutes(_) if at.hour() == 0 && at.minute() == 0 => TimeLabel::Day,
        TimeStep::Minutes(_) => TimeLabel::Clock,
        TimeStep::Days(_) => TimeLabel::Day,
        TimeStep::Months(_) => TimeLabel::Month,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn value_axes_are_round_for_their_unit() {
        let gib = 1_073_741_824.0;
        for (unit, min, max, high, ticks) in [
            (Unit::Percent, 3.0, 97.0, 100.0, vec![0.0, 20.0, 40.0, 60.0, 80.0, 100.0]),
            (Unit::Percent, 0.1, 3.4, 4.0, vec![0.0, 1.0, 2.0, 3.0, 4.0]),
            (Unit::Percent, 0.0, 130.0, 150.0, vec![0.0, 50.0, 100.0, 150.0]),
            (Unit::Number, 0.0, 0.0, 1.0, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
            (Unit::Number, -3.0, 4.0, 4.0, vec![-4.0, -2.0, 0.0, 2.0, 4.0]),
            (Unit::Bytes, 0.0, 3.1 * gib, 4.0 * gib, vec![0.0, gib, 2.0 * gib, 3.0 * gib, 4.0 * gib]),
            (Unit::Milliseconds, 12.0, 870.0, 1_000.0, vec![0.0, 200.0, 400.0, 600.0, 800.0, 1_000.0]),
        ] {
            let axis = value_axis(unit, min, max, 5);
            assert!((axis.high - high).abs() < 1e-9, "{unit:?} {min} {max}: {axis:?}");
            assert_eq!(axis.ticks.len(), ticks.len(), "{axis:?}");
            for (found, wanted) in axis.ticks.iter().zip(ticks) {
                assert!((found - wanted).abs() < 1e-9, "{axis:?}");
            }
        }
    }

    #[test]
    fn labels_have_as_many_decimals_as_their_step() {
        for (step, places) in [(20.0, 0), (1.0, 0), (0.5, 1), (0.2, 1), (0.05, 2), (0.001, 3)] {
            assert_eq!(decimals(step), places, "{step}");
        }
    }

    #[test]
    fn times_are_round_in_the_zone_and_midnight_shows_its_day() {
        let jakarta = TimeZone::get("Asia/Jakarta").unwrap();
        let at = |text: &str| {
            text.parse::<jiff::civil::DateTime>()
                .unwrap()
                .to_zoned(jakarta.clone())
                .unwrap()
                .timestamp()
                .as_millisecond()
        };
        let ticks = time_ticks(&jakarta, at("2026-11-23T20:10"), at("2026-11-24T02:10"), 7);
        assert_eq!(ticks[0], (at("2026-11-23T21:00"), TimeLabel::Clock));
        assert!(ticks.contains(&(at("2026-11-24T00:00"), TimeLabel::Day)));
        assert_eq!(ticks.len(), 6);
        let week = time_ticks(&jakarta, at("2026-11-01T05:00"), at("2026-11-29T05:00"), 7);
        assert_eq!(week[0], (at("2026-11-02T00:00"), TimeLabel::Day), "weeks begin on Mondays");
        let year = time_ticks(&jakarta, at("2026-01-15T00:00"), at("2026-12-15T00:00"), 7);
        assert_eq!(year[0], (at("2026-03-01T00:00"), TimeLabel::Month));
        assert_eq!(year.len(), 5);
    }

    proptest! {
        #[test]
        fn an_axis_holds_its_values_with_few_rising_ticks(a in -1e12_f64..1e12, b in -1e12_f64..1e12, steps in 1_u32..8) {
            for unit in [Unit::Number, Unit::Bytes, Unit::Percent, Unit::Milliseconds] {
                let (min, max) = (a.min(b), a.max(b));
                let axis = value_axis(unit, min, max, steps);
                let slack = 1e-9 * (axis.high - axis.low);
                prop_assert!(axis.low <= min + slack && axis.high + slack >= max, "{:?}", axis);
                prop_assert!((2..=MAX_TICKS + 1).contains(&axis.ticks.len()), "{:?}", axis);
                prop_assert!(axis.ticks.windows(2).all(|pair| pair[0] < pair[1]));
            }
        }

        #[test]
        fn time_ticks_lie_within_and_are_few(from in 0_i64..2_000_000_000_000, length in 1_i64..900_000_000_000) {
            let zone = TimeZone::get("Asia/Makassar").unwrap();
            let ticks = time_ticks(&zone, from, from + length, 7);
            prop_assert!(ticks.len() <= 9, "{}", ticks.len());
            prop_assert!(ticks.iter().all(|(at, _)| (from..=from + length).contains(at)));
            prop_assert!(ticks.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
