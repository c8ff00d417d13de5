//! Token: one's own account and API tokens, and the enrolment of servers.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::page::{Page, PageError, Section, View, render};
use super::users::role_name;
use crate::access::attempt::Verdict;
use crate::access::manage::{self, ManageError};
use crate::access::{Right, UserPrincipal};
use crate::app::App;
use crate::fleet::new_enrol_token;
use crate::http::{ApiError, Caller, Routes};
use crate::records::{RecordsError, tokens};
use crate::time::{millis, now_ms};

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/token", Right::ViewServers, "own account and API tokens", show)
        .form("/token", Right::ViewServers, "make an API token", make)
        .form("/token/{id}/cabut", Right::ViewServers, "revoke an own API token", revoke)
        .form("/token/sandi", Right::ViewServers, "change the own password", change_password)
        .form("/token/pendaftaran", Right::ManageFleet, "make an enrolment token", make_enrolment)
}

struct TokenRow {
    id: String,
    name: String,
    made: String,
    expires: Option<String>,
}

/// A secret that is shown once.
struct Enrolment {
    command: String,
    token: String,
    until: String,
    /// Said where no other machine can reach this server.
    warning: Option<String>,
}

#[derive(Template)]
#[template(path = "users/tokens.html")]
struct TokensTemplate<'a> {
    page: &'a Page,
    user: &'a UserPrincipal,
    roles: String,
    tokens: Vec<TokenRow>,
    made: Option<String>,
    enrolment: Option<Enrolment>,
    may_enrol: bool,
    problem: Option<String>,
}

async fn template<'a>(
    app: &App,
    page: &'a Page,
    user: &'a UserPrincipal,
) -> Result<TokensTemplate<'a>, ApiError> {
    let id = user.id.clone();
    let found = app.records.run(move |db| tokens::api_tokens_of(db, &id)).await?;
    let tokens = found
        .into_iter()
        .map(|token| TokenRow {
            id: token.id,
            name: token.name,
            made: page.datetime(token.created_at_ms),
            expires: token.expires_at_ms.map(|at| page.datetime(at)),
        })
        .collect();
    let roles: Vec<String> = user.roles.iter().map(|role| role_name(page, *role)).collect();
    Ok(TokensTemplate {
        page,
        user,
        roles: roles.join(", "),
        tokens,
        made: None,
        enrolment: None,
        may_enrol: page.may(Right::ManageFleet),
        problem: None,
    })
}

/// Renders the page after `change` was put into it.
async fn answer(
    app: &App,
    view: View,
    caller: &Caller,
    change: impl AsyncFnOnce(&Page, &UserPrincipal, &mut TokensTemplate<'_>) -> Result<StatusCode, ApiError>,
) -> Result<Response, PageError> {
    let page = view.page(Section::None);
    let work = async {
        let user = caller.0.user()?;
        // The change comes first, so that the list shows what it made.
        let mut changed = template(app, &page, user).await?;
        let status = change(&page, user, &mut changed).await?;
        let fresh = template(app, &page, user).await?;
        changed.tokens = fresh.tokens;
        Ok((status, render(&changed)?).into_response())
    };
    work.await.map_err(|e: ApiError| PageError::new(&page, e))
}

fn problem(
    page: &Page,
    template: &mut TokensTemplate<'_>,
    error: ManageError,
) -> Result<StatusCode, ApiError> {
    let Some(key) = error.key() else { return Err(error.into()) };
    template.problem = Some(page.t(key));
    Ok(ApiError::from(error).status())
}

async fn show(State(app): State<App>, view: View, caller: Caller) -> Result<Response, PageError> {
    answer(&app, view, &caller, async |_, _, _| Ok(StatusCode::OK)).await
}

#[derive(Debug, Deserialize)]
struct NewToken {
    name: String,
    /// Days, or nothing for a token without an end; a form without the field is no choice.
    hari: String,
}

async fn make(
    State(app): State<App>,
    view: View,
    caller: Caller,
    Form(new): Form<NewToken>,
) -> Result<Response, PageError> {
    let page = view.clone().page(Section::None);
    let days =
        match new.hari.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| {
                PageError::new(&page, ApiError::bad_request("not a number of days").at("hari"))
            })?),
        };
    answer(&app, view, &caller, async |page, user, template| {
        match manage::make_api_token(&app, user, new.name, days).await {
            Ok((_, secret)) => {
                template.made = Some(secret);
                Ok(StatusCode::OK)
            }
            Err(error) => problem(page, template, error),
        }
    })
    .await
}

