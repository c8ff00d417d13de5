//! Rows of hosts: who enrolled, when each was last heard, what its own file allows.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use siaga_protocol::agent_api::{ActionOffer, Hello};

use super::{RecordsError, Result};
use crate::time::Millis;

/// An enrolled host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Identifier.
    pub id: String,
    /// Its `instance` label.
    pub instance: String,
    /// Identity of its installation.
    pub machine_id: String,
    /// Name that it gave.
    pub hostname: String,
    /// Version of its agent.
    pub agent_version: String,
    /// Seconds between collections.
    pub interval_seconds: u32,
    /// First enrolment.
    pub enrolled_at_ms: Millis,
    /// Start of the agent.
    pub started_at_ms: Option<Millis>,
    /// When the agent was last heard.
    pub last_seen_ms: Option<Millis>,
    /// Actions that its own file allows.
    pub actions: Vec<ActionOffer>,
}

const COLUMNS: &str = "id, instance, machine_id, hostname, agent_version, interval_seconds, enrolled_at_ms, \
                       started_at_ms, last_seen_ms, actions";

fn host(row: &Row<'_>) -> rusqlite::Result<(Host, String)> {
    let host = Host {
        id: row.get(0)?,
        instance: row.get(1)?,
        machine_id: row.get(2)?,
        hostname: row.get(3)?,
        agent_version: row.get(4)?,
        interval_seconds: row.get(5)?,
        enrolled_at_ms: row.get(6)?,
        started_at_ms: row.get(7)?,
        last_seen_ms: row.get(8)?,
        actions: Vec::new(),
    };
    Ok((host, row.get(9)?))
}

fn with_actions((mut host, actions): (Host, String)) -> Result<Host> {
    host.actions = serde_json::from_str(&actions)
        .map_err(|e| RecordsError::Corrupt { column: "hosts.actions", reason: e.to_string() })?;
    Ok(host)
}

/// All hosts in service, by instance.
///
/// # Errors
/// If the statement fails.
pub fn list(db: &Connection) -> Result<Vec<Host>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM hosts WHERE retired_at_ms IS NULL ORDER BY instance"
    ))?;
    let rows = statement.query_map([], host)?.collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(with_actions).collect()
}

fn one(db: &Connection, column: &'static str, value: &str) -> Result<Option<Host>> {
    let found = db
        .query_row(
            &format!("SELECT {COLUMNS} FROM hosts WHERE {column} = ?1 AND retired_at_ms IS NULL"),
            [value],
            host,
        )
        .optional()?;
    found.map(with_actions).transpose()
}

/// A host by identifier.
///
/// # Errors
/// If the statement fails.
pub fn by_id(db: &Connection, id: &str) -> Result<Option<Host>> {
    one(db, "id", id)
}

