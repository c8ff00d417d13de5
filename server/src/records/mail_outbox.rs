//! Rows of messages to be sent.

use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::Result;
use crate::reports::mail::{Attachment, Message};
use crate::time::Millis;

/// A message that waits for its turn.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Row.
    pub id: i64,
    /// Where it goes.
    pub recipient: String,
    /// What is sent.
    pub message: Message,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at_ms: Millis,
}

/// State of a message, without what is in it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listed {
    /// Row.
    pub id: i64,
    /// Where it goes.
    pub recipient: String,
    /// Its subject.
    pub subject: String,
    /// `waiting`, `sent` or `failed`.
    pub status: String,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at_ms: Millis,
    /// When it is tried next, if it waits.
    pub next_at_ms: Millis,
    /// When it was sent or given up.
    pub ended_at_ms: Option<Millis>,
    /// What the last attempt said.
    pub last_error: String,
}

/// Adds a message for a recipient; false if there is one for that cause and recipient already.
///
/// # Errors
/// If the statement fails.
pub fn add(db: &Connection, message: &Message, recipient: &str, now_ms: Millis) -> Result<bool> {
    let (name, media_type, bytes) = message
        .attachment
        .as_ref()
        .map_or(("", "", None), |one| (one.name.as_str(), one.media_type.as_str(), Some(&one.bytes)));
    let added = db.execute(
        "INSERT INTO mail_outbox (msg_key, recipient, subject, body, attachment_name, attachment_type, attachment, \
         status, attempts, queued_at_ms, next_at_ms, last_error) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'waiting', 0, ?8, ?8, '') ON CONFLICT (msg_key, recipient) DO NOTHING",
        params![message.key, recipient, message.subject, message.body, name, media_type, bytes, now_ms],
    )?;
    Ok(added == 1)
}

/// How many messages are in a status.
///
/// # Errors
/// If the statement fails.
pub fn count(db: &Connection, status: &str) -> Result<usize> {
    let count: i64 =
        db.query_row("SELECT COUNT(*) FROM mail_outbox WHERE status = ?1", [status], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn waiting(row: &Row<'_>) -> rusqlite::Result<Waiting> {
    let bytes: Option<Vec<u8>> = row.get(7)?;
    let (name, media_type) = (row.get(5)?, row.get(6)?);
    Ok(Waiting {
        id: row.get(0)?,
        recipient: row.get(2)?,
        message: Message {
            key: row.get(1)?,
            subject: row.get(3)?,
            body: row.get(4)?,
            attachment: bytes.map(|bytes| Attachment { name, media_type, bytes }),
        },
        attempts: row.get(8)?,
        queued_at_ms: row.get(9)?,
    })
}

/// Whether a message of this cause was queued for anybody, sent or not.
///
/// # Errors
/// If the statement fails.
pub fn is_known(db: &Connection, key: &str) -> Result<bool> {
    let count: i64 =
        db.query_row("SELECT COUNT(*) FROM mail_outbox WHERE msg_key = ?1", [key], |row| row.get(0))?;
    Ok(count > 0)
}

/// Messages whose time has come, the oldest first.
///
/// # Errors
/// If the statement fails.
pub fn due(db: &Connection, now_ms: Millis, limit: u32) -> Result<Vec<Waiting>> {
    let mut statement = db.prepare_cached(
        "SELECT id, msg_key, recipient, subject, body, attachment_name, attachment_type, attachment, attempts, \
         queued_at_ms FROM mail_outbox WHERE status = 'waiting' AND next_at_ms <= ?1 ORDER BY next_at_ms, id LIMIT ?2",
    )?;
    let rows = statement.query_map(params![now_ms, limit], waiting)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that a message is tried again later.
///
/// # Errors
/// If the statement fails.
pub fn put_off(db: &Connection, id: i64, next_at_ms: Millis, error: &str) -> Result<()> {
    db.execute(
        "UPDATE mail_outbox SET attempts = attempts + 1, next_at_ms = ?2, last_error = ?3 WHERE id = ?1",
        params![id, next_at_ms, error],
    )?;
    Ok(())
}

/// Notes that a message was sent (no error) or is given up; what was attached is let go.
///
/// # Errors
/// If the statement fails.
pub fn end(db: &Connection, id: i64, now_ms: Millis, error: Option<&str>) -> Result<()> {
    let status = if error.is_some() { "failed" } else { "sent" };
    db.execute(
        "UPDATE mail_outbox SET status = ?2, attempts = attempts + 1, ended_at_ms = ?3, last_error = ?4, \
         attachment = NULL WHERE id = ?1",
        params![id, status, now_ms, error.unwrap_or("")],
    )?;
    Ok(())
}

/// Forgets what ended before a time.
///
/// # Errors
/// If the statement fails.
pub fn prune(db: &Connection, before_ms: Millis) -> Result<()> {
    db.execute("DELETE FROM mail_outbox WHERE ended_at_ms < ?1", [before_ms])?;
    Ok(())
}

/// The newest messages.
///
/// # Errors
/// If the statement fails.
pub fn list(db: &Connection, limit: u32) -> Result<Vec<Listed>> {
    let mut statement = db.prepare_cached(
        "SELECT id, recipient, subject, status, attempts, queued_at_ms, next_at_ms, ended_at_ms, last_error \
         FROM mail_outbox ORDER BY id DESC LIMIT ?1",
    )?;
    let rows = statement.query_map([limit], |row| {
        Ok(Listed {
            id: row.get(0)?,
            recipient: row.get(1)?,
            subject: row.get(2)?,
            status: row.get(3)?,
            attempts: row.get(4)?,
            queued_at_ms: row.get(5)?,
            next_at_ms: row.get(6)?,
            ended_at_ms: row.get(7)?,
            last_error: row.get(8)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
