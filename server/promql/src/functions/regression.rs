//! Lines through samples: deriv, predict_linear, and double exponential smoothing.

use crate::QueryError;
use crate::eval::{ABSENT, ErrorFree};
use crate::functions::window::{Input, Window};

/// Sums over the times of a window, seconds after its origin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TimeSums {
    x: f64,
    xx: f64,
}

impl TimeSums {
    fn new(times: &[i64], origin: i64) -> Self {
        let (mut x_sum, mut xx_sum) = (ErrorFree::default(), ErrorFree::default());
        for t in times {
            let x = seconds_after(origin, *t);
            x_sum.add(x);
            xx_sum.add(x * x);
        }
        Self { x: x_sum.total(), xx: xx_sum.total() }
    }
}

fn seconds_after(origin: i64, t: i64) -> f64 {
    (t - origin) as f64 / 1000.0
}

/// Slope per second and value at `origin` (milliseconds) of the least-squares line.
fn line(w: &Window<'_>, sums: &TimeSums, origin: i64) -> (f64, f64) {
    let first = w.values[0];
    if w.values.iter().all(|v| *v == first) {
        return if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) };
    }
    let n = w.values.len() as f64;
    let (mut y_sum, mut xy_sum) = (ErrorFree::default(), ErrorFree::default());
    for (t, y) in w.times.iter().zip(w.values) {
        y_sum.add(*y);
        xy_sum.add(seconds_after(origin, *t) * y);
    }
    let y_sum = y_sum.total();
    let covariance = xy_sum.total() - sums.x * y_sum / n;
    let variance = sums.xx - sums.x * sums.x / n;
    let slope = covariance / variance;
    (slope, y_sum / n - slope * sums.x / n)
}

/// Applies a function to the line through each window, taken from the origin of the window.
fn lines(
    input: &Input<'_>,
    origin: impl Fn(usize, &[i64]) -> i64,
    value: impl Fn(usize, (f64, f64)) -> f64,
) -> Result<Vec<f64>, QueryError> {
    // Half of the sums are of times alone, which the series of one scrape have in common.
    let sums = input.windows.time_sums(|| {
        let windows = input.windows.iter().enumerate();
        let sums = windows.map(|(step, range)| match &input.times[range] {
            times @ [_, _, ..] => TimeSums::new(times, origin(step, times)),
            _ => TimeSums { x: 0.0, xx: 0.0 },
        });
        sums.collect()
    });
    input.each(|w| {
        if w.values.len() < 2 {
            return ABSENT;
        }
        value(w.step, line(&w, &sums[w.step], origin(w.step, w.times)))
    })
}

pub(crate) fn deriv(input: &Input<'_>) -> Result<Vec<f64>, QueryError> {
    lines(input, |_, times| times[0], |_, (slope, _)| slope)
}

/// The line's value `ahead` seconds after the evaluation.
pub(crate) fn predict(input: &Input<'_>, ahead: &[f64]) -> Result<Vec<f64>, QueryError> {
    let value = |step: usize, (slope, intercept): (f64, f64)| slope * ahead[step] + intercept;
    lines(input, |step, _| input.grid.time(step), value)
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
