//! Finds out who is asking, once per request, and guards each route with the access that it names.

use std::time::{Instant, UNIX_EPOCH};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use siaga_protocol::paths;

use super::{Access, ApiError, Kind};
use crate::access::{AuthError, Principal, authenticate};
use crate::app::App;
use crate::time::{Millis, SECOND_MS, millis, now_ms};

/// Counts each request under its route's pattern.
pub(super) async fn count(State(app): State<App>, request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |p| p.as_str().to_owned());
    let started = Instant::now();
    let response = next.run(request).await;
    app.own_metrics.note_request(method.as_str(), &route, response.status().as_u16(), started.elapsed());
    response
}

/// Puts the [`Principal`] into the request, if somebody says who is asking.
pub(super) async fn identify(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let now = now_ms();
    match authenticate(&app, request.headers(), now).await {
        Ok(Some(principal)) => {
            if let Principal::Agent(host) = &principal {
                note_clock(&app, &host.id, request.headers(), now);
                note_run(&app, &host.id, request.headers(), now);
            }
            request.extensions_mut().insert(principal);
        }
        Ok(None) => {}
        Err(AuthError::UnknownToken) => {
            return ApiError::unauthorized("the token is not known, was revoked or has expired")
                .into_response();
        }
        Err(AuthError::Records(error)) => return ApiError::from(error).into_response(),
    }
    next.run(request).await
}

/// Notes the clock of an agent that says when it sent its request; a request by itself, so that what it waits for
/// (orders) does not count.
fn note_clock(app: &App, host_id: &str, headers: &HeaderMap, now: Millis) {
    let Some(sent_ms) = headers.get(header::DATE).and_then(|date| date_ms(date.to_str().ok()?)) else {
        return;
    };
    let allowed_ms = millis(app.config.current().fleet.max_clock_difference);
    app.presence.note_clock(host_id, sent_ms, now, allowed_ms);
}

/// Notes which process of the agent sends.
fn note_run(app: &App, host_id: &str, headers: &HeaderMap, now: Millis) {
    let run = headers.get(paths::RUN_HEADER).and_then(|run| run.to_str().ok()?.parse().ok());
    if let Some(run) = run {
        app.presence.note_run(host_id, run, now);
    }
}

/// The time in a `Date` header: it is cut to the second, so the middle of that.
fn date_ms(text: &str) -> Option<Millis> {
    let since = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(millis(since).saturating_add(SECOND_MS / 2))
}

/// Lets a request through only with the access that its route names.
pub(super) async fn guard(access: Access, kind: Kind, request: Request, next: Next) -> Response {
    let principal = request.extensions().get::<Principal>();
    let refusal = match (access, principal) {
        (Access::Public, _) => None,
        (_, None) => Some(sign_in(kind, request.method(), request.uri())),
        (Access::Agent, Some(Principal::Agent(_))) | (Access::AgentOr(_), Some(Principal::Agent(_))) => None,
        (Access::User(right) | Access::AgentOr(right), Some(principal)) if principal.may(right) => None,
        (Access::User(right) | Access::AgentOr(right), Some(_)) => {
            Some(ApiError::forbidden(format!("this needs the right {}", right.code())).into_response())
        }
        (Access::Agent, Some(_)) => {
            Some(ApiError::forbidden("this is for agents, not for users").into_response())
        }
    };
    if let Some(refusal) = refusal {
        return refusal;
    }
    let by_session = matches!(principal, Some(Principal::User(user)) if user.by_session);
    if by_session && !request.method().is_safe() && !same_site(request.headers()) {
        return ApiError::forbidden(FROM_ANOTHER_SITE).into_response();
    }
    next.run(request).await
}

fn sign_in(kind: Kind, method: &Method, uri: &Uri) -> Response {
    if kind == Kind::Page && method == Method::GET {
        let here = uri.path_and_query().map_or("/", |path| path.as_str());
        return Redirect::to(&format!("/masuk?lanjut={}", encode_component(here))).into_response();
    }
    ApiError::unauthorized("sign in, or send a bearer token").into_response()
}

/// Text as a component of an address.
pub(crate) fn encode_component(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// What a form is answered with that [`same_site`] does not trust.
pub const FROM_ANOTHER_SITE: &str = "the form was sent from another site";

/// Whether a browser says that a request comes from this very site. Cookies alone do not prove that (CSRF).
#[must_use]
pub fn same_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(header::HeaderName::from_static("sec-fetch-site")) {
        return matches!(site, "same-origin" | "none");
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_of_a_request_is_read_to_the_middle_of_its_second() {
        assert_eq!(date_ms("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777_500));
        for text in ["", "yesterday", "Sun, 06 Nov 1994", "Wed, 31 Dec 1969 23:59:59 GMT"] {
            assert_eq!(date_ms(text), None, "{text}");
        }
    }

    #[test]
    fn a_form_counts_only_from_this_very_site() {
        for (headers, wanted) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "cross-site")][..], false),
            (&[("sec-fetch-site", "same-site")][..], false),
            (&[("origin", "http://a:1"), ("host", "a:1")][..], true),
            (&[("origin", "http://b:1"), ("host", "a:1")][..], false),
            (&[("origin", "null"), ("host", "a:1")][..], false),
            (&[("host", "a:1")][..], false),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(same_site(&map), wanted, "{headers:?}");
        }
    }
}
