//! When each agent was last heard, when it counts as silent, what its clock says, and how new its samples are.
//!
//! Times of samples stay those of the host's clock, right or wrong: what a query sees goes by them, so what can be
//! concluded from its answer does as well. Of a host that is further behind than queries look back nothing is concluded.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::{ClockWatch, HostClock};
use super::twins::RunWatch;
use crate::records::{Records, RecordsError, hosts, server_state};
use crate::time::{Millis, SECOND_MS};

/// Missed collections after which an agent counts as silent, whatever the configured time.
const MISSED_INTERVALS: i64 = 3;

/// Collections without new samples after which nothing is concluded from the samples of a host any more.
const LATE_INTERVALS: Millis = 2;
/// What a collection and its way may take beside its interval before samples are late.
const LATE_SLACK_MS: Millis = SECOND_MS;
/// How old the newest sample may be beside that: as far as queries look back by default. The clock of a host may be slow,
/// and what is older no rule sees anyway.
const MAX_AGE_SLACK_MS: Millis = 300 * SECOND_MS;
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

/// The samples of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Samples {
    /// The newest.
    newest_ms: Millis,
    /// When it arrived.
    arrived_ms: Millis,
    /// Since when they come without a gap.
    unbroken_since_ms: Millis,
}

/// Whether anything can be concluded from a host's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// They are new.
    Current {
        /// Since when they come without a gap.
        unbroken_since_ms: Millis,
    },
    /// None came for so long that the host may be silent; or none since this server started.
    Late,
}

impl News {
    /// For what does not depend on samples of a host.
    pub const ALWAYS: Self = Self::Current { unbroken_since_ms: Millis::MIN };
}

#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    heard_ms: Option<Millis>,
    /// Whether `heard_ms` is to be written down.
    dirty: bool,
    clock: Option<ClockWatch>,
    runs: RunWatch,
    samples: Option<Samples>,
}

/// Last signs of life, by host identifier.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    heard: Arc<Mutex<HashMap<String, Entry>>>,
    down: DownTime,
}

impl Samples {
    /// After a request whose samples lie between two times of the server's clock. `gap_ms` without a sample is a gap.
    fn after(
        before: Option<Self>,
        times: (Millis, Millis),
        down: DownTime,
        now_ms: Millis,
        gap_ms: Millis,
    ) -> Self {
        // A clock that was set back may leave times that were not yet.
        let (oldest_ms, newest_ms) = (times.0.min(now_ms), times.1.min(now_ms));
        let (last_ms, since_ms) = match before {
            Some(before) if newest_ms <= before.newest_ms => return before,
            Some(before) => (before.newest_ms, before.unbroken_since_ms),
            // What came before this server started is known to have come until it went down.
            None => (down.from_ms, Millis::MIN),
        };
        let unbroken_since_ms = if oldest_ms - last_ms > gap_ms { oldest_ms } else { since_ms };
        Self { newest_ms, arrived_ms: now_ms, unbroken_since_ms }
    }
}

