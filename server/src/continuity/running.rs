//! Which drill runs now, and the button that stops it. One drill at a time.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

#[derive(Debug)]
struct Current {
    drill_id: String,
    stop: watch::Sender<Option<String>>,
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
        self.with(|current| match current {
            Some(current) if current.drill_id == drill_id => {
                current.stop.send_modify(|asked| {
                    asked.get_or_insert_with(|| who.to_owned());
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
                *current = Some(Current { drill_id: drill_id.to_owned(), stop });
                Ok(Claim { place: self.clone(), asked })
            }
        })
    }
}

/// The place of the running drill; free again when dropped.
#[derive(Debug)]
pub(super) struct Claim {
    place: RunningDrill,
    /// Who asked for the end.
    pub(super) asked: watch::Receiver<Option<String>>,
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
        assert_eq!(claim.asked.borrow().as_deref(), Some("user:x"), "the first one counts");
        drop(claim);
        assert_eq!(running.id(), None);
        assert!(running.claim("b").is_ok());
    }
}
