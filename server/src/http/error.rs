//! The one error of the API: a status and one sentence, as JSON. The cause is logged once, here.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use siaga_protocol::agent_api::Problem;

use crate::records::RecordsError;

/// End of the sentence of [`ApiError::not_found`].
pub const MISSING: &str = " does not exist";

/// An error answer.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    problem: Problem,
    retry_after_seconds: Option<u32>,
    cause: Option<anyhow::Error>,
}

impl ApiError {
    /// An error with any status.
    #[must_use]
    pub fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self {
            status,
            problem: Problem { error: error.into(), at: None },
            retry_after_seconds: None,
            cause: None,
        }
    }

    /// 400.
    #[must_use]
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// 401.
    #[must_use]
    pub fn unauthorized(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error)
    }

    /// 403.
    #[must_use]
    pub fn forbidden(error: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, error)
    }

    /// 404: `what` does not exist.
    #[must_use]
    pub fn not_found(what: impl AsRef<str>) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("{}{MISSING}", what.as_ref()))
    }

    /// 409.
    #[must_use]
    pub fn conflict(error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, error)
    }

    /// 503 with `Retry-After`.
    #[must_use]
    pub fn busy(error: impl Into<String>, retry_after_seconds: u32) -> Self {
        let mut busy = Self::new(StatusCode::SERVICE_UNAVAILABLE, error);
        busy.retry_after_seconds = Some(retry_after_seconds);
        busy
    }

    /// 500; the text goes to the log, not to the caller.
    #[must_use]
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::from(anyhow::anyhow!(cause.into()))
    }

    /// Says where the request is wrong: a field, a line, a parameter.
    #[must_use]
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.problem.at = Some(place.into());
        self
    }

    /// Status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence for the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.problem.error
    }

    /// Logs the cause, once.
    pub(crate) fn log(&self) {
        if let Some(cause) = &self.cause {
            tracing::error!(error = format!("{cause:#}"), "request failed");
        }
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(cause: anyhow::Error) -> Self {
        let mut error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal error, see the server's log");
        error.cause = Some(cause);
        error
    }
}

impl From<RecordsError> for ApiError {
    fn from(cause: RecordsError) -> Self {
        anyhow::Error::from(cause).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.log();
        let mut response = (self.status, Json(&self.problem)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
