//! Gives every error answer one form, also those that no handler made: wrong method, oversize, bad paths, timeouts.
//! Siaga's own API has `Problem`, Prometheus' API its own.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use siaga_protocol::agent_api::Problem;

/// Longest text that is taken over, bytes.
const MAX_TEXT_BYTES: usize = 4 * 1024;

/// Start of the paths of Prometheus' API.
const PROMETHEUS: &str = "/prometheus/";

/// Turns an error answer that is neither JSON nor a page into JSON.
pub(super) async fn in_one_form(request: Request, next: Next) -> Response {
    let of_prometheus = request.uri().path().starts_with(PROMETHEUS);
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let has_form = kind.starts_with("application/json") || kind.starts_with("text/html");
    if !(status.is_client_error() || status.is_server_error()) || has_form {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let text = to_bytes(body, MAX_TEXT_BYTES).await.ok();
    let text = text.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let text = text.unwrap_or_else(|| status.canonical_reason().unwrap_or("error").to_lowercase());
    let json = if of_prometheus {
        let kind = if status.is_server_error() { "internal" } else { "bad_data" };
        serde_json::json!({ "status": "error", "errorType": kind, "error": text }).to_string()
    } else {
        // A problem is two texts: it can always be written.
        serde_json::to_string(&Problem { error: text, at: None }).unwrap_or_default()
    };
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, json.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::Body;
    use axum::extract::{DefaultBodyLimit, Path};
    use axum::http::StatusCode;
    use axum::routing::{get, post};
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn whatever_goes_wrong_is_said_in_json() {
        let service = Router::new()
            .route("/a/{number}", get(async |Path(_): Path<u32>| "good"))
            .route("/b", post(async |_: String| "good"))
            .route("/prometheus/b", post(async |_: String| "good"))
            .layer(DefaultBodyLimit::max(8))
            .layer(axum::middleware::from_fn(in_one_form));
        for (method, path, body, status, field) in [
            ("GET", "/a/x", "", StatusCode::BAD_REQUEST, "error"),
            ("GET", "/a/%ff", "", StatusCode::BAD_REQUEST, "error"),
            ("DELETE", "/b", "", StatusCode::METHOD_NOT_ALLOWED, "error"),
            ("POST", "/b", "more than eight", StatusCode::PAYLOAD_TOO_LARGE, "error"),
            ("POST", "/prometheus/b", "more than eight", StatusCode::PAYLOAD_TOO_LARGE, "errorType"),
            ("GET", "/none", "", StatusCode::NOT_FOUND, "error"),
        ] {
            let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
            let response = service.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{method} {path}");
            let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(value[field].as_str().is_some_and(|text| !text.is_empty()), "{method} {path}: {value}");
        }
    }
}
