//! Single values of the server itself.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Result;
use crate::time::Millis;

/// Name of the time at which the server was alive last.
const ALIVE: &str = "alive_at_ms";

/// Notes that the server is alive.
///
/// # Errors
/// If the statement fails.
pub fn set_alive(db: &Connection, now_ms: Millis) -> Result<()> {
    db.execute(
        "INSERT INTO server_state (name, value) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        params![ALIVE, now_ms],
    )?;
    Ok(())
}

/// When the server noted last that it is alive; `None` before the first time.
///
/// # Errors
/// If the statement fails.
pub fn alive(db: &Connection) -> Result<Option<Millis>> {
    Ok(db
        .query_row("SELECT value FROM server_state WHERE name = ?1", [ALIVE], |row| row.get(0))
        .optional()?)
}
