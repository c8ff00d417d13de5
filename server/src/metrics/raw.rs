//! Series as they are stored, without an evaluator: for remote read, federation and deletion.

use std::sync::Arc;

use anyhow::Context as _;
use siaga_promql::Reservation;
use siaga_tsdb::{Matcher, SelectError, Series};

use super::{Metrics, QueryError, limits, spawn, storage};
use crate::time::Millis;

/// What a sample is counted as: in columns, in a message, and packed.
const BYTES_PER_SAMPLE: usize = 48;

/// Series that were read, and the memory that is counted for them until this is dropped.
#[derive(Debug)]
pub struct ReadSeries {
    /// The series.
    pub series: Vec<Series>,
    /// To be kept until the answer is made.
    pub held: Reservation,
}

impl Metrics {
    /// Samples of the series that match, within both ends, bounded as a query is, also in memory.
    ///
    /// # Errors
    /// Too many series or samples, not enough memory beside what runs, or the store cannot be read.
    pub async fn read(
        &self,
        matchers: Vec<Matcher>,
        from_ms: Millis,
        to_ms: Millis,
        max_samples: usize,
    ) -> Result<ReadSeries, QueryError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let store = self.store.clone();
        let memory = Arc::clone(&self.memory);
        let room = memory.free() / BYTES_PER_SAMPLE;
        let limits = limits(self.config.current().query.max_series, max_samples.min(room));
        spawn(move || {
            let _permit = permit;
            let series = match store.select(&matchers, from_ms, to_ms, limits) {
                Ok(series) => series,
                // It was memory that bounded the samples: the pool says so.
                Err(SelectError::TooManySamples { .. }) if room < max_samples => {
                    return Err(QueryError::out_of_memory(memory.limit()));
                }
                Err(error) => return Err(storage::to_storage_error(error).into()),
            };
            let samples: usize = series.iter().map(|series| series.values.len()).sum();
            let held = memory.reserve(samples.saturating_mul(BYTES_PER_SAMPLE))?;
            Ok(ReadSeries { series, held })
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
