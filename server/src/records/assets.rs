//! Rows of the register: assets with what people entered, what agents saw, installed packages.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use siaga_protocol::inventory::{Inventory, Package};

use super::{RecordsError, Result};
use crate::assets::{AssetClass, AssetState, Entered};
use crate::time::Millis;

/// An asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Number.
    pub id: i64,
    /// Kode Aset.
    pub code: String,
    /// Class.
    pub class: AssetClass,
    /// Host that it is, for a server that has an agent.
    pub host_id: Option<String>,
    /// Instance label of that host.
    pub instance: Option<String>,
    /// Whether it is in service.
    pub state: AssetState,
    /// What people entered.
    pub entered: Entered,
    /// When it came into the register.
    pub created_at_ms: Millis,
    /// When somebody last entered something.
    pub entered_at_ms: Option<Millis>,
    /// Who that was.
    pub entered_by: String,
    /// When its agent last sent an inventory, which it does when it starts and when something differs.
    pub seen_at_ms: Option<Millis>,
    /// When something last changed, by an agent or a person.
    pub changed_at_ms: Option<Millis>,
}

impl Asset {
    /// Nama Aset: as entered, else the host's name, else the code.
    #[must_use]
    pub fn display_name(&self) -> &str {
        match (&self.entered.name, &self.instance) {
            (name, _) if !name.is_empty() => name,
            (_, Some(instance)) => instance,
            _ => &self.code,
        }
    }
}

const SELECT: &str = "SELECT a.id, a.code, a.class, a.host_id, h.instance, a.state, a.sub_class, a.name, a.owner, \
     a.custodian, a.location, a.supplier, a.confidentiality, a.integrity, a.availability, a.valid_until, a.note, \
     a.created_at_ms, a.entered_at_ms, a.entered_by, s.seen_at_ms, \
     (SELECT MAX(c.at_ms) FROM asset_changes c WHERE c.asset_id = a.id) FROM assets a LEFT JOIN hosts h ON h.id = a.host_id \
     LEFT JOIN asset_seen s ON s.asset_id = a.id";

fn asset(row: &Row<'_>) -> rusqlite::Result<(Asset, String, String)> {
    let asset = Asset {
        id: row.get(0)?,
        code: row.get(1)?,
        class: AssetClass::Fisik,
        host_id: row.get(3)?,
        instance: row.get(4)?,
        state: AssetState::InService,
        entered: Entered {
            sub_class: row.get(6)?,
            name: row.get(7)?,
            owner: row.get(8)?,
            custodian: row.get(9)?,
            location: row.get(10)?,
            supplier: row.get(11)?,
            confidentiality: row.get(12)?,
            integrity: row.get(13)?,
            availability: row.get(14)?,
            valid_until: row.get(15)?,
            note: row.get(16)?,
        },
        created_at_ms: row.get(17)?,
        entered_at_ms: row.get(18)?,
        entered_by: row.get(19)?,
        seen_at_ms: row.get(20)?,
        changed_at_ms: row.get(21)?,
    };
    Ok((asset, row.get(2)?, row.get(5)?))
}

fn with_codes((mut asset, class, state): (Asset, String, String)) -> Result<Asset> {
    let corrupt = |column, reason: String| RecordsError::Corrupt { column, reason };
    asset.class = AssetClass::from_code(&class).ok_or_else(|| corrupt("assets.class", class.clone()))?;
    asset.state = AssetState::from_code(&state).ok_or_else(|| corrupt("assets.state", state.clone()))?;
    Ok(asset)
}

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Text in code, entered fields, seen facts, or at the beginning of a package's name.
    pub text: String,
    /// Only this class.
    pub class: Option<AssetClass>,
}

