//! The upper envelope of a series: one peak a day, level shifts taken out, the periodic part set apart.
//!
//! Saw-tooth series (logs rotated, caches collected) are judged by their peaks; a clean-up or a migration is a
//! level shift, after which the trend starts anew. What recurs is behaviour, not a shift.
//!
//! Invariant: the last block ends with the series; `blocks` and `profile` are finite or `NaN` for a gap.

use crate::{slope, stats};

/// Days of history from which daily peaks are used; below, quarter days.
const DAILY_FROM_DAYS: usize = 7;

/// Blocks a day for short histories.
const SHORT_PER_DAY: usize = 4;

/// A step this many robust deviations from the usual step is a level shift.
const SHIFT_SIGMAS: f64 = 8.0;

/// Blocks after a shift from which nothing before it is used any more.
const FRESH_BLOCKS: usize = 21;

/// Similar steps from which on they are behaviour.
const RECURRENT: usize = 3;

/// Peaks and what was found in them. Values are turned so that up is towards the limit.
#[derive(Debug, Clone)]
pub(crate) struct Envelope {
    /// One peak a block, moved to the present level, without the periodic part; `NaN` where nothing was measured.
    pub(crate) blocks: Vec<f64>,
    /// Periodic part by `index % period`; empty when there is none.
    pub(crate) profile: Vec<f64>,
    /// Blocks a day: 1, or 4 for a short history.
    pub(crate) per_day: usize,
    /// Level shifts: block index in `blocks`, size.
    pub(crate) shifts: Vec<(usize, f64)>,
    /// Blocks from peak to peak of a saw-tooth.
    pub(crate) saw_tooth: Option<f64>,
    /// Hours before the first block.
    pub(crate) skipped_hours: usize,
}

impl Envelope {
    /// The periodic part at a block index, also beyond the end.
    pub(crate) fn periodic(&self, index: usize) -> f64 {
        if self.profile.is_empty() { 0.0 } else { self.profile[index % self.profile.len()] }
    }

    /// Hours a block.
    pub(crate) fn block_hours(&self) -> usize {
        24 / self.per_day
    }
}

/// Builds the envelope of hourly values (`NaN` for gaps).
pub(crate) fn build(known: &[f64]) -> Envelope {
    let per_day = if known.len() >= DAILY_FROM_DAYS * 24 { 1 } else { SHORT_PER_DAY };
    let (raw, skipped) = peaks(known, 24 / per_day);
    let tooth = saw_tooth(&raw);
    let rough_period = match &tooth {
        Some(tooth) if tooth.regular => Some(tooth.period.round() as usize),
        _ if per_day > 1 => Some(per_day).filter(|p| raw.len() >= 2 * p),
        _ => Some(7).filter(|_| raw.len() >= 21),
    };
    let (mut blocks, mut skipped_hours) = (raw, skipped);
    if let Some(tooth) = tooth.as_ref().filter(|t| !t.regular) {
        let reach = (tooth.period.ceil() as usize + 1).min(blocks.len() / 2);
        blocks = running_max(&blocks, reach);
        skipped_hours += reach.saturating_sub(1) * (24 / per_day);
    }
    let mut shifts = level_shifts(&blocks, rough_period);
    for &(at, size) in &shifts {
        blocks[..at].iter_mut().for_each(|v| *v += size);
    }
    if let Some(at) = shifts.last().map(|s| s.0).filter(|at| blocks.len() - at >= FRESH_BLOCKS) {
        blocks.drain(..at);
        skipped_hours += at * (24 / per_day);
        shifts.retain_mut(|s| {
            let keep = s.0 >= at;
            s.0 = s.0.saturating_sub(at);
            keep
        });
    }
    let profile = rough_period.map(|period| periodic_part(&blocks, period)).unwrap_or_default();
    if !profile.is_empty() {
        let period = profile.len();
        blocks.iter_mut().enumerate().for_each(|(i, v)| *v -= profile[i % period]);
    }
    Envelope { blocks, profile, per_day, shifts, saw_tooth: tooth.map(|t| t.period), skipped_hours }
}

/// Largest known value of each block, counted back from the end; a block with less than a quarter known is a gap.
fn peaks(known: &[f64], hours: usize) -> (Vec<f64>, usize) {
    let skipped = known.len() % hours;
    let blocks = known[skipped..]
        .chunks_exact(hours)
        .map(|block| {
            let have = block.iter().filter(|v| v.is_finite()).count();
            if have * 4 < hours {
                return f64::NAN;
            }
            block.iter().copied().filter(|v| v.is_finite()).fold(f64::NEG_INFINITY, f64::max)
        })
        .collect();
    (blocks, skipped)
}

