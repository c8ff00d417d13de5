//! What is done to users and tokens, for the API and the pages alike: each is one transaction with its line in the
//! audit trail. The caller has checked the right.

use super::attempt::{Source, Verdict, attempt};
use super::password::PasswordError;
use super::{Role, UserPrincipal, hash_password, hash_secret, new_id, new_password, new_secret};
use crate::app::App;
use crate::http::ApiError;
use crate::records::rusqlite::Connection;
use crate::records::tokens::{self, ApiToken};
use crate::records::users::{self, User};
use crate::records::{RecordsError, audit};
use crate::time::{DAY_MS, now_ms};

/// API tokens of one user.
const MAX_TOKENS: usize = 50;

/// Longest life of an API token that has an end, days.
const MAX_TOKEN_DAYS: u32 = 3_660;

/// Longest name of a user for people, and of a token, characters.
pub(crate) const MAX_NAME_CHARS: usize = 100;

/// Why something was not done; nothing is changed then.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ManageError {
    #[error("a user name has 1 to 64 characters of a-z, 0-9, dot, dash, underscore")]
    Username,
    #[error("a name has 1 to {MAX_NAME_CHARS} characters, without control characters")]
    Name,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("user {0} exists")]
    Exists(String),
    #[error("user {0} does not exist")]
    UnknownUser(String),
    #[error("no user would be left who can manage users")]
    NoManagerLeft,
    #[error("a user has {MAX_TOKENS} tokens at most")]
    TooManyTokens,
    #[error("a token is made on the page /token by who is signed in, not with another token")]
    NotByToken,
    #[error("a token is good for 1 to {MAX_TOKEN_DAYS} days, or until it is revoked")]
    TokenDays,
    #[error("token {0} does not exist")]
    UnknownToken(String),
    #[error("cannot read or write the records")]
    Records(#[from] RecordsError),
    #[error("hashing was interrupted")]
    Interrupted,
}

impl ManageError {
    /// Key of the sentence for people, where people can mend it.
    pub(crate) const fn key(&self) -> Option<&'static str> {
        match self {
            Self::Username => Some("users.bad_username"),
            Self::Name => Some("users.bad_name"),
            Self::Password(_) => Some("users.bad_password"),
            Self::Exists(_) => Some("users.exists"),
            Self::NoManagerLeft => Some("users.no_manager_left"),
            Self::TooManyTokens => Some("tokens.too_many"),
            Self::UnknownUser(_)
            | Self::UnknownToken(_)
            | Self::NotByToken
            | Self::TokenDays
            | Self::Records(_)
            | Self::Interrupted => None,
        }
    }
}

impl From<ManageError> for ApiError {
    fn from(error: ManageError) -> Self {
        let text = error.to_string();
        match error {
            ManageError::Username => Self::bad_request(text).at("username"),
            ManageError::Name => Self::bad_request(text).at("name"),
            ManageError::Password(_) => Self::bad_request(text).at("password"),
            ManageError::Exists(_) => Self::conflict(text).at("username"),
            ManageError::NoManagerLeft | ManageError::TooManyTokens => Self::conflict(text),
            ManageError::NotByToken => Self::forbidden(text),
            ManageError::TokenDays => Self::bad_request(text).at("valid_days"),
            ManageError::UnknownUser(_) | ManageError::UnknownToken(_) => {
                Self::new(axum::http::StatusCode::NOT_FOUND, text)
            }
            ManageError::Records(error) => error.into(),
            ManageError::Interrupted => Self::internal(text),
        }
    }
}

/// A user to be added.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub(crate) username: String,
    pub(crate) display_name: String,
    pub(crate) password: String,
    pub(crate) roles: Vec<Role>,
}

/// Checks a name to sign in with.
pub(crate) fn check_username(name: &str) -> Result<(), ManageError> {
    let good = (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c));
    if good { Ok(()) } else { Err(ManageError::Username) }
}

fn check_name(name: &str) -> Result<(), ManageError> {
    let good =
        (1..=MAX_NAME_CHARS).contains(&name.trim().chars().count()) && !name.chars().any(char::is_control);
    if good { Ok(()) } else { Err(ManageError::Name) }
}

/// Codes of roles as the audit trail shows them.
pub(crate) fn role_codes(roles: &[Role]) -> String {
    roles.iter().map(|role| role.code()).collect::<Vec<_>>().join(",")
}

async fn hashed(password: String) -> Result<String, ManageError> {
    let hash = tokio::task::spawn_blocking(move || hash_password(&password)).await;
    Ok(hash.map_err(|_| ManageError::Interrupted)??)
}

fn existing(db: &Connection, username: &str) -> Result<User, ManageError> {
    let found = users::by_username(db, username)?;
    Ok(found.ok_or_else(|| ManageError::UnknownUser(username.to_owned()))?.0)
}

/// Adds a user.
pub(crate) async fn add_user(app: &App, actor: String, new: NewUser) -> Result<User, ManageError> {
    check_username(&new.username)?;
    check_name(&new.display_name)?;
    let hash = hashed(new.password).await?;
    let user = User {
        id: new_id(),
        username: new.username,
        display_name: new.display_name.trim().to_owned(),
        roles: new.roles,
        disabled_at_ms: None,
    };
    app.records
        .run(move |db| {
            if users::by_username(db, &user.username)?.is_some() {
                return Err(ManageError::Exists(user.username));
            }
            let now = now_ms();
            users::insert(db, &user, &hash, now)?;
            audit::add(db, now, &actor, "user.create", &user.username, &role_codes(&user.roles))?;
            Ok(user)
        })
        .await
}

