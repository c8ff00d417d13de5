//! Joins the signs of each sample into one score.

use super::signs::{Quantities, SIGNS, Sign};
use super::window::Window;

/// Largest value that is looked at: squares of larger ones are not finite.
const MAX_VALUE: f64 = 1e150;
const HOUR_MS: f64 = 3_600_000.0;

/// How a detector judges. The default is meant for every series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Samples against which a new one is held (2,880 are ten days of one in 5 min). Memory is about 80 bytes for each.
    pub history: usize,
    /// Samples of which mean and spread are taken.
    pub recent: usize,
    /// Samples before anything is told.
    pub learning: usize,
    /// Quantile beyond which a value is far.
    pub outer: f64,
    /// Least distance that counts, as a share of the range of the values.
    pub floor: f64,
    /// Hours in which what was told fades to 37 %.
    pub fade_hours: f64,
    /// Weight of each sign, in the order of [`SIGNS`].
    pub weights: [f64; SIGNS.len()],
    /// Score from which a sample is an anomaly.
    pub threshold: f64,
    /// Strength from which a sign counts as one that agrees.
    pub clear: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            history: 2_880,
            recent: 48,
            learning: 100,
            outer: 0.95,
            floor: 0.01,
            fade_hours: 60.0,
            weights: [1.0, 0.5, 1.0, 3.0, 0.5],
            threshold: 1.0,
            clear: 0.5,
        }
    }
}

/// What is said of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// How unusual, beyond what was told of late: 0 is usual; there is no upper end.
    pub score: f64,
    /// Strength of each sign in the order of [`SIGNS`]: 0 is within its range, 1 twice as far from the median as its
    /// outer quantile; negative below the median.
    pub strengths: [f64; SIGNS.len()],
    pub(super) anomaly: bool,
    pub(super) clear: f64,
}

impl Verdict {
    /// Whether the score reaches the threshold.
    #[must_use]
    pub fn is_anomaly(&self) -> bool {
        self.anomaly
    }

    /// The signs that are clear, the strongest first, with their strengths.
    #[must_use]
    pub fn clear_signs(&self) -> Vec<(Sign, f64)> {
        let all = SIGNS.into_iter().zip(self.strengths);
        let mut clear: Vec<(Sign, f64)> = all.filter(|(_, strength)| strength.abs() >= self.clear).collect();
        clear.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
        clear
    }
}

/// Watches one series.
#[derive(Debug, Clone)]
pub struct Detector {
    settings: Settings,
    quantities: Quantities,
    windows: [Window; SIGNS.len()],
    seen: usize,
    /// The last sum that was told, and when.
    told: Option<(f64, i64)>,
}

