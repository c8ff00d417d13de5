//! Rows of users, their roles, sessions and failed logins.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{RecordsError, Result};
use crate::access::Role;
use crate::time::Millis;

/// A user with roles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Identifier.
    pub id: String,
    /// Name to sign in with.
    pub username: String,
    /// Name for people.
    pub display_name: String,
    /// Roles, in the SOP's order.
    pub roles: Vec<Role>,
    /// Since when the user may no longer sign in.
    pub disabled_at_ms: Option<Millis>,
}

/// How many users there are.
///
/// # Errors
/// If the statement fails.
pub fn count(db: &Connection) -> Result<i64> {
    Ok(db.query_row("SELECT COUNT(*) FROM users", [], |row| row.get(0))?)
}

/// Adds a user.
///
/// # Errors
/// If the statement fails, for example because the name is taken.
pub fn insert(db: &Connection, user: &User, password_hash: &str, now_ms: Millis) -> Result<()> {
    db.execute(
        "INSERT INTO users (id, username, display_name, password_hash, created_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![user.id, user.username, user.display_name, password_hash, now_ms],
    )?;
    set_roles(db, &user.id, &user.roles)
}

/// Replaces a user's roles.
///
/// # Errors
/// If a statement fails.
pub fn set_roles(db: &Connection, user_id: &str, roles: &[Role]) -> Result<()> {
    db.execute("DELETE FROM user_roles WHERE user_id = ?1", [user_id])?;
    for role in roles {
        db.execute("INSERT INTO user_roles (user_id, role) VALUES (?1, ?2)", params![user_id, role.code()])?;
    }
    Ok(())
}

/// Replaces a user's password and ends all sessions.
///
/// # Errors
/// If a statement fails.
pub fn set_password(db: &Connection, user_id: &str, password_hash: &str) -> Result<()> {
    db.execute("UPDATE users SET password_hash = ?2 WHERE id = ?1", params![user_id, password_hash])?;
    db.execute("DELETE FROM sessions WHERE user_id = ?1", [user_id])?;
    Ok(())
}

/// Ends everything by which a user is let in without the password: sessions, API tokens, known browsers.
///
/// # Errors
/// If a statement fails.
pub fn revoke_all(db: &Connection, user_id: &str) -> Result<()> {
    db.execute("DELETE FROM sessions WHERE user_id = ?1", [user_id])?;
    db.execute("DELETE FROM api_tokens WHERE user_id = ?1", [user_id])?;
    db.execute("DELETE FROM devices WHERE user_id = ?1", [user_id])?;
    Ok(())
}

/// Lets a user sign in no more, which revokes everything for good, or again.
///
/// # Errors
/// If a statement fails.
pub fn set_disabled(db: &Connection, user_id: &str, disabled_at_ms: Option<Millis>) -> Result<()> {
    db.execute("UPDATE users SET disabled_at_ms = ?2 WHERE id = ?1", params![user_id, disabled_at_ms])?;
    if disabled_at_ms.is_some() {
        revoke_all(db, user_id)?;
    }
    Ok(())
}

fn basic(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        id: row.get("id")?,
        username: row.get("username")?,
        display_name: row.get("display_name")?,
        roles: Vec::new(),
        disabled_at_ms: row.get("disabled_at_ms")?,
    })
}

fn with_roles(db: &Connection, mut user: User) -> Result<User> {
    let mut statement = db.prepare_cached("SELECT role FROM user_roles WHERE user_id = ?1")?;
    let codes = statement.query_map([&user.id], |row| row.get::<_, String>(0))?;
    for code in codes {
        let code = code?;
        let role = Role::from_code(&code).ok_or_else(|| RecordsError::Corrupt {
            column: "user_roles.role",
            reason: format!("{code:?} is not a role"),
        })?;
        user.roles.push(role);
    }
    user.roles.sort();
    Ok(user)
}

/// All users by name.
///
/// # Errors
/// If a statement fails.
pub fn list(db: &Connection) -> Result<Vec<User>> {
    let mut statement =
        db.prepare_cached("SELECT id, username, display_name, disabled_at_ms FROM users ORDER BY username")?;
    let users = statement.query_map([], basic)?.collect::<rusqlite::Result<Vec<_>>>()?;
    users.into_iter().map(|user| with_roles(db, user)).collect()
}

