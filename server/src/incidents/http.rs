//! HTTP of the queue for programs.

use axum::Json;
use axum::extract::{Path, State as Parts};
use serde::{Deserialize, Serialize};

use super::handling::{self, Actor, Draft, HandlingError};
use super::{Grade, Impact, Priority, Urgency, pages, year};
use crate::access::{Principal, Right};
use crate::app::App;
use crate::http::{ApiError, Caller, JsonBody, Params, Routes};
use crate::records::incident_events::{self, Event};
use crate::records::incident_signals::{self, StoredSignal};
use crate::records::incidents::{self, Filter, Incident, StateFilter};
use crate::records::rusqlite::Connection;
use crate::time::{Millis, now_ms};

/// Incidents in one answer, at most.
const MAX_LIMIT: u32 = 1_000;
/// Incidents in one answer, if nothing is said.
const DEFAULT_LIMIT: u32 = 100;
/// Signals of one incident that are shown; older ones stay in the records.
const MAX_SIGNALS: u32 = 500;
/// Entries of the history that are shown; older ones stay in the records.
const MAX_EVENTS: u32 = 1_000;

/// Routes of this part.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/incidents",
            Right::ViewIncidents,
            "incidents, newest first (state, instance, priority, limit, after)",
            list,
        )
        .post("/api/v1/incidents", Right::HandleIncidents, "record an incident", record)
        .get(
            "/api/v1/incidents/{number}",
            Right::ViewIncidents,
            "one incident with signals and history",
            show,
        )
        .post("/api/v1/incidents/{number}/take", Right::HandleIncidents, "handle an incident", take)
        .post("/api/v1/incidents/{number}/comments", Right::HandleIncidents, "add a note", comment)
        .post(
            "/api/v1/incidents/{number}/resolve",
            Right::HandleIncidents,
            "resolve with a solution",
            resolve,
        )
        .post(
            "/api/v1/incidents/{number}/priority",
            Right::CoordinateIncidents,
            "set the priority",
            prioritise,
        )
        .merge(pages::routes())
}

impl From<HandlingError> for ApiError {
    fn from(error: HandlingError) -> Self {
        match error {
            HandlingError::Unknown(number) => Self::not_found(format!("incident {number}")),
            HandlingError::Resolved(_) | HandlingError::CauseOpen(_) => Self::conflict(error.to_string()),
            HandlingError::Field { field, reason } => Self::bad_request(reason).at(field),
            HandlingError::Records(error) => error.into(),
        }
    }
}

/// An incident in answers.
#[derive(Debug, Serialize)]
struct IncidentBody {
    number: String,
    instance: Option<String>,
    component: String,
    manual: bool,
    state: &'static str,
    impact: &'static str,
    urgency: &'static str,
    priority: &'static str,
    title_id: String,
    title_en: String,
    detail_id: String,
    detail_en: String,
    started_at_ms: Millis,
    opened_at_ms: Millis,
    quiet_since_ms: Option<Millis>,
    resolved_at_ms: Option<Millis>,
    resolved_by: Option<String>,
    solution: String,
    handler: Option<String>,
}

impl From<Incident> for IncidentBody {
    fn from(incident: Incident) -> Self {
        Self {
            number: incident.number,
            instance: Some(incident.cause.instance).filter(|instance| !instance.is_empty()),
            component: incident.cause.component,
            manual: incident.manual,
            state: incident.state.code(),
            impact: incident.grade.impact.code(),
            urgency: incident.grade.urgency.code(),
            priority: incident.priority.code(),
            title_id: incident.title_id,
            title_en: incident.title_en,
            detail_id: incident.detail_id,
            detail_en: incident.detail_en,
            started_at_ms: incident.started_at_ms,
            opened_at_ms: incident.opened_at_ms,
            quiet_since_ms: incident.quiet_since_ms,
            resolved_at_ms: incident.resolved_at_ms,
            resolved_by: incident.resolved_by,
            solution: incident.solution,
            handler: incident.handler,
        }
    }
}

/// A signal in answers.
#[derive(Debug, Serialize)]
struct SignalBody {
    source: &'static str,
    key: String,
    severity: &'static str,
    title_id: String,
    title_en: String,
    detail_id: String,
    detail_en: String,
    value: Option<f64>,
    started_at_ms: Millis,
    ended_at_ms: Option<Millis>,
    occurrences: i64,
}

impl From<StoredSignal> for SignalBody {
    fn from(signal: StoredSignal) -> Self {
        Self {
            source: signal.source.code(),
            key: signal.key,
            severity: signal.severity.code(),
            title_id: signal.title_id,
            title_en: signal.title_en,
            detail_id: signal.detail_id,
            detail_en: signal.detail_en,
            value: signal.value,
            started_at_ms: signal.started_at_ms,
            ended_at_ms: signal.ended_at_ms,
            occurrences: signal.occurrences,
        }
    }
}

/// An entry of the history in answers.
#[derive(Debug, Serialize)]
struct EventBody {
    at_ms: Millis,
    actor: String,
    kind: &'static str,
    detail_id: String,
    detail_en: String,
}

impl From<Event> for EventBody {
    fn from(event: Event) -> Self {
        Self {
            at_ms: event.at_ms,
            actor: event.actor,
            kind: event.kind.code(),
            detail_id: event.detail_id,
            detail_en: event.detail_en,
        }
    }
}

/// One incident with all that belongs to it.
#[derive(Debug, Serialize)]
struct WholeBody {
    #[serde(flatten)]
    incident: IncidentBody,
    signals: Vec<SignalBody>,
    events: Vec<EventBody>,
}

/// One incident with what belongs to it.
pub(super) struct Whole {
    pub(super) incident: Incident,
    pub(super) signals: Vec<StoredSignal>,
    pub(super) events: Vec<Event>,
}

