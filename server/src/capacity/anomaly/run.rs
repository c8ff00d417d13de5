//! Feeds the detectors every five minutes and hands over what is unusual.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use siaga_promql::Value;
use siaga_protocol::metric_names::ANOMALY_SCORE;

use super::quantity::Quantity;
use super::watch::{HISTORY_MS, Key, STEP_MS, Unusual, Watch};
use super::words;
use crate::app::App;
use crate::config::Language;
use crate::console::Page;
use crate::incidents::{Severity, Signal, SignalSource};
use crate::metrics::OwnSample;
use crate::records::hosts;
use crate::time::{DAY_MS, Millis, now_ms};

/// Samples are waited for so long: agents send every few seconds, and late ones are no news.
const SETTLE_MS: Millis = 60_000;
/// Scores are told of what was heard within this time.
const TOLD_MS: Millis = 30 * 60_000;
/// Longest stretch that one query reads.
const CHUNK_MS: Millis = DAY_MS;

/// The detectors. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Anomalies {
    watch: Arc<Mutex<Watch>>,
}

impl Anomalies {
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Watch) -> T) -> T {
        work(&mut self.watch.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Anomalies {
    /// Forgets everything, so that the last ten days are gone through again: history may have been brought in.
    pub(in crate::capacity) fn reset(&self) {
        self.with(|watch| *watch = Watch::default());
    }
}

/// Samples of all series by time.
type Samples = BTreeMap<Millis, Vec<(Key, f64)>>;

async fn read(
    app: &App,
    instances: &BTreeSet<String>,
    (from_ms, to_ms): (Millis, Millis),
) -> anyhow::Result<Samples> {
    let mut samples = Samples::new();
    for quantity in Quantity::ALL {
        let answer = app.metrics.range(quantity.query(), from_ms, to_ms, STEP_MS).await?;
        let Value::Matrix(series) = answer.value else { continue };
        for one in series {
            let Some(instance) = one.labels.get("instance").filter(|name| instances.contains(*name)) else {
                continue;
            };
            for (at, value) in one.points {
                samples.entry(at).or_default().push(((instance.to_owned(), quantity), value));
            }
        }
    }
    Ok(samples)
}

/// Goes through what is new. Idempotent: a moment is gone through once.
///
/// # Errors
/// If series cannot be read, the scores not be stored, or the incidents not be reached; the next run goes on from there.
pub(in crate::capacity) async fn run(app: &App) -> anyhow::Result<()> {
    let most = app.config.current().capacity.anomaly_series;
    if most == 0 {
        return crate::incidents::sync(app, SignalSource::Anomaly, Vec::new()).await;
    }
    let now = now_ms();
    let last_ms = (now - SETTLE_MS).div_euclid(STEP_MS) * STEP_MS;
    let mut from_ms =
        app.anomalies.with(|watch| watch.done_ms).map_or(last_ms - HISTORY_MS, |done| done + STEP_MS);
    if from_ms > last_ms {
        return Ok(());
    }
    let instances: BTreeSet<String> =
        app.records.run(|db| hosts::list(db)).await?.into_iter().map(|host| host.instance).collect();
    app.anomalies.with(|watch| watch.keep(&instances, now));
    while from_ms <= last_ms {
        if app.is_stopping() {
            return Ok(());
        }
        let to_ms = last_ms.min(from_ms + CHUNK_MS - STEP_MS);
        let samples = read(app, &instances, (from_ms, to_ms)).await?;
        let anomalies = app.anomalies.clone();
        let fed = tokio::task::spawn_blocking(move || {
            anomalies.with(|watch| {
                for (at, values) in &samples {
                    values.iter().for_each(|(key, value)| watch.push(key, *at, *value, most));
                }
                watch.done_ms = Some(to_ms);
            });
        });
        fed.await?;
        from_ms = to_ms + STEP_MS;
    }
    let (left_out, unusual, scores) = app.anomalies.with(|watch| {
        let scores: Vec<OwnSample> = watch
            .scores(last_ms - TOLD_MS)
            .into_iter()
            .map(|((instance, quantity), score)| {
                let labels = [("instance", instance.as_str()), ("quantity", quantity.code())];
                OwnSample::new(ANOMALY_SCORE, &labels, now, score)
            })
            .collect();
        (watch.counts().1, watch.unusual(), scores)
    });
    if left_out > 0 {
        tracing::warn!(
            left_out,
            limit = most,
            "series are not watched for anomalies, see capacity.anomaly_series"
        );
    }
    app.metrics.append_own(scores).await?;
    let console = app.config.current().console.clone();
    let page = |language| {
        Page::detached(language, &console.organisation, console.time_zone.clone(), console.simulation)
    };
    let (id, en) = (page(Language::Indonesian), page(Language::English));
    let signals = unusual.iter().map(|one| signal(one, [&id, &en])).collect();
    crate::incidents::sync(app, SignalSource::Anomaly, signals).await
}

fn signal(unusual: &Unusual, pages: [&Page; 2]) -> Signal {
    let [title_id, title_en] = pages.map(|page| words::title(page, unusual));
    let [detail_id, detail_en] = pages.map(|page| words::detail(page, unusual));
    Signal {
        key: format!("{}/{}", unusual.instance, unusual.quantity.code()),
        instance: Some(unusual.instance.clone()),
        component: unusual.quantity.component().to_owned(),
        severity: Severity::Info,
        title_id,
        title_en,
        detail_id,
        detail_en,
        value: Some(unusual.value),
        started_at_ms: unusual.episode.since_ms,
    }
}
