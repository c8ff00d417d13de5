//! Sections of the report in which the planner may write. Pure.

/// A section: its code in records, and whether Siaga's facts stay beside what the planner writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    /// Code; texts are `capacity.report.section.CODE` and, where there is a draft, `capacity.report.draft.CODE`.
    pub(super) code: &'static str,
    /// Number in the document.
    pub(super) number: &'static str,
}

/// All of them, in the order of the document.
pub(super) const SECTIONS: [Section; 9] = [
    Section { code: "background", number: "1.1" },
    Section { code: "scope", number: "1.2" },
    Section { code: "method", number: "1.3" },
    Section { code: "assumptions", number: "1.4" },
    Section { code: "service_now", number: "2.1" },
    Section { code: "service_ahead", number: "2.2" },
    Section { code: "options", number: "4" },
    Section { code: "cost", number: "5" },
    Section { code: "recommendation", number: "6" },
];

/// Longest text of a section, characters.
pub(super) const MAX_TEXT: usize = 20_000;

/// Whether there is such a section.
pub(super) fn is_known(code: &str) -> bool {
    SECTIONS.iter().any(|section| section.code == code)
}
