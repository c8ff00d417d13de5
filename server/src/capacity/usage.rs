//! The use of resources now: the one place that says how much is used, when that was measured and whether it counts
//! against the threshold.
//!
//! Processors and memory are judged by the mean of the last 15 minutes, and only where there were samples ten minutes
//! ago; filesystems by their newest value, of at least two. What is late is told with its time and counts as nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::measure::{Reading, SeriesSource};
use super::resource::{Queries, ResourceKey, ResourceKind, fleet_queries, queries};
use crate::app::App;
use crate::metrics::QueryError;
use crate::records::{RecordsError, hosts};
use crate::time::{Millis, SECOND_MS};

/// What a measured use is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// New, and measured for long enough: it counts against the threshold.
    Firm,
    /// New, but of too few samples to be judged.
    Brief,
    /// From a time that is past: since then nothing came.
    Late {
        /// Time of the newest sample.
        at_ms: Millis,
    },
}

impl Standing {
    /// Code in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Firm => "firm",
            Self::Brief => "brief",
            Self::Late { .. } => "late",
        }
    }

    /// When it was measured, where that is past.
    #[must_use]
    pub const fn late_ms(self) -> Option<Millis> {
        match self {
            Self::Late { at_ms } => Some(at_ms),
            Self::Firm | Self::Brief => None,
        }
    }
}

/// The use of a resource as last measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Usage {
    /// In the unit of the resource's series.
    pub used: f64,
    /// What it is worth.
    pub standing: Standing,
}

/// How a host is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hearing {
    /// When it was last heard.
    pub last_heard_ms: Millis,
    /// How old a sample may be that is told as new.
    pub patience_ms: Millis,
}

/// How all hosts in service are heard, by instance.
///
/// # Errors
/// If the records cannot be read.
pub(super) async fn hearings(app: &App, now_ms: Millis) -> Result<BTreeMap<String, Hearing>, RecordsError> {
    let hosts = app.records.run(|db| hosts::list(db)).await?;
    let hearing = |host: &hosts::Host| Hearing {
        last_heard_ms: app.presence.last_heard(host),
        patience_ms: app.presence.sample_patience_ms(host, now_ms),
    };
    Ok(hosts.iter().map(|host| (host.instance.clone(), hearing(host))).collect())
}

/// A use that was measured within the window of the queries.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Recent {
    used: f64,
    seen_ms: Millis,
    enough: bool,
}

impl Recent {
    fn usage(self, patience_ms: Millis, now_ms: Millis) -> Usage {
        let standing = if now_ms - self.seen_ms > patience_ms {
            Standing::Late { at_ms: self.seen_ms }
        } else if self.enough {
            Standing::Firm
        } else {
            Standing::Brief
        };
        Usage { used: self.used, standing }
    }
}

/// Use of a host's resources of one kind: of those in `wanted` also what was last measured long ago.
pub(super) async fn of_host(
    source: &impl SeriesSource,
    instance: &str,
    kind: ResourceKind,
    wanted: &BTreeSet<ResourceKey>,
    hearing: Hearing,
    now_ms: Millis,
) -> Result<BTreeMap<ResourceKey, Usage>, QueryError> {
    let queries = queries(kind, instance);
    let recent = recent(source, kind, &queries, now_ms).await?;
    let mut all: BTreeMap<ResourceKey, Usage> =
        recent.into_iter().map(|(key, one)| (key, one.usage(hearing.patience_ms, now_ms))).collect();
    let gone = wanted.iter().filter(|key| !all.contains_key(key)).cloned().collect();
    all.extend(last_known(source, kind, &queries, gone, hearing, now_ms).await?);
    Ok(all)
}

