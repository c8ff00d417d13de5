//! Sets the newest forecasts against the use of this moment, so that every page and answer judges alike: what is past
//! its threshold now is exceeded, whatever the forecast of the last hour said.

use std::collections::BTreeMap;

use super::evaluation::{Crossing, Evaluation};
use super::measure::{Reading, SeriesSource};
use super::resource::{ResourceKey, ResourceKind, fleet_now};
use super::state::{is_exceeded, state};
use crate::app::App;
use crate::metrics::QueryError;
use crate::records::forecasts::Latest;
use crate::time::{Millis, millis, now_ms};

/// Judges the newest evaluations anew. If the figures of now cannot be read, those of the evaluations stand.
pub(super) async fn judge(app: &App, latest: &mut [Latest]) {
    let (now, lead_ms) = (now_ms(), millis(app.config.current().capacity.lead_time));
    match figures(&app.metrics, now).await {
        Ok(figures) => {
            for latest in latest {
                let used = figures.get(&latest.evaluation.key).copied();
                judge_one(&mut latest.evaluation, used, now, lead_ms);
            }
        }
        Err(error) => tracing::warn!(%error, "use of now not read"),
    }
}

/// Use now of every resource, in the unit of its evaluation's `full`.
async fn figures(
    source: &impl SeriesSource,
    now_ms: Millis,
) -> Result<BTreeMap<ResourceKey, f64>, QueryError> {
    let mut all = BTreeMap::new();
    for kind in ResourceKind::ALL {
        all.extend(by_key(kind, &source.instant(&fleet_now(kind), now_ms).await?));
    }
    Ok(all)
}

/// The last value of each resource in the answer to a query about the whole fleet.
pub(super) fn by_key(kind: ResourceKind, readings: &[Reading]) -> BTreeMap<ResourceKey, f64> {
    let mut all = BTreeMap::new();
    for reading in readings {
        let label = |name: &str| reading.labels.get(name).cloned().unwrap_or_default();
        let item = if kind == ResourceKind::Filesystem { label("mountpoint") } else { String::new() };
        if let Some((_, used)) = reading.points.last().filter(|(_, used)| used.is_finite()) {
            all.insert(ResourceKey { instance: label("instance"), kind, item }, *used);
        }
    }
    all
}

/// `used` is the use now in the unit of `full`; without it the host is silent and stands where it was last seen.
fn judge_one(evaluation: &mut Evaluation, used: Option<f64>, now_ms: Millis, lead_ms: Millis) {
    if let Some(used) = used {
        evaluation.current_percent = Some(used / evaluation.full * 100.0);
    }
    if let Ok(made) = &mut evaluation.outcome
        && is_exceeded(evaluation.current_percent, evaluation.threshold_percent)
    {
        made.crossing = Crossing::Past;
    }
    let crossing = evaluation.outcome.as_ref().ok().map(|made| made.crossing);
    evaluation.state =
        state(evaluation.current_percent, evaluation.threshold_percent, crossing, now_ms, lead_ms);
}

#[cfg(test)]
mod tests {
    use siaga_forecast::HourlySeries;

    use super::*;
    use crate::capacity::{State, Subject, evaluate};
    use crate::time::DAY_MS;

    #[test]
    fn what_is_past_its_threshold_now_is_exceeded_with_and_without_a_forecast() {
        for hours in [3, 14 * 24] {
            let subject = Subject {
                key: ResourceKey { instance: "a".to_owned(), kind: ResourceKind::Cpu, item: String::new() },
                full: 100.0,
                threshold_percent: 85.0,
                current_percent: Some(20.0),
                history: HourlySeries { start_ms: 0, values: vec![20.0; hours] },
            };
            let (mut evaluation, _) = evaluate(&subject, 14 * DAY_MS, DAY_MS);
            assert_ne!(evaluation.state, State::Critical);
            judge_one(&mut evaluation, Some(91.0), 14 * DAY_MS, DAY_MS);
            assert_eq!((evaluation.state, evaluation.current_percent), (State::Critical, Some(91.0)));
            assert!(evaluation.outcome.is_err() || evaluation.outcome.unwrap().crossing == Crossing::Past);
        }
    }
}
