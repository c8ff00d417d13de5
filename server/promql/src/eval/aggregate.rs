//! Aggregations that fold the series of a group into one: sum, avg, min … and count_values.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ast::{Aggregate, AggregateOp, Grouping};
use crate::eval::kahan::{Kahan, Mean};
use crate::eval::parallel;
use crate::eval::{ABSENT, Budget, Evaluated, Evaluator, Grid, Series, is_absent, merge_same_labels};
use crate::format::{format_value, quoted};
use crate::labels::METRIC_NAME;
use crate::{Labels, QueryError};

/// The groups of a vector.
pub(super) struct Groups {
    pub(super) labels: Vec<Labels>,
    /// For each group: the name is to be removed at the end.
    pub(super) drop_name: Vec<bool>,
    /// For each series the index of its group.
    pub(super) of_series: Vec<usize>,
}

/// Folds values into one cell.
trait Accumulator {
    fn start(value: f64) -> Self;
    fn add(&mut self, value: f64);
    fn finish(&self) -> f64;
}

impl Evaluator<'_> {
    pub(super) fn eval_aggregate(&mut self, a: &Aggregate, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        if a.op == AggregateOp::CountValues {
            return self.count_values(a, grid);
        }
        let param = a.param.as_ref().map(|p| self.eval_scalar(p, grid)).transpose()?;
        let input = self.eval_vector(&a.expr, grid)?;
        let groups = Groups::new(&input, &a.grouping);
        if !matches!(
            a.op,
            AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::LimitK | AggregateOp::LimitRatio
        ) {
            self.budget.hold(groups.labels.len().saturating_mul(grid.count))?;
        }
        let (input, budget) = (&input, &self.budget);
        match a.op {
            AggregateOp::Sum => fold::<Sum>(input, groups, grid, budget),
            AggregateOp::Avg => fold::<Mean>(input, groups, grid, budget),
            AggregateOp::Count => fold::<Count>(input, groups, grid, budget),
            AggregateOp::Group => fold::<Presence>(input, groups, grid, budget),
            AggregateOp::Min => fold::<Min>(input, groups, grid, budget),
            AggregateOp::Max => fold::<Max>(input, groups, grid, budget),
            AggregateOp::Stddev => fold::<Spread<true>>(input, groups, grid, budget),
            AggregateOp::Stdvar => fold::<Spread<false>>(input, groups, grid, budget),
            _ => self.rank(a, input, groups, &param.unwrap_or_default(), grid),
        }
    }

    fn count_values(&mut self, a: &Aggregate, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let label = match a.param.as_ref().map(|p| self.eval(p, grid)).transpose()? {
            Some(Evaluated::Text(label)) => label,
            _ => return Err(QueryError::execution("count_values needs a label name")),
        };
        if label.is_empty() || !crate::functions::is_valid_label_name(&label) {
            return Err(QueryError::execution(format!("invalid label name {}", quoted(&label))));
        }
        let input = self.eval_vector(&a.expr, grid)?;
        let groups = Groups::new(&input, &a.grouping);
        let value_grouped_away = matches!(&a.grouping, Grouping::Without(l) if l.contains(&label));
        let mut index: HashMap<(usize, u64), usize> = HashMap::new();
        let mut out: Vec<Series> = Vec::new();
        for (s, &g) in input.iter().zip(&groups.of_series) {
            self.budget.check_time()?;
            for (step, v) in s.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
                let bits = if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() };
                let at = match index.get(&(g, bits)) {
                    Some(&at) => at,
                    None => {
                        self.budget.hold(grid.count)?;
                        let text = if value_grouped_away { String::new() } else { format_value(*v) };
                        out.push(Series {
                            labels: groups.labels[g].with(&label, &text),
                            drop_name: groups.drop_name[g],
                            values: vec![ABSENT; grid.count],
                        });
                        index.insert((g, bits), out.len() - 1);
                        out.len() - 1
                    }
                };
                let cell = &mut out[at].values[step];
                *cell = if is_absent(*cell) { 1.0 } else { *cell + 1.0 };
            }
        }
        add_same_labels(out)
    }
}

/// Groups that differed only in the label that `count_values` overwrites count together.
fn add_same_labels(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut index: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut out: Vec<Series> = Vec::with_capacity(series.len());
    for s in series {
        if let Some(&at) = index.get(&s.labels) {
            for (cell, v) in out[at].values.iter_mut().zip(&s.values).filter(|(_, v)| !is_absent(**v)) {
                *cell = if is_absent(*cell) { *v } else { *cell + *v };
            }
        } else {
            index.insert(s.labels.clone(), out.len());
            out.push(s);
        }
    }
    merge_same_labels(out)
}

