//! Tables for the planning.

use super::*;
use crate::incidents::signal::{Severity, Signal};

const SETTINGS: Settings =
    Settings { hold_ms: 60, reopen_within_ms: 1_000, reopen_after_ms: 300, max_open: 3 };

fn signal(key: &str, instance: &str, component: &str, severity: Severity) -> Graded {
    Graded::from(Signal {
        key: key.to_owned(),
        instance: Some(instance.to_owned()),
        component: component.to_owned(),
        severity,
        title_id: key.to_owned(),
        title_en: key.to_owned(),
        detail_id: String::new(),
        detail_en: String::new(),
        value: None,
        started_at_ms: 0,
    })
}

fn disk(key: &str) -> Graded {
    signal(key, "web", "filesystem:/", Severity::Warning)
}

fn incident(id: &str, resolved_at_ms: Option<Millis>) -> KnownIncident {
    KnownIncident {
        id: id.to_owned(),
        cause: Cause { instance: "web".to_owned(), component: "filesystem:/".to_owned() },
        manual: false,
        priority: Priority::Medium,
        quiet_since_ms: None,
        resolved_at_ms,
    }
}

fn stored(id: &str, incident: &str, key: &str, ended_at_ms: Option<Millis>) -> KnownSignal {
    KnownSignal {
        id: id.to_owned(),
        incident: incident.to_owned(),
        source: SignalSource::Alert,
        key: key.to_owned(),
        priority: Priority::Medium,
        ended_at_ms,
    }
}

fn known(incidents: &[KnownIncident], signals: &[KnownSignal]) -> Known {
    Known { incidents: incidents.to_vec(), signals: signals.to_vec() }
}

fn plan_at(known: &Known, given: &[Graded], silent: &[&str], now_ms: Millis) -> Vec<Change> {
    let silent = silent.iter().map(|&host| host.to_owned()).collect();
    plan(known, SignalSource::Alert, given, &silent, &SETTINGS, now_ms)
}

fn join(incident: &str, given: usize) -> Change {
    Change::Join { incident: incident.to_owned(), given }
}

fn carry_on(signal: &str, given: usize) -> Change {
    Change::Continue { signal: signal.to_owned(), given }
}

fn end(signal: &str) -> Change {
    Change::End { signal: signal.to_owned() }
}

fn quiet() -> Change {
    Change::Quiet { incident: "i".to_owned() }
}

fn resolve() -> Change {
    Change::Resolve { incident: "i".to_owned() }
}

fn reopen(why: Reopening) -> Change {
    Change::Reopen { incident: "i".to_owned(), why }
}

#[test]
fn signals_of_one_cause_open_one_incident_and_others_their_own() {
    let given = [disk("a"), signal("m", "web", "memory", Severity::Info), disk("b")];
    assert_eq!(
        plan_at(&Known::default(), &given, &[], 0),
        [Change::Open { given: vec![0, 2] }, Change::Open { given: vec![1] }]
    );
}

#[test]
fn an_open_incident_is_joined_continued_and_becomes_quiet() {
    let open = known(&[incident("i", None)], &[stored("s", "i", "a", None)]);
    for (name, given, wanted) in [
        ("the same signal again", vec![disk("a")], vec![carry_on("s", 0)]),
        ("a second one of the cause", vec![disk("a"), disk("b")], vec![carry_on("s", 0), join("i", 1)]),
        ("another in its place", vec![disk("b")], vec![end("s"), join("i", 0)]),
        ("none is left", vec![], vec![end("s"), quiet()]),
    ] {
        assert_eq!(plan_at(&open, &given, &[], 10), wanted, "{name}");
    }
}

#[test]
fn signals_of_other_sources_keep_an_incident_open() {
    let mut forecast = stored("f", "i", "x", None);
    forecast.source = SignalSource::Forecast;
    let open = known(&[incident("i", None)], &[stored("s", "i", "a", None), forecast]);
    assert_eq!(plan_at(&open, &[], &[], 10), [end("s")]);
}

#[test]
fn an_incident_resolves_when_it_was_quiet_for_the_hold_time() {
    let mut quiet_one = incident("i", None);
    quiet_one.quiet_since_ms = Some(100);
    let signals = [stored("s", "i", "a", Some(100))];
    let state = known(&[quiet_one.clone()], &signals);
    assert_eq!(plan_at(&state, &[], &[], 159), []);
    assert_eq!(plan_at(&state, &[], &[], 160), [resolve()]);
    assert_eq!(plan_at(&state, &[disk("a")], &[], 159), [carry_on("s", 0)], "back within the hold time");
    assert_eq!(plan_at(&state, &[disk("a")], &[], 161), [join("i", 0)], "back later is a further occurrence");
    quiet_one.manual = true;
    assert_eq!(plan_at(&known(&[quiet_one], &signals), &[], &[], 999), [], "a person's own does not");
}

