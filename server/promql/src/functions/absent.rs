//! absent() and absent_over_time(): a series where nothing is, with the labels that the selector tells.

use std::collections::HashSet;

use crate::ast::{Expr, Kind};
use crate::eval::{ABSENT, Series};
use crate::labels::METRIC_NAME;
use crate::{Labels, MatchOp, Matcher};

/// 1 at every step where nothing was there.
pub(crate) fn series(arg: &Expr, there: &[bool]) -> Vec<Series> {
    let values: Vec<f64> = there.iter().map(|&t| if t { ABSENT } else { 1.0 }).collect();
    let series = Series::new(labels(arg), values);
    if series.is_empty() { Vec::new() } else { vec![series] }
}

/// Labels from equality matchers; a label that is matched in any other way, or twice, is not known.
fn labels(arg: &Expr) -> Labels {
    let matchers: &[Matcher] = match &arg.bare().kind {
        Kind::Selector(s) | Kind::Range { selector: s, .. } => &s.matchers,
        _ => &[],
    };
    let mut seen = HashSet::new();
    let mut known: Vec<(&str, &str)> = Vec::new();
    for m in matchers.iter().filter(|m| &*m.name != METRIC_NAME) {
        if m.op == MatchOp::Equal && seen.insert(&m.name) {
            known.push((&m.name, &m.value));
        } else {
            known.retain(|(name, _)| *name != &*m.name);
        }
    }
    Labels::new(known)
}
