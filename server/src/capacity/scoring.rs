//! Holds forecasts to account: what fell due is set against what was measured. Idempotent; bounded for each run.

use std::collections::{BTreeMap, HashMap};

use super::evaluation::{Crossing, Evaluation, HORIZON_DAYS};
use super::measure::SeriesSource;
use super::resource::{ResourceKey, ResourceKind, queries};
use super::score::{Foretold, Score};
use crate::app::App;
use crate::records::{RecordsError, forecast_scores};
use crate::time::{DAY_MS, HOUR_MS, Millis, millis, now_ms};

/// Forecasts of one distance that a run scores at most; the next run goes on.
const MAX_DUE: u32 = 2_000;
/// What fell due longer ago than this is left alone: a run looks at no more rows than it must.
const CATCH_UP_MS: Millis = 15 * DAY_MS;
/// A host that was away sends its samples later; what is still missing after this was not measured.
const WAIT_FOR_SAMPLES_MS: Millis = DAY_MS;

/// Scores what fell due.
///
/// # Errors
/// If the records or a query fail.
pub(super) async fn run(app: &App) -> anyhow::Result<()> {
    let now = now_ms();
    let before = now - millis(app.config.current().capacity.keep);
    let until = now.div_euclid(HOUR_MS) * HOUR_MS;
    let mut figures = Figures::default();
    for days in HORIZON_DAYS {
        let window = (until - CATCH_UP_MS, until);
        let due = app.records.run(move |db| forecast_scores::due(db, days, window, MAX_DUE)).await?;
        let mut scores = Vec::with_capacity(due.len());
        for evaluation in &due {
            let due_at_ms = evaluation.data_end_ms + Millis::from(days) * DAY_MS;
            let used = figures.at(&app.metrics, &evaluation.key, due_at_ms).await;
            if used.is_some() || now - due_at_ms > WAIT_FOR_SAMPLES_MS {
                scores.extend(score(evaluation, days, used));
            }
        }
        app.records
            .run(move |db| {
                for mut score in scores {
                    let made_at = score.due_at_ms - Millis::from(score.days) * DAY_MS;
                    score.crossed_at_ms = forecast_scores::first_reached(
                        db,
                        &score.key,
                        score.threshold_percent,
                        made_at,
                        score.due_at_ms,
                    )?;
                    forecast_scores::add(db, &score)?;
                }
                Ok::<_, RecordsError>(())
            })
            .await?;
    }
    app.records.run(move |db| forecast_scores::prune(db, before)).await?;
    Ok(())
}

/// Peaks of hosts in the days that end at some times, read once each.
#[derive(Debug, Default)]
struct Figures {
    read: HashMap<(String, ResourceKind, Millis), BTreeMap<ResourceKey, f64>>,
}

impl Figures {
    /// Use in the unit of the series; none if nothing was measured, or it cannot be read now.
    async fn at(&mut self, source: &impl SeriesSource, key: &ResourceKey, at_ms: Millis) -> Option<f64> {
        let place = (key.instance.clone(), key.kind, at_ms);
        if let Some(known) = self.read.get(&place) {
            return known.get(key).copied();
        }
        // The peak of the day that ends then, as the forecast has it.
        let day = format!("max_over_time(({})[23h59m:1h])", queries(key.kind, &key.instance).history);
        let known = match source.instant(&day, at_ms).await {
            Ok(readings) => super::usage::by_key(key.kind, &readings),
            Err(error) => {
                tracing::warn!(host.instance = key.instance, %error, "use for a score not read");
                BTreeMap::new()
            }
        };
        let found = known.get(key).copied();
        self.read.insert(place, known);
        found
    }
}

