//! Rows of services whose capacity is driven by load.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Result;
use super::forecasts::corrupt;
use crate::capacity::{Service, ServiceEntered};
use crate::time::Millis;

type Raw = (String, Millis, String);

fn raw(row: &Row<'_>) -> rusqlite::Result<Raw> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

fn entered((definition, at_ms, by): Raw) -> Result<ServiceEntered> {
    let service: Service = serde_json::from_str(&definition)
        .map_err(|error| corrupt("capacity_services.definition", error.to_string()))?;
    Ok(ServiceEntered { service, at_ms, by })
}

/// Enters a service, or replaces what was entered.
///
/// # Errors
/// If the statement fails.
pub fn enter(db: &Connection, service: &Service, by: &str, now_ms: Millis) -> Result<()> {
    let definition = serde_json::to_string(service)
        .map_err(|error| corrupt("capacity_services.definition", error.to_string()))?;
    db.execute(
        "INSERT INTO capacity_services (name, definition, entered_at_ms, entered_by) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (name) DO UPDATE SET definition = excluded.definition, \
         entered_at_ms = excluded.entered_at_ms, entered_by = excluded.entered_by",
        params![service.name, definition, now_ms, by],
    )?;
    Ok(())
}

/// All services by name.
///
/// # Errors
/// If the statement fails.
pub fn list(db: &Connection) -> Result<Vec<ServiceEntered>> {
    let mut statement = db.prepare_cached(
        "SELECT definition, entered_at_ms, entered_by FROM capacity_services ORDER BY name",
    )?;
    let rows = statement.query_map([], raw)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(entered).collect()
}

/// One service.
///
/// # Errors
/// If the statement fails.
pub fn get(db: &Connection, name: &str) -> Result<Option<ServiceEntered>> {
    let sql = "SELECT definition, entered_at_ms, entered_by FROM capacity_services WHERE name = ?1";
    db.query_row(sql, [name], raw).optional()?.map(entered).transpose()
}

/// Takes a service out; whether there was one.
///
/// # Errors
/// If the statement fails.
pub fn remove(db: &Connection, name: &str) -> Result<bool> {
    Ok(db.execute("DELETE FROM capacity_services WHERE name = ?1", [name])? > 0)
}
