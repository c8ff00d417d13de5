//! `and`, `or`, `unless`: which series stay depends only on which are there.

use std::collections::HashMap;

use crate::ast::{Binary, BinaryOp, Matching};
use crate::eval::{ABSENT, Evaluator, Grid, Series, is_absent, merge_same_labels};
use crate::labels::METRIC_NAME;
use crate::{Labels, QueryError};

/// The labels by which a series finds its partners.
pub(super) fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|l| &**l == name);
    if matching.on {
        labels.filtered(listed)
    } else {
        labels.filtered(|name| name != METRIC_NAME && !listed(name))
    }
}

impl Evaluator<'_> {
    pub(super) fn set_operator(
        &mut self,
        b: &Binary,
        lhs: Vec<Series>,
        rhs: Vec<Series>,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        if b.op == BinaryOp::Or {
            let there = presence(&lhs, &b.matching, grid);
            let rest = masked(rhs, &b.matching, &there, false);
            let mut all = lhs;
            all.extend(rest);
            return merge_same_labels(all);
        }
        let there = presence(&rhs, &b.matching, grid);
        Ok(masked(lhs, &b.matching, &there, b.op == BinaryOp::And))
    }
}

/// For each signature the steps at which some series of it has a value.
fn presence(series: &[Series], matching: &Matching, grid: &Grid) -> HashMap<Labels, Vec<bool>> {
    let mut there: HashMap<Labels, Vec<bool>> = HashMap::new();
    for s in series {
        let steps = there.entry(signature(&s.labels, matching)).or_insert_with(|| vec![false; grid.count]);
        for (step, v) in steps.iter_mut().zip(&s.values) {
            *step |= !is_absent(*v);
        }
    }
    there
}

/// Keeps the values at steps where a partner is there (or is not).
fn masked(
    mut series: Vec<Series>,
    matching: &Matching,
    there: &HashMap<Labels, Vec<bool>>,
    keep_if_there: bool,
) -> Vec<Series> {
    series.retain_mut(|s| match there.get(&signature(&s.labels, matching)) {
        None => !keep_if_there,
        Some(steps) => {
            for (v, there) in s.values.iter_mut().zip(steps) {
                if *there != keep_if_there {
                    *v = ABSENT;
                }
            }
            !s.is_empty()
        }
    });
    series
}
