//! From the raw trace of a probe to detection time, downtime and recovery time. Pure.
//!
//! Definitions, all on the server's clock and never better than the probe's interval:
//! - *detection*: from the order of the fault to the start of the first failed question;
//! - *gap*: from the start of the last good question before failed ones to the end of the first good answer after them;
//! - *downtime*: sum of the gaps; *longest gap*: the longest of them;
//! - *recovery time (RTO)*: from the start of the first gap to the end of the last one, flapping included;
//! - *rollback*: the same from the end of that measurement on; an outage that is open there goes on from there;
//! - *unmeasured*: time in which no question was open or began for longer than [`longest_pause_ms`].
//!
//! Invariant: what was not measured counts for nothing, so that beside it downtime and recovery time are lower bounds;
//! how long the recovery may have taken at most is told beside them.

use serde::{Deserialize, Serialize};

use crate::time::Millis;

/// Intervals without a question after which time counts as unmeasured.
const PAUSE_INTERVALS: Millis = 3;
/// It never counts as unmeasured before this time: a busy machine asks a little late.
const LEAST_PAUSE_MS: Millis = 500;

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

    /// When it had ended.
    pub(super) fn end_ms(&self) -> Millis {
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

/// A time in which nothing was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// End of the last question before.
    pub from_ms: Millis,
    /// Start of the first question after.
    pub to_ms: Millis,
}

impl Stretch {
    fn length_ms(&self) -> Millis {
        self.to_ms - self.from_ms
    }

    fn overlap_ms(&self, from_ms: Millis, to_ms: Millis) -> Millis {
        (self.to_ms.min(to_ms) - self.from_ms.max(from_ms)).max(0)
    }
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
    /// Recovery time; 0 if no question failed, `None` if the service did not come back, or if nothing was asked.
    pub rto_ms: Option<Millis>,
    /// The gaps.
    pub gaps: Vec<Gap>,
    /// Times that were not measured: beside them, downtime and recovery time are lower bounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmeasured: Vec<Stretch>,
    /// Where something was not measured: the longest recovery time that it leaves possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rto_at_most_ms: Option<Millis>,
}

impl Measurement {
    /// Whether no question was asked at all, so that there are no figures.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// Time that was not measured, milliseconds.
    #[must_use]
    pub fn unmeasured_ms(&self) -> Millis {
        self.unmeasured.iter().map(Stretch::length_ms).sum()
    }

    /// Whether what was not measured could hide a recovery time over `target_ms`.
    #[must_use]
    pub fn leaves_open(&self, target_ms: Millis) -> bool {
        self.rto_at_most_ms.is_some_and(|most| most > target_ms)
    }
}

/// The longest time between two questions that still counts as measured.
#[must_use]
pub fn longest_pause_ms(interval_ms: Millis) -> Millis {
    (PAUSE_INTERVALS * interval_ms).max(LEAST_PAUSE_MS)
}

/// Times between `from_ms` and `to_ms` in which nothing was measured. `points` are in the order of their starts.
#[must_use]
pub fn unmeasured(points: &[Point], interval_ms: Millis, from_ms: Millis, to_ms: Millis) -> Vec<Stretch> {
    let longest = longest_pause_ms(interval_ms);
    let (mut covered, mut found) = (from_ms, Vec::new());
    let starts = points.iter().map(|point| (point.0.min(to_ms), point.end_ms()));
    for (start, end) in starts.chain([(to_ms, to_ms)]) {
        if start - covered > longest {
            found.push(Stretch { from_ms: covered, to_ms: start });
        }
        // A question that hangs measures for as long as it is open.
        covered = covered.max(end);
    }
    found
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
    let until_ms = until_ms.max(fault_ms);
    let unmeasured = unmeasured(&points, interval_ms, fault_ms, until_ms);
    let last_good = points[..first]
        .iter()
        .rev()
        .find(|point| point.good() && fault_ms - point.end_ms() <= longest_pause_ms(interval_ms))
        .map_or(fault_ms, |point| point.0);
    let window = &points[first..];
    let gaps = gaps_of(window, last_good, &unmeasured);
    let length = |gap: &Gap| {
        let to_ms = gap.to_ms.unwrap_or(until_ms);
        let unknown: Millis = unmeasured.iter().map(|one| one.overlap_ms(gap.from_ms, to_ms)).sum();
        to_ms - gap.from_ms - unknown
    };
    let rto_at_most_ms = unmeasured.iter().map(Stretch::length_ms).max().map(|longest| {
        let widest = gaps_of(window, last_good, &[]);
        let span = match (widest.first(), widest.last()) {
            (Some(first), Some(last)) => last.to_ms.unwrap_or(until_ms) - first.from_ms,
            _ => 0,
        };
        span.max(longest)
    });
    let rto_ms = match (gaps.first(), gaps.last()) {
        (Some(first), Some(last)) => last.to_ms.map(|to| to - first.from_ms),
        // Without a single question nothing is known, also not that nothing failed.
        _ => (!window.is_empty()).then_some(0),
    };
    Measurement {
        probe: probe.to_owned(),
        interval_ms,
        total: window.len(),
        failed: window.iter().filter(|point| !point.good()).count(),
        detection_ms: window.iter().find(|point| !point.good()).map(|point| point.0 - fault_ms),
        downtime_ms: gaps.iter().map(length).sum(),
        longest_gap_ms: gaps.iter().map(length).max().unwrap_or(0),
        rto_ms,
        gaps,
        unmeasured,
        rto_at_most_ms,
    }
}

