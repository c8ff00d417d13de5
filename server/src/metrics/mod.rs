//! The store of time series and the evaluator of PromQL, tied together in one place. Everybody else asks here, so
//! that another engine can stand behind it later.
//!
//! Invariants: blocking work never runs on the async threads; at most `query.max_concurrent` queries run at once.

mod catalogue;
mod raw;
mod storage;

use std::num::NonZero;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use siaga_promql::{Answer, Engine, EngineOptions, MemoryPool, Query};
use siaga_protocol::metric_names::JOB;
use siaga_tsdb::{Batch, Labels, Limits, Matcher, Options, SeriesSamples, Synchronous, Tsdb};
use tokio::sync::Semaphore;

use crate::config::{self, LiveConfig};
use crate::time::{Millis, now_ms};

pub use catalogue::{Catalogue, MetricInfo};
pub use siaga_promql::QueryError;
pub use siaga_tsdb::{AppendError, Appended, MaintainReport, SelectError, Stats};

/// File of the store in the data folder.
const FILE: &str = "metrics/series.db";

/// Messages of remote write that are unpacked at the same time, in KiB in all; a larger one has the room to itself.
const WRITING_KIB: u32 = 64 << 10;

/// Name under which the server's own series are counted. No host can have it: names of hosts hold no `@`.
const OWN_SOURCE: &str = "@siaga";

/// A sample of the server's own.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnSample {
    /// Labels with `__name__`.
    pub labels: Vec<(String, String)>,
    /// Time.
    pub timestamp_ms: Millis,
    /// Value.
    pub value: f64,
}

impl OwnSample {
    /// A sample with the label `job="siaga"`.
    #[must_use]
    pub fn new(name: &str, labels: &[(&str, &str)], timestamp_ms: Millis, value: f64) -> Self {
        let mut pairs = vec![("__name__".to_owned(), name.to_owned()), ("job".to_owned(), JOB.to_owned())];
        pairs.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Self { labels: pairs, timestamp_ms, value }
    }
}

/// What one request may ask for in place of the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Overrides {
    /// Longest time; the configuration's is the most.
    pub timeout: Option<std::time::Duration>,
    /// How far back an instant selector looks.
    pub lookback: Option<std::time::Duration>,
}

