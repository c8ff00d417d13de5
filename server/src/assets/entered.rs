//! What people enter of an asset: the fields of the standard's register, their bounds, and what follows from them.
//! Pure.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::diff::{ChangeKind, FieldChange};

/// The six classes of the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetClass {
    /// Hardware and facilities.
    Fisik,
    /// Software.
    PerangkatLunak,
    /// Services of others.
    Layanan,
    /// Information.
    Informasi,
    /// People.
    Sdm,
    /// Intangible: reputation, quality.
    TakBerwujud,
}

impl AssetClass {
    /// All classes.
    pub const ALL: [Self; 6] =
        [Self::Fisik, Self::PerangkatLunak, Self::Layanan, Self::Informasi, Self::Sdm, Self::TakBerwujud];

    /// Code in records and in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Fisik => "fisik",
            Self::PerangkatLunak => "perangkat_lunak",
            Self::Layanan => "layanan",
            Self::Informasi => "informasi",
            Self::Sdm => "sdm",
            Self::TakBerwujud => "tak_berwujud",
        }
    }

    /// The class of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.code() == code)
    }
}

/// Longest entered text, bytes; a note may be longer.
const MAX_ENTERED_BYTES: usize = 500;
/// Longest note, bytes.
const MAX_NOTE_BYTES: usize = 5_000;

/// The fields that people enter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entered {
    /// Nama Aset.
    pub name: String,
    /// Sub Klasifikasi.
    pub sub_class: String,
    /// Pemilik Aset: answers for value and risk.
    pub owner: String,
    /// Pemegang Aset: has it in custody.
    pub custodian: String,
    /// Lokasi.
    pub location: String,
    /// Penyedia Aset.
    pub supplier: String,
    /// Kerahasiaan, 1 to 3.
    pub confidentiality: Option<u8>,
    /// Integritas, 1 to 3.
    pub integrity: Option<u8>,
    /// Ketersediaan, 1 to 3.
    pub availability: Option<u8>,
    /// Masa Berlaku: the last day, `YYYY-MM-DD`; empty if without end.
    pub valid_until: String,
    /// Keterangan.
    pub note: String,
}

/// Which field is not acceptable, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EnteredError {
    /// Field.
    pub field: &'static str,
    /// Reason.
    pub reason: String,
}

impl Entered {
    fn texts(&self) -> [(&'static str, &String, usize); 8] {
        [
            ("name", &self.name, MAX_ENTERED_BYTES),
            ("sub_class", &self.sub_class, MAX_ENTERED_BYTES),
            ("owner", &self.owner, MAX_ENTERED_BYTES),
            ("custodian", &self.custodian, MAX_ENTERED_BYTES),
            ("location", &self.location, MAX_ENTERED_BYTES),
            ("supplier", &self.supplier, MAX_ENTERED_BYTES),
            ("valid_until", &self.valid_until, MAX_ENTERED_BYTES),
            ("note", &self.note, MAX_NOTE_BYTES),
        ]
    }

    fn classification(&self) -> [(&'static str, Option<u8>); 3] {
        [
            ("confidentiality", self.confidentiality),
            ("integrity", self.integrity),
            ("availability", self.availability),
        ]
    }

    /// Checks bounds.
    ///
    /// # Errors
    /// The first field that is not acceptable.
    pub fn check(&self) -> Result<(), EnteredError> {
        for (field, text, limit) in self.texts() {
            let fine_line = |c: char| !c.is_control() || (field == "note" && matches!(c, '\n' | '\r' | '\t'));
            if text.len() > limit {
                return Err(EnteredError { field, reason: format!("more than {limit} bytes") });
            }
            if !text.chars().all(fine_line) {
                return Err(EnteredError { field, reason: "control characters are not accepted".to_owned() });
            }
        }
        for (field, level) in self.classification() {
            if level.is_some_and(|level| !(1..=3).contains(&level)) {
                return Err(EnteredError { field, reason: "not between 1 and 3".to_owned() });
            }
        }
        if !self.valid_until.is_empty() && self.valid_until.parse::<Date>().is_err() {
            let reason = format!("{:?} is not a date YYYY-MM-DD", self.valid_until);
            return Err(EnteredError { field: "valid_until", reason });
        }
        Ok(())
    }

    /// Nilai Aset: the mean of the three classifications, once all three are given.
    #[must_use]
    pub fn asset_value(&self) -> Option<f64> {
        let (c, i, a) = (self.confidentiality?, self.integrity?, self.availability?);
        Some((f64::from(c) + f64::from(i) + f64::from(a)) / 3.0)
    }

    /// Fields that a person changed, for the history.
    #[must_use]
    pub fn changes(&self, new: &Self) -> Vec<FieldChange> {
        let level = |level: Option<u8>| level.map(|level| level.to_string()).unwrap_or_default();
        let texts = self.texts().into_iter().zip(new.texts());
        let texts = texts.map(|((field, old, _), (_, new, _))| (field, old.clone(), new.clone()));
        let levels = self.classification().into_iter().zip(new.classification());
        let levels = levels.map(|((field, old), (_, new))| (field, level(old), level(new)));
        let filled = |text: String| Some(text).filter(|text| !text.is_empty());
        texts
            .chain(levels)
            .filter(|(_, old, new)| old != new)
            .map(|(field, old, new)| FieldChange {
                field: field.to_owned(),
                kind: ChangeKind::Changed,
                old: filled(old),
                new: filled(new),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_a_code_that_reads_back() {
        for class in AssetClass::ALL {
            assert_eq!(AssetClass::from_code(class.code()), Some(class));
        }
    }

    #[test]
    fn the_value_is_the_mean_of_all_three_classifications() {
        let mut entered = Entered { confidentiality: Some(3), integrity: Some(2), ..Entered::default() };
        assert_eq!(entered.asset_value(), None);
        entered.availability = Some(1);
        assert_eq!(entered.asset_value(), Some(2.0));
    }

    #[test]
    fn a_field_out_of_bounds_is_named() {
        type Edit = fn(&mut Entered);
        let table: [(Edit, &str); 5] = [
            (|e| e.integrity = Some(4), "integrity"),
            (|e| e.availability = Some(0), "availability"),
            (|e| e.valid_until = "2026-02-30".to_owned(), "valid_until"),
            (|e| e.owner = "a\nb".to_owned(), "owner"),
            (|e| e.note = "x".repeat(MAX_NOTE_BYTES + 1), "note"),
        ];
        for (edit, field) in table {
            let mut entered = Entered { valid_until: "2026-12-31".to_owned(), ..Entered::default() };
            entered.note = "two\nlines".to_owned();
            assert_eq!(entered.check(), Ok(()));
            edit(&mut entered);
            assert_eq!(entered.check().unwrap_err().field, field);
        }
    }

    #[test]
    fn a_change_says_what_was_before_and_empty_is_nothing() {
        let old = Entered { location: "Ruang A".to_owned(), ..Entered::default() };
        let new = Entered { owner: "Kabid".to_owned(), integrity: Some(2), ..Entered::default() };
        let changes = old.changes(&new);
        let seen: Vec<_> =
            changes.iter().map(|c| (c.field.as_str(), c.old.as_deref(), c.new.as_deref())).collect();
        assert_eq!(
            seen,
            [
                ("owner", None, Some("Kabid")),
                ("location", Some("Ruang A"), None),
                ("integrity", None, Some("2"))
            ]
        );
    }
}
