//! Series as they are stored, without an evaluator: for remote read, federation and deletion.

use std::sync::Arc;

use anyhow::Context as _;
use siaga_tsdb::{Matcher, Series};

use super::{Metrics, QueryError, limits, spawn, storage};
use crate::time::Millis;

impl Metrics {
    /// Samples of the series that match, within both ends, bounded as a query is.
    ///
    /// # Errors
    /// Too many series or samples, or the store cannot be read.
    pub async fn read(
        &self,
        matchers: Vec<Matcher>,
        from_ms: Millis,
        to_ms: Millis,
        max_samples: usize,
    ) -> Result<Vec<Series>, QueryError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let store = self.store.clone();
        let limits = limits(self.config.current().query.max_series, max_samples);
        spawn(move || {
            let _permit = permit;
            store
                .select(&matchers, from_ms, to_ms, limits)
                .map_err(|error| QueryError::from(storage::to_storage_error(error)))
        })
        .await
        .unwrap_or_else(|| Err(QueryError::Internal("reading was interrupted".to_owned(), None)))
    }

    /// Deletes the samples of the series that satisfy any of `selectors`, within both ends; gives how many.
    ///
    /// # Errors
    /// If the store cannot be written; part may be deleted then.
    pub async fn delete_series(
        &self,
        selectors: Vec<Vec<Matcher>>,
        from_ms: Millis,
        to_ms: Millis,
    ) -> anyhow::Result<u64> {
        let store = self.store.clone();
        spawn(move || {
            let mut deleted = 0;
            for matchers in selectors {
                deleted += store.delete_series(&matchers, from_ms, to_ms)?;
            }
            anyhow::Ok(deleted)
        })
        .await
        .context("deletion was interrupted")?
    }

    /// A query's text laid out for reading.
    ///
    /// # Errors
    /// If it does not parse.
    pub fn format(&self, query: &str) -> Result<String, QueryError> {
        Ok(self.engine(super::Overrides::default()).parse(query)?.formatted())
    }
}
