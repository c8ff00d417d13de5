//! Aggregations that look at the order of values or pick series: topk, bottomk, quantile, limitk, limit_ratio.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::QueryError;
use crate::ast::{Aggregate, AggregateOp};
use crate::eval::aggregate::Groups;
use crate::eval::{ABSENT, Evaluator, Grid, Series, is_absent};

impl Evaluator<'_> {
    /// `param` has one value for each step.
    pub(super) fn rank(
        &mut self,
        a: &Aggregate,
        input: &[Series],
        groups: Groups,
        param: &[f64],
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        match a.op {
            AggregateOp::Quantile => Ok(self.quantile_by_group(a, input, groups, param, grid)),
            AggregateOp::LimitRatio => self.limit_ratio(a, input, param, grid),
            _ => self.pick(a.op, input, &groups, param, grid),
        }
    }

    fn quantile_by_group(
        &mut self,
        a: &Aggregate,
        input: &[Series],
        groups: Groups,
        param: &[f64],
        grid: &Grid,
    ) -> Vec<Series> {
        if let Some(at) = &a.param {
            for q in [any_nan(param), Some(extreme(param, f64::max)), Some(extreme(param, f64::min))] {
                if let Some(q) = q.filter(|q| !(0.0..=1.0).contains(q)) {
                    self.notes.warn(at, &invalid_quantile(q));
                }
            }
        }
        let members = groups.members();
        let mut scratch = Vec::new();
        let mut out = Vec::with_capacity(members.len());
        for ((labels, drop_name), members) in groups.labels.into_iter().zip(groups.drop_name).zip(members) {
            let mut values = vec![ABSENT; grid.count];
            for (step, cell) in values.iter_mut().enumerate() {
                scratch.clear();
                scratch.extend(members.iter().map(|&i| input[i].values[step]).filter(|v| !is_absent(*v)));
                if !scratch.is_empty() {
                    *cell = quantile(param[step], &mut scratch);
                }
            }
            out.push(Series { labels, drop_name, values });
        }
        out
    }

    /// topk, bottomk and limitk: the series themselves, with gaps where they were not picked.
    fn pick(
        &mut self,
        op: AggregateOp,
        input: &[Series],
        groups: &Groups,
        param: &[f64],
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        if extreme(param, f64::max) < 1.0 {
            return Ok(Vec::new());
        }
        let limits = param.iter().map(|k| limit(*k)).collect::<Result<Vec<usize>, _>>()?;
        let mut picked: Vec<Option<Vec<f64>>> = vec![None; input.len()];
        // Series in the order they are answered in: by rank where there is one step.
        let mut order: Vec<usize> = Vec::new();
        let mut candidates: Vec<(f64, usize)> = Vec::new();
        for members in groups.members() {
            self.budget.check_time()?;
            for (step, &k) in limits.iter().enumerate().filter(|(_, k)| **k > 0) {
                candidates.clear();
                candidates
                    .extend(members.iter().map(|&i| (input[i].values[step], i)).filter(|c| !is_absent(c.0)));
                keep_best(op, &mut candidates, k, grid.count == 1);
                for &(v, i) in &candidates {
                    let column = picked[i].get_or_insert_with(|| {
                        order.push(i);
                        vec![ABSENT; grid.count]
                    });
                    column[step] = v;
                }
            }
        }
        if grid.count > 1 {
            order.sort_unstable();
        }
        self.budget.hold(order.len().saturating_mul(grid.count))?;
        let series = order.into_iter().filter_map(|i| {
            let values = picked[i].take()?;
            Some(Series { labels: input[i].labels.clone(), drop_name: input[i].drop_name, values })
        });
        Ok(series.collect())
    }

    /// A share of the series, always the same ones: chosen by a hash of their labels.
    fn limit_ratio(
        &mut self,
        a: &Aggregate,
        input: &[Series],
        param: &[f64],
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        if any_nan(param).is_some() {
            return Err(QueryError::execution("Ratio value is NaN"));
        }
        for r in [extreme(param, f64::max), extreme(param, f64::min)] {
            let capped = r.clamp(-1.0, 1.0);
            if let Some(at) = a.param.as_ref().filter(|_| r != capped) {
                let (r, capped) = (crate::format::format_general(r), crate::format::format_general(capped));
                self.notes.warn(
                    at,
                    &format!("ratio value should be between -1 and 1, got {r}, capping to {capped}"),
                );
            }
        }
        let ratios: Vec<f64> = param.iter().map(|r| r.clamp(-1.0, 1.0)).collect();
        self.budget.hold(input.len().saturating_mul(grid.count))?;
        let mut out = Vec::new();
        for s in input {
            let position = hash_position(s);
            let mut s = s.clone();
            for (v, &ratio) in s.values.iter_mut().zip(&ratios) {
                let chosen = if ratio >= 0.0 { position < ratio } else { position >= 1.0 + ratio };
                if !chosen {
                    *v = ABSENT;
                }
            }
            if !s.is_empty() {
                out.push(s);
            }
        }
        Ok(out)
    }
}

