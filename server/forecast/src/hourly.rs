//! The hourly path of a seasonal series: candidates, rolling-origin back-test, weights, conformal intervals.
//!
//! Weights and interval widths come from errors on hours the models had not seen, never from in-sample fit.

use crate::{
    answer::{Backtest, ModelName, Refusal},
    backtest, clean,
    conformal::Conformal,
    models,
    request::SeriesKind,
    series::HourlySeries,
    stats,
};

/// Weight from which a part of a combination is named.
const MIN_SHOWN: f64 = 0.005;

/// Weight from which a part stands for the whole.
const ALONE: f64 = 0.9;

/// An interval of a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Share of the values meant to lie inside, 0 to 1.
    pub level: f64,
    /// Lower edge, one value an hour.
    pub lower: Vec<f64>,
    /// Upper edge, one value an hour.
    pub upper: Vec<f64>,
}

/// An hourly path with intervals at any levels.
#[derive(Debug, Clone, PartialEq)]
pub struct Paths {
    /// Median path.
    pub point: Vec<f64>,
    /// One band for every level asked for, in that order.
    pub bands: Vec<Band>,
    /// The leading model, or the combination.
    pub model: ModelName,
    /// The parts and their weights (sum 1), largest first.
    pub weights: Vec<(ModelName, f64)>,
    /// Test on the past.
    pub backtest: Backtest,
}

/// The hourly path of a seasonal series with intervals at the `levels` given (each within 0 to 1).
///
/// # Errors
/// A [`Refusal`] when the series cannot be forecast.
pub fn forecast_paths(series: &HourlySeries, horizon: usize, levels: &[f64]) -> Result<Paths, Refusal> {
    let cleaned = clean::clean(series, SeriesKind::Flow)?;
    let mut paths = paths(&cleaned.filled, horizon + cleaned.stale, levels);
    paths.point.drain(..cleaned.stale);
    for band in &mut paths.bands {
        band.lower.drain(..cleaned.stale);
        band.upper.drain(..cleaned.stale);
    }
    Ok(paths)
}

/// The path of one named model without test or interval, for comparisons; `None` when it does not apply.
///
/// # Errors
/// A [`Refusal`] when the series cannot be forecast.
pub fn single_model_path(
    series: &HourlySeries,
    model: ModelName,
    horizon: usize,
) -> Result<Option<Vec<f64>>, Refusal> {
    let cleaned = clean::clean(series, SeriesKind::Flow)?;
    let path = models::predict(model, &cleaned.filled, horizon + cleaned.stale);
    Ok(path.map(|p| p[cleaned.stale..].to_vec()))
}

/// The same on cleaned values.
pub(crate) fn paths(past: &[f64], horizon: usize, levels: &[f64]) -> Paths {
    let tested = backtest::run(past, models::CANDIDATES);
    let mut names = Vec::new();
    let mut now = Vec::new();
    let mut weights = Vec::new();
    for (name, weight) in tested.names.iter().zip(tested.weights(None)) {
        if let Some(path) = models::predict(*name, past, horizon) {
            names.push(*name);
            now.push(path);
            weights.push(weight);
        }
    }
    if names.is_empty() {
        names.push(ModelName::Level);
        now.push(vec![stats::median(past); horizon]);
        weights.push(1.0);
    }
    let sum: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= sum);
    let point = backtest::mix(&now, &weights);
    let errors = tested.errors();
    let conformal = Conformal::new(&errors, backtest::naive_scale(past));
    let bands = levels
        .iter()
        .map(|&level| {
            let widths = conformal.half_widths(level, horizon);
            let lower = point.iter().zip(&widths).map(|(p, w)| p - w).collect();
            let upper = point.iter().zip(&widths).map(|(p, w)| p + w).collect();
            Band { level, lower, upper }
        })
        .collect();
    let backtest = tested.report(past, &errors, conformal.coverage(0.8));
    let mut parts: Vec<(ModelName, f64)> =
        names.into_iter().zip(weights).filter(|w| w.1 > MIN_SHOWN).collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let model = match parts.first() {
        Some(&(name, weight)) if weight > ALONE => name,
        _ => ModelName::Combination,
    };
    Paths { point, bands, model, weights: parts, backtest }
}
