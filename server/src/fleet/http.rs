//! HTTP of the fleet: what agents call, and what people see and manage of it.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use siaga_protocol::agent_api::{ActionOffer, EnrolRequest, EnrolResponse, Hello};
use siaga_protocol::orders::{OrderBatch, OrderResult, public_key_text};
use siaga_protocol::paths;

use super::{
    ClockVerdict, EnrolError, HostClock, enrol, is_plain_name, is_silent, new_enrol_token, note_refusal,
    orders, retire,
};
use crate::access::Right;
use crate::app::App;
use crate::http::{Access, ApiError, Caller, JsonBody, OptionalJsonBody, Params, Routes};
use crate::records::{RecordsError, hosts, orders as order_rows};
use crate::time::{Millis, millis, now_ms};

/// Routes of the fleet.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .post(paths::ENROL, Access::Public, "enrol a host with a one-time token", enrol_host)
        .put(paths::HELLO, Access::Agent, "what an agent is and may do", hello)
        .get(paths::ORDERS, Access::Agent, "long poll for orders (wait_seconds, 0 to 60)", poll_orders)
        .post(paths::ORDER_RESULTS, Access::Agent, "the result of an order", order_result)
        .get("/api/v1/hosts", Right::ViewServers, "all hosts with their state", list_hosts)
        .get("/api/v1/hosts/{instance}", Right::ViewServers, "one host", show_host)
        .delete("/api/v1/hosts/{instance}", Right::ManageFleet, "take a host out of service", retire_host)
        .post(
            "/api/v1/enrol-tokens",
            Right::ManageFleet,
            "make a one-time enrolment token (host: for that host in service alone)",
            create_enrol_token,
        )
}

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> Self {
        match error {
            EnrolError::BadToken => Self::unauthorized(error.to_string()).at("token"),
            EnrolError::BadField { field } => Self::bad_request(error.to_string()).at(field),
            EnrolError::TooManyHosts(_) => Self::conflict(error.to_string()),
            EnrolError::AlreadyEnrolled | EnrolError::OtherHost { .. } => {
                Self::conflict(error.to_string()).at("machine_id")
            }
            EnrolError::UnknownHost(_) => {
                Self::new(axum::http::StatusCode::NOT_FOUND, error.to_string()).at("host")
            }
            EnrolError::Records(error) => error.into(),
        }
    }
}

async fn enrol_host(
    State(app): State<App>,
    JsonBody(request): JsonBody<EnrolRequest>,
) -> Result<Json<EnrolResponse>, ApiError> {
    let max_hosts = app.config.current().fleet.max_hosts;
    let key = public_key_text(&app.order_key);
    let asked = request.clone();
    let done = app.records.run(move |db| enrol(db, &asked, key, max_hosts, now_ms())).await;
    if matches!(done, Err(EnrolError::AlreadyEnrolled | EnrolError::OtherHost { .. })) {
        tracing::warn!(hostname = request.hostname, "a host in service was to be enrolled again, refused");
        app.records.run(move |db| note_refusal(db, &request, now_ms())).await?;
    }
    let response = done?;
    app.presence.note(&response.host_id, now_ms());
    tracing::info!(host.instance = response.instance, "host enrolled");
    Ok(Json(response))
}

/// Bounds of what an agent may say of itself.
const MAX_ACTIONS: usize = 200;
const MAX_ACTION_TEXT_BYTES: usize = 500;
const MAX_INTERVAL_SECONDS: u32 = 300;

async fn hello(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(hello): JsonBody<Hello>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let host = principal.agent()?.clone();
    if !(1..=MAX_INTERVAL_SECONDS).contains(&hello.interval_seconds) {
        return Err(
            ApiError::bad_request(format!("not between 1 and {MAX_INTERVAL_SECONDS}")).at("interval_seconds")
        );
    }
    if hello.actions.len() > MAX_ACTIONS {
        return Err(ApiError::bad_request(format!("more than {MAX_ACTIONS} actions")).at("actions"));
    }
    if !is_plain_name(&hello.agent_version) {
        return Err(ApiError::bad_request("not a version").at("agent_version"));
    }
    let long = |text: &str| text.len() > MAX_ACTION_TEXT_BYTES || text.chars().any(char::is_control);
    if let Some(action) = hello.actions.iter().find(|action| long(&action.name) || long(&action.description))
    {
        let name = action.name.chars().take(40).collect::<String>();
        return Err(ApiError::bad_request(format!(
            "name or description of action {name:?} has more than {MAX_ACTION_TEXT_BYTES} bytes or control characters"
        ))
        .at("actions"));
    }
    app.presence.note(&host.id, now_ms());
    app.records.run(move |db| hosts::set_hello(db, &host.id, &hello)).await?;
    Ok(Json(serde_json::json!({})))
}

/// Longest time that a poll for orders is held.
pub const MAX_POLL_WAIT: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
struct PollParams {
    #[serde(default)]
    wait_seconds: u32,
}

async fn poll_orders(
    State(app): State<App>,
    Caller(principal): Caller,
    Params(params): Params<PollParams>,
) -> Result<Json<OrderBatch>, ApiError> {
    let host = principal.agent()?;
    app.presence.note(&host.id, now_ms());
    let wait = Duration::from_secs(params.wait_seconds.into()).min(MAX_POLL_WAIT);
    let orders = orders::poll(&app, &host.id, wait).await?;
    app.presence.note(&host.id, now_ms());
    Ok(Json(OrderBatch { orders }))
}

