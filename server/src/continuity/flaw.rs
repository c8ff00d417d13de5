//! What is not as it was written, typed, so that it can be said in both languages. Pure.

use serde::{Deserialize, Serialize};

/// One thing that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum Flaw {
    /// An entry is missing or out of order.
    EntryOrder {
        /// Number that belongs there.
        wanted: i64,
        /// Number found.
        found: i64,
    },
    /// An entry does not bear the hash of the one before.
    EntryChain {
        /// Number of the entry.
        seq: i64,
    },
    /// An entry does not fit its own hash.
    EntryAltered {
        /// Number of the entry.
        seq: i64,
    },
    /// An entry cannot be read.
    EntryUnreadable {
        /// Number of the entry.
        seq: i64,
    },
    /// The hashes fit each other, but the entry is not the one that was signed.
    EntryNotSigned {
        /// Number of the entry.
        seq: i64,
    },
    /// Entries are missing at the end.
    EntriesMissing {
        /// Entries that were signed.
        signed: usize,
        /// Entries found.
        found: usize,
    },
    /// An entry came after the last signature.
    EntryAdded {
        /// Number of the entry.
        seq: i64,
    },
    /// The drill has ended, but its journal does not say how.
    NotClosed,
    /// The drill is said to be running, though it was signed as ended.
    Reopened,
    /// What the report takes from the drill's row is not what follows from the journal.
    Figure {
        /// Which figure.
        field: String,
        /// As it stands in the row.
        record: String,
        /// As it follows from the journal.
        journal: String,
    },
    /// The drill's row is not the one that was signed.
    RecordChanged,
    /// The raw traces of the probes are not those that were signed.
    TracesChanged,
    /// The drill was signed, but its signature is gone.
    SealMissing,
    /// A seal cannot be read, or its row says something else than what was signed.
    SealUnreadable {
        /// Place of the seal.
        seal: i64,
    },
    /// A signature does not fit what it signs.
    SignatureWrong {
        /// Place of the seal.
        seal: i64,
    },
    /// Somebody else's key signed.
    KeyUnknown {
        /// Place of the seal.
        seal: i64,
        /// Fingerprint of that key.
        key: String,
    },
    /// The drill before it is gone, or its journal is another one.
    PreviousMissing {
        /// Identifier of the drill before.
        drill_id: String,
    },
    /// A seal is missing.
    SealGap {
        /// Place that belongs there.
        wanted: i64,
        /// Place found.
        found: i64,
    },
    /// A seal does not follow the one before.
    SealChain {
        /// Place of the seal.
        seal: i64,
    },
    /// A drill is missing.
    DrillMissing {
        /// Its number.
        number: i64,
    },
    /// A seal that was noted earlier is not in the list.
    SealGone {
        /// Its hash.
        hash: String,
    },
}

impl Flaw {
    /// The sentence in a language, by its code.
    #[must_use]
    pub fn say(&self, language: &str) -> String {
        let (key, values) = self.text();
        let text = rust_i18n::t!(key, locale = language).into_owned();
        values.iter().fold(text, |text, (name, value)| text.replace(&format!("%{{{name}}}"), value))
    }

    fn text(&self) -> (&'static str, Vec<(&'static str, String)>) {
        let one = |name, value: &dyn ToString| vec![(name, value.to_string())];
        match self {
            Self::EntryOrder { wanted, found } => (
                "continuity.flaw.entry_order",
                vec![("wanted", wanted.to_string()), ("found", found.to_string())],
            ),
            Self::EntryChain { seq } => ("continuity.flaw.entry_chain", one("seq", seq)),
            Self::EntryAltered { seq } => ("continuity.flaw.entry_altered", one("seq", seq)),
            Self::EntryUnreadable { seq } => ("continuity.flaw.entry_unreadable", one("seq", seq)),
            Self::EntryNotSigned { seq } => ("continuity.flaw.entry_not_signed", one("seq", seq)),
            Self::EntriesMissing { signed, found } => (
                "continuity.flaw.entries_missing",
                vec![("signed", signed.to_string()), ("found", found.to_string())],
            ),
            Self::EntryAdded { seq } => ("continuity.flaw.entry_added", one("seq", seq)),
            Self::NotClosed => ("continuity.flaw.not_closed", vec![]),
            Self::Reopened => ("continuity.flaw.reopened", vec![]),
            Self::Figure { field, record, journal } => (
                "continuity.flaw.figure",
                vec![("field", field.clone()), ("record", record.clone()), ("journal", journal.clone())],
            ),
            Self::RecordChanged => ("continuity.flaw.record_changed", vec![]),
            Self::TracesChanged => ("continuity.flaw.traces_changed", vec![]),
            Self::SealMissing => ("continuity.flaw.seal_missing", vec![]),
            Self::SealUnreadable { seal } => ("continuity.flaw.seal_unreadable", one("seal", seal)),
            Self::SignatureWrong { seal } => ("continuity.flaw.signature_wrong", one("seal", seal)),
            Self::KeyUnknown { seal, key } => {
                ("continuity.flaw.key_unknown", vec![("seal", seal.to_string()), ("key", key.clone())])
            }
            Self::PreviousMissing { drill_id } => {
                ("continuity.flaw.previous_missing", one("drill", drill_id))
            }
            Self::SealGap { wanted, found } => (
                "continuity.flaw.seal_gap",
                vec![("wanted", wanted.to_string()), ("found", found.to_string())],
            ),
            Self::SealChain { seal } => ("continuity.flaw.seal_chain", one("seal", seal)),
            Self::DrillMissing { number } => ("continuity.flaw.drill_missing", one("number", number)),
            Self::SealGone { hash } => ("continuity.flaw.seal_gone", one("hash", hash)),
        }
    }
}
