//! rate, increase, delta and their instant forms, changes and resets.

use crate::QueryError;
use crate::eval::ABSENT;
use crate::functions::window::{Input, Window};

/// Which of the extrapolating functions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Increase of a counter per second.
    Rate,
    /// Increase of a counter over the range.
    Increase,
    /// Difference of a gauge over the range.
    Delta,
}

/// A gap between the samples and the window's edge of at least this many average intervals is a real gap.
const GAP_INTERVALS: f64 = 1.1;

/// What the times of a window alone say of the way to its edges. Seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edges {
    /// From the window's left edge to the first sample, as far as is extrapolated.
    to_start: f64,
    to_end: f64,
    sampled: f64,
}

impl Edges {
    fn new(input: &Input<'_>, step: usize, times: &[i64]) -> Self {
        let [first, .., last] = times else { return Self { to_start: 0.0, to_end: 0.0, sampled: 0.0 } };
        let (start, end) = input.edges(step);
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let mut to_start = seconds(first - start);
        let mut to_end = seconds(end - last);
        let sampled = seconds(last - first);
        let average = sampled / (times.len() - 1) as f64;
        let threshold = average * GAP_INTERVALS;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        Self { to_start, to_end, sampled }
    }

    /// By what the difference of the samples is multiplied.
    fn factor(&self, to_start: f64) -> f64 {
        (self.sampled + to_start + self.to_end) / self.sampled
    }

    /// `to_start` of a counter that was at `first` and rose by `difference`: it cannot have been below zero, so it
    /// began, at the earliest, where the line meets zero.
    fn back_to_zero(&self, first: f64, difference: f64) -> f64 {
        self.to_start.min(self.sampled * (first / difference))
    }
}

/// Far more than the rounding of two products.
const BEYOND_ROUNDING: f64 = 1.0 + 1e-9;

/// The difference between last and first sample, extrapolated to the edges of the window.
pub(crate) fn extrapolated(input: &Input<'_>, kind: Kind) -> Result<Vec<f64>, QueryError> {
    let is_counter = kind != Kind::Delta;
    let values = input.values;
    let resets = if is_counter { reset_positions(values) } else { Vec::new() };
    let seconds = if kind == Kind::Rate { input.frame.range_ms as f64 / 1000.0 } else { 1.0 };
    // Divisions take most of the time, and series of one scrape have them in common.
    let common = input.windows.edges(|| {
        let windows = input.windows.iter().enumerate();
        let edges = windows.map(|(step, range)| Edges::new(input, step, &input.times[range]));
        edges.map(|edges| (edges, edges.factor(edges.to_start) / seconds)).collect()
    });
    // Resets before the window are passed by once for all steps: windows only move forward.
    let mut passed = 0;
    input.each(|w| {
        let [first, .., last] = *w.values else { return ABSENT };
        let mut difference = last - first;
        if !resets.is_empty() {
            passed += resets[passed..].iter().take_while(|&&r| r <= w.first).count();
            for &r in resets[passed..].iter().take_while(|&&r| r < w.first + w.values.len()) {
                difference += values[r - 1];
            }
        }
        let (edges, factor) = &common[w.step];
        // Whether zero lies before the extrapolated start is seen without a division, but for what is close.
        let zero_is_far = edges.sampled * first > edges.to_start * difference * BEYOND_ROUNDING;
        let rose_from_zero = is_counter && difference > 0.0 && first >= 0.0 && !zero_is_far;
        if rose_from_zero {
            return difference * (edges.factor(edges.back_to_zero(first, difference)) / seconds);
        }
        difference * factor
    })
}

/// Positions of the samples that are below their predecessor.
fn reset_positions(values: &[f64]) -> Vec<usize> {
    let falls = |pair: &[f64]| pair[1] < pair[0];
    // Most counters have none, which is found out without a branch.
    if !values.windows(2).fold(false, |any, pair| any | falls(pair)) {
        return Vec::new();
    }
    values.windows(2).enumerate().filter(|(_, pair)| falls(pair)).map(|(i, _)| i + 1).collect()
}

/// The step between the last two samples: per second for counters (irate), as it is for gauges (idelta).
pub(crate) fn instant(w: &Window<'_>, is_rate: bool) -> f64 {
    let n = w.values.len();
    if n < 2 {
        return ABSENT;
    }
    let (previous, last) = (w.values[n - 2], w.values[n - 1]);
    let interval = w.times[n - 1] - w.times[n - 2];
    if interval == 0 {
        return ABSENT;
    }
    if !is_rate {
        return last - previous;
    }
    let difference = if last < previous { last } else { last - previous };
    difference / (interval as f64 / 1000.0)
}

/// How often the value changed; NaN to NaN is no change.
pub(crate) fn changes(values: &[f64]) -> f64 {
    values.windows(2).filter(|p| p[0] != p[1] && !(p[0].is_nan() && p[1].is_nan())).count() as f64
}

/// How often the value fell.
pub(crate) fn resets(values: &[f64]) -> f64 {
    values.windows(2).filter(|p| p[1] < p[0]).count() as f64
}
