//! HTTP of the forecasts.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::evaluation::{Crossing, Evaluation, HorizonPoint, Reason, Remark};
use super::live;
use super::measure::measure_history;
use super::pass::{self, Progress, Scope};
use super::resource::{ResourceKey, ResourceKind};
use super::state::State;
use super::views;
use crate::access::Right;
use crate::app::App;
use crate::http::{ApiError, Caller, Params, Routes};
use crate::records::audit;
use crate::records::forecasts::{self, Latest, Run};
use crate::time::{DAY_MS, Millis, now_ms};

/// Routes of the forecasts.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/forecasts",
            Right::ViewCapacity,
            "newest forecasts, the most urgent first (instance)",
            list,
        )
        .post("/api/v1/forecasts/refresh", Right::PlanCapacity, "make all forecasts anew", refresh)
        .get(
            "/api/v1/forecasts/{instance}/{resource}",
            Right::ViewCapacity,
            "one forecast with its paths and the measured history (item)",
            show,
        )
        .merge(super::pages::routes())
        .merge(super::plan_http::routes())
        .merge(super::plan_pages::routes())
        .merge(super::anomaly::http::routes())
        .merge(super::services::http::routes())
        .merge(super::services::pages::routes())
        .merge(super::calendar::http::routes())
        .merge(super::calendar::pages::routes())
        .merge(super::report::pages::routes())
        .merge(super::report::http::routes())
}

/// A forecast in answers.
#[derive(Debug, Serialize)]
struct ForecastBody {
    instance: String,
    resource: &'static str,
    item: String,
    state: State,
    made_at_ms: Millis,
    data_end_ms: Millis,
    known_hours: u32,
    /// What 100 percent is: bytes for filesystems, else 100.
    full: f64,
    threshold_percent: f64,
    current_percent: Option<f64>,
    /// What the use now is worth: `firm`, `brief` (too few samples to be judged) or `late`.
    standing: &'static str,
    /// When the use now was measured, if that is `late`.
    current_at_ms: Option<Millis>,
    /// `past` (exceeded now), `within` or `never`; none without a forecast.
    crossing: Option<&'static str>,
    earliest_ms: Option<Millis>,
    likely_ms: Option<Millis>,
    latest_ms: Option<Millis>,
    /// Days from now; none means not within a year, or no forecast.
    earliest_days: Option<f64>,
    likely_days: Option<f64>,
    latest_days: Option<f64>,
    breach_7d: Option<f64>,
    breach_30d: Option<f64>,
    breach_90d: Option<f64>,
    model: Option<String>,
    mase: Option<f64>,
    smape: Option<f64>,
    coverage: Option<f64>,
    trend_percent_per_day: Option<f64>,
    trend_significant: Option<bool>,
    horizons: Vec<HorizonPoint>,
    remarks: Vec<Remark>,
    /// Why there is no forecast.
    reason: Option<Reason>,
    /// The same for people, in English.
    reason_text: Option<String>,
    /// Start of the signal that this forecast is, while it lasts.
    signal_since_ms: Option<Millis>,
}

impl serde::Serialize for State {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl ForecastBody {
    fn new(evaluation: Evaluation, signal_since_ms: Option<Millis>, english: &crate::console::Page) -> Self {
        let now = now_ms();
        let crossing = evaluation.crossing();
        let (made, reason) = match evaluation.outcome {
            Ok(made) => (Some(made), None),
            Err(reason) => (None, Some(reason)),
        };
        let dates = match crossing {
            Some(Crossing::Within { earliest_ms, likely_ms, latest_ms }) => {
                [earliest_ms, likely_ms, latest_ms]
            }
            Some(Crossing::Past) => [Some(now); 3],
            _ => [None; 3],
        };
        let days = dates.map(|at| at.map(|at| (at - now).max(0) as f64 / DAY_MS as f64));
        let breach = |index: usize| made.as_ref().map(|made| made.breach[index]);
        Self {
            instance: evaluation.key.instance,
            resource: evaluation.key.kind.code(),
            item: evaluation.key.item,
            state: evaluation.state,
            made_at_ms: evaluation.made_at_ms,
            data_end_ms: evaluation.data_end_ms,
            known_hours: evaluation.known_hours,
            full: evaluation.full,
            threshold_percent: evaluation.threshold_percent,
            current_percent: evaluation.current_percent,
            standing: evaluation.standing.code(),
            current_at_ms: evaluation.standing.late_ms(),
            crossing: crossing.map(|crossing| match crossing {
                Crossing::Past => "past",
                Crossing::Never => "never",
                Crossing::Within { .. } => "within",
            }),
            earliest_ms: dates[0],
            likely_ms: dates[1],
            latest_ms: dates[2],
            earliest_days: days[0],
            likely_days: days[1],
            latest_days: days[2],
            breach_7d: breach(0),
            breach_30d: breach(1),
            breach_90d: breach(2),
            mase: made.as_ref().and_then(|made| made.mase),
            smape: made.as_ref().and_then(|made| made.smape),
            coverage: made.as_ref().and_then(|made| made.coverage),
            trend_percent_per_day: made.as_ref().map(|made| made.trend_percent_per_day),
            trend_significant: made.as_ref().map(|made| made.significant),
            model: made.as_ref().map(|made| made.model.clone()),
            horizons: made.as_ref().map(|made| made.horizons.clone()).unwrap_or_default(),
            remarks: made.map(|made| made.remarks).unwrap_or_default(),
            reason_text: reason.as_ref().map(|reason| views::reason(english, reason)),
            reason,
            signal_since_ms,
        }
    }
}

fn english(app: &App) -> crate::console::Page {
    let console = app.config.current().console.clone();
    let language = crate::config::Language::English;
    crate::console::Page::detached(language, &console.organisation, console.time_zone, console.simulation)
}

#[derive(Debug, Deserialize)]
struct ListParams {
    #[serde(default)]
    instance: Option<String>,
}

#[derive(Debug, Serialize)]
struct ForecastList {
    last_run: Option<Run>,
    running: Option<Progress>,
    forecasts: Vec<ForecastBody>,
}

/// The newest evaluations, the most urgent first, and the last run.
pub(crate) async fn newest(app: &App) -> Result<(Vec<Latest>, Option<Run>), ApiError> {
    let read = |db: &crate::records::rusqlite::Transaction<'_>| {
        Ok::<_, crate::records::RecordsError>((forecasts::latest(db)?, forecasts::last_run(db)?))
    };
    let (mut latest, run) = app.records.run(read).await?;
    live::judge(app, &mut latest).await;
    latest.sort_by_cached_key(|latest| (views::urgency(&latest.evaluation), latest.evaluation.key.clone()));
    Ok((latest, run))
}

