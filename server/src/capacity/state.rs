//! The state of a resource in the standard's words. Pure.

use super::evaluation::Crossing;
use crate::time::{DAY_MS, Millis};

/// Normal, Waspada, Kritis, Tidak Diketahui; ordered by urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Kritis: past the threshold, or likely to be within [`CRITICAL_WITHIN_MS`].
    Critical,
    /// Waspada: likely to pass the threshold within the lead time.
    Warning,
    /// Tidak Diketahui: no forecast, and not past the threshold as far as is known.
    Unknown,
    /// Normal.
    Normal,
}

/// A likely date nearer than this is critical.
pub(super) const CRITICAL_WITHIN_MS: Millis = 3 * DAY_MS;

impl State {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Critical, Self::Warning, Self::Unknown, Self::Normal];

    /// Code in records and in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Normal => "normal",
        }
    }

    /// The state of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Class of its badge.
    #[must_use]
    pub const fn badge(self) -> &'static str {
        match self {
            Self::Critical => "crit",
            Self::Warning => "warn",
            Self::Unknown => "unknown",
            Self::Normal => "ok",
        }
    }
}

/// The state that follows from when the threshold is passed, if that is known.
#[must_use]
pub(super) fn state(crossing: Option<Crossing>, now_ms: Millis, lead_ms: Millis) -> State {
    match crossing {
        Some(Crossing::Past) => State::Critical,
        Some(Crossing::Within { likely_ms: Some(likely), .. }) if likely - now_ms <= CRITICAL_WITHIN_MS => {
            State::Critical
        }
        Some(Crossing::Within { likely_ms: Some(likely), .. }) if likely - now_ms <= lead_ms => {
            State::Warning
        }
        Some(_) => State::Normal,
        None => State::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_follow_from_the_date() {
        let within = |days: i64| {
            Some(Crossing::Within { earliest_ms: Some(0), likely_ms: Some(days * DAY_MS), latest_ms: None })
        };
        let only_early =
            Some(Crossing::Within { earliest_ms: Some(DAY_MS), likely_ms: None, latest_ms: None });
        for (crossing, wanted) in [
            (Some(Crossing::Never), State::Normal),
            (within(30), State::Normal),
            (within(14), State::Warning),
            (within(3), State::Critical),
            (only_early, State::Normal),
            (Some(Crossing::Past), State::Critical),
            (None, State::Unknown),
        ] {
            assert_eq!(state(crossing, 0, 14 * DAY_MS), wanted, "{crossing:?}");
        }
    }

    #[test]
    fn every_state_has_a_code_that_reads_back() {
        for state in State::ALL {
            assert_eq!(State::from_code(state.code()), Some(state));
        }
    }
}
