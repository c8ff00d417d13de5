//! How the use of a resource follows the load of a service, and how much load fits before a limit.
//!
//! Two shapes are fitted: a line, and the Universal Scalability Law, in which what each unit of load adds becomes less by
//! contention and coherence: `used = base + slope * n / (1 + contention * n + coherence * n^2)`, with `n` the load in
//! units of the largest one measured. Both are held against stretches of time that they were not fitted on; the law is
//! taken only where it is clearly better there.
//!
//! Invariants: no fit unless the load foretells the use of stretches left out better than their mean does; no largest
//! load beyond [`MAX_STRETCH`] times what was measured; never a panic, whatever the numbers.

use std::collections::BTreeMap;

use crate::stats;

/// Pairs that a fit needs: two days of hours.
pub const MIN_LOAD_POINTS: usize = 48;
/// How many times the largest measured load a statement may reach.
pub const MAX_STRETCH: f64 = 5.0;
/// Events of a kind that the effect of one is learned from.
pub const MIN_EVENT_HOURS: usize = 5;

/// Stretches of time, each left out once.
const FOLDS: usize = 5;
/// The error on what was left out must be below this share of that of the mean.
const BETTER_THAN_MEAN: f64 = 0.9;
/// The law's error on what was left out must be below this share of the line's.
const BETTER_THAN_LINE: f64 = 0.95;
/// Least spread of the load, as a share of its largest value.
const MIN_SPREAD: f64 = 0.05;
/// Largest value that is looked at: squares of larger ones are not finite.
const MAX_VALUE: f64 = 1e150;
/// Contention and coherence that are tried, before the best is refined.
const GRID: [f64; 9] = [0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0];
/// Hours of a week.
const WEEK_HOURS: i64 = 168;
const HOUR_MS: i64 = 3_600_000;

/// Shape of a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadShape {
    /// Each unit of load adds the same.
    Linear,
    /// The Universal Scalability Law.
    Scalability,
}

/// Why there is no fit.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadRefusal {
    /// Too few hours in which both were measured.
    #[error("{have} hours in which load and use were both measured, {need} are needed")]
    TooFew {
        /// What there is.
        have: usize,
        /// What is needed.
        need: usize,
    },
    /// The load does not vary.
    #[error("the load hardly varies, so that nothing can be learned from it")]
    ConstantLoad,
    /// The use does not follow the load.
    #[error("the use does not follow this load")]
    NoRelation,
}

/// The use as a function of the load.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadFit {
    /// Shape.
    pub shape: LoadShape,
    /// Use without load.
    pub base: f64,
    /// Use that the first unit of load adds.
    pub slope: f64,
    /// Contention of the law, in units of `largest_load`; 0 for a line.
    pub contention: f64,
    /// Coherence of the law, in units of `largest_load`; 0 for a line.
    pub coherence: f64,
    /// Hours that it was learned from.
    pub points: usize,
    /// Largest load among them.
    pub largest_load: f64,
    /// Share of the spread of the use, on stretches left out, that the load foretells.
    pub explained: f64,
    /// Nine in ten uses are below the curve plus this.
    pub margin: f64,
}

/// The largest load before a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Headroom {
    /// This load reaches the limit.
    Load(f64),
    /// The limit is not reached with so many times the largest measured load; what is beyond is not known.
    Beyond(f64),
    /// The use stays below the limit, because from this load on it grows no more: what is served falls behind what is
    /// asked.
    Saturates(f64),
    /// The limit is reached without any load.
    None,
}

impl LoadFit {
    /// The use at a load, as likely as not.
    #[must_use]
    pub fn used(&self, load: f64) -> f64 {
        let n = load.max(0.0) / self.largest_load;
        self.base + self.slope * self.largest_load * bent(n, self.contention, self.coherence)
    }

    /// The use that nine in ten hours of this load stay below.
    #[must_use]
    pub fn used_at_most(&self, load: f64) -> f64 {
        self.used(load) + self.margin
    }

