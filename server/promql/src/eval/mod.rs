//! The evaluator: walks the tree once, every node for all steps of a grid.
//!
//! Invariants: a [`Series`] column has exactly one cell for each step of its grid; within a vector no two series
//! have equal labels; what a node holds is charged to the budget before it is allocated.

mod aggregate;
mod binary;
mod budget;
mod call;
mod column;
mod kahan;
mod matching;
mod notes;
mod parallel;
mod range;
mod rank;
mod select;
mod sets;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

pub(crate) use budget::Budget;
pub(crate) use column::{ABSENT, Evaluated, Grid, Series, is_absent, merge_same_labels};
pub(crate) use kahan::{ErrorFree, Kahan, mean_of, sum_of};
pub(crate) use notes::Notes;
pub(crate) use range::{Frame, RangeSeries, Windows};
pub(crate) use rank::{by_value, quantile};

use crate::answer::{Answer, MatrixSeries, Value};
use crate::ast::{Expr, Kind};
use crate::options::EngineOptions;
use crate::{QueryError, Storage};

/// One evaluation of one query.
pub(crate) struct Evaluator<'a> {
    storage: &'a dyn Storage,
    options: &'a EngineOptions,
    /// The grid of the whole query: what `start()`, `end()` and `@ start()` mean.
    query_grid: Grid,
    /// The end that was asked for, which the last step may not reach.
    query_end: i64,
    budget: Budget,
    notes: Notes<'a>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        storage: &'a dyn Storage,
        options: &'a EngineOptions,
        text: &'a str,
        (grid, query_end): (&Grid, i64),
        deadline: Option<Instant>,
        cancel: Option<Arc<AtomicBool>>,
    ) -> Self {
        Self {
            storage,
            options,
            query_grid: *grid,
            query_end,
            budget: Budget::new(options, deadline, cancel),
            notes: Notes::new(text),
        }
    }

    /// Evaluates the whole query and settles what was put off (delayed removal of names).
    pub(crate) fn eval_top(&mut self, expr: &Expr, grid: &Grid) -> Result<Evaluated, QueryError> {
        match self.eval(expr, grid)? {
            Evaluated::Vector(series) => Ok(Evaluated::Vector(settle_names(series)?)),
            other => Ok(other),
        }
    }

    /// An instant query whose value is a range vector.
    pub(crate) fn instant_matrix(
        &mut self,
        expr: &Expr,
        grid: &Grid,
    ) -> Result<Vec<MatrixSeries>, QueryError> {
        let data = self.range_vector(expr, grid, None)?;
        let mut out = Vec::with_capacity(data.series.len());
        for series in &data.series {
            let windows = data.frame.windows(&series.timestamps, grid);
            let Some(range) = windows.first() else { continue };
            let points: Vec<(i64, f64)> = range.map(|i| (series.timestamps[i], series.values[i])).collect();
            if !points.is_empty() {
                let labels = if series.drop_name {
                    series.labels.without_metric_identity()
                } else {
                    series.labels.clone()
                };
                out.push(MatrixSeries::of_floats(labels, points));
            }
        }
        out.sort_by(|a, b| a.labels.cmp(&b.labels));
        if out.windows(2).any(|w| w[0].labels == w[1].labels) {
            return Err(QueryError::same_labelset());
        }
        Ok(out)
    }

    pub(crate) fn into_answer(self, value: Value) -> Answer {
        let (warnings, infos) = self.notes.into_lists();
        Answer { value, warnings, infos }
    }

    /// Evaluates one node on a grid. What the children held is given back, what the result holds is charged.
    fn eval(&mut self, expr: &Expr, grid: &Grid) -> Result<Evaluated, QueryError> {
        self.budget.check_time()?;
        let held = self.budget.held();
        let pinned =
            expr.invariant && grid.count > 1 && !matches!(expr.kind, Kind::Number(_) | Kind::Text(_));
        let value = if pinned {
            let once = self.eval_node(expr, &Grid::single(grid.start))?;
            self.budget.hold(once.series_count().saturating_mul(grid.count))?;
            once.repeated(grid.count)
        } else {
            self.eval_node(expr, grid)?
        };
        self.budget.reset_to(held);
        self.budget.hold(value.size())?;
        Ok(value)
    }

    fn eval_node(&mut self, expr: &Expr, grid: &Grid) -> Result<Evaluated, QueryError> {
        match &expr.kind {
            Kind::Number(n) => self.constant(*n, grid),
            Kind::Text(s) => Ok(Evaluated::Text(s.clone())),
            Kind::Selector(s) => self.eval_selector(s, grid).map(Evaluated::Vector),
            Kind::Paren(inner) => self.eval(inner, grid),
            Kind::Negate(inner) => self.eval_negate(inner, grid),
            Kind::Binary(b) => self.eval_binary(b, grid),
            Kind::Aggregate(a) => self.eval_aggregate(a, grid).map(Evaluated::Vector),
            Kind::Call { func, name, args } => self.eval_call(*func, name, args, grid),
            Kind::Range { .. } | Kind::Subquery(_) => {
                Err(QueryError::execution("range vector where an instant vector is expected"))
            }
        }
    }

    fn constant(&mut self, value: f64, grid: &Grid) -> Result<Evaluated, QueryError> {
        self.budget.hold(grid.count)?;
        Ok(Evaluated::Scalar(vec![value; grid.count]))
    }

    fn eval_negate(&mut self, inner: &Expr, grid: &Grid) -> Result<Evaluated, QueryError> {
        match self.eval(inner, grid)? {
            Evaluated::Scalar(mut values) => {
                values.iter_mut().for_each(|v| *v = -*v);
                Ok(Evaluated::Scalar(values))
            }
            Evaluated::Vector(mut series) => {
                for s in &mut series {
                    s.map(|v| -v);
                }
                self.drop_names(series).map(Evaluated::Vector)
            }
            text @ Evaluated::Text(_) => Ok(text),
        }
    }

    /// Evaluates a node that the checks at parse time proved to be a vector.
    fn eval_vector(&mut self, expr: &Expr, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        match self.eval(expr, grid)? {
            Evaluated::Vector(series) => Ok(series),
            _ => Err(QueryError::execution("expected an instant vector")),
        }
    }

    /// Evaluates a node that the checks at parse time proved to be a scalar.
    fn eval_scalar(&mut self, expr: &Expr, grid: &Grid) -> Result<Vec<f64>, QueryError> {
        match self.eval(expr, grid)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => Err(QueryError::execution("expected a scalar")),
        }
    }

    /// The series no longer are samples of their metric: their name goes, now or at the end of the query.
    fn drop_names(&self, mut series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
        if self.options.delayed_name_removal {
            series.iter_mut().for_each(|s| s.drop_name = true);
            return Ok(series);
        }
        if !series.iter().any(|s| s.labels.has_metric_identity()) {
            return Ok(series);
        }
        let same_metric = series.windows(2).all(|w| w[0].labels.has_metric_identity_of(&w[1].labels));
        for s in &mut series {
            s.labels = s.labels.without_metric_identity();
        }
        // What was distinct with the same name in each is distinct without it.
        if same_metric { Ok(series) } else { merge_same_labels(series) }
    }
}

fn settle_names(mut series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    if !series.iter().any(|s| s.drop_name) {
        return Ok(series);
    }
    for s in series.iter_mut().filter(|s| s.drop_name) {
        s.labels = s.labels.without_metric_identity();
    }
    merge_same_labels(series)
}
