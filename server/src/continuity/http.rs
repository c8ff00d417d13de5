//! HTTP of continuity: plans and drills for programs. The pages are in `pages`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use siaga_protocol::orders::AgentUndo;
use siaga_protocol::paths;

use super::agent_undo::{Taken, take};
use super::begin::{Asked, StartError, fleet, library, start};
use super::bodies::{DrillBody, DrillDetail, PlanBody, ProblemBody, Started, VerificationBody};
use super::chaostoolkit;
use super::dry_run::DryRun;
use super::hold::next_date;
use super::journal;
use super::plan::{Entry, HostState, Plan, resolve};
use super::report;
use super::running::Confirmation;
use crate::access::Right;
use crate::app::App;
use crate::config::Language;
use crate::http::{Access, ApiError, Caller, JsonBody, OptionalJsonBody, Params, Routes};
use crate::records::{audit, drills};
use crate::time::now_ms;

/// Routes of this part.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/plans",
            Right::ViewContinuity,
            "continuity plans, with what is wrong with them",
            list_plans,
        )
        .get("/api/v1/plans/{id}", Right::ViewContinuity, "one continuity plan", show_plan)
        .post("/api/v1/plans/{id}/drills", Right::RunDrills, "begin a drill of a plan (despite)", begin)
        .get("/api/v1/drills", Right::ViewContinuity, "drills, newest first (plan, limit)", list_drills)
        .get("/api/v1/drills/{id}", Right::ViewContinuity, "one drill with its journal", show_drill)
        .get("/api/v1/drills/{id}/trace", Right::ViewContinuity, "raw traces of a drill's probes", show_trace)
        .get(
            "/api/v1/drills/{id}/report",
            Right::ViewContinuity,
            "report as HTML or PDF (lang: id or en; format: html or pdf)",
            show_report,
        )
        .get(
            "/api/v1/drills/{id}/verification",
            Right::ViewContinuity,
            "whether a drill is as it was written and signed",
            show_verification,
        )
        .get(
            "/api/v1/drills/{id}/chaostoolkit",
            Right::ViewContinuity,
            "a drill that has ended, as a journal of Chaos Toolkit",
            show_chaostoolkit,
        )
        .get(
            "/api/v1/plans/{id}/dry-run",
            Right::RunDrills,
            "everything that a drill of a plan would do, with nothing done",
            dry_run,
        )
        .post(
            "/api/v1/drills/{id}/confirm",
            Right::RunDrills,
            "confirm the step of a running drill that waits for a person (step, done, note)",
            confirm,
        )
        .post("/api/v1/drills/{id}/stop", Right::RunDrills, "stop a running drill; it is rolled back", stop)
        .post(paths::AGENT_UNDOS, Access::Agent, "an undo that an agent carried out by itself", agent_undo)
        .merge(super::approval_http::routes())
        .merge(super::approval_pages::routes())
        .merge(super::pages::routes())
        .merge(super::step_pages::routes())
        .merge(super::findings_http::routes())
        .merge(super::emergency::routes())
        .merge(super::scope_pages::routes())
}

impl From<StartError> for ApiError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::NoPlan(_) => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            StartError::Busy(_) | StartError::NotApproved { .. } | StartError::Held(_) => {
                Self::conflict(error.to_string())
            }
            StartError::NoReason => Self::bad_request(error.to_string()).at("despite"),
            StartError::Internal(cause) => cause.into(),
        }
    }
}

/// What is wrong with a file, or with what its plan asks of the fleet.
pub(super) fn problems_of(entry: &Entry, hosts: &[HostState]) -> Vec<ProblemBody> {
    let found = match &entry.plan {
        Ok(plan) => resolve(plan, &entry.file, hosts).err().unwrap_or_default(),
        Err(problems) => problems.clone(),
    };
    found.into_iter().map(ProblemBody::from).collect()
}

