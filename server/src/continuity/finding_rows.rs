//! Findings and signatures for people: on the page of a drill and in its report.

use super::report::who;
use crate::console::Page;
use crate::records::drill_findings::{Finding, SignOff};
use crate::time::Millis;

/// A finding.
pub(super) struct FindingRow {
    pub(super) id: String,
    pub(super) finding: String,
    pub(super) action: String,
    pub(super) owner: String,
    pub(super) due: String,
    pub(super) state: String,
    pub(super) badge: &'static str,
    pub(super) open: bool,
}

/// Findings as they stand now.
pub(super) fn finding_rows(page: &Page, found: Vec<Finding>, now_ms: Millis) -> Vec<FindingRow> {
    let row = |one: Finding| {
        let (state, badge) = match (one.closed_at_ms, &one.closed_note) {
            (Some(at_ms), note) => {
                let (at, note) = (page.datetime(at_ms), note.clone().unwrap_or_default());
                let by =
                    one.closed_by.as_deref().map_or_else(String::new, |by| format!(" ({})", who(page, by)));
                (page.tv("continuity.finding.closed", &[("at", &at), ("note", &note)]) + &by, "ok")
            }
            (None, _) if one.due_ms < now_ms => (page.t("continuity.finding.late"), "crit"),
            (None, _) => (page.t("continuity.finding.open"), "warn"),
        };
        FindingRow {
            due: page.datetime(one.due_ms),
            open: one.closed_at_ms.is_none(),
            id: one.id,
            finding: one.finding,
            action: one.action,
            owner: one.owner,
            state,
            badge,
        }
    };
    found.into_iter().map(row).collect()
}

/// Who has signed, in which role and when.
pub(super) fn signatures(page: &Page, signed: &[SignOff]) -> Vec<String> {
    let line = |one: &SignOff| {
        let (role, at) = (page.t(&format!("role.{}", one.role)), page.datetime_seconds(one.signed_at_ms));
        let words = page.tv("continuity.sign.line", &[("name", &one.name), ("role", &role), ("at", &at)]);
        if one.note.is_empty() { words } else { format!("{words}: {}", one.note) }
    };
    signed.iter().map(line).collect()
}
