//! Rolling-origin back-test of the hourly candidates, and the weights that follow from it.
//!
//! Origins lie whole days apart, so every tested distance falls on the same hour of the day as the forecast
//! itself. Nothing here sees the future of an origin.

use crate::{
    answer::{Backtest, ModelName},
    models::{self, DAY},
    stats,
};

/// Origins tested from.
const ORIGINS: usize = 8;

/// Longest distance tested, in hours; beyond it the errors grow by extrapolation.
pub(crate) const TEST_HOURS: usize = 48;

/// Weights are the inverse of the mean absolute error to this power: near the best, but never one model alone on
/// the word of a few days.
const WEIGHT_POWER: f64 = 3.0;

/// One origin: what came, and what each candidate had foretold.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) truth: Vec<f64>,
    /// One path a candidate.
    pub(crate) paths: Vec<Vec<f64>>,
}

/// The candidates that apply, tested.
#[derive(Debug, Clone)]
pub(crate) struct Tested {
    /// Candidates left.
    pub(crate) names: Vec<ModelName>,
    /// Newest first.
    pub(crate) origins: Vec<Origin>,
}

/// Tests the candidates from origins one day apart. A candidate that does not apply at the newest origin drops
/// out; the test ends at the first origin where another one does not apply any more.
pub(crate) fn run(past: &[f64], candidates: &[ModelName]) -> Tested {
    let hours = TEST_HOURS.min(past.len() / 4);
    let mut names = candidates.to_vec();
    let mut origins = Vec::new();
    for k in 0..ORIGINS {
        let Some(end) = past.len().checked_sub(hours + k * DAY).filter(|end| *end >= 2 * DAY) else { break };
        let paths: Vec<Option<Vec<f64>>> =
            names.iter().map(|&name| models::predict(name, &past[..end], hours)).collect();
        if k > 0 && paths.iter().any(Option::is_none) {
            break;
        }
        let mut applies = paths.iter().map(Option::is_some);
        names.retain(|_| applies.next().unwrap_or(false));
        let paths = paths.into_iter().flatten().collect();
        origins.push(Origin { truth: past[end..end + hours].to_vec(), paths });
    }
    if origins.is_empty() || names.is_empty() {
        names = candidates.to_vec();
        origins.clear();
    }
    Tested { names, origins }
}

impl Tested {
    /// Weights (sum 1) from all origins but one.
    pub(crate) fn weights(&self, without: Option<usize>) -> Vec<f64> {
        let costs: Vec<f64> = (0..self.names.len()).map(|c| self.cost(c, without)).collect();
        let best = costs.iter().copied().fold(f64::INFINITY, f64::min);
        let raw: Vec<f64> =
            costs.iter().map(|e| if *e <= best { 1.0 } else { (best / e).powf(WEIGHT_POWER) }).collect();
        let sum: f64 = raw.iter().sum();
        raw.iter().map(|w| w / sum).collect()
    }

    /// Mean absolute error of one candidate.
    fn cost(&self, candidate: usize, without: Option<usize>) -> f64 {
        let kept = self.origins.iter().enumerate().filter(|(k, _)| Some(*k) != without);
        let errors: Vec<f64> = kept
            .flat_map(|(_, o)| o.paths[candidate].iter().zip(&o.truth).map(|(p, t)| (p - t).abs()))
            .collect();
        if errors.is_empty() { 1.0 } else { stats::mean(&errors) }
    }

    /// Errors of the combination (truth less foretold), each origin with the weights of the others.
    pub(crate) fn errors(&self) -> Vec<Vec<f64>> {
        self.origins
            .iter()
            .enumerate()
            .map(|(k, origin)| {
                let weights = self.weights(Some(k).filter(|_| self.origins.len() > 2));
                mix(&origin.paths, &weights).iter().zip(&origin.truth).map(|(p, t)| t - p).collect()
            })
            .collect()
    }

    /// The test in the form of the answer.
    pub(crate) fn report(&self, past: &[f64], errors: &[Vec<f64>], coverage_80: Option<f64>) -> Backtest {
        let sizes: Vec<f64> = errors.iter().flatten().map(|e| e.abs()).collect();
        let percentages: Vec<f64> = errors
            .iter()
            .zip(&self.origins)
            .flat_map(|(e, o)| e.iter().zip(&o.truth))
            .map(|(e, truth)| {
                let size = truth.abs() + (truth - e).abs();
                if size > 0.0 { 200.0 * e.abs() / size } else { 0.0 }
            })
            .collect();
        let scale = naive_scale(past);
        let tested = !sizes.is_empty();
        Backtest {
            mase: (tested && scale > 0.0).then(|| stats::mean(&sizes) / scale),
            smape: tested.then(|| stats::mean(&percentages)),
            coverage_80,
            origins: self.origins.len(),
            horizon: errors.first().map_or(0, Vec::len),
        }
    }
}

/// Weighted mean of paths.
pub(crate) fn mix(paths: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let hours = paths.first().map_or(0, Vec::len);
    (0..hours).map(|h| paths.iter().zip(weights).map(|(p, w)| p[h] * w).sum()).collect()
}

/// Mean absolute change from one day to the next (or hour, for less than two days).
pub(crate) fn naive_scale(past: &[f64]) -> f64 {
    let lag = if past.len() > 2 * DAY { DAY } else { 1 };
    let steps: Vec<f64> = past.iter().zip(&past[lag.min(past.len())..]).map(|(a, b)| (b - a).abs()).collect();
    stats::mean(&steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_candidate_weighs_more_and_weights_sum_to_one() {
        let past: Vec<f64> =
            (0..500).map(|h| if h % 168 < 120 { 10.0 } else { 2.0 } + (h % 24) as f64).collect();
        let tested = run(&past, &[ModelName::SeasonalNaiveDay, ModelName::SeasonalNaiveWeek]);
        let weights = tested.weights(None);
        assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9);
        assert!(weights[1] > 0.9, "{weights:?}");
    }

    #[test]
    fn candidates_that_do_not_apply_drop_out() {
        let tested = run(&[1.0; 100], &[ModelName::SeasonalNaiveDay, ModelName::SeasonalNaiveWeek]);
        assert_eq!(tested.names, [ModelName::SeasonalNaiveDay]);
    }
}
