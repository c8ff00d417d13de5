//! Watches the stop conditions of a drill all the time, and presses the button when one does not hold.
//!
//! Invariant: a condition is asked from before the first step on; what could not be asked does not hold.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use super::checks::look;
use super::plan::{Check, StopCondition};
use super::prober::client;
use super::running::{Claim, StopCause};
use crate::app::App;

/// How often all conditions are asked.
const INTERVAL: Duration = Duration::from_millis(500);

/// Watches until the set is dropped.
pub(super) fn watch(
    app: &App,
    claim: &Claim,
    drill_id: &str,
    stops: &[StopCondition],
) -> anyhow::Result<JoinSet<()>> {
    let mut tasks = JoinSet::new();
    if stops.is_empty() {
        return Ok(tasks);
    }
    let (app, place, client) = (app.clone(), claim.place(), client()?);
    let (drill_id, stops) = (drill_id.to_owned(), stops.to_vec());
    tasks.spawn(async move {
        let checks: Vec<Check> = stops.iter().map(|stop| stop.check.clone()).collect();
        let mut bad_since: BTreeMap<usize, Instant> = BTreeMap::new();
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let asked = Instant::now();
            for (index, finding) in look(&app, &client, &checks).await.into_iter().enumerate() {
                if finding.held {
                    bad_since.remove(&index);
                    continue;
                }
                let since = *bad_since.entry(index).or_insert(asked);
                if stops.get(index).is_some_and(|stop| asked - since >= stop.patience) {
                    let cause = StopCause::Condition { check: finding.check, found: finding.found };
                    tracing::warn!(
                        drill.id = drill_id,
                        ?cause,
                        "a stop condition does not hold: the drill is stopped"
                    );
                    place.stop_for(&drill_id, &cause);
                    return;
                }
            }
        }
    });
    Ok(tasks)
}
