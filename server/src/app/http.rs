//! HTTP of the process itself: health and its own metrics.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::App;
use crate::access::Right;
use crate::http::{Access, ApiError, Routes};

/// Routes of the process.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .get("/healthz", Access::Public, "the process answers", healthz)
        .get("/readyz", Access::Public, "the process can store and answer", readyz)
        .get("/metrics", Right::ViewServers, "the server's own metrics in Prometheus' text format", metrics)
        .get("/api/v1/tasks", Right::ViewServers, "state of the background tasks", tasks)
}

async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

async fn readyz(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    if app.is_stopping() {
        return Err(ApiError::busy("the server is about to end", 5));
    }
    app.records.run(|db| crate::records::hosts::count(db)).await?;
    if !app.metrics.is_storing() {
        return Err(ApiError::busy("samples cannot be stored now, see the server's log", 30));
    }
    Ok(Json(json!({ "status": "ready", "version": env!("CARGO_PKG_VERSION") })))
}

async fn metrics(State(app): State<App>) -> Result<String, ApiError> {
    Ok(app.own_metrics.text(&app).await?)
}

async fn tasks(State(app): State<App>) -> Json<Value> {
    let states: Vec<Value> = app
        .tasks
        .states()
        .into_iter()
        .map(|(name, state)| {
            json!({
                "name": name,
                "last_run_ms": state.last_run_ms,
                "duration_ms": state.duration_ms,
                "runs": state.runs,
                "failures": state.failures,
                "last_error": state.last_error,
            })
        })
        .collect();
    Json(Value::Array(states))
}
