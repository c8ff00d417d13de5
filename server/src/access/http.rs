//! HTTP of users and tokens: sign in and out, users, API tokens, audit trail.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::{Principal, Right, Role, hash_password, hash_secret, new_id, new_secret};
use crate::app::App;
use crate::http::{ApiError, Caller, JsonBody, Routes};
use crate::records::tokens::{self, ApiToken};
use crate::records::users::{self, User};
use crate::records::{RecordsError, audit};
use crate::time::{Millis, now_ms};

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
struct NewUser {
    username: String,
    display_name: String,
    password: String,
    #[serde(default)]
    roles: Vec<Role>,
}

async fn create_user(
    State(app): State<App>,
    Caller(principal): Caller,
    JsonBody(new): JsonBody<NewUser>,
) -> Result<Json<UserBody>, ApiError> {
    check_username(&new.username)?;
    let password = new.password;
    let hash = tokio::task::spawn_blocking(move || hash_password(&password))
        .await
        .map_err(|_| ApiError::internal("hashing was interrupted"))?
        .map_err(|error| ApiError::bad_request(error.to_string()).at("password"))?;
    let user = User {
        id: new_id(),
        username: new.username,
        display_name: new.display_name,
        roles: new.roles,
        disabled_at_ms: None,
    };
    let actor = principal.actor();
    let created = app
        .records
        .run(move |db| {
            if users::by_username(db, &user.username)?.is_some() {
                return Err(ApiError::conflict(format!("user {} exists", user.username)).at("username"));
            }
            let now = now_ms();
            users::insert(db, &user, &hash, now)?;
            audit::add(db, now, &actor, "user.create", &user.username, &role_codes(&user.roles))?;
            Ok(user)
        })
        .await?;
    Ok(Json(created.into()))
}

/// Checks a name to sign in with.
pub(crate) fn check_username(name: &str) -> Result<(), ApiError> {
    let good = (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
    if good {
        Ok(())
    } else {
        Err(ApiError::bad_request("a user name has 1 to 64 characters of a-z, 0-9, dot, dash, underscore")
            .at("username"))
    }
}

pub(crate) fn role_codes(roles: &[Role]) -> String {
    roles.iter().map(|role| role.code()).collect::<Vec<_>>().join(",")
}

async fn set_roles(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(username): Path<String>,
    JsonBody(roles): JsonBody<Vec<Role>>,
) -> Result<Json<UserBody>, ApiError> {
    let actor = principal.actor();
    let user = app
        .records
        .run(move |db| {
            let (mut user, _) = users::by_username(db, &username)?
                .ok_or_else(|| ApiError::not_found(format!("user {username}")))?;
            users::set_roles(db, &user.id, &roles)?;
            audit::add(db, now_ms(), &actor, "user.roles", &username, &role_codes(&roles))?;
            user.roles = roles;
            Ok::<_, ApiError>(user)
        })
        .await?;
    Ok(Json(user.into()))
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

/// Tokens that one user may hold.
const MAX_TOKENS_PER_USER: usize = 50;

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
    if new.name.is_empty() || new.name.len() > 100 {
        return Err(ApiError::bad_request("a token's name has 1 to 100 bytes").at("name"));
    }
    let user = principal.user()?.clone();
    let actor = principal.actor();
    let secret = new_secret("api");
    let hash = hash_secret(&secret);
    let now = now_ms();
    let token = ApiToken {
        id: new_id(),
        user_id: user.id.clone(),
        name: new.name,
        created_at_ms: now,
        expires_at_ms: new.valid_days.map(|days| now + i64::from(days) * crate::time::DAY_MS),
    };
    let stored = token.clone();
    app.records
        .run(move |db| {
            if tokens::api_tokens_of(db, &user.id)?.len() >= MAX_TOKENS_PER_USER {
                return Err(ApiError::conflict(format!("a user holds {MAX_TOKENS_PER_USER} tokens at most")));
            }
            tokens::insert_api_token(db, &stored, &hash)?;
            audit::add(db, now, &actor, "token.create", &stored.name, &stored.id)?;
            Ok(())
        })
        .await?;
    Ok(Json(token_body(token, Some(secret))))
}

async fn delete_token(
    State(app): State<App>,
    Caller(principal): Caller,
    Path(id): Path<String>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let user_id = principal.user()?.id.clone();
    let actor = principal.actor();
    app.records
        .run(move |db| {
            if !tokens::delete_api_token(db, &user_id, &id)? {
                return Err(ApiError::not_found(format!("token {id}")));
            }
            audit::add(db, now_ms(), &actor, "token.delete", &id, "")?;
            Ok(())
        })
        .await?;
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
    let entries = app.records.run(|db| Ok::<_, RecordsError>(audit::latest(db, 500)?)).await?;
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
