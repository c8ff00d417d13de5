//! Emergencies for programs.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use super::rules::{DeclareBody, RecoveredBody, declare, done, figures, lift, note, recovered};
use crate::access::Right;
use crate::app::App;
use crate::http::{ApiError, Caller, JsonBody, Routes};
use crate::records::disruptions::{self, Disruption, Entry};
use crate::time::Millis;

/// Disruptions of one answer or page.
pub(super) const MAX_LISTED: u32 = 200;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/emergencies", Right::ViewContinuity, "declared disruptions, newest first", list)
        .post(
            "/api/v1/emergencies",
            Right::DeclareEmergency,
            "declare an emergency (plan or service, form, reporter, reported_at_ms, began_at_ms, analysis, basis)",
            begin,
        )
        .get("/api/v1/emergencies/{id}", Right::ViewContinuity, "one disruption with its timeline", show)
        .post(
            "/api/v1/emergencies/{id}/entries",
            Right::DeclareEmergency,
            "note something, or set a task (words, owner)",
            add,
        )
        .post("/api/v1/emergencies/{id}/tasks/{task}", Right::DeclareEmergency, "a task is done (words)", end_task)
        .post(
            "/api/v1/emergencies/{id}/recovered",
            Right::DeclareEmergency,
            "the service is back (at_ms, data_until_ms, cause, effect)",
            back,
        )
        .post("/api/v1/emergencies/{id}/lift", Right::DeclareEmergency, "lift an emergency (words)", end)
}

#[derive(Debug, Serialize)]
struct EmergencyBody {
    id: String,
    number: i64,
    plan: Option<String>,
    service: String,
    address: String,
    form: String,
    reporter: String,
    reported_at_ms: Millis,
    analysis: String,
    basis: String,
    began_at_ms: Millis,
    declared_by: String,
    declared_at_ms: Millis,
    cause: Option<String>,
    effect: Option<String>,
    recovered_at_ms: Option<Millis>,
    data_until_ms: Option<Millis>,
    lifted_by: Option<String>,
    lifted_at_ms: Option<Millis>,
    lift_note: Option<String>,
    /// Targets of the plan, and what came of them.
    rto_target_ms: Option<Millis>,
    rpo_target_ms: Option<Millis>,
    rto_ms: Option<Millis>,
    rpo_ms: Option<Millis>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    timeline: Vec<EntryBody>,
}

#[derive(Debug, Serialize)]
struct EntryBody {
    seq: i64,
    at_ms: Millis,
    by: String,
    kind: String,
    task: Option<i64>,
    words: String,
    owner: Option<String>,
}

impl EmergencyBody {
    fn new(one: Disruption, entries: Vec<Entry>) -> Self {
        let (rto_ms, rpo_ms) = figures(&one);
        let entry = |one: Entry| EntryBody {
            seq: one.seq,
            at_ms: one.at_ms,
            by: one.actor,
            kind: one.kind,
            task: one.task,
            words: one.words,
            owner: one.owner,
        };
        Self {
            id: one.id,
            number: one.number,
            plan: one.plan_id,
            service: one.service,
            address: one.address,
            form: one.form,
            reporter: one.reporter,
            reported_at_ms: one.reported_at_ms,
            analysis: one.analysis,
            basis: one.basis,
            began_at_ms: one.began_at_ms,
            declared_by: one.declared_by,
            declared_at_ms: one.declared_at_ms,
            cause: one.cause,
            effect: one.effect,
            recovered_at_ms: one.recovered_at_ms,
            data_until_ms: one.data_until_ms,
            lifted_by: one.lifted_by,
            lifted_at_ms: one.lifted_at_ms,
            lift_note: one.lift_note,
            rto_target_ms: one.rto_target_ms,
            rpo_target_ms: one.rpo_target_ms,
            rto_ms,
            rpo_ms,
            timeline: entries.into_iter().map(entry).collect(),
        }
    }
}

/// A disruption with its timeline.
pub(super) async fn load(app: &App, id: &str) -> Result<(Disruption, Vec<Entry>), ApiError> {
    let wanted = id.to_owned();
    let found = app
        .records
        .run(move |db| {
            let entries = disruptions::entries(db, &wanted)?;
            Ok::<_, ApiError>(disruptions::get(db, &wanted)?.map(|one| (one, entries)))
        })
        .await?;
    found.ok_or_else(|| ApiError::not_found(format!("emergency {id}")))
}

async fn list(State(app): State<App>) -> Result<Json<Vec<EmergencyBody>>, ApiError> {
    let found = app.records.run(|db| disruptions::latest(db, MAX_LISTED)).await?;
    Ok(Json(found.into_iter().map(|one| EmergencyBody::new(one, Vec::new())).collect()))
}

async fn show(State(app): State<App>, Path(id): Path<String>) -> Result<Json<EmergencyBody>, ApiError> {
    let (one, entries) = load(&app, &id).await?;
    Ok(Json(EmergencyBody::new(one, entries)))
}

async fn begin(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(body): JsonBody<DeclareBody>,
) -> Result<(StatusCode, Json<serde_json::Value>), ApiError> {
    let id = declare(&app, &principal.actor(), body).await?;
    Ok((StatusCode::CREATED, Json(serde_json::json!({ "id": id }))))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WordsBody {
    words: String,
    #[serde(default)]
    owner: Option<String>,
}

async fn add(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<WordsBody>,
) -> Result<StatusCode, ApiError> {
    note(&app, &id, &principal.actor(), &body.words, body.owner.as_deref()).await?;
    Ok(StatusCode::CREATED)
}

async fn end_task(
    State(app): State<App>,
    Caller(principal): Caller,
    Path((id, task)): Path<(String, i64)>,
    JsonBody(body): JsonBody<WordsBody>,
) -> Result<StatusCode, ApiError> {
    done(&app, &id, &principal.actor(), task, &body.words).await?;
    Ok(StatusCode::CREATED)
}

async fn back(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<RecoveredBody>,
) -> Result<StatusCode, ApiError> {
    recovered(&app, &id, &principal.actor(), body).await?;
    Ok(StatusCode::CREATED)
}

async fn end(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<WordsBody>,
) -> Result<StatusCode, ApiError> {
    lift(&app, &id, &principal.actor(), &body.words).await?;
    Ok(StatusCode::CREATED)
}
