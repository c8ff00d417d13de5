//! Selectors: fetching series, and finding the newest sample in the lookback of every step.

use crate::ast::{At, Selector, TimeShift};
use crate::eval::{ABSENT, Evaluator, Grid, Series};
use crate::storage::is_stale_nan;
use crate::{QueryError, SelectHints, SeriesData, StorageError};

/// `@` and `offset` with the query's start and end filled in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shift {
    pub(crate) at: Option<i64>,
    pub(crate) offset: i64,
}

impl Shift {
    /// The instant that a selector looks at when the query is at `t`.
    #[inline]
    pub(crate) fn apply(&self, t: i64) -> i64 {
        self.at.unwrap_or(t) - self.offset
    }
}

impl Evaluator<'_> {
    pub(super) fn shift(&self, shift: TimeShift) -> Shift {
        let at = shift.at.map(|at| match at {
            At::Start => self.query_grid.start,
            At::End => self.query_end,
            At::Ms(ms) => ms,
        });
        Shift { at, offset: shift.offset_ms }
    }

    /// Instant selector: the value of the newest sample in the lookback.
    pub(super) fn eval_selector(
        &mut self,
        selector: &Selector,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        self.select_instant(selector, grid, None, |_, value| value)
    }

    /// `timestamp(selector)`: the time of that sample, in seconds.
    pub(super) fn eval_selector_times(
        &mut self,
        selector: &Selector,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        self.select_instant(selector, grid, Some("timestamp"), |t, _| t as f64 / 1000.0)
    }

    fn select_instant(
        &mut self,
        selector: &Selector,
        grid: &Grid,
        func: Option<&'static str>,
        pick: impl Fn(i64, f64) -> f64,
    ) -> Result<Vec<Series>, QueryError> {
        let shift = self.shift(selector.shift);
        let lookback = self.lookback_ms();
        let hints = hints(grid, shift, lookback - 1, 0, func);
        let data = self.fetch(selector, &hints)?;
        self.budget.hold(data.len().saturating_mul(grid.count))?;
        let mut out = Vec::with_capacity(data.len());
        for series in data {
            self.budget.check_time()?;
            let values = lookback_column(&series, grid, shift, lookback, &pick);
            let series = Series::new(series.labels, values);
            if !series.is_empty() {
                out.push(series);
            }
        }
        Ok(out)
    }

    /// How old a sample may be, exclusive: one millisecond more when the left edge belongs to the lookback.
    fn lookback_ms(&self) -> i64 {
        let ms = i64::try_from(self.options.lookback.as_millis()).unwrap_or(i64::MAX / 4);
        ms + i64::from(self.options.prometheus2_closed_ranges)
    }

    /// Asks the storage and charges what it gave.
    pub(super) fn fetch(
        &mut self,
        selector: &Selector,
        hints: &SelectHints,
    ) -> Result<Vec<SeriesData>, QueryError> {
        self.budget.check_time()?;
        let budget = self.budget.for_select(self.options.max_series);
        let data = self.storage.select(&selector.matchers, hints, &budget).map_err(|error| match error {
            StorageError::TooManySamples { limit } => self.budget.exceeded(limit),
            error => error.into(),
        })?;
        if data.len() > self.options.max_series {
            let limit = self.options.max_series;
            return Err(StorageError::TooManySeries { limit }.into());
        }
        if data.iter().any(|s| s.timestamps.len() != s.values.len()) {
            return Err(QueryError::Internal("storage gave a series with unequal columns".to_owned(), None));
        }
        self.budget.hold(data.iter().map(|s| s.values.len()).sum())?;
        Ok(data)
    }
}

/// The window of samples that a selector needs over a grid: `before` milliseconds before the first instant.
pub(super) fn hints(
    grid: &Grid,
    shift: Shift,
    before: i64,
    range_ms: i64,
    func: Option<&'static str>,
) -> SelectHints {
    SelectHints {
        start_ms: shift.apply(grid.start) - before,
        end_ms: shift.apply(grid.end()),
        step_ms: grid.step,
        range_ms,
        func,
    }
}

fn lookback_column(
    series: &SeriesData,
    grid: &Grid,
    shift: Shift,
    lookback: i64,
    pick: &impl Fn(i64, f64) -> f64,
) -> Vec<f64> {
    let times: &[i64] = &series.timestamps;
    let mut column = Vec::with_capacity(grid.count);
    // Index of the first sample after the instant; instants only move forward.
    let mut next = 0;
    for t in grid.times() {
        let instant = shift.apply(t);
        next += advance(&times[next..], instant);
        let cell = match next.checked_sub(1) {
            Some(i) if times[i] > instant - lookback && !is_stale_nan(series.values[i]) => {
                pick(times[i], series.values[i])
            }
            _ => ABSENT,
        };
        column.push(cell);
    }
    column
}

/// Number of leading timestamps that are not after the instant: gallops, then halves.
#[inline]
pub(super) fn advance(times: &[i64], instant: i64) -> usize {
    let mut bound = 1;
    while bound <= times.len() && times[bound - 1] <= instant {
        bound *= 2;
    }
    let low = bound / 2;
    let high = bound.min(times.len());
    low + times[low..high].partition_point(|&t| t <= instant)
}
