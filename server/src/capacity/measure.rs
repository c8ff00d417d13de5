//! Reads what a host's resources were and are, through a source of series that a test can stand in for.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use siaga_forecast::{Aggregate, HourlySeries};
use siaga_promql::Value;

use super::evaluation::Subject;
use super::history_cache::{HistoryCache, Hours};
use super::resource::{ListedFilesystem, Queries, ResourceKey, ResourceKind, choose_filesystems, queries};
use super::usage::{self, Hearing, Standing, Usage};
use crate::config::Capacity;
use crate::metrics::{Metrics, QueryError};
use crate::time::{HOUR_MS, Millis, millis};

/// Longest stretch of raw samples that one query reads, so that the bounds of queries hold for long histories too.
const CHUNK_HOURS: i64 = 10 * 24;

/// Labels and points of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Time and value, ascending.
    pub points: Vec<(Millis, f64)>,
}

/// Answers PromQL.
pub trait SeriesSource: Sync {
    /// Values at one time.
    ///
    /// # Errors
    /// What is wrong with the query or the source.
    fn instant(
        &self,
        query: &str,
        at_ms: Millis,
    ) -> impl Future<Output = Result<Vec<Reading>, QueryError>> + Send;

    /// Values at every hour from start to end.
    ///
    /// # Errors
    /// What is wrong with the query or the source.
    fn hourly(
        &self,
        query: &str,
        start_ms: Millis,
        end_ms: Millis,
    ) -> impl Future<Output = Result<Vec<Reading>, QueryError>> + Send;
}

fn readings(value: Value) -> Vec<Reading> {
    let own = |labels: &siaga_promql::Labels| {
        labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    match value {
        Value::Vector(samples) => samples
            .iter()
            .map(|sample| Reading { labels: own(&sample.labels), points: vec![(sample.t_ms, sample.value)] })
            .collect(),
        Value::Matrix(series) => {
            series.into_iter().map(|one| Reading { labels: own(&one.labels), points: one.points }).collect()
        }
        // No query of this part gives a plain number or a text.
        Value::Scalar { .. } | Value::String { .. } => Vec::new(),
    }
}

impl SeriesSource for Metrics {
    async fn instant(&self, query: &str, at_ms: Millis) -> Result<Vec<Reading>, QueryError> {
        Ok(readings(Metrics::instant(self, query, at_ms).await?.value))
    }

    async fn hourly(
        &self,
        query: &str,
        start_ms: Millis,
        end_ms: Millis,
    ) -> Result<Vec<Reading>, QueryError> {
        Ok(readings(self.range(query, start_ms, end_ms, HOUR_MS).await?.value))
    }
}

/// How and when to read.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    /// Configuration.
    pub config: &'a Capacity,
    /// Hours that were read before.
    pub cache: &'a HistoryCache,
    /// How late a sample may come.
    pub late_ms: Millis,
    /// How the host is heard.
    pub hearing: Hearing,
    /// Now.
    pub now_ms: Millis,
}

/// Reads all resources of a host.
///
/// # Errors
/// If a query fails.
pub async fn measure_host(
    source: &impl SeriesSource,
    instance: &str,
    reader: Reader<'_>,
) -> Result<Vec<Subject>, QueryError> {
    let mut subjects = Vec::new();
    for kind in ResourceKind::ALL {
        subjects.extend(measure_kind(source, instance, kind, reader).await?);
    }
    Ok(subjects)
}

/// Reads the resources of one kind.
async fn measure_kind(
    source: &impl SeriesSource,
    instance: &str,
    kind: ResourceKind,
    reader: Reader<'_>,
) -> Result<Vec<Subject>, QueryError> {
    let Reader { config, cache, late_ms, hearing, now_ms } = reader;
    let queries = queries(kind, instance);
    let listed = list(kind, source.instant(&queries.listing, now_ms).await?);
    if listed.is_empty() {
        return Ok(Vec::new());
    }
    let key_of = |item: &str| ResourceKey { instance: instance.to_owned(), kind, item: item.to_owned() };
    let wanted: BTreeSet<_> = listed.iter().map(|(item, _)| key_of(item)).collect();
    let now = usage::of_host(source, instance, kind, &wanted, hearing, now_ms).await?;
    let end_ms = now_ms.div_euclid(HOUR_MS) * HOUR_MS;
    let start_ms = end_ms - millis(config.history).div_euclid(HOUR_MS) * HOUR_MS;
    let (mut history, from_ms) = cache.take(instance, kind, start_ms, late_ms);
    read_hours(source, kind, &queries, from_ms, end_ms, &mut history).await?;
    cache.put(instance, kind, start_ms, end_ms, &history);
    let subject = |(item, full): (String, f64)| {
        let past = history.get(&item).map_or(&[][..], Vec::as_slice);
        let key = key_of(&item);
        // What is measured no more stands where it was last seen.
        let last = || {
            past.last().map(|(at_ms, used)| Usage { used: *used, standing: Standing::Late { at_ms: *at_ms } })
        };
        let usage = now.get(&key).copied().or_else(last).filter(|usage| usage.used.is_finite());
        Subject {
            history: hourly_series(past, end_ms),
            current_percent: usage.map(|usage| usage.used / full * 100.0),
            standing: usage.map_or(Standing::Brief, |usage| usage.standing),
            key,
            full,
            threshold_percent: kind.threshold(config).get(),
        }
    };
    Ok(listed.into_iter().map(subject).collect())
}