/// Longest text of a result that is stored, bytes.
const MAX_OUTPUT_BYTES: usize = 16 * 1024;

async fn order_result(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(result): JsonBody<OrderResult>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let host = principal.agent()?.clone();
    if result.output.len() > MAX_OUTPUT_BYTES || result.message.len() > MAX_OUTPUT_BYTES {
        return Err(ApiError::bad_request(format!("more than {MAX_OUTPUT_BYTES} bytes")).at("output"));
    }
    // When the order was given is not asked: a refusal may answer one that is none.
    if !orders::times_can_be(result.started_at_ms, result.ended_at_ms, 0, now_ms()) {
        let error = "times that cannot be: before 1970, in the future, or the end before the start";
        return Err(ApiError::bad_request(error).at("started_at_ms"));
    }
    app.presence.note(&host.id, now_ms());
    let stored = app.records.run(move |db| order_rows::set_result(db, &host.id, &result, now_ms())).await?;
    app.answer_news.send_modify(|count| *count += 1);
    Ok(Json(serde_json::json!({ "stored": stored })))
}

/// A host in answers.
#[derive(Debug, Serialize)]
pub struct HostBody {
    id: String,
    instance: String,
    hostname: String,
    agent_version: String,
    interval_seconds: u32,
    enrolled_at_ms: Millis,
    started_at_ms: Option<Millis>,
    last_heard_ms: Millis,
    silent: bool,
    /// Only while its clock is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<ClockBody>,
    actions: Vec<ActionOffer>,
}

/// A wrong clock in answers.
#[derive(Debug, Serialize)]
struct ClockBody {
    /// The host's minus the server's.
    difference_ms: Millis,
    since_ms: Millis,
}

impl HostBody {
    fn new(app: &App, host: hosts::Host, now: Millis) -> Self {
        Self {
            last_heard_ms: app.presence.last_heard(&host),
            silent: host_is_silent(app, &host, now),
            clock: wrong_clock(app, &host, now)
                .map(|clock| ClockBody { difference_ms: clock.difference_ms, since_ms: clock.since_ms }),
            id: host.id,
            instance: host.instance,
            hostname: host.hostname,
            agent_version: host.agent_version,
            interval_seconds: host.interval_seconds,
            enrolled_at_ms: host.enrolled_at_ms,
            started_at_ms: host.started_at_ms,
            actions: host.actions,
        }
    }
}

/// Whether a host's agent is silent now.
#[must_use]
pub fn host_is_silent(app: &App, host: &hosts::Host, now: Millis) -> bool {
    let silent_after = millis(app.config.current().fleet.silent_after);
    is_silent(now, app.presence.last_heard(host), app.presence.down(), silent_after, host.interval_seconds)
}

/// A host's clock, if it is wrong. That of a silent host is not judged.
#[must_use]
pub fn wrong_clock(app: &App, host: &hosts::Host, now: Millis) -> Option<HostClock> {
    let clock = app.presence.clock(&host.id).filter(|clock| clock.verdict == ClockVerdict::Wrong)?;
    (!host_is_silent(app, host, now)).then_some(clock)
}

async fn list_hosts(State(app): State<App>) -> Result<Json<Vec<HostBody>>, ApiError> {
    let hosts = app.records.run(|db| hosts::list(db)).await?;
    let now = now_ms();
    Ok(Json(hosts.into_iter().map(|host| HostBody::new(&app, host, now)).collect()))
}

async fn show_host(State(app): State<App>, Path(instance): Path<String>) -> Result<Json<HostBody>, ApiError> {
    let wanted = instance.clone();
    let host = app.records.run(move |db| hosts::by_instance(db, &wanted)).await?;
    let host = host.ok_or_else(|| ApiError::not_found(format!("host {instance}")))?;
    Ok(Json(HostBody::new(&app, host, now_ms())))
}

async fn retire_host(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(instance): Path<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    retire(&app, &instance, &principal.actor()).await?;
    Ok(Json(serde_json::json!({ "retired": true })))
}

/// A new enrolment token in answers.
#[derive(Debug, Serialize)]
struct EnrolTokenBody {
    token: String,
    expires_at_ms: Millis,
}

/// Body of a new enrolment token; may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct NewEnrolToken {
    /// Instance of the host in service that is to be enrolled again.
    host: Option<String>,
}

async fn create_enrol_token(
    State(app): State<App>,
    Caller(principal): Caller,
    OptionalJsonBody(new): OptionalJsonBody<NewEnrolToken>,
) -> Result<Json<EnrolTokenBody>, ApiError> {
    let valid = app.config.current().fleet.enrol_token_valid;
    let actor = principal.actor();
    let records = app.records.clone();
    let now = now_ms();
    let token = tokio::task::spawn_blocking(move || {
        new_enrol_token(&records, new.host.as_deref(), valid, &actor, now)
    })
    .await
    .map_err(|_| RecordsError::Task)??;
    Ok(Json(EnrolTokenBody { token, expires_at_ms: now + millis(valid) }))
}
