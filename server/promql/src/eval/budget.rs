//! What a query may still use: samples, memory and time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::{MemoryPool, QueryError, SelectBudget};

/// What a sample or cell is counted as: a value and a time.
const BYTES_PER_SAMPLE: usize = 16;
/// Memory is reserved in pieces of this many bytes, so that small steps do not contend for the pool.
const RESERVE_BYTES: usize = 1 << 16;

pub(crate) struct Budget {
    /// Samples and cells held now.
    held: usize,
    max: usize,
    pool: Option<Arc<MemoryPool>>,
    /// Bytes taken from the pool: the most that was ever held.
    reserved: usize,
    deadline: Option<Instant>,
    cancel: Option<Arc<AtomicBool>>,
}

impl Budget {
    pub(crate) fn new(
        max: usize,
        pool: Option<Arc<MemoryPool>>,
        deadline: Option<Instant>,
        cancel: Option<Arc<AtomicBool>>,
    ) -> Self {
        Self { held: 0, max, pool, reserved: 0, deadline, cancel }
    }

    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Gives back what was held since a mark was taken with [`Budget::held`].
    pub(crate) fn reset_to(&mut self, mark: usize) {
        self.held = mark;
    }

    /// Charges cells that are about to be allocated.
    pub(crate) fn hold(&mut self, cells: usize) -> Result<(), QueryError> {
        self.held = self.held.saturating_add(cells);
        if self.held > self.max {
            return Err(QueryError::too_many_samples());
        }
        let needed = self.held.saturating_mul(BYTES_PER_SAMPLE);
        match &self.pool {
            Some(pool) if needed > self.reserved => {
                let more = (needed - self.reserved).max(RESERVE_BYTES);
                if !pool.take(more) {
                    return Err(QueryError::out_of_memory(pool.limit()));
                }
                self.reserved += more;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// What a selection may return.
    pub(crate) fn for_select(&self, max_series: usize) -> SelectBudget {
        SelectBudget {
            max_series,
            max_samples: self.max.saturating_sub(self.held).min(self.samples_in_memory()),
            deadline: self.deadline,
            cancel: self.cancel.clone(),
        }
    }

    /// Samples for which there is memory beyond what is held.
    fn samples_in_memory(&self) -> usize {
        let Some(pool) = &self.pool else { return usize::MAX };
        (self.reserved.saturating_add(pool.free()) / BYTES_PER_SAMPLE).saturating_sub(self.held)
    }

    /// The error of a selection that found more samples than [`Budget::for_select`] allowed.
    pub(crate) fn exceeded(&self, limit: usize) -> QueryError {
        match &self.pool {
            Some(pool) if limit < self.max.saturating_sub(self.held) => {
                QueryError::out_of_memory(pool.limit())
            }
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
            pool.give_back(self.reserved);
        }
    }
}