/// Evaluates the rest of a trace after `before` was measured: from `from_ms`, where that ended, to `until_ms`.
#[must_use]
pub fn measure_rest(before: &Measurement, trace: &[Point], from_ms: Millis, until_ms: Millis) -> Measurement {
    let is_down = before.gaps.last().is_some_and(|gap| gap.to_ms.is_none());
    // The part of an open outage up to here is counted already; from here on it goes on, whatever comes next.
    let goes_on = is_down.then_some(Point(from_ms, 0, Answer::Broken));
    let rest = trace.iter().copied().filter(|point| !is_down || point.0 >= from_ms);
    let points: Vec<Point> = goes_on.into_iter().chain(rest).collect();
    let mut found = measure(&before.probe, before.interval_ms, &points, from_ms, until_ms);
    found.detection_ms = None;
    if is_down {
        found.total -= 1;
        found.failed -= 1;
    }
    found
}

/// The gaps of a trace; a gap ends where time begins that was not measured, and begins where it ends.
fn gaps_of(window: &[Point], last_good: Millis, unmeasured: &[Stretch]) -> Vec<Gap> {
    let (mut last_good, mut last_bad_end, mut open) = (last_good, 0, None);
    let mut gaps: Vec<Gap> = Vec::new();
    for point in window {
        let unknown_before = unmeasured.iter().any(|one| one.to_ms == point.0);
        match (point.good(), open) {
            (true, Some(from_ms)) => {
                let to_ms = if unknown_before { last_bad_end } else { point.end_ms() };
                gaps.push(Gap { from_ms, to_ms: Some(to_ms) });
                open = None;
            }
            (false, None) => open = Some(if unknown_before { point.0 } else { last_good }),
            _ => {}
        }
        if point.good() {
            last_good = point.0;
        } else {
            last_bad_end = point.end_ms().max(last_bad_end);
        }
    }
    gaps.extend(open.map(|from_ms| Gap { from_ms, to_ms: None }));
    gaps
}

