//! From series to a date, through a source that knows the queries and makes the answers up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::capacity::{Crossing, Reading, ResourceKind};
use crate::metrics::QueryError;
use crate::records::Records;
use crate::time::{DAY_MS, HOUR_MS};

const SIZE: f64 = 100e9;

/// A host whose disk `/data` grows by one percent of its size a day from 20 percent on, since `born_ms`.
struct GrowingDisk {
    born_ms: Millis,
    now_ms: Millis,
    hours_asked: AtomicI64,
}

impl GrowingDisk {
    fn used(&self, at_ms: Millis) -> f64 {
        SIZE * (0.2 + (at_ms - self.born_ms) as f64 / DAY_MS as f64 / 100.0)
    }

    fn value(&self, query: &str, at_ms: Millis) -> Option<f64> {
        assert!(query.contains("instance=\"db\""), "{query}");
        let born = at_ms > self.born_ms;
        if query.contains("node_filesystem_files") || query.contains("quota_") {
            return None;
        }
        if query.contains("ts_of_last") {
            return born.then_some(at_ms as f64 / 1_000.0);
        }
        if query.contains("count_over_time") && !query.contains("cpu") {
            return born.then_some(2.0);
        }
        if query.contains("node_filesystem") {
            let answer = if query.contains("unless") { SIZE } else { self.used(at_ms) };
            born.then_some(answer)
        } else if query.contains("node_memory") {
            born.then_some(if query.starts_with("last_over_time") { 8e9 } else { 40.0 })
        } else {
            None
        }
    }

    fn reading(&self, query: &str, times: impl Iterator<Item = Millis>) -> Vec<Reading> {
        let labels =
            [("instance", "db"), ("mountpoint", "/data"), ("device", "/dev/sdb"), ("fstype", "ext4")];
        let labels: BTreeMap<String, String> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let points: Vec<_> = times.filter_map(|at| Some((at, self.value(query, at)?))).collect();
        if points.is_empty() { Vec::new() } else { vec![Reading { labels, points }] }
    }
}

impl SeriesSource for GrowingDisk {
    async fn instant(&self, query: &str, at_ms: Millis) -> Result<Vec<Reading>, QueryError> {
        assert_eq!(at_ms, self.now_ms);
        Ok(self.reading(query, std::iter::once(at_ms)))
    }

    async fn hourly(
        &self,
        query: &str,
        start_ms: Millis,
        end_ms: Millis,
    ) -> Result<Vec<Reading>, QueryError> {
        assert_eq!((start_ms % HOUR_MS, end_ms % HOUR_MS), (0, 0), "whole hours");
        assert!(end_ms <= self.now_ms, "the running hour is not asked for");
        let hours = (end_ms - start_ms) / HOUR_MS;
        self.hours_asked.fetch_add(hours + 1, Ordering::Relaxed);
        Ok(self.reading(query, (0..=hours).map(|hour| start_ms + hour * HOUR_MS)))
    }
}

async fn evaluated(source: &GrowingDisk, cache: &HistoryCache) -> Vec<Evaluation> {
    let config = Capacity::default();
    let now_ms = source.now_ms;
    let hearing = crate::capacity::Hearing { last_heard_ms: now_ms, patience_ms: 60_000 };
    let reader = Reader { config: &config, cache, late_ms: 26 * HOUR_MS, hearing, now_ms };
    let all = evaluate_host(source, "db", reader, &BTreeMap::new()).await.unwrap();
    all.into_iter().map(|(evaluation, _)| evaluation).collect()
}

#[tokio::test]
async fn a_growing_disk_gets_its_date_and_then_its_signal() {
    // After 60 days it stands at 80 percent; the 90 percent are 10 days away.
    let born_ms = 20_000 * DAY_MS;
    let full_at = born_ms + 70 * DAY_MS;
    let records = Records::in_memory().unwrap();
    let rule = signal_rule(&Capacity::default());
    let (mut signals, mut asked) = (Vec::new(), Vec::new());
    let cache = HistoryCache::default();
    for hour in 0..3 {
        let now_ms = born_ms + 60 * DAY_MS + hour * HOUR_MS + 600_000;
        let source = GrowingDisk { born_ms, now_ms, hours_asked: AtomicI64::new(0) };
        let all = evaluated(&source, &cache).await;
        asked.push(source.hours_asked.into_inner());
        assert_eq!(all[0].known_hours, 60 * 24 + u32::try_from(hour).unwrap());
        let disk = &all[0];
        assert_eq!((disk.key.kind, disk.key.item.as_str()), (ResourceKind::Filesystem, "/data"));
        assert!((disk.current_percent.unwrap() - 80.0).abs() < 0.2);
        let made = disk.outcome.as_ref().unwrap();
        let Crossing::Within { likely_ms: Some(likely), .. } = made.crossing else {
            panic!("{:?}", made.crossing)
        };
        assert!((likely - full_at).abs() < DAY_MS, "{} h off", (likely - full_at) / HOUR_MS);
        assert_eq!(disk.state, State::Warning);
        let since = records
            .transaction(|db| {
                let known = forecasts::one(db, &disk.key)?.map(|(latest, _)| latest.memory);
                let memory = advance(known.unwrap_or_default(), disk, &rule);
                forecasts::store(db, disk, None, memory)?;
                Ok::<_, RecordsError>(memory.since_ms)
            })
            .unwrap();
        signals.push(since.is_some());
    }
    assert_eq!(signals, [false, false, true]);
    assert!(asked[0] > 2 * 24 * 100 && asked[1] < 2 * 40, "{asked:?} hours were read");
}

#[tokio::test]
async fn a_fresh_machine_lists_what_it_has_with_the_reason() {
    let born_ms = 20_000 * DAY_MS;
    let now_ms = born_ms + 3 * HOUR_MS + 60_000;
    let source = GrowingDisk { born_ms, now_ms, hours_asked: AtomicI64::new(0) };
    let all = evaluated(&source, &HistoryCache::default()).await;
    let seen: Vec<_> = all.iter().map(|e| (e.key.kind, e.known_hours, e.outcome.is_err())).collect();
    assert_eq!(seen, [(ResourceKind::Filesystem, 3, true), (ResourceKind::Memory, 3, true)]);
    assert!(all.iter().all(|e| e.current_percent.is_some() && e.state == State::Unknown));
    let reason = all[0].outcome.as_ref().unwrap_err();
    assert_eq!((reason.code.as_str(), reason.have), ("too_short", Some(3)));
}