async fn list_plans(State(app): State<App>) -> Result<Json<Vec<PlanBody>>, ApiError> {
    let (library, hosts) = (library(&app).await?, fleet(&app).await?);
    let mut bodies = Vec::new();
    for entry in &library.entries {
        bodies.push(plan_body(&app, entry, &hosts).await?);
    }
    Ok(Json(bodies))
}

async fn plan_body(app: &App, entry: &Entry, hosts: &[HostState]) -> Result<PlanBody, ApiError> {
    let next_at_ms = next_date(app, entry, now_ms()).await?;
    Ok(PlanBody::new(entry, problems_of(entry, hosts), next_at_ms))
}

async fn show_plan(State(app): State<App>, Path(id): Path<String>) -> Result<Json<PlanBody>, ApiError> {
    let (library, hosts) = (library(&app).await?, fleet(&app).await?);
    let (_, entry) = library.get(&id).ok_or_else(|| ApiError::not_found(format!("plan {id}")))?;
    let mut body = plan_body(&app, entry, &hosts).await?;
    body.text = Some(entry.text.clone());
    Ok(Json(body))
}

/// How a drill is begun.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct BeginBody {
    /// Why it is to begin though something stands against it.
    despite: Option<String>,
}

async fn begin(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    OptionalJsonBody(body): OptionalJsonBody<BeginBody>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    let id = start(&app, &id, Asked::by_hand(&principal.actor(), body.despite)).await?;
    Ok((StatusCode::CREATED, Json(Started { id })))
}

/// Drills in one answer.
const MAX_DRILLS: u32 = 500;

#[derive(Debug, Deserialize)]
struct ListParams {
    plan: Option<String>,
    #[serde(default = "default_limit")]
    limit: u32,
}

const fn default_limit() -> u32 {
    50
}

