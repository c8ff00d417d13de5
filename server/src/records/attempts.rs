//! Rows of attempts at a password, and of browsers in which a user has signed in before.

use rusqlite::{Connection, params};

use super::Result;
use crate::time::Millis;

/// Prefix of a source that is an address.
pub const ADDRESS: &str = "address:";

/// Failed attempts since a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// At this user name, from this source.
    pub here: u32,
    /// At this user name, from all addresses: from whom nothing speaks for the user.
    pub by_strangers: u32,
    /// At any user name, from this source.
    pub by_source: u32,
}

/// Counts failed attempts since a time.
///
/// # Errors
/// If a statement fails.
pub fn failed_since(db: &Connection, username: &str, source: &str, since_ms: Millis) -> Result<Failed> {
    let count = |sql: &str, values: &[&dyn rusqlite::ToSql]| db.query_row(sql, values, |row| row.get(0));
    Ok(Failed {
        here: count(
            "SELECT COUNT(*) FROM failed_logins WHERE username = ?1 AND source = ?2 AND at_ms > ?3",
            &[&username, &source, &since_ms],
        )?,
        by_strangers: count(
            "SELECT COUNT(*) FROM failed_logins WHERE username = ?1 AND source LIKE ?2 AND at_ms > ?3",
            &[&username, &format!("{ADDRESS}%"), &since_ms],
        )?,
        by_source: count(
            "SELECT COUNT(*) FROM failed_logins WHERE source = ?1 AND at_ms > ?2",
            &[&source, &since_ms],
        )?,
    })
}

/// Notes an attempt; it counts as failed until it is forgotten.
///
/// # Errors
/// If the statement fails.
pub fn note(db: &Connection, username: &str, source: &str, now_ms: Millis) -> Result<()> {
    db.execute(
        "INSERT INTO failed_logins (username, source, at_ms) VALUES (?1, ?2, ?3)",
        params![username, source, now_ms],
    )?;
    Ok(())
}

/// Forgets what failed at a name from a source: somebody there knows the password.
///
/// # Errors
/// If the statement fails.
pub fn forget(db: &Connection, username: &str, source: &str) -> Result<()> {
    db.execute("DELETE FROM failed_logins WHERE username = ?1 AND source = ?2", params![username, source])?;
    Ok(())
}

/// Removes attempts and browsers that count no more.
///
/// # Errors
/// If a statement fails.
pub fn forget_old(db: &Connection, attempts_before_ms: Millis, devices_before_ms: Millis) -> Result<()> {
    db.execute("DELETE FROM failed_logins WHERE at_ms < ?1", [attempts_before_ms])?;
    db.execute("DELETE FROM devices WHERE last_used_at_ms < ?1", [devices_before_ms])?;
    Ok(())
}

/// Whether this is a browser in which this user has signed in before.
///
/// # Errors
/// If the statement fails.
pub fn is_device(db: &Connection, username: &str, token_hash: &str, since_ms: Millis) -> Result<bool> {
    let found: i64 = db.query_row(
        "SELECT COUNT(*) FROM devices JOIN users ON users.id = devices.user_id \
         WHERE devices.token_hash = ?1 AND users.username = ?2 AND devices.last_used_at_ms > ?3",
        params![token_hash, username, since_ms],
        |row| row.get(0),
    )?;
    Ok(found > 0)
}

/// Forgets a browser of a user.
///
/// # Errors
/// If the statement fails.
pub fn forget_device(db: &Connection, user_id: &str, token_hash: &str) -> Result<()> {
    db.execute("DELETE FROM devices WHERE user_id = ?1 AND token_hash = ?2", params![user_id, token_hash])?;
    Ok(())
}

/// Remembers a browser; of a user's browsers only the `keep` newest stay.
///
/// # Errors
/// If a statement fails.
pub fn remember_device(
    db: &Connection,
    user_id: &str,
    token_hash: &str,
    now_ms: Millis,
    keep: u32,
) -> Result<()> {
    db.execute(
        "INSERT INTO devices (token_hash, user_id, last_used_at_ms) VALUES (?1, ?2, ?3)",
        params![token_hash, user_id, now_ms],
    )?;
    db.execute(
        "DELETE FROM devices WHERE user_id = ?1 AND token_hash NOT IN \
         (SELECT token_hash FROM devices WHERE user_id = ?1 ORDER BY last_used_at_ms DESC, token_hash LIMIT ?2)",
        params![user_id, keep],
    )?;
    Ok(())
}
