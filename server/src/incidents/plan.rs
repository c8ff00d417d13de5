//! Decides what a set of signals means for the queue. Pure: what is known and what is reported go in, changes come out.
//!
//! Invariants: at most one incident is open per cause; a signal stands in one incident; what is planned once and
//! carried out is not planned again (idempotent); while a host is silent nothing opens or re-opens for its parts and
//! nothing that stands for them ends.

use std::collections::{BTreeMap, BTreeSet};

use super::priority::Priority;
use super::signal::{Cause, Graded, SignalSource};
use crate::time::Millis;

/// Times and bounds of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// An incident resolves when its last signal has been gone for this long.
    pub hold_ms: Millis,
    /// A cause that comes back within this time re-opens its last incident.
    pub reopen_within_ms: Millis,
    /// An incident that a person resolved re-opens when its cause still stands after this time.
    pub reopen_after_ms: Millis,
    /// Open incidents in all; signals open no further ones.
    pub max_open: usize,
}

/// What the planning needs to know of an incident that is open or was resolved lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownIncident {
    /// Identifier.
    pub id: String,
    /// Cause.
    pub cause: Cause,
    /// Recorded by a person: does not resolve by itself.
    pub manual: bool,
    /// Priority now.
    pub priority: Priority,
    /// When its last signal went.
    pub quiet_since_ms: Option<Millis>,
    /// When it was resolved; `None` while it is open.
    pub resolved_at_ms: Option<Millis>,
}

/// What the planning needs to know of a signal that stands or ended lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSignal {
    /// Identifier.
    pub id: String,
    /// Incident that it stands in.
    pub incident: String,
    /// Who reported it.
    pub source: SignalSource,
    /// Key within the source.
    pub key: String,
    /// Priority that it asks for.
    pub priority: Priority,
    /// When it ended; `None` while it stands.
    pub ended_at_ms: Option<Millis>,
}

/// What the queue knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// Open incidents, and resolved ones that may open again.
    pub incidents: Vec<KnownIncident>,
    /// Their signals that stand or ended within the hold time.
    pub signals: Vec<KnownSignal>,
}

/// Why an incident opens again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reopening {
    /// The cause was gone and came back.
    Recurred,
    /// A person resolved it, but the cause is still there.
    StillStanding,
}

/// One change. `given` is an index into the reported signals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Open an incident for these signals, which have one cause.
    Open {
        /// Signals; never empty.
        given: Vec<usize>,
    },
    /// A signal joins an incident.
    Join {
        /// Incident.
        incident: String,
        /// Signal.
        given: usize,
    },
    /// A standing signal was reported again, or one that had ended moments ago is back.
    Continue {
        /// Stored signal.
        signal: String,
        /// Signal.
        given: usize,
    },
    /// A standing signal is gone.
    End {
        /// Stored signal.
        signal: String,
    },
    /// A signal asks for more than the incident's priority.
    Raise {
        /// Incident.
        incident: String,
        /// Signal.
        given: usize,
    },
    /// The last signal of an incident is gone.
    Quiet {
        /// Incident.
        incident: String,
    },
    /// The incident resolves by itself.
    Resolve {
        /// Incident.
        incident: String,
    },
    /// The incident opens again.
    Reopen {
        /// Incident.
        incident: String,
        /// Why.
        why: Reopening,
    },
    /// There are too many open incidents for these signals.
    Refuse {
        /// Signals.
        given: Vec<usize>,
    },
}

/// Plans the changes that follow from the complete set of active signals of one source. Keys in `given` are unique.
#[must_use]
pub fn plan(
    known: &Known,
    source: SignalSource,
    given: &[Graded],
    silent_hosts: &BTreeSet<String>,
    settings: &Settings,
    now_ms: Millis,
) -> Vec<Change> {
    let mut planning = Planning::new(known, source, given, silent_hosts, settings, now_ms);
    let fresh = planning.match_standing();
    for (cause, signals) in fresh {
        planning.place(&cause, signals);
    }
    planning.reopen_what_still_stands();
    planning.settle_quiet();
    planning.changes
}

struct Planning<'a> {
    known: &'a Known,
    source: SignalSource,
    given: &'a [Graded],
    silent_hosts: &'a BTreeSet<String>,
    settings: &'a Settings,
    now_ms: Millis,
    incidents: BTreeMap<&'a str, &'a KnownIncident>,
    /// Standing signals of each incident, as they will be when the plan is carried out.
    standing: BTreeMap<&'a str, usize>,
    /// Causes with an open incident, as it will be when the plan is carried out.
    open_causes: BTreeSet<Cause>,
    open: usize,
    changes: Vec<Change>,
}

impl<'a> Planning<'a> {
    fn new(
        known: &'a Known,
        source: SignalSource,
        given: &'a [Graded],
        silent_hosts: &'a BTreeSet<String>,
        settings: &'a Settings,
        now_ms: Millis,
    ) -> Self {
        let open = || known.incidents.iter().filter(|incident| incident.resolved_at_ms.is_none());
        let mut standing = BTreeMap::new();
        for signal in known.signals.iter().filter(|signal| signal.ended_at_ms.is_none()) {
            *standing.entry(signal.incident.as_str()).or_default() += 1;
        }
        Self {
            known,
            source,
            given,
            silent_hosts,
            settings,
            now_ms,
            incidents: known.incidents.iter().map(|incident| (incident.id.as_str(), incident)).collect(),
            standing,
            open_causes: open().map(|incident| incident.cause.clone()).collect(),
            open: open().count(),
            changes: Vec::new(),
        }
    }

