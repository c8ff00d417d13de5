//! The state of an alerting rule: inactive -> pending -> firing, per label set. Pure.
//!
//! Invariants: an alert fires only after its condition has held for the rule's `for` on samples that came without a gap;
//! while no new samples of its host come, an alert stays as it is and none begins, because what queries still see then
//! is old; one whose series is gone on a host with news resolves.

use std::collections::BTreeMap;

use crate::fleet::News;
use crate::records::rules::Pairs;
use crate::time::Millis;

/// Pending or firing. Inactive alerts are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AlertState {
    /// The condition holds, but not for long enough.
    Pending,
    /// The alert is out.
    Firing,
}

impl AlertState {
    /// Prometheus' word.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Alert {
    /// Texts.
    pub(super) annotations: Pairs,
    /// Last value seen.
    pub(super) value: f64,
    /// Since when the condition holds.
    pub(super) active_since_ms: Millis,
    /// When it began to fire.
    pub(super) fired_at_ms: Option<Millis>,
    /// Since when the condition holds no more, while the rule keeps it firing.
    pub(super) absent_since_ms: Option<Millis>,
}

impl Alert {
    pub(super) const fn state(&self) -> AlertState {
        if self.fired_at_ms.is_some() { AlertState::Firing } else { AlertState::Pending }
    }
}

/// Alerts of a rule by label set.
pub(super) type Alerts = BTreeMap<Pairs, Alert>;

/// A series that the rule's query gave, with the alert's labels and texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// Texts.
    pub(super) annotations: Pairs,
    /// Value.
    pub(super) value: f64,
}

/// Times of the rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// `for`.
    pub(super) hold_ms: Millis,
    /// `keep_firing_for`.
    pub(super) keep_firing_ms: Millis,
    /// Time of the evaluation.
    pub(super) now_ms: Millis,
}

/// The alerts after an evaluation. `news` says what is known of an alert's host.
pub(super) fn step(
    before: &Alerts,
    seen: BTreeMap<Pairs, Seen>,
    times: Times,
    news: impl Fn(&Pairs) -> News,
) -> Alerts {
    let mut after = Alerts::new();
    for (labels, alert) in before {
        if news(labels) == News::Late {
            after.insert(labels.clone(), alert.clone());
        } else if let Some(kept) = keep_firing(alert, times).filter(|_| !seen.contains_key(labels)) {
            after.insert(labels.clone(), kept);
        }
    }
    for (labels, Seen { annotations, value }) in seen {
        let News::Current { unbroken_since_ms } = news(&labels) else { continue };
        let known = before.get(&labels);
        let fired_before = known.and_then(|alert| alert.fired_at_ms);
        let mut active_since_ms = known.map_or(times.now_ms, |alert| alert.active_since_ms);
        if fired_before.is_none() {
            // Nobody knows whether the condition held while no samples came.
            active_since_ms = active_since_ms.max(unbroken_since_ms.min(times.now_ms));
        }
        let is_due = times.now_ms - active_since_ms >= times.hold_ms;
        let fired_at_ms = fired_before.or(is_due.then_some(times.now_ms));
        after.insert(
            labels,
            Alert { annotations, value, active_since_ms, fired_at_ms, absent_since_ms: None },
        );
    }
    after
}

/// A firing alert whose condition holds no more, if the rule keeps it.
fn keep_firing(alert: &Alert, times: Times) -> Option<Alert> {
    let absent_since_ms = alert.absent_since_ms.unwrap_or(times.now_ms);
    let kept = alert.fired_at_ms.is_some() && times.now_ms - absent_since_ms < times.keep_firing_ms;
    kept.then(|| Alert { absent_since_ms: Some(absent_since_ms), ..alert.clone() })
}

