//! Sets the newest forecasts against the use of this moment, so that every page and answer judges alike: what is past
//! its threshold now is exceeded, whatever the forecast of the last hour said.

use std::collections::BTreeSet;

use super::evaluation::Evaluation;
use super::usage::{self, Usage};
use crate::app::App;
use crate::records::forecasts::Latest;
use crate::time::{Millis, millis, now_ms};

/// Judges the newest evaluations anew. If the figures of now cannot be read, those of the evaluations stand, told as old.
pub(super) async fn judge(app: &App, latest: &mut [Latest]) {
    let (now, lead_ms) = (now_ms(), millis(app.config.current().capacity.lead_time));
    let wanted: BTreeSet<_> = latest.iter().map(|latest| latest.evaluation.key.clone()).collect();
    let found = async {
        let hearings = usage::hearings(app, now).await?;
        Ok::<_, anyhow::Error>(usage::of_fleet(&app.metrics, &wanted, &hearings, now).await?)
    };
    let found = found.await.unwrap_or_else(|error| {
        tracing::warn!(error = format!("{error:#}"), "use of now not read");
        Default::default()
    });
    for latest in latest {
        let usage = found.get(&latest.evaluation.key).copied();
        judge_one(&mut latest.evaluation, usage, now, lead_ms);
    }
}

/// Without a `usage` the evaluation stands with what it was made of.
fn judge_one(evaluation: &mut Evaluation, usage: Option<Usage>, now_ms: Millis, lead_ms: Millis) {
    if let Some(Usage { used, standing }) = usage {
        evaluation.current_percent = Some(used / evaluation.full * 100.0);
        evaluation.standing = standing;
    }
    evaluation.settle(now_ms, lead_ms);
}

#[cfg(test)]
mod tests {
    use siaga_forecast::HourlySeries;

    use super::*;
    use crate::capacity::usage::Standing;
    use crate::capacity::{Crossing, ResourceKey, ResourceKind, State, Subject, evaluate};
    use crate::time::DAY_MS;

    #[test]
    fn what_is_past_its_threshold_now_is_exceeded_with_and_without_a_forecast() {
        for hours in [3, 14 * 24] {
            let subject = Subject {
                key: ResourceKey { instance: "a".to_owned(), kind: ResourceKind::Cpu, item: String::new() },
                full: 100.0,
                threshold_percent: 85.0,
                current_percent: Some(20.0),
                standing: Standing::Firm,
                recent: Vec::new(),
                history: HourlySeries { start_ms: 0, values: vec![20.0; hours] },
            };
            let (mut evaluation, _) = evaluate(&subject, 14 * DAY_MS, DAY_MS);
            assert_ne!(evaluation.state, State::Critical);
            let usage = |standing| Some(Usage { used: 91.0, standing });
            judge_one(&mut evaluation, usage(Standing::Late { at_ms: 7 }), 14 * DAY_MS, DAY_MS);
            assert_ne!((evaluation.state, evaluation.crossing()), (State::Critical, Some(Crossing::Past)));
            judge_one(&mut evaluation, usage(Standing::Firm), 14 * DAY_MS, DAY_MS);
            assert_eq!((evaluation.state, evaluation.current_percent), (State::Critical, Some(91.0)));
            assert!(evaluation.outcome.is_err() || evaluation.outcome.unwrap().crossing == Crossing::Past);
        }
    }
}
