//! Signing in and out, and the choice of language.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;

use super::page::{LANGUAGE_COOKIE, Page, PageError, Section, View, render};
use crate::access::attempt::{Verdict, attempt};
use crate::access::{SESSION_COOKIE, hash_secret, new_secret};
use crate::app::App;
use crate::config::Language;
use crate::http::{Access, ApiError, Routes, same_site};
use crate::records::{audit, users};
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
    jar: CookieJar,
    Form(credentials): Form<Credentials>,
) -> Result<Response, PageError> {
    let page = view.page(Section::None);
    if !same_site(&headers) {
        return Err(PageError::new(&page, ApiError::forbidden("the form was sent from another site")));
    }
    let next = safe_next(&credentials.lanjut).to_owned();
    let session = check(&app, credentials).await.map_err(|e| PageError::new(&page, e))?;
    match session {
        Ok(secret) => {
            let secure = app.config.current().http.tls_certificate.is_some();
            let cookie = Cookie::build((SESSION_COOKIE, secret))
                .http_only(true)
                .same_site(SameSite::Lax)
                .secure(secure)
                .path("/");
            Ok((jar.add(cookie), Redirect::to(&next)).into_response())
        }
        Err(key) => {
            let template = SignIn { page: &page, next: &next, failure: Some(page.t(key)) };
            let html = render(&template).map_err(|e| PageError::new(&page, e))?;
            Ok((StatusCode::UNAUTHORIZED, html).into_response())
        }
    }
}

/// The secret of a new session, or the key of the reason against it.
async fn check(app: &App, credentials: Credentials) -> Result<Result<String, &'static str>, ApiError> {
    let user = match attempt(app, &credentials.username, credentials.password).await? {
        Verdict::Fits(user) => user,
        Verdict::Wrong => return Ok(Err("sign_in.failed")),
        Verdict::TooMany => return Ok(Err("sign_in.too_many")),
    };
    let secret = new_secret("session");
    let hash = hash_secret(&secret);
    app.records
        .run(move |db| {
            let now = now_ms();
            users::open_session(db, &hash, &user.id, now)?;
            audit::add(db, now, &format!("user:{}", user.username), "session.open", &user.username, "")
        })
        .await?;
    Ok(Ok(secret))
}

async fn sign_out(State(app): State<App>, headers: HeaderMap, jar: CookieJar) -> Result<Response, ApiError> {
    if !same_site(&headers) {
        return Err(ApiError::forbidden("the form was sent from another site"));
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
