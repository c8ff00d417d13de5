//! When a forecast becomes an incident. Pure.
//!
//! A forecast is due when the growth is significant, the likely date lies within the lead time and the resource is used
//! beyond a floor. A signal starts after several due evaluations running and ends after as many that are not, so that
//! one odd hour neither opens nor closes an incident. Evaluations of the same data count once.

use super::evaluation::{Crossing, Evaluation};
use super::state::CRITICAL_WITHIN_MS;
use super::usage::Standing;
use crate::time::Millis;

/// Limits of the rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignalRule {
    /// The likely date must lie within this time.
    pub lead_ms: Millis,
    /// Due evaluations running that start a signal, and evaluations not due that end it.
    pub evaluations: u32,
    /// Use in percent that must be reached.
    pub floor_percent: f64,
}

/// How urgent a signal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// Within the lead time.
    Warning,
    /// The early end of the interval is near, or the threshold is passed.
    Critical,
}

/// Whether an evaluation is a reason for a signal.
#[must_use]
pub fn is_due(evaluation: &Evaluation, rule: &SignalRule) -> bool {
    let Ok(made) = &evaluation.outcome else { return false };
    let near = match made.crossing {
        Crossing::Past => true,
        Crossing::Within { likely_ms: Some(likely), .. } => likely - evaluation.made_at_ms <= rule.lead_ms,
        Crossing::Within { .. } | Crossing::Never => false,
    };
    let used = evaluation.current_percent.is_some_and(|percent| percent >= rule.floor_percent);
    near && used && made.significant && made.trend_percent_per_day > 0.0
}

/// Urgency of a signal from its newest evaluation.
#[must_use]
pub(super) fn urgency(evaluation: &Evaluation) -> Urgency {
    let crossing = evaluation.outcome.as_ref().ok().map(|made| made.crossing);
    match crossing {
        Some(Crossing::Past) => Urgency::Critical,
        Some(Crossing::Within { earliest_ms: Some(early), .. })
            if early - evaluation.made_at_ms <= CRITICAL_WITHIN_MS =>
        {
            Urgency::Critical
        }
        _ => Urgency::Warning,
    }
}

/// What is remembered of a resource from one evaluation to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalMemory {
    /// Evaluations running that spoke against the present state.
    pub running: u32,
    /// End of the data of the last evaluation that counted.
    pub counted_ms: Millis,
    /// Start of the signal, while it lasts.
    pub since_ms: Option<Millis>,
}

/// The memory after a further evaluation. Without new samples of the resource nothing is concluded.
#[must_use]
pub fn advance(memory: SignalMemory, evaluation: &Evaluation, rule: &SignalRule) -> SignalMemory {
    if evaluation.data_end_ms <= memory.counted_ms || evaluation.standing != Standing::Firm {
        return memory;
    }
    let (active, due) = (memory.since_ms.is_some(), is_due(evaluation, rule));
    let mut next = SignalMemory { counted_ms: evaluation.data_end_ms, ..memory };
    next.running = if active == due { 0 } else { memory.running + 1 };
    if next.running >= rule.evaluations.max(1) {
        next.running = 0;
        next.since_ms = due.then_some(evaluation.made_at_ms);
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::evaluation::{Made, Reason};
    use crate::capacity::resource::{ResourceKey, ResourceKind};
    use crate::capacity::state::State;
    use crate::time::{DAY_MS, HOUR_MS};

    const RULE: SignalRule = SignalRule { lead_ms: 14 * DAY_MS, evaluations: 3, floor_percent: 60.0 };

    fn evaluation(hour: i64, likely_days: Option<i64>, used: f64, significant: bool) -> Evaluation {
        let at = hour * HOUR_MS;
        let date = |days: i64| at + days * DAY_MS;
        let crossing = Crossing::Within {
            earliest_ms: likely_days.map(|days| date(days / 2)),
            likely_ms: likely_days.map(date),
            latest_ms: None,
        };
        let made = Made {
            crossing,
            breach: [0.0; 3],
            model: String::new(),
            mase: None,
            smape: None,
            coverage: None,
            trend_percent_per_day: 1.0,
            significant,
            remarks: Vec::new(),
            horizons: Vec::new(),
        };
        Evaluation {
            key: ResourceKey {
                instance: "a".to_owned(),
                kind: ResourceKind::Filesystem,
                item: "/".to_owned(),
            },
            made_at_ms: at,
            data_end_ms: at,
            known_hours: 100,
            full: 1.0,
            threshold_percent: 90.0,
            current_percent: Some(used),
            standing: Standing::Firm,
            state: State::Warning,
            outcome: Ok(made),
        }
    }

    #[test]
    fn a_forecast_is_due_only_when_all_conditions_hold() {
        for (likely, used, significant, due) in [
            (Some(10), 70.0, true, true),
            (Some(14), 60.0, true, true),
            (Some(15), 70.0, true, false),
            (None, 70.0, true, false),
            (Some(10), 59.9, true, false),
            (Some(10), 70.0, false, false),
        ] {
            assert_eq!(is_due(&evaluation(1, likely, used, significant), &RULE), due, "{likely:?} {used}");
        }
        let mut refused = evaluation(1, Some(1), 99.0, true);
        refused.outcome = Err(Reason::plain("too_short"));
        assert!(!is_due(&refused, &RULE));
        let mut shrinking = evaluation(1, Some(1), 99.0, true);
        shrinking.outcome.as_mut().unwrap().trend_percent_per_day = -1.0;
        assert!(!is_due(&shrinking, &RULE));
    }

    fn run(dues: &[(i64, bool)]) -> Vec<bool> {
        let mut memory = SignalMemory::default();
        dues.iter()
            .map(|(hour, due)| {
                memory = advance(memory, &evaluation(*hour, Some(10), 70.0, *due), &RULE);
                memory.since_ms.is_some()
            })
            .collect()
    }

    #[test]
    fn a_signal_takes_three_evaluations_to_start_and_three_to_end() {
        let seen = run(&[
            (1, true),
            (2, true),
            (3, false),
            (4, true),
            (5, true),
            (6, true),
            (7, false),
            (8, true),
            (9, false),
            (10, false),
            (11, false),
        ]);
        assert_eq!(seen, [false, false, false, false, false, true, true, true, true, true, false]);
    }

    #[test]
    fn evaluations_of_the_same_data_count_once() {
        assert_eq!(run(&[(1, true), (1, true), (1, true), (1, true)]), [false; 4]);
    }

    #[test]
    fn a_silent_host_neither_starts_nor_ends_a_signal() {
        let late = |hour, due| Evaluation {
            standing: Standing::Late { at_ms: 0 },
            ..evaluation(hour, Some(10), 70.0, due)
        };
        let walk = |memory, due| (1..9).fold(memory, |memory, hour| advance(memory, &late(hour, due), &RULE));
        let on = SignalMemory { since_ms: Some(1), ..SignalMemory::default() };
        for (memory, due) in [(SignalMemory::default(), true), (on, false)] {
            assert_eq!(walk(memory, due), memory);
        }
    }

    #[test]
    fn an_early_date_within_three_days_is_critical() {
        assert_eq!(urgency(&evaluation(1, Some(6), 70.0, true)), Urgency::Critical);
        assert_eq!(urgency(&evaluation(1, Some(8), 70.0, true)), Urgency::Warning);
    }
}
