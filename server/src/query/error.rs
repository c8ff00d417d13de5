//! Errors in Prometheus' form.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::metrics::QueryError;

/// An error of the Prometheus API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrometheusError {
    status: StatusCode,
    kind: &'static str,
    error: String,
}

impl PrometheusError {
    /// The request is wrong.
    #[must_use]
    pub fn bad_data(error: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", error: error.into() }
    }

    /// A limit was met while answering.
    #[must_use]
    pub fn execution(error: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, kind: "execution", error: error.into() }
    }

    /// The server failed; the cause was logged.
    #[must_use]
    pub fn internal(error: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", error: error.into() }
    }

    /// The same error with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// A parameter is wrong.
    #[must_use]
    pub fn bad_parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            kind: "bad_data",
            error: format!("invalid parameter {name:?}: {reason}"),
        }
    }
}

impl From<QueryError> for PrometheusError {
    fn from(error: QueryError) -> Self {
        let kind = error.kind();
        let status = match kind {
            "bad_data" => StatusCode::BAD_REQUEST,
            "execution" => StatusCode::UNPROCESSABLE_ENTITY,
            "timeout" | "canceled" => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(error = format!("{:#}", anyhow::Error::msg(error.to_string())), "query failed");
        }
        Self { status, kind, error: error.to_string() }
    }
}

impl IntoResponse for PrometheusError {
    fn into_response(self) -> Response {
        let body = json!({ "status": "error", "errorType": self.kind, "error": self.error });
        (self.status, Json(body)).into_response()
    }
}
