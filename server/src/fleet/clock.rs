//! How far a host's clock is from the server's, from the times that its requests bear. Pure.
//!
//! Invariant: nothing that delays single requests makes a right clock look wrong. A request that was under way for long
//! looks like a slow clock; so the difference is the one nearest to zero of the last few, and a clock is wrong only
//! after these few, and all others for as long as the difference that is allowed, were beyond it.

use crate::time::{Millis, SECOND_MS};

/// Requests of which the difference nearest to zero counts.
const RECENT: usize = 4;
/// A difference that moves by less is the same: the times are whole seconds.
const RESOLUTION_MS: Millis = SECOND_MS;
/// Largest difference that is kept, about a century; a request may say anything.
const MAX_DIFFERENCE_MS: Millis = 100 * 365 * 86_400 * SECOND_MS;

/// Whether a clock is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It differs by no more than is allowed.
    Right,
    /// The last requests were beyond that, but too few or for too short a time.
    Doubtful,
    /// It differs by more.
    Wrong,
}

/// The clock of a host beside the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostClock {
    /// The host's minus the server's, milliseconds, to about a second.
    pub difference_ms: Millis,
    /// Since when every request was beyond what is allowed; while none is, the time of the last request.
    pub since_ms: Millis,
    /// Whether it is right.
    pub verdict: Verdict,
}

/// Requests beyond what is allowed, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    since_ms: Millis,
    requests: usize,
}

/// What is remembered of the requests of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockWatch {
    /// Differences of the last requests, the newest first.
    recent: [Millis; RECENT],
    run: Option<Run>,
    clock: HostClock,
}

impl ClockWatch {
    /// After a request that was sent at `host_ms` by the host's clock and came at `now_ms` by the server's.
    pub(super) fn after(before: Option<Self>, host_ms: Millis, now_ms: Millis, allowed_ms: Millis) -> Self {
        let found = host_ms.saturating_sub(now_ms).clamp(-MAX_DIFFERENCE_MS, MAX_DIFFERENCE_MS);
        let mut recent = before.map_or([found; RECENT], |before| before.recent);
        recent.rotate_right(1);
        recent[0] = found;
        let is_beyond = |difference: Millis| difference.abs() > allowed_ms;
        let run = is_beyond(found).then(|| {
            let run = before.and_then(|before| before.run).unwrap_or(Run { since_ms: now_ms, requests: 0 });
            Run { requests: run.requests.saturating_add(1), ..run }
        });
        let nearest = recent.into_iter().min_by_key(|difference| difference.abs()).unwrap_or(found);
        let told = before.map(|before| before.clock.difference_ms);
        let difference_ms = told
            .filter(|told| (told - nearest).abs() <= RESOLUTION_MS && is_beyond(*told) == is_beyond(nearest))
            .unwrap_or(nearest);
        let verdict = match run {
            None => Verdict::Right,
            Some(run) if run.requests >= RECENT && now_ms - run.since_ms >= allowed_ms => Verdict::Wrong,
            Some(_) => Verdict::Doubtful,
        };
        let since_ms = run.map_or(now_ms, |run| run.since_ms);
        Self { recent, run, clock: HostClock { difference_ms, since_ms, verdict } }
    }

    /// The clock, as far as is known.
    pub(super) fn clock(&self) -> HostClock {
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED_MS: Millis = 60_000;

    /// The clock after requests at these seconds, with a clock that differs by these.
    fn after(requests: &[(i64, i64)]) -> HostClock {
        let watch = requests.iter().fold(None, |before, &(at, difference)| {
            Some(ClockWatch::after(before, (at + difference) * 1_000, at * 1_000, ALLOWED_MS))
        });
        watch.unwrap().clock()
    }

    #[test]
    fn a_clock_is_wrong_when_all_requests_of_a_minute_say_so() {
        for (requests, verdict, difference) in [
            (&[(0, 0)][..], Verdict::Right, 0),
            (&[(0, -86_400), (15, -86_400), (30, -86_400), (45, -86_400)], Verdict::Doubtful, -86_400),
            (&[(0, -86_400), (15, -86_400), (60, -86_400)], Verdict::Doubtful, -86_400),
            (&[(0, -86_400), (15, -86_400), (30, -86_400), (60, -86_400)], Verdict::Wrong, -86_400),
            (&[(0, 61), (15, 61), (30, 61), (60, 61)], Verdict::Wrong, 61),
            (&[(0, 60), (15, 60), (30, 60), (60, 60)], Verdict::Right, 60),
            // Set right: known with the first request.
            (&[(0, 90), (15, 90), (30, 90), (60, 90), (61, 0)], Verdict::Right, 0),
        ] {
            let clock = after(requests);
            assert_eq!((clock.verdict, clock.difference_ms), (verdict, difference * 1_000), "{requests:?}");
        }
    }

    #[test]
    fn requests_that_were_under_way_for_long_make_no_wrong_clock() {
        let slow = after(&[(0, 0), (15, -90), (30, 0), (45, -90), (60, -90), (150, -90)]);
        assert_eq!((slow.verdict, slow.difference_ms, slow.since_ms), (Verdict::Doubtful, 0, 45_000));
        // Many that waited together come together.
        let burst = after(&[(0, 0), (90, -90), (90, -89), (90, -88), (90, -87), (91, -86), (92, 0)]);
        assert_eq!((burst.verdict, burst.difference_ms), (Verdict::Right, 0));
    }

    #[test]
    fn a_wrong_clock_is_told_since_its_first_request_and_by_a_steady_difference() {
        let clock = after(&[(0, 0), (15, 3_600), (30, 3_601), (45, 3_600), (80, 3_601), (95, 3_600)]);
        assert_eq!(clock.since_ms, 15_000);
        assert_eq!((clock.verdict, clock.difference_ms), (Verdict::Wrong, 3_600_000));
        let drifted = after(&[(0, 100), (15, 100), (30, 100), (60, 104), (75, 104), (90, 104), (105, 104)]);
        assert_eq!(drifted.difference_ms, 104_000);
    }

    #[test]
    fn a_time_that_cannot_be_overflows_nothing() {
        let watch = ClockWatch::after(None, Millis::MIN, 1_000, ALLOWED_MS);
        assert_eq!(watch.clock().difference_ms, -MAX_DIFFERENCE_MS);
        let watch = ClockWatch::after(Some(watch), Millis::MAX, 2_000, ALLOWED_MS);
        assert_eq!(watch.clock().difference_ms.abs(), MAX_DIFFERENCE_MS);
    }
}