/// Store and evaluator. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    store: Tsdb,
    config: LiveConfig,
    permits: Arc<Semaphore>,
    /// Permits in all.
    most_at_once: usize,
    /// What all running queries may hold together.
    memory: Arc<MemoryPool>,
    /// Kibibytes of messages that may be in memory unpacked.
    writing: Arc<Semaphore>,
    /// Whether the server's own samples, which come all the time, were stored the last time.
    storing: Arc<AtomicBool>,
    /// Types and help of metrics.
    pub catalogue: Catalogue,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Opens the store. Blocks.
    ///
    /// # Errors
    /// If another process holds the store, or it cannot be read.
    pub fn open(config: &LiveConfig) -> anyhow::Result<Self> {
        let current = config.current();
        let store = Tsdb::open(store_options(&current)).context("cannot open the store of time series")?;
        let most_at_once = current.query.max_concurrent.max(1);
        Ok(Self {
            store,
            config: config.clone(),
            permits: Arc::new(Semaphore::new(most_at_once)),
            most_at_once,
            memory: Arc::new(MemoryPool::new(current.query.max_memory_bytes)),
            writing: Arc::new(Semaphore::new(WRITING_KIB as usize)),
            storing: Arc::new(AtomicBool::new(true)),
            catalogue: Catalogue::default(),
        })
    }

    /// Works on the store with a message that takes this many bytes: on a thread that may block, once that much
    /// memory is free of other messages. `None` when the work was interrupted.
    pub async fn with_store<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce(&Tsdb) -> T + Send + 'static,
    ) -> Option<T> {
        let share = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX).clamp(1, WRITING_KIB);
        let permit = Arc::clone(&self.writing).acquire_many_owned(share).await.ok()?;
        let store = self.store.clone();
        spawn(move || {
            let _permit = permit;
            work(&store)
        })
        .await
    }

    /// Compresses what is over, whether or not it is due: a bounded amount, see [`Tsdb::settle`].
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn settle(&self) -> anyhow::Result<MaintainReport> {
        let store = self.store.clone();
        Ok(spawn(move || store.settle(now_ms())).await.context("settling was interrupted")??)
    }

    /// Stores samples of the server's own.
    ///
    /// # Errors
    /// As [`Metrics::append`].
    pub async fn append_own(&self, samples: Vec<OwnSample>) -> Result<(), AppendError> {
        let mut series = Vec::with_capacity(samples.len());
        for sample in samples {
            let labels = Labels::from_pairs(sample.labels).map_err(|source| AppendError::BadLabels {
                labels: Labels::empty(),
                source: source.into(),
            })?;
            series.push(SeriesSamples { labels, samples: vec![(sample.timestamp_ms, sample.value)] });
        }
        if series.is_empty() {
            return Ok(());
        }
        let append = |store: &Tsdb| store.append(Batch { source: OWN_SOURCE, series }, now_ms());
        let appended = self.with_store(0, append).await.unwrap_or(Err(AppendError::Closed)).map(drop);
        self.storing.store(!matches!(appended, Err(AppendError::Storage(_))), Ordering::Relaxed);
        appended
    }

    /// Whether samples can be stored, as far as is known.
    #[must_use]
    pub fn is_storing(&self) -> bool {
        self.storing.load(Ordering::Relaxed)
    }

    /// Evaluates a query at one time.
    ///
    /// # Errors
    /// What is wrong with the query, or which bound it met.
    pub async fn instant(&self, query: &str, at_ms: Millis) -> Result<Answer, QueryError> {
        self.instant_with(query, at_ms, Overrides::default()).await
    }

    /// [`Metrics::instant`] with what the request asks for in place of the configuration.
    ///
    /// # Errors
    /// As [`Metrics::instant`].
    pub async fn instant_with(
        &self,
        query: &str,
        at_ms: Millis,
        overrides: Overrides,
    ) -> Result<Answer, QueryError> {
        let work = move |engine: &Engine, store: &storage::StoreView, query: &Query| {
            engine.instant(store, query, at_ms)
        };
        self.evaluate(query.to_owned(), overrides, work).await
    }

    /// Evaluates a query at each step of a range.
    ///
    /// # Errors
    /// What is wrong with the query, or which bound it met.
    pub async fn range(
        &self,
        query: &str,
        start_ms: Millis,
        end_ms: Millis,
        step_ms: Millis,
    ) -> Result<Answer, QueryError> {
        self.range_with(query, (start_ms, end_ms), step_ms, Overrides::default()).await
    }

    /// [`Metrics::range`] with what the request asks for in place of the configuration.
    ///
    /// # Errors
    /// As [`Metrics::range`].
    pub async fn range_with(
        &self,
        query: &str,
        (start_ms, end_ms): (Millis, Millis),
        step_ms: Millis,
        overrides: Overrides,
    ) -> Result<Answer, QueryError> {
        let work = move |engine: &Engine, store: &storage::StoreView, query: &Query| {
            engine.range(store, query, start_ms, end_ms, step_ms)
        };
        self.evaluate(query.to_owned(), overrides, work).await
    }

    /// An engine with the configuration in force.
    fn engine(&self, overrides: Overrides) -> Engine {
        let mut options = engine_options(&self.config.current().query);
        options.memory = Some(Arc::clone(&self.memory));
        let running = self.most_at_once - self.permits.available_permits().min(self.most_at_once);
        options.threads = share_of_threads(options.threads, running);
        options.lookback = overrides.lookback.unwrap_or(options.lookback);
        // A request may ask for less time, not for more.
        options.timeout = overrides.timeout.map_or(options.timeout, |asked| asked.min(options.timeout));
        Engine::new(options)
    }

    async fn evaluate(
        &self,
        text: String,
        overrides: Overrides,
        work: impl FnOnce(&Engine, &storage::StoreView, &Query) -> Result<Answer, QueryError> + Send + 'static,
    ) -> Result<Answer, QueryError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let view = storage::StoreView::new(self.store.clone());
        let engine = self.engine(overrides);
        spawn(move || {
            let _permit = permit;
            let query = engine.parse(&text)?;
            work(&engine, &view, &query)
        })
        .await
        .unwrap_or_else(|| Err(QueryError::Internal("the evaluation was interrupted".to_owned(), None)))
    }

    /// Label sets of the series that satisfy any of `selectors` and have samples in the range.
    pub async fn series(
        &self,
        selectors: Vec<Vec<Matcher>>,
        from_ms: Millis,
        to_ms: Millis,
        limit: usize,
    ) -> Vec<Labels> {
        self.find(selectors, move |store, matchers| store.series(matchers, from_ms, to_ms, limit), limit)
            .await
    }

    /// Names of labels of such series.
    pub async fn label_names(
        &self,
        selectors: Vec<Vec<Matcher>>,
        from_ms: Millis,
        to_ms: Millis,
        limit: usize,
    ) -> Vec<Arc<str>> {
        self.find(selectors, move |store, matchers| store.label_names(matchers, from_ms, to_ms, limit), limit)
            .await
    }

    /// Values of a label of such series.
    pub async fn label_values(
        &self,
        name: String,
        selectors: Vec<Vec<Matcher>>,
        from_ms: Millis,
        to_ms: Millis,
        limit: usize,
    ) -> Vec<Arc<str>> {
        self.find(
            selectors,
            move |store, matchers| store.label_values(&name, matchers, from_ms, to_ms, limit),
            limit,
        )
        .await
    }

    async fn find<T: Ord + Send + 'static>(
        &self,
        selectors: Vec<Vec<Matcher>>,
        ask: impl Fn(&Tsdb, &[Matcher]) -> Vec<T> + Send + 'static,
        limit: usize,
    ) -> Vec<T> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let store = self.store.clone();
        spawn(move || {
            let _permit = permit;
            match selectors.as_slice() {
                [] => ask(&store, &[]),
                [one] => ask(&store, one),
                many => {
                    let mut found: Vec<T> = many.iter().flat_map(|matchers| ask(&store, matchers)).collect();
                    found.sort();
                    found.dedup();
                    found.truncate(limit);
                    found
                }
            }
        })
        .await
        .unwrap_or_default()
    }

    /// Sizes and counts of the store.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn stats(&self) -> anyhow::Result<Stats> {
        let store = self.store.clone();
        Ok(spawn(move || store.stats()).await.context("reading was interrupted")??)
    }

    /// Does the store's upkeep that is due.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub async fn maintain(&self) -> anyhow::Result<()> {
        let store = self.store.clone();
        spawn(move || {
            // One call does a bounded amount; the rest comes at the next interval at the latest.
            for _ in 0..64 {
                if !store.maintain(now_ms())?.more {
                    break;
                }
            }
            anyhow::Ok(())
        })
        .await
        .context("upkeep was interrupted")?
    }
}

