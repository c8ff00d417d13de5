//! Signing in and out, and the choice of language.

use std::net::IpAddr;

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;

use super::page::{LANGUAGE_COOKIE, Page, PageError, Section, View, render};
use crate::access::attempt::{MAX_DEVICES, Source, Verdict, attempt};
use crate::access::{SESSION_COOKIE, hash_secret, new_secret};
use crate::app::App;
use crate::config::Language;
use crate::http::{Access, ApiError, FROM_ANOTHER_SITE, PeerAddress, Routes, same_site};
use crate::records::{attempts, audit, users};
use crate::time::now_ms;

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/masuk", Access::Public, "the login", show)
        .form("/masuk", Access::Public, "sign in", sign_in)
        .form("/keluar", Access::Public, "sign out", sign_out)
        .page("/bahasa", Access::Public, "choose the language", choose_language)
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignIn<'a> {
    page: &'a Page,
    next: &'a str,
    failure: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Next {
    #[serde(default)]
    lanjut: String,
}

/// A path of this site, so that a link cannot lead elsewhere after the login.
fn safe_next(next: &str) -> &str {
    let good = next.starts_with('/')
        && !next.starts_with("//")
        && !next.contains(|c: char| c == '\\' || c.is_control());
    if good { next } else { "/" }
}

async fn show(view: View, Query(next): Query<Next>) -> Result<Response, PageError> {
    let page = view.page(Section::None);
    let template = SignIn { page: &page, next: safe_next(&next.lanjut), failure: None };
    Ok(render(&template).map_err(|e| PageError::new(&page, e))?.into_response())
}

#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
    #[serde(default)]
    lanjut: String,
}

async fn sign_in(
    State(app): State<App>,
    view: View,
    headers: HeaderMap,
    PeerAddress(address): PeerAddress,
    jar: CookieJar,
    Form(credentials): Form<Credentials>,
) -> Result<Response, PageError> {
    let page = view.page(Section::None);
    if !same_site(&headers) {
        return Err(PageError::new(&page, ApiError::forbidden(FROM_ANOTHER_SITE)));
    }
    let next = safe_next(&credentials.lanjut).to_owned();
    let device = jar.get(DEVICE_COOKIE).map(|cookie| cookie.value().to_owned());
    let device = device.as_deref().map(hash_secret);
    let session = check(&app, credentials, address, device).await.map_err(|e| PageError::new(&page, e))?;
    match session {
        Ok(SignedIn { session, device }) => {
            let secure = app.config.current().http.tls_certificate.is_some();
            let cookie = |name, value| {
                Cookie::build((name, value)).http_only(true).same_site(SameSite::Lax).secure(secure).path("/")
            };
            let jar = jar.add(cookie(SESSION_COOKIE, session));
            let jar = jar.add(cookie(DEVICE_COOKIE, device).permanent());
            Ok((jar, Redirect::to(&next)).into_response())
        }
        Err(key) => {
            let template = SignIn { page: &page, next: &next, failure: Some(page.t(key)) };
            let html = render(&template).map_err(|e| PageError::new(&page, e))?;
            Ok((StatusCode::UNAUTHORIZED, html).into_response())
        }
    }
}

/// Name of the cookie that says that a user has signed in with this browser before. It opens nothing; it only keeps
/// the failed attempts of others from counting against the user.
const DEVICE_COOKIE: &str = "siaga_peramban";

/// Secrets of the cookies after a login.
struct SignedIn {
    session: String,
    device: String,
}

/// The secrets of a new session, or the key of the reason against it.
async fn check(
    app: &App,
    credentials: Credentials,
    address: Option<IpAddr>,
    device: Option<String>,
) -> Result<Result<SignedIn, &'static str>, ApiError> {
    let source = Source::Browser { address, device: device.clone() };
    let user = match attempt(app, &credentials.username, credentials.password, source).await? {
        Verdict::Fits(user) => user,
        Verdict::Wrong => return Ok(Err("sign_in.failed")),
        Verdict::TooMany => return Ok(Err("sign_in.too_many")),
    };
    // Both are new at each login: a cookie that somebody planted must not become one that counts.
    let (session, new_device) = (new_secret("session"), new_secret("device"));
    let (hash, device_hash) = (hash_secret(&session), hash_secret(&new_device));
    app.records
        .run(move |db| {
            let now = now_ms();
            users::open_session(db, &hash, &user.id, now)?;
            if let Some(old) = device {
                attempts::forget_device(db, &user.id, &old)?;
            }
            attempts::remember_device(db, &user.id, &device_hash, now, MAX_DEVICES)?;
            audit::add(db, now, &format!("user:{}", user.username), "session.open", &user.username, "")
        })
        .await?;
    Ok(Ok(SignedIn { session, device: new_device }))
}

async fn sign_out(State(app): State<App>, headers: HeaderMap, jar: CookieJar) -> Result<Response, ApiError> {
    if !same_site(&headers) {
        return Err(ApiError::forbidden(FROM_ANOTHER_SITE));
    }
    if let Some(cookie) = jar.get(SESSION_COOKIE) {
        let hash = hash_secret(cookie.value());
        app.records.run(move |db| users::close_session(db, &hash)).await?;
    }
    Ok((jar.remove(Cookie::build(SESSION_COOKIE).path("/")), Redirect::to("/masuk")).into_response())
}

#[derive(Debug, Deserialize)]
struct Choice {
    ke: String,
    #[serde(default)]
    lanjut: String,
}

async fn choose_language(jar: CookieJar, Query(choice): Query<Choice>) -> Response {
    let next = safe_next(&choice.lanjut).to_owned();
    let jar = match Language::from_code(&choice.ke) {
        Some(language) => jar.add(
            Cookie::build((LANGUAGE_COOKIE, language.code()))
                .path("/")
                .same_site(SameSite::Lax)
                .http_only(true)
                .permanent(),
        ),
        None => jar,
    };
    (jar, Redirect::to(&next)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_leads_only_to_paths_of_this_site() {
        for (next, wanted) in [
            ("/aset?x=1", "/aset?x=1"),
            ("//evil", "/"),
            ("https://evil", "/"),
            ("/\\evil", "/"),
            ("/\t/evil", "/"),
            ("", "/"),
        ] {
            assert_eq!(safe_next(next), wanted);
        }
    }
}
