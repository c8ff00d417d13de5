//! Sums and means over windows that overlap: the samples between two edges of windows are summed once, and each window
//! adds up its segments. Compensated throughout, so that a sum of segments is as exact as a sum of samples.

use crate::QueryError;
use crate::eval::{Kahan, sum_of};
use crate::functions::over_time;
use crate::functions::window::Input;

/// A window of at least so many samples for each of its segments is worth them.
const SAMPLES_OF_A_SEGMENT: usize = 4;

pub(crate) fn sums(input: &Input<'_>) -> Result<Vec<f64>, QueryError> {
    match Segments::new(input) {
        Some(segments) => input.each(|w| {
            segments.sum(w.first, w.values).map_or_else(|| over_time::sum(w.values), |s| s.total())
        }),
        None => input.each(|w| over_time::sum(w.values)),
    }
}

pub(crate) fn averages(input: &Input<'_>) -> Result<Vec<f64>, QueryError> {
    match Segments::new(input) {
        Some(segments) => input.each(|w| {
            let count = w.values.len() as f64;
            let mean = |sum: Kahan| sum.sum / count + sum.compensation / count;
            segments.sum(w.first, w.values).map_or_else(|| over_time::avg(w.values), mean)
        }),
        None => input.each(|w| over_time::avg(w.values)),
    }
}

/// Where the segments begin, ascending, and the end of the last; and their sums.
struct Segments {
    edges: Vec<usize>,
    sums: Vec<Kahan>,
}

impl Segments {
    /// `None` where the windows do not overlap enough.
    fn new(input: &Input<'_>) -> Option<Self> {
        let (mut edges, mut samples) = (Vec::new(), 0);
        for window in input.windows.iter() {
            samples += window.len();
            edges.extend([window.start, window.end]);
        }
        edges.sort_unstable();
        edges.dedup();
        let (first, last) = (*edges.first()?, *edges.last()?);
        // Segments that windows hold in all, were each as long as all others.
        let held = samples.checked_mul(edges.len())?.checked_div(last - first)?;
        if samples < held.saturating_mul(SAMPLES_OF_A_SEGMENT) || samples < 2 * (last - first) {
            return None;
        }
        let sums = edges.windows(2).map(|edge| sum_of(&input.values[edge[0]..edge[1]])).collect();
        Some(Self { edges, sums })
    }

    /// The sum of a window; `None` where it is not finite, which segments may hide.
    fn sum(&self, first: usize, values: &[f64]) -> Option<Kahan> {
        let from = self.edges.partition_point(|&edge| edge < first);
        let to = from + self.edges[from..].partition_point(|&edge| edge < first + values.len());
        let mut sum = Kahan::default();
        for segment in self.sums.get(from..to)? {
            sum.add(segment.sum);
            sum.compensation += segment.compensation;
        }
        (sum.sum.is_finite() && sum.compensation.is_finite()).then_some(sum)
    }
}
