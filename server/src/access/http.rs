//! HTTP of users and tokens: sign in and out, users, API tokens, audit trail.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::manage::{self, NewUser};
use super::{Principal, Right, Role};
use crate::app::App;
use crate::http::{ApiError, Caller, JsonBody, Routes};
use crate::records::audit;
use crate::records::tokens::{self, ApiToken};
use crate::records::users::{self, User};
use crate::time::Millis;

/// Routes of users and tokens under `/api/v1`.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/me", Right::ViewServers, "who is asking, with roles", me)
        .get("/api/v1/users", Right::ViewAccess, "all users", list_users)
        .post("/api/v1/users", Right::ManageAccess, "add a user", create_user)
        .put("/api/v1/users/{username}/roles", Right::ManageAccess, "replace a user's roles", set_roles)
        .get("/api/v1/tokens", Right::ViewServers, "own API tokens", list_tokens)
        .post("/api/v1/tokens", Right::ViewServers, "make an API token for oneself", create_token)
        .delete("/api/v1/tokens/{id}", Right::ViewServers, "revoke an own API token", delete_token)
        .get("/api/v1/audit", Right::ViewAccess, "newest entries of the audit trail", list_audit)
}

/// A user in answers.
#[derive(Debug, Serialize)]
struct UserBody {
    username: String,
    display_name: String,
    roles: Vec<Role>,
    disabled: bool,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            username: user.username,
            display_name: user.display_name,
            roles: user.roles,
            disabled: user.disabled_at_ms.is_some(),
        }
    }
}

async fn me(Caller(principal): Caller) -> Result<Json<UserBody>, ApiError> {
    let user = principal.user()?;
    Ok(Json(UserBody {
        username: user.username.clone(),
        display_name: user.display_name.clone(),
        roles: user.roles.clone(),
        disabled: false,
    }))
}

async fn list_users(State(app): State<App>) -> Result<Json<Vec<UserBody>>, ApiError> {
    let users = app.records.run(|db| users::list(db)).await?;
    Ok(Json(users.into_iter().map(UserBody::from).collect()))
}

/// Body of a new user.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUserBody {
    username: String,
    display_name: String,
    password: String,
    #[serde(default)]
    roles: Vec<Role>,
}

async fn create_user(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(new): JsonBody<NewUserBody>,
) -> Result<Json<UserBody>, ApiError> {
    let new = NewUser {
        username: new.username,
        display_name: new.display_name,
        password: new.password,
        roles: new.roles,
    };
    Ok(Json(manage::add_user(&app, principal.actor(), new).await?.into()))
}

async fn set_roles(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(username): Path<String>,
    JsonBody(roles): JsonBody<Vec<Role>>,
) -> Result<Json<UserBody>, ApiError> {
    Ok(Json(manage::set_roles(&app, principal.actor(), username, roles).await?.into()))
}

/// An API token in answers.
#[derive(Debug, Serialize)]
struct TokenBody {
    id: String,
    name: String,
    created_at_ms: Millis,
    expires_at_ms: Option<Millis>,
    /// The secret; only in the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

async fn list_tokens(
    State(app): State<App>,
    Caller(principal): Caller,
) -> Result<Json<Vec<TokenBody>>, ApiError> {
    let user_id = principal.user()?.id.clone();
    let found = app.records.run(move |db| tokens::api_tokens_of(db, &user_id)).await?;
    Ok(Json(found.into_iter().map(|token| token_body(token, None)).collect()))
}

fn token_body(token: ApiToken, secret: Option<String>) -> TokenBody {
    TokenBody {
        id: token.id,
        name: token.name,
        created_at_ms: token.created_at_ms,
        expires_at_ms: token.expires_at_ms,
        token: secret,
    }
}

/// Body of a new token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewToken {
    name: String,
    #[serde(default)]
    valid_days: Option<u32>,
}

async fn create_token(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(new): JsonBody<NewToken>,
) -> Result<Json<TokenBody>, ApiError> {
    let (token, secret) = manage::make_api_token(&app, principal.user()?, new.name, new.valid_days).await?;
    Ok(Json(token_body(token, Some(secret))))
}

async fn delete_token(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    manage::revoke_api_token(&app, principal.user()?, id).await?;
    Ok(Json(serde_json::json!({ "deleted": true })))
}

/// An entry of the audit trail in answers.
#[derive(Debug, Serialize)]
struct AuditBody {
    at_ms: Millis,
    actor: String,
    action: String,
    subject: String,
    detail: String,
}

async fn list_audit(State(app): State<App>) -> Result<Json<Vec<AuditBody>>, ApiError> {
    let entries = app.records.run(|db| audit::latest(db, 500)).await?;
    let body = entries
        .into_iter()
        .map(|e| AuditBody {
            at_ms: e.at_ms,
            actor: e.actor,
            action: e.action,
            subject: e.subject,
            detail: e.detail,
        })
        .collect();
    Ok(Json(body))
}

impl Principal {
    /// The user who is asking.
    ///
    /// # Errors
    /// 403 if an agent is asking.
    pub fn user(&self) -> Result<&super::UserPrincipal, ApiError> {
        match self {
            Self::User(user) => Ok(user),
            Self::Agent(_) => Err(ApiError::forbidden("this is for users, not for agents")),
        }
    }

    /// The agent that is asking.
    ///
    /// # Errors
    /// 403 if a user is asking.
    pub fn agent(&self) -> Result<&crate::records::hosts::Host, ApiError> {
        match self {
            Self::Agent(host) => Ok(host),
            Self::User(_) => Err(ApiError::forbidden("this is for agents, not for users")),
        }
    }
}