    /// Whether nothing can be known of this cause, because its host is silent.
    fn is_hidden(&self, cause: &Cause) -> bool {
        !cause.is_whole_host() && self.silent_hosts.contains(&cause.instance)
    }

    /// Continues or ends what stands; gives the signals that are new, by cause.
    fn match_standing(&mut self) -> BTreeMap<Cause, Vec<usize>> {
        let given = self.given;
        let mut fresh: BTreeMap<&str, usize> =
            given.iter().enumerate().map(|(index, graded)| (graded.signal.key.as_str(), index)).collect();
        let (known, source) = (self.known, self.source);
        for stored in known.signals.iter().filter(|s| s.source == source && s.ended_at_ms.is_none()) {
            let Some(&incident) = self.incidents.get(stored.incident.as_str()) else { continue };
            let same = fresh.get(stored.key.as_str()).copied();
            match same.filter(|&index| given[index].signal.cause() == incident.cause) {
                Some(index) => {
                    fresh.remove(stored.key.as_str());
                    self.changes.push(Change::Continue { signal: stored.id.clone(), given: index });
                    self.raise_if(incident, index, stored.priority);
                }
                None if same.is_none() && self.is_hidden(&incident.cause) => {}
                None => {
                    self.changes.push(Change::End { signal: stored.id.clone() });
                    if let Some(count) = self.standing.get_mut(stored.incident.as_str()) {
                        *count -= 1;
                    }
                }
            }
        }
        let mut by_cause: BTreeMap<Cause, Vec<usize>> = BTreeMap::new();
        for index in fresh.into_values() {
            by_cause.entry(given[index].signal.cause()).or_default().push(index);
        }
        by_cause
    }

    /// Raises the incident's priority if the signal asks for more than it did before and than the incident has.
    fn raise_if(&mut self, incident: &KnownIncident, index: usize, before: Priority) {
        let wanted = self.given[index].grade.priority();
        if wanted > before && wanted > incident.priority {
            self.changes.push(Change::Raise { incident: incident.id.clone(), given: index });
        }
    }

    /// Finds the incident of new signals of one cause, or opens one.
    fn place(&mut self, cause: &Cause, signals: Vec<usize>) {
        let known = self.known;
        let of_cause = || known.incidents.iter().filter(|incident| incident.cause == *cause);
        if let Some(incident) = of_cause().find(|incident| incident.resolved_at_ms.is_none()) {
            return self.join(incident, signals);
        }
        if self.is_hidden(cause) {
            return;
        }
        let latest = of_cause().max_by_key(|incident| incident.resolved_at_ms);
        match latest.and_then(|incident| Some((incident, incident.resolved_at_ms?))) {
            Some((incident, _))
                if self.standing.get(incident.id.as_str()).is_some_and(|count| *count > 0) =>
            {
                self.join(incident, signals);
            }
            Some((incident, resolved)) if self.now_ms - resolved <= self.settings.reopen_within_ms => {
                self.reopen(incident, Reopening::Recurred);
                self.join(incident, signals);
            }
            _ if self.open >= self.settings.max_open => self.changes.push(Change::Refuse { given: signals }),
            _ => {
                self.open += 1;
                self.open_causes.insert(cause.clone());
                self.changes.push(Change::Open { given: signals });
            }
        }
    }

    fn join(&mut self, incident: &'a KnownIncident, signals: Vec<usize>) {
        let known = self.known;
        for index in signals {
            let key = &self.given[index].signal.key;
            let back = known.signals.iter().find(|stored| {
                let lately = stored.ended_at_ms.is_some_and(|at| self.now_ms - at <= self.settings.hold_ms);
                lately && stored.incident == incident.id && stored.source == self.source && stored.key == *key
            });
            let before = match back {
                Some(stored) => {
                    self.changes.push(Change::Continue { signal: stored.id.clone(), given: index });
                    stored.priority
                }
                None => {
                    self.changes.push(Change::Join { incident: incident.id.clone(), given: index });
                    Priority::Low
                }
            };
            self.raise_if(incident, index, before);
            *self.standing.entry(incident.id.as_str()).or_default() += 1;
        }
    }

    fn reopen(&mut self, incident: &'a KnownIncident, why: Reopening) {
        self.open_causes.insert(incident.cause.clone());
        self.open += 1;
        self.changes.push(Change::Reopen { incident: incident.id.clone(), why });
    }

    fn reopen_what_still_stands(&mut self) {
        let known = self.known;
        for incident in &known.incidents {
            let Some(resolved) = incident.resolved_at_ms else { continue };
            let stands = self.standing.get(incident.id.as_str()).is_some_and(|count| *count > 0);
            if stands
                && self.now_ms - resolved >= self.settings.reopen_after_ms
                && !self.open_causes.contains(&incident.cause)
                && !self.is_hidden(&incident.cause)
            {
                self.reopen(incident, Reopening::StillStanding);
            }
        }
    }

    fn settle_quiet(&mut self) {
        for incident in self.known.incidents.iter().filter(|incident| incident.resolved_at_ms.is_none()) {
            let Some(0) =
                self.standing.get(incident.id.as_str()).copied().or(incident.quiet_since_ms.map(|_| 0))
            else {
                continue;
            };
            if incident.quiet_since_ms.is_none() {
                self.changes.push(Change::Quiet { incident: incident.id.clone() });
            }
            let quiet_ms = self.now_ms - incident.quiet_since_ms.unwrap_or(self.now_ms);
            if !incident.manual && quiet_ms >= self.settings.hold_ms {
                self.changes.push(Change::Resolve { incident: incident.id.clone() });
            }
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