/// Whether all questions since `after_ms` that have ended form, at their end, a good run of at least `stable_ms`
/// that was measured all the time.
#[must_use]
pub fn is_stable(trace: &[Point], interval_ms: Millis, after_ms: Millis, stable_ms: Millis) -> bool {
    let mut points: Vec<Point> = trace.iter().copied().filter(|point| point.0 >= after_ms).collect();
    points.sort_by_key(|point| point.0);
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return false };
    let paused =
        unmeasured(&points, interval_ms, first.0, last.0).last().map_or(after_ms, |pause| pause.to_ms);
    points.retain(|point| point.0 >= paused);
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
        let found = measure("p", 100, &trace("+++++---+++"), 450, 1_200);
        assert_eq!(found.detection_ms, Some(50));
        assert_eq!(found.gaps, [Gap { from_ms: 400, to_ms: Some(805) }]);
        assert_eq!((found.downtime_ms, found.longest_gap_ms, found.rto_ms), (405, 405, Some(405)));
        assert_eq!((found.total, found.failed), (6, 3));
    }

    #[test]
    fn flapping_counts_to_the_recovery_time_but_not_to_the_downtime() {
        let found = measure("p", 100, &trace("++-+++--++"), 150, 1_200);
        assert_eq!(found.gaps.len(), 2);
        assert_eq!((found.downtime_ms, found.longest_gap_ms, found.rto_ms), (205 + 305, 305, Some(705)));
    }

    #[test]
    fn without_a_failed_question_the_recovery_time_is_zero_and_without_a_good_one_there_is_none() {
        let good = measure("p", 100, &trace("+++++"), 200, 500);
        assert_eq!((good.rto_ms, good.detection_ms, good.downtime_ms), (Some(0), None, 0));
        let lost = measure("p", 100, &trace("++---"), 200, 600);
        assert_eq!((lost.rto_ms, lost.downtime_ms), (None, 500));
    }

    #[test]
    fn without_a_single_question_there_are_no_figures() {
        let nothing = measure("p", 100, &trace("+++"), 250, 290);
        assert!(nothing.is_empty() && nothing.rto_ms.is_none(), "{nothing:?}");
    }

    #[test]
    fn an_outage_after_the_first_measurement_counts_once_and_whole() {
        for (name, text, steps, rest, rest_rto) in [
            ("another one", "+++---+++++---++", 405, 405, Some(405)),
            ("one that goes on", "+++------+++++++", 850 - 200, 905 - 851, Some(905 - 851)),
            ("one that ends at once", "+++----- +++++++", 850 - 200, 905 - 851, Some(905 - 851)),
            ("one that begins with the rest", "+++++++++---++++", 0, 405, Some(405)),
            ("none", "++++++++++++++++", 0, 0, Some(0)),
            ("one that does not end", "++++++++++++----", 0, 1_600 - 1_100, None),
        ] {
            let points = broken_trace(text);
            let before = measure("p", 100, &points, 150, 850);
            let after = measure_rest(&before, &points, 851, 1_600);
            assert_eq!((before.downtime_ms, after.downtime_ms), (steps, rest), "{name}");
            assert_eq!(after.rto_ms, rest_rto, "{name}");
            let asked = points.iter().filter(|point| point.0 >= 150).count();
            assert_eq!(before.total + after.total, asked, "{name}");
        }
    }

    #[test]
    fn answers_that_come_out_of_order_and_after_the_end_do_not_confuse() {
        let mut points = trace("+++++---+++");
        points.reverse();
        points.push(Point(5_000, 1, Answer::Timeout));
        assert_eq!(measure("p", 100, &points, 450, 1_200).rto_ms, Some(405));
    }

    #[test]
    fn stable_means_a_good_run_at_the_end_after_the_action() {
        assert!(is_stable(&trace("--++++++"), 100, 0, 500));
        assert!(!is_stable(&trace("--+++++"), 100, 0, 500));
        assert!(!is_stable(&trace("++++++++"), 100, 600, 500), "what lies before the action does not count");
        assert!(!is_stable(&trace("++++++++-"), 100, 0, 500));
        assert!(!is_stable(&[], 100, 0, 0));
        let mut paused = trace("++++++");
        paused.push(Point(3_000, 5, Answer::Good));
        assert!(!is_stable(&paused, 100, 0, 1_000), "a run with a pause was not seen to be good");
    }

    /// As [`trace`]; a space is a time without a question.
    fn broken_trace(text: &str) -> Vec<Point> {
        let mut points = trace(text);
        points.retain(|point| text.as_bytes().get(usize::try_from(point.0 / 100).unwrap()) != Some(&b' '));
        points
    }

    #[test]
    fn beside_time_without_questions_every_figure_is_a_lower_bound_and_the_upper_one_is_told() {
        let hole = Stretch { from_ms: 305, to_ms: 1_400 };
        for (name, text, downtime, rto, at_most) in [
            ("good on both sides", "++++          ++++", 0, Some(0), 1_095),
            ("down before", "++--          ++++", 205, Some(205), 1_305),
            ("down after", "++++          --++", 205, Some(205), 1_305),
            ("down on both sides", "++--          --++", 1_505 - 1_095, Some(1_505), 1_505),
            ("not seen to recover", "++--          ----", 1_700 - 1_095, None, 1_700),
        ] {
            let found = measure("p", 100, &broken_trace(text), 150, 1_800);
            assert_eq!(found.unmeasured, [hole], "{name}");
            assert_eq!((found.downtime_ms, found.rto_ms), (downtime, rto), "{name}");
            assert_eq!(found.rto_at_most_ms, Some(at_most), "{name}");
            assert!(found.leaves_open(at_most - 1) && !found.leaves_open(at_most), "{name}");
            assert_eq!(found.unmeasured_ms(), 1_095, "{name}");
        }
    }

    #[test]
    fn questions_that_hang_measure_and_an_end_without_questions_does_not() {
        let mut hanging = trace("+++");
        hanging.push(Point(300, 5_000, Answer::Timeout));
        hanging.push(Point(5_400, 5, Answer::Good));
        assert!(measure("p", 100, &hanging, 150, 5_500).unmeasured.is_empty());
        let ended = measure("p", 100, &trace("+++++"), 200, 2_000);
        assert_eq!(ended.unmeasured, [Stretch { from_ms: 405, to_ms: 2_000 }]);
        assert_eq!(measure("p", 100, &[], 200, 2_000).unmeasured_ms(), 1_800);
    }
}