fn any_nan(param: &[f64]) -> Option<f64> {
    param.iter().copied().find(|p| p.is_nan())
}

/// The largest or smallest of the values that are numbers.
fn extreme(param: &[f64], pick: fn(f64, f64) -> f64) -> f64 {
    param.iter().copied().filter(|p| !p.is_nan()).reduce(pick).unwrap_or(f64::NAN)
}

/// The first float beyond 64-bit integers.
const INT64_BOUND: f64 = 9_223_372_036_854_775_808.0;

/// The k of topk and its like. Below 1 nothing is picked.
fn limit(k: f64) -> Result<usize, QueryError> {
    if k.is_nan() {
        return Err(QueryError::execution("Parameter value is NaN"));
    }
    let value = || crate::format::format_general(k);
    if k <= -INT64_BOUND {
        return Err(QueryError::execution(format!("Scalar value {} underflows int64", value())));
    }
    if k >= INT64_BOUND {
        return Err(QueryError::execution(format!("Scalar value {} overflows int64", value())));
    }
    Ok(if k < 1.0 { 0 } else { k as usize })
}

/// Reduces the candidates to the best k; of equal values the first stay. Sorted only on demand.
fn keep_best(op: AggregateOp, candidates: &mut Vec<(f64, usize)>, k: usize, sorted: bool) {
    if op == AggregateOp::LimitK {
        candidates.truncate(k);
        return;
    }
    let largest_first = op == AggregateOp::TopK;
    let better = |a: &(f64, usize), b: &(f64, usize)| by_value(a.0, b.0, largest_first).then(a.1.cmp(&b.1));
    if k < candidates.len() {
        candidates.select_nth_unstable_by(k - 1, better);
        candidates.truncate(k);
    }
    if sorted {
        candidates.sort_unstable_by(better);
    }
}

/// Order of values with NaN last whatever the direction.
pub(crate) fn by_value(a: f64, b: f64, descending: bool) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            let order = a.partial_cmp(&b).unwrap_or(Ordering::Equal);
            if descending { order.reverse() } else { order }
        }
    }
}

fn hash_position(s: &Series) -> f64 {
    // The default hasher's keys are fixed, so the choice is the same in every run of one build.
    let mut hasher = std::hash::DefaultHasher::new();
    s.labels.hash(&mut hasher);
    hasher.finish() as f64 / u64::MAX as f64
}

pub(crate) fn invalid_quantile(q: f64) -> String {
    format!("quantile value should be between 0 and 1, got {}", crate::format::format_general(q))
}

/// The q-quantile with linear interpolation; NaN counts as the smallest value. Reorders the values.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (false, false) => a.total_cmp(b),
    });
    let n = values.len() as f64;
    let rank = q * (n - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (n - 1.0).min(lower + 1.0);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}