/// Whether two states differ in what must outlive a restart. Values and texts follow with the next evaluation.
pub(super) fn differ(a: &Alerts, b: &Alerts) -> bool {
    let key = |alert: &Alert| (alert.active_since_ms, alert.fired_at_ms, alert.absent_since_ms);
    a.len() != b.len() || a.iter().zip(b).any(|((la, aa), (lb, ab))| la != lb || key(aa) != key(ab))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(host: &str) -> Pairs {
        Pairs::from([("instance".to_owned(), host.to_owned())])
    }

    fn seen(hosts: &[&str]) -> BTreeMap<Pairs, Seen> {
        hosts.iter().map(|host| (labels(host), Seen { annotations: Pairs::new(), value: 1.0 })).collect()
    }

    /// Evaluates at 0, 10, 20, … and writes down the state of `web` each time: `.`, `P` or `F`. Of its samples, `-` says
    /// that they come, `s` that none come, `g` that they come since this evaluation only.
    fn run(hold_ms: Millis, keep_firing_ms: Millis, present: &str, samples: &str) -> String {
        let mut alerts = Alerts::new();
        let mut told = String::new();
        let mut since = Millis::MIN;
        for (index, (here, come)) in present.chars().zip(samples.chars()).enumerate() {
            let now_ms = i64::try_from(index).unwrap() * 10;
            let given = if here == 'x' { seen(&["web"]) } else { seen(&[]) };
            let times = Times { hold_ms, keep_firing_ms, now_ms };
            since = if come == 'g' { now_ms } else { since };
            let news = if come == 's' { News::Late } else { News::Current { unbroken_since_ms: since } };
            alerts = step(&alerts, given, times, |_| news);
            told.push(match alerts.get(&labels("web")).map(Alert::state) {
                None => '.',
                Some(AlertState::Pending) => 'P',
                Some(AlertState::Firing) => 'F',
            });
        }
        told
    }

    #[test]
    fn the_condition_decides_and_silence_is_no_news() {
        for (hold, keep, present, samples, wanted) in [
            (0, 0, "x-x-", "----", "F.F."),
            (20, 0, "xxxx-", "-----", "PPFF."),
            (20, 0, "x-xxx", "-----", "P.PPF"),
            (0, 20, "x----x", "------", "FFF..F"),
            (0, 20, "x-x---", "------", "FFFFF."),
            (20, 20, "xx---", "-----", "PP..."),
            (0, 0, "x----", "-sss-", "FFFF."),
            // Samples were late, but what had waited came and left no gap.
            (20, 0, "x--xx", "-ss--", "PPPFF"),
            (0, 20, "x------", "-sss---", "FFFFFF."),
            // Nothing begins on what is old.
            (0, 0, "-x", "ss", ".."),
            // A query sees the last samples of an unplugged agent for minutes: they make nothing fire, neither while
            // it is away nor when it is back and the condition holds no more.
            (20, 0, "xxxxxx-", "-sssss-", "PPPPPP."),
            (20, 0, "xxxxxx-", "-sssssg", "PPPPPP."),
            // It holds still, but the samples have a gap: `for` counts from its end.
            (20, 0, "xxxxxxxxx", "-sssssg--", "PPPPPPPPF"),
            (20, 0, "xx----xxx", "-sssssg--", "PPPPPPPPF"),
            (0, 0, "xxx", "-sg", "FFF"),
        ] {
            assert_eq!(
                run(hold, keep, present, samples),
                wanted,
                "for {hold} keep {keep} {present} {samples}"
            );
        }
    }

    #[test]
    fn an_alert_says_that_it_began_after_the_gap() {
        let times = |now_ms| Times { hold_ms: 100, keep_firing_ms: 0, now_ms };
        let first = step(&Alerts::new(), seen(&["a"]), times(0), |_| News::ALWAYS);
        let late = step(&first, seen(&["a"]), times(200), |_| News::Late);
        assert_eq!(late, first, "it stays pending");
        let back = News::Current { unbroken_since_ms: 250 };
        let third = step(&late, seen(&["a"]), times(300), |_| back);
        assert_eq!((third[&labels("a")].active_since_ms, third[&labels("a")].fired_at_ms), (250, None));
        let fourth = step(&third, seen(&["a"]), times(350), |_| back);
        assert_eq!(
            (fourth[&labels("a")].active_since_ms, fourth[&labels("a")].fired_at_ms),
            (250, Some(350))
        );
        let gap = step(&fourth, seen(&["a"]), times(900), |_| News::Current { unbroken_since_ms: 880 });
        assert_eq!(gap[&labels("a")].active_since_ms, 250, "what fires goes on firing");
    }

    #[test]
    fn label_sets_are_alerts_of_their_own_and_keep_their_start() {
        let times = |now_ms| Times { hold_ms: 15, keep_firing_ms: 0, now_ms };
        let first = step(&Alerts::new(), seen(&["a"]), times(0), |_| News::ALWAYS);
        let second = step(&first, seen(&["a", "b"]), times(20), |_| News::ALWAYS);
        assert_eq!((second[&labels("a")].active_since_ms, second[&labels("a")].fired_at_ms), (0, Some(20)));
        assert_eq!((second[&labels("b")].active_since_ms, second[&labels("b")].fired_at_ms), (20, None));
        assert!(differ(&first, &second));
        assert!(!differ(&second, &step(&second, seen(&["a", "b"]), times(21), |_| News::ALWAYS)));
    }
}
