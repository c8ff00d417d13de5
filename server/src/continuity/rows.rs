//! The rows that a drill wrote, for people: what was lost, and the recovery point.

use super::journal::{CheckTime, Entry, Fact};
use super::marks::RowCount;
use super::plan::Plan;
use super::report::length;
use crate::console::Page;
use crate::time::millis;

/// What was found, as one sentence.
pub(super) fn in_words(page: &Page, plan: Option<&Plan>, count: &RowCount) -> String {
    let name = plan.map_or(count.marker.as_str(), |plan| plan.say(page.lang(), &count.marker));
    let number = |value: usize| page.number(value as f64, 0);
    let (acknowledged, lost) = (number(count.acknowledged), number(count.lost));
    let rpo = count.rpo_ms.map_or_else(|| page.t("continuity.unmeasured"), |rpo_ms| length(page, rpo_ms));
    let values: [(&str, &str); 4] =
        [("marker", name), ("acknowledged", &acknowledged), ("lost", &lost), ("rpo", &rpo)];
    page.tv("continuity.rows", &values)
}

/// The recovery point after the fault, and whether the target was met; nothing where no rows were written.
pub(super) fn recovery_point(page: &Page, plan: Option<&Plan>, entries: &[Entry]) -> Option<(String, bool)> {
    let count = counted(entries, CheckTime::Step)?;
    let met = match (plan.and_then(|plan| plan.rpo), count.rpo_ms) {
        (_, None) => false,
        (Some(target), Some(rpo_ms)) => rpo_ms <= millis(target),
        (None, Some(_)) => true,
    };
    let found = count.rpo_ms.map_or_else(|| page.t("continuity.unmeasured"), |rpo_ms| length(page, rpo_ms));
    Some((found, met))
}

/// What became of the rows, after the recovery and after the way back.
pub(super) fn found(page: &Page, plan: Option<&Plan>, entries: &[Entry]) -> Vec<(String, String)> {
    let parts = [(CheckTime::Step, "continuity.rows.steps"), (CheckTime::After, "continuity.rows.all")];
    let line =
        |(when, key): (CheckTime, &str)| Some((page.t(key), in_words(page, plan, counted(entries, when)?)));
    parts.into_iter().filter_map(line).collect()
}

/// The newest count of that time.
pub(super) fn counted(entries: &[Entry], wanted: CheckTime) -> Option<&RowCount> {
    entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::RowsCounted { when, count, .. } if *when == wanted => Some(count),
        _ => None,
    })
}