/// The `instance` label of a host, and whether it is in service.
///
/// # Errors
/// If the statement fails.
pub fn name_of(db: &Connection, id: &str) -> Result<Option<(String, bool)>> {
    let sql = "SELECT instance, retired_at_ms IS NULL FROM hosts WHERE id = ?1";
    Ok(db.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// A host by `instance` label.
///
/// # Errors
/// If the statement fails.
pub fn by_instance(db: &Connection, instance: &str) -> Result<Option<Host>> {
    one(db, "instance", instance)
}

/// A host by the hash of its agent's token.
///
/// # Errors
/// If the statement fails.
pub fn by_token(db: &Connection, token_hash: &str) -> Result<Option<Host>> {
    one(db, "token_hash", token_hash)
}

/// A host that enrolled before, as enrolment needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Identifier.
    pub id: String,
    /// Its `instance` label.
    pub instance: String,
    /// Whether it is in service, not retired.
    pub in_service: bool,
}

/// A host by the identity of its installation, or by identifier, also a retired one.
///
/// # Errors
/// If the statement fails.
pub fn known(db: &Connection, by: KnownBy<'_>) -> Result<Option<Known>> {
    let (column, value) = match by {
        KnownBy::Id(id) => ("id", id),
        KnownBy::MachineId(machine_id) => ("machine_id", machine_id),
    };
    let sql = format!("SELECT id, instance, retired_at_ms IS NULL FROM hosts WHERE {column} = ?1");
    let known = |row: &Row<'_>| Ok(Known { id: row.get(0)?, instance: row.get(1)?, in_service: row.get(2)? });
    Ok(db.query_row(&sql, [value], known).optional()?)
}

/// By what a host is looked up that enrolled before.
#[derive(Debug, Clone, Copy)]
pub enum KnownBy<'a> {
    /// Identifier.
    Id(&'a str),
    /// Identity of its installation.
    MachineId(&'a str),
}

/// Whether an `instance` label is taken.
///
/// # Errors
/// If the statement fails.
pub fn instance_taken(db: &Connection, instance: &str) -> Result<bool> {
    Ok(db.query_row("SELECT COUNT(*) FROM hosts WHERE instance = ?1", [instance], |row| {
        row.get::<_, i64>(0)
    })? > 0)
}

/// Hosts in all.
///
/// # Errors
/// If the statement fails.
pub fn count(db: &Connection) -> Result<usize> {
    let count: i64 =
        db.query_row("SELECT COUNT(*) FROM hosts WHERE retired_at_ms IS NULL", [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Adds a host.
///
/// # Errors
/// If the statement fails.
pub fn insert(db: &Connection, host: &Host, token_hash: &str) -> Result<()> {
    db.execute(
        "INSERT INTO hosts (id, instance, machine_id, hostname, token_hash, agent_version, interval_seconds, \
         enrolled_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            host.id,
            host.instance,
            host.machine_id,
            host.hostname,
            token_hash,
            host.agent_version,
            host.interval_seconds,
            host.enrolled_at_ms
        ],
    )?;
    Ok(())
}

/// Gives a known host a new token, and the identity of what is installed on it now, and brings it back into service.
///
/// # Errors
/// If the statement fails.
pub fn enrol_again(
    db: &Connection,
    id: &str,
    machine_id: &str,
    hostname: &str,
    version: &str,
    token_hash: &str,
) -> Result<()> {
    db.execute(
        "UPDATE hosts SET token_hash = ?2, hostname = ?3, agent_version = ?4, machine_id = ?5, retired_at_ms = NULL \
         WHERE id = ?1",
        params![id, token_hash, hostname, version, machine_id],
    )?;
    Ok(())
}

/// Takes over what an agent says of itself.
///
/// # Errors
/// If the statement fails.
pub fn set_hello(db: &Connection, id: &str, hello: &Hello) -> Result<()> {
    let actions = serde_json::to_string(&hello.actions)
        .map_err(|e| RecordsError::Corrupt { column: "hosts.actions", reason: e.to_string() })?;
    db.execute(
        "UPDATE hosts SET agent_version = ?2, interval_seconds = ?3, started_at_ms = ?4, actions = ?5 WHERE id = ?1",
        params![id, hello.agent_version, hello.interval_seconds, hello.started_at_ms, actions],
    )?;
    Ok(())
}

/// Notes when a host was last heard.
///
/// # Errors
/// If the statement fails.
pub fn set_last_seen(db: &Connection, id: &str, at_ms: Millis) -> Result<()> {
    db.execute("UPDATE hosts SET last_seen_ms = ?2 WHERE id = ?1", params![id, at_ms])?;
    Ok(())
}

/// Takes a host out of service: its token is good no more. Says whether there was one.
///
/// # Errors
/// If the statement fails.
pub fn retire(db: &Connection, id: &str, now_ms: Millis) -> Result<bool> {
    let changed = db.execute(
        "UPDATE hosts SET retired_at_ms = ?2 WHERE id = ?1 AND retired_at_ms IS NULL",
        params![id, now_ms],
    )?;
    Ok(changed > 0)
}
