//! Selectors: fetching series, and finding the newest sample in the lookback of every step.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::ast::{At, Selector, TimeShift};
use crate::eval::{ABSENT, Budget, Evaluator, Grid, Series};
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
        pick: impl Fn(i64, f64) -> f64 + Sync,
    ) -> Result<Vec<Series>, QueryError> {
        let shift = self.shift(selector.shift);
        let lookback = self.lookback_ms();
        let hints = hints(grid, shift, lookback - 1, 0, func);
        self.fetch_columns(selector, &hints, grid, &|batch| {
            let column = |series: SeriesData| {
                let values = lookback_column(&series, grid, shift, lookback, &pick);
                Series::new(series.labels, values)
            };
            Ok(batch.into_iter().map(column).collect())
        })
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
        let held = self.budget.held();
        let budget = self.budget.for_select(self.options.max_series);
        let data = self.storage.select(&selector.matchers, hints, &budget);
        let data = data.map_err(|error| select_error(error, &self.budget, held))?;
        check_series(data.len(), self.options.max_series)?;
        charge(&data, &self.budget)?;
        Ok(data)
    }

    /// Asks the storage and makes a column of each series, on the threads that read them: samples are let go while
    /// they are still in the cache. The columns are in the order of their labels; those without a value are left out.
    pub(super) fn fetch_columns(
        &self,
        selector: &Selector,
        hints: &SelectHints,
        grid: &Grid,
        columns: &(dyn Fn(Vec<SeriesData>) -> Result<Vec<Series>, QueryError> + Sync),
    ) -> Result<Vec<Series>, QueryError> {
        let (budget, max_series) = (&self.budget, self.options.max_series);
        budget.check_time()?;
        let held = budget.held();
        let seen = AtomicUsize::new(0);
        let found = Mutex::new(Vec::new());
        let failed: Mutex<Option<QueryError>> = Mutex::new(None);
        let work = |batch: Vec<SeriesData>| {
            budget.check_time()?;
            let seen = seen.fetch_add(batch.len(), Ordering::Relaxed) + batch.len();
            check_series(seen, max_series)?;
            charge(&batch, budget)?;
            budget.hold(batch.len().saturating_mul(grid.count))?;
            columns(batch)
        };
        let each = |batch: Vec<SeriesData>| match work(batch) {
            Ok(columns) => {
                lock(&found).extend(columns.into_iter().filter(|series| !series.is_empty()));
                ControlFlow::Continue(())
            }
            Err(error) => {
                lock(&failed).get_or_insert(error);
                ControlFlow::Break(())
            }
        };
        let done =
            self.storage.select_batches(&selector.matchers, hints, &budget.for_select(max_series), &each);
        if let Some(error) = lock(&failed).take() {
            return Err(error);
        }
        done.map_err(|error| select_error(error, budget, held))?;
        let mut columns: Vec<Series> = std::mem::take(&mut *lock(&found));
        columns.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(columns)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of a selection that began when so much was held.
fn select_error(error: StorageError, budget: &Budget, held: usize) -> QueryError {
    match error {
        StorageError::TooManySamples { limit } => budget.exceeded(limit, held),
        error => error.into(),
    }
}

fn check_series(found: usize, limit: usize) -> Result<(), QueryError> {
    if found > limit { Err(StorageError::TooManySeries { limit }.into()) } else { Ok(()) }
}

fn charge(data: &[SeriesData], budget: &Budget) -> Result<(), QueryError> {
    if data.iter().any(|s| s.timestamps.len() != s.values.len()) {
        return Err(QueryError::Internal("storage gave a series with unequal columns".to_owned(), None));
    }
    budget.hold(data.iter().map(|s| s.values.len()).sum())
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
