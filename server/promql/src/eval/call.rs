//! Function calls: evaluates the arguments and hands plain columns to the functions.

use crate::ast::{Expr, Func, Kind, WindowFn};
use crate::eval::{ABSENT, Evaluated, Evaluator, Grid, RangeSeries, Series, is_absent};
use crate::functions::{absent, date, histogram, label, math, sort, window};
use crate::{Labels, QueryError};

impl Evaluator<'_> {
    pub(super) fn eval_call(
        &mut self,
        func: Func,
        name: &'static str,
        args: &[Expr],
        grid: &Grid,
    ) -> Result<Evaluated, QueryError> {
        if let Some(scalar) = self.scalar_function(func, args, grid)? {
            return Ok(Evaluated::Scalar(scalar));
        }
        self.vector_function(func, name, args, grid).map(Evaluated::Vector)
    }

    /// Functions that yield a scalar; `None` for all others.
    fn scalar_function(
        &mut self,
        func: Func,
        args: &[Expr],
        grid: &Grid,
    ) -> Result<Option<Vec<f64>>, QueryError> {
        let whole = self.query_grid;
        let seconds = |ms: i64| ms as f64 / 1000.0;
        let constant = |v: f64| vec![v; grid.count];
        self.budget.hold(grid.count)?;
        Ok(Some(match func {
            Func::Time => grid.times().map(seconds).collect(),
            Func::Pi => constant(std::f64::consts::PI),
            Func::QueryStart => constant(seconds(whole.start)),
            Func::QueryEnd => constant(seconds(self.query_end)),
            Func::QueryRange => constant(seconds(self.query_end - whole.start)),
            Func::QueryStep => constant(seconds(whole.step)),
            Func::Scalar => scalar_of(&self.eval_vector(&args[0], grid)?, grid),
            Func::MaxOf | Func::MinOf => {
                let pick = if func == Func::MaxOf { math::go_max } else { math::go_min };
                let a = self.eval_scalar(&args[0], grid)?;
                let b = self.eval_scalar(&args[1], grid)?;
                a.iter().zip(&b).map(|(a, b)| pick(*a, *b)).collect()
            }
            _ => return Ok(None),
        }))
    }

    fn vector_function(
        &mut self,
        func: Func,
        name: &'static str,
        args: &[Expr],
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        if matches!(func, Func::Sort { .. } | Func::SortByLabel { .. }) && self.query_grid.count > 1 {
            let message = "sort is ineffective for range queries since results are always ordered by labels";
            self.notes.warn(&args[0], message);
        }
        match func {
            Func::Math(f) => self.map_vector(&args[0], grid, |s| math::apply(f, s)),
            Func::Clamp | Func::ClampMin | Func::ClampMax | Func::Round => self.limited(func, args, grid),
            Func::Date(part) => {
                if args.is_empty() {
                    let values = grid.times().map(|t| date::part(part, t as f64 / 1000.0)).collect();
                    return Ok(vec![Series::new(Labels::empty(), values)]);
                }
                self.map_vector(&args[0], grid, |s| s.map(|v| date::part(part, v)))
            }
            Func::Window(f) => self.window_function(f, name, args, grid),
            Func::AbsentOverTime => {
                let data = self.range_vector(&args[0], grid, Some(name))?;
                let mut there = vec![false; grid.count];
                for s in &data.series {
                    let windows = data.frame.windows(&s.timestamps, grid);
                    there.iter_mut().zip(windows.iter()).for_each(|(t, w)| *t |= !w.is_empty());
                }
                Ok(absent::series(&args[0], &there))
            }
            Func::Absent => {
                let input = self.eval_vector(&args[0], grid)?;
                let mut there = vec![false; grid.count];
                for s in &input {
                    there.iter_mut().zip(&s.values).for_each(|(t, v)| *t |= !is_absent(*v));
                }
                Ok(absent::series(&args[0], &there))
            }
            Func::Vector => {
                let values = self.eval_scalar(&args[0], grid)?;
                Ok(vec![Series::new(Labels::empty(), values)])
            }
            Func::Timestamp => self.timestamp(&args[0], grid),
            Func::LabelReplace | Func::LabelJoin => self.label_function(func, args, grid),
            Func::Sort { descending } => {
                let mut input = self.eval_vector(&args[0], grid)?;
                sort::by_values(&mut input, grid, descending);
                Ok(input)
            }
            Func::SortByLabel { descending } => {
                let mut input = self.eval_vector(&args[0], grid)?;
                let labels = self.texts(&args[1..], grid)?;
                sort::by_labels(&mut input, &labels, descending);
                Ok(input)
            }
            Func::HistogramQuantile | Func::HistogramFraction | Func::HistogramQuantiles => {
                self.histogram_function(func, args, grid)
            }
            Func::NativeHistogram => {
                // Floats are no native histograms: their samples are ignored.
                self.eval_vector(&args[0], grid)?;
                Ok(Vec::new())
            }
            _ => Err(QueryError::execution(format!("function \"{name}\" is not supported"))),
        }
    }

    /// Applies a function to every series of an argument; the result loses its name.
    fn map_vector(
        &mut self,
        arg: &Expr,
        grid: &Grid,
        apply: impl Fn(&mut Series),
    ) -> Result<Vec<Series>, QueryError> {
        let mut series = self.eval_vector(arg, grid)?;
        series.iter_mut().for_each(apply);
        self.drop_names(series)
    }

    /// clamp and round: a vector and scalars that may differ from step to step.
    fn limited(&mut self, func: Func, args: &[Expr], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let mut series = self.eval_vector(&args[0], grid)?;
        let mut scalars = Vec::with_capacity(2);
        for arg in &args[1..] {
            scalars.push(self.eval_scalar(arg, grid)?);
        }
        for s in &mut series {
            for (step, v) in s.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
                let p = |n: usize| scalars.get(n).map_or(1.0, |column| column[step]);
                *v = match func {
                    Func::Clamp if p(0) > p(1) => ABSENT,
                    Func::Clamp => math::go_max(p(0), math::go_min(p(1), *v)),
                    Func::ClampMin => math::go_max(p(0), *v),
                    Func::ClampMax => math::go_min(p(0), *v),
                    _ => math::round(*v, p(0)),
                };
            }
        }
        series.retain(|s| !s.is_empty());
        self.drop_names(series)
    }

    fn timestamp(&mut self, arg: &Expr, grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let series = if let Kind::Selector(selector) = &arg.bare().kind {
            self.eval_selector_times(selector, grid)?
        } else {
            let mut series = self.eval_vector(arg, grid)?;
            for s in &mut series {
                for (step, v) in s.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
                    *v = grid.time(step) as f64 / 1000.0;
                }
            }
            series
        };
        self.drop_names(series)
    }

    fn window_function(
        &mut self,
        func: WindowFn,
        name: &'static str,
        args: &[Expr],
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        // quantile_over_time has its scalar first, the others behind.
        let (range_arg, scalar_args) = match func {
            WindowFn::QuantileOverTime => (&args[1], &args[..1]),
            _ => (&args[0], &args[1..]),
        };
        let mut scalars = Vec::with_capacity(scalar_args.len());
        for arg in scalar_args {
            scalars.push(self.eval_scalar(arg, grid)?);
        }
        window::check_scalars(func, &scalars)?;
        let out = match &range_arg.bare().kind {
            Kind::Range { selector, range_ms } => {
                let (frame, hints) = self.range_frame(selector, *range_ms, grid, Some(name));
                let budget = &self.budget;
                let call = window::Call { func, scalars: &scalars, frame, grid, budget };
                self.fetch_columns(selector, &hints, grid, &|batch| {
                    call.columns(batch.into_iter().map(RangeSeries::new))
                })?
            }
            _ => {
                let data = self.range_vector(range_arg, grid, Some(name))?;
                let budget = &self.budget;
                budget.hold(data.series.len().saturating_mul(grid.count))?;
                let call = window::Call { func, scalars: &scalars, frame: data.frame, grid, budget };
                let mut out = call.columns(data.series.into_iter().map(Ok))?;
                out.retain(|series| !series.is_empty());
                out
            }
        };
        for series in &out {
            self.window_notes(func, args, &series.labels);
        }
        if func == WindowFn::QuantileOverTime && !out.is_empty() {
            for q in scalars[0].iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                self.notes.warn(&args[0], &crate::eval::rank::invalid_quantile(*q));
            }
        }
        if func.keeps_name() { Ok(out) } else { self.drop_names(out) }
    }

    /// rate and increase of something that is not named like a counter.
    fn window_notes(&mut self, func: WindowFn, args: &[Expr], labels: &Labels) {
        if !matches!(func, WindowFn::Rate | WindowFn::Increase) {
            return;
        }
        let Some(name) = labels.get(crate::labels::METRIC_NAME) else { return };
        if !["_total", "_sum", "_count", "_bucket"].iter().any(|end| name.ends_with(end)) {
            let name = crate::format::quoted(name);
            self.notes.info(
                &args[0],
                &format!(
                    "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name}"
                ),
            );
        }
    }

    fn label_function(&mut self, func: Func, args: &[Expr], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let texts = self.texts(&args[1..], grid)?;
        let change = if func == Func::LabelReplace {
            label::Change::replace(&texts)?
        } else {
            label::Change::join(&texts)?
        };
        let mut series = self.eval_vector(&args[0], grid)?;
        for s in &mut series {
            change.apply(s, &self.budget)?;
        }
        crate::eval::merge_same_labels(series)
    }

    fn histogram_function(
        &mut self,
        func: Func,
        args: &[Expr],
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        let (vector_arg, scalar_args, label) = match func {
            Func::HistogramQuantile => (&args[1], &args[..1], None),
            Func::HistogramFraction => (&args[2], &args[..2], None),
            _ => (&args[0], &args[2..], self.texts(&args[1..2], grid)?.pop()),
        };
        let mut scalars = Vec::with_capacity(scalar_args.len());
        for arg in scalar_args {
            scalars.push(self.eval_scalar(arg, grid)?);
        }
        if func != Func::HistogramFraction {
            for (arg, column) in scalar_args.iter().zip(&scalars) {
                for q in column.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
                    self.notes.warn(arg, &crate::eval::rank::invalid_quantile(*q));
                }
            }
        }
        let input = self.eval_vector(vector_arg, grid)?;
        let histograms = histogram::group(input, |labels, bound| {
            let bound = crate::format::quoted(bound);
            let of_metric = histogram::of_metric(labels);
            self.notes.warn(
                vector_arg,
                &format!("bucket label \"le\" is missing or has a malformed value of {bound}{of_metric}"),
            );
        });
        let outputs = if func == Func::HistogramQuantiles { scalars.len() } else { 1 };
        self.budget.hold(histograms.len().saturating_mul(outputs).saturating_mul(grid.count))?;
        let mut out = Vec::with_capacity(histograms.len());
        for h in &histograms {
            self.budget.check_time()?;
            if func == Func::HistogramFraction {
                out.push(h.column(grid, |step, buckets| {
                    histogram::fraction(scalars[0][step], scalars[1][step], buckets)
                }));
                continue;
            }
            for quantiles in &scalars {
                let mut forced = None;
                let mut series = h.column(grid, |step, buckets| {
                    histogram::quantile(quantiles[step], buckets, step, &mut forced)
                });
                if let Some(label) = &label {
                    let q = quantiles.first().copied().unwrap_or(f64::NAN);
                    series.labels = series.labels.with(label, &crate::format::format_openmetrics(q));
                }
                out.push(series);
                if let Some(forced) = forced {
                    self.notes.info(vector_arg, &forced.note(&h.labels, grid));
                }
            }
        }
        // The label of the quantile may have replaced the one that told histograms apart.
        let out = if label.is_some() { crate::eval::merge_same_labels(out)? } else { out };
        self.drop_names(out)
    }

    /// String arguments.
    fn texts(&mut self, args: &[Expr], grid: &Grid) -> Result<Vec<String>, QueryError> {
        args.iter()
            .map(|arg| match self.eval(arg, grid)? {
                Evaluated::Text(s) => Ok(s.to_string()),
                _ => Err(QueryError::execution("expected a string")),
            })
            .collect()
    }
}

/// The value of the only series at a step, NaN if there is none or more than one.
fn scalar_of(series: &[Series], grid: &Grid) -> Vec<f64> {
    let mut out = vec![f64::NAN; grid.count];
    let mut seen = vec![false; grid.count];
    for s in series {
        for (step, v) in s.values.iter().enumerate().filter(|(_, v)| !is_absent(**v)) {
            out[step] = if seen[step] { f64::NAN } else { *v };
            seen[step] = true;
        }
    }
    out
}
