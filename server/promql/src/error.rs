//! Errors of a query, sorted as Prometheus' HTTP API sorts them.

use crate::storage::StorageError;

/// Why a query has no answer. The text is Prometheus' own wording where it has one.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The query or its parameters are wrong (HTTP 400).
    #[error("{0}")]
    BadData(String),
    /// The query cannot be evaluated on this data or exceeds a limit (HTTP 422).
    #[error("{0}")]
    Execution(String),
    /// The query took longer than allowed (HTTP 503).
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The caller gave up (HTTP 503; 499 where it is known that nobody waits).
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// The storage failed (HTTP 500).
    #[error("{0}")]
    Internal(String, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

impl QueryError {
    /// Prometheus' `errorType`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadData(_) => "bad_data",
            Self::Execution(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::Canceled(_) => "canceled",
            Self::Internal(..) => "internal",
        }
    }

    pub(crate) fn execution(message: impl Into<String>) -> Self {
        Self::Execution(message.into())
    }

    pub(crate) fn too_many_samples() -> Self {
        Self::execution("query processing would load too many samples into memory in query execution")
    }

    /// All running queries together hold as much as they may.
    #[must_use]
    pub fn out_of_memory(limit_bytes: usize) -> Self {
        Self::execution(format!(
            "query processing would use too much memory: all running queries together may hold {limit_bytes} bytes"
        ))
    }

    pub(crate) fn same_labelset() -> Self {
        Self::execution("vector cannot contain metrics with the same labelset")
    }
}

impl From<StorageError> for QueryError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::TooManySamples { .. } => Self::too_many_samples(),
            StorageError::TooManySeries { .. } => Self::Execution(error.to_string()),
            StorageError::Timeout => Self::Timeout("expression evaluation"),
            StorageError::Canceled => Self::Canceled("expression evaluation"),
            StorageError::Other(source) => Self::Internal("expanding series".to_owned(), Some(source)),
        }
    }
}
