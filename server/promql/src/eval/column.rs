//! Columns: the values of one series at every step of a grid.
//!
//! A cell without a value holds [`ABSENT`], the bits of the stale marker: selectors remove stale markers, and
//! arithmetic never makes those bits (it would set the quiet bit), so no value can be mistaken for it.
//! A native histogram would be a second kind of column beside the floats, here and nowhere else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::storage::STALE_NAN_BITS;
use crate::{Labels, QueryError};

/// The cell without a value.
pub(crate) const ABSENT: f64 = f64::from_bits(STALE_NAN_BITS);

/// True for the cell without a value.
#[inline]
pub(crate) fn is_absent(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}

/// The instants of an evaluation: `count` steps from `start`. Milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) start: i64,
    /// 0 for a single instant.
    pub(crate) step: i64,
    pub(crate) count: usize,
}

impl Grid {
    pub(crate) fn single(t: i64) -> Self {
        Self { start: t, step: 0, count: 1 }
    }

    #[inline]
    pub(crate) fn time(&self, i: usize) -> i64 {
        self.start + self.step * i as i64
    }

    pub(crate) fn end(&self) -> i64 {
        self.time(self.count.saturating_sub(1))
    }

    pub(crate) fn times(&self) -> impl Iterator<Item = i64> + '_ {
        (0..self.count).map(|i| self.time(i))
    }
}

/// One series of an instant vector, for all steps.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    /// The name is to be removed at the end of the query.
    pub(crate) drop_name: bool,
    pub(crate) values: Vec<f64>,
}

impl Series {
    pub(crate) fn new(labels: Labels, values: Vec<f64>) -> Self {
        Self { labels, drop_name: false, values }
    }

    /// Applies a function to every value that is there.
    #[inline]
    pub(crate) fn map(&mut self, f: impl Fn(f64) -> f64) {
        for v in &mut self.values {
            if !is_absent(*v) {
                *v = f(*v);
            }
        }
    }

    /// True if no step has a value.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.iter().all(|v| is_absent(*v))
    }
}

/// The value of a node.
#[derive(Debug)]
pub(crate) enum Evaluated {
    /// One number for each step.
    Scalar(Vec<f64>),
    Text(Arc<str>),
    Vector(Vec<Series>),
}

impl Evaluated {
    /// Cells held.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Scalar(v) => v.len(),
            Self::Text(_) => 0,
            Self::Vector(series) => series.iter().map(|s| s.values.len()).sum(),
        }
    }

    pub(crate) fn series_count(&self) -> usize {
        match self {
            Self::Scalar(_) => 1,
            Self::Text(_) => 0,
            Self::Vector(series) => series.len(),
        }
    }

    /// A value of one step, the same for `count` steps.
    pub(crate) fn repeated(self, count: usize) -> Self {
        let spread = |values: Vec<f64>| vec![values.first().copied().unwrap_or(ABSENT); count];
        match self {
            Self::Scalar(v) => Self::Scalar(spread(v)),
            Self::Vector(mut series) => {
                for s in &mut series {
                    s.values = spread(std::mem::take(&mut s.values));
                }
                Self::Vector(series)
            }
            text @ Self::Text(_) => text,
        }
    }
}

/// Makes labels unique again after they were changed: series that became equal are one series if they have no
/// step in common, else the query fails.
pub(crate) fn merge_same_labels(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut by_labels: HashMap<Labels, usize> = HashMap::with_capacity(series.len());
    let mut out: Vec<Series> = Vec::with_capacity(series.len());
    for s in series {
        match by_labels.entry(s.labels.clone()) {
            Entry::Vacant(slot) => {
                slot.insert(out.len());
                out.push(s);
            }
            Entry::Occupied(slot) => {
                let target = &mut out[*slot.get()];
                merge_into(&mut target.values, &s.values).ok_or_else(QueryError::same_labelset)?;
                target.drop_name |= s.drop_name;
            }
        }
    }
    Ok(out)
}

/// Copies the values of one column into the gaps of another; `None` if both have a value at one step.
pub(crate) fn merge_into(target: &mut [f64], source: &[f64]) -> Option<()> {
    for (t, s) in target.iter_mut().zip(source) {
        if is_absent(*s) {
            continue;
        }
        if !is_absent(*t) {
            return None;
        }
        *t = *s;
    }
    Some(())
}
