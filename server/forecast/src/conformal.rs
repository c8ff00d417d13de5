//! Intervals from the errors of the back-test, by distance (split conformal with a scale).
//!
//! Each error is divided by the usual size of errors at its distance; the quantile of these ratios, times that
//! size, is the half width. Errors of neighbouring hours and overlapping origins depend on one another, so they
//! tell less than their number says: the quantile is widened.

use crate::{models::DAY, stats};

/// Hours either side whose errors shape the size at a distance.
const REACH: usize = 2;

/// Part of the size taken from all distances together.
const SHRINK: f64 = 0.3;

/// Widening of the outermost quantile for errors that depend on one another; the median is not widened, and what
/// lies between by the square. Set on windows cut from training data.
const WIDENING: f64 = 0.3;

/// Fastest growth with distance: doubling the distance multiplies the size by two to this power (random walk).
const MAX_GROWTH: f64 = 0.5;

/// Sizes and ratios of the tested errors.
#[derive(Debug, Clone)]
pub(crate) struct Conformal {
    /// Usual error by distance.
    sizes: Vec<f64>,
    /// Absolute errors over their size, by origin.
    ratios: Vec<Vec<f64>>,
    /// Growth past the tested distances.
    growth: f64,
    /// Half width in sizes when nothing was tested.
    untested: bool,
}

impl Conformal {
    /// From errors by origin and distance; `fallback` is the usual size when there are none.
    pub(crate) fn new(errors: &[Vec<f64>], fallback: f64) -> Self {
        let hours = errors.first().map_or(0, Vec::len);
        if hours == 0 {
            return Self { sizes: vec![fallback], ratios: Vec::new(), growth: MAX_GROWTH, untested: true };
        }
        let by_hour: Vec<f64> =
            (0..hours).map(|h| stats::mean(&errors.iter().map(|e| e[h].abs()).collect::<Vec<_>>())).collect();
        let all = stats::mean(&by_hour);
        let sizes: Vec<f64> = (0..hours)
            .map(|h| {
                let near = &by_hour[h.saturating_sub(REACH)..(h + REACH + 1).min(hours)];
                (1.0 - SHRINK) * stats::mean(near) + SHRINK * all
            })
            .collect();
        let ratios = errors
            .iter()
            .map(|e| e.iter().zip(&sizes).map(|(e, s)| if *s > 0.0 { e.abs() / s } else { 0.0 }).collect())
            .collect();
        let half = hours / 2;
        let (early, late) = (stats::mean(&sizes[..half]), stats::mean(&sizes[half..]));
        let growth = if early > 0.0 { (late / early).log2().clamp(0.0, MAX_GROWTH) } else { 0.0 };
        Self { sizes, ratios, growth, untested: false }
    }

    /// Half widths of a whole path.
    pub(crate) fn half_widths(&self, level: f64, hours: usize) -> Vec<f64> {
        let factor = self.width_factor(level);
        (1..=hours).map(|h| factor * self.size(h)).collect()
    }

    fn size(&self, distance: usize) -> f64 {
        let tested = self.sizes.len();
        if distance <= tested {
            return self.sizes[distance.max(1) - 1];
        }
        // Same hour of the last tested day, grown.
        let cycle = DAY.min(tested);
        let base = tested - cycle + (distance - 1 - (tested - cycle)) % cycle;
        self.sizes[base] * (distance as f64 / (base + 1) as f64).powf(self.growth)
    }

    fn width_factor(&self, level: f64) -> f64 {
        let level = level.clamp(0.0, 0.9999);
        if self.untested {
            return 1.5 * stats::normal_quantile(0.5 + 0.5 * level);
        }
        let all: Vec<f64> = self.ratios.iter().flatten().copied().collect();
        widening(level) * stats::quantile(&all, level)
    }

    /// Share of the tested hours inside the interval of this level, each origin judged by the others.
    pub(crate) fn coverage(&self, level: f64) -> Option<f64> {
        if self.ratios.len() < 2 {
            return None;
        }
        let mut inside = 0;
        for (k, own) in self.ratios.iter().enumerate() {
            let others: Vec<f64> = self
                .ratios
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != k)
                .flat_map(|(_, r)| r)
                .copied()
                .collect();
            let factor = widening(level) * stats::quantile(&others, level);
            inside += own.iter().filter(|r| **r <= factor).count();
        }
        Some(inside as f64 / self.ratios.iter().map(Vec::len).sum::<usize>() as f64)
    }
}

fn widening(level: f64) -> f64 {
    1.0 + WIDENING * (2.0 * level - 1.0).max(0.0).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_its_share_and_grows_with_distance() {
        let errors: Vec<Vec<f64>> = (0..8)
            .map(|k| (0..48).map(|h| (h as f64 + 4.0) * ((k * 48 + h) as f64 * 1.7).sin()).collect())
            .collect();
        let conformal = Conformal::new(&errors, 1.0);
        let widths = conformal.half_widths(0.8, 400);
        assert!(widths[40] > 2.0 * widths[0]);
        assert!(widths[399] > widths[47]);
        let coverage = conformal.coverage(0.8).unwrap();
        assert!(coverage > 0.75 && coverage < 0.95, "{coverage}");
    }

    #[test]
    fn without_a_test_the_fallback_grows() {
        let conformal = Conformal::new(&[], 2.0);
        let widths = conformal.half_widths(0.8, 100);
        assert!(widths[0] > 2.0 && widths[99] > widths[0]);
        assert_eq!(conformal.coverage(0.8), None);
    }
}