/// A user by the name to sign in with, and the password's hash.
///
/// # Errors
/// If a statement fails.
pub fn by_username(db: &Connection, username: &str) -> Result<Option<(User, String)>> {
    let found = db
        .query_row(
            "SELECT id, username, display_name, disabled_at_ms, password_hash FROM users WHERE username = ?1",
            [username],
            |row| Ok((basic(row)?, row.get::<_, String>("password_hash")?)),
        )
        .optional()?;
    found.map(|(user, hash)| Ok((with_roles(db, user)?, hash))).transpose()
}

/// A user who may sign in, by identifier.
///
/// # Errors
/// If a statement fails.
pub fn active_by_id(db: &Connection, id: &str) -> Result<Option<User>> {
    let found = db
        .query_row(
            "SELECT id, username, display_name, disabled_at_ms FROM users WHERE id = ?1 AND disabled_at_ms IS NULL",
            [id],
            basic,
        )
        .optional()?;
    found.map(|user| with_roles(db, user)).transpose()
}

/// Opens a session.
///
/// # Errors
/// If the statement fails.
pub fn open_session(db: &Connection, token_hash: &str, user_id: &str, now_ms: Millis) -> Result<()> {
    db.execute(
        "INSERT INTO sessions (token_hash, user_id, created_at_ms, last_used_at_ms) VALUES (?1, ?2, ?3, ?3)",
        params![token_hash, user_id, now_ms],
    )?;
    Ok(())
}

/// The user of a live session, and when the session was used last as far as that is noted.
///
/// # Errors
/// If a statement fails.
pub fn session_user(
    db: &Connection,
    token_hash: &str,
    idle_ms: Millis,
    max_ms: Millis,
    now_ms: Millis,
) -> Result<Option<(User, Millis)>> {
    let found: Option<(String, Millis)> = db
        .query_row(
            "SELECT user_id, last_used_at_ms FROM sessions \
             WHERE token_hash = ?1 AND last_used_at_ms > ?2 AND created_at_ms > ?3",
            params![token_hash, now_ms - idle_ms, now_ms - max_ms],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    let Some((user_id, last_used)) = found else { return Ok(None) };
    Ok(active_by_id(db, &user_id)?.map(|user| (user, last_used)))
}

/// Notes that a session is used.
///
/// # Errors
/// If the statement fails.
pub fn note_session_use(db: &Connection, token_hash: &str, now_ms: Millis) -> Result<()> {
    db.execute(
        "UPDATE sessions SET last_used_at_ms = ?2 WHERE token_hash = ?1",
        params![token_hash, now_ms],
    )?;
    Ok(())
}

/// Ends a session.
///
/// # Errors
/// If the statement fails.
pub fn close_session(db: &Connection, token_hash: &str) -> Result<()> {
    db.execute("DELETE FROM sessions WHERE token_hash = ?1", [token_hash])?;
    Ok(())
}

/// Removes sessions that count no more.
///
/// # Errors
/// If a statement fails.
pub fn forget_old_sessions(db: &Connection, before_ms: Millis) -> Result<()> {
    db.execute("DELETE FROM sessions WHERE created_at_ms < ?1", [before_ms])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tokens::{self, ApiToken};
    use crate::records::{Records, RecordsError};

    #[test]
    fn who_is_disabled_comes_back_without_sessions_and_tokens() {
        let records = Records::in_memory().unwrap();
        let user = User {
            id: "u".to_owned(),
            username: "ani".to_owned(),
            display_name: "Ani".to_owned(),
            roles: Vec::new(),
            disabled_at_ms: None,
        };
        let token = ApiToken {
            id: "t".to_owned(),
            user_id: "u".to_owned(),
            name: "grafana".to_owned(),
            created_at_ms: 1,
            expires_at_ms: None,
        };
        let alive = |db: &Connection| -> Result<(bool, bool), RecordsError> {
            let session = session_user(db, "s", 1_000, 1_000, 2)?.is_some();
            Ok((session, tokens::api_token_user(db, "h", 2)?.is_some()))
        };
        records
            .transaction(|db| {
                insert(db, &user, "hash", 1)?;
                open_session(db, "s", "u", 1)?;
                tokens::insert_api_token(db, &token, "h")?;
                assert_eq!(alive(db)?, (true, true));
                set_password(db, "u", "other")?;
                assert_eq!(alive(db)?, (false, true), "one's own new password ends sessions");
                open_session(db, "s", "u", 1)?;
                set_disabled(db, "u", Some(2))?;
                set_disabled(db, "u", None)?;
                assert_eq!(alive(db)?, (false, false), "disabling revokes for good");
                Ok::<_, RecordsError>(())
            })
            .unwrap();
    }
}