/// Fails if nobody is left who can manage users: then nobody could be let in again but from the command line.
pub(crate) fn check_manager_left(db: &Connection) -> Result<(), ManageError> {
    let left = users::list(db)?
        .iter()
        .any(|user| user.disabled_at_ms.is_none() && super::may(&user.roles, super::Right::ManageAccess));
    if left { Ok(()) } else { Err(ManageError::NoManagerLeft) }
}

/// Replaces a user's roles.
pub(crate) async fn set_roles(
    app: &App,
    actor: String,
    username: String,
    roles: Vec<Role>,
) -> Result<User, ManageError> {
    app.records
        .run(move |db| {
            let mut user = existing(db, &username)?;
            users::set_roles(db, &user.id, &roles)?;
            check_manager_left(db)?;
            audit::add(db, now_ms(), &actor, "user.roles", &username, &role_codes(&roles))?;
            user.roles = roles;
            Ok(user)
        })
        .await
}

/// Lets a user sign in no more, or again. Sessions and API tokens of who is disabled are revoked for good.
pub(crate) async fn set_disabled(
    app: &App,
    actor: String,
    username: String,
    disabled: bool,
) -> Result<(), ManageError> {
    app.records
        .run(move |db| {
            let user = existing(db, &username)?;
            let now = now_ms();
            users::set_disabled(db, &user.id, disabled.then_some(now))?;
            check_manager_left(db)?;
            let action = if disabled { "user.disable" } else { "user.enable" };
            audit::add(db, now, &actor, action, &username, "")?;
            Ok(())
        })
        .await
}

/// Gives a user a new password, which is the answer, and revokes all sessions and API tokens: who needs that has lost
/// the password, perhaps to somebody else.
pub(crate) async fn reset_password(
    app: &App,
    actor: String,
    username: String,
) -> Result<String, ManageError> {
    let password = new_password();
    let hash = hashed(password.clone()).await?;
    app.records
        .run(move |db| {
            let user = existing(db, &username)?;
            users::set_password(db, &user.id, &hash)?;
            users::revoke_all(db, &user.id)?;
            audit::add(db, now_ms(), &actor, "user.password", &username, "reset")?;
            Ok::<_, ManageError>(())
        })
        .await?;
    Ok(password)
}

/// Changes one's own password, which ends all sessions; API tokens stay, they are listed beside it. Gives `false` if
/// the present one is wrong, or was tried too often.
pub(crate) async fn change_own_password(
    app: &App,
    user: &UserPrincipal,
    present: String,
    new: String,
) -> Result<Verdict, ManageError> {
    let source = Source::Session(user.id.clone());
    let verdict = attempt(app, &user.username, present, source).await?;
    let Verdict::Fits(user) = &verdict else { return Ok(verdict) };
    let user = user.clone();
    let hash = hashed(new).await?;
    app.records
        .run(move |db| {
            users::set_password(db, &user.id, &hash)?;
            let actor = format!("user:{}", user.username);
            audit::add(db, now_ms(), &actor, "user.password", &user.username, "own")
        })
        .await?;
    Ok(verdict)
}

/// Makes an API token with the rights of its user; the second of the answer is its secret.
pub(crate) async fn make_api_token(
    app: &App,
    user: &UserPrincipal,
    name: String,
    expires_in_days: Option<u32>,
) -> Result<(ApiToken, String), ManageError> {
    check_name(&name)?;
    // A token must not make others: one that leaked would outlive its own end.
    if !user.by_session {
        return Err(ManageError::NotByToken);
    }
    if expires_in_days.is_some_and(|days| !(1..=MAX_TOKEN_DAYS).contains(&days)) {
        return Err(ManageError::TokenDays);
    }
    let secret = new_secret("api");
    let hash = hash_secret(&secret);
    let now = now_ms();
    let token = ApiToken {
        id: new_id(),
        user_id: user.id.clone(),
        name: name.trim().to_owned(),
        created_at_ms: now,
        expires_at_ms: expires_in_days.map(|days| now + i64::from(days) * DAY_MS),
    };
    let actor = format!("user:{}", user.username);
    let stored = token.clone();
    app.records
        .run(move |db| {
            if tokens::api_tokens_of(db, &stored.user_id)?.len() >= MAX_TOKENS {
                return Err(ManageError::TooManyTokens);
            }
            tokens::insert_api_token(db, &stored, &hash)?;
            audit::add(db, now, &actor, "token.create", &stored.name, &stored.id)?;
            Ok(())
        })
        .await?;
    Ok((token, secret))
}

/// Revokes an API token of one's own.
pub(crate) async fn revoke_api_token(app: &App, user: &UserPrincipal, id: String) -> Result<(), ManageError> {
    let (user_id, actor) = (user.id.clone(), format!("user:{}", user.username));
    app.records
        .run(move |db| {
            if !tokens::delete_api_token(db, &user_id, &id)? {
                return Err(ManageError::UnknownToken(id));
            }
            audit::add(db, now_ms(), &actor, "token.delete", &id, "")?;
            Ok(())
        })
        .await
}

/// All users, and the newest entries of the audit trail.
pub(crate) async fn users_and_trail(
    app: &App,
    entries: u32,
) -> Result<(Vec<User>, Vec<audit::Entry>), RecordsError> {
    app.records.run(move |db| Ok((users::list(db)?, audit::latest(db, entries)?))).await
}
