//! Lines through samples: deriv, predict_linear, and double exponential smoothing.

use crate::eval::{ABSENT, ErrorFree};
use crate::functions::window::Window;

/// Slope per second and value at `origin` (milliseconds) of the least-squares line.
fn line(w: &Window<'_>, origin: i64) -> (f64, f64) {
    let first = w.values[0];
    if w.values.iter().all(|v| *v == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = w.values.len() as f64;
    let (mut x_sum, mut y_sum) = (ErrorFree::default(), ErrorFree::default());
    let (mut xy_sum, mut xx_sum) = (ErrorFree::default(), ErrorFree::default());
    for (t, y) in w.times.iter().zip(w.values) {
        let x = (t - origin) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    let (x_sum, y_sum) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x_sum * y_sum / n;
    let variance = xx_sum.total() - x_sum * x_sum / n;
    let slope = covariance / variance;
    (slope, y_sum / n - slope * x_sum / n)
}

pub(crate) fn deriv(w: &Window<'_>) -> f64 {
    if w.values.len() < 2 { ABSENT } else { line(w, w.times[0]).0 }
}

/// The line's value `ahead` seconds after the evaluation at `now` (milliseconds).
pub(crate) fn predict(w: &Window<'_>, now: i64, ahead: f64) -> f64 {
    if w.values.len() < 2 {
        return ABSENT;
    }
    let (slope, intercept) = line(w, now);
    slope * ahead + intercept
}

/// Holt's linear method: smoothed value with a smoothed trend.
pub(crate) fn double_exponential(values: &[f64], smoothing: f64, trend_factor: f64) -> f64 {
    if values.len() < 2 {
        return ABSENT;
    }
    let mut previous = 0.0;
    let mut smoothed = values[0];
    let mut trend = values[1] - values[0];
    for (i, v) in values.iter().enumerate().skip(1) {
        let scaled = smoothing * v;
        if i > 1 {
            trend = trend_factor * (smoothed - previous) + (1.0 - trend_factor) * trend;
        }
        let next = scaled + (1.0 - smoothing) * (smoothed + trend);
        (previous, smoothed) = (smoothed, next);
    }
    smoothed
}