async fn spawn<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// Threads of one of so many queries that run: together they use little more than there are for one that runs alone.
fn share_of_threads(configured: usize, running: usize) -> usize {
    let most = match configured {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        most => most,
    };
    (most / running.max(1)).max(1)
}

fn store_options(config: &config::Config) -> Options {
    let metrics = &config.metrics;
    let mut options = Options::new(config.storage.data_dir.join(FILE));
    options.retention = metrics.retention;
    options.max_bytes = (metrics.max_bytes > 0).then_some(metrics.max_bytes);
    options.downsample_after = metrics.downsample_after;
    options.max_series = metrics.max_series;
    options.max_series_per_source = metrics.max_series_per_agent;
    // Some twenty a host, of every host together: a bound for one agent would stop the rules of a large fleet.
    options.unbounded_source = Some(OWN_SOURCE);
    options.max_future = metrics.max_future;
    options.out_of_order_window = metrics.out_of_order_window;
    options.synchronous = if metrics.fsync { Synchronous::Full } else { Synchronous::Normal };
    options
}

fn engine_options(query: &config::Query) -> EngineOptions {
    EngineOptions {
        lookback: query.lookback,
        timeout: query.timeout,
        max_samples: query.max_samples,
        max_series: query.max_series,
        max_points_per_series: query.max_points,
        max_answer_points: query.max_answer_points,
        threads: query.threads,
        delayed_name_removal: query.delayed_name_removal,
        prometheus2_closed_ranges: query.prometheus2_ranges,
        ..EngineOptions::default()
    }
}

/// Matchers of the store from a selector's text such as `up{job="x"}`.
///
/// # Errors
/// If the text is no selector.
pub fn parse_selector(text: &str) -> Result<Vec<Matcher>, QueryError> {
    let query = Engine::new(EngineOptions::default()).parse(text)?;
    let matchers = query
        .selector_matchers()
        .ok_or_else(|| QueryError::BadData(format!("{text:?} is not a series selector")))?;
    storage::to_store_matchers(matchers).map_err(QueryError::BadData)
}

/// Bounds of one read of the store.
fn limits(max_series: usize, max_samples: usize) -> Limits {
    Limits { max_series, max_samples }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_that_run_at_the_same_time_share_the_threads() {
        let shares: Vec<usize> =
            [0, 1, 2, 3, 8].into_iter().map(|running| share_of_threads(6, running)).collect();
        assert_eq!(shares, [6, 6, 3, 2, 1]);
        assert!(share_of_threads(0, 1) >= 1);
    }
}
