//! Statistics over the samples of one window.

use crate::eval::{Kahan, mean_of, sum_of};

pub(crate) fn avg(values: &[f64]) -> f64 {
    mean_of(values)
}

pub(crate) fn sum(values: &[f64]) -> f64 {
    sum_of(values).total()
}

/// The smallest value; NaN only if all are.
pub(crate) fn min(values: &[f64]) -> f64 {
    values
        .iter()
        .copied()
        .reduce(|best, v| if v < best || best.is_nan() { v } else { best })
        .unwrap_or(f64::NAN)
}

/// The largest value; NaN only if all are.
pub(crate) fn max(values: &[f64]) -> f64 {
    values
        .iter()
        .copied()
        .reduce(|best, v| if v > best || best.is_nan() { v } else { best })
        .unwrap_or(f64::NAN)
}

/// Index of the last value that is at least as good as all others; NaN loses against everything.
pub(crate) fn index_of_last(values: &[f64], as_good: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (i, &v) in values.iter().enumerate().skip(1) {
        if as_good(v, values[best]) || values[best].is_nan() {
            best = i;
        }
    }
    best
}

/// Population variance, compensated.
pub(crate) fn variance(values: &[f64]) -> f64 {
    let mut count = 0.0;
    let mut mean = Kahan::default();
    let mut squares = Kahan::default();
    for &v in values {
        count += 1.0;
        let delta = v - (mean.sum + mean.compensation);
        mean.add(delta / count);
        squares.add(delta * (v - (mean.sum + mean.compensation)));
    }
    (squares.sum + squares.compensation) / count
}

pub(crate) fn quantile(q: f64, values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend_from_slice(values);
    crate::eval::quantile(q, scratch)
}

/// Median of the distances from the median.
pub(crate) fn median_deviation(values: &[f64], scratch: &mut Vec<f64>) -> f64 {
    let median = quantile(0.5, values, scratch);
    scratch.clear();
    scratch.extend(values.iter().map(|v| (v - median).abs()));
    crate::eval::quantile(0.5, scratch)
}
