//! What the server tells of itself at `/metrics`, with the crate `prometheus`.

use std::time::Duration;

use anyhow::Context as _;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder};

use super::App;

/// Methods of HTTP that are counted each by itself (RFC 9110, RFC 5789).
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Counters and histograms of this process.
#[derive(Debug, Clone)]
pub struct OwnMetrics {
    registry: Registry,
    requests: IntCounterVec,
    duration: HistogramVec,
    store: IntGaugeVec,
    task_runs: IntGaugeVec,
}

impl OwnMetrics {
    /// Registers everything.
    ///
    /// # Errors
    /// If two metrics bear one name.
    pub fn new() -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("siaga_http_requests_total", "Requests answered."),
                &["method", "route", "status"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new("siaga_http_request_duration_seconds", "Time to answer a request.")
                    .buckets(vec![0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0]),
                &["route"],
            )?,
            store: IntGaugeVec::new(
                Opts::new("siaga_store", "State of the store of time series."),
                &["what"],
            )?,
            task_runs: IntGaugeVec::new(
                Opts::new("siaga_task_runs", "Runs of background tasks since the start."),
                &["task", "outcome"],
            )?,
            registry,
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.duration.clone()))?;
        metrics.registry.register(Box::new(metrics.store.clone()))?;
        metrics.registry.register(Box::new(metrics.task_runs.clone()))?;
        Ok(metrics)
    }

    /// Counts a request. `route` is the pattern, not the path, and a method that nobody knows is `other`, so that the
    /// number of series stays bounded.
    pub fn note_request(&self, method: &str, route: &str, status: u16, duration: Duration) {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or("other");
        self.requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.duration.with_label_values(&[route]).observe(duration.as_secs_f64());
    }

    /// Everything in Prometheus' text format.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn text(&self, app: &App) -> anyhow::Result<String> {
        if let Ok(stats) = app.metrics.stats().await {
            let set = |what: &str, value: usize| {
                self.store.with_label_values(&[what]).set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            set("series", stats.series);
            set("active_series", stats.active_series);
            set("head_samples", stats.head_samples);
            set("queued_samples", stats.queued_samples);
            set("damaged_rows", stats.damaged_rows);
            set("disk_bytes", usize::try_from(stats.disk_bytes).unwrap_or(usize::MAX));
        }
        for (name, state) in app.tasks.states() {
            let count = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
            self.task_runs.with_label_values(&[name, "failed"]).set(count(state.failures));
            self.task_runs.with_label_values(&[name, "done"]).set(count(state.runs - state.failures));
        }
        TextEncoder::new().encode_to_string(&self.registry.gather()).context("cannot write the metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_nobody_knows_are_counted_as_one() {
        let metrics = OwnMetrics::new().unwrap();
        for method in ["GET", "X1", "X2", "get"] {
            metrics.note_request(method, "/healthz", 405, Duration::ZERO);
        }
        let text = TextEncoder::new().encode_to_string(&metrics.registry.gather()).unwrap();
        let counted: Vec<&str> = text.lines().filter(|line| line.contains("requests_total{")).collect();
        assert_eq!(counted.len(), 2, "{text}");
        assert!(counted.iter().any(|line| line.contains("\"other\"") && line.ends_with(" 3")), "{text}");
    }
}
