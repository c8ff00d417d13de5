//! Regression of an hour on the series' own past: recent hours, and the same hour days and weeks ago.
//!
//! Fitted by ridge least squares with two rounds of Huber weights, so lone wild hours do not bend it; the path is
//! built hour by hour, feeding foretold hours back in.

use super::WEEK;
use crate::stats;

/// Ridge penalty relative to the number of rows (columns are standardised).
const RIDGE: f64 = 0.003;

/// Rounds of least squares: the first plain, the others with Huber weights.
const ROUNDS: usize = 3;

/// Residuals past so many robust deviations count less.
const HUBER: f64 = 1.5;

/// Lags with the recent hours: good for the next hours.
pub(super) const NEAR: &[usize] = &[1, 2, 3, 23, 24, 25, 48, 72, 96, 120, 144, 167, 168, 169, 192, 336];

/// Lags of whole days: good for the days after.
pub(super) const SEASONAL: &[usize] = &[24, 48, 72, 96, 120, 144, 168, 192, 336];

/// The path by regression on the `lags`, of which those too long for the past are left out.
pub(super) fn predict(past: &[f64], lags: &[usize], horizon: usize) -> Option<Vec<f64>> {
    let reach = lags.iter().copied().filter(|lag| past.len() >= lag + (WEEK + 24).max(lag / 2)).max()?;
    let lags: Vec<usize> = lags.iter().copied().filter(|lag| *lag <= reach).collect();
    if past.len() < reach + 3 * lags.len() {
        return None;
    }
    let centre = stats::mean(past);
    let scale = stats::rms(&past.iter().map(|v| v - centre).collect::<Vec<_>>());
    if !stats::is_positive(scale) {
        return None;
    }
    let mut track: Vec<f64> = past.iter().map(|v| (v - centre) / scale).collect();
    let coefficients = fit(&track, &lags, reach)?;
    let (top, bottom) = track.iter().fold((f64::MIN, f64::MAX), |(t, b), v| (t.max(*v), b.min(*v)));
    // An unstable recursion must not run away: one range beyond what was ever seen.
    let room = top - bottom;
    for _ in 0..horizon {
        let now = track.len();
        let value = coefficients[lags.len()]
            + lags.iter().zip(&coefficients).map(|(lag, c)| c * track[now - lag]).sum::<f64>();
        track.push(value.clamp(bottom - room, top + room));
    }
    Some(track[past.len()..].iter().map(|v| centre + scale * v).collect())
}

/// Coefficients of the lags, then the constant.
fn fit(track: &[f64], lags: &[usize], reach: usize) -> Option<Vec<f64>> {
    let width = lags.len() + 1;
    let rows = track.len() - reach;
    let mut coefficients = vec![0.0; width];
    let mut weights = vec![1.0; rows];
    let mut row = vec![1.0; width];
    for round in 0..ROUNDS {
        if round > 0 {
            let residuals: Vec<f64> = (reach..track.len())
                .map(|t| track[t] - coefficients[width - 1] - dot_lags(track, t, lags, &coefficients))
                .collect();
            let limit = HUBER * stats::mad_sigma(&residuals);
            for (weight, residual) in weights.iter_mut().zip(&residuals) {
                *weight = if residual.abs() > limit && limit > 0.0 { limit / residual.abs() } else { 1.0 };
            }
        }
        let mut normal = vec![0.0; width * width];
        let mut right = vec![0.0; width];
        for (t, weight) in (reach..track.len()).zip(&weights) {
            for (cell, lag) in row.iter_mut().zip(lags) {
                *cell = track[t - lag];
            }
            for i in 0..width {
                let scaled = weight * row[i];
                right[i] += scaled * track[t];
                for j in 0..=i {
                    normal[i * width + j] += scaled * row[j];
                }
            }
        }
        for i in 0..lags.len() {
            normal[i * width + i] += RIDGE * rows as f64;
        }
        normal[width * width - 1] += 1e-6 * rows as f64;
        coefficients = solve(&mut normal, &right, width)?;
    }
    Some(coefficients)
}

fn dot_lags(track: &[f64], t: usize, lags: &[usize], coefficients: &[f64]) -> f64 {
    lags.iter().zip(coefficients).map(|(lag, c)| c * track[t - lag]).sum()
}

/// Cholesky on the lower triangle; `None` when the matrix is not positive definite.
fn solve(matrix: &mut [f64], right: &[f64], n: usize) -> Option<Vec<f64>> {
    for i in 0..n {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let rest = matrix[i * n + j] - sum;
            if i == j {
                if !stats::is_positive(rest) {
                    return None;
                }
                matrix[i * n + i] = rest.sqrt();
            } else {
                matrix[i * n + j] = rest / matrix[j * n + j];
            }
        }
    }
    let mut x = right.to_vec();
    for i in 0..n {
        let sum: f64 = (0..i).map(|k| matrix[i * n + k] * x[k]).sum();
        x[i] = (x[i] - sum) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let sum: f64 = (i + 1..n).map(|k| matrix[k * n + i] * x[k]).sum();
        x[i] = (x[i] - sum) / matrix[i * n + i];
    }
    Some(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pure_daily_wave_is_continued() {
        let wave = |h: usize| 10.0 + (h as f64 * std::f64::consts::TAU / 24.0).sin();
        let past: Vec<f64> = (0..700).map(wave).collect();
        for lags in [NEAR, SEASONAL] {
            let path = predict(&past, lags, 48).unwrap();
            for (h, value) in path.iter().enumerate() {
                assert!((value - wave(700 + h)).abs() < 0.05, "hour {h}: {value}");
            }
        }
    }

    #[test]
    fn a_constant_or_short_past_has_no_regression() {
        assert!(predict(&[5.0; 500], NEAR, 10).is_none());
        assert!(predict(&[1.0, 2.0], NEAR, 10).is_none());
    }
}