struct SawTooth {
    period: f64,
    regular: bool,
}

/// Steps between neighbouring known blocks, per block.
fn steps(blocks: &[f64]) -> Vec<(usize, f64)> {
    let known: Vec<(usize, f64)> =
        blocks.iter().copied().enumerate().filter(|(_, v)| v.is_finite()).collect();
    known.windows(2).map(|w| (w[1].0, (w[1].1 - w[0].1) / (w[1].0 - w[0].0) as f64)).collect()
}

fn wild_limit(sizes: &[f64], sigmas: f64) -> f64 {
    let largest = sizes.iter().fold(0.0, |m: f64, s| m.max(s.abs()));
    (sigmas * stats::mad_sigma(sizes)).max(0.02 * largest)
}

/// Drops of like size at like distances.
fn saw_tooth(blocks: &[f64]) -> Option<SawTooth> {
    let steps = steps(blocks);
    let sizes: Vec<f64> = steps.iter().map(|s| s.1).collect();
    let usual = stats::median(&sizes);
    let limit = wild_limit(&sizes, 6.0);
    let drops: Vec<(usize, f64)> = steps.iter().copied().filter(|s| s.1 - usual < -limit).collect();
    if drops.len() < RECURRENT || usual < 0.0 || !stats::is_positive(limit) {
        return None;
    }
    let gaps: Vec<f64> = drops.windows(2).map(|w| (w[1].0 - w[0].0) as f64).collect();
    let period = stats::median(&gaps);
    let size = stats::median(&drops.iter().map(|d| d.1).collect::<Vec<_>>());
    let alike = drops.iter().filter(|d| d.1 / size > 0.4 && d.1 / size < 2.5).count();
    let near = gaps.iter().filter(|g| (*g - period).abs() <= (0.35 * period).max(1.0)).count();
    // It must still be going on: the last drop is no further back than two periods.
    let recent = drops.last().is_some_and(|d| ((blocks.len() - d.0) as f64) < 2.0 * period + 1.0);
    if period < 2.0 || alike * 4 < drops.len() * 3 || near * 4 < gaps.len() * 3 || !recent {
        return None;
    }
    let even = gaps.iter().filter(|g| (*g - period).abs() < 0.5).count();
    Some(SawTooth { period, regular: even * 10 >= gaps.len() * 9 && blocks.len() as f64 >= 3.0 * period })
}

/// Largest value of the last `reach` blocks, for every block that has as many before it.
fn running_max(blocks: &[f64], reach: usize) -> Vec<f64> {
    let reach = reach.max(1);
    blocks.windows(reach).map(|w| w.iter().copied().fold(f64::NAN, f64::max)).collect()
}

/// Lone lasting steps: where, and by how much.
fn level_shifts(blocks: &[f64], period: Option<usize>) -> Vec<(usize, f64)> {
    let mut steps = steps(blocks);
    let drift = stats::median(&steps.iter().map(|s| s.1).collect::<Vec<_>>());
    if let Some(period) = period.filter(|p| steps.len() >= 3 * p) {
        // What the same weekday always does is no shift.
        for phase in 0..period {
            let usual = stats::median(
                &steps.iter().filter(|s| s.0 % period == phase).map(|s| s.1).collect::<Vec<_>>(),
            );
            if usual.is_finite() {
                steps.iter_mut().filter(|s| s.0 % period == phase).for_each(|s| s.1 -= usual);
            }
        }
    }
    let sizes: Vec<f64> = steps.iter().map(|s| s.1).collect();
    let usual = stats::median(&sizes);
    let limit = wild_limit(&sizes, SHIFT_SIGMAS);
    if !stats::is_positive(limit) || steps.len() < 5 {
        return Vec::new();
    }
    let wild: Vec<(usize, f64)> =
        steps.iter().map(|s| (s.0, s.1 - usual)).filter(|s| s.1.abs() > limit).collect();
    if [true, false].iter().any(|up| is_behaviour(&wild, *up)) {
        return Vec::new();
    }
    wild.into_iter()
        .filter_map(|(at, step)| lasting(blocks, at, step, drift).map(|size| (at, size)))
        .collect()
}

