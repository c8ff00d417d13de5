//! What a query may still use: samples, memory and time. The threads of a query share it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::options::EngineOptions;
use crate::{MemoryPool, QueryError, SelectBudget};

/// What a sample or cell is counted as: a value and a time.
const BYTES_PER_SAMPLE: usize = 16;
/// Memory is reserved in pieces of this many bytes, so that small steps do not contend for the pool.
const RESERVE_BYTES: usize = 1 << 16;

pub(crate) struct Budget {
    /// Samples and cells held now.
    held: AtomicUsize,
    max: usize,
    pool: Option<Arc<MemoryPool>>,
    /// Bytes taken from the pool: the most that was ever held.
    reserved: Mutex<usize>,
    /// Threads that may work on one node.
    threads: usize,
    deadline: Option<Instant>,
    cancel: Option<Arc<AtomicBool>>,
}

impl Budget {
    pub(crate) fn new(
        options: &EngineOptions,
        deadline: Option<Instant>,
        cancel: Option<Arc<AtomicBool>>,
    ) -> Self {
        Self {
            held: AtomicUsize::new(0),
            max: options.max_samples,
            pool: options.memory.clone(),
            reserved: Mutex::new(0),
            threads: options.threads.max(1),
            deadline,
            cancel,
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    pub(crate) fn threads(&self) -> usize {
        self.threads
    }

    /// Gives back what was held since a mark was taken with [`Budget::held`].
    pub(crate) fn reset_to(&self, mark: usize) {
        self.held.store(mark, Ordering::Relaxed);
    }

    /// Charges cells that are about to be allocated.
    pub(crate) fn hold(&self, cells: usize) -> Result<(), QueryError> {
        let before = self.held.fetch_add(cells, Ordering::Relaxed);
        let Some(held) = before.checked_add(cells).filter(|held| *held <= self.max) else {
            // Nothing more may be held: whatever comes next ends as well.
            self.held.store(usize::MAX / 2, Ordering::Relaxed);
            return Err(QueryError::too_many_samples());
        };
        let Some(pool) = &self.pool else { return Ok(()) };
        let needed = held.saturating_mul(BYTES_PER_SAMPLE);
        let mut reserved = self.reserved.lock().unwrap_or_else(PoisonError::into_inner);
        if needed > *reserved {
            let more = (needed - *reserved).max(RESERVE_BYTES);
            if !pool.take(more) {
                return Err(QueryError::out_of_memory(pool.limit()));
            }
            *reserved += more;
        }
        Ok(())
    }

    /// What a selection may return.
    pub(crate) fn for_select(&self, max_series: usize) -> SelectBudget {
        SelectBudget {
            max_series,
            max_samples: self.max.saturating_sub(self.held()).min(self.samples_in_memory()),
            threads: self.threads,
            deadline: self.deadline,
            cancel: self.cancel.clone(),
        }
    }

    /// Samples for which there is memory beyond what is held.
    fn samples_in_memory(&self) -> usize {
        let Some(pool) = &self.pool else { return usize::MAX };
        (self.reserved().saturating_add(pool.free()) / BYTES_PER_SAMPLE).saturating_sub(self.held())
    }

    fn reserved(&self) -> usize {
        *self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error of a selection that found more samples than [`Budget::for_select`] allowed when so much was held.
    pub(crate) fn exceeded(&self, limit: usize, held: usize) -> QueryError {
        match &self.pool {
            Some(pool) if limit < self.max.saturating_sub(held) => QueryError::out_of_memory(pool.limit()),
            _ => QueryError::too_many_samples(),
        }
    }

    /// To be asked once a series or so.
    pub(crate) fn check_time(&self) -> Result<(), QueryError> {
        if self.deadline.is_none() && self.cancel.is_none() {
            return Ok(());
        }
        Ok(self.for_select(0).check_time()?)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.give_back(self.reserved());
        }
    }
}
