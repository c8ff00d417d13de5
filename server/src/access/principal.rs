//! Finds out who is asking: a user's session (cookie), a user's API token or an agent's token (bearer).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum_extra::extract::CookieJar;
use base64::Engine as _;

use super::rights::{Right, Role, may};
use super::secrets::hash_secret;
use crate::app::App;
use crate::records::{RecordsError, hosts, tokens, users};
use crate::time::{Millis, millis};

/// Name of the session's cookie.
pub(crate) const SESSION_COOKIE: &str = "siaga_session";

/// A user who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPrincipal {
    /// Identifier.
    pub id: String,
    /// Name to sign in with.
    pub username: String,
    /// Name for people.
    pub display_name: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// Whether a browser's session, not a token, says so. Forms count only from a session.
    pub by_session: bool,
}

/// Who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A user.
    User(UserPrincipal),
    /// An enrolled agent.
    Agent(hosts::Host),
}

impl Principal {
    /// Whether a user with this right is asking.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        matches!(self, Self::User(user) if may(&user.roles, right))
    }

    /// Name in the audit trail.
    #[must_use]
    pub fn actor(&self) -> String {
        match self {
            Self::User(user) => format!("user:{}", user.username),
            Self::Agent(host) => format!("agent:{}", host.instance),
        }
    }
}

/// Why nobody is known to be asking.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// The bearer token is not known, was revoked or has expired.
    #[error("the token is not known")]
    UnknownToken,
    /// The records cannot be read.
    #[error("cannot look up who is asking")]
    Records(#[from] RecordsError),
}

/// The token of an `Authorization` header: `Bearer TOKEN`, or `Basic` with the token as password, which is what
/// Grafana's data source can send.
fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
        let pair = String::from_utf8(pair).ok()?;
        return pair.split_once(':').map(|(_, password)| password.to_owned());
    }
    None
}

/// Who is asking with these headers; `None` if nobody says so.
///
/// # Errors
/// If a token is given that is not known, or the records cannot be read.
pub async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    now_ms: Millis,
) -> Result<Option<Principal>, AuthError> {
    if let Some(token) = bearer(headers) {
        let hash = hash_secret(&token);
        return app
            .records
            .run(move |db| {
                if let Some(host) = hosts::by_token(db, &hash)? {
                    return Ok(Some(Principal::Agent(host)));
                }
                Ok(tokens::api_token_user(db, &hash, now_ms)?.map(|user| as_principal(user, false)))
            })
            .await
            .map_err(|error: RecordsError| AuthError::Records(error))?
            .map(Some)
            .ok_or(AuthError::UnknownToken);
    }
    let Some(cookie) = CookieJar::from_headers(headers).get(SESSION_COOKIE).map(|c| c.value().to_owned())
    else {
        return Ok(None);
    };
    let access = app.config.current().access.clone();
    let hash = hash_secret(&cookie);
    let (idle, max) = (millis(access.session_idle), millis(access.session_max));
    let session = hash.clone();
    let found = app.records.run(move |db| users::session_user(db, &session, idle, max, now_ms)).await?;
    let Some((user, last_used)) = found else { return Ok(None) };
    if now_ms - last_used > NOTE_USE_AFTER_MS {
        // A full disk must not shut out those who are to see that it is full.
        let noted = app.records.run(move |db| users::note_session_use(db, &hash, now_ms)).await;
        if let Err(error) = noted {
            tracing::warn!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "use of a session is not noted"
            );
        }
    }
    Ok(Some(as_principal(user, true)))
}

/// Use of a session is noted at most this often.
const NOTE_USE_AFTER_MS: Millis = 60_000;

fn as_principal(user: users::User, by_session: bool) -> Principal {
    Principal::User(UserPrincipal {
        id: user.id,
        username: user.username,
        display_name: user.display_name,
        roles: user.roles,
        by_session,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_taken_from_bearer_and_from_basic() {
        for (value, wanted) in [
            ("Bearer abc", Some("abc")),
            ("bearer abc", Some("abc")),
            ("Basic YW55OmFiYw==", Some("abc")),
            ("Basic ???", None),
            ("Digest abc", None),
            ("abc", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&headers).as_deref(), wanted, "{value}");
        }
    }
}