#[test]
fn a_cause_that_comes_back_soon_reopens_and_later_opens_anew() {
    let resolved = known(&[incident("old", Some(50)), incident("i", Some(100))], &[]);
    assert_eq!(
        plan_at(&resolved, &[disk("a")], &[], 1_100),
        [reopen(Reopening::Recurred), join("i", 0)],
        "the last one"
    );
    assert_eq!(plan_at(&resolved, &[disk("a")], &[], 1_101), [Change::Open { given: vec![0] }]);
}

#[test]
fn what_a_person_resolved_too_early_reopens_when_it_still_stands() {
    let resolved = known(&[incident("i", Some(100))], &[stored("s", "i", "a", None)]);
    assert_eq!(plan_at(&resolved, &[disk("a")], &[], 399), [carry_on("s", 0)]);
    assert_eq!(
        plan_at(&resolved, &[disk("a")], &[], 400),
        [carry_on("s", 0), reopen(Reopening::StillStanding)]
    );
    assert_eq!(plan_at(&resolved, &[disk("a")], &["web"], 400), [carry_on("s", 0)], "not while silent");
    assert_eq!(plan_at(&resolved, &[disk("a"), disk("b")], &[], 399), [carry_on("s", 0), join("i", 1)]);
    assert_eq!(plan_at(&resolved, &[], &[], 400), [end("s")], "the person was right");
}

#[test]
fn an_open_twin_takes_the_place_of_a_resolved_incident() {
    let twins = known(&[incident("i", Some(100)), incident("j", None)], &[stored("s", "i", "a", None)]);
    assert_eq!(plan_at(&twins, &[disk("a"), disk("b")], &[], 900), [carry_on("s", 0), join("j", 1)]);
    let both = known(
        &[incident("i", Some(100)), incident("j", Some(110))],
        &[stored("s", "i", "a", None), stored("t", "j", "b", None)],
    );
    let changes = plan_at(&both, &[disk("a"), disk("b")], &[], 900);
    let reopened = changes.iter().filter(|change| matches!(change, Change::Reopen { .. })).count();
    assert_eq!(reopened, 1, "never two open ones of a cause: {changes:?}");
}

#[test]
fn a_silent_host_opens_and_ends_nothing_but_its_own_incident() {
    let open = known(&[incident("i", None)], &[stored("s", "i", "a", None)]);
    let agent = signal("agent:web", "web", "agent", Severity::Critical);
    let memory = signal("m", "web", "memory", Severity::Critical);
    let elsewhere = signal("n", "db", "memory", Severity::Critical);
    let given = [memory, agent, elsewhere];
    assert_eq!(
        plan_at(&open, &given, &["web"], 10),
        [Change::Open { given: vec![2] }, Change::Open { given: vec![1] }]
    );
    assert_eq!(plan_at(&open, &[disk("a"), disk("b")], &["web"], 10), [carry_on("s", 0), join("i", 1)]);
}

#[test]
fn a_priority_rises_by_a_new_or_worse_signal_only() {
    let worse = signal("a", "web", "filesystem:/", Severity::Critical);
    let raise = |given| Change::Raise { incident: "i".to_owned(), given };
    let mut lowered = incident("i", None);
    lowered.priority = Priority::Low;
    for (name, state, given, wanted) in [
        (
            "the same signal became worse",
            known(&[incident("i", None)], &[stored("s", "i", "a", None)]),
            vec![worse.clone()],
            vec![carry_on("s", 0), raise(0)],
        ),
        (
            "a new signal is worse",
            known(&[incident("i", None)], &[]),
            vec![worse],
            vec![join("i", 0), raise(0)],
        ),
        (
            "a coordinator lowered it and nothing is new",
            known(&[lowered], &[stored("s", "i", "a", None)]),
            vec![disk("a")],
            vec![carry_on("s", 0)],
        ),
        (
            "a new signal is less",
            known(&[incident("i", None)], &[]),
            vec![signal("b", "web", "filesystem:/", Severity::Info)],
            vec![join("i", 0)],
        ),
    ] {
        assert_eq!(plan_at(&state, &given, &[], 10), wanted, "{name}");
    }
}

#[test]
fn a_signal_that_moves_to_another_cause_ends_there_and_opens_here() {
    let open = known(&[incident("i", None)], &[stored("s", "i", "a", None)]);
    let moved = signal("a", "web", "filesystem:/data", Severity::Warning);
    assert_eq!(plan_at(&open, &[moved], &[], 10), [end("s"), Change::Open { given: vec![0] }, quiet()]);
}

#[test]
fn there_is_an_upper_bound_of_open_incidents() {
    let given: Vec<Graded> =
        ["a", "b", "c", "d"].iter().map(|key| signal(key, key, "memory", Severity::Info)).collect();
    let changes = plan_at(&Known::default(), &given, &[], 0);
    assert_eq!(changes.len(), 4);
    assert_eq!(changes[3], Change::Refuse { given: vec![3] });
}
