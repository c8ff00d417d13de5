//! PromQL over a [`Storage`] trait: parse a query once, evaluate it at an instant or over a range.
//!
//! The crate is pure: no HTTP, no SQL, no runtime. It reads a clock for one purpose, the timeout of a query.
//!
//! How a query runs: the grammar crate parses (`guard` before it bounds the text, `parse` after it resolves
//! names), `eval` walks the tree once. Every node is evaluated for all steps at a time: a vector is a list of
//! series, each with one column that has a cell for every step. Each selector is fetched once for the whole window.
//!
//! Semantics are Prometheus 3's for float samples. Native histograms are not there yet, but the types have their place:
//! a [`Sample`] is of a kind that must be asked for, series that a storage gives ([`SeriesData`]) and an answer holds
//! ([`MatrixSeries`]) keep each kind in a list of its own, and within the evaluator a column (`eval::column`) is the one
//! place that knows that its cells are floats.
//!
//! ```
//! use siaga_promql::{Engine, EngineOptions, Labels, Matcher, SelectBudget, SelectHints, SeriesData, Storage, StorageError, Value};
//!
//! struct One;
//! impl Storage for One {
//!     fn select(&self, _: &[Matcher], _: &SelectHints, _: &SelectBudget) -> Result<Vec<SeriesData>, StorageError> {
//!         Ok(vec![SeriesData::new(Labels::new([("__name__", "up")]), vec![1_000], vec![1.0])])
//!     }
//! }
//!
//! let engine = Engine::new(EngineOptions::default());
//! let query = engine.parse("up + 1")?;
//! let answer = engine.instant(&One, &query, 2_000)?;
//! assert!(matches!(answer.value, Value::Vector(v) if v[0].sample.float() == Some(2.0)));
//! # Ok::<(), siaga_promql::QueryError>(())
//! ```

mod answer;
mod ast;
mod engine;
mod error;
mod eval;
mod format;
mod functions;
mod guard;
mod labels;
mod locate;
mod matcher;
mod memory;
mod options;
mod parse;
mod patterns;
mod storage;

pub use answer::{Answer, MatrixSeries, Sample, Value, VectorSample};
pub use engine::{Engine, Query};
pub use error::QueryError;
pub use format::{format_value, push_value};
pub use labels::{Labels, METRIC_NAME, Pair};
pub use matcher::{CompiledMatcher, MatchOp, Matcher, RegexError, SelectorBounds, anchored_regex};
pub use memory::{MemoryPool, Reservation};
pub use options::EngineOptions;
pub use storage::{
    Consumer, STALE_NAN_BITS, SelectBudget, SelectHints, SeriesData, Storage, StorageError, is_stale_nan,
    stale_nan,
};
