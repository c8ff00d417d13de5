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

/// Whether a use has reached its threshold: the one rule of what is exceeded now.
#[must_use]
pub(super) fn is_exceeded(current_percent: Option<f64>, threshold_percent: f64) -> bool {
    current_percent.is_some_and(|now| now >= threshold_percent)
}

/// The state that follows from the use now and the forecast, if there is one. What is exceeded now is critical with or
/// without a forecast.
#[must_use]
pub(super) fn state(
    current_percent: Option<f64>,
    threshold_percent: f64,
    crossing: Option<Crossing>,
    now_ms: Millis,
    lead_ms: Millis,
) -> State {
    match crossing {
        _ if is_exceeded(current_percent, threshold_percent) => State::Critical,
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
    fn the_words_follow_from_date_and_use() {
        let within = |days: i64| {
            Some(Crossing::Within { earliest_ms: Some(0), likely_ms: Some(days * DAY_MS), latest_ms: None })
        };
        let only_early =
            Some(Crossing::Within { earliest_ms: Some(DAY_MS), likely_ms: None, latest_ms: None });
        for (current, crossing, wanted) in [
            (Some(50.0), Some(Crossing::Never), State::Normal),
            (Some(50.0), within(30), State::Normal),
            (Some(50.0), within(14), State::Warning),
            (Some(50.0), within(3), State::Critical),
            (Some(50.0), only_early, State::Normal),
            (Some(95.0), Some(Crossing::Past), State::Critical),
            (Some(95.0), Some(Crossing::Never), State::Critical),
            (Some(90.0), within(30), State::Critical),
            (Some(95.0), None, State::Critical),
            (Some(50.0), None, State::Unknown),
            (None, None, State::Unknown),
        ] {
            assert_eq!(state(current, 90.0, crossing, 0, 14 * DAY_MS), wanted, "{current:?} {crossing:?}");
        }
    }

    #[test]
    fn every_state_has_a_code_that_reads_back() {
        for state in State::ALL {
            assert_eq!(State::from_code(state.code()), Some(state));
        }
    }
}
