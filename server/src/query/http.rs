//! HTTP of the Prometheus API under `/prometheus/api/v1`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use siaga_tsdb::Matcher;

use super::answer::Success;
use super::evaluated::Evaluated;
use super::{Form, PrometheusError, admin, read, status};
use crate::access::Right;
use crate::app::App;
use crate::http::{ApiError, Routes};
use crate::metrics::{Overrides, parse_selector};
use crate::time::{Millis, now_ms};

/// Routes of the Prometheus API.
#[must_use]
pub fn routes() -> Routes {
    let (right, admin_right) = (Right::ViewServers, Right::DeleteSamples);
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
        .get("/prometheus/api/v1/format_query", right, "a query laid out for reading", format_query)
        .post("/prometheus/api/v1/format_query", right, "a query laid out for reading", format_query)
        .get("/prometheus/api/v1/metadata", right, "types and help of metrics", status::metadata)
        .get("/prometheus/api/v1/targets", right, "agents as targets", status::targets)
        .get("/prometheus/api/v1/query_exemplars", right, "exemplars: none are kept", status::exemplars)
        .post("/prometheus/api/v1/query_exemplars", right, "exemplars: none are kept", status::exemplars)
        .get("/prometheus/api/v1/status/buildinfo", right, "version", status::buildinfo)
        .post("/prometheus/api/v1/status/buildinfo", right, "version", status::buildinfo)
        .get("/prometheus/api/v1/status/tsdb", right, "sizes of the store", status::tsdb)
        .get("/prometheus/federate", right, "newest samples as text", read::federate)
        .post("/prometheus/api/v1/read", right, "remote read, answered with samples", read::read)
        .post(
            "/prometheus/api/v1/admin/tsdb/delete_series",
            admin_right,
            "delete samples of series",
            admin::delete_series,
        )
        .put(
            "/prometheus/api/v1/admin/tsdb/delete_series",
            admin_right,
            "delete samples of series",
            admin::delete_series,
        )
        .post(
            "/prometheus/api/v1/admin/tsdb/clean_tombstones",
            admin_right,
            "nothing: there are no tombstones",
            admin::clean_tombstones,
        )
}

/// An answer as a body. Serializing a large one takes its time, so it is done off the async threads.
pub(super) async fn respond<T: Serialize + Send + 'static>(
    success: Success<T>,
) -> Result<Response, PrometheusError> {
    write(move || serde_json::to_string(&success)).await
}

async fn write(
    body: impl FnOnce() -> serde_json::Result<String> + Send + 'static,
) -> Result<Response, PrometheusError> {
    match tokio::task::spawn_blocking(body).await {
        Ok(body) => Ok(as_json(body)),
        Err(_) => Ok(ApiError::internal("an answer could not be written").into_response()),
    }
}

/// Bytes of an answer that is written faster than another thread takes to begin: less than a millisecond.
const SMALL_ANSWER: usize = 256 << 10;

/// The answer as a body; until that is made both count as memory of queries.
async fn written(app: &App, evaluated: Evaluated) -> Result<Response, PrometheusError> {
    let bytes = evaluated.bytes();
    let held = app.metrics.hold(bytes)?;
    let body = move || {
        let _held = held;
        evaluated.body()
    };
    if bytes > SMALL_ANSWER { write(body).await } else { Ok(as_json(body())) }
}

fn as_json(body: serde_json::Result<String>) -> Response {
    match body {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => ApiError::internal("an answer could not be written").into_response(),
    }
}

async fn query(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let at = form.time("time")?.unwrap_or_else(now_ms);
    let text = form.required("query")?;
    let answer = app.metrics.instant_with(text, at, overrides(&form)?).await?;
    written(&app, Evaluated(answer).limited(form.limit("limit")?)).await
}

/// What a request asks for in place of the configuration.
fn overrides(form: &Form) -> Result<Overrides, PrometheusError> {
    let duration = |name| {
        let positive = |ms: Millis| match u64::try_from(ms) {
            Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
            _ => Err(PrometheusError::bad_parameter(name, "must be greater than 0")),
        };
        form.duration(name)?.map(positive).transpose()
    };
    Ok(Overrides { timeout: duration("timeout")?, lookback: duration("lookback_delta")? })
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
    let answer = app.metrics.range_with(text, (start, end), step, overrides(&form)?).await?;
    written(&app, Evaluated(answer).limited(form.limit("limit")?)).await
}

