//! History of a server: which moments, and the values at each, a column for each series.

use siaga_protocol::remote_write::{Label, Sample, TimeSeries, WriteRequest};

use super::calendar::{DAY_MS, MINUTE_MS};
use super::host::Host;
use super::series::{Series, series, up_labels};

/// How history gets coarser with age: from so long before its end on, a sample every so often (both milliseconds).
/// The last minutes are as dense as what is live, so that rates across the seam are right; the last week is fine enough
/// for `rate(...[5m])`, the last month for a lookback of 5 minutes at any step.
const STEPS: [(i64, i64); 4] = [
    (i64::MAX, 15 * MINUTE_MS),
    (35 * DAY_MS, 5 * MINUTE_MS),
    (8 * DAY_MS, MINUTE_MS),
    (12 * MINUTE_MS, MINUTE_MS / 4),
];

/// Most days of history.
pub const MAX_DAYS: u32 = 1_100;

/// The moments of history from `from_ms` to before `until_ms`: multiples of each step, so that queries at round times
/// meet samples.
#[must_use]
pub fn moments(from_ms: i64, until_ms: i64) -> Vec<i64> {
    let mut moments = Vec::new();
    for (place, (age, step)) in STEPS.into_iter().enumerate() {
        let begin = from_ms.max(until_ms.saturating_sub(age));
        let end = STEPS.get(place + 1).map_or(until_ms, |(age, _)| until_ms - age);
        let first = begin.div_euclid(step) + i64::from(begin.rem_euclid(step) != 0);
        moments.extend((first..).map(|n| n * step).take_while(|at| *at < end));
    }
    moments.dedup();
    moments
}

/// The history of one server.
#[derive(Debug, Clone)]
pub struct History {
    /// Moments at which the server was up.
    pub times: Vec<i64>,
    /// Series with a value for each of these moments.
    pub columns: Vec<(Series, Vec<f64>)>,
    /// Whether the server was up, also at the moments at which it was not.
    pub up: Up,
}

/// The series `up` of a server.
#[derive(Debug, Clone)]
pub struct Up {
    /// Its labels.
    pub labels: Vec<(String, String)>,
    /// Moments and values.
    pub samples: Vec<(i64, f64)>,
}

/// Makes the history of a server at `moments`, which must be in order.
#[must_use]
pub fn history(mut host: Host, instance: &str, moments: &[i64]) -> History {
    let list = series(&host.machine, instance).into_iter().filter(|series| series.history);
    let mut columns: Vec<(Series, Vec<f64>)> =
        list.map(|series| (series, Vec::with_capacity(moments.len()))).collect();
    let mut times = Vec::with_capacity(moments.len());
    let mut up = Vec::with_capacity(moments.len());
    for &at in moments {
        let snapshot = host.at(at);
        up.push((at, f64::from(u8::from(snapshot.is_some()))));
        if let Some(snapshot) = snapshot {
            times.push(at);
            for (series, values) in &mut columns {
                values.push(series.value(&snapshot));
            }
        }
    }
    History { times, columns, up: Up { labels: up_labels(instance), samples: up } }
}

impl History {
    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.times.len() * self.columns.len() + self.up.samples.len()
    }

    /// Requests of at most about `max_samples` samples: a span of time with all series, one series after the other.
    pub fn requests(&self, max_samples: usize) -> impl Iterator<Item = WriteRequest> + '_ {
        let rows = (max_samples / (self.columns.len() + 1)).max(1);
        let up = self.up.samples.chunks(rows).map(|samples| {
            let samples = samples.iter().map(|&(timestamp, value)| Sample { value, timestamp }).collect();
            WriteRequest {
                timeseries: vec![TimeSeries { labels: wire(&self.up.labels), samples }],
                metadata: vec![],
            }
        });
        let spans = (0..self.times.len()).step_by(rows).map(move |first| {
            let span = first..(first + rows).min(self.times.len());
            let timeseries = self.columns.iter().map(|(series, values)| TimeSeries {
                labels: series.wire_labels(),
                samples: self.times[span.clone()]
                    .iter()
                    .zip(&values[span.clone()])
                    .map(|(&timestamp, &value)| Sample { value, timestamp })
                    .collect(),
            });
            WriteRequest { timeseries: timeseries.collect(), metadata: vec![] }
        });
        spans.chain(up)
    }
}

fn wire(labels: &[(String, String)]) -> Vec<Label> {
    labels.iter().map(|(name, value)| Label { name: name.clone(), value: value.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cast;

    const ANCHOR: i64 = 1_795_399_255_123;

    fn of(seed: u64, days: i64) -> History {
        let from = ANCHOR - days * DAY_MS;
        let machine = cast::office(1).swap_remove(0);
        history(Host::new(machine, seed, from, ANCHOR), "x", &moments(from, ANCHOR))
    }

    #[test]
    fn moments_get_finer_towards_the_end_and_lie_on_round_times() {
        let moments = moments(ANCHOR - 120 * DAY_MS, ANCHOR);
        assert!(moments.is_sorted_by(|a, b| a < b));
        assert!(moments.iter().all(|at| at % (MINUTE_MS / 4) == 0));
        assert!((27_300..27_600).contains(&moments.len()), "{}", moments.len());
        assert!(ANCHOR - moments.last().unwrap() <= MINUTE_MS / 4);
        assert_eq!(moments[1] - moments[0], 15 * MINUTE_MS);
    }

    #[test]
    fn the_same_seed_gives_the_same_history_and_another_seed_another() {
        let (a, b, c) = (of(1, 2), of(1, 2), of(2, 2));
        assert_eq!((&a.times, &a.columns), (&b.times, &b.columns));
        assert_ne!(a.columns, c.columns);
    }

    #[test]
    fn a_restart_in_the_history_is_a_gap_in_which_the_server_is_not_up() {
        let history = of(1, 40);
        assert!(history.times.len() < history.up.samples.len());
        assert!(history.up.samples.iter().any(|(_, value)| *value == 0.0));
    }

    #[test]
    fn requests_carry_every_sample_once() {
        let history = of(1, 3);
        let requests: Vec<_> = history.requests(20_000).collect();
        let count =
            |request: &WriteRequest| request.timeseries.iter().map(|s| s.samples.len()).sum::<usize>();
        assert_eq!(requests.iter().map(count).sum::<usize>(), history.samples());
        assert!(requests.iter().all(|request| count(request) <= 20_000));
    }
}
