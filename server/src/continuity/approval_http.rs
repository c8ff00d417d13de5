//! Approvals of drills for programs.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;

use super::approval::{GiveBody, give, standing, text_digest, withdraw};
use super::begin::library;
use crate::access::{Principal, Right, Role, UserPrincipal};
use crate::app::App;
use crate::http::{ApiError, Caller, JsonBody, Routes};
use crate::records::drill_approvals::{self, ApprovalRow};
use crate::time::{Millis, millis, now_ms};

/// Approvals of one answer or page.
pub(super) const MAX_LISTED: u32 = 100;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/plans/{id}/approvals",
            Right::ViewContinuity,
            "approvals of a plan, newest first, and whether they are enough",
            list,
        )
        .post(
            "/api/v1/plans/{id}/approvals",
            Right::ApproveDrills,
            "approve the next drill of a plan (reason, valid_until_ms)",
            approve,
        )
        .post(
            "/api/v1/approvals/{id}/withdraw",
            Right::ApproveDrills,
            "withdraw one's own approval",
            take_back,
        )
}

/// What the API says of the approvals of a plan.
#[derive(Debug, Serialize)]
struct ApprovalsBody {
    /// How many people must have approved; 0 if the plan needs no approval.
    approvers: usize,
    /// Roles that may approve.
    roles: Vec<Role>,
    /// The longest time for which one approval holds.
    valid_ms: Millis,
    /// How many people's approvals hold now.
    holding: usize,
    /// Whether a drill by the schedule could begin now.
    enough: bool,
    /// Newest first.
    approvals: Vec<ApprovalBody>,
}

/// One approval.
#[derive(Debug, Serialize)]
struct ApprovalBody {
    id: String,
    by: String,
    name: String,
    role: Role,
    reason: String,
    given_at_ms: Millis,
    valid_until_ms: Millis,
    withdrawn_at_ms: Option<Millis>,
    /// The drill for which it was used.
    drill_id: Option<String>,
    /// Whether it is of the plan as its text stands now.
    of_this_text: bool,
}

impl ApprovalBody {
    fn new(row: ApprovalRow, digest: &str) -> Self {
        Self {
            of_this_text: row.plan_sha256 == digest,
            id: row.id,
            by: row.actor,
            name: row.name,
            role: row.role,
            reason: row.reason,
            given_at_ms: row.given_at_ms,
            valid_until_ms: row.valid_until_ms,
            withdrawn_at_ms: row.withdrawn_at_ms,
            drill_id: row.drill_id,
        }
    }
}

async fn list(State(app): State<App>, Path(id): Path<String>) -> Result<Json<ApprovalsBody>, ApiError> {
    let library = library(&app).await?;
    let (plan, entry) = library.get(&id).ok_or_else(|| ApiError::not_found(format!("plan {id}")))?;
    let (digest, approval, now) = (text_digest(&entry.text), plan.approval.clone(), now_ms());
    let wanted = digest.clone();
    let read = move |db: &crate::records::rusqlite::Transaction<'_>| {
        let holding = drill_approvals::holding(db, &id, &wanted, now)?;
        Ok::<_, ApiError>((holding, drill_approvals::latest(db, &id, MAX_LISTED)?))
    };
    let (rows, latest) = app.records.run(read).await?;
    let standing = approval.as_ref().map(|approval| standing(approval, rows, None));
    Ok(Json(ApprovalsBody {
        approvers: approval.as_ref().map_or(0, |approval| approval.approvers),
        valid_ms: approval.as_ref().map_or(0, |approval| millis(approval.valid)),
        roles: approval.map(|approval| approval.roles).unwrap_or_default(),
        holding: standing.as_ref().map_or(0, |standing| standing.holding.len()),
        enough: standing.is_none_or(|standing| standing.enough()),
        approvals: latest.into_iter().map(|row| ApprovalBody::new(row, &digest)).collect(),
    }))
}

/// The user who is asking.
pub(super) fn user(principal: Principal) -> Result<UserPrincipal, ApiError> {
    match principal {
        Principal::User(user) => Ok(user),
        Principal::Agent(_) => Err(ApiError::forbidden("an agent approves nothing")),
    }
}

/// Gives an approval in the name of `user`.
pub(super) async fn approve_as(
    app: &App,
    plan_id: &str,
    user: UserPrincipal,
    body: GiveBody,
) -> Result<ApprovalRow, ApiError> {
    let library = library(app).await?;
    let found = library.get(plan_id).ok_or_else(|| ApiError::not_found(format!("plan {plan_id}")))?;
    let (plan, text) = (found.0.clone(), found.1.text.clone());
    app.records.run(move |db| give(db, &plan, &text, &user, &body, now_ms())).await
}

async fn approve(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
    JsonBody(body): JsonBody<GiveBody>,
) -> Result<(StatusCode, Json<ApprovalBody>), ApiError> {
    let row = approve_as(&app, &id, user(principal)?, body).await?;
    let digest = row.plan_sha256.clone();
    Ok((StatusCode::CREATED, Json(ApprovalBody::new(row, &digest))))
}

async fn take_back(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let user = user(principal)?;
    app.records.run(move |db| withdraw(db, &id, &user, now_ms())).await?;
    Ok(Json(serde_json::json!({ "withdrawn": true })))
}
