//! Rows of API tokens and of one-time enrolment tokens. Only hashes are stored.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Result;
use super::users::{self, User};
use crate::time::Millis;

/// An API token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Identifier.
    pub id: String,
    /// Whose rights it has.
    pub user_id: String,
    /// What it is for.
    pub name: String,
    /// Made when.
    pub created_at_ms: Millis,
    /// Good until; `None` means until it is revoked.
    pub expires_at_ms: Option<Millis>,
}

/// Adds an API token.
///
/// # Errors
/// If the statement fails.
pub fn insert_api_token(db: &Connection, token: &ApiToken, token_hash: &str) -> Result<()> {
    db.execute(
        "INSERT INTO api_tokens (id, token_hash, user_id, name, created_at_ms, expires_at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![token.id, token_hash, token.user_id, token.name, token.created_at_ms, token.expires_at_ms],
    )?;
    Ok(())
}

/// The user whose rights a token has.
///
/// # Errors
/// If a statement fails.
pub fn api_token_user(db: &Connection, token_hash: &str, now_ms: Millis) -> Result<Option<User>> {
    let user_id: Option<String> = db
        .query_row(
            "SELECT user_id FROM api_tokens \
             WHERE token_hash = ?1 AND (expires_at_ms IS NULL OR expires_at_ms > ?2)",
            params![token_hash, now_ms],
            |row| row.get(0),
        )
        .optional()?;
    user_id.map_or(Ok(None), |id| users::active_by_id(db, &id))
}

/// Tokens of a user, oldest first.
///
/// # Errors
/// If the statement fails.
pub fn api_tokens_of(db: &Connection, user_id: &str) -> Result<Vec<ApiToken>> {
    let mut statement = db.prepare_cached(
        "SELECT id, user_id, name, created_at_ms, expires_at_ms FROM api_tokens WHERE user_id = ?1 \
         ORDER BY created_at_ms, id",
    )?;
    let rows = statement.query_map([user_id], |row| {
        Ok(ApiToken {
            id: row.get(0)?,
            user_id: row.get(1)?,
            name: row.get(2)?,
            created_at_ms: row.get(3)?,
            expires_at_ms: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Revokes a user's token. Says whether there was one.
///
/// # Errors
/// If the statement fails.
pub fn delete_api_token(db: &Connection, user_id: &str, id: &str) -> Result<bool> {
    Ok(db.execute("DELETE FROM api_tokens WHERE id = ?1 AND user_id = ?2", params![id, user_id])? > 0)
}

/// Adds a one-time enrolment token; `for_host` is the identifier of the host in service that it may enrol again.
///
/// # Errors
/// If the statement fails.
pub fn insert_enrol_token(
    db: &Connection,
    token_hash: &str,
    for_host: Option<&str>,
    now_ms: Millis,
    expires_at_ms: Millis,
) -> Result<()> {
    db.execute(
        "INSERT INTO enrol_tokens (token_hash, for_host, created_at_ms, expires_at_ms) VALUES (?1, ?2, ?3, ?4)",
        params![token_hash, for_host.unwrap_or_default(), now_ms, expires_at_ms],
    )?;
    Ok(())
}

/// Of a good enrolment token, the identifier of the host that it was made for, if it was; `None` if it is not good.
///
/// # Errors
/// If the statement fails.
pub fn good_enrol_token(db: &Connection, token_hash: &str, now_ms: Millis) -> Result<Option<Option<String>>> {
    let found: Option<String> = db
        .query_row(
            "SELECT for_host FROM enrol_tokens \
             WHERE token_hash = ?1 AND used_at_ms IS NULL AND expires_at_ms > ?2",
            params![token_hash, now_ms],
            |row| row.get(0),
        )
        .optional()?;
    Ok(found.map(|host| Some(host).filter(|host| !host.is_empty())))
}

/// Uses up an enrolment token. Says whether it was good.
///
/// # Errors
/// If the statement fails.
pub fn use_enrol_token(db: &Connection, token_hash: &str, host_id: &str, now_ms: Millis) -> Result<bool> {
    let used = db.execute(
        "UPDATE enrol_tokens SET used_at_ms = ?2, used_by_host = ?3 \
         WHERE token_hash = ?1 AND used_at_ms IS NULL AND expires_at_ms > ?2",
        params![token_hash, now_ms, host_id],
    )?;
    Ok(used == 1)
}
