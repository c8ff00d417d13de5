//! What people do with an incident. Each action runs in the caller's transaction and leaves an entry in the history
//! and in the audit trail.

use super::priority::Priority;
use super::signal::{Cause, Grade};
use super::state::{EventKind, State};
use crate::access::new_id;
use crate::records::incident_events::{self, Event};
use crate::records::incidents::{self, Incident};
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, audit, hosts};
use crate::time::Millis;

/// Longest title, characters.
const MAX_TITLE: usize = 200;
/// Longest text of a person, characters.
const MAX_TEXT: usize = 4_000;
/// Longest name of a component, characters.
const MAX_COMPONENT: usize = 200;

/// Why an action is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandlingError {
    /// There is no such incident.
    #[error("incident {0} does not exist")]
    Unknown(String),
    /// The incident is resolved.
    #[error("incident {0} is resolved already")]
    Resolved(String),
    /// The cause has an open incident.
    #[error("incident {0} is open for this host and component")]
    CauseOpen(String),
    /// A field is not acceptable.
    #[error("{reason}")]
    Field {
        /// Which.
        field: &'static str,
        /// Why.
        reason: String,
    },
    /// The records failed.
    #[error("cannot record what was done")]
    Records(#[from] RecordsError),
}

/// Who acts, and when.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    /// User name.
    pub(super) username: String,
    /// Now.
    pub(super) now_ms: Millis,
}

impl Actor {
    fn name(&self) -> String {
        format!("user:{}", self.username)
    }

    fn event(&self, kind: EventKind, detail: &str) -> Event {
        Event {
            at_ms: self.now_ms,
            actor: self.name(),
            kind,
            detail_id: detail.to_owned(),
            detail_en: detail.to_owned(),
        }
    }

    fn note(&self, db: &Connection, incident: &Incident, event: &Event) -> Result<(), RecordsError> {
        incident_events::add(db, &incident.id, event)?;
        let action = format!("incident.{}", event.kind.code());
        audit::add(db, self.now_ms, &self.name(), &action, &incident.number, "")
    }
}

/// A trimmed text with 1 to `max` characters.
fn text(field: &'static str, value: &str, max: usize) -> Result<String, HandlingError> {
    let value = value.trim().replace("\r\n", "\n");
    let length = value.chars().count();
    if !(1..=max).contains(&length) || value.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        let reason = format!("must have 1 to {max} characters, without control characters");
        return Err(HandlingError::Field { field, reason });
    }
    Ok(value)
}

fn find(db: &Connection, number: &str) -> Result<Incident, HandlingError> {
    incidents::by_number(db, number)?.ok_or_else(|| HandlingError::Unknown(number.to_owned()))
}

fn find_open(db: &Connection, number: &str) -> Result<Incident, HandlingError> {
    let incident = find(db, number)?;
    if incident.state == State::Resolved {
        Err(HandlingError::Resolved(incident.number))
    } else {
        Ok(incident)
    }
}

/// The actor handles the incident from now on.
pub(super) fn take(db: &Connection, number: &str, actor: &Actor) -> Result<(), HandlingError> {
    let mut incident = find_open(db, number)?;
    if incident.handler.as_deref() == Some(actor.username.as_str()) {
        return Ok(());
    }
    incident.handler = Some(actor.username.clone());
    incident.state = State::Handling;
    incidents::update(db, &incident)?;
    Ok(actor.note(db, &incident, &actor.event(EventKind::Taken, ""))?)
}

/// Adds a note to the history, also of a resolved incident.
pub(super) fn comment(db: &Connection, number: &str, note: &str, actor: &Actor) -> Result<(), HandlingError> {
    let note = text("text", note, MAX_TEXT)?;
    let incident = find(db, number)?;
    Ok(actor.note(db, &incident, &actor.event(EventKind::Comment, &note))?)
}