/// Use hour by hour of one resource; nothing if it is not reported.
///
/// # Errors
/// If a query fails.
pub async fn measure_history(
    source: &impl SeriesSource,
    key: &ResourceKey,
    config: &Capacity,
    now_ms: Millis,
) -> Result<HourlySeries, QueryError> {
    let end_ms = now_ms.div_euclid(HOUR_MS) * HOUR_MS;
    let queries = queries(key.kind, &key.instance);
    let start_ms = end_ms - millis(config.history).div_euclid(HOUR_MS) * HOUR_MS;
    let mut all = Hours::new();
    read_hours(source, key.kind, &queries, start_ms, end_ms, &mut all).await?;
    Ok(hourly_series(all.get(&key.item).map_or(&[], Vec::as_slice), end_ms))
}

/// Reads hours and puts them behind those of `all`.
async fn read_hours(
    source: &impl SeriesSource,
    kind: ResourceKind,
    queries: &Queries,
    mut start_ms: Millis,
    end_ms: Millis,
    all: &mut Hours,
) -> Result<(), QueryError> {
    while start_ms <= end_ms {
        let stop_ms = end_ms.min(start_ms + (CHUNK_HOURS - 1) * HOUR_MS);
        let chunk = source.hourly(&queries.history, start_ms, stop_ms).await?;
        for (item, points) in by_item(kind, chunk) {
            all.entry(item).or_default().extend(points);
        }
        start_ms = stop_ms + HOUR_MS;
    }
    Ok(())
}

/// What there is: item and what 100 percent is.
fn list(kind: ResourceKind, readings: Vec<Reading>) -> Vec<(String, f64)> {
    let last = |reading: &Reading| reading.points.last().map_or(f64::NAN, |(_, value)| *value);
    let label = |reading: &Reading, name: &str| reading.labels.get(name).cloned().unwrap_or_default();
    match kind {
        ResourceKind::Memory | ResourceKind::Cpu => {
            return if readings.is_empty() { Vec::new() } else { vec![(String::new(), 100.0)] };
        }
        ResourceKind::Quota => {
            return readings.iter().map(|reading| (label(reading, "quota"), last(reading))).collect();
        }
        ResourceKind::Filesystem | ResourceKind::Inodes => {}
    }
    let listed = readings
        .iter()
        .map(|reading| ListedFilesystem {
            mountpoint: label(reading, "mountpoint"),
            device: label(reading, "device"),
            fstype: label(reading, "fstype"),
            size_bytes: last(reading),
        })
        .collect();
    choose_filesystems(listed).into_iter().map(|f| (f.mountpoint, f.size_bytes)).collect()
}

/// Points by item. A filesystem whose device changed its name is one item, so its points are joined.
fn by_item(kind: ResourceKind, readings: Vec<Reading>) -> Hours {
    let mut items = Hours::new();
    for reading in readings {
        let item = kind.item_label().and_then(|label| reading.labels.get(label).cloned()).unwrap_or_default();
        items.entry(item).or_default().extend(reading.points);
    }
    items
}

/// Points at the ends of hours as a series that reaches up to `end_ms`, so that silence at the end is seen.
fn hourly_series(points: &[(Millis, f64)], end_ms: Millis) -> HourlySeries {
    let starts: Vec<(Millis, f64)> = points.iter().map(|(end, value)| (end - HOUR_MS, *value)).collect();
    let Ok(mut series) = HourlySeries::from_points(&starts, Aggregate::Max) else {
        return HourlySeries { start_ms: end_ms, values: Vec::new() };
    };
    let missing = (end_ms - series.end_ms()).div_euclid(HOUR_MS).max(0);
    series.values.extend((0..missing).map(|_| f64::NAN));
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_at_the_end_is_part_of_the_series() {
        let series = hourly_series(&[(HOUR_MS, 1.0), (2 * HOUR_MS, 2.0)], 5 * HOUR_MS);
        assert_eq!(series.start_ms, 0);
        assert_eq!(series.end_ms(), 5 * HOUR_MS);
        assert_eq!(series.known_hours(), 2);
        let empty = hourly_series(&[], 5 * HOUR_MS);
        assert_eq!((empty.start_ms, empty.values.len()), (5 * HOUR_MS, 0));
    }
}
