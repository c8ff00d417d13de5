//! `/api/v1/anomalies`: what is unusual now.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::words;
use crate::access::Right;
use crate::app::App;
use crate::config::Language;
use crate::console::Page;
use crate::http::{ApiError, Routes};
use crate::time::Millis;

pub(in crate::capacity) fn routes() -> Routes {
    Routes::new().get(
        "/api/v1/anomalies",
        Right::ViewServers,
        "what is unusual now, and by which signs",
        list,
    )
}

#[derive(Debug, Serialize)]
struct AnomalyBody {
    instance: String,
    quantity: &'static str,
    since_ms: Millis,
    /// The value now, and where it was most unusual.
    value: f64,
    peak: f64,
    peak_at_ms: Millis,
    /// For people, in English.
    text: String,
}

#[derive(Debug, Serialize)]
struct AnomaliesBody {
    /// Series that are watched.
    watched: usize,
    /// Series for which there is no room.
    left_out: usize,
    /// Up to when everything was gone through; none before the first time.
    judged_until_ms: Option<Millis>,
    anomalies: Vec<AnomalyBody>,
}

async fn list(State(app): State<App>) -> Result<Json<AnomaliesBody>, ApiError> {
    let console = app.config.current().console.clone();
    let page =
        Page::detached(Language::English, &console.organisation, console.time_zone, console.simulation);
    let (counts, done, unusual) =
        app.anomalies.with(|watch| (watch.counts(), watch.done_ms, watch.unusual()));
    let anomalies = unusual.into_iter().map(|one| AnomalyBody {
        text: words::signs(&page, &one),
        quantity: one.quantity.code(),
        since_ms: one.episode.since_ms,
        value: one.value,
        peak: one.episode.value,
        peak_at_ms: one.episode.at_ms,
        instance: one.instance,
    });
    Ok(Json(AnomaliesBody {
        watched: counts.0,
        left_out: counts.1,
        judged_until_ms: done,
        anomalies: anomalies.collect(),
    }))
}