async fn revoke(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::None);
    let work = async { Ok(manage::revoke_api_token(&app, principal.user()?, id).await?) };
    work.await.map_err(|e: ApiError| PageError::new(&page, e))?;
    Ok(Redirect::to("/token"))
}

#[derive(Deserialize)]
struct PasswordChange {
    lama: String,
    baru: String,
}

async fn change_password(
    State(app): State<App>,
    view: View,
    caller: Caller,
    Form(change): Form<PasswordChange>,
) -> Result<Response, PageError> {
    let page = view.clone().page(Section::None);
    let user = caller.0.user().map_err(|e| PageError::new(&page, e))?.clone();
    let done = manage::change_own_password(&app, &user, change.lama, change.baru).await;
    if matches!(done, Ok(Verdict::Fits(_))) {
        // All sessions have ended, this one too.
        return Ok(Redirect::to("/masuk").into_response());
    }
    answer(&app, view, &caller, async |page, _, template| match done {
        Err(error) => problem(page, template, error),
        Ok(Verdict::TooMany) => {
            template.problem = Some(page.t("sign_in.too_many"));
            Ok(StatusCode::TOO_MANY_REQUESTS)
        }
        Ok(_) => {
            template.problem = Some(page.t("tokens.wrong_password"));
            Ok(StatusCode::FORBIDDEN)
        }
    })
    .await
}

async fn make_enrolment(
    State(app): State<App>,
    view: View,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let actor = caller.0.actor();
    answer(&app, view, &caller, async |page, _, template| {
        let valid = app.config.current().fleet.enrol_token_valid;
        let (records, now) = (app.records.clone(), now_ms());
        let token = tokio::task::spawn_blocking(move || new_enrol_token(&records, None, valid, &actor, now))
            .await
            .map_err(|_| RecordsError::Task)??;
        let listen = app.config.current().http.listen;
        template.enrolment = Some(Enrolment {
            command: enrol_command(&own_address(&app, &headers)),
            token,
            until: page.datetime(now + millis(valid)),
            warning: listen
                .ip()
                .is_loopback()
                .then(|| page.tv("tokens.enrolment_loopback", &[("address", &listen.to_string())])),
        });
        Ok(StatusCode::OK)
    })
    .await
}

/// What is typed on the server that is to be enrolled. The token is pasted into it, where other users of that host do not
/// see it: they do see arguments, those of `sudo env` too.
fn enrol_command(address: &str) -> String {
    format!("sudo siaga-agent enrol --server {address} --token-file - --config /etc/siaga/agent.toml")
}

/// Address under which the browser reached this server, which agents most likely reach as well.
fn own_address(app: &App, headers: &HeaderMap) -> String {
    let http = app.config.current().http.clone();
    let scheme = if http.tls_certificate.is_some() { "https" } else { "http" };
    let plain = |host: &&str| {
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:[]".contains(c))
    };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).filter(plain);
    format!("{scheme}://{}", host.map_or_else(|| http.listen.to_string(), ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_enrols_as_the_agent_wants_it() {
        assert_eq!(
            enrol_command("https://siaga.example:8480"),
            "sudo siaga-agent enrol --server https://siaga.example:8480 --token-file - \
             --config /etc/siaga/agent.toml"
        );
    }
}
