//! What a query may still use: samples, text, memory and time. The threads of a query share it.

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
    /// Bytes of labels that the query has made; they are given back at its end.
    texts: AtomicUsize,
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
            texts: AtomicUsize::new(0),
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
        self.reserve(held, self.texts.load(Ordering::Relaxed))
    }

    /// Charges scratch memory of a node that is about to be allocated.
    pub(crate) fn hold_bytes(&self, bytes: usize) -> Result<(), QueryError> {
        self.hold(bytes.div_ceil(BYTES_PER_SAMPLE))
    }

    /// Charges the text of labels that are about to be made.
    pub(crate) fn hold_text(&self, bytes: usize) -> Result<(), QueryError> {
        let texts = self.texts.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if texts / BYTES_PER_SAMPLE > self.max {
            return Err(QueryError::execution("query processing would make too much text for labels"));
        }
        self.reserve(self.held(), texts)
    }

    /// Takes from the pool what is needed for so many samples and bytes, if it is more than was ever needed.
    fn reserve(&self, held: usize, texts: usize) -> Result<(), QueryError> {
        let Some(pool) = &self.pool else { return Ok(()) };
        let needed = held.saturating_mul(BYTES_PER_SAMPLE).saturating_add(texts);
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
        let bytes = self.reserved().saturating_add(pool.free());
        (bytes.saturating_sub(self.texts.load(Ordering::Relaxed)) / BYTES_PER_SAMPLE)
            .saturating_sub(self.held())
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