/// More than a few steps the same way and of like size are how the series grows, not changes of it.
fn is_behaviour(wild: &[(usize, f64)], up: bool) -> bool {
    let same: Vec<f64> = wild.iter().map(|s| s.1).filter(|s| (*s > 0.0) == up).collect();
    let size = stats::median(&same);
    let alike = same.iter().filter(|s| **s / size > 0.5 && **s / size < 2.0).count();
    alike > RECURRENT && alike * 4 >= same.len() * 3
}

/// The size of a step that is still there some blocks later.
fn lasting(blocks: &[f64], at: usize, step: f64, usual: f64) -> Option<f64> {
    const REACH: usize = 5;
    let side = |range: std::ops::Range<usize>| {
        let start = range.start;
        let flat: Vec<f64> = blocks[range]
            .iter()
            .enumerate()
            .map(|(i, v)| v - usual * ((start + i) as f64 - at as f64))
            .collect();
        stats::median(&flat)
    };
    let after = at..(at + REACH).min(blocks.len());
    // A rise on the very last block may be a temporary file; a fall is a clean-up at once.
    if step > 0.0 && after.len() < 2 {
        return None;
    }
    let size = side(after) - side(at.saturating_sub(REACH)..at);
    (size / step > 0.5).then_some(size)
}

/// Medians by phase of what a robust line leaves over, when they explain a good part of it.
fn periodic_part(blocks: &[f64], period: usize) -> Vec<f64> {
    if blocks.len() < 2 * period || period < 2 {
        return Vec::new();
    }
    let Some(line) = slope::fit(blocks) else { return Vec::new() };
    let last = blocks.len() - 1;
    let left: Vec<f64> =
        blocks
            .iter()
            .enumerate()
            .map(|(i, v)| {
                if i < line.first { f64::NAN } else { v - line.level - line.slope * (i as f64 - last as f64) }
            })
            .collect();
    let mut profile: Vec<f64> = (0..period)
        .map(|phase| stats::median(&left.iter().copied().skip(phase).step_by(period).collect::<Vec<_>>()))
        .collect();
    let centre = stats::mean(&profile);
    if !centre.is_finite() {
        return Vec::new();
    }
    profile.iter_mut().for_each(|p| *p -= centre);
    let spread = |values: Vec<f64>| {
        stats::mean(&values.into_iter().filter(|v| v.is_finite()).map(f64::abs).collect::<Vec<_>>())
    };
    let before = spread(left.clone());
    let after = spread(left.iter().enumerate().map(|(i, v)| v - centre - profile[i % period]).collect());
    // Medians of few values fit chance: each phase must be backed by cycles enough for the gain it claims.
    let cycles = blocks.len() as f64 / period as f64;
    let by_chance = 1.0 - 0.8 / cycles.max(1.0);
    if after < 0.85 * by_chance * before { profile } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hourly(days: usize, value: impl Fn(f64) -> f64) -> Vec<f64> {
        (0..days * 24).map(|h| value(h as f64 / 24.0)).collect()
    }

    #[test]
    fn a_clean_up_is_a_shift_and_earlier_days_are_dropped_or_moved() {
        let values = hourly(60, |d| 100.0 + d - if d >= 50.0 { 40.0 } else { 0.0 });
        let envelope = build(&values);
        assert_eq!(envelope.shifts.len(), 1);
        assert!((envelope.shifts[0].1 + 40.0).abs() < 1.5, "{:?}", envelope.shifts);
        assert!((envelope.blocks[0] - 61.0).abs() < 2.0);
        let early = hourly(60, |d| 100.0 + d - if d >= 20.0 { 40.0 } else { 0.0 });
        assert_eq!(build(&early).blocks.len(), 40);
    }

    #[test]
    fn weekly_rotation_is_behaviour_not_a_shift() {
        let values = hourly(70, |d| 100.0 + 0.5 * d + 5.0 * (d % 7.0));
        let envelope = build(&values);
        assert!(envelope.shifts.is_empty(), "{:?}", envelope.shifts);
        assert_eq!(envelope.saw_tooth, Some(7.0));
        let line = slope::fit(&envelope.blocks).unwrap();
        assert!((line.slope - 0.5).abs() < 0.05, "{}", line.slope);
    }

    #[test]
    fn a_working_week_becomes_a_profile() {
        let values = hourly(56, |d| if (d as usize) % 7 < 5 { 80.0 } else { 30.0 } + (d * 7.3).sin());
        let envelope = build(&values);
        assert_eq!(envelope.profile.len(), 7);
        assert!(envelope.shifts.is_empty(), "{:?}", envelope.shifts);
    }
}
