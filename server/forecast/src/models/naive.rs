//! Repetition: the value one season before, and the mean of the same hour of recent weeks.

use super::{DAY, WEEK};
use crate::stats;

/// Repeats the last season.
pub(super) fn seasonal(past: &[f64], season: usize, horizon: usize) -> Option<Vec<f64>> {
    let last = past.get(past.len().checked_sub(season)?..)?;
    Some((0..horizon).map(|h| last[h % season]).collect())
}

/// Mean of the same hour of the week over up to three weeks, moved by what the last day stands above it.
pub(super) fn week_profile(past: &[f64], horizon: usize) -> Option<Vec<f64>> {
    let weeks = (past.len() / WEEK).min(3);
    if weeks < 2 {
        return None;
    }
    let recent = &past[past.len() - weeks * WEEK..];
    let profile: Vec<f64> = (0..WEEK)
        .map(|hour| (0..weeks).map(|w| recent[w * WEEK + hour]).sum::<f64>() / weeks as f64)
        .collect();
    let lift: Vec<f64> = (0..DAY).map(|h| past[past.len() - DAY + h] - profile[WEEK - DAY + h]).collect();
    let lift = stats::mean(&lift);
    Some((0..horizon).map(|h| profile[h % WEEK] + lift).collect())
}
