//! Errors that no page made itself, shown to browsers as pages: routes that do not exist, refusals of the guard,
//! forms that cannot be read. Programs get them as they are.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use siaga_protocol::agent_api::Problem;

use super::page::{PageError, Section, View};
use crate::app::App;
use crate::http::ApiError;

/// Longest error body that is read, bytes.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Puts errors into the frame of a page for who asks for HTML. Stands within the layer that knows who is asking.
pub(crate) async fn error_pages(State(app): State<App>, request: Request, next: Next) -> Response {
    if !asks_for_html(request.headers()) {
        return next.run(request).await;
    }
    let (mut parts, body) = request.into_parts();
    let Ok(view) = View::from_request_parts(&mut parts, &app).await;
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_html(response.headers()) {
        return response;
    }
    let reason = reason(response.into_body()).await;
    let text = reason.unwrap_or_else(|| status.canonical_reason().unwrap_or("error").to_lowercase());
    PageError::new(&view.page(Section::None), ApiError::new(status, text)).into_response()
}

fn header_contains(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains(wanted))
}

fn asks_for_html(headers: &HeaderMap) -> bool {
    header_contains(headers, header::ACCEPT, "text/html")
}

fn is_html(headers: &HeaderMap) -> bool {
    header_contains(headers, header::CONTENT_TYPE, "text/html")
}

/// The sentence of an error body: of the API's JSON, or a short text.
async fn reason(body: Body) -> Option<String> {
    let bytes = to_bytes(body, MAX_ERROR_BYTES).await.ok()?;
    if let Ok(problem) = serde_json::from_slice::<Problem>(&bytes) {
        return Some(problem.error);
    }
    String::from_utf8(bytes.to_vec()).ok().filter(|text| !text.trim().is_empty())
}