/// The pattern of `LIKE` that finds `text` as it is.
fn literal(text: &str) -> String {
    text.to_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

const WHERE: &str = " WHERE (?1 = '' OR a.class = ?1) AND (?2 = '' OR a.entered_text LIKE ?3 ESCAPE '\\' \
     OR a.seen_text LIKE ?3 ESCAPE '\\' OR a.id IN (SELECT p.asset_id FROM asset_packages p \
     WHERE p.name LIKE ?4 ESCAPE '\\'))";

/// Assets in the order of their codes, and how many there are in all.
///
/// # Errors
/// If a statement fails.
pub fn list(db: &Connection, filter: &Filter, limit: u32, offset: u32) -> Result<(Vec<Asset>, u64)> {
    let class = filter.class.map_or("", AssetClass::code);
    let text = literal(filter.text.trim());
    let (inside, beginning) = (format!("%{text}%"), format!("{text}%"));
    let total: i64 = db.query_row(
        &format!("SELECT COUNT(*) FROM assets a{WHERE}"),
        params![class, text, inside, beginning],
        |row| row.get(0),
    )?;
    let mut statement = db.prepare_cached(&format!("{SELECT}{WHERE} ORDER BY a.id LIMIT ?5 OFFSET ?6"))?;
    let rows = statement
        .query_map(params![class, text, inside, beginning, limit, offset], asset)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let assets = rows.into_iter().map(with_codes).collect::<Result<_>>()?;
    Ok((assets, u64::try_from(total).unwrap_or(0)))
}

/// An asset by its code.
///
/// # Errors
/// If the statement fails.
pub fn by_code(db: &Connection, code: &str) -> Result<Option<Asset>> {
    let found = db.query_row(&format!("{SELECT} WHERE a.code = ?1"), [code], asset).optional()?;
    found.map(with_codes).transpose()
}

/// The asset that a host is.
///
/// # Errors
/// If the statement fails.
pub fn by_host(db: &Connection, host_id: &str) -> Result<Option<Asset>> {
    let found = db.query_row(&format!("{SELECT} WHERE a.host_id = ?1"), [host_id], asset).optional()?;
    found.map(with_codes).transpose()
}

/// Adds an asset and gives its number and code.
///
/// # Errors
/// If a statement fails.
pub fn insert(
    db: &Connection,
    class: AssetClass,
    host_id: Option<&str>,
    sub_class: &str,
    now_ms: Millis,
) -> Result<(i64, String)> {
    let id: i64 = db.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM assets", [], |row| row.get(0))?;
    let code = format!("AST-{id:04}");
    db.execute(
        "INSERT INTO assets (id, code, class, host_id, state, sub_class, entered_text, created_at_ms) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            id,
            code,
            class.code(),
            host_id,
            AssetState::InService.code(),
            sub_class,
            code.to_lowercase(),
            now_ms
        ],
    )?;
    Ok((id, code))
}

/// Replaces what people entered.
///
/// # Errors
/// If the statement fails.
pub fn set_entered(db: &Connection, asset: &Asset, new: &Entered, by: &str, now_ms: Millis) -> Result<()> {
    let text = [
        &asset.code,
        &new.name,
        &new.sub_class,
        &new.owner,
        &new.custodian,
        &new.location,
        &new.supplier,
        &new.note,
    ]
    .map(|text| text.to_lowercase())
    .join("\n");
    db.execute(
        "UPDATE assets SET sub_class = ?2, name = ?3, owner = ?4, custodian = ?5, location = ?6, supplier = ?7, \
         confidentiality = ?8, integrity = ?9, availability = ?10, valid_until = ?11, note = ?12, \
         entered_at_ms = ?13, entered_by = ?14, entered_text = ?15 WHERE id = ?1",
        params![
            asset.id,
            new.sub_class,
            new.name,
            new.owner,
            new.custodian,
            new.location,
            new.supplier,
            new.confidentiality,
            new.integrity,
            new.availability,
            new.valid_until,
            new.note,
            now_ms,
            by,
            text
        ],
    )?;
    Ok(())
}

/// Sets whether an asset is in service.
///
/// # Errors
/// If the statement fails.
pub fn set_state(db: &Connection, id: i64, state: AssetState) -> Result<()> {
    db.execute("UPDATE assets SET state = ?2 WHERE id = ?1", params![id, state.code()])?;
    Ok(())
}

/// A host with the asset that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAsset {
    /// Host.
    pub host_id: String,
    /// Whether it was taken out of service.
    pub retired: bool,
    /// Its asset and the asset's state; none yet for a new host.
    pub asset: Option<(i64, AssetState)>,
}

