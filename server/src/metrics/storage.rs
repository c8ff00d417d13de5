//! The evaluator's view of the store. The only place that knows both.

use std::sync::Arc;

use siaga_promql::{Labels, MatchOp, Matcher, SelectBudget, SelectHints, SeriesData, Storage, StorageError};
use siaga_tsdb::{SelectError, Tsdb};

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
        budget.check_time()?;
        let matchers = to_store_matchers(matchers).map_err(|reason| StorageError::Other(reason.into()))?;
        let found = self
            .store
            .select(&matchers, hints.start_ms, hints.end_ms, limits(budget.max_series, budget.max_samples))
            .map_err(to_storage_error)?;
        budget.check_time()?;
        Ok(found
            .into_iter()
            .map(|series| SeriesData {
                labels: Labels::from_shared(Arc::clone(series.labels.shared())),
                timestamps: series.timestamps,
                values: series.values,
            })
            .collect())
    }
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
pub(super) fn to_store_matchers(matchers: &[Matcher]) -> Result<Vec<siaga_tsdb::Matcher>, String> {
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
