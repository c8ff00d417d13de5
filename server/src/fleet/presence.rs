//! When each agent was last heard, and when it counts as silent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::records::{Records, RecordsError, hosts};
use crate::time::{Millis, SECOND_MS};

/// Missed collections after which an agent counts as silent, whatever the configured time.
const MISSED_INTERVALS: i64 = 3;

/// When an agent counts as silent, in milliseconds since it was last heard.
#[must_use]
pub fn silence_limit_ms(silent_after_ms: Millis, interval_seconds: u32) -> Millis {
    silent_after_ms.max(MISSED_INTERVALS * i64::from(interval_seconds) * SECOND_MS)
}

/// Whether an agent is silent. Time in which the server itself was down does not count against the agent.
#[must_use]
pub fn is_silent(
    now_ms: Millis,
    last_heard_ms: Millis,
    server_started_ms: Millis,
    silent_after_ms: Millis,
    interval_seconds: u32,
) -> bool {
    now_ms - last_heard_ms.max(server_started_ms) > silence_limit_ms(silent_after_ms, interval_seconds)
}

/// Last signs of life, by host identifier.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    heard: Arc<Mutex<HashMap<String, (Millis, bool)>>>,
}

impl Presence {
    /// Notes a sign of life.
    pub fn note(&self, host_id: &str, now_ms: Millis) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        match heard.get_mut(host_id) {
            Some(entry) => *entry = (now_ms, true),
            None => {
                heard.insert(host_id.to_owned(), (now_ms, true));
            }
        }
    }

    /// When a host was last heard: by this process, else as recorded, else when it enrolled.
    #[must_use]
    pub fn last_heard(&self, host: &hosts::Host) -> Millis {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let recorded = host.last_seen_ms.unwrap_or(host.enrolled_at_ms);
        heard.get(&host.id).map_or(recorded, |(at, _)| recorded.max(*at))
    }

    /// Writes down what has changed. Blocks.
    ///
    /// # Errors
    /// If the records cannot be written; it is tried again at the next call.
    pub fn write_down(&self, records: &Records) -> Result<(), RecordsError> {
        let changed: Vec<(String, Millis)> = {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.iter().filter(|(_, (_, dirty))| *dirty).map(|(id, (at, _))| (id.clone(), *at)).collect()
        };
        if changed.is_empty() {
            return Ok(());
        }
        records
            .transaction(|db| changed.iter().try_for_each(|(id, at)| hosts::set_last_seen(db, id, *at)))?;
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, at) in changed {
            if let Some(entry) = heard.get_mut(&id).filter(|entry| entry.0 == at) {
                entry.1 = false;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_silent_after_the_limit_but_not_because_the_server_was_down() {
        for (now, heard, started, interval, silent) in [
            (60_000, 0, 0, 15, false),
            (60_001, 0, 0, 15, true),
            (60_001, 0, 50_000, 15, false),
            (900_000, 0, 0, 300, false),
            (900_001, 0, 0, 300, true),
        ] {
            assert_eq!(is_silent(now, heard, started, 60_000, interval), silent, "{now} {heard} {started}");
        }
    }
}