/// All hosts, also retired ones, with their assets.
///
/// # Errors
/// If the statement fails.
pub fn hosts_and_assets(db: &Connection) -> Result<Vec<HostAsset>> {
    let mut statement = db.prepare_cached(
        "SELECT h.id, h.retired_at_ms IS NOT NULL, a.id, a.state FROM hosts h LEFT JOIN assets a ON a.host_id = h.id \
         ORDER BY h.enrolled_at_ms, h.id",
    )?;
    let rows = statement.query_map([], |row| {
        let (id, state): (Option<i64>, Option<String>) = (row.get(2)?, row.get(3)?);
        let asset = id.zip(state.as_deref().and_then(AssetState::from_code));
        Ok(HostAsset { host_id: row.get(0)?, retired: row.get(1)?, asset })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The newest inventory of an asset, with its packages.
///
/// # Errors
/// If a statement fails or the stored facts cannot be read.
pub fn seen(db: &Connection, id: i64) -> Result<Option<Inventory>> {
    let Some(mut inventory) = facts(db, id)? else { return Ok(None) };
    let mut statement = db.prepare_cached(
        "SELECT name, version FROM asset_packages WHERE asset_id = ?1 ORDER BY name, version",
    )?;
    let packages =
        statement.query_map([id], |row| Ok(Package { name: row.get(0)?, version: row.get(1)? }))?;
    inventory.packages = packages.collect::<rusqlite::Result<_>>()?;
    Ok(Some(inventory))
}

/// The newest inventory of an asset, without its packages.
///
/// # Errors
/// If the statement fails or the stored facts cannot be read.
pub fn facts(db: &Connection, id: i64) -> Result<Option<Inventory>> {
    let facts: Option<String> = db
        .query_row("SELECT facts FROM asset_seen WHERE asset_id = ?1", [id], |row| row.get(0))
        .optional()?;
    let Some(facts) = facts else { return Ok(None) };
    let read = serde_json::from_str(&facts);
    read.map(Some).map_err(|e| RecordsError::Corrupt { column: "asset_seen.facts", reason: e.to_string() })
}

/// Stores an inventory. Packages are rewritten only where they differ from `old`.
///
/// # Errors
/// If a statement fails.
pub fn set_seen(
    db: &Connection,
    id: i64,
    old: Option<&Inventory>,
    new: &Inventory,
    now_ms: Millis,
) -> Result<()> {
    let facts = Inventory { packages: Vec::new(), ..new.clone() };
    let json = serde_json::to_string(&facts)
        .map_err(|e| RecordsError::Corrupt { column: "asset_seen.facts", reason: e.to_string() })?;
    db.execute(
        "INSERT INTO asset_seen (asset_id, seen_at_ms, facts) VALUES (?1, ?2, ?3) \
         ON CONFLICT (asset_id) DO UPDATE SET seen_at_ms = excluded.seen_at_ms, facts = excluded.facts",
        params![id, now_ms, json],
    )?;
    db.execute("UPDATE assets SET seen_text = ?2 WHERE id = ?1", params![id, seen_text(new)])?;
    let old: std::collections::BTreeSet<&Package> = old.iter().flat_map(|old| &old.packages).collect();
    let new: std::collections::BTreeSet<&Package> = new.packages.iter().collect();
    let mut remove =
        db.prepare_cached("DELETE FROM asset_packages WHERE asset_id = ?1 AND name = ?2 AND version = ?3")?;
    for package in old.difference(&new) {
        remove.execute(params![id, package.name, package.version])?;
    }
    let mut add =
        db.prepare_cached("INSERT INTO asset_packages (asset_id, name, version) VALUES (?1, ?2, ?3)")?;
    for package in new.difference(&old) {
        add.execute(params![id, package.name, package.version])?;
    }
    Ok(())
}

/// Facts that a search looks into, in lower case.
fn seen_text(inventory: &Inventory) -> String {
    let (os, hardware) = (&inventory.os, &inventory.hardware);
    let facts = [
        &inventory.hostname,
        &os.name,
        &os.version,
        &os.kernel,
        &hardware.vendor,
        &hardware.product,
        &hardware.cpu_model,
        &hardware.virtualization,
    ];
    let disks = inventory.disks.iter().map(|disk| &disk.model);
    let interfaces = inventory.interfaces.iter().flat_map(|i| i.addresses.iter().chain([&i.mac]));
    let listeners = inventory.listeners.iter().flatten();
    let listeners = listeners.flat_map(|listener| [&listener.kind, &listener.process, &listener.banner]);
    facts
        .into_iter()
        .chain(disks)
        .chain(interfaces)
        .chain(listeners)
        .map(|t| t.to_lowercase())
        .collect::<Vec<_>>()
        .join("\n")
}
