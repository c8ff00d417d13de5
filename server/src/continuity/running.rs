//! Which drill runs now, what stops it, and what people confirm in it. One drill at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

/// What asks a drill to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StopCause {
    /// A person.
    Person(String),
    /// A stop condition of the plan.
    Condition {
        /// Its name.
        check: String,
        /// What was found.
        found: String,
    },
}

/// What a person says of a step that waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmation {
    /// Who.
    pub who: String,
    /// Whether it is done, or as it should be.
    pub done: bool,
    /// What was noted.
    pub note: String,
}

#[derive(Debug)]
struct Current {
    drill_id: String,
    stop: watch::Sender<Option<StopCause>>,
    confirmed: watch::Sender<BTreeMap<String, Confirmation>>,
}

/// The drill that runs now, shared by all who start, stop and show drills.
#[derive(Debug, Clone, Default)]
pub struct RunningDrill {
    current: Arc<Mutex<Option<Current>>>,
}

impl RunningDrill {
    fn with<T>(&self, work: impl FnOnce(&mut Option<Current>) -> T) -> T {
        work(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Identifier of the drill that runs now.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        self.with(|current| current.as_ref().map(|current| current.drill_id.clone()))
    }

    /// Asks the drill to end, in the name of `who`. Says whether it runs.
    #[must_use]
    pub fn stop(&self, drill_id: &str, who: &str) -> bool {
        self.stop_for(drill_id, &StopCause::Person(who.to_owned()))
    }

    /// Asks the drill to end. Says whether it runs.
    pub(super) fn stop_for(&self, drill_id: &str, cause: &StopCause) -> bool {
        self.with(|current| match current {
            Some(current) if current.drill_id == drill_id => {
                current.stop.send_modify(|asked| {
                    asked.get_or_insert_with(|| cause.clone());
                });
                true
            }
            _ => false,
        })
    }

    /// Takes what a person says of a step, by the step's identifier; the first one counts. Says whether the drill runs.
    #[must_use]
    pub fn confirm(&self, drill_id: &str, step: &str, confirmation: Confirmation) -> bool {
        self.with(|current| match current {
            Some(current) if current.drill_id == drill_id => {
                current.confirmed.send_modify(|known| {
                    known.entry(step.to_owned()).or_insert(confirmation);
                });
                true
            }
            _ => false,
        })
    }

    /// Takes the place of the running drill, if it is free.
    pub(super) fn claim(&self, drill_id: &str) -> Result<Claim, String> {
        self.with(|current| match current {
            Some(current) => Err(current.drill_id.clone()),
            None => {
                let (stop, asked) = watch::channel(None);
                let (confirmed, confirmations) = watch::channel(BTreeMap::new());
                *current = Some(Current { drill_id: drill_id.to_owned(), stop, confirmed });
                Ok(Claim { place: self.clone(), asked, confirmations })
            }
        })
    }
}

/// The place of the running drill; free again when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    place: RunningDrill,
    /// What asked for the end.
    pub(super) asked: watch::Receiver<Option<StopCause>>,
    /// What people said of steps.
    pub(super) confirmations: watch::Receiver<BTreeMap<String, Confirmation>>,
}

impl Claim {
    /// The place itself, for what watches the drill from beside.
    pub(super) fn place(&self) -> RunningDrill {
        self.place.clone()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.place.with(|current| *current = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_drill_runs_at_a_time_and_only_that_one_is_stopped() {
        let running = RunningDrill::default();
        let claim = running.claim("a").unwrap();
        assert_eq!(running.claim("b").unwrap_err(), "a");
        assert!(!running.stop("b", "user:x"));
        assert!(running.stop("a", "user:x") && running.stop("a", "user:y"));
        let first = Some(StopCause::Person("user:x".to_owned()));
        assert_eq!(*claim.asked.borrow(), first, "the first one counts");
        drop(claim);
        assert_eq!(running.id(), None);
        assert!(running.claim("b").is_ok());
    }
}
