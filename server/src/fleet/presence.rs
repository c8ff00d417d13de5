//! When each agent was last heard, and when it counts as silent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::records::{Records, RecordsError, hosts, server_state};
use crate::time::{Millis, SECOND_MS};

/// Missed collections after which an agent counts as silent, whatever the configured time.
const MISSED_INTERVALS: i64 = 3;

/// When an agent counts as silent, in milliseconds since it was last heard.
#[must_use]
pub fn silence_limit_ms(silent_after_ms: Millis, interval_seconds: u32) -> Millis {
    silent_after_ms.max(MISSED_INTERVALS * i64::from(interval_seconds) * SECOND_MS)
}

/// The time in which this server was down before it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DownTime {
    /// When it noted last that it was alive.
    pub from_ms: Millis,
    /// When it started.
    pub until_ms: Millis,
}

/// Whether an agent is silent. Time in which the server itself was down does not count against the agent, but what was
/// silent before does: a host that died does not count as heard because the server was restarted.
#[must_use]
pub fn is_silent(
    now_ms: Millis,
    last_heard_ms: Millis,
    down: DownTime,
    silent_after_ms: Millis,
    interval_seconds: u32,
) -> bool {
    let unheard = (down.until_ms - down.from_ms.max(last_heard_ms)).max(0);
    now_ms - last_heard_ms - unheard > silence_limit_ms(silent_after_ms, interval_seconds)
}

/// Last signs of life, by host identifier.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    heard: Arc<Mutex<HashMap<String, (Millis, bool)>>>,
    down: DownTime,
}

impl Presence {
    /// Nobody is heard yet; since when is in the records. Blocks.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub fn open(records: &Records, now_ms: Millis) -> Result<Self, RecordsError> {
        let alive = records.transaction(|db| server_state::alive(db))?;
        // Without a note, from a version that made none, the server may have been down all the time.
        let from_ms = alive.unwrap_or(0).min(now_ms);
        Ok(Self { heard: Arc::default(), down: DownTime { from_ms, until_ms: now_ms } })
    }

    /// The time in which this server was down before it started.
    #[must_use]
    pub fn down(&self) -> DownTime {
        self.down
    }

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

    /// Writes down what has changed, and that the server is alive. Blocks.
    ///
    /// # Errors
    /// If the records cannot be written; it is tried again at the next call.
    pub fn write_down(&self, records: &Records, now_ms: Millis) -> Result<(), RecordsError> {
        let changed: Vec<(String, Millis)> = {
            let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.iter().filter(|(_, (_, dirty))| *dirty).map(|(id, (at, _))| (id.clone(), *at)).collect()
        };
        records.transaction(|db| {
            server_state::set_alive(db, now_ms)?;
            changed.iter().try_for_each(|(id, at)| hosts::set_last_seen(db, id, *at))
        })?;
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
        for (now, heard, down, interval, silent) in [
            (60_000, 0, (0, 0), 15, false),
            (60_001, 0, (0, 0), 15, true),
            // Down for all but 20 s of the time.
            (60_001, 0, (10_000, 50_000), 15, false),
            (100_000, 0, (10_000, 50_000), 15, false),
            (100_001, 0, (10_000, 50_000), 15, true),
            // Silent before the server went down: silent at once when it is back.
            (500_000, 0, (60_001, 500_000), 15, true),
            // Heard after the last note, and after the start.
            (500_000, 12_000, (10_000, 500_000), 15, false),
            (560_000, 500_000, (10_000, 490_000), 15, false),
            (560_001, 500_000, (10_000, 490_000), 15, true),
            (900_000, 0, (0, 0), 300, false),
            (900_001, 0, (0, 0), 300, true),
        ] {
            let down = DownTime { from_ms: down.0, until_ms: down.1 };
            assert_eq!(is_silent(now, heard, down, 60_000, interval), silent, "{now} {heard} {down:?}");
        }
    }

    #[test]
    fn a_restarted_server_knows_when_it_was_alive_last() {
        let records = Records::in_memory().unwrap();
        let first = Presence::open(&records, 1_000).unwrap();
        assert_eq!(first.down(), DownTime { from_ms: 0, until_ms: 1_000 });
        first.write_down(&records, 5_000).unwrap();
        let second = Presence::open(&records, 9_000).unwrap();
        assert_eq!(second.down(), DownTime { from_ms: 5_000, until_ms: 9_000 });
    }
}
