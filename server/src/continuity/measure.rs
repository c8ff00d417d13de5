//! From the raw trace of a probe to detection time, downtime and recovery time. Pure.
//!
//! Definitions, all on the server's clock and never better than the probe's interval:
//! - *detection*: from the order of the fault to the start of the first failed question;
//! - *gap*: from the start of the last good question before failed ones to the end of the first good answer after them;
//! - *downtime*: sum of the gaps; *longest gap*: the longest of them;
//! - *recovery time (RTO)*: from the start of the first gap to the end of the last one, flapping included.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// As wanted.
    Good,
    /// Another HTTP status.
    Status(u16),
    /// The wanted text is missing.
    Body,
    /// No answer in time.
    Timeout,
    /// No connection.
    Connect,
    /// The connection broke, or the answer was no HTTP.
    Broken,
}

/// One question of a probe, as it is kept: start, length and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point(
    /// Start, milliseconds since the epoch.
    pub Millis,
    /// Length, milliseconds.
    pub u32,
    /// How it ended.
    pub Answer,
);

impl Point {
    /// Whether the answer was as wanted.
    #[must_use]
    pub fn good(&self) -> bool {
        self.2 == Answer::Good
    }

    fn end_ms(&self) -> Millis {
        self.0 + Millis::from(self.1)
    }
}

/// A time without service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Last good question before.
    pub from_ms: Millis,
    /// First good answer after; `None` if there was none.
    pub to_ms: Option<Millis>,
}

/// What one probe measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// Name of the probe.
    pub probe: String,
    /// Time between two questions, milliseconds: the resolution of every figure here.
    pub interval_ms: Millis,
    /// Questions.
    pub total: usize,
    /// Failed questions.
    pub failed: usize,
    /// Detection time; `None` if no question failed.
    pub detection_ms: Option<Millis>,
    /// Sum of the gaps, an open one up to the end of the measurement.
    pub downtime_ms: Millis,
    /// The longest gap.
    pub longest_gap_ms: Millis,
    /// Recovery time; 0 if no question failed, `None` if the service did not come back.
    pub rto_ms: Option<Millis>,
    /// The gaps.
    pub gaps: Vec<Gap>,
}

/// Evaluates a trace (any order) between the fault and `until_ms`.
#[must_use]
pub fn measure(
    probe: &str,
    interval_ms: Millis,
    trace: &[Point],
    fault_ms: Millis,
    until_ms: Millis,
) -> Measurement {
    let mut points: Vec<Point> = trace.iter().copied().filter(|point| point.0 <= until_ms).collect();
    points.sort_by_key(|point| point.0);
    let first = points.partition_point(|point| point.0 < fault_ms);
    let last_good_before = points[..first].iter().rev().find(|point| point.good()).map(|point| point.0);
    let (mut last_good, mut open) = (last_good_before.unwrap_or(fault_ms), None);
    let mut gaps: Vec<Gap> = Vec::new();
    for point in &points[first..] {
        match (point.good(), open) {
            (true, Some(from_ms)) => {
                gaps.push(Gap { from_ms, to_ms: Some(point.end_ms()) });
                open = None;
            }
            (false, None) => open = Some(last_good),
            _ => {}
        }
        if point.good() {
            last_good = point.0;
        }
    }
    gaps.extend(open.map(|from_ms| Gap { from_ms, to_ms: None }));
    let window = &points[first..];
    let lengths = || gaps.iter().map(|gap| gap.to_ms.unwrap_or(until_ms) - gap.from_ms);
    let rto_ms = match (gaps.first(), gaps.last()) {
        (Some(first), Some(last)) => last.to_ms.map(|to| to - first.from_ms),
        _ => Some(0),
    };
    Measurement {
        probe: probe.to_owned(),
        interval_ms,
        total: window.len(),
        failed: window.iter().filter(|point| !point.good()).count(),
        detection_ms: window.iter().find(|point| !point.good()).map(|point| point.0 - fault_ms),
        downtime_ms: lengths().sum(),
        longest_gap_ms: lengths().max().unwrap_or(0),
        rto_ms,
        gaps,
    }
}

/// Whether all questions since `after_ms` that have ended form, at their end, a good run of at least `stable_ms`.
#[must_use]
pub fn is_stable(trace: &[Point], after_ms: Millis, stable_ms: Millis) -> bool {
    let mut points: Vec<&Point> = trace.iter().filter(|point| point.0 >= after_ms).collect();
    points.sort_by_key(|point| point.0);
    let run_start = points.iter().rposition(|point| !point.good()).map_or(0, |at| at + 1);
    match (points.get(run_start), points.last()) {
        (Some(first), Some(last)) => last.0 - first.0 >= stable_ms,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Vec<Point> {
        (0..)
            .zip(text.chars())
            .map(|(index, letter)| {
                let answer = if letter == '+' { Answer::Good } else { Answer::Connect };
                Point(index * 100, 5, answer)
            })
            .collect()
    }

    #[test]
    fn an_outage_lasts_from_the_last_good_question_to_the_first_good_answer() {
        let found = measure("p", 100, &trace("+++++---+++"), 450, 2_000);
        assert_eq!(found.detection_ms, Some(50));
        assert_eq!(found.gaps, [Gap { from_ms: 400, to_ms: Some(805) }]);
        assert_eq!((found.downtime_ms, found.longest_gap_ms, found.rto_ms), (405, 405, Some(405)));
        assert_eq!((found.total, found.failed), (6, 3));
    }

    #[test]
    fn flapping_counts_to_the_recovery_time_but_not_to_the_downtime() {
        let found = measure("p", 100, &trace("++-+++--++"), 150, 2_000);
        assert_eq!(found.gaps.len(), 2);
        assert_eq!((found.downtime_ms, found.longest_gap_ms, found.rto_ms), (205 + 305, 305, Some(705)));
    }

    #[test]
    fn without_a_failed_question_the_recovery_time_is_zero_and_without_a_good_one_there_is_none() {
        let good = measure("p", 100, &trace("+++++"), 200, 2_000);
        assert_eq!((good.rto_ms, good.detection_ms, good.downtime_ms), (Some(0), None, 0));
        let lost = measure("p", 100, &trace("++---"), 200, 1_000);
        assert_eq!((lost.rto_ms, lost.downtime_ms), (None, 900));
    }

    #[test]
    fn answers_that_come_out_of_order_and_after_the_end_do_not_confuse() {
        let mut points = trace("+++++---+++");
        points.reverse();
        points.push(Point(5_000, 1, Answer::Timeout));
        assert_eq!(measure("p", 100, &points, 450, 2_000).rto_ms, Some(405));
    }

    #[test]
    fn stable_means_a_good_run_at_the_end_after_the_action() {
        assert!(is_stable(&trace("--++++++"), 0, 500));
        assert!(!is_stable(&trace("--+++++"), 0, 500));
        assert!(!is_stable(&trace("++++++++"), 600, 500), "what lies before the action does not count");
        assert!(!is_stable(&trace("++++++++-"), 0, 500));
        assert!(!is_stable(&[], 0, 0));
    }
}
