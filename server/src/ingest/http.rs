//! HTTP of what comes in: remote write from agents and others, history from imports.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use siaga_protocol::paths;
use siaga_protocol::remote_write_v2::{EXEMPLARS_WRITTEN, HISTOGRAMS_WRITTEN, SAMPLES_WRITTEN};
use siaga_tsdb::{Columns, Tsdb};

use super::body::Packed;
use super::convert::{self, ConvertError, Writer};
use super::vanished::{GapEnd, end_vanished};
use super::wire::WireError;
use crate::access::{Principal, Right};
use crate::app::App;
use crate::fleet::{Presence, silence_limit_ms};
use crate::http::{Access, ApiError, Caller, Routes};
use crate::metrics::AppendError;
use crate::time::{Millis, millis, now_ms};

/// Path to which `siaga-server import` sends history; the body is that of remote write.
pub const HISTORY: &str = "/api/v1/import/write";

/// Path that has the store made as small as it gets: 202 while more is to do, 204 when all is done.
pub const SETTLE: &str = "/api/v1/import/settle";

/// Routes of what comes in.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .post(
            paths::REMOTE_WRITE,
            Access::AgentOr(Right::WriteSamples),
            "Prometheus remote write 1.0 and 2.0",
            write,
        )
        .post(
            HISTORY,
            Right::ImportHistory,
            "remote write of history, of any age within the retention",
            write_history,
        )
        .post(
            SETTLE,
            Right::ImportHistory,
            "after an import: compress what is over, now; again while it answers 202",
            settle,
        )
}

impl From<ConvertError> for ApiError {
    fn from(error: ConvertError) -> Self {
        let status = match error {
            ConvertError::Name { .. } | ConvertError::Reserved { .. } => StatusCode::BAD_REQUEST,
            ConvertError::ForeignInstance { .. } => StatusCode::FORBIDDEN,
        };
        Self::new(status, format!("{:#}", anyhow::Error::from(error))).at("timeseries")
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        match error {
            AppendError::Busy => Self::busy("the write queue is full", 2),
            AppendError::Closed => Self::busy("the server is about to end", 5),
            AppendError::Storage(_) => {
                tracing::error!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "samples could not be stored"
                );
                Self::busy("samples cannot be stored now, see the server's log", 30)
            }
            AppendError::TooManySeries { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            }
            _ => Self::bad_request(format!("{:#}", anyhow::Error::from(error))).at("timeseries"),
        }
    }
}

/// The answer to what was stored, with the counts that version 2.0 wants. Native histograms are refused aloud, after
/// the rest of the request was stored: a sender that gets a 4xx does not send it again.
fn answer(samples: usize, histograms: usize) -> Response {
    let counts = [(SAMPLES_WRITTEN, samples), (HISTOGRAMS_WRITTEN, 0), (EXEMPLARS_WRITTEN, 0)];
    let mut response = if histograms == 0 {
        StatusCode::NO_CONTENT.into_response()
    } else {
        let error = format!("{histograms} native histograms are not kept; everything else was stored");
        ApiError::bad_request(error).at("timeseries").into_response()
    };
    for (name, count) in counts {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count));
    }
    response
}

/// Who writes, with what it takes to check it on another thread.
enum Author {
    User {
        username: String,
    },
    Agent {
        host_id: String,
        instance: String,
        /// Names that recording rules write.
        recorded: Arc<BTreeSet<String>>,
        /// Time without samples that is a gap.
        gap_ms: Millis,
        /// How far queries look back.
        lookback_ms: Millis,
        /// Series in all.
        max_series: usize,
    },
}

impl Author {
    fn of(app: &App, principal: &Principal) -> Self {
        match principal {
            Principal::Agent(host) => {
                app.presence.note(&host.id, now_ms());
                let config = app.config.current();
                let silent_after_ms = millis(config.fleet.silent_after);
                Self::Agent {
                    host_id: host.id.clone(),
                    instance: host.instance.clone(),
                    recorded: app.rules.recorded(),
                    gap_ms: silence_limit_ms(silent_after_ms, host.interval_seconds),
                    lookback_ms: millis(config.query.lookback),
                    max_series: config.metrics.max_series,
                }
            }
            Principal::User(user) => Self::User { username: user.username.clone() },
        }
    }