/// Resolves the incident with a solution.
pub(super) fn resolve(
    db: &Connection,
    number: &str,
    solution: &str,
    actor: &Actor,
) -> Result<(), HandlingError> {
    let solution = text("solution", solution, MAX_TEXT)?;
    let mut incident = find_open(db, number)?;
    incident.state = State::Resolved;
    incident.resolved_at_ms = Some(actor.now_ms);
    incident.resolved_by = Some(actor.name());
    incident.handler.get_or_insert_with(|| actor.username.clone());
    incident.solution.clone_from(&solution);
    incidents::update(db, &incident)?;
    Ok(actor.note(db, &incident, &actor.event(EventKind::Resolved, &solution))?)
}

/// Sets the priority, up or down.
pub(super) fn prioritise(
    db: &Connection,
    number: &str,
    priority: Priority,
    actor: &Actor,
) -> Result<(), HandlingError> {
    let mut incident = find_open(db, number)?;
    if incident.priority == priority {
        return Ok(());
    }
    incident.priority = priority;
    incidents::update(db, &incident)?;
    Ok(actor.note(db, &incident, &actor.event(EventKind::Priority, priority.code()))?)
}

/// An incident as a person records it.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    /// One line.
    pub(super) title: String,
    /// What was seen; may be empty.
    pub(super) detail: String,
    /// Host; empty if it is no single host's.
    pub(super) instance: String,
    /// What is broken; empty if it is nothing that signals name.
    pub(super) component: String,
    /// Impact and urgency.
    pub(super) grade: Grade,
}

