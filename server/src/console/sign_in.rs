//! Signing in and out, and the choice of language.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::page::{LANGUAGE_COOKIE, Page, PageError, Section, View, render};
use crate::access::{SESSION_COOKIE, hash_secret, new_secret, verify_password};
use crate::app::App;
use crate::config::Language;
use crate::http::{Access, ApiError, Routes, same_site};
use crate::records::{RecordsError, audit, users};
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
    let good = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
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

/// Failed logins count for so long.
const FAILED_LOGINS_WINDOW_MS: i64 = 15 * 60 * 1_000;

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
///
/// The password is verified outside of the records' transaction: it takes its time, and others must not wait for it.
async fn check(app: &App, credentials: Credentials) -> Result<Result<String, &'static str>, ApiError> {
    let max_failed = app.config.current().access.max_failed_logins;
    let username = credentials.username.chars().take(MAX_USERNAME_CHARS).collect::<String>();
    let name = username.clone();
    let found = app
        .records
        .run(move |db| {
            if users::failed_logins_since(db, &name, now_ms() - FAILED_LOGINS_WINDOW_MS)? >= max_failed {
                return Ok(Err("sign_in.too_many"));
            }
            Ok::<_, RecordsError>(Ok(users::by_username(db, &name)?))
        })
        .await?;
    let found = match found {
        Ok(found) => found,
        Err(key) => return Ok(Err(key)),
    };
    let permit = VERIFICATIONS.acquire().await;
    let (user, fits) = tokio::task::spawn_blocking(move || {
        // A name that does not exist must not answer faster than one that does.
        let hash = found.as_ref().map_or(DUMMY_HASH, |(_, hash)| hash);
        let fits = verify_password(&credentials.password, hash);
        (found.map(|(user, _)| user), fits)
    })
    .await
    .map_err(|_| ApiError::internal("verifying a password was interrupted"))?;
    drop(permit);
    app.records
        .run(move |db| {
            let now = now_ms();
            match user {
                Some(user) if fits && user.disabled_at_ms.is_none() => {
                    let secret = new_secret("session");
                    users::open_session(db, &hash_secret(&secret), &user.id, now)?;
                    audit::add(db, now, &format!("user:{username}"), "session.open", &username, "")?;
                    Ok(Ok(secret))
                }
                _ => {
                    users::note_failed_login(db, &username, now)?;
                    audit::add(db, now, "siaga", "session.refuse", &username, "")?;
                    Ok::<_, RecordsError>(Err("sign_in.failed"))
                }
            }
        })
        .await
        .map_err(ApiError::from)
}

/// Longest user name that is looked up.
const MAX_USERNAME_CHARS: usize = 64;

/// Passwords that are verified at once; each takes some 20 MB and a processor for a moment, and anybody may ask.
static VERIFICATIONS: Semaphore = Semaphore::const_new(2);

/// The hash of a password that nobody has.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2lhZ2Etc2lhZ2Etc2FsdA$8ZfPq4dqkMNN8u4mNIv1wC8Wd0PuVJZUUNBGN6Kw3Vc";

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
        for (next, wanted) in
            [("/aset?x=1", "/aset?x=1"), ("//evil", "/"), ("https://evil", "/"), ("/\\evil", "/"), ("", "/")]
        {
            assert_eq!(safe_next(next), wanted);
        }
    }

    #[test]
    fn the_dummy_hash_is_a_hash_that_no_password_fits() {
        assert!(argon2::password_hash::phc::PasswordHash::new(DUMMY_HASH).is_ok());
        assert!(!verify_password("", DUMMY_HASH));
    }
}
