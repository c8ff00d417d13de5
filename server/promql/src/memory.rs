//! Memory that all queries share: each reserves what it holds, and gives it back when it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::QueryError;

/// Bytes that queries running at the same time may hold together.
#[derive(Debug)]
pub struct MemoryPool {
    limit: usize,
    used: AtomicUsize,
}

impl MemoryPool {
    /// A pool of so many bytes.
    #[must_use]
    pub fn new(limit_bytes: usize) -> Self {
        Self { limit: limit_bytes, used: AtomicUsize::new(0) }
    }

    /// Its size in bytes.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that nobody holds.
    #[must_use]
    pub fn free(&self) -> usize {
        self.limit.saturating_sub(self.used.load(Ordering::Relaxed))
    }

    /// Reserves bytes, all or none; false if there is not enough.
    pub(crate) fn take(&self, bytes: usize) -> bool {
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(crate) fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Reserves bytes for work beside the evaluator, until the reservation is dropped.
    ///
    /// # Errors
    /// [`QueryError::Execution`] if there is not enough.
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Result<Reservation, QueryError> {
        if self.take(bytes) {
            Ok(Reservation { pool: Arc::clone(self), bytes })
        } else {
            Err(QueryError::out_of_memory(self.limit))
        }
    }
}

/// Bytes of a pool that are held; given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    pool: Arc<MemoryPool>,
    bytes: usize,
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.pool.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_missing_until_it_is_dropped() {
        let pool = Arc::new(MemoryPool::new(100));
        let held = pool.reserve(70).unwrap();
        let error = pool.reserve(31).unwrap_err();
        assert!(matches!(error, QueryError::Execution(text) if text.contains("100 bytes")));
        assert_eq!(pool.free(), 30);
        drop(held);
        assert_eq!(pool.free(), 100);
    }
}
