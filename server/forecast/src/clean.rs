//! From what was measured to what can be modelled: refusals first, then outliers set aside and gaps filled.
//!
//! Invariant: a [`Cleaned`] holds only finite values, at least [`MIN_KNOWN_HOURS`] of them measured.

use crate::{
    answer::{MIN_KNOWN_HOURS, Note, Refusal},
    request::SeriesKind,
    series::{HourlySeries, MAX_HOURS},
    stats,
};

/// Largest magnitude computed with; beyond lie wrong units, and overflow in squares.
pub const MAX_MAGNITUDE: f64 = 1e60;

/// Hours that may be missing at the end before the series counts as dead.
pub const MAX_STALE_HOURS: usize = 7 * 24;

/// A lone hour this many robust deviations from its neighbours is an outlier.
const OUTLIER_SIGMAS: f64 = 10.0;

/// Hours either side that an hour is compared with.
const OUTLIER_REACH: usize = 3;

/// A series ready for the models.
#[derive(Debug, Clone)]
pub(crate) struct Cleaned {
    /// Measured values with `NaN` gaps, outliers kept, trimmed at both ends.
    pub(crate) known: Vec<f64>,
    /// Gaps and outliers filled in.
    pub(crate) filled: Vec<f64>,
    /// Index in the caller's series of the first value here.
    pub(crate) offset: usize,
    /// Hours missing after the last value.
    pub(crate) stale: usize,
    /// What was noticed.
    pub(crate) notes: Vec<Note>,
}

/// Checks and cleans a series.
pub(crate) fn clean(series: &HourlySeries, kind: SeriesKind) -> Result<Cleaned, Refusal> {
    let values = &series.values;
    refuse_unusable(values)?;
    let first = values.iter().position(|v| v.is_finite()).unwrap_or(0);
    let last = values.iter().rposition(|v| v.is_finite()).unwrap_or(0);
    let stale = values.len() - 1 - last;
    if stale > MAX_STALE_HOURS {
        return Err(Refusal::Stale { hours: stale, limit: MAX_STALE_HOURS });
    }
    let known = values[first..=last].to_vec();
    let mut notes = Vec::new();
    if is_counter(&known) {
        if kind == SeriesKind::Flow {
            return Err(Refusal::LooksLikeCounter);
        }
        notes.push(Note::LooksLikeCounter);
    }
    if stale > 0 {
        notes.push(Note::Stale { hours: stale });
    }
    let gaps = known.iter().filter(|v| !v.is_finite()).count();
    if gaps > 0 {
        notes.push(Note::GapsFilled { hours: gaps });
    }
    let have = known.len() - gaps;
    if have < 3 * 24 {
        notes.push(Note::ShortHistory { days: have as f64 / 24.0 });
    }
    let outliers = lone_outliers(&known);
    if !outliers.is_empty() {
        notes.push(Note::Outliers { count: outliers.len() });
    }
    let mut filled = known.clone();
    for &index in &outliers {
        filled[index] = f64::NAN;
    }
    fill_gaps(&mut filled);
    Ok(Cleaned { known, filled, offset: first, stale, notes })
}

fn refuse_unusable(values: &[f64]) -> Result<(), Refusal> {
    if values.is_empty() {
        return Err(Refusal::Empty);
    }
    if values.len() > MAX_HOURS {
        return Err(Refusal::TooLong { have: values.len(), limit: MAX_HOURS });
    }
    if let Some(index) = values.iter().position(|v| v.is_infinite()) {
        return Err(Refusal::NotFinite { index });
    }
    if let Some(index) = values.iter().position(|v| v.abs() > MAX_MAGNITUDE) {
        return Err(Refusal::OutOfRange { index, limit: MAX_MAGNITUDE });
    }
    let have = values.iter().filter(|v| v.is_finite()).count();
    match have {
        0 => Err(Refusal::AllGaps { hours: values.len() }),
        1..MIN_KNOWN_HOURS => Err(Refusal::TooShort { have, need: MIN_KNOWN_HOURS }),
        _ => Ok(()),
    }
}

/// A counter read as a gauge rises in nearly every hour, never falls except back to near zero, and has risen
/// far above where it (re)started.
fn is_counter(known: &[f64]) -> bool {
    let values: Vec<f64> = known.iter().copied().filter(|v| v.is_finite()).collect();
    let top = values.iter().copied().fold(0.0, f64::max);
    let (mut rises, mut falls) = (0_usize, 0_usize);
    for pair in values.windows(2) {
        if pair[1] > pair[0] {
            rises += 1;
        } else if pair[1] < pair[0] {
            if pair[1] > 0.05 * pair[0] {
                return false;
            }
            falls += 1;
        }
    }
    let start = values.first().copied().unwrap_or(0.0);
    // A disk that has never been cleaned also only rises, but it starts with something on it.
    rises + falls >= values.len() * 9 / 10 && values.len() >= 48 && (falls > 0 || start < 0.05 * top)
}

