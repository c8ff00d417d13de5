//! Range vectors: the samples of range selectors and subqueries, and the window of samples that each step sees.

use std::ops::Range;
use std::sync::Arc;

use crate::ast::{Expr, Kind, Subquery};
use crate::eval::select::{Shift, advance, hints};
use crate::eval::{Evaluator, Grid, is_absent};
use crate::storage::is_stale_nan;
use crate::{Labels, QueryError, SeriesData};

/// Samples of a range vector over a whole grid.
pub(crate) struct RangeVector {
    pub(crate) series: Vec<RangeSeries>,
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

/// For each step the indexes of its samples: first and one past the last.
pub(crate) struct Windows(Vec<(u32, u32)>);

impl Windows {
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.iter().map(|&(lo, hi)| lo as usize..hi as usize)
    }

    pub(crate) fn first(&self) -> Option<Range<usize>> {
        self.iter().next()
    }
}

impl RangeVector {
    /// The windows of one series.
    pub(crate) fn windows(&self, series: &RangeSeries, grid: &Grid) -> Windows {
        let times: &[i64] = &series.timestamps;
        let (mut lo, mut hi) = (0, 0);
        let open_edge = i64::from(self.closed);
        let windows = grid.times().map(|t| {
            let end = self.shift.apply(t);
            hi += advance(&times[hi..], end);
            lo += advance(&times[lo..], end - self.range_ms - open_edge);
            (lo as u32, hi as u32)
        });
        Windows(windows.collect())
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
                let shift = self.shift(selector.shift);
                let before = range_ms - 1 + i64::from(closed);
                let data = self.fetch(selector, &hints(grid, shift, before, *range_ms, func))?;
                if data.iter().any(|s| s.values.len() > u32::MAX as usize) {
                    return Err(QueryError::too_many_samples());
                }
                let series = data.into_iter().map(without_stale_markers).collect();
                Ok(RangeVector { series, range_ms: *range_ms, shift, closed })
            }
            Kind::Subquery(subquery) => self.subquery(subquery, grid, closed),
            _ => Err(QueryError::execution("expected a range vector")),
        }
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
        Ok(RangeVector { series, range_ms, shift, closed })
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

fn without_stale_markers(data: SeriesData) -> RangeSeries {
    let SeriesData { labels, mut timestamps, mut values } = data;
    if values.iter().any(|v| is_stale_nan(*v)) {
        let kept: Vec<i64> =
            timestamps.iter().zip(&values).filter(|(_, v)| !is_stale_nan(**v)).map(|(t, _)| *t).collect();
        timestamps = kept.into();
        values.retain(|v| !is_stale_nan(*v));
    }
    RangeSeries { labels, drop_name: false, timestamps, values }
}