/// Loads an incident with what belongs to it.
pub(super) async fn load(app: &App, number: String) -> Result<Whole, ApiError> {
    app.records
        .run(move |db| {
            let incident = incidents::by_number(db, &number)?
                .ok_or_else(|| ApiError::not_found(format!("incident {number}")))?;
            let signals = incident_signals::of_incident(db, &incident.id, MAX_SIGNALS)?;
            let events = incident_events::of_incident(db, &incident.id, MAX_EVENTS)?;
            Ok(Whole { incident, signals, events })
        })
        .await
}

/// Reads a code from a parameter or field; empty means none.
pub(super) fn code<T>(
    field: &'static str,
    value: Option<&str>,
    from_code: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    match value.filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => from_code(value)
            .map(Some)
            .ok_or_else(|| ApiError::bad_request(format!("{value:?} is not a value of {field}")).at(field)),
    }
}

#[derive(Debug, Deserialize)]
struct ListParams {
    state: Option<String>,
    instance: Option<String>,
    priority: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

async fn list(
    Parts(app): Parts<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<Vec<IncidentBody>>, ApiError> {
    let filter = Filter {
        state: code("state", params.state.as_deref(), StateFilter::from_code)?,
        instance: params.instance.filter(|instance| !instance.is_empty()),
        priority: code("priority", params.priority.as_deref(), Priority::from_code)?,
    };
    let limit = params.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT);
    let found =
        app.records.run(move |db| incidents::newest(db, &filter, params.after.as_deref(), limit)).await?;
    Ok(Json(found.into_iter().map(IncidentBody::from).collect()))
}

async fn show(Parts(app): Parts<App>, Path(number): Path<String>) -> Result<Json<WholeBody>, ApiError> {
    whole(&app, number).await
}

async fn whole(app: &App, number: String) -> Result<Json<WholeBody>, ApiError> {
    let Whole { incident, signals, events } = load(app, number).await?;
    Ok(Json(WholeBody {
        incident: incident.into(),
        signals: signals.into_iter().map(SignalBody::from).collect(),
        events: events.into_iter().map(EventBody::from).collect(),
    }))
}

/// Runs an action of a person in one transaction.
pub(super) async fn act<T: Send + 'static>(
    app: &App,
    principal: &Principal,
    action: impl FnOnce(&Connection, &Actor) -> Result<T, HandlingError> + Send + 'static,
) -> Result<T, ApiError> {
    let actor = Actor { username: principal.user()?.username.clone(), now_ms: now_ms() };
    Ok(app.records.run(move |db| action(db, &actor)).await?)
}

async fn take(
    Parts(app): Parts<App>,
    Caller(principal): Caller,
    Path(number): Path<String>,
) -> Result<Json<WholeBody>, ApiError> {
    let wanted = number.clone();
    act(&app, &principal, move |db, actor| handling::take(db, &wanted, actor)).await?;
    whole(&app, number).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommentBody {
    text: String,
}

async fn comment(
    Parts(app): Parts<App>,
    Caller(principal): Caller,
    Path(number): Path<String>,
    JsonBody(body): JsonBody<CommentBody>,
) -> Result<Json<WholeBody>, ApiError> {
    let wanted = number.clone();
    act(&app, &principal, move |db, actor| handling::comment(db, &wanted, &body.text, actor)).await?;
    whole(&app, number).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveBody {
    solution: String,
}

async fn resolve(
    Parts(app): Parts<App>,
    Caller(principal): Caller,
    Path(number): Path<String>,
    JsonBody(body): JsonBody<ResolveBody>,
) -> Result<Json<WholeBody>, ApiError> {
    let wanted = number.clone();
    act(&app, &principal, move |db, actor| handling::resolve(db, &wanted, &body.solution, actor)).await?;
    whole(&app, number).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PriorityBody {
    priority: String,
}

async fn prioritise(
    Parts(app): Parts<App>,
    Caller(principal): Caller,
    Path(number): Path<String>,
    JsonBody(body): JsonBody<PriorityBody>,
) -> Result<Json<WholeBody>, ApiError> {
    let priority = code("priority", Some(&body.priority), Priority::from_code)?
        .ok_or_else(|| ApiError::bad_request("must not be empty").at("priority"))?;
    let wanted = number.clone();
    act(&app, &principal, move |db, actor| handling::prioritise(db, &wanted, priority, actor)).await?;
    whole(&app, number).await
}

/// What a person records; also the fields of the page's form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordBody {
    title: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    instance: String,
    #[serde(default)]
    component: String,
    impact: String,
    urgency: String,
}

/// Records an incident and gives its number.
pub(super) async fn record_new(
    app: &App,
    principal: &Principal,
    body: RecordBody,
) -> Result<String, ApiError> {
    let missing = |field: &'static str| ApiError::bad_request("must not be empty").at(field);
    let impact = code("impact", Some(&body.impact), Impact::from_code)?.ok_or_else(|| missing("impact"))?;
    let urgency =
        code("urgency", Some(&body.urgency), Urgency::from_code)?.ok_or_else(|| missing("urgency"))?;
    let draft = Draft {
        title: body.title,
        detail: body.detail,
        instance: body.instance,
        component: body.component,
        grade: Grade { impact, urgency },
    };
    let config = app.config.current();
    act(app, principal, move |db, actor| handling::record(db, &draft, year(&config, actor.now_ms), actor))
        .await
}

async fn record(
    Parts(app): Parts<App>,
    Caller(principal): Caller,
    JsonBody(body): JsonBody<RecordBody>,
) -> Result<Json<WholeBody>, ApiError> {
    let number = record_new(&app, &principal, body).await?;
    whole(&app, number).await
}