async fn list(
    Shared(app): Shared<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<ForecastList>, ApiError> {
    let (latest, last_run) = newest(&app).await?;
    let english = english(&app);
    let wanted = |latest: &Latest| {
        params.instance.as_ref().is_none_or(|instance| *instance == latest.evaluation.key.instance)
    };
    let forecasts = latest
        .into_iter()
        .filter(wanted)
        .map(|latest| ForecastBody::new(latest.evaluation, latest.memory.since_ms, &english))
        .collect();
    Ok(Json(ForecastList { last_run, running: app.forecasting.progress(), forecasts }))
}

#[derive(Debug, Deserialize)]
pub(super) struct ItemParams {
    #[serde(default)]
    pub(super) item: String,
}

/// The resource of an address.
pub(super) fn key(instance: String, resource: &str, item: String) -> Result<ResourceKey, ApiError> {
    let kind = ResourceKind::from_code(resource)
        .ok_or_else(|| ApiError::not_found(format!("resource {resource}")))?;
    Ok(ResourceKey { instance, kind, item })
}

/// Hour by hour: start of the first hour and values; what is not known is `null`.
#[derive(Debug, Serialize)]
struct HourlyBody {
    start_ms: Millis,
    step_ms: Millis,
    percent: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct PathsBody {
    start_ms: Millis,
    step_ms: Millis,
    p10: Vec<f64>,
    p50: Vec<f64>,
    p90: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct DetailBody {
    forecast: ForecastBody,
    measured: HourlyBody,
    paths: Option<PathsBody>,
}

async fn show(
    Shared(app): Shared<App>,
    Path((instance, resource)): Path<(String, String)>,
    Params(params): Params<ItemParams>,
) -> Result<Json<DetailBody>, ApiError> {
    let key = key(instance, &resource, params.item)?;
    let wanted = key.clone();
    let found = app.records.run(move |db| forecasts::one(db, &wanted)).await?;
    let Some((mut latest, paths)) = found else {
        return Err(ApiError::not_found(format!("a forecast of {} on {}", key.component(), key.instance)));
    };
    live::judge(&app, std::slice::from_mut(&mut latest)).await;
    let config = app.config.current().capacity.clone();
    let history = measure_history(&app.metrics, &key, &config, now_ms())
        .await
        .map_err(|error| ApiError::from(anyhow::Error::from(error)))?;
    let full = latest.evaluation.full;
    let percent = |value: &f64| value.is_finite().then(|| value / full * 100.0);
    let step_ms = crate::time::HOUR_MS;
    Ok(Json(DetailBody {
        measured: HourlyBody {
            start_ms: history.start_ms,
            step_ms,
            percent: history.values.iter().map(percent).collect(),
        },
        paths: paths.map(|paths| PathsBody {
            start_ms: paths.start_ms,
            step_ms,
            p10: paths.p10,
            p50: paths.p50,
            p90: paths.p90,
        }),
        forecast: ForecastBody::new(latest.evaluation, latest.memory.since_ms, &english(&app)),
    }))
}

/// How long an answer waits for the pass that it started; the pass goes on in any case.
const REFRESH_WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize)]
struct RefreshBody {
    done: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Run>,
    /// The pass that goes on, if this answer did not wait for its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Progress>,
}

/// Starts a pass and waits a while for it. While one runs no other is started: its forecasts are as new.
pub(super) async fn start_refresh(app: &App, actor: String, wait: Duration) -> Result<Option<Run>, ApiError> {
    if app.forecasting.progress().is_some() {
        return Ok(None);
    }
    app.records.run(move |db| audit::add(db, now_ms(), &actor, "forecast.refresh", "", "")).await?;
    let work = app.clone();
    let task = tokio::spawn(async move { pass::run(&work, Scope::AllHostsAnew).await });
    match tokio::time::timeout(wait, task).await {
        Ok(Ok(run)) => Ok(Some(run?)),
        Ok(Err(_)) => Err(ApiError::internal("the pass ended early")),
        Err(_) => Ok(None),
    }
}

async fn refresh(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
) -> Result<(StatusCode, Json<RefreshBody>), ApiError> {
    let run = start_refresh(&app, principal.actor(), REFRESH_WAIT).await?;
    let status = if run.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(RefreshBody { done: run.is_some(), run, running: app.forecasting.progress() })))
}
