//! Findings of drills and signatures under reports, for programs and as forms of the page of a drill.

use axum::Json;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Redirect;
use serde::Deserialize;

use super::approval_http::user;
use super::approval_pages::end_of;
use super::findings::{FindingBody, NoteBody, close, note, of_drill, sign};
use crate::access::Right;
use crate::app::App;
use crate::console::{PageError, Section, View};
use crate::http::{ApiError, Caller, JsonBody, Routes};
use crate::records::drill_findings;

/// Open findings of one answer.
const MAX_OPEN: u32 = 500;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/findings", Right::ViewContinuity, "corrective actions that are not closed", list_open)
        .get("/api/v1/drills/{id}/findings", Right::ViewContinuity, "findings of a drill", list)
        .post(
            "/api/v1/drills/{id}/findings",
            Right::RunDrills,
            "note a finding with its corrective action (finding, action, owner, due_ms)",
            add,
        )
        .post("/api/v1/findings/{id}/close", Right::RunDrills, "close a corrective action (note)", end)
        .post(
            "/api/v1/drills/{id}/sign-off",
            Right::ApproveDrills,
            "sign the report of a drill (note)",
            sign_off,
        )
        .form("/kelangsungan/latihan/{id}/temuan", Right::RunDrills, "note a finding", add_form)
        .form("/kelangsungan/temuan/{id}/tutup", Right::RunDrills, "close a corrective action", end_form)
        .form("/kelangsungan/latihan/{id}/tandatangan", Right::ApproveDrills, "sign a report", sign_form)
}

async fn list_open(State(app): State<App>) -> Result<Json<Vec<FindingBody>>, ApiError> {
    let found = app.records.run(|db| drill_findings::open(db, MAX_OPEN)).await?;
    Ok(Json(found.into_iter().map(FindingBody::from).collect()))
}

async fn list(State(app): State<App>, Path(id): Path<String>) -> Result<Json<Vec<FindingBody>>, ApiError> {
    Ok(Json(of_drill(&app, &id).await?.into_iter().map(FindingBody::from).collect()))
}

async fn add(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<NoteBody>,
) -> Result<(StatusCode, Json<FindingBody>), ApiError> {
    let noted = note(&app, &id, &principal.actor(), body).await?;
    Ok((StatusCode::CREATED, Json(noted.into())))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WordsBody {
    #[serde(default)]
    note: String,
}

async fn end(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<WordsBody>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let drill_id = close(&app, &id, &principal.actor(), &body.note).await?;
    Ok(Json(serde_json::json!({ "drill_id": drill_id })))
}

async fn sign_off(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<WordsBody>,
) -> Result<StatusCode, ApiError> {
    sign(&app, &id, &user(principal)?, &body.note).await?;
    Ok(StatusCode::CREATED)
}

fn back_to(drill_id: &str) -> Redirect {
    Redirect::to(&format!("/kelangsungan/latihan/{drill_id}"))
}

#[derive(Debug, Deserialize)]
struct AddForm {
    finding: String,
    action: String,
    owner: String,
    due: String,
}

async fn add_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<AddForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let due_ms =
            end_of(&page, &form.due)?.ok_or_else(|| ApiError::bad_request("is no date").at("due"))?;
        let body = NoteBody { finding: form.finding, action: form.action, owner: form.owner, due_ms };
        note(&app, &id, &principal.actor(), body).await
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))?;
    Ok(back_to(&id))
}

async fn end_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<WordsBody>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let drill_id = close(&app, &id, &principal.actor(), &form.note).await;
    Ok(back_to(&drill_id.map_err(|error| PageError::new(&page, error))?))
}

async fn sign_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<WordsBody>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let work = async { sign(&app, &id, &user(principal)?, &form.note).await };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))?;
    Ok(back_to(&id))
}
