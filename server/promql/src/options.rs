//! The engine's switches and limits, all with Prometheus' defaults.

use std::sync::Arc;
use std::time::Duration;

use crate::MemoryPool;

/// How queries are evaluated and what they may cost. Every limit ends a query with an error, never with less data.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How far an instant selector looks back for a sample (default 5 min).
    pub lookback: Duration,
    /// Step of a subquery that names none (default 1 min, Prometheus' evaluation interval).
    pub default_subquery_step: Duration,
    /// Most samples a query holds in memory at one time, loaded and computed (default 50 million).
    pub max_samples: usize,
    /// Most series one selector may match (default 1 million).
    pub max_series: usize,
    /// Most steps of a range query (default 11,000).
    pub max_points_per_series: usize,
    /// Most points of a whole range answer (default 10 million).
    pub max_answer_points: usize,
    /// Memory that this query shares with others (default none: only `max_samples` bounds it).
    pub memory: Option<Arc<MemoryPool>>,
    /// Most threads that work on one query (default 1).
    pub threads: usize,
    /// Longest text of a query in bytes (default 256 KiB).
    pub max_query_length: usize,
    /// Deepest nesting of an expression (default 256).
    pub max_depth: usize,
    /// Longest evaluation (default 2 min).
    pub timeout: Duration,
    /// Keep `__name__` through functions and drop it at the end (Prometheus' `promql-delayed-name-removal`; default off).
    pub delayed_name_removal: bool,
    /// Ranges and lookback include their left edge, as in Prometheus 2 (default off).
    pub prometheus2_closed_ranges: bool,
    /// Allow functions and aggregations that Prometheus marks experimental (default on; a stock Prometheus refuses them).
    pub experimental: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            default_subquery_step: Duration::from_secs(60),
            max_samples: 50_000_000,
            max_series: 1_000_000,
            max_points_per_series: 11_000,
            max_answer_points: 10_000_000,
            memory: None,
            threads: 1,
            max_query_length: 256 << 10,
            max_depth: 256,
            timeout: Duration::from_secs(120),
            delayed_name_removal: false,
            prometheus2_closed_ranges: false,
            experimental: true,
        }
    }
}