/// Hours far from the hours around them, unless there are so many that they are part of the behaviour (a nightly
/// job is no outlier).
fn lone_outliers(known: &[f64]) -> Vec<usize> {
    let centre: Vec<f64> = (0..known.len())
        .map(|i| {
            let window = i.saturating_sub(OUTLIER_REACH)..(i + OUTLIER_REACH + 1).min(known.len());
            stats::median(&known[window])
        })
        .collect();
    let away: Vec<f64> = known.iter().zip(&centre).map(|(v, c)| v - c).collect();
    let steps: Vec<f64> = known.windows(2).map(|w| (w[1] - w[0]).abs()).collect();
    let sigma = stats::mad_sigma(&away).max(stats::quantile(&steps, 0.9));
    let spread = stats::quantile(known, 0.95) - stats::quantile(known, 0.05);
    let limit = (OUTLIER_SIGMAS * sigma).max(spread);
    if !stats::is_positive(limit) {
        return Vec::new();
    }
    // The last hours have no right side to be compared with.
    let judged = known.len().saturating_sub(OUTLIER_REACH);
    let found: Vec<usize> = (OUTLIER_REACH..judged).filter(|&i| away[i].abs() > limit).collect();
    if found.len() > 1 + known.len() / (7 * 24) { Vec::new() } else { found }
}

/// Fills `NaN` runs: short ones by a straight line, longer ones with the same hours of the neighbouring days moved
/// onto that line. Both ends are finite by construction.
fn fill_gaps(values: &mut [f64]) {
    let source = values.to_vec();
    let mut index = 0;
    while index < source.len() {
        if source[index].is_finite() {
            index += 1;
            continue;
        }
        let start = index;
        while index < source.len() && !source[index].is_finite() {
            index += 1;
        }
        fill_run(values, &source, start, index);
    }
}

fn fill_run(values: &mut [f64], source: &[f64], start: usize, end: usize) {
    const STRAIGHT: usize = 3;
    let before = if start > 0 { source[start - 1] } else { source.get(end).copied().unwrap_or(0.0) };
    let after = source.get(end).copied().unwrap_or(before);
    let length = end - start;
    let line = |i: usize| before + (after - before) * (i as f64 + 1.0) / (length as f64 + 1.0);
    let shape = |index: usize| {
        let at = |i: Option<usize>| i.and_then(|i| source.get(i)).copied().filter(|v| v.is_finite());
        [168, 24, 48].into_iter().find_map(|lag| {
            match (at(index.checked_sub(lag)), at(index.checked_add(lag))) {
                (Some(a), Some(b)) => Some(0.5 * (a + b)),
                (a, b) => a.or(b),
            }
        })
    };
    let shapes: Vec<Option<f64>> = (start..end).map(shape).collect();
    let edges = (start.checked_sub(1).and_then(shape), shape(end));
    for i in 0..length {
        values[start + i] = match (shapes[i], edges) {
            (Some(own), (Some(left), Some(right))) if length > STRAIGHT => {
                let base = left + (right - left) * (i as f64 + 1.0) / (length as f64 + 1.0);
                line(i) + own - base
            }
            _ => line(i),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: Vec<f64>) -> HourlySeries {
        HourlySeries { start_ms: 0, values }
    }

    #[test]
    fn a_long_gap_takes_the_shape_of_the_days_around_it() {
        let shape = |i: usize| 50.0 + 10.0 * (i as f64 * std::f64::consts::TAU / 24.0).sin();
        let mut values: Vec<f64> = (0..240).map(shape).collect();
        values[100..118].fill(f64::NAN);
        let cleaned = clean(&series(values), SeriesKind::Flow).unwrap();
        for i in 100..118 {
            assert!((cleaned.filled[i] - shape(i)).abs() < 1.0, "hour {i}: {}", cleaned.filled[i]);
        }
        assert!(cleaned.notes.contains(&Note::GapsFilled { hours: 18 }));
    }

    #[test]
    fn a_lone_spike_is_set_aside_but_a_nightly_job_is_not() {
        let mut values: Vec<f64> = (0..240).map(|i| 20.0 + f64::from(i % 5)).collect();
        values[77] = 900.0;
        let cleaned = clean(&series(values.clone()), SeriesKind::Flow).unwrap();
        assert!(cleaned.filled[77] < 30.0);
        for day in 0..10 {
            values[day * 24 + 3] = 900.0;
        }
        let cleaned = clean(&series(values), SeriesKind::Flow).unwrap();
        assert_eq!(cleaned.filled[3 * 24 + 3], 900.0);
    }

    #[test]
    fn a_counter_is_not_a_flow() {
        let counter: Vec<f64> = (0..200).map(|i| f64::from(i % 150) * 7.0).collect();
        assert_eq!(clean(&series(counter), SeriesKind::Flow).unwrap_err(), Refusal::LooksLikeCounter);
    }
}
