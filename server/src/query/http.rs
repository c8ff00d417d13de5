//! HTTP of the Prometheus API under `/prometheus/api/v1`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use siaga_tsdb::Matcher;

use super::answer::{QueryData, Success};
use super::{Form, PrometheusError};
use crate::access::Right;
use crate::app::App;
use crate::fleet::http::host_is_silent;
use crate::http::{ApiError, Routes};
use crate::metrics::parse_selector;
use crate::records::hosts;
use crate::time::{Millis, now_ms};

/// Routes of the Prometheus API.
#[must_use]
pub fn routes() -> Routes {
    let right = Right::ViewServers;
    Routes::new()
        .get("/prometheus/api/v1/query", right, "evaluate at one time", query)
        .post("/prometheus/api/v1/query", right, "evaluate at one time", query)
        .get("/prometheus/api/v1/query_range", right, "evaluate over a range", query_range)
        .post("/prometheus/api/v1/query_range", right, "evaluate over a range", query_range)
        .get("/prometheus/api/v1/series", right, "label sets of series", series)
        .post("/prometheus/api/v1/series", right, "label sets of series", series)
        .get("/prometheus/api/v1/labels", right, "names of labels", labels)
        .post("/prometheus/api/v1/labels", right, "names of labels", labels)
        .get("/prometheus/api/v1/label/{name}/values", right, "values of a label", label_values)
        .get("/prometheus/api/v1/metadata", right, "types and help of metrics", metadata)
        .get("/prometheus/api/v1/targets", right, "agents as targets", targets)
        .get("/prometheus/api/v1/query_exemplars", right, "exemplars: none are kept", exemplars)
        .post("/prometheus/api/v1/query_exemplars", right, "exemplars: none are kept", exemplars)
        .get("/prometheus/api/v1/status/buildinfo", right, "version", buildinfo)
        .get("/prometheus/api/v1/status/tsdb", right, "sizes of the store", tsdb)
}

/// An answer as a body. Serializing a large one takes its time, so it is done off the async threads.
async fn respond<T: Serialize + Send + 'static>(success: Success<T>) -> Result<Response, PrometheusError> {
    let body = tokio::task::spawn_blocking(move || serde_json::to_vec(&success)).await;
    match body {
        Ok(Ok(body)) => Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response()),
        _ => Ok(ApiError::internal("an answer could not be written").into_response()),
    }
}

async fn query(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let at = form.time("time")?.unwrap_or_else(now_ms);
    let answer = app.metrics.instant(form.required("query")?, at).await?;
    respond(QueryData::success(answer)).await
}

async fn query_range(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let text = form.required("query")?;
    let missing = |name: &'static str| PrometheusError::bad_parameter(name, "is missing");
    let start = form.time("start")?.ok_or_else(|| missing("start"))?;
    let end = form.time("end")?.ok_or_else(|| missing("end"))?;
    let step = form.duration("step")?.ok_or_else(|| missing("step"))?;
    if end < start {
        return Err(PrometheusError::bad_parameter("end", "end timestamp must not be before start time"));
    }
    if step <= 0 {
        return Err(PrometheusError::bad_parameter(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    let answer = app.metrics.range(text, start, end, step).await?;
    respond(QueryData::success(answer)).await
}

/// Selectors of one request; each costs a parse and a search.
const MAX_SELECTORS: usize = 64;

fn selectors(form: &Form) -> Result<Vec<Vec<Matcher>>, PrometheusError> {
    let texts: Vec<&str> = form.all("match[]").take(MAX_SELECTORS + 1).collect();
    if texts.len() > MAX_SELECTORS {
        return Err(PrometheusError::bad_parameter(
            "match[]",
            format!("more than {MAX_SELECTORS} selectors"),
        ));
    }
    texts.into_iter().map(|text| parse_selector(text).map_err(PrometheusError::from)).collect()
}

fn range(form: &Form) -> Result<(Millis, Millis), PrometheusError> {
    let (start, end) = (form.time("start")?.unwrap_or(0), form.time("end")?.unwrap_or(Millis::MAX));
    if end < start {
        return Err(PrometheusError::bad_parameter(
            "end",
            "end timestamp must not be before start timestamp",
        ));
    }
    Ok((start, end))
}

async fn series(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let selectors = selectors(&form)?;
    if selectors.is_empty() {
        return Err(PrometheusError::bad_parameter("match[]", "no match[] parameter provided"));
    }
    let (start, end) = range(&form)?;
    let found = app.metrics.series(selectors, start, end, form.limit("limit")?).await;
    let data: Vec<BTreeMap<String, String>> = found
        .iter()
        .map(|labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        .collect();
    respond(Success::new(data)).await
}

async fn labels(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let (start, end) = range(&form)?;
    let names = app.metrics.label_names(selectors(&form)?, start, end, form.limit("limit")?).await;
    respond(Success::new(names.iter().map(ToString::to_string).collect::<Vec<_>>())).await
}

async fn label_values(
    State(app): State<App>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, PrometheusError> {
    let name = unescape_label_name(&name);
    let (start, end) = range(&form)?;
    let values = app.metrics.label_values(name, selectors(&form)?, start, end, form.limit("limit")?).await;
    respond(Success::new(values.iter().map(ToString::to_string).collect::<Vec<_>>())).await
}

/// Undoes Prometheus' `U__` escape of label names in paths: `_2e_` stands for `.`, `__` for `_`.
fn unescape_label_name(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(end) = rest.find('_') else { return name.to_owned() };
        if end == 0 {
            out.push('_');
        } else {
            match u32::from_str_radix(&rest[..end], 16).ok().and_then(char::from_u32) {
                Some(c) => out.push(c),
                None => return name.to_owned(),
            }
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

async fn metadata(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let families = app.metrics.catalogue.list(form.get("metric"), form.limit("limit")?);
    let data: BTreeMap<String, Value> = families
        .into_iter()
        .map(|(name, info)| (name, json!([{ "type": info.kind, "help": info.help, "unit": info.unit }])))
        .collect();
    respond(Success::new(data)).await
}

async fn targets(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let hosts = app.records.run(|db| hosts::list(db)).await?;
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
                "scrapeInterval": format!("{}s", host.interval_seconds),
                "health": health,
            })
        })
        .collect();
    Ok(Json(json!({ "status": "success", "data": { "activeTargets": active, "droppedTargets": [] } })))
}

async fn exemplars() -> Json<Value> {
    Json(json!({ "status": "success", "data": [] }))
}

async fn buildinfo() -> Json<Value> {
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

async fn tsdb(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let stats = app.metrics.stats().await?;
    let by_source: Vec<Value> = stats
        .sources
        .iter()
        .map(|source| json!({ "name": source.source.as_ref(), "value": source.active_series }))
        .collect();
    Ok(Json(json!({
        "status": "success",
        "data": {
            "headStats": {
                "numSeries": stats.active_series,
                "numSamples": stats.head_samples,
                "chunkCount": stats.buckets,
                "minTime": stats.oldest_ms,
                "maxTime": stats.newest_ms,
            },
            "diskBytes": stats.disk_bytes,
            "usedBytes": stats.used_bytes,
            "damagedRows": stats.damaged_rows,
            "seriesCountBySource": by_source,
        }
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_label_names_are_read_back() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__http_2e_code", "http.code"),
            ("U__a__b", "a_b"),
            ("U__broken_2e", "U__broken_2e"),
        ] {
            assert_eq!(unescape_label_name(escaped), name);
        }
    }
}
