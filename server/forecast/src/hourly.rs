//! The hourly path of a seasonal series: candidates, rolling-origin back-test, weights, conformal intervals.
//!
//! Weights and interval widths come from errors on hours the models had not seen, never from in-sample fit.

use crate::{
    answer::{Backtest, ModelName, Refusal},
    clean,
    models::{self, DAY},
    request::SeriesKind,
    series::HourlySeries,
    stats,
};

/// Origins tested from.
const ORIGINS: usize = 6;

/// Longest distance tested, in hours; beyond it the errors grow by extrapolation.
const TEST_HOURS: usize = 48;

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

/// Errors of one origin, by hour.
struct Origin {
    truth: Vec<f64>,
    /// One path a candidate.
    paths: Vec<Vec<f64>>,
}

/// The same on cleaned values.
pub(crate) fn paths(past: &[f64], horizon: usize, levels: &[f64]) -> Paths {
    let mut names = Vec::new();
    let mut now = Vec::new();
    for &name in models::CANDIDATES {
        if let Some(path) = models::predict(name, past, horizon) {
            names.push(name);
            now.push(path);
        }
    }
    if names.is_empty() {
        names.push(ModelName::Level);
        now.push(vec![stats::median(past); horizon]);
    }
    let origins = test(past, &mut names, &mut now);
    let weights = weigh(&origins, names.len());
    let point = mix(&now, &weights);
    let errors: Vec<Vec<f64>> = origins
        .iter()
        .map(|o| mix(&o.paths, &weights).iter().zip(&o.truth).map(|(p, t)| t - p).collect())
        .collect();
    let fallback = naive_scale(past);
    let bands = levels.iter().map(|&level| band(&point, &errors, level, fallback)).collect();
    let backtest = judge(past, &origins, &errors, &weights);
    let mut parts: Vec<(ModelName, f64)> = names.into_iter().zip(weights).filter(|w| w.1 > 0.005).collect();
    parts.sort_by(|a, b| b.1.total_cmp(&a.1));
    let model = match parts.first() {
        Some(&(name, weight)) if weight > 0.9 => name,
        _ => ModelName::Combination,
    };
    Paths { point, bands, model, weights: parts, backtest }
}

/// Paths from earlier origins; candidates that fail at any origin are dropped.
fn test(past: &[f64], names: &mut Vec<ModelName>, now: &mut Vec<Vec<f64>>) -> Vec<Origin> {
    let hours = TEST_HOURS.min(past.len() / 4);
    let mut origins = Vec::new();
    for k in 0..ORIGINS {
        let Some(end) = past.len().checked_sub(hours + k * DAY) else { break };
        if end < 2 * DAY {
            break;
        }
        let paths: Vec<Option<Vec<f64>>> =
            names.iter().map(|&name| models::predict(name, &past[..end], hours)).collect();
        if paths.iter().all(Option::is_some) {
            let paths = paths.into_iter().flatten().collect();
            origins.push(Origin { truth: past[end..end + hours].to_vec(), paths });
        } else if k == 0 {
            let mut keep = paths.iter().map(Option::is_some);
            names.retain(|_| keep.next().unwrap_or(false));
            let mut keep = paths.iter().map(Option::is_some);
            now.retain(|_| keep.next().unwrap_or(false));
            let paths = paths.into_iter().flatten().collect();
            origins.push(Origin { truth: past[end..end + hours].to_vec(), paths });
        } else {
            break;
        }
    }
    origins
}

/// Weights inverse to the squared mean absolute error.
fn weigh(origins: &[Origin], candidates: usize) -> Vec<f64> {
    let raw: Vec<f64> = (0..candidates)
        .map(|c| {
            let errors: Vec<f64> = origins
                .iter()
                .flat_map(|o| o.paths[c].iter().zip(&o.truth).map(|(p, t)| (p - t).abs()))
                .collect();
            stats::mean(&errors)
        })
        .collect();
    let best = raw.iter().copied().fold(f64::INFINITY, f64::min);
    let weights: Vec<f64> = raw.iter().map(|e| if *e <= best { 1.0 } else { (best / e).powi(2) }).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}

fn mix(paths: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    let hours = paths.first().map_or(0, Vec::len);
    (0..hours).map(|h| paths.iter().zip(weights).map(|(p, w)| p[h] * w).sum()).collect()
}

/// Mean absolute change from one day to the next (or hour, for less than two days).
fn naive_scale(past: &[f64]) -> f64 {
    let lag = if past.len() > 2 * DAY { DAY } else { 1 };
    let steps: Vec<f64> = past.iter().zip(&past[lag.min(past.len())..]).map(|(a, b)| (b - a).abs()).collect();
    stats::mean(&steps)
}

fn band(point: &[f64], errors: &[Vec<f64>], level: f64, fallback: f64) -> Band {
    let level = level.clamp(0.0, 1.0);
    let all: Vec<f64> = errors.iter().flatten().map(|e| e.abs()).collect();
    let half = if all.is_empty() {
        1.5 * fallback * stats::normal_quantile(0.5 + 0.5 * level.min(0.9999))
    } else {
        stats::quantile(&all, level)
    };
    let lower = point.iter().map(|p| p - half).collect();
    let upper = point.iter().map(|p| p + half).collect();
    Band { level, lower, upper }
}

fn judge(past: &[f64], origins: &[Origin], errors: &[Vec<f64>], weights: &[f64]) -> Backtest {
    let all: Vec<f64> = errors.iter().flatten().map(|e| e.abs()).collect();
    let scale = naive_scale(past);
    let horizon = errors.first().map_or(0, Vec::len);
    if all.is_empty() {
        return Backtest { mase: None, smape: None, coverage_80: None, origins: 0, horizon: 0 };
    }
    let percentages: Vec<f64> = origins
        .iter()
        .flat_map(|o| {
            mix(&o.paths, weights)
                .into_iter()
                .zip(o.truth.clone())
                .map(|(p, t)| if p == t { 0.0 } else { 200.0 * (p - t).abs() / (p.abs() + t.abs()) })
        })
        .collect();
    let inside = errors
        .iter()
        .enumerate()
        .map(|(k, own)| {
            let others: Vec<f64> = errors
                .iter()
                .enumerate()
                .filter(|(j, _)| *j != k)
                .flat_map(|(_, e)| e)
                .map(|e| e.abs())
                .collect();
            let half = stats::quantile(&others, 0.8);
            own.iter().filter(|e| e.abs() <= half).count()
        })
        .sum::<usize>();
    Backtest {
        mase: (scale > 0.0).then(|| stats::mean(&all) / scale),
        smape: Some(stats::mean(&percentages)),
        coverage_80: (errors.len() > 1).then(|| inside as f64 / all.len() as f64),
        origins: origins.len(),
        horizon,
    }
}
