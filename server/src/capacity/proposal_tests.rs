//! From forecasts to proposals, step by step.

use super::super::resource::ResourceKind;
use super::*;
use crate::capacity::{HorizonPoint, Reason, examples};

const NOW: Millis = 20_000 * DAY_MS;

fn evaluation(kind: ResourceKind, crossing: Crossing, p50: f64, p90: f64) -> Evaluation {
    let horizons = [1, 7, 30, 90].map(|days| HorizonPoint { days, p10: p50 - 1.0, p50, p90 }).to_vec();
    Evaluation {
        key: ResourceKey { instance: "db".to_owned(), kind, item: String::new() },
        outcome: Ok(Made { horizons, ..examples::made(crossing) }),
        ..examples::disk(NOW, crossing)
    }
}

fn within(early: i64, likely: i64) -> Crossing {
    Crossing::Within {
        earliest_ms: Some(NOW + early * DAY_MS),
        likely_ms: Some(NOW + likely * DAY_MS),
        latest_ms: None,
    }
}

fn kept(status: Status, draft: Draft, changed_at_ms: Millis) -> Proposal {
    Proposal { id: 1, status, what: String::new(), draft, created_at_ms: changed_at_ms, changed_at_ms }
}

#[test]
fn a_disk_that_fills_is_to_be_enlarged_for_a_quarter_by_the_early_date() {
    let draft = shortage(&evaluation(ResourceKind::Filesystem, within(8, 10), 95.0, 100.0), NOW).unwrap();
    // 80 % and 1 point a day for 90 days are 170 % of today's disk; at 90 % of the new one that is 89 % more.
    assert_eq!(draft.evidence.need_percent, 170.0);
    assert_eq!(draft.add_percent, 90.0);
    assert_eq!(draft.due_ms, NOW + 8 * DAY_MS);
}

#[test]
fn a_processor_is_sized_by_its_upper_path() {
    let draft = shortage(&evaluation(ResourceKind::Cpu, within(40, 60), 80.0, 99.0), NOW).unwrap();
    assert_eq!(draft.add_percent, 10.0);
}

#[test]
fn a_peak_a_far_date_and_a_refusal_are_no_shortage() {
    let cpu = ResourceKind::Cpu;
    let mut refused = evaluation(cpu, Crossing::Never, 50.0, 60.0);
    refused.outcome = Err(Reason::plain("too_short"));
    for (what, wanted) in [
        (evaluation(cpu, Crossing::Past, 60.0, 80.0), false),
        (evaluation(cpu, Crossing::Past, 93.0, 97.0), true),
        (evaluation(cpu, within(80, 91), 60.0, 80.0), false),
        (evaluation(cpu, Crossing::Never, 60.0, 80.0), false),
        (refused, false),
    ] {
        assert_eq!(shortage(&what, NOW).is_some(), wanted, "{:?}", what.outcome);
    }
}

#[test]
fn what_was_decided_is_left_alone_and_what_is_open_follows_the_forecast() {
    let short = evaluation(ResourceKind::Filesystem, within(8, 10), 95.0, 100.0);
    let draft = shortage(&short, NOW).unwrap();
    let old = |days: i64| NOW - days * DAY_MS;
    let mut moved = draft.clone();
    moved.due_ms += 20 * DAY_MS;
    assert!(matches!(step(&short, None, NOW), Step::Propose(_)));
    for (status, draft, changed, wanted) in [
        (Status::Open, &draft, old(5), "keep"),
        (Status::Open, &moved, old(5), "revise"),
        (Status::Open, &moved, old(0), "keep"),
        (Status::Accepted, &draft, old(60), "keep"),
        (Status::Rejected, &draft, old(29), "keep"),
        (Status::Rejected, &draft, old(31), "propose"),
        (Status::Done, &draft, old(3), "keep"),
        (Status::Done, &draft, old(31), "propose"),
        (Status::Withdrawn, &draft, old(0), "propose"),
    ] {
        let found = match step(&short, Some(&kept(status, draft.clone(), changed)), NOW) {
            Step::Keep => "keep",
            Step::Propose(_) => "propose",
            Step::Revise(_) => "revise",
            Step::Withdraw => "withdraw",
        };
        assert_eq!(found, wanted, "{status:?} {changed}");
    }
    let open = kept(Status::Open, draft, old(5));
    for (crossing, withdrawn) in [(Crossing::Never, true), (within(80, 100), false), (within(100, 130), true)]
    {
        let calm = evaluation(ResourceKind::Filesystem, crossing, 50.0, 60.0);
        assert_eq!(step(&calm, Some(&open), NOW) == Step::Withdraw, withdrawn, "{crossing:?}");
    }
}

#[test]
fn only_the_ways_of_a_decision_are_open() {
    assert!(Status::Open.may_become(Status::Rejected) && !Status::Open.may_become(Status::Done));
    assert!(Status::Accepted.may_become(Status::Done) && !Status::Done.may_become(Status::Accepted));
    assert!(!Status::Withdrawn.may_become(Status::Accepted));
    for status in Status::ALL {
        assert_eq!(Status::from_code(status.code()), Some(status));
    }
}
