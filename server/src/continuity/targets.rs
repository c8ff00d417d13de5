//! What probes measured against the target of the plan, and the two figures that stand for a drill. Pure.

use super::journal::{Entry, Fact};
use super::marks::RowCount;
use super::measure::Measurement;
use super::reason::Reason;
use crate::time::Millis;

/// What one probe says against the target, up to the end of the steps.
pub(super) fn missed(found: &Measurement, target_ms: Millis) -> Vec<Reason> {
    let probe = || found.probe.clone();
    let mut reasons = Vec::new();
    match found.rto_ms {
        _ if found.is_empty() => reasons.push(Reason::NothingMeasured { probe: probe() }),
        None => reasons.push(Reason::StillDown { probe: probe() }),
        Some(rto_ms) if rto_ms > target_ms => {
            reasons.push(Reason::RtoExceeded { probe: probe(), rto_ms, target_ms });
        }
        Some(_) if found.leaves_open(target_ms) => {
            reasons.push(Reason::RtoUnproven { probe: probe(), target_ms });
        }
        Some(_) => {}
    }
    if !found.unmeasured.is_empty() {
        reasons.push(Reason::PartlyUnmeasured { probe: probe(), unmeasured_ms: found.unmeasured_ms() });
    }
    reasons
}

/// What one probe says against the target after that: the rollback may disturb the service no longer than the fault.
pub(super) fn missed_in_rollback(found: &Measurement, target_ms: Millis) -> Option<Reason> {
    let probe = found.probe.clone();
    match found.rto_ms {
        _ if found.is_empty() => Some(Reason::RollbackUnproven { probe, target_ms }),
        None => Some(Reason::StillDownAfter { probe }),
        Some(rto_ms) if rto_ms > target_ms => Some(Reason::RollbackOutage { probe, rto_ms, target_ms }),
        Some(_) => found.leaves_open(target_ms).then_some(Reason::RollbackUnproven { probe, target_ms }),
    }
}

/// What the count of rows says against the target. A planned way back may lose nothing: `earlier` are the rows that were
/// lost before it began.
pub(super) fn rows_missed(
    count: &RowCount,
    problem: Option<String>,
    target_ms: Option<Millis>,
    earlier: Option<usize>,
) -> Vec<Reason> {
    let marker = count.marker.clone();
    let Some(rpo_ms) = count.rpo_ms else {
        return vec![Reason::RowsUncounted { marker, why: problem.unwrap_or_default() }];
    };
    match (earlier, target_ms) {
        (Some(earlier), _) if count.lost > earlier => {
            vec![Reason::RowsLostAfter { marker, lost: count.lost - earlier }]
        }
        (None, Some(target_ms)) if rpo_ms > target_ms => {
            vec![Reason::RpoExceeded { marker, lost: count.lost, rpo_ms, target_ms }]
        }
        _ => Vec::new(),
    }
}

/// From the first order of a drill to its last answer: the time of a restore, as it follows from the journal.
pub(super) fn restore_ms(entries: &[Entry]) -> Option<Millis> {
    let from = entries.iter().find(|entry| matches!(entry.fact, Fact::StepStarted { .. }))?;
    let to = entries.iter().rev().find(|entry| matches!(entry.fact, Fact::StepAnswered { .. }));
    Some(to.map_or(0, |to| to.at_ms - from.at_ms))
}

/// Recovery time of a drill, and its downtime with that of the rollback. The worst of all probes stands for the drill;
/// `None` where it was not measured.
pub(super) fn figures(steps: &[Measurement], rollback: &[Measurement]) -> (Option<Millis>, Option<Millis>) {
    let recovered: Option<Vec<Millis>> = steps.iter().map(|found| found.rto_ms).collect();
    let rto_ms = recovered.and_then(|times| times.into_iter().max());
    let whole = |found: &Measurement| {
        let after = rollback.iter().find(|after| after.probe == found.probe);
        found.downtime_ms + after.map_or(0, |after| after.downtime_ms)
    };
    let asked = steps.iter().filter(|found| !found.is_empty());
    (rto_ms, asked.map(whole).max())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::continuity::measure::{Answer, Point, measure};

    /// What a probe measures that is asked every 100 ms; `-` is a failed question.
    fn measured(text: &str) -> Measurement {
        let answer = |letter| if letter == '+' { Answer::Good } else { Answer::Connect };
        let points: Vec<Point> =
            (0..).zip(text.chars()).map(|(index, letter)| Point(index * 100, 5, answer(letter))).collect();
        measure("p", 100, &points, 0, i64::try_from(text.len()).unwrap() * 100)
    }

    #[test]
    fn a_probe_that_asked_nothing_met_no_target_and_has_no_figures() {
        let nothing = measured("");
        assert!(matches!(missed(&nothing, 1_000)[..], [Reason::NothingMeasured { .. }]));
        assert!(matches!(missed_in_rollback(&nothing, 1_000), Some(Reason::RollbackUnproven { .. })));
        assert_eq!(figures(std::slice::from_ref(&nothing), &[]), (None, None));
        assert_eq!(figures(&[measured("+--+"), nothing], &[]), (None, Some(305)), "the worst is not known");
        assert_eq!(figures(&[], &[]), (None, None));
    }

    #[test]
    fn rows_are_held_against_the_target_once_and_the_way_back_may_lose_none() {
        let count = |lost, rpo_ms| RowCount {
            marker: "m".to_owned(),
            interval_ms: 100,
            written: 10,
            acknowledged: 10,
            found: Some(10 - lost),
            lost,
            rpo_ms,
        };
        assert!(rows_missed(&count(2, Some(200)), None, Some(200), None).is_empty());
        assert!(rows_missed(&count(2, Some(9_000)), None, None, None).is_empty(), "no target, only told");
        let exceeded = rows_missed(&count(2, Some(201)), None, Some(200), None);
        assert!(matches!(exceeded[..], [Reason::RpoExceeded { lost: 2, rpo_ms: 201, target_ms: 200, .. }]));
        assert!(rows_missed(&count(2, Some(201)), None, Some(200), Some(2)).is_empty(), "said once");
        let after = rows_missed(&count(3, Some(201)), None, Some(900), Some(2));
        assert!(matches!(after[..], [Reason::RowsLostAfter { lost: 1, .. }]));
        let unread = rows_missed(&count(0, None), Some("x".to_owned()), None, None);
        assert!(matches!(unread[..], [Reason::RowsUncounted { .. }]), "what nobody could count met nothing");
    }

    #[test]
    fn the_rollback_counts_to_the_downtime_and_against_the_target_but_not_to_the_recovery_time() {
        let (steps, rollback) = (measured("+--++"), measured("+-----+"));
        assert_eq!(
            figures(std::slice::from_ref(&steps), std::slice::from_ref(&rollback)),
            (Some(305), Some(305 + 605))
        );
        assert!(missed(&steps, 500).is_empty());
        assert!(matches!(
            missed_in_rollback(&rollback, 500),
            Some(Reason::RollbackOutage { rto_ms: 605, target_ms: 500, .. })
        ));
        assert_eq!(missed_in_rollback(&rollback, 605), None);
        assert!(matches!(missed_in_rollback(&measured("+--"), 500), Some(Reason::StillDownAfter { .. })));
    }
}