impl Groups {
    pub(super) fn new(input: &[Series], grouping: &Grouping) -> Self {
        let mut groups =
            Self { labels: Vec::new(), drop_name: Vec::new(), of_series: Vec::with_capacity(input.len()) };
        let mut index: HashMap<Labels, usize> = HashMap::new();
        for s in input {
            let labels = group_labels(&s.labels, grouping);
            let next = groups.labels.len();
            let g = *index.entry(labels).or_insert_with_key(|labels| {
                groups.labels.push(labels.clone());
                groups.drop_name.push(false);
                next
            });
            groups.drop_name[g] |= s.drop_name;
            groups.of_series.push(g);
        }
        groups
    }

    /// For each group the indexes of its series.
    pub(super) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.labels.len()];
        for (i, &g) in self.of_series.iter().enumerate() {
            members[g].push(i);
        }
        members
    }
}

fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    let listed = |list: &[Arc<str>], name: &str| list.iter().any(|l| &**l == name);
    match grouping {
        Grouping::By(list) if list.is_empty() => Labels::empty(),
        Grouping::By(list) => labels.filtered(|name| listed(list, name)),
        Grouping::Without(list) => labels.filtered(|name| name != METRIC_NAME && !listed(list, name)),
    }
}

/// Folds each group by itself, its series in their order, so that threads change nothing in the sums.
fn fold<A: Accumulator>(
    input: &[Series],
    groups: Groups,
    grid: &Grid,
    budget: &Budget,
) -> Result<Vec<Series>, QueryError> {
    let members = groups.members();
    let threads = budget.threads().min(members.len());
    // What each thread folds into, beside the columns.
    budget.hold_bytes(size_of::<Option<A>>().saturating_mul(grid.count).saturating_mul(threads))?;
    let cells = input.len().saturating_mul(grid.count);
    let columns = parallel::map(&members, (threads, cells), |members| {
        let mut cells: Vec<Option<A>> = (0..grid.count).map(|_| None).collect();
        for &at in members {
            for (cell, &v) in cells.iter_mut().zip(&input[at].values) {
                if is_absent(v) {
                    continue;
                }
                match cell {
                    Some(a) => a.add(v),
                    None => *cell = Some(A::start(v)),
                }
            }
        }
        cells.iter().map(|c| c.as_ref().map_or(ABSENT, A::finish)).collect()
    });
    let series = groups.labels.into_iter().zip(groups.drop_name).zip(columns);
    Ok(series.map(|((labels, drop_name), values)| Series { labels, drop_name, values }).collect())
}

struct Sum(Kahan);
impl Accumulator for Sum {
    fn start(value: f64) -> Self {
        Self(Kahan::new(value))
    }
    #[inline]
    fn add(&mut self, value: f64) {
        self.0.add(value);
    }
    fn finish(&self) -> f64 {
        self.0.sum + self.0.compensation
    }
}

impl Accumulator for Mean {
    fn start(value: f64) -> Self {
        Self::new(value)
    }
    #[inline]
    fn add(&mut self, value: f64) {
        Self::add(self, value);
    }
    fn finish(&self) -> f64 {
        self.value()
    }
}

struct Count(f64);
impl Accumulator for Count {
    fn start(_: f64) -> Self {
        Self(1.0)
    }
    #[inline]
    fn add(&mut self, _: f64) {
        self.0 += 1.0;
    }
    fn finish(&self) -> f64 {
        self.0
    }
}

struct Presence;
impl Accumulator for Presence {
    fn start(_: f64) -> Self {
        Self
    }
    fn add(&mut self, _: f64) {}
    fn finish(&self) -> f64 {
        1.0
    }
}

/// NaN counts only when there is nothing else.
struct Min(f64);
impl Accumulator for Min {
    fn start(value: f64) -> Self {
        Self(value)
    }
    #[inline]
    fn add(&mut self, value: f64) {
        if value < self.0 || self.0.is_nan() {
            self.0 = value;
        }
    }
    fn finish(&self) -> f64 {
        self.0
    }
}

struct Max(f64);
impl Accumulator for Max {
    fn start(value: f64) -> Self {
        Self(value)
    }
    #[inline]
    fn add(&mut self, value: f64) {
        if value > self.0 || self.0.is_nan() {
            self.0 = value;
        }
    }
    fn finish(&self) -> f64 {
        self.0
    }
}

/// Population variance by Welford's method, or its square root.
struct Spread<const ROOT: bool> {
    count: f64,
    mean: f64,
    squares: f64,
}
impl<const ROOT: bool> Accumulator for Spread<ROOT> {
    fn start(value: f64) -> Self {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Self { count: 1.0, mean: value, squares }
    }
    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }
    fn finish(&self) -> f64 {
        let variance = self.squares / self.count;
        if ROOT { variance.sqrt() } else { variance }
    }
}
