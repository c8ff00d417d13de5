//! Errors that no page made itself, shown as pages on the routes of pages: refusals of the guard, unknown tokens, wrong
//! methods, forms that cannot be read, what took too long. The routes of programs give them as they are.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts as _, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use siaga_protocol::agent_api::Problem;

use super::page::{PageError, Section, View};
use crate::app::App;
use crate::http::{ApiError, Entry, Kind};

/// Longest error body that is read, bytes.
const MAX_ERROR_BYTES: usize = 16 * 1024;

/// Starts of the addresses of programs.
const OF_PROGRAMS: [&str; 2] = ["/api/", "/prometheus/"];

/// What the layer needs: the app, and which routes are pages.
#[derive(Debug, Clone)]
pub(crate) struct ErrorPages {
    app: App,
    pages: Arc<HashSet<&'static str>>,
}

impl ErrorPages {
    /// Of these routes.
    pub(crate) fn new(app: &App, entries: &[Entry]) -> Self {
        let pages = entries.iter().filter(|entry| entry.kind == Kind::Page).map(|entry| entry.path);
        Self { app: app.clone(), pages: Arc::new(pages.collect()) }
    }

    /// Whether errors of this request are pages. At an address that does not exist, it is as the reader asks.
    fn are_pages(&self, parts: &Parts) -> bool {
        if let Some(route) = parts.extensions.get::<MatchedPath>() {
            return self.pages.contains(route.as_str());
        }
        let of_programs = OF_PROGRAMS.iter().any(|start| parts.uri.path().starts_with(start));
        !of_programs && header_contains(&parts.headers, header::ACCEPT, "text/html")
    }
}

/// Puts errors into the frame of a page.
pub(crate) async fn error_pages(State(errors): State<ErrorPages>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    if !errors.are_pages(&parts) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let Ok(view) = View::from_request_parts(&mut parts, &errors.app).await;
    let response = next.run(Request::from_parts(parts, body)).await;
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_html(response.headers()) {
        return response;
    }
    let (said, body) = response.into_parts();
    let reason = reason(body).await;
    let text = reason.unwrap_or_else(|| status.canonical_reason().unwrap_or("error").to_lowercase());
    let page = PageError::new(&view.page(Section::None), ApiError::new(status, text));
    let mut response = page.into_response();
    for name in [header::ALLOW, header::RETRY_AFTER, header::WWW_AUTHENTICATE] {
        if let Some(value) = said.headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn header_contains(headers: &HeaderMap, name: header::HeaderName, wanted: &str) -> bool {
    headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains(wanted))
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

#[cfg(test)]
mod tests {
    use axum::http::{Method, StatusCode};
    use tokio::sync::watch;
    use tower::ServiceExt as _;

    use super::*;
    use crate::access::FIRST_RUN_FILE;
    use crate::config::Config;

    #[tokio::test]
    async fn errors_of_pages_are_pages_and_those_of_programs_are_json_whatever_is_accepted() {
        // An error means that the provider is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.storage.data_dir = folder.path().to_owned();
        let app = crate::app::open(config, watch::channel(false).1).await.unwrap();
        let first = std::fs::read_to_string(folder.path().join(FIRST_RUN_FILE)).unwrap();
        let first: serde_json::Value = serde_json::from_str(&first).unwrap();
        let known = format!("Bearer {}", first["api_token"].as_str().unwrap());
        let routes = crate::http::router(app);
        let unknown = "Bearer siaga_unknown";
        for (method, path, token, accept, status, page) in [
            (Method::GET, "/server/none", known.as_str(), "*/*", 404, true),
            (Method::GET, "/server/none", &known, "application/json", 404, true),
            (Method::DELETE, "/server", &known, "*/*", 405, true),
            (Method::GET, "/server", unknown, "*/*", 401, true),
            (Method::POST, "/insiden", "", "*/*", 401, true),
            (Method::GET, "/api/v1/hosts/none", &known, "text/html", 404, false),
            (Method::PATCH, "/api/v1/hosts", &known, "text/html", 405, false),
            (Method::GET, "/api/v1/hosts", unknown, "text/html", 401, false),
            (Method::GET, "/api/v1/none", &known, "text/html", 404, false),
            (Method::GET, "/prometheus/none", &known, "text/html", 404, false),
            (Method::GET, "/none", &known, "text/html", 404, true),
            (Method::GET, "/none", &known, "*/*", 404, false),
        ] {
            let case = format!("{method} {path} {accept}");
            let request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept);
            let request =
                if token.is_empty() { request } else { request.header(header::AUTHORIZATION, token) };
            let answer = routes.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::from_u16(status).unwrap(), "{case}");
            assert_eq!(is_html(answer.headers()), page, "{case}");
            assert_eq!(answer.headers().contains_key(header::ALLOW), status == 405, "{case}");
            let body = to_bytes(answer.into_body(), MAX_ERROR_BYTES).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            let indonesian = text.contains("lang=\"id\"") && text.contains("Permintaan tidak dapat dipenuhi");
            assert_eq!(indonesian, page, "{case}: {text}");
        }
    }
}