    /// The largest load whose use stays below a limit: as likely as not, or (`cautious`) in nine of ten hours.
    #[must_use]
    pub fn headroom(&self, limit: f64, cautious: bool) -> Headroom {
        let limit = if cautious { limit - self.margin } else { limit };
        if self.base >= limit {
            return Headroom::None;
        }
        let top = (self.coherence > 0.0).then(|| self.coherence.sqrt().recip());
        let end = top.map_or(MAX_STRETCH, |top| top.min(MAX_STRETCH)) * self.largest_load;
        if self.used(end) < limit {
            return match top {
                Some(top) if top <= MAX_STRETCH => Headroom::Saturates(end),
                _ => Headroom::Beyond(MAX_STRETCH),
            };
        }
        // The curve rises up to `end`, so halving finds the one place.
        let (mut low, mut high) = (0.0, end);
        for _ in 0..100 {
            let middle = 0.5 * (low + high);
            if self.used(middle) < limit { low = middle } else { high = middle }
        }
        Headroom::Load(high)
    }
}

/// The law's curve, of slope one at no load.
fn bent(n: f64, contention: f64, coherence: f64) -> f64 {
    n / (1.0 + contention * n + coherence * n * n)
}

/// A line through points, the far ones counting less (Huber's weights).
#[derive(Debug, Clone, Copy)]
struct Line {
    base: f64,
    slope: f64,
}

