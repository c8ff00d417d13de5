//! Range vectors: the samples of range selectors and subqueries, and the window of samples that each step sees.

use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use crate::ast::{Expr, Kind, Selector, Subquery};
use crate::eval::select::{Shift, advance, hints};
use crate::eval::{Evaluator, Grid, is_absent};
use crate::functions::rate::Edges;
use crate::functions::regression::TimeSums;
use crate::storage::is_stale_nan;
use crate::{Labels, QueryError, SelectHints, SeriesData};

/// Samples of a range vector over a whole grid.
pub(crate) struct RangeVector {
    pub(crate) series: Vec<RangeSeries>,
    pub(crate) frame: Frame,
}

/// Where the windows of a range vector lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) range_ms: i64,
    pub(crate) shift: Shift,
    /// The left edge belongs to the window (Prometheus 2).
    closed: bool,
}

/// One series of a range vector, free of stale markers.
pub(crate) struct RangeSeries {
    pub(crate) labels: Labels,
    pub(crate) drop_name: bool,
    pub(crate) timestamps: Arc<[i64]>,
    pub(crate) values: Vec<f64>,
}

/// For each step the indexes of its samples, and what functions compute once for all series of the same times.
pub(crate) struct Windows {
    /// First and one past the last.
    bounds: Vec<(u32, u32)>,
    edges: OnceCell<Vec<(Edges, f64)>>,
    time_sums: OnceCell<Vec<TimeSums>>,
}

impl Windows {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.bounds.iter().map(|&(lo, hi)| lo as usize..hi as usize)
    }

    pub(crate) fn first(&self) -> Option<Range<usize>> {
        self.iter().next()
    }

    /// What `rate` knows of each window, with its usual factor.
    pub(crate) fn edges(&self, make: impl FnOnce() -> Vec<(Edges, f64)>) -> &[(Edges, f64)] {
        self.edges.get_or_init(make)
    }

    /// What lines through the samples of each window have in common.
    pub(crate) fn time_sums(&self, make: impl FnOnce() -> Vec<TimeSums>) -> &[TimeSums] {
        self.time_sums.get_or_init(make)
    }
}

impl Frame {
    /// The windows over samples of these times.
    pub(crate) fn windows(&self, times: &[i64], grid: &Grid) -> Windows {
        let (mut lo, mut hi) = (0, 0);
        let open_edge = i64::from(self.closed);
        let windows = grid.times().map(|t| {
            let end = self.shift.apply(t);
            hi += advance(&times[hi..], end);
            lo += advance(&times[lo..], end - self.range_ms - open_edge);
            (lo as u32, hi as u32)
        });
        Windows { bounds: windows.collect(), edges: OnceCell::new(), time_sums: OnceCell::new() }
    }
}

impl Evaluator<'_> {
    /// Evaluates a range selector or a subquery.
    pub(super) fn range_vector(
        &mut self,
        expr: &Expr,
        grid: &Grid,
        func: Option<&'static str>,
    ) -> Result<RangeVector, QueryError> {
        let closed = self.options.prometheus2_closed_ranges;
        match &expr.bare().kind {
            Kind::Range { selector, range_ms } => {
                let (frame, hints) = self.range_frame(selector, *range_ms, grid, func);
                let data = self.fetch(selector, &hints)?;
                let series = data.into_iter().map(RangeSeries::new).collect::<Result<_, _>>()?;
                Ok(RangeVector { series, frame })
            }
            Kind::Subquery(subquery) => self.subquery(subquery, grid, closed),
            _ => Err(QueryError::execution("expected a range vector")),
        }
    }

    /// Where the windows of a range selector lie, and the samples that they need.
    pub(super) fn range_frame(
        &self,
        selector: &Selector,
        range_ms: i64,
        grid: &Grid,
        func: Option<&'static str>,
    ) -> (Frame, SelectHints) {
        let closed = self.options.prometheus2_closed_ranges;
        let shift = self.shift(selector.shift);
        let before = range_ms - 1 + i64::from(closed);
        (Frame { range_ms, shift, closed }, hints(grid, shift, before, range_ms, func))
    }

    fn subquery(
        &mut self,
        subquery: &Subquery,
        grid: &Grid,
        closed: bool,
    ) -> Result<RangeVector, QueryError> {
        let shift = self.shift(subquery.shift);
        let range_ms = subquery.range_ms;
        let inner = self.subquery_grid(subquery, grid, shift, closed)?;
        let mut series = Vec::new();
        if let Some(inner) = inner {
            // The times of the steps, which the series share.
            self.budget.hold(inner.count)?;
            let vector = self.eval_vector(&subquery.expr, &inner)?;
            let all_times: Arc<[i64]> = inner.times().collect();
            for s in vector {
                let full = !s.values.iter().any(|v| is_absent(*v));
                let (timestamps, values) = if full {
                    (all_times.clone(), s.values)
                } else {
                    let points = all_times.iter().zip(&s.values).filter(|(_, v)| !is_absent(**v));
                    let (times, values): (Vec<i64>, Vec<f64>) = points.map(|(t, v)| (*t, *v)).unzip();
                    (times.into(), values)
                };
                series.push(RangeSeries { labels: s.labels, drop_name: s.drop_name, timestamps, values });
            }
        }
        Ok(RangeVector { series, frame: Frame { range_ms, shift, closed } })
    }

    /// The instants at which a subquery evaluates: multiples of its step, whatever the outer grid is.
    fn subquery_grid(
        &self,
        subquery: &Subquery,
        grid: &Grid,
        shift: Shift,
        closed: bool,
    ) -> Result<Option<Grid>, QueryError> {
        let default_ms = i64::try_from(self.options.default_subquery_step.as_millis()).unwrap_or(60_000);
        let step = subquery.step_ms.unwrap_or(default_ms).max(1);
        let after = shift.apply(grid.start) - subquery.range_ms - i64::from(closed);
        let start = after.div_euclid(step) * step + step;
        let end = shift.apply(grid.end());
        if start > end {
            return Ok(None);
        }
        let count = usize::try_from((end - start) / step + 1).unwrap_or(usize::MAX);
        if count > self.options.max_samples {
            return Err(QueryError::too_many_samples());
        }
        Ok(Some(Grid { start, step, count }))
    }
}

impl RangeSeries {
    /// What a storage gave, without its stale markers.
    pub(super) fn new(data: SeriesData) -> Result<Self, QueryError> {
        let SeriesData { labels, mut timestamps, mut values } = data;
        // Windows count in 32 bits.
        if values.len() > u32::MAX as usize {
            return Err(QueryError::too_many_samples());
        }
        // Stale markers are NaN, which is seen without a branch.
        let may_be_stale = values.iter().fold(false, |any, v| any | v.is_nan());
        if may_be_stale && values.iter().any(|v| is_stale_nan(*v)) {
            let kept: Vec<i64> =
                timestamps.iter().zip(&values).filter(|(_, v)| !is_stale_nan(**v)).map(|(t, _)| *t).collect();
            timestamps = kept.into();
            values.retain(|v| !is_stale_nan(*v));
        }
        Ok(Self { labels, drop_name: false, timestamps, values })
    }
}
