//! JSON of known events, and the import of files.

use axum::Json;
use axum::extract::{Path, State as Shared};
use serde::{Deserialize, Serialize};

use super::import::{self, EventFormat, MAX_BYTES};
use super::store::{self, Imported};
use super::{EventCategory, KnownEvent};
use crate::access::Right;
use crate::app::App;
use crate::console::Page;
use crate::http::{ApiError, Caller, Params, Routes};
use crate::time::{DAY_MS, Millis, now_ms};

/// Path of the import, for the command line too.
pub(crate) const IMPORT: &str = "/api/v1/capacity/events/import";
/// Days that a list looks back and ahead, unless other is asked for.
const BACK_DAYS: Millis = 30;
const AHEAD_DAYS: Millis = 400;

pub(in crate::capacity) fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/capacity/events", Right::ViewCapacity, "known events in order (from, to in ms)", list)
        .post(
            IMPORT,
            Right::PlanCapacity,
            "bring in events as iCalendar or CSV (format, category, source); the body is the file",
            bring_in,
        )
        .delete("/api/v1/capacity/events/{id}", Right::PlanCapacity, "delete an event", remove)
}

#[derive(Debug, Deserialize)]
struct ListParams {
    #[serde(default)]
    from: Option<Millis>,
    #[serde(default)]
    to: Option<Millis>,
}

#[derive(Debug, Serialize)]
struct EventList {
    /// Last year whose moving holidays Siaga knows.
    holidays_known_until: i16,
    events: Vec<KnownEvent>,
}

/// A page outside of a request: zone of the office and its language.
fn office(app: &App) -> Page {
    let console = app.config.current().console.clone();
    Page::detached(console.language, &console.organisation, console.time_zone, console.simulation)
}

async fn list(
    Shared(app): Shared<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<EventList>, ApiError> {
    let now = now_ms();
    let from_ms = params.from.unwrap_or(now - BACK_DAYS * DAY_MS);
    let to_ms = params.to.unwrap_or(now + AHEAD_DAYS * DAY_MS);
    if to_ms < from_ms {
        return Err(ApiError::bad_request("it lies before from").at("to"));
    }
    let events = store::around(&app, &office(&app), from_ms, to_ms).await?;
    Ok(Json(EventList { holidays_known_until: super::holidays::known_until(), events }))
}

#[derive(Debug, Deserialize)]
struct ImportParams {
    #[serde(default)]
    format: Option<EventFormat>,
    #[serde(default)]
    category: Option<EventCategory>,
    #[serde(default)]
    source: String,
}

/// Longest name of a source, characters.
const MAX_SOURCE: usize = 200;

/// Reads and stores a file.
///
/// # Errors
/// 400 if it is too large, else as [`store::bring_in`].
pub(super) async fn take(
    app: &App,
    text: String,
    format: Option<EventFormat>,
    category: EventCategory,
    source: &str,
    actor: String,
) -> Result<Imported, ApiError> {
    if text.len() > MAX_BYTES {
        return Err(ApiError::bad_request(format!("a file of at most {MAX_BYTES} bytes is taken")).at("body"));
    }
    let format = format.unwrap_or_else(|| EventFormat::of(&text));
    let page = office(app);
    let source: String = source.chars().filter(|c| !c.is_control()).take(MAX_SOURCE).collect();
    let stored = app.records.run(move |db| {
        let parsed = import::read(format, &text, category, page.zone());
        store::bring_in(db, parsed, &source, &actor, now_ms())
    });
    stored.await
}

async fn bring_in(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
    Params(params): Params<ImportParams>,
    body: axum::body::Bytes,
) -> Result<Json<Imported>, ApiError> {
    let text = String::from_utf8(body.to_vec())
        .map_err(|_| ApiError::bad_request("the file is not UTF-8 text").at("body"))?;
    let category = params.category.unwrap_or(EventCategory::Tender);
    let done = take(&app, text, params.format, category, &params.source, principal.actor());
    Ok(Json(done.await?))
}

async fn remove(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
    Path(id): Path<i64>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let actor = principal.actor();
    app.records.run(move |db| store::remove(db, id, &actor, now_ms())).await?;
    Ok(Json(serde_json::json!({ "deleted": true })))
}
