//! Events that are known beforehand and that a planner has to see beside a forecast: holidays, the end of the budget
//! year, deadlines of tenders, maintenance.
//!
//! `holidays` knows what is laid down by law or decree, `import` reads iCalendar and CSV, `store` keeps what people
//! bring in, `http` and `pages` show. The models do not use events yet: they are drawn, for people.

mod holidays;
pub(super) mod http;
mod import;
pub(super) mod pages;
mod store;

use serde::{Deserialize, Serialize};

pub(crate) use http::IMPORT;
pub use import::EventFormat;
pub(crate) use store::Imported;
pub(crate) use store::around;

use crate::time::Millis;

/// Sorts of events.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum EventCategory {
    /// A holiday, or a day off in common (cuti bersama).
    Holiday,
    /// The end of the budget year.
    BudgetYear,
    /// A deadline of a tender.
    Tender,
    /// Maintenance.
    Maintenance,
    /// Anything else.
    Other,
}

impl EventCategory {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Holiday, Self::BudgetYear, Self::Tender, Self::Maintenance, Self::Other];

    /// Code in records, in the API and in texts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Holiday => "holiday",
            Self::BudgetYear => "budget_year",
            Self::Tender => "tender",
            Self::Maintenance => "maintenance",
            Self::Other => "other",
        }
    }

    /// The category of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.code() == code)
    }

    /// The category of a word that people write into files, in either language.
    #[must_use]
    fn from_word(word: &str) -> Option<Self> {
        let word = word.trim().to_lowercase();
        Self::from_code(&word).or(match word.as_str() {
            "libur" | "hari libur" | "cuti bersama" | "holidays" | "public holiday" => Some(Self::Holiday),
            "anggaran" | "akhir tahun anggaran" | "budget" => Some(Self::BudgetYear),
            "lelang" | "pengadaan" | "tenders" => Some(Self::Tender),
            "pemeliharaan" => Some(Self::Maintenance),
            "lainnya" | "lain" => Some(Self::Other),
            _ => None,
        })
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownEvent {
    /// Number of one that people brought in; none for one that Siaga knows.
    pub id: Option<i64>,
    /// Sort.
    pub category: EventCategory,
    /// Name.
    pub name: String,
    /// Start.
    pub from_ms: Millis,
    /// End; the same as the start for a moment.
    pub to_ms: Millis,
    /// Where it is from.
    pub source: String,
}

/// An event to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Tells it from others when it is brought in again.
    pub uid: String,
    /// Sort.
    pub category: EventCategory,
    /// Name.
    pub name: String,
    /// Start.
    pub from_ms: Millis,
    /// End.
    pub to_ms: Millis,
}