/// Records an incident and gives its number.
pub(super) fn record(
    db: &Connection,
    draft: &Draft,
    year: i16,
    actor: &Actor,
) -> Result<String, HandlingError> {
    let title = text("title", &draft.title, MAX_TITLE)?;
    let detail =
        if draft.detail.trim().is_empty() { String::new() } else { text("detail", &draft.detail, MAX_TEXT)? };
    let instance = draft.instance.trim().to_owned();
    if !instance.is_empty() && hosts::by_instance(db, &instance)?.is_none() {
        return Err(HandlingError::Field {
            field: "instance",
            reason: format!("host {instance} does not exist"),
        });
    }
    let (seq, number) = incidents::next_number(db, year)?;
    let component = match draft.component.trim() {
        // Without a component it is a cause of its own.
        "" => format!("manual:{number}"),
        component => text("component", component, MAX_COMPONENT)?,
    };
    let cause = Cause { instance, component };
    if let Some(open) = incidents::open_by_cause(db, &cause)? {
        return Err(HandlingError::CauseOpen(open.number));
    }
    let incident = Incident {
        id: new_id(),
        number: number.clone(),
        cause,
        manual: true,
        state: State::Recorded,
        grade: draft.grade,
        priority: draft.grade.priority(),
        title_id: title.clone(),
        title_en: title,
        detail_id: detail.clone(),
        detail_en: detail,
        started_at_ms: actor.now_ms,
        opened_at_ms: actor.now_ms,
        quiet_since_ms: None,
        resolved_at_ms: None,
        resolved_by: None,
        solution: String::new(),
        handler: None,
    };
    incidents::insert(db, &incident, year, seq)?;
    actor.note(db, &incident, &actor.event(EventKind::Recorded, ""))?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::{Impact, Urgency};
    use crate::records::Records;

    fn actor(username: &str, now_ms: Millis) -> Actor {
        Actor { username: username.to_owned(), now_ms }
    }

    fn draft(title: &str, component: &str) -> Draft {
        Draft {
            title: title.to_owned(),
            detail: String::new(),
            instance: String::new(),
            component: component.to_owned(),
            grade: Grade { impact: Impact::Large, urgency: Urgency::Urgent },
        }
    }

    fn run<T>(
        records: &Records,
        work: impl FnOnce(&Connection) -> Result<T, HandlingError>,
    ) -> Result<T, String> {
        records.transaction(|db| work(db)).map_err(|error: HandlingError| error.to_string())
    }

    #[test]
    fn an_incident_goes_from_recorded_over_handling_to_resolved_with_its_history() {
        let records = Records::in_memory().unwrap();
        let number =
            run(&records, |db| record(db, &draft("SPSE lambat", ""), 2026, &actor("ani", 1))).unwrap();
        assert_eq!(number, "G-2026-0001");
        let state = |records: &Records| run(records, |db| find(db, &number)).unwrap();
        assert_eq!((state(&records).state, state(&records).priority), (State::Recorded, Priority::High));
        run(&records, |db| take(db, &number, &actor("budi", 2))).unwrap();
        assert_eq!(state(&records).state, State::Handling);
        run(&records, |db| comment(db, &number, " dicek ", &actor("ani", 3))).unwrap();
        run(&records, |db| prioritise(db, &number, Priority::Low, &actor("koor", 4))).unwrap();
        run(&records, |db| resolve(db, &number, "layanan dijalankan lagi", &actor("budi", 5))).unwrap();
        let done = state(&records);
        assert_eq!((done.state, done.solution.as_str()), (State::Resolved, "layanan dijalankan lagi"));
        let history = run(&records, |db| Ok(incident_events::of_incident(db, &done.id, 99)?)).unwrap();
        let told: Vec<_> =
            history.iter().map(|e| (e.actor.as_str(), e.kind.code(), e.detail_id.as_str())).collect();
        assert_eq!(
            told,
            [
                ("user:ani", "recorded", ""),
                ("user:budi", "taken", ""),
                ("user:ani", "comment", "dicek"),
                ("user:koor", "priority", "low"),
                ("user:budi", "resolved", "layanan dijalankan lagi"),
            ]
        );
        let audit = run(&records, |db| Ok(audit::latest(db, 99)?)).unwrap();
        assert_eq!(audit.len(), 5);
        assert_eq!(
            run(&records, |db| take(db, &number, &actor("ani", 6))).unwrap_err(),
            "incident G-2026-0001 is resolved already"
        );
    }

    #[test]
    fn wrong_input_is_refused_and_changes_nothing() {
        let records = Records::in_memory().unwrap();
        let who = actor("ani", 1);
        run(&records, |db| record(db, &draft("a", "cpu"), 2026, &who)).unwrap();
        let mut elsewhere = draft("b", "cpu");
        elsewhere.instance = "nowhere".to_owned();
        for (result, wanted) in [
            (
                run(&records, |db| record(db, &draft("b", "cpu"), 2026, &who).map(|_| ())),
                "incident G-2026-0001 is open",
            ),
            (run(&records, |db| record(db, &draft(" ", ""), 2026, &who).map(|_| ())), "must have 1 to 200"),
            (
                run(&records, |db| record(db, &elsewhere, 2026, &who).map(|_| ())),
                "host nowhere does not exist",
            ),
            (run(&records, |db| comment(db, "G-2026-0001", &"x".repeat(4_001), &who)), "must have 1 to 4000"),
            (run(&records, |db| resolve(db, "G-2026-0001", "", &who)), "must have 1 to 4000"),
            (run(&records, |db| take(db, "G-1", &who)), "incident G-1 does not exist"),
        ] {
            let error = result.unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
        let all =
            run(&records, |db| Ok(incidents::newest(db, &incidents::Filter::default(), None, 9)?)).unwrap();
        assert_eq!((all.len(), all[0].state), (1, State::Recorded));
    }

    #[test]
    fn numbers_run_per_year() {
        let records = Records::in_memory().unwrap();
        let who = actor("ani", 1);
        let mut numbers = Vec::new();
        for year in [2026, 2026, 2027] {
            numbers.push(run(&records, |db| record(db, &draft("a", ""), year, &who)).unwrap());
        }
        assert_eq!(numbers, ["G-2026-0001", "G-2026-0002", "G-2027-0001"]);
    }
}
