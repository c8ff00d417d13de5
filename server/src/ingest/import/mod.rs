//! History from elsewhere: reads OpenMetrics or CSV line by line and hands batches to a sink.
//!
//! Invariants: a broken line costs itself and is reported with its number; memory is bounded by one batch,
//! whatever the size of the file.

mod batch;
mod csv;
mod lines;
mod openmetrics;

use std::io::BufRead;

pub use batch::{Batch, BatchItem};
pub use csv::CsvOptions;

/// Samples of one batch.
pub const BATCH_SAMPLES: usize = 20_000;

/// Format of a file.
#[derive(Debug, Clone)]
pub enum Format {
    /// OpenMetrics text with timestamps.
    OpenMetrics,
    /// CSV with a header line.
    Csv(CsvOptions),
}

/// A line that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Number, from 1.
    pub line: u64,
    /// What was wrong with it.
    pub reason: String,
}

/// What the reader meets.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Samples to store.
    Batch(Batch),
    /// A line that was not taken.
    Bad(BadLine),
    /// The file ends without the end that its format has: it may have been cut off. Comes last.
    NoEnd,
}

/// Why reading ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError<E> {
    /// The file cannot be read.
    #[error("cannot read line {line}")]
    Read {
        /// Line that was being read.
        line: u64,
        /// Reason.
        #[source]
        source: std::io::Error,
    },
    /// The header of a CSV file cannot be used.
    #[error("the header line cannot be used: {0}")]
    Header(String),
    /// The receiver of events failed.
    #[error("cannot store what was read")]
    Sink(#[source] E),
}

/// Reads all of `input` and gives what it meets to `sink`, in order.
///
/// # Errors
/// If the input cannot be read, its header cannot be used, or the sink fails.
pub fn read<E>(
    format: &Format,
    input: impl BufRead,
    sink: &mut impl FnMut(Event) -> Result<(), E>,
) -> Result<(), ImportError<E>> {
    match format {
        Format::OpenMetrics => openmetrics::read(input, sink),
        Format::Csv(options) => csv::read(options, input, sink),
    }
}
