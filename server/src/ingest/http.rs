//! HTTP of what comes in: remote write from agents and others, history from imports.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use siaga_protocol::paths;
use siaga_protocol::remote_write::{self, DecodeError};
use siaga_protocol::remote_write_v2::{
    self, CONTENT_TYPE_PROTO, Decoded, EXEMPLARS_WRITTEN, HISTOGRAMS_WRITTEN, RequestError, SAMPLES_WRITTEN,
};

use super::convert::{self, ConvertError, Writer};
use crate::access::{Principal, Right};
use crate::app::App;
use crate::http::{Access, ApiError, Caller, Routes};
use crate::metrics::AppendError;
use crate::time::now_ms;

/// Path to which `siaga-server import` sends history; the body is that of remote write.
pub const HISTORY: &str = "/api/v1/import/write";

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
}

impl From<ConvertError> for ApiError {
    fn from(error: ConvertError) -> Self {
        let status = match error {
            ConvertError::Labels { .. } | ConvertError::Reserved { .. } => StatusCode::BAD_REQUEST,
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

/// The request in a body, of either version, and what it holds that nothing here keeps. The headers are checked as the
/// specification of remote write demands.
fn decode(app: &App, headers: &HeaderMap, body: &[u8]) -> Result<Decoded, ApiError> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("");
    let content_type = text(header::CONTENT_TYPE);
    let message = content_type.split_once("proto=").map(|(_, name)| name.trim_matches(['"', ' ']));
    if message.is_some_and(|name| !["prometheus.WriteRequest", CONTENT_TYPE_PROTO].contains(&name)) {
        let error = format!("{content_type} is not spoken here");
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error).at("Content-Type"));
    }
    let encoding = text(header::CONTENT_ENCODING);
    if !encoding.is_empty() && encoding != "snappy" {
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{encoding} is not snappy"))
            .at("Content-Encoding"));
    }
    let limit = app.config.current().http.max_unpacked_bytes;
    let refused = |too_large: bool, error: anyhow::Error| {
        let status = if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        ApiError::new(status, format!("{error:#}")).at("body")
    };
    if message == Some(CONTENT_TYPE_PROTO) {
        return remote_write_v2::decode(body, limit).map_err(|error| {
            let too_large = matches!(
                error,
                RequestError::TooLarge { .. } | RequestError::Decode(DecodeError::TooLarge { .. })
            );
            refused(too_large, error.into())
        });
    }
    let request = remote_write::decode(body, limit)
        .map_err(|error| refused(matches!(error, DecodeError::TooLarge { .. }), error.into()))?;
    Ok(Decoded { request, histograms: 0, exemplars: 0 })
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

async fn write(
    State(app): State<App>,
    Caller(principal): Caller,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    let Decoded { mut request, histograms, .. } = decode(&app, &headers, &body)?;
    let samples = request.timeseries.iter().map(|series| series.samples.len()).sum();
    let metadata = convert::metadata(&mut request);
    let recorded = app.rules.recorded();
    let (source, writer) = match &principal {
        Principal::Agent(host) => {
            app.presence.note(&host.id, now_ms());
            (host.instance.clone(), Writer::Agent { instance: &host.instance, recorded: &recorded })
        }
        Principal::User(user) => (format!("user:{}", user.username), Writer::User),
    };
    let series = convert::series(request, writer)?;
    if !series.is_empty() {
        app.metrics.append(source, series).await?;
    }
    // Only now: a request that was refused changes nothing.
    for (family, info) in metadata {
        app.metrics.catalogue.note(family, info);
    }
    Ok(answer(samples, histograms))
}

async fn write_history(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let request = decode(&app, &headers, &body)?.request;
    // Series are counted by host, as those of agents are, so that a whole fleet's history has room.
    for (instance, series) in convert::by_instance(convert::series(request, Writer::User)?) {
        app.metrics.append_history(instance, series).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
