//! The shape of a year, where a year of history exists: by how much the level of a coming week differed from that of
//! the present one, a year before. It is used only where it would have foretold the last weeks clearly better than a
//! level that stays and one that goes on as in the last month.

use crate::models::WEEK;
use crate::stats;

/// Weeks of a year.
const YEAR: usize = 52;
/// Distances in weeks at which it is tested.
const DISTANCES: [usize; 3] = [1, 2, 3];
/// Weeks, a week apart, from which each distance is foretold in the test.
const ORIGINS: usize = 2;
/// Weeks whose growth goes on in what it is held against.
const MONTH: usize = 4;
/// Weeks that are needed, 57 (399 days): a year before the oldest origin of the longest distance.
const LEAST_WEEKS: usize = YEAR + DISTANCES[2] + ORIGINS;
/// The error of the test must be below this share of the others'.
const BETTER: f64 = 0.7;

/// A shape that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Yearly {
    /// Mean of each week, the newest one last.
    levels: Vec<f64>,
}

impl Yearly {
    /// Looks for it in hours without gaps.
    pub(crate) fn find(filled: &[f64]) -> Option<Self> {
        let weeks = filled.len() / WEEK;
        if weeks < LEAST_WEEKS {
            return None;
        }
        let levels: Vec<f64> =
            filled[filled.len() - weeks * WEEK..].chunks_exact(WEEK).map(stats::mean).collect();
        let shape = Self { levels };
        let (mut with, mut staying, mut going_on) = (0.0, 0.0, 0.0);
        for distance in DISTANCES {
            for back in 0..ORIGINS {
                let origin = weeks - 1 - distance - back;
                let (from, truth) = (shape.levels[origin], shape.levels[origin + distance]);
                with += (truth - from - shape.change_from(origin, distance)).abs();
                staying += (truth - from).abs();
                let growth = (from - shape.levels[origin - MONTH]) / MONTH as f64;
                going_on += (truth - from - growth * distance as f64).abs();
            }
        }
        (with < BETTER * staying.min(going_on)).then_some(shape)
    }

    fn change_from(&self, origin: usize, weeks: usize) -> f64 {
        let before = origin - YEAR;
        // More than a year ahead the shape repeats.
        self.levels[before + weeks % YEAR] - self.levels[before]
    }

    /// Change of the level from the present week to the one so many weeks ahead.
    pub(crate) fn change(&self, weeks_ahead: usize) -> f64 {
        self.change_from(self.levels.len() - 1, weeks_ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(weeks: usize, level: impl Fn(f64) -> f64) -> Vec<f64> {
        let noise = |h: usize| ((h * 7_919) % 101) as f64 / 101.0 - 0.5;
        (0..weeks * WEEK)
            .map(|h| {
                level(h as f64 / WEEK as f64)
                    + 5.0 * (h as f64 * std::f64::consts::TAU / 24.0).sin()
                    + noise(h)
            })
            .collect()
    }

    #[test]
    fn a_year_that_repeats_is_found_and_what_does_not_repeat_is_not() {
        let wave = |week: f64| 50.0 + 20.0 * (week * std::f64::consts::TAU / 52.0).sin();
        let found = Yearly::find(&hours(110, wave)).unwrap();
        for ahead in [1, 8, 13] {
            let wanted = wave(109.5 + ahead as f64) - wave(109.5);
            assert!((found.change(ahead) - wanted).abs() < 1.0, "{ahead}: {} {wanted}", found.change(ahead));
        }
        assert_eq!(Yearly::find(&hours(56, wave)), None, "less than is needed");
        assert_eq!(Yearly::find(&hours(110, |week| 20.0 + 0.5 * week * week / 110.0)), None);
        assert_eq!(Yearly::find(&hours(110, |_| 50.0)), None);
        assert_eq!(Yearly::find(&[]), None);
    }
}
