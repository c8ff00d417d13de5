//! Deleting series.

use axum::extract::State;
use axum::http::StatusCode;

use super::http::{range, selectors};
use super::{Form, PrometheusError};
use crate::app::App;
use crate::http::Caller;
use crate::records::audit;
use crate::time::now_ms;

pub(super) async fn delete_series(
    State(app): State<App>,
    Caller(principal): Caller,
    form: Form,
) -> Result<StatusCode, PrometheusError> {
    let texts: Vec<String> = form.all("match[]").map(str::to_owned).collect();
    let selectors = selectors(&form)?;
    if selectors.is_empty() {
        return Err(PrometheusError::bad_parameter("match[]", "no match[] parameter provided"));
    }
    let (start, end) = range(&form)?;
    let failed = |error: anyhow::Error| {
        tracing::error!(error = format!("{error:#}"), "series could not be deleted");
        PrometheusError::internal("series could not be deleted, see the server's log")
    };
    // The trail before the deed: what is deleted is never without an entry.
    let (actor, subject) = (principal.actor(), texts.join(" "));
    let detail = format!("from {start} to {end}");
    app.records
        .run(move |db| audit::add(db, now_ms(), &actor, "series.delete", &subject, &detail))
        .await
        .map_err(|error| failed(error.into()))?;
    let deleted = app.metrics.delete_series(selectors, start, end).await.map_err(failed)?;
    tracing::info!(deleted, "samples deleted");
    Ok(StatusCode::NO_CONTENT)
}

/// Deleted samples are gone at once: there are no tombstones to clean.
pub(super) async fn clean_tombstones() -> StatusCode {
    StatusCode::NO_CONTENT
}
