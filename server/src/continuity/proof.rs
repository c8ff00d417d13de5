//! What page and report say of a drill's signature: whether it is as it was written, and how anybody can check that.

use super::verify::{State, Verification};
use crate::console::Page;

/// For people.
pub(super) struct Proof {
    /// Whether it is intact, as a sentence.
    pub(super) says: String,
    pub(super) badge: &'static str,
    /// What is not as it was written.
    pub(super) flaws: Vec<String>,
    /// Hash of the newest entry.
    pub(super) head: String,
    pub(super) entries: usize,
    /// Fingerprint of the key that signed.
    pub(super) key_id: Option<String>,
    /// How to check it.
    pub(super) how: String,
}

impl Proof {
    pub(super) fn new(page: &Page, number: i64, found: &Verification) -> Self {
        let (says, badge) = match found.state {
            State::Running => ("continuity.proof.running", "info"),
            State::Intact => ("continuity.proof.intact", "ok"),
            State::NotSigned => ("continuity.proof.not_signed", "warn"),
            State::Altered => ("continuity.proof.altered", "crit"),
        };
        Self {
            says: page.t(says),
            badge,
            flaws: found.flaws.iter().map(|flaw| flaw.say(page.lang())).collect(),
            head: found.head.clone(),
            entries: found.entries,
            key_id: found.key_id.clone(),
            how: page.tv("continuity.proof.how", &[("number", &number.to_string())]),
        }
    }
}
