//! What the evaluator needs of whoever stores series: one question, `select`.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::{Labels, Matcher};

/// A place that holds series. It is asked once for each selector of a query, for the whole window of that query.
pub trait Storage: Send + Sync {
    /// All series that fulfil every matcher and have samples in the window of the hints.
    ///
    /// Each label set occurs once; timestamps ascend strictly. Stale markers ([`STALE_NAN_BITS`]) stay in the
    /// values. Samples outside of the window may be given too and are ignored. Every sample in the window is
    /// wanted; a storage that answers from downsampled data decides by the hints when that is good enough.
    ///
    /// # Errors
    /// The budget is used up, or the storage cannot read.
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        budget: &SelectBudget,
    ) -> Result<Vec<SeriesData>, StorageError>;

    /// As [`Storage::select`], but in batches that are handed over while they are fresh: in any order, by up to
    /// [`SelectBudget::threads`] threads at the same time. [`ControlFlow::Break`] asks for no more. The default hands
    /// over one batch.
    ///
    /// # Errors
    /// As [`Storage::select`]; batches may have been handed over before.
    fn select_batches(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        budget: &SelectBudget,
        each: Consumer<'_>,
    ) -> Result<(), StorageError> {
        let _ = each(self.select(matchers, hints, budget)?);
        Ok(())
    }
}

/// Takes the batches of [`Storage::select_batches`].
pub type Consumer<'a> = &'a (dyn Fn(Vec<SeriesData>) -> ControlFlow<()> + Sync);

/// Bits of the NaN that ends a series (Prometheus' stale marker). Compare bits: every NaN is unequal to itself.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The stale marker as a float.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// True for the stale marker and for no other NaN.
pub fn is_stale_nan(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// What the query will do with the samples. Only the window binds; the rest lets a storage choose cheaper data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectHints {
    /// First millisecond needed, inclusive.
    pub start_ms: i64,
    /// Last millisecond needed, inclusive.
    pub end_ms: i64,
    /// Distance of the evaluated instants, 0 for one instant.
    pub step_ms: i64,
    /// Length of the range selector, 0 for an instant selector.
    pub range_ms: i64,
    /// Name of the function around the selector, if there is one.
    pub func: Option<&'static str>,
}

/// How much one `select` may return, and until when.
#[derive(Debug, Clone)]
pub struct SelectBudget {
    /// Most series.
    pub max_series: usize,
    /// Most samples in all series together.
    pub max_samples: usize,
    /// Most threads to read with.
    pub threads: usize,
    /// The query ends with a timeout at this instant.
    pub deadline: Option<Instant>,
    /// Set by the caller to give up.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl SelectBudget {
    /// A budget without bounds, for tests and tools.
    pub fn unlimited() -> Self {
        Self { max_series: usize::MAX, max_samples: usize::MAX, threads: 1, deadline: None, cancel: None }
    }

    /// To be asked now and then during long work.
    ///
    /// # Errors
    /// The deadline has passed or the caller gave up.
    pub fn check_time(&self) -> Result<(), StorageError> {
        if self.cancel.as_ref().is_some_and(|c| c.load(Ordering::Relaxed)) {
            return Err(StorageError::Canceled);
        }
        if self.deadline.is_some_and(|d| Instant::now() >= d) {
            return Err(StorageError::Timeout);
        }
        Ok(())
    }
}

/// One series with the samples of the window: floats. Native histograms will be a further list beside them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SeriesData {
    /// Labels with the metric name.
    pub labels: Labels,
    /// Milliseconds since 1970, strictly ascending, as many as values. Series of one scrape may share the list;
    /// the evaluator then finds its windows once for all of them.
    pub timestamps: Arc<[i64]>,
    /// One value for each timestamp.
    pub values: Vec<f64>,
}

impl SeriesData {
    /// A series whose timestamps are its own.
    pub fn new(labels: Labels, timestamps: Vec<i64>, values: Vec<f64>) -> Self {
        Self::with_shared_times(labels, timestamps.into(), values)
    }

    /// A series whose timestamps others may have too.
    pub fn with_shared_times(labels: Labels, timestamps: Arc<[i64]>, values: Vec<f64>) -> Self {
        Self { labels, timestamps, values }
    }
}

/// Why a storage gave no series.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// More series match than the budget allows.
    #[error("the query selects more than {limit} series")]
    TooManySeries {
        /// The budget.
        limit: usize,
    },
    /// More samples match than the budget allows.
    #[error("the query selects more than {limit} samples")]
    TooManySamples {
        /// The budget.
        limit: usize,
    },
    /// The deadline passed.
    #[error("the query timed out while selecting series")]
    Timeout,
    /// The caller gave up.
    #[error("the query was canceled while selecting series")]
    Canceled,
    /// The storage failed.
    #[error("select series")]
    Other(#[source] Box<dyn std::error::Error + Send + Sync>),
}
