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

/// The difference between last and first sample, extrapolated to the edges of the window.
pub(crate) fn extrapolated(input: &Input<'_>, kind: Kind) -> Result<Vec<f64>, QueryError> {
    let is_counter = kind != Kind::Delta;
    let resets = if is_counter { reset_positions(&input.series.values) } else { Vec::new() };
    let values = &input.series.values;
    // Resets before the window are passed by once for all steps: windows only move forward.
    let mut passed = 0;
    input.each(|w| {
        let n = w.values.len();
        if n < 2 {
            return ABSENT;
        }
        let mut difference = w.values[n - 1] - w.values[0];
        passed += resets[passed..].iter().take_while(|&&r| r <= w.first).count();
        for &r in resets[passed..].iter().take_while(|&&r| r < w.first + n) {
            difference += values[r - 1];
        }
        difference * factor(input, &w, difference, kind)
    })
}

/// Positions of the samples that are below their predecessor.
fn reset_positions(values: &[f64]) -> Vec<usize> {
    values.windows(2).enumerate().filter(|(_, pair)| pair[1] < pair[0]).map(|(i, _)| i + 1).collect()
}

fn factor(input: &Input<'_>, w: &Window<'_>, difference: f64, kind: Kind) -> f64 {
    let (start, end) = input.edges(w.step);
    let (first, last) = (w.times[0], w.times[w.times.len() - 1]);
    let seconds = |ms: i64| ms as f64 / 1000.0;
    let mut to_start = seconds(first - start);
    let mut to_end = seconds(end - last);
    let sampled = seconds(last - first);
    let average = sampled / (w.times.len() - 1) as f64;
    let threshold = average * GAP_INTERVALS;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if kind != Kind::Delta {
        // A counter cannot have been below zero: it began, at the earliest, where the line meets zero.
        let mut to_zero = to_start;
        if difference > 0.0 && w.values[0] >= 0.0 {
            to_zero = sampled * (w.values[0] / difference);
        }
        to_start = to_start.min(to_zero);
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let factor = (sampled + to_start + to_end) / sampled;
    if kind == Kind::Rate { factor / seconds(input.range_ms) } else { factor }
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
