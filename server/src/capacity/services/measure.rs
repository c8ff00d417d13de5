//! Reads the hours of loads and components.

use std::collections::BTreeMap;

use super::analysis::{Hours, MeasuredLoad, MeasuredPart};
use super::definition::{Load, Part};
use crate::app::App;
use crate::capacity::measure::SeriesSource;
use crate::capacity::resource::ResourceKey;
use crate::capacity::{Evaluation, EventCategory, KnownEvent};
use crate::records::{RecordsError, known_events};
use crate::time::{DAY_MS, HOUR_MS, Millis};

/// Days that are looked at: a change of the service is to be forgotten after some weeks.
pub(super) const DAYS: i64 = 35;
/// Longest stretch that one query reads.
const CHUNK_HOURS: i64 = 10 * 24;
/// Most tenders that are counted.
const MAX_TENDERS: u32 = 10_000;
/// Threshold of a component with a query of its own that has none, percent.
const DEFAULT_THRESHOLD: f64 = 85.0;

/// Hours of a query; an error is a text for people, because the query is theirs.
async fn hours(source: &impl SeriesSource, query: &str, now_ms: Millis) -> Result<Hours, String> {
    let end_ms = now_ms.div_euclid(HOUR_MS) * HOUR_MS;
    let mut start_ms = end_ms - DAYS * DAY_MS;
    let mut all = Hours::new();
    while start_ms <= end_ms {
        let stop_ms = end_ms.min(start_ms + (CHUNK_HOURS - 1) * HOUR_MS);
        let read = source.hourly(query, start_ms, stop_ms).await.map_err(|error| error.to_string())?;
        all.extend(read.into_iter().flat_map(|series| series.points));
        start_ms = stop_ms + HOUR_MS;
    }
    Ok(all)
}

/// Tenders of the calendar that close, by the end of their hour.
pub(super) async fn tenders(app: &App, now_ms: Millis) -> Result<BTreeMap<Millis, u32>, RecordsError> {
    let from_ms = now_ms - DAYS * DAY_MS;
    let events = app.records.run(move |db| known_events::list(db, from_ms, now_ms, MAX_TENDERS)).await?;
    Ok(by_hour(&events))
}

/// Tenders among events, by the end of the hour in which they close. A deadline at the full hour belongs to the hour
/// that it ends.
fn by_hour(events: &[KnownEvent]) -> BTreeMap<Millis, u32> {
    let mut counts = BTreeMap::new();
    for event in events.iter().filter(|event| event.category == EventCategory::Tender) {
        let end = (event.to_ms - 1).div_euclid(HOUR_MS) * HOUR_MS + HOUR_MS;
        *counts.entry(end).or_insert(0) += 1;
    }
    counts
}

pub(super) async fn load(
    app: &App,
    load: &Load,
    tenders: &BTreeMap<Millis, u32>,
    now_ms: Millis,
) -> MeasuredLoad {
    let hours = if load.query.is_empty() {
        let end_ms = now_ms.div_euclid(HOUR_MS);
        Ok((end_ms - DAYS * 24..=end_ms)
            .map(|hour| (hour * HOUR_MS, f64::from(tenders.get(&(hour * HOUR_MS)).copied().unwrap_or(0))))
            .collect())
    } else {
        hours(&app.metrics, &format!("avg_over_time((sum({}))[1h:5m])", load.query), now_ms).await
    };
    MeasuredLoad { load: load.clone(), hours }
}

/// A component; `known` are the newest evaluations of what Siaga measures.
pub(super) async fn part(
    app: &App,
    part: &Part,
    known: &BTreeMap<ResourceKey, Evaluation>,
    now_ms: Millis,
) -> MeasuredPart {
    if let Some(key) = part.key() {
        let evaluation = known.get(&key);
        let full = evaluation.map_or(100.0, |evaluation| evaluation.full);
        let from_ms = now_ms - DAYS * DAY_MS;
        let mut hours = app.forecasting.hours_of(&key);
        hours.retain(|(end, _)| *end > from_ms);
        return MeasuredPart {
            full,
            threshold_percent: part
                .threshold_percent
                .or(evaluation.map(|evaluation| evaluation.threshold_percent))
                .unwrap_or(DEFAULT_THRESHOLD),
            hours: Ok(hours.into_iter().map(|(end, used)| (end, used / full * 100.0)).collect()),
            part: part.clone(),
        };
    }
    let full = part.full.unwrap_or(100.0);
    let read = hours(&app.metrics, &format!("max_over_time((max({}))[1h:5m])", part.query), now_ms).await;
    MeasuredPart {
        full,
        threshold_percent: part.threshold_percent.unwrap_or(DEFAULT_THRESHOLD),
        hours: read.map(|hours| hours.into_iter().map(|(end, used)| (end, used / full * 100.0)).collect()),
        part: part.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tender_belongs_to_the_hour_in_which_it_closes_and_holidays_to_none() {
        let event = |category, to_ms| KnownEvent {
            id: None,
            category,
            name: String::new(),
            from_ms: 0,
            to_ms,
            source: String::new(),
        };
        let tender = EventCategory::Tender;
        let events = [
            event(tender, 10 * HOUR_MS),
            event(tender, 10 * HOUR_MS - 1),
            event(tender, 10 * HOUR_MS + 1),
            event(EventCategory::Holiday, 5 * HOUR_MS),
        ];
        assert_eq!(by_hour(&events), [(10 * HOUR_MS, 2), (11 * HOUR_MS, 1)].into());
    }
}
