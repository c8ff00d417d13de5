//! What a forecast was worth: error of the likely path, cover of its 80 % band, and whether a foretold crossing came.
//! Pure.
//!
//! One forecast a day of each component is scored, at each of [`super::HORIZON_DAYS`]: those of the other hours stand on
//! nearly the same data and would only count the same thing 24 times.

use serde::Serialize;

use super::resource::ResourceKey;
use crate::time::Millis;

/// Whether a forecast said that the threshold would be passed within its distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foretold {
    /// It was passed already; nothing was left to foretell.
    Past,
    /// The likely date lay within the distance.
    Crossing,
    /// It did not.
    Quiet,
}

impl Foretold {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Past, Self::Crossing, Self::Quiet];

    /// Code in records.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Past => "past",
            Self::Crossing => "foretold",
            Self::Quiet => "quiet",
        }
    }

    /// The value of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|foretold| foretold.code() == code)
    }
}

/// One forecast at one distance, and what came. All shares in percent of the capacity that the forecast was made for.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Which component.
    pub key: ResourceKey,
    /// Day of the forecast: whole days since the epoch.
    pub made_day: i64,
    /// Distance in days.
    pub days: u16,
    /// End of the hour that was forecast.
    pub due_at_ms: Millis,
    /// One value in ten falls below.
    pub p10: f64,
    /// The likely path.
    pub p50: f64,
    /// Nine values in ten fall below.
    pub p90: f64,
    /// Threshold of the forecast.
    pub threshold_percent: f64,
    /// Use when the forecast was made.
    pub last_percent: Option<f64>,
    /// What came; none if nothing was measured in that hour.
    pub actual_percent: Option<f64>,
    /// Whether a crossing was foretold.
    pub foretold: Foretold,
    /// The likely date.
    pub likely_ms: Option<Millis>,
    /// First evaluation within the distance that saw the threshold reached.
    pub crossed_at_ms: Option<Millis>,
}

/// The scores of one distance together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Distance in days.
    pub days: u16,
    /// Forecasts that fell due.
    pub due: usize,
    /// Those for whose hour something was measured; the errors and the cover are over these.
    pub measured: usize,
    /// Mean absolute error of the likely path, percentage points.
    pub error: Option<f64>,
    /// The same of the guess that nothing changes: what a forecast has to beat.
    pub error_unchanged: Option<f64>,
    /// Share of what came inside the 80 % band, 0 to 1.
    pub coverage: Option<f64>,
    /// Crossings that were foretold and came.
    pub hits: usize,
    /// Crossings that were foretold and did not come.
    pub false_alarms: usize,
    /// Crossings that came and were not foretold.
    pub missed: usize,
    /// Median distance between the likely date and the real one, days; of the hits.
    pub date_error_days: Option<f64>,
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even.is_multiple_of(2) => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

/// Scores together, one summary for each distance that has any, the nearest first.
#[must_use]
pub fn summarise<'a>(scores: impl IntoIterator<Item = &'a Score>) -> Vec<Summary> {
    let mut by_days: std::collections::BTreeMap<u16, Vec<&Score>> = std::collections::BTreeMap::new();
    for score in scores {
        by_days.entry(score.days).or_default().push(score);
    }
    by_days.into_iter().map(|(days, scores)| summary(days, &scores)).collect()
}

fn summary(days: u16, scores: &[&Score]) -> Summary {
    let measured: Vec<(&Score, f64)> =
        scores.iter().filter_map(|score| Some((*score, score.actual_percent?))).collect();
    let errors: Vec<f64> = measured.iter().map(|(score, actual)| (score.p50 - actual).abs()).collect();
    let unchanged: Vec<f64> =
        measured.iter().filter_map(|(score, actual)| Some((score.last_percent? - actual).abs())).collect();
    let inside: Vec<f64> = measured
        .iter()
        .map(|(score, actual)| f64::from(u8::from((score.p10..=score.p90).contains(actual))))
        .collect();
    let count = |foretold, came| {
        scores.iter().filter(|s| s.foretold == foretold && s.crossed_at_ms.is_some() == came).count()
    };
    let date_errors =
        scores.iter().filter(|score| score.foretold == Foretold::Crossing).filter_map(|score| {
            Some((score.crossed_at_ms? - score.likely_ms?).abs() as f64 / crate::time::DAY_MS as f64)
        });
    Summary {
        days,
        due: scores.len(),
        measured: measured.len(),
        error: mean(&errors),
        error_unchanged: mean(&unchanged),
        coverage: mean(&inside),
        hits: count(Foretold::Crossing, true),
        false_alarms: count(Foretold::Crossing, false),
        missed: count(Foretold::Quiet, true),
        date_error_days: median(date_errors.collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::ResourceKind;
    use crate::time::DAY_MS;

    fn score(p50: f64, actual: Option<f64>, foretold: Foretold, crossed_day: Option<i64>) -> Score {
        Score {
            key: ResourceKey { instance: "a".to_owned(), kind: ResourceKind::Cpu, item: String::new() },
            made_day: 0,
            days: 7,
            due_at_ms: 7 * DAY_MS,
            p10: p50 - 5.0,
            p50,
            p90: p50 + 5.0,
            threshold_percent: 90.0,
            last_percent: Some(50.0),
            actual_percent: actual,
            foretold,
            likely_ms: (foretold == Foretold::Crossing).then_some(5 * DAY_MS),
            crossed_at_ms: crossed_day.map(|day| day * DAY_MS),
        }
    }

    #[test]
    fn errors_cover_and_crossings_are_counted_apart() {
        let scores = [
            score(60.0, Some(62.0), Foretold::Quiet, None),
            score(60.0, Some(70.0), Foretold::Quiet, Some(6)),
            score(60.0, None, Foretold::Crossing, None),
            score(60.0, Some(60.0), Foretold::Crossing, Some(7)),
            score(95.0, Some(95.0), Foretold::Past, Some(1)),
        ];
        let all = summarise(&scores);
        assert_eq!(all.len(), 1);
        let seven = &all[0];
        assert_eq!((seven.due, seven.measured), (5, 4));
        assert_eq!((seven.hits, seven.false_alarms, seven.missed), (1, 1, 1));
        assert_eq!(seven.error, Some(3.0));
        assert_eq!(seven.error_unchanged, Some((12.0 + 20.0 + 10.0 + 45.0) / 4.0));
        assert_eq!(seven.coverage, Some(0.75));
        assert_eq!(seven.date_error_days, Some(2.0));
    }

    #[test]
    fn what_was_never_measured_gives_no_number() {
        let all = summarise(&[score(60.0, None, Foretold::Quiet, None)]);
        assert_eq!((all[0].error, all[0].coverage, all[0].date_error_days), (None, None, None));
        assert!(summarise(&[]).is_empty());
    }
}
