//! Tells a host that was copied from one that was started again: both processes go on sending. Pure.
//!
//! A process that ended sends no more, so a run that is heard again after another one is a second agent with the same
//! identity. What was sent before a restart may be under way for a moment.

use crate::time::{Millis, SECOND_MS};

/// Runs that are remembered of a host.
const REMEMBERED: usize = 4;

/// How long a request of a process that ended may be under way.
const UNDER_WAY_MS: Millis = 5 * SECOND_MS;

/// How long after the last sign of a second agent a host counts as copied. Agents send every five minutes at least.
const LASTS_MS: Millis = 15 * 60 * SECOND_MS;

/// What is known of the agents that bear one identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RunWatch {
    /// Runs and when each was first heard after another one, the present one first.
    runs: [Option<(u64, Millis)>; REMEMBERED],
    /// Since when, and when last, two sent in turns.
    twins: Option<(Millis, Millis)>,
}

impl RunWatch {
    /// After a request of a run.
    pub(super) fn after(mut self, run: u64, now_ms: Millis) -> Self {
        if self.runs[0].is_some_and(|(present, _)| present == run) {
            return self;
        }
        let began_ms = self.runs[0].map_or(now_ms, |(_, since_ms)| since_ms);
        let known = self.runs.iter().flatten().any(|(known, _)| *known == run);
        if known && now_ms - began_ms <= UNDER_WAY_MS {
            return self;
        }
        if known {
            let since_ms = self.twins_since_ms(now_ms).unwrap_or(now_ms);
            self.twins = Some((since_ms, now_ms));
        }
        let others = self.runs.into_iter().flatten().filter(|(known, _)| *known != run);
        let mut runs = [None; REMEMBERED];
        for (place, one) in runs.iter_mut().zip(std::iter::once((run, now_ms)).chain(others)) {
            *place = Some(one);
        }
        self.runs = runs;
        self
    }

    /// Since when two agents bear the identity, if they do.
    pub(super) fn twins_since_ms(&self, now_ms: Millis) -> Option<Millis> {
        self.twins.filter(|(_, last_ms)| now_ms - last_ms <= LASTS_MS).map(|(since_ms, _)| since_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(requests: &[(u64, i64)]) -> RunWatch {
        requests.iter().fold(RunWatch::default(), |watch, (run, s)| watch.after(*run, s * SECOND_MS))
    }

    #[test]
    fn an_agent_that_is_started_again_is_no_twin() {
        for requests in [
            &[(1, 0), (1, 15), (2, 20), (2, 35)][..],
            &[(1, 0), (2, 20), (3, 40), (4, 60), (5, 80), (6, 100)],
            // A request from before the restart that was under way.
            &[(1, 0), (2, 20), (1, 21), (2, 22), (2, 60)],
        ] {
            assert_eq!(heard(requests).twins_since_ms(100 * SECOND_MS), None, "{requests:?}");
        }
    }

    #[test]
    fn two_that_send_in_turns_are_twins_until_one_was_gone_for_long() {
        let watch = heard(&[(1, 0), (2, 7), (1, 15), (2, 22), (1, 30)]);
        assert_eq!(watch.twins_since_ms(30 * SECOND_MS), Some(15 * SECOND_MS));
        assert_eq!(watch.twins_since_ms(30 * SECOND_MS + LASTS_MS), Some(15 * SECOND_MS));
        assert_eq!(watch.twins_since_ms(31 * SECOND_MS + LASTS_MS), None);
    }
}