/// What the samples of a host allow to conclude.
fn news(samples: Option<Samples>, now_ms: Millis, interval_seconds: u32) -> News {
    let patience_ms = LATE_INTERVALS * i64::from(interval_seconds) * SECOND_MS;
    match samples {
        Some(samples)
            if now_ms - samples.arrived_ms <= patience_ms + LATE_SLACK_MS
                && now_ms - samples.newest_ms <= patience_ms + MAX_AGE_SLACK_MS =>
        {
            News::Current { unbroken_since_ms: samples.unbroken_since_ms }
        }
        _ => News::Late,
    }
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

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a sign of life.
    pub fn note(&self, host_id: &str, now_ms: Millis) {
        let mut entries = self.entries();
        let entry = entries.entry(host_id.to_owned()).or_default();
        (entry.heard_ms, entry.dirty) = (Some(now_ms), true);
    }

    /// Notes what a host's clock said when it sent a request. It may differ from the server's by `allowed_ms`.
    pub fn note_clock(&self, host_id: &str, host_ms: Millis, now_ms: Millis, allowed_ms: Millis) {
        let mut entries = self.entries();
        let entry = entries.entry(host_id.to_owned()).or_default();
        entry.clock = Some(ClockWatch::after(entry.clock, host_ms, now_ms, allowed_ms));
    }

    /// A host's clock beside the server's; `None` before this process had a request of the host that bears its time.
    #[must_use]
    pub fn clock(&self, host_id: &str) -> Option<HostClock> {
        self.entries().get(host_id).and_then(|entry| entry.clock).map(|watch| watch.clock())
    }

    /// Notes which process of a host's agent sent a request.
    pub fn note_run(&self, host_id: &str, run: u64, now_ms: Millis) {
        let mut entries = self.entries();
        let entry = entries.entry(host_id.to_owned()).or_default();
        entry.runs = entry.runs.after(run, now_ms);
    }

    /// Since when two agents send with the identity of a host, if they do.
    #[must_use]
    pub fn twins_since_ms(&self, host_id: &str, now_ms: Millis) -> Option<Millis> {
        self.entries().get(host_id).and_then(|entry| entry.runs.twins_since_ms(now_ms))
    }

    /// Where samples come again after a gap, if a request with these times is the first after one.
    #[must_use]
    pub fn gap_end(
        &self,
        host_id: &str,
        times: (Millis, Millis),
        now_ms: Millis,
        gap_ms: Millis,
    ) -> Option<Millis> {
        let before = self.entries().get(host_id).and_then(|entry| entry.samples);
        let known_ms = before.map_or(Millis::MIN, |samples| samples.unbroken_since_ms);
        let since_ms = Samples::after(before, times, self.down, now_ms, gap_ms).unbroken_since_ms;
        (since_ms != known_ms).then_some(since_ms)
    }

    /// Notes the times of the oldest and the newest sample of a request that was stored.
    pub fn note_samples(&self, host_id: &str, times: (Millis, Millis), now_ms: Millis, gap_ms: Millis) {
        let mut entries = self.entries();
        let entry = entries.entry(host_id.to_owned()).or_default();
        entry.samples = Some(Samples::after(entry.samples, times, self.down, now_ms, gap_ms));
    }

    /// What can be concluded from a host's samples now.
    #[must_use]
    pub fn news(&self, host: &hosts::Host, now_ms: Millis) -> News {
        let samples = self.entries().get(&host.id).and_then(|entry| entry.samples);
        news(samples, now_ms, host.interval_seconds)
    }

    /// How old the newest sample of something on a host may be that is told as its present state.
    #[must_use]
    pub fn sample_patience_ms(&self, host: &hosts::Host, now_ms: Millis) -> Millis {
        let slack_ms = match self.news(host, now_ms) {
            News::Current { .. } => MAX_AGE_SLACK_MS,
            News::Late => LATE_SLACK_MS,
        };
        LATE_INTERVALS * i64::from(host.interval_seconds) * SECOND_MS + slack_ms
    }

    /// When a host was last heard: by this process, else as recorded, else when it enrolled.
    #[must_use]
    pub fn last_heard(&self, host: &hosts::Host) -> Millis {
        let recorded = host.last_seen_ms.unwrap_or(host.enrolled_at_ms);
        let heard = self.entries().get(&host.id).and_then(|entry| entry.heard_ms);
        heard.map_or(recorded, |at| recorded.max(at))
    }

    /// Writes down what has changed, and that the server is alive. Blocks.
    ///
    /// # Errors
    /// If the records cannot be written; it is tried again at the next call.
    pub fn write_down(&self, records: &Records, now_ms: Millis) -> Result<(), RecordsError> {
        let changed: Vec<(String, Millis)> = {
            let entries = self.entries();
            let dirty = entries.iter().filter(|(_, entry)| entry.dirty);
            dirty.filter_map(|(id, entry)| Some((id.clone(), entry.heard_ms?))).collect()
        };
        records.transaction(|db| {
            server_state::set_alive(db, now_ms)?;
            changed.iter().try_for_each(|(id, at)| hosts::set_last_seen(db, id, *at))
        })?;
        let mut entries = self.entries();
        for (id, at) in changed {
            if let Some(entry) = entries.get_mut(&id).filter(|entry| entry.heard_ms == Some(at)) {
                entry.dirty = false;
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

    #[test]
    fn samples_are_news_while_they_come_and_a_gap_is_remembered() {
        let presence = Presence { down: DownTime { from_ms: 0, until_ms: 0 }, ..Presence::default() };
        let s = |seconds: i64| seconds * 1_000;
        let news = |now| super::news(presence.entries().get("h").and_then(|entry| entry.samples), s(now), 15);
        let current = |since| News::Current { unbroken_since_ms: since };
        let put = |oldest, newest, now| presence.note_samples("h", (s(oldest), s(newest)), s(now), s(60));
        assert_eq!(news(10), News::Late, "nothing came since the start");
        put(0, 15, 16);
        assert_eq!((news(16), news(47), news(48)), (current(Millis::MIN), current(Millis::MIN), News::Late));
        put(30, 60, 61);
        assert_eq!(news(61), current(Millis::MIN), "what had waited fills the gap");
        put(40, 50, 100);
        assert_eq!(news(100), News::Late, "samples that are late themselves are no news");
        put(61, 75, 500);
        assert_eq!(presence.gap_end("h", (s(500), s(500)), s(501), s(60)), Some(s(500)));
        assert_eq!(presence.gap_end("h", (s(76), s(500)), s(501), s(60)), None, "what had waited is no gap");
        assert_eq!(news(500), News::Late, "old samples of an agent that is back are none");
        put(500, 500, 501);
        assert_eq!(news(501), current(s(500)), "425 s without a sample are a gap");
        put(515, 515, 700);
        assert_eq!(news(700), current(s(500)), "a clock that is minutes slow hides nothing");
    }
}