async fn list_drills(
    State(app): State<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<Vec<DrillBody>>, ApiError> {
    let limit = params.limit.min(MAX_DRILLS);
    let found = app.records.run(move |db| drills::latest(db, params.plan.as_deref(), limit)).await?;
    Ok(Json(found.iter().map(DrillBody::new).collect()))
}

async fn show_drill(State(app): State<App>, Path(id): Path<String>) -> Result<Json<DrillDetail>, ApiError> {
    let (drill, rows) = super::bodies::load(&app, &id).await?;
    Ok(Json(DrillDetail::new(&drill, &rows)?))
}

async fn show_trace(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    super::bodies::load(&app, &id).await?;
    let traces = super::bodies::load_traces(&app, &id).await?;
    Ok(Json(serde_json::json!(traces)))
}

async fn show_chaostoolkit(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let (drill, rows) = super::bodies::load(&app, &id).await?;
    if drill.ended_at_ms.is_none() || rows.is_empty() {
        return Err(ApiError::conflict("the drill runs, or was not carried out"));
    }
    let plan = Plan::read(&drill.plan_file, &drill.plan_text)
        .map_err(|_| ApiError::conflict("the plan that was followed cannot be read by this version"))?;
    Ok(Json(chaostoolkit::export(&drill, &plan, &journal::entries(&rows)?)))
}

async fn show_verification(
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<VerificationBody>, ApiError> {
    let (drill, _) = super::bodies::load(&app, &id).await?;
    Ok(Json(VerificationBody::new(&id, super::bodies::verified(&app, drill).await?)))
}

#[derive(Debug, Deserialize)]
struct ReportParams {
    lang: Option<String>,
    format: Option<String>,
}

async fn show_report(
    State(app): State<App>,
    Path(id): Path<String>,
    Params(params): Params<ReportParams>,
) -> Result<Response, ApiError> {
    let language = match params.lang {
        None => app.config.current().console.language,
        Some(code) => Language::from_code(&code)
            .ok_or_else(|| ApiError::bad_request(format!("{code:?} is not id or en")).at("lang"))?,
    };
    let form = match params.format.as_deref() {
        None | Some("html") => report::Form::Html,
        Some("pdf") => report::Form::Pdf,
        Some(other) => {
            return Err(ApiError::bad_request(format!("{other:?} is not html or pdf")).at("format"));
        }
    };
    report::respond(&app, &id, language, form).await
}

async fn dry_run(State(app): State<App>, Path(id): Path<String>) -> Result<Json<DryRun>, ApiError> {
    Ok(Json(super::dry_run::dry_run(&app, &id).await?))
}

/// What a person says of a step that waits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmBody {
    /// Identifier of the step.
    pub(super) step: String,
    /// Whether it is done, or as it should be.
    pub(super) done: bool,
    /// What is to be noted.
    #[serde(default)]
    pub(super) note: String,
}

/// Longest note, characters.
const MAX_NOTE: usize = 2_000;

async fn confirm(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<ConfirmBody>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    confirm_step(&app, &id, &principal.actor(), body).await?;
    Ok((StatusCode::ACCEPTED, Json(Started { id })))
}

/// Takes what a person says of the step that waits.
pub(super) async fn confirm_step(app: &App, id: &str, who: &str, body: ConfirmBody) -> Result<(), ApiError> {
    if body.note.chars().count() > MAX_NOTE {
        return Err(ApiError::bad_request(format!("longer than {MAX_NOTE} characters")).at("note"));
    }
    let (drill, rows) = super::bodies::load(app, id).await?;
    let waiting = super::bodies::waits_for(&drill, &journal::entries(&rows)?);
    if waiting.is_none_or(|(step, _)| step != body.step) {
        return Err(ApiError::conflict("no such step waits for a person").at("step"));
    }
    let ConfirmBody { step, done, note } = body;
    let confirmation = Confirmation { who: who.to_owned(), done, note: note.trim().to_owned() };
    if !app.running_drill.confirm(id, &step, confirmation) {
        return Err(ApiError::conflict("the drill does not run"));
    }
    let (id, who) = (id.to_owned(), who.to_owned());
    app.records.run(move |db| audit::add(db, now_ms(), &who, "drill.confirm", &id, &step)).await?;
    Ok(())
}

async fn stop(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Started>), ApiError> {
    stop_drill(&app, &id, &principal.actor()).await?;
    Ok((StatusCode::ACCEPTED, Json(Started { id })))
}

/// Longest text of a report that is taken, bytes.
const MAX_REPORT_BYTES: usize = 16 * 1024;

async fn agent_undo(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(undo): JsonBody<AgentUndo>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let host = principal.agent()?.clone();
    for (field, text) in [("id", &undo.id), ("message", &undo.message), ("output", &undo.output)] {
        if text.len() > MAX_REPORT_BYTES {
            return Err(ApiError::bad_request(format!("more than {MAX_REPORT_BYTES} bytes")).at(field));
        }
    }
    app.presence.note(&host.id, now_ms());
    let key = app.journal_key.clone();
    match app.records.run(move |db| take(db, &key, &host, undo, now_ms())).await? {
        Taken::NotOrdered => Err(ApiError::bad_request("this host was not ordered that").at("order_id")),
        Taken::ImpossibleTimes => Err(ApiError::bad_request(
            "times that cannot be: before the order, in the future, or the end before the start",
        )
        .at("started_at_ms")),
        taken => Ok(Json(serde_json::json!({ "stored": taken == Taken::Yes }))),
    }
}

/// Stops a running drill in the name of `who`.
pub(super) async fn stop_drill(app: &App, id: &str, who: &str) -> Result<(), ApiError> {
    if !app.running_drill.stop(id, who) {
        super::bodies::load(app, id).await?;
        return Err(ApiError::conflict("the drill does not run"));
    }
    let (id, who) = (id.to_owned(), who.to_owned());
    app.records.run(move |db| audit::add(db, now_ms(), &who, "drill.stop", &id, "")).await?;
    Ok(())
}
