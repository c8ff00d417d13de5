//! HTTP of discovery.

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;

use super::state::{Decision, Service};
use super::{DecideError, decide, services};
use crate::access::Right;
use crate::app::App;
use crate::http::{ApiError, Caller, JsonBody, Routes};
use crate::records::hosts;
use crate::time::now_ms;

/// Routes of discovery.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/hosts/{instance}/services",
            Right::ViewServers,
            "services that a host's agent found",
            list,
        )
        .put(
            "/api/v1/hosts/{instance}/services/{id}",
            Right::ManageFleet,
            "decide on a service (decision: watch, unwatch, dismiss, propose)",
            put,
        )
        .form(
            "/server/{instance}/layanan",
            Right::ManageFleet,
            "decide on a service",
            super::pages::decide_form,
        )
}

impl From<DecideError> for ApiError {
    fn from(error: DecideError) -> Self {
        match error {
            DecideError::UnknownHost(host) => Self::not_found(format!("host {host}")),
            DecideError::UnknownService(id) => Self::not_found(format!("service {id}")),
            DecideError::NotNow(_) => Self::conflict(error.to_string()).at("decision"),
            DecideError::Records(cause) => cause.into(),
            DecideError::Send(_) => Self::from(anyhow::Error::from(error)),
        }
    }
}

async fn list(State(app): State<App>, Path(instance): Path<String>) -> Result<Json<Vec<Service>>, ApiError> {
    let found = app.records.run(move |db| {
        let host = hosts::by_instance(db, &instance)?;
        let host = host.ok_or_else(|| ApiError::not_found(format!("host {instance}")))?;
        Ok::<_, ApiError>(services(db, &host.id, now_ms())?)
    });
    Ok(Json(found.await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    decision: Decision,
}

async fn put(
    State(app): State<App>,
    Caller(principal): Caller,
    Path((instance, id)): Path<(String, String)>,
    JsonBody(body): JsonBody<DecisionBody>,
) -> Result<Json<serde_json::Value>, ApiError> {
    decide(&app, &instance, &id, body.decision, &principal.actor()).await?;
    Ok(Json(serde_json::json!({ "decision": body.decision })))
}
