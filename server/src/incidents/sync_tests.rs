//! The queue over real records.

use super::*;
use crate::incidents::plan::Settings;
use crate::incidents::{Priority, Severity, Signal};
use crate::records::Records;

struct Desk {
    records: Records,
    silent: BTreeSet<String>,
}

impl Desk {
    fn new() -> Self {
        Self { records: Records::in_memory().unwrap(), silent: BTreeSet::new() }
    }

    fn sync(&self, source: SignalSource, signals: &[Graded], now_ms: Millis) -> Outcome {
        let circumstances = Circumstances {
            silent_hosts: self.silent.clone(),
            settings: Settings { hold_ms: 60, reopen_within_ms: 1_000, reopen_after_ms: 300, max_open: 10 },
            year: 2026,
            now_ms,
        };
        self.records.transaction(|db| apply(db, source, signals.to_vec(), &circumstances)).unwrap()
    }

    fn alerts(&self, signals: &[Graded], now_ms: Millis) -> Outcome {
        self.sync(SignalSource::Alert, signals, now_ms)
    }

    fn all(&self) -> Vec<Incident> {
        self.records.transaction(|db| incidents::newest(db, &incidents::Filter::default(), None, 99)).unwrap()
    }

    fn one(&self) -> Incident {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    fn history(&self) -> Vec<EventKind> {
        let id = self.one().id;
        let events = self.records.transaction(|db| incident_events::of_incident(db, &id, 99)).unwrap();
        events.into_iter().map(|event| event.kind).collect()
    }

    fn signals(&self) -> Vec<StoredSignal> {
        let id = self.one().id;
        self.records.transaction(|db| incident_signals::of_incident(db, &id, 99)).unwrap()
    }

    fn resolve_as_person(&self, now_ms: Millis) {
        let mut incident = self.one();
        incident.state = State::Resolved;
        incident.resolved_at_ms = Some(now_ms);
        incident.resolved_by = Some("user:ani".to_owned());
        self.records.transaction(|db| incidents::update(db, &incident)).unwrap();
    }
}

fn signal(key: &str, component: &str, severity: Severity, detail: &str) -> Graded {
    Graded::from(Signal {
        key: key.to_owned(),
        instance: Some("web".to_owned()),
        component: component.to_owned(),
        severity,
        title_id: format!("judul {key}"),
        title_en: format!("title {key}"),
        detail_id: detail.to_owned(),
        detail_en: detail.to_owned(),
        value: Some(1.0),
        started_at_ms: 5,
    })
}

fn disk(key: &str) -> Graded {
    signal(key, "filesystem:/", Severity::Warning, "91 %")
}

#[test]
fn a_repeated_signal_is_one_incident_and_its_text_follows() {
    let desk = Desk::new();
    assert_eq!(desk.alerts(&[disk("a")], 10).opened, ["G-2026-0001"]);
    assert_eq!(desk.alerts(&[disk("a"), disk("a")], 20), Outcome::default(), "also if given twice");
    desk.alerts(&[signal("a", "filesystem:/", Severity::Warning, "92 %")], 30);
    let incident = desk.one();
    assert_eq!((incident.state, incident.started_at_ms, incident.opened_at_ms), (State::Recorded, 5, 10));
    let signals = desk.signals();
    assert_eq!((signals.len(), signals[0].detail_id.as_str(), signals[0].occurrences), (1, "92 %", 1));
    assert_eq!(desk.history(), [EventKind::Opened]);
}

#[test]
fn an_alert_and_a_forecast_of_one_cause_are_one_incident_that_ends_with_the_last() {
    let desk = Desk::new();
    desk.alerts(&[disk("a")], 10);
    let critical = signal("f", "filesystem:/", Severity::Critical, "penuh besok");
    desk.sync(SignalSource::Forecast, &[critical], 20);
    let incident = desk.one();
    assert_eq!((incident.priority, incident.title_id.as_str()), (Priority::High, "judul f"));
    desk.alerts(&[], 30);
    desk.alerts(&[], 500);
    assert_eq!(desk.one().resolved_at_ms, None);
    desk.sync(SignalSource::Forecast, &[], 600);
    assert_eq!(desk.alerts(&[], 659), Outcome::default());
    assert_eq!(desk.alerts(&[], 660).resolved, ["G-2026-0001"], "any source's call settles it");
    let incident = desk.one();
    assert_eq!((incident.state, incident.quiet_since_ms), (State::Resolved, Some(600)));
    assert_eq!(incident.resolved_by.as_deref(), Some("siaga"));
    assert_eq!(
        desk.history(),
        [EventKind::Opened, EventKind::Joined, EventKind::Priority, EventKind::Resolved]
    );
}

#[test]
fn a_flapping_signal_stays_one_signal_and_a_recurrence_reopens() {
    let desk = Desk::new();
    for now in [10, 40, 80, 120] {
        desk.alerts(&[disk("a")], now);
        desk.alerts(&[], now + 10);
    }
    assert_eq!((desk.signals().len(), desk.signals()[0].occurrences), (1, 4));
    assert_eq!(desk.alerts(&[], 190).resolved.len(), 1);
    assert_eq!(desk.alerts(&[disk("a")], 1_000).reopened, ["G-2026-0001"]);
    assert_eq!(desk.one().state, State::Recorded);
    desk.alerts(&[], 1_010);
    desk.alerts(&[], 1_070);
    assert_eq!(desk.alerts(&[disk("a")], 9_000).opened, ["G-2026-0002"], "much later it is a new one");
}

#[test]
fn what_a_person_resolved_reopens_only_if_it_still_stands_later() {
    let desk = Desk::new();
    desk.alerts(&[disk("a")], 10);
    desk.resolve_as_person(20);
    assert_eq!(desk.alerts(&[disk("a")], 319), Outcome::default());
    assert_eq!(desk.alerts(&[disk("a")], 320).reopened, ["G-2026-0001"]);
    assert_eq!(desk.history().last(), Some(&EventKind::StillStanding));
    desk.resolve_as_person(400);
    desk.alerts(&[], 410);
    assert_eq!(desk.alerts(&[], 5_000), Outcome::default());
    assert_eq!(desk.one().resolved_by.as_deref(), Some("user:ani"));
}

#[test]
fn unplugging_an_agent_opens_one_incident_for_the_host_and_none_for_its_parts() {
    let mut desk = Desk::new();
    desk.alerts(&[disk("a")], 10);
    desk.silent.insert("web".to_owned());
    let agent = signal("agent:web", "agent", Severity::Critical, "");
    assert_eq!(desk.sync(SignalSource::Agent, std::slice::from_ref(&agent), 20).opened, ["G-2026-0002"]);
    let memory = signal("m", "memory", Severity::Critical, "");
    assert_eq!(
        desk.alerts(std::slice::from_ref(&memory), 30),
        Outcome::default(),
        "no part opens, no part ends"
    );
    assert_eq!(desk.alerts(&[], 900), Outcome::default());
    assert_eq!(desk.all().iter().filter(|incident| incident.resolved_at_ms.is_none()).count(), 2);
    desk.silent.clear();
    desk.sync(SignalSource::Agent, &[], 1_000);
    assert_eq!(desk.alerts(&[memory], 1_001).opened, ["G-2026-0003"]);
    let mut resolved = desk.alerts(&[], 1_100).resolved;
    resolved.sort();
    assert_eq!(resolved, ["G-2026-0001", "G-2026-0002"]);
}

#[test]
fn the_records_themselves_refuse_a_second_open_incident_of_a_cause() {
    let desk = Desk::new();
    desk.alerts(&[disk("a")], 10);
    let mut twin = desk.one();
    twin.id = "twin".to_owned();
    twin.number = "G-2026-0002".to_owned();
    assert!(desk.records.transaction(|db| incidents::insert(db, &twin, 2026, 2)).is_err());
}
