//! What a query may still use: samples in memory and time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use crate::{QueryError, SelectBudget};

pub(crate) struct Budget {
    /// Samples and cells held now.
    held: usize,
    max: usize,
    deadline: Option<Instant>,
    cancel: Option<Arc<AtomicBool>>,
}

impl Budget {
    pub(crate) fn new(max: usize, deadline: Option<Instant>, cancel: Option<Arc<AtomicBool>>) -> Self {
        Self { held: 0, max, deadline, cancel }
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
        Ok(())
    }

    /// What a selection may return.
    pub(crate) fn for_select(&self, max_series: usize) -> SelectBudget {
        SelectBudget {
            max_series,
            max_samples: self.max.saturating_sub(self.held),
            deadline: self.deadline,
            cancel: self.cancel.clone(),
        }
    }

    /// To be asked once a series or so.
    pub(crate) fn check_time(&self) -> Result<(), QueryError> {
        Ok(self.for_select(0).check_time()?)
    }
}
