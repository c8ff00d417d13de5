//! Carries out in the records what [`super::plan`] decides. One transaction a call, so a call counts wholly or not.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::{Change, Known, KnownIncident, KnownSignal, Reopening, Settings, plan};
use super::signal::{Graded, SignalSource};
use super::state::{EventKind, State};
use crate::access::new_id;
use crate::records::incident_events::{self, Event};
use crate::records::incident_signals::{self, StoredSignal};
use crate::records::incidents::{self, Incident};
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, Result};
use crate::time::Millis;

/// Name of the server itself in histories.
pub(super) const SELF: &str = "siaga";

/// What a call found, besides its signals.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// Hosts of which nothing can be known now.
    pub silent_hosts: BTreeSet<String>,
    /// Times and bounds.
    pub settings: Settings,
    /// Year for new numbers.
    pub year: i16,
    /// Now.
    pub now_ms: Millis,
}

/// What a call did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Numbers of the incidents opened.
    pub opened: Vec<String>,
    /// Numbers of the incidents opened again.
    pub reopened: Vec<String>,
    /// Numbers of the incidents resolved.
    pub resolved: Vec<String>,
    /// Signals without an incident, because too many are open.
    pub refused: usize,
}

/// Takes over the complete set of active signals of one source.
///
/// # Errors
/// If a statement fails; the caller's transaction must then be given up.
pub fn apply(
    db: &Connection,
    source: SignalSource,
    mut given: Vec<Graded>,
    circumstances: &Circumstances,
) -> Result<Outcome> {
    let mut keys = BTreeSet::new();
    given.retain(|graded| keys.insert(graded.signal.key.clone()));
    let mut work = Work::load(db, source, given, circumstances)?;
    let known = work.known();
    let changes =
        plan(&known, source, &work.given, &circumstances.silent_hosts, &circumstances.settings, work.now_ms);
    for change in changes {
        work.carry_out(change)?;
    }
    for id in &work.touched {
        if let Some(incident) = work.incidents.get(id) {
            incidents::update(db, incident)?;
        }
    }
    Ok(work.outcome)
}

struct Work<'a> {
    db: &'a Connection,
    source: SignalSource,
    given: Vec<Graded>,
    year: i16,
    now_ms: Millis,
    incidents: BTreeMap<String, Incident>,
    signals: BTreeMap<String, StoredSignal>,
    /// Incidents that are written at the end.
    touched: BTreeSet<String>,
    outcome: Outcome,
}

impl<'a> Work<'a> {
    fn load(
        db: &'a Connection,
        source: SignalSource,
        given: Vec<Graded>,
        circumstances: &Circumstances,
    ) -> Result<Self> {
        let now_ms = circumstances.now_ms;
        let settings = &circumstances.settings;
        let recent = incidents::open_or_recent(db, now_ms - settings.reopen_within_ms)?;
        let signals = incident_signals::standing_or_recent(db, now_ms - settings.hold_ms)?;
        Ok(Self {
            db,
            source,
            given,
            year: circumstances.year,
            now_ms,
            incidents: recent.into_iter().map(|incident| (incident.id.clone(), incident)).collect(),
            signals: signals.into_iter().map(|signal| (signal.id.clone(), signal)).collect(),
            touched: BTreeSet::new(),
            outcome: Outcome::default(),
        })
    }

    fn known(&self) -> Known {
        let incident = |incident: &Incident| KnownIncident {
            id: incident.id.clone(),
            cause: incident.cause.clone(),
            manual: incident.manual,
            priority: incident.priority,
            quiet_since_ms: incident.quiet_since_ms,
            resolved_at_ms: incident.resolved_at_ms,
        };
        let signal = |signal: &StoredSignal| KnownSignal {
            id: signal.id.clone(),
            incident: signal.incident_id.clone(),
            source: signal.source,
            key: signal.key.clone(),
            priority: signal.grade.priority(),
            ended_at_ms: signal.ended_at_ms,
        };
        Known {
            incidents: self.incidents.values().map(incident).collect(),
            signals: self.signals.values().map(signal).collect(),
        }
    }

    fn event(&self, incident_id: &str, kind: EventKind, details: (&str, &str)) -> Result<()> {
        let event = Event {
            at_ms: self.now_ms,
            actor: SELF.to_owned(),
            kind,
            detail_id: details.0.to_owned(),
            detail_en: details.1.to_owned(),
        };
        incident_events::add(self.db, incident_id, &event)
    }

    fn incident(&mut self, id: &str) -> Result<&mut Incident> {
        self.touched.insert(id.to_owned());
        self.incidents.get_mut(id).ok_or_else(|| RecordsError::Corrupt {
            column: "incident_signals.incident_id",
            reason: format!("incident {id} is not among those loaded"),
        })
    }