    fn writer(&self) -> Writer<'_> {
        match self {
            Self::Agent { instance, recorded, .. } => Writer::Agent { instance, recorded },
            Self::User { .. } => Writer::User,
        }
    }

    /// Under which name series are counted.
    fn source(&self) -> Cow<'_, str> {
        match self {
            Self::Agent { instance, .. } => instance.into(),
            Self::User { username } => format!("user:{username}").into(),
        }
    }

    /// Notes the times of samples that were stored; before that, what did not come again after a gap is ended, so that
    /// nobody concludes anything from it.
    fn note_stored(&self, presence: &Presence, store: &Tsdb, columns: &Columns<'_>) {
        let Self::Agent { host_id, instance, recorded, gap_ms, lookback_ms, max_series } = self else {
            return;
        };
        let Some(&(first, _)) = columns.samples().first() else { return };
        let times = columns
            .samples()
            .iter()
            .fold((first, first), |(oldest, newest), &(at_ms, _)| (oldest.min(at_ms), newest.max(at_ms)));
        let now = now_ms();
        if let Some(at_ms) = presence.gap_end(host_id, times, now, *gap_ms) {
            let (lookback_ms, max_series) = (*lookback_ms, *max_series);
            let gap = GapEnd { instance, came: columns, at_ms, lookback_ms, max_series };
            match end_vanished(store, &gap, recorded, now) {
                Ok(series) => tracing::debug!(host.instance = instance, series, "series ended in a gap"),
                // The samples themselves are stored: the request has succeeded.
                Err(error) => tracing::warn!(
                    host.instance = instance,
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "series that vanished in a gap could not be ended"
                ),
            }
        }
        presence.note_samples(host_id, times, now, *gap_ms);
    }
}

async fn write(
    State(app): State<App>,
    Caller(principal): Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let packed = Packed::new(&headers, body, app.config.current().http.max_unpacked_bytes)?;
    let author = Author::of(&app, &principal);
    let presence = app.presence.clone();
    let work = app.metrics.with_store(packed.size(), move |store| {
        let unpacked = packed.unpack()?;
        let message = unpacked.message(author.writer())?;
        let samples = message.columns.samples();
        if !message.columns.is_empty() {
            store.append_columns(&author.source(), &message.columns, now_ms())?;
            author.note_stored(&presence, store, &message.columns);
        }
        Ok::<_, ApiError>((samples.len(), unpacked.histograms(), message.metadata))
    });
    let (samples, histograms, metadata) = work.await.ok_or(AppendError::Closed)??;
    // Only now: a request that was refused changes nothing.
    for (family, info) in convert::metadata(metadata) {
        app.metrics.catalogue.note(family, info);
    }
    Ok(answer(samples, histograms))
}

async fn write_history(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let packed = Packed::new(&headers, body, app.config.current().http.max_unpacked_bytes)?;
    let work = app.metrics.with_store(packed.size(), move |store| {
        let unpacked = packed.unpack()?;
        let message = unpacked.message(Writer::User)?;
        // Series are counted by host, as those of agents are, so that a whole fleet's history has room.
        let groups = convert::by_instance(&message.columns)
            .map_err(|source| WireError::<ConvertError>::Labels { index: 0, source })?;
        for (instance, columns) in groups {
            store.append_history_columns(instance, &columns, now_ms())?;
        }
        Ok::<_, ApiError>(())
    });
    work.await.ok_or(AppendError::Closed)??;
    Ok(StatusCode::NO_CONTENT)
}

async fn settle(State(app): State<App>) -> Result<StatusCode, ApiError> {
    let more = app.metrics.settle().await?.more;
    Ok(if more { StatusCode::ACCEPTED } else { StatusCode::NO_CONTENT })
}
