//! `/api/v1/mail`: what was sent, what waits and what was given up.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::access::Right;
use crate::app::App;
use crate::http::{ApiError, Routes};
use crate::records::{RecordsError, mail_outbox};

/// Messages that are listed, the newest ones.
const MAX_LISTED: u32 = 500;

/// Routes of documents.
#[must_use]
pub fn routes() -> Routes {
    Routes::new().get("/api/v1/mail", Right::ViewAccess, "mail that was sent, waits or was given up", list)
}

#[derive(Debug, Serialize)]
struct Outbox {
    /// Whether a relay is configured.
    on: bool,
    waiting: usize,
    failed: usize,
    messages: Vec<mail_outbox::Listed>,
}

async fn list(State(app): State<App>) -> Result<Json<Outbox>, ApiError> {
    let on = app.config.current().mail.is_on();
    let read = app.records.run(move |db| {
        Ok::<_, RecordsError>(Outbox {
            on,
            waiting: mail_outbox::count(db, "waiting")?,
            failed: mail_outbox::count(db, "failed")?,
            messages: mail_outbox::list(db, MAX_LISTED)?,
        })
    });
    Ok(Json(read.await?))
}
