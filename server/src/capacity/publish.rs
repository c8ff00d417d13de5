//! The newest forecasts as series of their own, so that dashboards and rules can use them.
//!
//! "Not within a year" is `+Inf`, exceeded now is 0. A resource without a forecast has its state alone: there is no
//! number without support.

use siaga_protocol::metric_names::{
    FORECAST_BREACH, FORECAST_DAYS, FORECAST_GROWTH, FORECAST_PERCENT, FORECAST_STATE,
};

use super::evaluation::{Crossing, Evaluation};
use crate::app::App;
use crate::metrics::OwnSample;
use crate::records::forecasts;
use crate::time::{DAY_MS, Millis, now_ms};

/// Distances in days that are published.
const PUBLISHED_DAYS: [u16; 3] = [7, 30, 90];

/// Writes the newest forecasts.
///
/// # Errors
/// If the records or the store fail.
pub(super) async fn run(app: &App) -> anyhow::Result<()> {
    let mut latest = app.records.run(|db| forecasts::latest(db)).await?;
    super::live::judge(app, &mut latest).await;
    let now = now_ms();
    let mut samples: Vec<OwnSample> =
        latest.iter().flat_map(|latest| samples(&latest.evaluation, now)).collect();
    for service in app.forecasting.services() {
        samples.extend(super::services::samples(&service, now));
    }
    app.metrics.append_own(samples).await?;
    Ok(())
}

/// Samples of one evaluation at `now_ms`.
fn samples(evaluation: &Evaluation, now_ms: Millis) -> Vec<OwnSample> {
    let key = &evaluation.key;
    let sample = |name: &str, labels: &[(&str, &str)], value| {
        let mut all = vec![
            ("instance", key.instance.as_str()),
            ("resource", key.kind.code()),
            ("item", key.item.as_str()),
        ];
        // A label without a value is no label.
        all.retain(|(_, value)| !value.is_empty());
        all.extend(labels);
        OwnSample::new(name, &all, now_ms, value)
    };
    let state = sample(FORECAST_STATE, &[("state", evaluation.state.code())], 1.0);
    let Some(crossing) = evaluation.crossing() else { return vec![state] };
    let days =
        |at: Option<Millis>| at.map_or(f64::INFINITY, |at| (at - now_ms).max(0) as f64 / DAY_MS as f64);
    let bounds = match crossing {
        Crossing::Past => [0.0; 3],
        Crossing::Never => [f64::INFINITY; 3],
        Crossing::Within { earliest_ms, likely_ms, latest_ms } => {
            [days(earliest_ms), days(likely_ms), days(latest_ms)]
        }
    };
    let mut samples: Vec<OwnSample> = ["earliest", "likely", "latest"]
        .into_iter()
        .zip(bounds)
        .map(|(bound, value)| sample(FORECAST_DAYS, &[("bound", bound)], value))
        .collect();
    samples.push(state);
    if let Ok(made) = &evaluation.outcome {
        for (within, probability) in ["7d", "30d", "90d"].into_iter().zip(made.breach) {
            samples.push(sample(FORECAST_BREACH, &[("within", within)], probability));
        }
        samples.push(sample(FORECAST_GROWTH, &[], made.trend_percent_per_day));
    }
    let horizons = evaluation.outcome.iter().flat_map(|made| &made.horizons);
    for point in horizons.filter(|point| PUBLISHED_DAYS.contains(&point.days)) {
        let horizon = format!("{}d", point.days);
        for (quantile, value) in [("0.1", point.p10), ("0.5", point.p50), ("0.9", point.p90)] {
            samples.push(sample(FORECAST_PERCENT, &[("quantile", quantile), ("horizon", &horizon)], value));
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{HorizonPoint, Made, Reason, ResourceKey, ResourceKind, Standing, State};

    fn evaluation(crossing: Crossing) -> Evaluation {
        let made = Made {
            crossing,
            breach: [0.0; 3],
            model: String::new(),
            mase: None,
            smape: None,
            coverage: None,
            trend_percent_per_day: 0.0,
            significant: true,
            remarks: Vec::new(),
            horizons: [1, 7].map(|days| HorizonPoint { days, p10: 1.0, p50: 2.0, p90: 3.0 }).to_vec(),
        };
        Evaluation {
            key: ResourceKey { instance: "a".to_owned(), kind: ResourceKind::Memory, item: String::new() },
            made_at_ms: 0,
            data_end_ms: 0,
            known_hours: 1,
            full: 100.0,
            threshold_percent: 90.0,
            current_percent: None,
            standing: Standing::Firm,
            state: State::Normal,
            outcome: Ok(made),
        }
    }

    #[test]
    fn days_shrink_as_time_passes_and_never_is_infinite() {
        let within =
            Crossing::Within { earliest_ms: Some(DAY_MS), likely_ms: Some(4 * DAY_MS), latest_ms: None };
        let values: Vec<f64> = samples(&evaluation(within), 2 * DAY_MS).iter().map(|s| s.value).collect();
        // Dates, state, probabilities of a breach, growth, the path in a week.
        assert_eq!(values, [0.0, 2.0, f64::INFINITY, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0]);
        let past = samples(&evaluation(Crossing::Past), 0);
        assert_eq!(past[0].value, 0.0);
        assert!(past.iter().all(|s| s.labels.iter().all(|(name, _)| name != "item")));
    }

    #[test]
    fn without_a_forecast_there_is_the_state_and_no_number() {
        let mut refused = evaluation(Crossing::Never);
        refused.outcome = Err(Reason::plain("too_short"));
        refused.state = State::Unknown;
        let state_alone = |samples: Vec<OwnSample>| {
            assert_eq!(samples.len(), 1);
            assert!(samples[0].labels.contains(&("state".to_owned(), "unknown".to_owned())), "{samples:?}");
        };
        state_alone(samples(&refused, 0));
        refused.current_percent = Some(refused.threshold_percent);
        let values: Vec<f64> = samples(&refused, 0).iter().map(|s| s.value).collect();
        assert_eq!(values, [0.0, 0.0, 0.0, 1.0], "as the page says it");
        refused.standing = Standing::Late { at_ms: 0 };
        state_alone(samples(&refused, 0));
    }
}