/// The score of an evaluation at a distance, except for the crossing; `used` is in the unit of `full`. None for an
/// evaluation that made no forecast for that distance.
fn score(evaluation: &Evaluation, days: u16, used: Option<f64>) -> Option<Score> {
    let made = evaluation.outcome.as_ref().ok()?;
    let point = made.horizons.iter().find(|point| point.days == days)?;
    let due_at_ms = evaluation.data_end_ms + Millis::from(days) * DAY_MS;
    let (foretold, likely_ms) = match made.crossing {
        Crossing::Past => (Foretold::Past, None),
        Crossing::Within { likely_ms: Some(likely), .. } if likely <= due_at_ms => {
            (Foretold::Crossing, Some(likely))
        }
        Crossing::Within { likely_ms, .. } => (Foretold::Quiet, likely_ms),
        Crossing::Never => (Foretold::Quiet, None),
    };
    Some(Score {
        key: evaluation.key.clone(),
        made_day: evaluation.data_end_ms.div_euclid(DAY_MS),
        days,
        due_at_ms,
        p10: point.p10,
        p50: point.p50,
        p90: point.p90,
        threshold_percent: evaluation.threshold_percent,
        last_percent: evaluation.current_percent,
        actual_percent: used.map(|used| used / evaluation.full * 100.0),
        foretold,
        likely_ms,
        crossed_at_ms: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{HorizonPoint, Made, examples};
    use crate::records::forecast_scores::Of;

    fn evaluation(crossing: Crossing) -> Evaluation {
        let horizons = vec![HorizonPoint { days: 7, p10: 70.0, p50: 75.0, p90: 80.0 }];
        Evaluation {
            made_at_ms: 10 * DAY_MS + 60_000,
            full: 2_000.0,
            current_percent: Some(70.0),
            outcome: Ok(Made { horizons, ..examples::made(crossing) }),
            ..examples::disk(10 * DAY_MS, crossing)
        }
    }

    #[test]
    fn a_date_within_the_distance_is_a_foretold_crossing() {
        let within =
            |day: i64| Crossing::Within { earliest_ms: None, likely_ms: Some(day * DAY_MS), latest_ms: None };
        for (crossing, foretold) in [
            (within(17), Foretold::Crossing),
            (within(18), Foretold::Quiet),
            (Crossing::Never, Foretold::Quiet),
            (Crossing::Past, Foretold::Past),
        ] {
            let score = score(&evaluation(crossing), 7, Some(1_500.0)).unwrap();
            assert_eq!((score.foretold, score.actual_percent), (foretold, Some(75.0)), "{crossing:?}");
            assert_eq!((score.made_day, score.due_at_ms), (10, 17 * DAY_MS));
        }
        assert_eq!(score(&evaluation(Crossing::Never), 30, Some(1.0)), None);
    }

    #[test]
    fn of_a_day_one_forecast_falls_due_and_is_scored_once() {
        let records = crate::records::Records::in_memory().unwrap();
        let mut made = evaluation(Crossing::Never);
        records
            .transaction(|db| {
                for hour in 0..30 {
                    made.data_end_ms = 10 * DAY_MS + hour * HOUR_MS;
                    made.made_at_ms = made.data_end_ms + 60_000;
                    made.current_percent = Some(if hour == 20 { 91.0 } else { 70.0 });
                    crate::records::forecasts::store(
                        db,
                        &made,
                        None,
                        crate::capacity::SignalMemory::default(),
                    )?;
                }
                let window = (12 * DAY_MS, 18 * DAY_MS);
                let due = forecast_scores::due(db, 7, window, 100)?;
                let ends: Vec<Millis> = due.iter().map(|one| one.data_end_ms).collect();
                assert_eq!(ends, [10 * DAY_MS, 11 * DAY_MS]);
                assert!(forecast_scores::due(db, 7, (12 * DAY_MS, 17 * DAY_MS - 1), 100)?.is_empty());
                let mut score = score(&due[0], 7, None).unwrap();
                score.crossed_at_ms =
                    forecast_scores::first_reached(db, &made.key, 90.0, 10 * DAY_MS, 17 * DAY_MS)?;
                assert_eq!(score.crossed_at_ms, Some(10 * DAY_MS + 20 * HOUR_MS + 60_000));
                forecast_scores::add(db, &score)?;
                assert_eq!(forecast_scores::due(db, 7, window, 100)?.len(), 1);
                assert_eq!(forecast_scores::list(db, Of::Component(&made.key), 0, 10)?, [score.clone()]);
                for (of, count) in [(Of::All, 1), (Of::Instance("db"), 1), (Of::Instance("web"), 0)] {
                    assert_eq!(forecast_scores::list(db, of, 0, 10)?.len(), count, "{of:?}");
                }
                assert_eq!(forecast_scores::prune(db, 18 * DAY_MS)?, 1);
                Ok::<_, RecordsError>(())
            })
            .unwrap();
    }
}
