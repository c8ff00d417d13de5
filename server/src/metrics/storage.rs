//! The evaluator's view of the store. The only place that knows both.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use siaga_promql::{
    Consumer, Labels, MatchOp, Matcher, SelectBudget, SelectHints, SeriesData, Storage, StorageError,
};
use siaga_tsdb::{Aggregate, Resolution, SelectError, Tsdb};

use super::limits;

/// A store that can be asked by the evaluator.
pub(super) struct StoreView {
    store: Tsdb,
}

impl StoreView {
    pub(super) fn new(store: Tsdb) -> Self {
        Self { store }
    }
}

impl Storage for StoreView {
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        budget: &SelectBudget,
    ) -> Result<Vec<SeriesData>, StorageError> {
        let all = Mutex::new(Vec::new());
        self.select_batches(matchers, hints, budget, &|mut batch| {
            all.lock().unwrap_or_else(PoisonError::into_inner).append(&mut batch);
            ControlFlow::Continue(())
        })?;
        let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner);
        all.sort_unstable_by(|a, b| a.labels.cmp(&b.labels));
        Ok(all)
    }

    fn select_batches(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        budget: &SelectBudget,
        each: Consumer<'_>,
    ) -> Result<(), StorageError> {
        budget.check_time()?;
        let matchers = to_store_matchers(matchers).map_err(|reason| StorageError::Other(reason.into()))?;
        let limits = limits(budget.max_series, budget.max_samples);
        let window = (hints.start_ms, hints.end_ms);
        let late = Mutex::new(None);
        let work = |batch: Vec<siaga_tsdb::Series>| match budget.check_time() {
            Ok(()) => each(batch.into_iter().map(to_series_data).collect()),
            Err(error) => {
                *late.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                ControlFlow::Break(())
            }
        };
        let found =
            self.store.select_batches(&matchers, window, downsampling(hints), limits, budget.threads, &work);
        match late.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => found.map_err(to_storage_error),
        }
    }
}

fn to_series_data(series: siaga_tsdb::Series) -> SeriesData {
    let labels = Labels::from_shared(Arc::clone(series.labels.shared()));
    SeriesData::with_shared_times(labels, series.timestamps, series.values)
}

/// Windows of a resolution that a range must hold before a rate is computed from them: the evaluator extrapolates by
/// the distance of samples, so that few windows would make it rough.
const RATE_WINDOWS: i64 = 12;

/// The coarsest aggregates that answer the question as the samples would. The instants and the ranges must be multiples
/// of the resolution (Grafana aligns what it asks to the step), because windows are then either in a range or not.
fn downsampling(hints: &SelectHints) -> Option<(Resolution, Aggregate)> {
    let aggregate = match (hints.range_ms, hints.func) {
        (0, _) => Aggregate::Last,
        (_, Some("max_over_time")) => Aggregate::Max,
        (_, Some("min_over_time")) => Aggregate::Min,
        (_, Some("sum_over_time")) => Aggregate::Sum,
        (_, Some("avg_over_time")) => Aggregate::Average,
        (_, Some("rate" | "increase")) => Aggregate::Counter,
        _ => return None,
    };
    let fits = |resolution: &Resolution| {
        let ms = resolution.ms();
        if hints.end_ms % ms != 0 || hints.step_ms % ms != 0 {
            return false;
        }
        match aggregate {
            // One sample of each step at most is looked at.
            Aggregate::Last => hints.step_ms >= ms,
            // The range is open on the left, as the windows are.
            _ if (hints.start_ms - 1) % ms != 0 || hints.range_ms % ms != 0 => false,
            Aggregate::Counter => hints.range_ms >= RATE_WINDOWS * ms,
            _ => true,
        }
    };
    Resolution::ALL.into_iter().find(fits).map(|resolution| (resolution, aggregate))
}

/// The store's error as the evaluator's.
pub(super) fn to_storage_error(error: SelectError) -> StorageError {
    match error {
        SelectError::TooManySeries { limit, .. } => StorageError::TooManySeries { limit },
        SelectError::TooManySamples { limit } => StorageError::TooManySamples { limit },
        error => StorageError::Other(Box::new(error)),
    }
}

/// The evaluator's matchers as those of the store.
pub(crate) fn to_store_matchers(matchers: &[Matcher]) -> Result<Vec<siaga_tsdb::Matcher>, String> {
    matchers
        .iter()
        .map(|matcher| {
            let op = match matcher.op {
                MatchOp::Equal => siaga_tsdb::MatchOp::Equal,
                MatchOp::NotEqual => siaga_tsdb::MatchOp::NotEqual,
                MatchOp::Regex => siaga_tsdb::MatchOp::Regex,
                MatchOp::NotRegex => siaga_tsdb::MatchOp::NotRegex,
            };
            siaga_tsdb::Matcher::new(&matcher.name, op, &matcher.value).map_err(|error| error.to_string())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn hints(range_ms: i64, step_ms: i64, func: Option<&'static str>) -> SelectHints {
        let before = if range_ms == 0 { 300_000 } else { range_ms };
        let grid_start = 1_000 * HOUR;
        SelectHints {
            start_ms: grid_start - before + 1,
            end_ms: grid_start + 10 * step_ms,
            step_ms,
            range_ms,
            func,
        }
    }

    #[test]
    fn aggregates_answer_what_they_can_and_nothing_else() {
        use Aggregate::{Average, Counter, Last, Max};
        use Resolution::{FiveMinutes, Hour};
        let cases = [
            (hints(0, 6 * HOUR, None), Some((Hour, Last))),
            (hints(0, 600_000, Some("timestamp")), Some((FiveMinutes, Last))),
            (hints(0, 60_000, None), None),
            (hints(0, 0, None), None),
            (hints(24 * HOUR, 24 * HOUR, Some("max_over_time")), Some((Hour, Max))),
            (hints(24 * HOUR, 0, Some("avg_over_time")), Some((Hour, Average))),
            (hints(600_000, HOUR, Some("max_over_time")), Some((FiveMinutes, Max))),
            (hints(60_000, HOUR, Some("max_over_time")), None),
            (hints(HOUR, HOUR, Some("rate")), Some((FiveMinutes, Counter))),
            (hints(HOUR / 2, HOUR, Some("rate")), None),
            (hints(24 * HOUR, HOUR, Some("quantile_over_time")), None),
            (hints(24 * HOUR, HOUR, None), None),
        ];
        for (hints, wanted) in cases {
            assert_eq!(downsampling(&hints), wanted, "{hints:?}");
            let shifted = SelectHints { end_ms: hints.end_ms + 1, start_ms: hints.start_ms + 1, ..hints };
            assert_eq!(downsampling(&shifted), None, "{shifted:?}");
        }
        let closed = hints(24 * HOUR, HOUR, Some("max_over_time"));
        let closed = SelectHints { start_ms: closed.start_ms - 1, ..closed };
        assert_eq!(downsampling(&closed), None, "a range that is closed on the left");
    }
}
