//! The engine's face: parse once, evaluate at one instant or over a range.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::answer::{Answer, MatrixSeries, Value, VectorSample};
use crate::ast::{Expr, Kind, Type};
use crate::eval::{Evaluated, Evaluator, Grid, Series, is_absent};
use crate::options::EngineOptions;
use crate::{QueryError, Storage};

/// Evaluates queries; holds nothing but its options.
#[derive(Debug, Clone)]
pub struct Engine {
    options: Arc<EngineOptions>,
}

/// A parsed query, to be evaluated as often as one likes.
#[derive(Debug, Clone)]
pub struct Query {
    pub(crate) expr: Arc<Expr>,
    text: Arc<str>,
}

impl Query {
    /// The text it was parsed from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The query laid out for reading; its own text where a layout would not mean the same.
    pub fn formatted(&self) -> String {
        crate::parse::format(&self.text).unwrap_or_else(|| self.text.trim().to_owned())
    }

    /// The label matchers of a query that is nothing but an instant selector, as `match[]` wants it.
    pub fn selector_matchers(&self) -> Option<&[crate::Matcher]> {
        match &self.expr.bare().kind {
            Kind::Selector(s) if s.shift.at.is_none() && s.shift.offset_ms == 0 => Some(&s.matchers),
            _ => None,
        }
    }
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Self { options: Arc::new(options) }
    }

    /// The options it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Parses and checks a query.
    ///
    /// # Errors
    /// [`QueryError::BadData`] with what is wrong.
    pub fn parse(&self, text: &str) -> Result<Query, QueryError> {
        let expr = crate::parse::parse(text, &self.options)?;
        Ok(Query { expr: Arc::new(expr), text: text.into() })
    }

    /// Evaluates at one instant (milliseconds since 1970).
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn instant(&self, storage: &dyn Storage, query: &Query, at_ms: i64) -> Result<Answer, QueryError> {
        self.instant_cancelable(storage, query, at_ms, None)
    }

    /// [`Engine::instant`] that ends early with [`QueryError::Canceled`] once the flag is set.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn instant_cancelable(
        &self,
        storage: &dyn Storage,
        query: &Query,
        at_ms: i64,
        cancel: Option<Arc<AtomicBool>>,
    ) -> Result<Answer, QueryError> {
        let grid = Grid::single(check_time(at_ms)?);
        let mut evaluator = self.evaluator(storage, query, &grid, at_ms, cancel);
        let value = match query.expr.value_type() {
            Type::Matrix => Value::Matrix(evaluator.instant_matrix(&query.expr, &grid)?),
            _ => match evaluator.eval_top(&query.expr, &grid)? {
                Evaluated::Scalar(v) => {
                    Value::Scalar { t_ms: at_ms, value: v.first().copied().unwrap_or(f64::NAN) }
                }
                Evaluated::Text(s) => Value::String { t_ms: at_ms, value: s.to_string() },
                Evaluated::Vector(series) => Value::Vector(vector_samples(series, at_ms)),
            },
        };
        Ok(evaluator.into_answer(value))
    }

    /// Evaluates at every step from start to end, both inclusive (milliseconds since 1970; step in milliseconds).
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn range(
        &self,
        storage: &dyn Storage,
        query: &Query,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Answer, QueryError> {
        self.range_cancelable(storage, query, (start_ms, end_ms), step_ms, None)
    }

    /// [`Engine::range`] that ends early with [`QueryError::Canceled`] once the flag is set.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn range_cancelable(
        &self,
        storage: &dyn Storage,
        query: &Query,
        (start_ms, end_ms): (i64, i64),
        step_ms: i64,
        cancel: Option<Arc<AtomicBool>>,
    ) -> Result<Answer, QueryError> {
        let grid = self.range_grid(start_ms, end_ms, step_ms)?;
        let refused = |what| {
            let message = format!(
                "invalid expression type \"{what}\" for range query, must be Scalar or instant Vector"
            );
            Err(QueryError::BadData(message))
        };
        match query.expr.value_type() {
            Type::Matrix => return refused("range vector"),
            Type::Text => return refused("string"),
            Type::Scalar | Type::Vector => {}
        }
        let mut evaluator = self.evaluator(storage, query, &grid, end_ms, cancel);
        let series = match evaluator.eval_top(&query.expr, &grid)? {
            Evaluated::Scalar(values) => vec![Series::new(crate::Labels::empty(), values)],
            Evaluated::Vector(series) => series,
            Evaluated::Text(_) => return refused("string"),
        };
        let points = |s: &Series| s.values.iter().filter(|v| !is_absent(**v)).count();
        if series.iter().map(points).sum::<usize>() > self.options.max_answer_points {
            return Err(QueryError::execution(format!(
                "the answer would have more than {} points. Try fewer series or a larger step",
                with_thousands(self.options.max_answer_points)
            )));
        }
        let value = Value::Matrix(matrix_series(series, &grid));
        Ok(evaluator.into_answer(value))
    }

    fn range_grid(&self, start_ms: i64, end_ms: i64, step_ms: i64) -> Result<Grid, QueryError> {
        let (start, end) = (check_time(start_ms)?, check_time(end_ms)?);
        if end < start {
            return Err(QueryError::BadData("end timestamp must not be before start time".to_owned()));
        }
        if step_ms <= 0 {
            let message =
                "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(QueryError::BadData(message.to_owned()));
        }
        let steps = usize::try_from((end - start) / step_ms).unwrap_or(usize::MAX);
        if steps > self.options.max_points_per_series {
            return Err(QueryError::BadData(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                with_thousands(self.options.max_points_per_series)
            )));
        }
        Ok(Grid { start, step: step_ms, count: steps + 1 })
    }

    fn evaluator<'a>(
        &'a self,
        storage: &'a dyn Storage,
        query: &'a Query,
        grid: &Grid,
        end_ms: i64,
        cancel: Option<Arc<AtomicBool>>,
    ) -> Evaluator<'a> {
        let deadline = Instant::now().checked_add(self.options.timeout);
        Evaluator::new(storage, &self.options, query.text(), (grid, end_ms), deadline, cancel)
    }
}

fn check_time(ms: i64) -> Result<i64, QueryError> {
    if ms.unsigned_abs() > crate::parse::MAX_TIME_MS.unsigned_abs() {
        return Err(QueryError::BadData("timestamp out of range".to_owned()));
    }
    Ok(ms)
}

fn with_thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn vector_samples(series: Vec<Series>, t_ms: i64) -> Vec<VectorSample> {
    series
        .into_iter()
        .filter_map(|s| {
            let value = s.values.first().copied().filter(|v| !is_absent(*v))?;
            Some(VectorSample::of_float(s.labels, t_ms, value))
        })
        .collect()
}

fn matrix_series(series: Vec<Series>, grid: &Grid) -> Vec<MatrixSeries> {
    let mut out: Vec<MatrixSeries> = series
        .into_iter()
        .map(|s| {
            let mut points = Vec::with_capacity(s.values.len());
            points.extend(
                s.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)).map(|(i, v)| (grid.time(i), *v)),
            );
            MatrixSeries::of_floats(s.labels, points)
        })
        .filter(|s| !s.points.is_empty())
        .collect();
    out.sort_by(|a, b| a.labels.cmp(&b.labels));
    out
}
