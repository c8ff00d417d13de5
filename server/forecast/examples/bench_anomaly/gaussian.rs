//! The benchmark's baseline: how far a value is from the mean of a sliding window, by the normal distribution.

use statrs::distribution::{ContinuousCDF, Normal};

use super::corpus::Series;

/// Settings of the published results.
const WINDOW: usize = 6_400;
const STEP: usize = 100;
const LEAST_DEVIATION: f64 = 1e-6;

fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    (mean, variance.sqrt().max(LEAST_DEVIATION))
}

/// Scores of every row.
pub(super) fn scores(corpus: &[Series]) -> Vec<Vec<f64>> {
    let normal = Normal::standard();
    let of_series = |series: &Series| {
        let (mut window, mut next) = (Vec::new(), Vec::new());
        let mut known = None;
        let judge = |&(_, value): &(i64, f64)| {
            let score = known.map_or(0.0, |(mean, deviation): (f64, f64)| {
                1.0 - 2.0 * normal.sf(((value - mean) / deviation).abs())
            });
            if window.len() < WINDOW {
                window.push(value);
            } else {
                next.push(value);
                if next.len() < STEP {
                    return score;
                }
                window.drain(..STEP);
                window.append(&mut next);
            }
            known = Some(moments(&window));
            score
        };
        series.rows.iter().map(judge).collect()
    };
    corpus.iter().map(of_series).collect()
}