/// Use of these resources of the whole fleet.
pub(super) async fn of_fleet(
    source: &impl SeriesSource,
    wanted: &BTreeSet<ResourceKey>,
    hearings: &BTreeMap<String, Hearing>,
    now_ms: Millis,
) -> Result<BTreeMap<ResourceKey, Usage>, QueryError> {
    let mut all = BTreeMap::new();
    for kind in ResourceKind::ALL {
        for (key, one) in recent(source, kind, &fleet_queries(kind), now_ms).await? {
            // A host that is not in service any more is heard by nobody.
            let patience_ms = hearings.get(&key.instance).map_or(0, |hearing| hearing.patience_ms);
            all.insert(key, one.usage(patience_ms, now_ms));
        }
    }
    let mut gone: BTreeMap<(&str, ResourceKind), BTreeSet<ResourceKey>> = BTreeMap::new();
    for key in wanted.iter().filter(|key| !all.contains_key(key)) {
        gone.entry((&key.instance, key.kind)).or_default().insert(key.clone());
    }
    for ((instance, kind), keys) in gone {
        if let Some(hearing) = hearings.get(instance) {
            let queries = queries(kind, instance);
            all.extend(last_known(source, kind, &queries, keys, *hearing, now_ms).await?);
        }
    }
    Ok(all)
}

/// Times at which resources of one host ended that are looked at; more are not told.
const MAX_ENDS: usize = 4;

/// What was last measured of resources that are not measured now. Where the host was last heard is looked at first,
/// because searching far back reads many samples.
async fn last_known(
    source: &impl SeriesSource,
    kind: ResourceKind,
    queries: &Queries,
    mut gone: BTreeSet<ResourceKey>,
    hearing: Hearing,
    now_ms: Millis,
) -> Result<BTreeMap<ResourceKey, Usage>, QueryError> {
    let mut found = BTreeMap::new();
    let mut look = async |at_ms: Millis, gone: &mut BTreeSet<ResourceKey>| {
        for (key, one) in recent(source, kind, queries, at_ms).await? {
            if gone.remove(&key) {
                found.insert(key, Usage { used: one.used, standing: Standing::Late { at_ms: one.seen_ms } });
            }
        }
        Ok::<(), QueryError>(())
    };
    if !gone.is_empty() && hearing.last_heard_ms < now_ms {
        look(hearing.last_heard_ms, &mut gone).await?;
    }
    if !gone.is_empty() {
        let ends = source.instant(&queries.last_seen, now_ms).await?;
        let ends = ends.iter().filter(|end| gone.contains(&key(kind, end)));
        let ends: BTreeSet<Millis> = ends.filter_map(last).map(from_seconds).collect();
        for at_ms in ends.into_iter().rev().take(MAX_ENDS) {
            look(at_ms, &mut gone).await?;
        }
    }
    Ok(found)
}

async fn recent(
    source: &impl SeriesSource,
    kind: ResourceKind,
    queries: &Queries,
    at_ms: Millis,
) -> Result<BTreeMap<ResourceKey, Recent>, QueryError> {
    let used = source.instant(&queries.now, at_ms).await?;
    let seen = source.instant(&queries.seen, at_ms).await?;
    let enough = source.instant(&queries.enough, at_ms).await?;
    let seen: BTreeMap<_, _> = seen.iter().filter_map(|one| Some((&one.labels, last(one)?))).collect();
    let enough: BTreeSet<_> = enough.iter().map(|one| &one.labels).collect();
    let mut all: BTreeMap<ResourceKey, Recent> = BTreeMap::new();
    for reading in &used {
        let (Some(used), Some(seen)) = (last(reading), seen.get(&reading.labels)) else { continue };
        let one = Recent { used, seen_ms: from_seconds(*seen), enough: enough.contains(&reading.labels) };
        // A filesystem whose device changed its name stands in two series for a while.
        let known = all.entry(key(kind, reading)).or_insert(one);
        if known.seen_ms < one.seen_ms {
            *known = one;
        }
    }
    Ok(all)
}

/// The last value of each resource in the answer to a query about one kind.
pub(super) fn by_key(kind: ResourceKind, readings: &[Reading]) -> BTreeMap<ResourceKey, f64> {
    readings.iter().filter_map(|reading| Some((key(kind, reading), last(reading)?))).collect()
}

fn last(reading: &Reading) -> Option<f64> {
    reading.points.last().map(|(_, value)| *value).filter(|value| value.is_finite())
}

#[expect(clippy::cast_possible_truncation, reason = "times in milliseconds fit")]
fn from_seconds(seconds: f64) -> Millis {
    (seconds * SECOND_MS as f64).round() as Millis
}

fn key(kind: ResourceKind, reading: &Reading) -> ResourceKey {
    let label = |name: &str| reading.labels.get(name).cloned().unwrap_or_default();
    let item = kind.item_label().map(label).unwrap_or_default();
    ResourceKey { instance: label("instance"), kind, item }
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
