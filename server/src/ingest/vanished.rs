//! Ends the series of a host that did not come again after a gap. An agent marks what vanishes itself, but not what
//! vanished while it did not run: queries would see the last sample for as long as they look back, and an alert could
//! fire on it.

use std::collections::BTreeSet;

use siaga_promql::{is_stale_nan, stale_nan};
use siaga_protocol::metric_names::JOB;
use siaga_tsdb::{AppendError, Batch, Columns, Limits, MatchOp, Matcher, SelectError, SeriesSamples, Tsdb};

use super::convert::is_reserved;
use crate::time::Millis;

/// Samples that are read at most to find what was there before a gap; 20 of each series that an agent may have.
const MAX_SAMPLES: usize = 400_000;

/// Why the series could not be ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum VanishedError {
    #[error("cannot ask for series by the instance")]
    Matcher(#[from] siaga_tsdb::MatcherError),
    #[error("cannot read what was there before the gap")]
    Read(#[from] SelectError),
    #[error("cannot write the ends")]
    Write(#[from] AppendError),
}

/// The end of a gap.
pub(super) struct GapEnd<'a> {
    /// Whose samples come again.
    pub(super) instance: &'a str,
    /// The first request after the gap: agents send collections whole, or the rest at once, so what does not come is no more.
    pub(super) came: &'a Columns<'a>,
    /// When its oldest sample was taken.
    pub(super) at_ms: Millis,
    /// How far queries look back.
    pub(super) lookback_ms: Millis,
    /// Series that may match.
    pub(super) max_series: usize,
}

/// Writes the stale marker for each series of the agent that was seen shortly before the gap and did not come again;
/// gives how many. Series of the server itself about the host go on.
pub(super) fn end_vanished(
    store: &Tsdb,
    gap: &GapEnd<'_>,
    recorded: &BTreeSet<String>,
    now_ms: Millis,
) -> Result<usize, VanishedError> {
    let matchers =
        [Matcher::new("instance", MatchOp::Equal, gap.instance)?, Matcher::new("job", MatchOp::Equal, JOB)?];
    let limits = Limits { max_series: gap.max_series, max_samples: MAX_SAMPLES };
    let before = store.select(&matchers, gap.at_ms - gap.lookback_ms, gap.at_ms - 1, limits)?;
    let came: BTreeSet<&[(&str, &str)]> = gap.came.iter().map(|(labels, _)| labels).collect();
    // Just before the first sample: a collection may be cut in two requests, and what comes in the second goes on.
    let end_ms = gap.at_ms - 1;
    let series: Vec<SeriesSamples> = before
        .into_iter()
        .filter(|series| {
            let labels: Vec<(&str, &str)> = series.labels.iter().collect();
            let ended = series.values.last().is_none_or(|value| is_stale_nan(*value));
            !ended && !came.contains(labels.as_slice()) && !is_reserved(series.labels.metric(), recorded)
        })
        .map(|series| SeriesSamples { labels: series.labels, samples: vec![(end_ms, stale_nan())] })
        .collect();
    let ended = series.len();
    if ended > 0 {
        store.append(Batch { source: gap.instance, series }, now_ms)?;
    }
    Ok(ended)
}

#[cfg(test)]
mod tests {
    use siaga_tsdb::{Labels, Options};

    use super::*;

    const NOW_MS: Millis = 1_795_503_600_000;

    fn pairs<'a>(name: &'a str, job: &'a str) -> [(&'a str, &'a str); 3] {
        [("__name__", name), ("instance", "web"), ("job", job)]
    }

    #[test]
    fn only_series_of_the_agent_that_were_there_before_and_did_not_come_again_end() {
        let folder = tempfile::tempdir().unwrap();
        let store = Tsdb::open(Options::new(folder.path().join("store.db"))).unwrap();
        let put = |name, job, at_ms, value| {
            let labels = Labels::from_pairs(pairs(name, job)).unwrap();
            let series = vec![SeriesSamples { labels, samples: vec![(at_ms, value)] }];
            store.append(Batch { source: "web", series }, NOW_MS).unwrap();
        };
        let before_ms = NOW_MS - 120_000;
        put("node_load1", JOB, before_ms, 1.0);
        put("node_filesystem_avail_bytes", JOB, before_ms, 1.0);
        put("node_ended", JOB, before_ms, stale_nan());
        put("node_long_gone", JOB, NOW_MS - 301_000, 1.0);
        put("pg_up", "postgres", before_ms, 1.0);
        put("up", JOB, before_ms, 1.0);
        let mut came = Columns::default();
        pairs("node_load1", JOB).into_iter().for_each(|(name, value)| came.push_label(name, value));
        came.push_sample(NOW_MS, 1.0);
        came.end_series().unwrap();
        let gap =
            GapEnd { instance: "web", came: &came, at_ms: NOW_MS, lookback_ms: 300_000, max_series: 100 };
        assert_eq!(end_vanished(&store, &gap, &BTreeSet::new(), NOW_MS).unwrap(), 1);
        let found = store
            .select(
                &[Matcher::new("instance", MatchOp::Equal, "web").unwrap()],
                NOW_MS - 1,
                NOW_MS - 1,
                Limits { max_series: 100, max_samples: 100 },
            )
            .unwrap();
        let ends: Vec<_> =
            found.iter().map(|s| (s.labels.metric(), s.values.iter().all(|v| is_stale_nan(*v)))).collect();
        assert_eq!(ends, [("node_filesystem_avail_bytes", true)]);
    }
}
