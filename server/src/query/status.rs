//! What Prometheus tells of itself, told of Siaga: version, sizes of the store, agents as targets, types of metrics.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::answer::Success;
use super::http::respond;
use super::{Form, PrometheusError};
use crate::app::App;
use crate::fleet::http::host_is_silent;
use crate::http::ApiError;
use crate::records::hosts;
use crate::time::{HOUR_MS, Millis, now_ms};

/// Lines of a list of the largest, where the request names no other number.
const LARGEST: usize = 10;

pub(super) async fn metadata(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let families = app.metrics.catalogue.list(form.get("metric"), form.limit("limit")?);
    let data: BTreeMap<String, Value> = families
        .into_iter()
        .map(|(name, info)| (name, json!([{ "type": info.kind, "help": info.help, "unit": info.unit }])))
        .collect();
    respond(Success::new(data)).await
}

pub(super) async fn targets(State(app): State<App>, form: Form) -> Result<Json<Value>, ApiError> {
    let wants_active = form.get("state").is_none_or(|state| state != "dropped")
        && form.get("scrapePool").is_none_or(|pool| pool == siaga_protocol::metric_names::JOB);
    let hosts = if wants_active { app.records.run(|db| hosts::list(db)).await? } else { Vec::new() };
    let now = now_ms();
    let active: Vec<Value> = hosts
        .into_iter()
        .map(|host| {
            let health = if host_is_silent(&app, &host, now) { "down" } else { "up" };
            let last = jiff::Timestamp::from_millisecond(app.presence.last_heard(&host)).unwrap_or_default();
            json!({
                "discoveredLabels": {},
                "labels": { "instance": host.instance, "job": siaga_protocol::metric_names::JOB },
                "scrapePool": siaga_protocol::metric_names::JOB,
                "scrapeUrl": "",
                "globalUrl": "",
                "lastError": "",
                "lastScrape": last.to_string(),
                // Agents push: nobody waits for them.
                "lastScrapeDuration": 0,
                "scrapeInterval": format!("{}s", host.interval_seconds),
                "scrapeTimeout": "0s",
                "health": health,
            })
        })
        .collect();
    Ok(Json(json!({
        "status": "success",
        "data": { "activeTargets": active, "droppedTargets": [], "droppedTargetCounts": {} }
    })))
}

pub(super) async fn exemplars() -> Json<Value> {
    Json(json!({ "status": "success", "data": [] }))
}

pub(super) async fn buildinfo() -> Json<Value> {
    // Grafana reads the version to know which functions a Prometheus has: these are those of version 3.
    Json(json!({
        "status": "success",
        "data": {
            "version": "3.0.0",
            "revision": format!("siaga-{}", env!("CARGO_PKG_VERSION")),
            "branch": "", "buildUser": "", "buildDate": "", "goVersion": ""
        }
    }))
}

/// The largest counts as Prometheus lists them.
fn largest(counts: BTreeMap<String, usize>, limit: usize) -> Vec<Value> {
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    counts.into_iter().take(limit).map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

pub(super) async fn tsdb(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let stats = app.metrics.stats().await.map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "sizes of the store could not be read");
        PrometheusError::internal("the store cannot be read, see the server's log")
    })?;
    let limit = if form.get("limit").is_some() { form.limit("limit")? } else { LARGEST };
    let by_source: Vec<Value> = stats
        .sources
        .iter()
        .map(|source| json!({ "name": source.source.as_ref(), "value": source.active_series }))
        .collect();
    let max_series = app.config.current().query.max_series;
    let active = app.metrics.series(Vec::new(), now_ms() - HOUR_MS, Millis::MAX, max_series).await;
    let (mut names, mut pairs) = (BTreeMap::new(), BTreeMap::new());
    for labels in &active {
        for (name, value) in labels.iter() {
            if name == "__name__" {
                *names.entry(value.to_owned()).or_insert(0) += 1;
            }
            *pairs.entry(format!("{name}={value}")).or_insert(0) += 1;
        }
    }
    let (mut values, mut bytes) = (BTreeMap::new(), BTreeMap::new());
    for pair in pairs.keys() {
        if let Some((name, value)) = pair.split_once('=') {
            *values.entry(name.to_owned()).or_insert(0) += 1;
            *bytes.entry(name.to_owned()).or_insert(0) += value.len();
        }
    }
    respond(Success::new(json!({
        "headStats": {
            "numSeries": stats.active_series,
            "numLabelPairs": pairs.len(),
            "numSamples": stats.head_samples,
            "chunkCount": stats.buckets,
            "minTime": stats.oldest_ms,
            "maxTime": stats.newest_ms,
        },
        "seriesCountByMetricName": largest(names, limit),
        "labelValueCountByLabelName": largest(values, limit),
        "seriesCountByLabelValuePair": largest(pairs, limit),
        "memoryInBytesByLabelName": largest(bytes, limit),
        "diskBytes": stats.disk_bytes,
        "usedBytes": stats.used_bytes,
        "damagedRows": stats.damaged_rows,
        "seriesCountBySource": by_source,
    })))
    .await
}