    fn carry_out(&mut self, change: Change) -> Result<()> {
        match change {
            Change::Open { given } => self.open(&given),
            Change::Join { incident, given } => self.join(&incident, given),
            Change::Continue { signal, given } => self.carry_on(&signal, given),
            Change::End { signal } => incident_signals::end(self.db, &signal, self.now_ms),
            Change::Raise { incident, given } => self.raise(&incident, given),
            Change::Quiet { incident } => {
                self.incident(&incident)?.quiet_since_ms = Some(self.now_ms);
                Ok(())
            }
            Change::Resolve { incident } => self.resolve(&incident),
            Change::Reopen { incident, why } => self.reopen(&incident, why),
            Change::Refuse { given } => {
                self.outcome.refused += given.len();
                Ok(())
            }
        }
    }

    fn open(&mut self, given: &[usize]) -> Result<()> {
        let Some(worst) = given.iter().copied().max_by_key(|&index| self.given[index].grade.priority())
        else {
            return Ok(());
        };
        let Graded { signal, grade } = self.given[worst].clone();
        let started = given.iter().map(|&index| self.given[index].signal.started_at_ms).min();
        let (seq, number) = incidents::next_number(self.db, self.year)?;
        let incident = Incident {
            id: new_id(),
            number: number.clone(),
            cause: signal.cause(),
            manual: false,
            state: State::Recorded,
            grade,
            priority: grade.priority(),
            title_id: signal.title_id,
            title_en: signal.title_en,
            detail_id: signal.detail_id,
            detail_en: signal.detail_en,
            started_at_ms: started.unwrap_or(self.now_ms),
            opened_at_ms: self.now_ms,
            quiet_since_ms: None,
            resolved_at_ms: None,
            resolved_by: None,
            solution: String::new(),
            handler: None,
        };
        incidents::insert(self.db, &incident, self.year, seq)?;
        self.event(&incident.id, EventKind::Opened, (&incident.title_id, &incident.title_en))?;
        for &index in given {
            let Graded { signal, grade } = &self.given[index];
            incident_signals::insert(self.db, &new_id(), &incident.id, self.source, signal, *grade)?;
        }
        self.outcome.opened.push(number);
        Ok(())
    }

    fn join(&mut self, incident_id: &str, index: usize) -> Result<()> {
        let Graded { signal, grade } = self.given[index].clone();
        incident_signals::insert(self.db, &new_id(), incident_id, self.source, &signal, grade)?;
        self.event(incident_id, EventKind::Joined, (&signal.title_id, &signal.title_en))?;
        self.incident(incident_id)?.quiet_since_ms = None;
        Ok(())
    }

    fn carry_on(&mut self, signal_id: &str, index: usize) -> Result<()> {
        let Graded { signal, grade } = &self.given[index];
        let Some(stored) = self.signals.get(signal_id) else { return Ok(()) };
        if stored.differs(signal, *grade) {
            incident_signals::carry_on(self.db, signal_id, signal, *grade)?;
        }
        if stored.ended_at_ms.is_some() {
            let incident_id = stored.incident_id.clone();
            self.incident(&incident_id)?.quiet_since_ms = None;
        }
        Ok(())
    }

    fn raise(&mut self, incident_id: &str, index: usize) -> Result<()> {
        let Graded { signal, grade } = self.given[index].clone();
        let incident = self.incident(incident_id)?;
        if grade.priority() <= incident.priority {
            return Ok(()); // a worse signal of the same call was there first
        }
        incident.grade = grade;
        incident.priority = grade.priority();
        incident.title_id.clone_from(&signal.title_id);
        incident.title_en.clone_from(&signal.title_en);
        incident.detail_id.clone_from(&signal.detail_id);
        incident.detail_en.clone_from(&signal.detail_en);
        let code = grade.priority().code();
        self.event(incident_id, EventKind::Priority, (code, code))
    }

    fn resolve(&mut self, incident_id: &str) -> Result<()> {
        let now_ms = self.now_ms;
        let incident = self.incident(incident_id)?;
        incident.state = State::Resolved;
        incident.resolved_at_ms = Some(now_ms);
        incident.resolved_by = Some(SELF.to_owned());
        let number = incident.number.clone();
        self.outcome.resolved.push(number);
        self.event(incident_id, EventKind::Resolved, ("", ""))
    }

    fn reopen(&mut self, incident_id: &str, why: Reopening) -> Result<()> {
        let incident = self.incident(incident_id)?;
        incident.state = if incident.handler.is_some() { State::Handling } else { State::Recorded };
        incident.resolved_at_ms = None;
        incident.resolved_by = None;
        incident.quiet_since_ms = None;
        // What did not last is no solution; the history keeps it.
        incident.solution.clear();
        let number = incident.number.clone();
        self.outcome.reopened.push(number);
        let kind = match why {
            Reopening::Recurred => EventKind::Recurred,
            Reopening::StillStanding => EventKind::StillStanding,
        };
        self.event(incident_id, kind, ("", ""))
    }
}

#[cfg(test)]
#[path = "sync_tests.rs"]
mod tests;