impl Detector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            quantities: Quantities::new(settings.recent.max(1)),
            windows: std::array::from_fn(|_| Window::new(settings.history.max(1))),
            seen: 0,
            told: None,
        }
    }

    /// Judges the next sample. `None` for a value that cannot be judged, which changes nothing.
    pub fn push(&mut self, at_ms: i64, value: f64) -> Option<Verdict> {
        if !value.is_finite() || value.abs() > MAX_VALUE {
            return None;
        }
        let Settings { outer, floor, weights, learning, threshold, clear, .. } = self.settings;
        let floor = floor * self.windows[0].range(outer);
        let quantities = self.quantities.of(at_ms, value);
        let mut strengths = [0.0; SIGNS.len()];
        for ((window, quantity), strength) in self.windows.iter_mut().zip(quantities).zip(&mut strengths) {
            *strength = window.beyond(quantity, outer, floor);
            window.push(quantity);
        }
        self.seen += 1;
        if self.seen < learning {
            return Some(Verdict { score: 0.0, strengths, anomaly: false, clear });
        }
        // By logarithms, so that one huge distance does not outweigh several clear ones.
        let sum: f64 = strengths.iter().zip(weights).map(|(s, weight)| weight * s.abs().ln_1p()).sum();
        let faded = self.told.map_or(0.0, |(told, at)| {
            let hours = (at_ms.saturating_sub(at).max(0)) as f64 / HOUR_MS;
            told * (-hours / self.settings.fade_hours).exp()
        });
        let score = (sum - faded).max(0.0);
        if score >= threshold {
            self.told = Some((sum, at_ms));
        }
        Some(Verdict { score, strengths, anomaly: score >= threshold, clear })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP_MS: i64 = 300_000;
    const DAY: i64 = 288;

    /// A day's wave with a little noise that is the same in every run.
    fn wave(n: i64) -> f64 {
        let noise = ((n * 7_919) % 101) as f64 / 101.0 - 0.5;
        50.0 + 20.0 * (n as f64 * std::f64::consts::TAU / DAY as f64).sin() + 2.0 * noise
    }

    /// The samples at which an anomaly is told, and the clear signs of each.
    fn told(samples: i64, value: impl Fn(i64) -> f64) -> Vec<(i64, Vec<Sign>)> {
        let mut detector = Detector::new(Settings::default());
        let judge = |n| {
            let verdict = detector.push(n * STEP_MS, value(n))?;
            let signs = verdict.clear_signs().into_iter().map(|(sign, _)| sign).collect();
            verdict.is_anomaly().then_some((n, signs))
        };
        (0..samples).filter_map(judge).collect()
    }

    #[test]
    fn a_flat_series_and_an_undisturbed_wave_are_usual() {
        assert!(told(10 * DAY, |_| 42.0).is_empty());
        let after_two_days: Vec<i64> =
            told(10 * DAY, wave).into_iter().map(|(n, _)| n).filter(|n| *n > 2 * DAY).collect();
        assert!(after_two_days.is_empty(), "{after_two_days:?}");
    }

    #[test]
    fn a_spike_is_told_at_once_and_by_several_signs() {
        let spike = 7 * DAY + 100;
        let told = told(8 * DAY, |n| if n == spike { 300.0 } else { wave(n) });
        let found = told.iter().find(|(n, _)| *n == spike).expect("the spike is told");
        assert!(found.1.contains(&Sign::Level) && found.1.contains(&Sign::Jump), "{found:?}");
    }

    #[test]
    fn a_day_without_its_peak_is_told_by_the_season() {
        let day = 7 * DAY;
        let told = told(8 * DAY, |n| if n >= day && wave(n) > 55.0 { 55.0 } else { wave(n) });
        let found = told.iter().find(|(n, _)| *n > day).expect("the missing peak is told");
        assert!(found.1.contains(&Sign::Season), "{told:?}");
    }

    #[test]
    fn a_lasting_shift_is_told_a_few_times_and_then_is_usual() {
        let shift = 5 * DAY;
        let told = told(20 * DAY, |n| if n >= shift { wave(n) + 200.0 } else { wave(n) });
        let after: Vec<i64> = told.iter().map(|(n, _)| *n).filter(|n| *n >= shift).collect();
        assert_eq!(after.first(), Some(&shift));
        assert!(after.len() < 20, "{after:?}");
        assert!(after.iter().all(|n| *n < 15 * DAY), "{after:?}");
    }

    proptest! {
        #[test]
        fn any_samples_give_finite_scores(
            samples in prop::collection::vec((any::<i64>(), any::<f64>()), 0..400),
        ) {
            let settings = Settings { learning: 1, history: 50, ..Settings::default() };
            let mut detector = Detector::new(settings);
            for (at, value) in samples {
                match detector.push(at, value) {
                    Some(verdict) => {
                        prop_assert!(verdict.score.is_finite() && verdict.score >= 0.0);
                        prop_assert!(verdict.strengths.iter().all(|strength| strength.is_finite()));
                    }
                    None => prop_assert!(!value.is_finite() || value.abs() > MAX_VALUE),
                }
            }
        }
    }
}