/// Selectors of one request; each costs a parse and a search.
const MAX_SELECTORS: usize = 64;

pub(crate) fn selectors(form: &Form) -> Result<Vec<Vec<Matcher>>, PrometheusError> {
    let texts: Vec<&str> = form.all("match[]").take(MAX_SELECTORS + 1).collect();
    if texts.len() > MAX_SELECTORS {
        return Err(PrometheusError::bad_parameter(
            "match[]",
            format!("more than {MAX_SELECTORS} selectors"),
        ));
    }
    texts.into_iter().map(|text| parse_selector(text).map_err(PrometheusError::from)).collect()
}

pub(super) fn range(form: &Form) -> Result<(Millis, Millis), PrometheusError> {
    let (start, end) = (form.time("start")?.unwrap_or(0), form.time("end")?.unwrap_or(Millis::MAX));
    if end < start {
        return Err(PrometheusError::bad_parameter(
            "end",
            "end timestamp must not be before start timestamp",
        ));
    }
    Ok((start, end))
}

/// How long a list may become: shorter by the request, which is then told so; never longer than the configuration says.
struct Bound {
    wanted: usize,
    most: usize,
}

impl Bound {
    fn new(app: &App, form: &Form) -> Result<Self, PrometheusError> {
        Ok(Self { wanted: form.limit("limit")?, most: app.config.current().query.max_series })
    }

    /// One more than may be answered, so that more is noticed.
    fn asked(&self) -> usize {
        self.wanted.min(self.most).saturating_add(1)
    }

    /// The list cut to what was wanted, with a warning if it was longer.
    fn apply<T>(&self, mut list: Vec<T>) -> Result<(Vec<T>, Vec<String>), PrometheusError> {
        if self.wanted > self.most && list.len() > self.most {
            return Err(PrometheusError::execution(format!(
                "the answer would have more than {} entries. Use a narrower match[] or a limit",
                self.most
            )));
        }
        let cut = list.len() > self.wanted.min(self.most);
        list.truncate(self.wanted.min(self.most));
        let warnings = if cut { vec![super::answer::TRUNCATED.to_owned()] } else { Vec::new() };
        Ok((list, warnings))
    }
}

fn texts((list, warnings): (Vec<Arc<str>>, Vec<String>)) -> Success<Vec<String>> {
    Success { data: list.iter().map(ToString::to_string).collect(), warnings, infos: Vec::new() }
}

async fn series(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let selectors = selectors(&form)?;
    if selectors.is_empty() {
        return Err(PrometheusError::bad_parameter("match[]", "no match[] parameter provided"));
    }
    let (start, end) = range(&form)?;
    let bound = Bound::new(&app, &form)?;
    let found = app.metrics.series(selectors, start, end, bound.asked()).await;
    let (found, warnings) = bound.apply(found)?;
    let data: Vec<BTreeMap<String, String>> = found
        .iter()
        .map(|labels| labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        .collect();
    respond(Success { data, warnings, infos: Vec::new() }).await
}

async fn labels(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    let (start, end) = range(&form)?;
    let bound = Bound::new(&app, &form)?;
    let names = app.metrics.label_names(selectors(&form)?, start, end, bound.asked()).await;
    respond(texts(bound.apply(names)?)).await
}

async fn label_values(
    State(app): State<App>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, PrometheusError> {
    let name = unescape_label_name(&name);
    let (start, end) = range(&form)?;
    let bound = Bound::new(&app, &form)?;
    let values = app.metrics.label_values(name, selectors(&form)?, start, end, bound.asked()).await;
    respond(texts(bound.apply(values)?)).await
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

async fn format_query(State(app): State<App>, form: Form) -> Result<Response, PrometheusError> {
    respond(Success::new(app.metrics.format(form.required("query")?)?)).await
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
