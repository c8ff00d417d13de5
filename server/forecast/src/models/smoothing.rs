//! Simple and damped-trend exponential smoothing of a series without season, and the theta line.
//!
//! The shares minimise absolute errors at several distances, since a path of days is wanted.

use super::DAY;
use crate::stats;

/// Distances whose errors are minimised, in hours.
const DISTANCES: [usize; 4] = [1, 6, 24, 48];

/// Shares of the error tried for the level.
const ALPHAS: [f64; 8] = [0.01, 0.03, 0.08, 0.2, 0.4, 0.6, 0.8, 0.98];

/// Shares tried for the trend, relative to the level's; zero is simple smoothing.
const BETAS: [f64; 4] = [0.0, 0.005, 0.03, 0.15];

/// Damping of the trend an hour.
const DAMPINGS: [f64; 2] = [0.96, 0.995];

/// Hours used at most to find the shares.
const LEARN: usize = 28 * DAY;

#[derive(Clone, Copy)]
struct Shares {
    alpha: f64,
    beta: f64,
    phi: f64,
}

/// Level and trend after the past, by the best shares.
pub(super) fn damped(past: &[f64], horizon: usize) -> Vec<f64> {
    let recent = &past[past.len().saturating_sub(LEARN)..];
    let mut best = (f64::INFINITY, Shares { alpha: 0.2, beta: 0.0, phi: 1.0 });
    for alpha in ALPHAS {
        for beta in BETAS {
            for phi in DAMPINGS {
                let shares = Shares { alpha, beta: beta * alpha, phi };
                let cost = cost(recent, shares);
                if cost < best.0 {
                    best = (cost, shares);
                }
                if beta == 0.0 {
                    break;
                }
            }
        }
    }
    let shares = best.1;
    let (level, trend) = walk(recent, shares, |_, _, _| {});
    let mut value = level;
    let mut slope = trend;
    (0..horizon)
        .map(|_| {
            slope *= shares.phi;
            value += slope;
            value
        })
        .collect()
}

fn walk(past: &[f64], shares: Shares, mut seen: impl FnMut(usize, f64, f64)) -> (f64, f64) {
    let mut level = stats::mean(&past[..past.len().min(DAY)]);
    let mut trend = 0.0;
    for (t, value) in past.iter().enumerate() {
        trend *= shares.phi;
        let error = value - level - trend;
        level += trend + shares.alpha * error;
        trend += shares.beta * error;
        seen(t, level, trend);
    }
    (level, trend)
}

fn cost(past: &[f64], shares: Shares) -> f64 {
    let reach = DISTANCES.map(|d| (1..=d).map(|k| shares.phi.powi(k as i32)).sum::<f64>());
    let mut sum = 0.0;
    walk(past, shares, |t, level, trend| {
        if t < 2 * DAY {
            return;
        }
        for (distance, reach) in DISTANCES.into_iter().zip(reach) {
            if let Some(truth) = past.get(t + distance) {
                sum += (truth - level - trend * reach).abs();
            }
        }
    });
    sum
}

/// Theta: the mean of a straight line and simple smoothing, that is smoothing with half the line's slope.
pub(super) fn theta(past: &[f64], horizon: usize) -> Vec<f64> {
    let n = past.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let centre = stats::mean(past);
    let (mut up, mut down) = (0.0, 0.0);
    for (t, value) in past.iter().enumerate() {
        let x = t as f64 - middle;
        up += x * (value - centre);
        down += x * x;
    }
    let slope = if down > 0.0 { up / down } else { 0.0 };
    let mut best = (f64::INFINITY, 0.2);
    for alpha in ALPHAS {
        let found = cost(past, Shares { alpha, beta: 0.0, phi: 1.0 });
        if found < best.0 {
            best = (found, alpha);
        }
    }
    let (level, _) = walk(past, Shares { alpha: best.1, beta: 0.0, phi: 1.0 }, |_, _, _| {});
    (1..=horizon).map(|h| level + 0.5 * slope * h as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_followed_and_a_level_kept() {
        let line: Vec<f64> = (0..400).map(|t| 3.0 + 0.5 * f64::from(t)).collect();
        let path = damped(&line, 10);
        assert!(path[0] > 201.0 && path[0] < 205.0, "{path:?}");
        let level = damped(&[7.0; 200], 10);
        assert!(level.iter().all(|v| (v - 7.0).abs() < 1e-9));
    }

    #[test]
    fn theta_grows_with_half_the_slope() {
        let line: Vec<f64> = (0..400).map(f64::from).collect();
        let path = theta(&line, 11);
        assert!(((path[10] - path[0]) / 10.0 - 0.5).abs() < 0.01);
    }
}