fn line(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Line> {
    let mut found: Option<Line> = None;
    for _ in 0..4 {
        let scale = found.map(|line| {
            let errors: Vec<f64> =
                points.clone().map(|(x, y)| (y - line.base - line.slope * x).abs()).collect();
            1.5 * stats::quantile(&errors, 0.5).max(1e-12)
        });
        let (mut w, mut wx, mut wy, mut wxx, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (x, y) in points.clone() {
            let weight = match (found, scale) {
                (Some(line), Some(scale)) => {
                    (scale / (y - line.base - line.slope * x).abs().max(1e-300)).min(1.0)
                }
                _ => 1.0,
            };
            w += weight;
            wx += weight * x;
            wy += weight * y;
            wxx += weight * x * x;
            wxy += weight * x * y;
        }
        let spread = wxx - wx * wx / w;
        if !(w > 0.0 && spread > 1e-12 * wxx) {
            return found;
        }
        let slope = (wxy - wx * wy / w) / spread;
        found = Some(Line { base: (wy - slope * wx) / w, slope });
    }
    found.filter(|line| line.base.is_finite() && line.slope.is_finite())
}

#[derive(Debug, Clone, Copy)]
struct Curve {
    line: Line,
    contention: f64,
    coherence: f64,
}

impl Curve {
    fn at(&self, n: f64) -> f64 {
        self.line.base + self.line.slope * bent(n, self.contention, self.coherence)
    }

    fn error(&self, points: &[(f64, f64)]) -> f64 {
        points.iter().map(|(n, y)| (y - self.at(*n)).abs()).sum()
    }
}

fn straight(points: &[(f64, f64)]) -> Option<Curve> {
    Some(Curve { line: line(points.iter().copied())?, contention: 0.0, coherence: 0.0 })
}

/// The best curve of the law: a grid, then ever finer steps around the best of it.
fn scalable(points: &[(f64, f64)]) -> Option<Curve> {
    let fit = |contention: f64, coherence: f64| {
        let curved = points.iter().map(move |(n, y)| (bent(*n, contention, coherence), *y));
        let curve = Curve { line: line(curved)?, contention, coherence };
        Some((curve.error(points), curve))
    };
    let grid = GRID.iter().flat_map(|a| GRID.iter().map(move |b| (*a, *b)));
    let better = |a: &(f64, Curve), b: &(f64, Curve)| a.0.total_cmp(&b.0);
    let mut best = grid.filter_map(|(a, b)| fit(a, b)).min_by(better)?;
    let mut factor = 2.0_f64;
    while factor > 1.02 {
        let (a, b) = (best.1.contention, best.1.coherence);
        let around = [(a * factor, b), (a / factor, b), (a, b * factor), (a, b / factor)];
        let next = around.into_iter().filter_map(|(a, b)| fit(a, b)).min_by(better);
        match next {
            Some(next) if next.0 < best.0 => best = next,
            _ => factor = factor.sqrt(),
        }
    }
    Some(best.1)
}

/// Errors on stretches left out: those of `fit`, in the order of the points.
fn left_out(points: &[(f64, f64)], fit: impl Fn(&[(f64, f64)]) -> Option<Curve>) -> Option<Vec<f64>> {
    let mut errors = Vec::with_capacity(points.len());
    for fold in 0..FOLDS {
        let (from, to) = (points.len() * fold / FOLDS, points.len() * (fold + 1) / FOLDS);
        let rest: Vec<(f64, f64)> = points[..from].iter().chain(&points[to..]).copied().collect();
        let curve = fit(&rest)?;
        errors.extend(points[from..to].iter().map(|(n, y)| y - curve.at(*n)));
    }
    Some(errors)
}

fn mean_size(errors: &[f64]) -> f64 {
    errors.iter().map(|error| error.abs()).sum::<f64>() / errors.len().max(1) as f64
}

/// Learns how the use follows the load, from pairs of load and use in the order of their time. What is not finite, or a
/// load below zero, is left out.
///
/// # Errors
/// Why nothing can be learned.
pub fn fit_load(pairs: &[(f64, f64)]) -> Result<LoadFit, LoadRefusal> {
    let usable = |v: f64| v.is_finite() && v.abs() < MAX_VALUE;
    let mut points: Vec<(f64, f64)> =
        pairs.iter().copied().filter(|(load, used)| usable(*load) && usable(*used) && *load >= 0.0).collect();
    if points.len() < MIN_LOAD_POINTS {
        return Err(LoadRefusal::TooFew { have: points.len(), need: MIN_LOAD_POINTS });
    }
    let largest_load = points.iter().map(|(load, _)| *load).fold(0.0, f64::max);
    let loads: Vec<f64> = points.iter().map(|(load, _)| *load).collect();
    let spread = stats::quantile(&loads, 0.95) - stats::quantile(&loads, 0.05);
    if !(largest_load > 0.0 && spread > MIN_SPREAD * largest_load) {
        return Err(LoadRefusal::ConstantLoad);
    }
    for (load, _) in &mut points {
        *load /= largest_load;
    }
    let flat = |points: &[(f64, f64)]| {
        let used: Vec<f64> = points.iter().map(|(_, used)| *used).collect();
        let line = Line { base: stats::quantile(&used, 0.5), slope: 0.0 };
        Some(Curve { line, contention: 0.0, coherence: 0.0 })
    };
    let of_mean = mean_size(&left_out(&points, flat).ok_or(LoadRefusal::NoRelation)?);
    let by_line = left_out(&points, straight).ok_or(LoadRefusal::NoRelation)?;
    let by_law = left_out(&points, scalable);
    let law_is_better =
        by_law.as_ref().is_some_and(|errors| mean_size(errors) < BETTER_THAN_LINE * mean_size(&by_line));
    // What was measured was served: a law that has its top below the largest load that was is refuted by it.
    let law = scalable(&points).filter(|law| law_is_better && law.coherence <= 1.0);
    let (errors, curve) = match (law, by_law) {
        (Some(law), Some(errors)) => (errors, Some(law)),
        _ => (by_line, straight(&points)),
    };
    let curve = curve.filter(|curve| curve.line.slope > 0.0).ok_or(LoadRefusal::NoRelation)?;
    let error = mean_size(&errors);
    if error.is_nan() || error >= BETTER_THAN_MEAN * of_mean {
        return Err(LoadRefusal::NoRelation);
    }
    let bent = curve.contention > 0.0 || curve.coherence > 0.0;
    Ok(LoadFit {
        shape: if bent { LoadShape::Scalability } else { LoadShape::Linear },
        base: curve.line.base,
        slope: curve.line.slope / largest_load,
        contention: curve.contention,
        coherence: curve.coherence,
        points: points.len(),
        largest_load,
        explained: 1.0 - error / of_mean,
        margin: stats::quantile(&errors, 0.9).max(0.0),
    })
}

/// What one event of a kind adds to a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventEffect {
    /// Load that one event adds in its hour.
    pub each: f64,
    /// Hours with such events that it was learned from.
    pub hours: usize,
}

/// Learns what an event adds to the load of its hour, against the same hour of other weeks. `hours` are times and loads,
/// `events` how many events fell into the hour of a time.
///
/// # Errors
/// Why nothing can be learned.
pub fn event_effect(hours: &[(i64, f64)], events: &BTreeMap<i64, u32>) -> Result<EventEffect, LoadRefusal> {
    let slot = |at_ms: i64| at_ms.div_euclid(HOUR_MS).rem_euclid(WEEK_HOURS);
    let count = |at_ms: &i64| events.get(at_ms).copied().unwrap_or(0);
    let mut usual: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (at, load) in hours.iter().filter(|(at, load)| load.is_finite() && count(at) == 0) {
        usual.entry(slot(*at)).or_default().push(*load);
    }
    let each: Vec<f64> = hours
        .iter()
        .filter(|(at, load)| load.is_finite() && count(at) > 0)
        .filter_map(|(at, load)| {
            let of_slot = usual.get(&slot(*at))?;
            Some((load - stats::quantile(of_slot, 0.5)) / f64::from(count(at)))
        })
        .collect();
    if each.len() < MIN_EVENT_HOURS {
        return Err(LoadRefusal::TooFew { have: each.len(), need: MIN_EVENT_HOURS });
    }
    let middle = stats::quantile(&each, 0.5);
    // Three of four must add something, else it is chance.
    let lower = stats::quantile(&each, 0.25);
    if lower.is_nan() || lower <= 0.0 {
        return Err(LoadRefusal::NoRelation);
    }
    Ok(EventEffect { each: middle, hours: each.len() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Noise between -0.5 and 0.5 that is the same in every run.
    fn noise(n: usize) -> f64 {
        ((n * 7_919 + n * n * 31) % 1_009) as f64 / 1_009.0 - 0.5
    }

    /// Four weeks of a load with the shape of a working day, up to 200.
    fn loads() -> Vec<f64> {
        let day = |h: usize| (-((h % 24) as f64 - 13.0).powi(2) / 18.0).exp();
        (0..672).map(|h| 10.0 + 180.0 * day(h) * (1.0 + 0.1 * noise(h))).collect()
    }

    #[test]
    fn a_line_is_found_with_its_largest_load_and_what_exceeds_it() {
        let pairs: Vec<_> =
            loads().into_iter().enumerate().map(|(n, x)| (x, 8.0 + 0.3 * x + 3.0 * noise(n + 5))).collect();
        let fit = fit_load(&pairs).unwrap();
        assert_eq!(fit.shape, LoadShape::Linear, "{fit:?}");
        assert!((fit.slope - 0.3).abs() < 0.01 && (fit.base - 8.0).abs() < 0.5, "{fit:?}");
        let Headroom::Load(load) = fit.headroom(80.0, false) else { panic!("{fit:?}") };
        assert!((load - 240.0).abs() < 6.0, "{load}");
        let Headroom::Load(cautious) = fit.headroom(80.0, true) else { panic!("{fit:?}") };
        assert!(cautious < load && load - cautious < 10.0, "{cautious} {load}");
        assert_eq!(fit.headroom(5.0, false), Headroom::None);
        assert_eq!(fit.headroom(900.0, false), Headroom::Beyond(MAX_STRETCH));
        assert!(fit.explained > 0.8);
    }

    #[test]
    fn a_saturation_is_found_where_it_fits_better_and_says_where_it_is() {
        // Largest use at a load of 250, of 60.
        let law = |x: f64| 120.0 * (x / 250.0) / (1.0 + (x / 250.0).powi(2));
        let pairs: Vec<_> = loads().into_iter().enumerate().map(|(n, x)| (x, law(x) + noise(n))).collect();
        let fit = fit_load(&pairs).unwrap();
        assert_eq!(fit.shape, LoadShape::Scalability, "{fit:?}");
        assert!((fit.used(150.0) - law(150.0)).abs() < 1.5, "{fit:?}");
        let Headroom::Load(load) = fit.headroom(50.0, false) else { panic!("{fit:?}") };
        assert!((load - 133.0).abs() < 8.0, "{load}");
        let Headroom::Saturates(at) = fit.headroom(90.0, false) else { panic!("{fit:?}") };
        assert!((180.0..400.0).contains(&at), "{at}");
    }

    #[test]
    fn no_law_saturates_below_a_load_that_was_served() {
        // Use that falls again at the largest loads: caches that warm up, not a service past its top.
        let pairs: Vec<(f64, f64)> = loads()
            .into_iter()
            .enumerate()
            .map(|(n, load)| {
                let share = load / 200.0;
                (load, 5.0 + 60.0 * share * (1.5 - share) + noise(n))
            })
            .collect();
        if let Ok(fit) = fit_load(&pairs) {
            assert!(fit.coherence <= 1.0, "{fit:?}");
            if let Headroom::Saturates(at) = fit.headroom(99.0, false) {
                assert!(at >= fit.largest_load, "{at} {fit:?}");
            }
        }
    }

    #[test]
    fn hours_that_are_far_off_do_not_move_the_line() {
        let far = |n: usize| if n.is_multiple_of(40) { 400.0 } else { 0.0 };
        let pairs: Vec<_> =
            loads().into_iter().enumerate().map(|(n, x)| (x, 5.0 + 0.2 * x + noise(n) + far(n))).collect();
        let fit = fit_load(&pairs).unwrap();
        assert!((fit.slope - 0.2).abs() < 0.02 && (fit.base - 5.0).abs() < 2.0, "{fit:?}");
    }

    #[test]
    fn what_cannot_be_learned_is_told() {
        let of = |f: &dyn Fn(usize, f64) -> (f64, f64)| {
            let pairs: Vec<_> = loads().into_iter().enumerate().map(|(n, x)| f(n, x)).collect();
            fit_load(&pairs).unwrap_err()
        };
        assert_eq!(of(&|n, x| (x, 40.0 + 20.0 * noise(n))), LoadRefusal::NoRelation);
        assert_eq!(of(&|_, x| (x, 50.0 - 0.2 * x)), LoadRefusal::NoRelation);
        assert_eq!(of(&|_, x| (x, 42.0)), LoadRefusal::NoRelation);
        assert_eq!(of(&|n, _| (100.0, noise(n))), LoadRefusal::ConstantLoad);
        assert_eq!(of(&|_, _| (0.0, 1.0)), LoadRefusal::ConstantLoad);
        assert_eq!(of(&|_, x| (f64::NAN, x)), LoadRefusal::TooFew { have: 0, need: MIN_LOAD_POINTS });
        assert_eq!(fit_load(&[]), Err(LoadRefusal::TooFew { have: 0, need: MIN_LOAD_POINTS }));
    }

    #[test]
    fn an_event_adds_what_its_hours_have_beyond_the_same_hours_of_other_weeks() {
        let load = |hour: i64| 20.0 + 10.0 * ((hour % 24) as f64 - 12.0).abs();
        let closing: BTreeMap<i64, u32> =
            (1..8).map(|n| (n * 70 * HOUR_MS, u32::try_from(n % 3 + 1).unwrap())).collect();
        let hours: Vec<(i64, f64)> = (0..672)
            .map(|hour| {
                let at = hour * HOUR_MS;
                (at, load(hour) + 15.0 * f64::from(closing.get(&at).copied().unwrap_or(0)))
            })
            .collect();
        let effect = event_effect(&hours, &closing).unwrap();
        assert!((effect.each - 15.0).abs() < 1e-9 && effect.hours == 7, "{effect:?}");
        let without: Vec<(i64, f64)> = hours.iter().map(|(at, _)| (*at, load(at / HOUR_MS))).collect();
        assert_eq!(event_effect(&without, &closing), Err(LoadRefusal::NoRelation));
        let few = closing.into_iter().take(2).collect();
        assert_eq!(event_effect(&hours, &few), Err(LoadRefusal::TooFew { have: 2, need: MIN_EVENT_HOURS }));
    }

    proptest! {
        #[test]
        fn any_pairs_give_a_rising_curve_or_a_reason(
            pairs in prop::collection::vec((any::<f64>(), any::<f64>()), 0..120),
            limit in any::<f64>(),
        ) {
            if let Ok(fit) = fit_load(&pairs) {
                prop_assert!(fit.slope > 0.0 && fit.largest_load > 0.0 && fit.margin >= 0.0);
                if let Headroom::Load(load) = fit.headroom(limit, false) {
                    prop_assert!(load >= 0.0 && load <= MAX_STRETCH * fit.largest_load * 1.000_001);
                }
            }
        }
    }
}
