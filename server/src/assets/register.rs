//! Keeps the register: an asset a host, what its agent saw, and the history of both. Works within the caller's
//! transaction.
//!
//! Invariants: a host is one asset for ever, also after it enrolled again; a first report is one change, not one a
//! field; a report never touches what people entered.

use serde::{Deserialize, Serialize};
use siaga_protocol::inventory::Inventory;

use super::diff::diff;
use super::entered::{AssetClass, Entered};
use crate::records::asset_changes::{self, NewChange};
use crate::records::assets::{self, Asset};
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, audit};
use crate::time::{DAY_MS, Millis};

/// Changes of one report that are written down one by one; the rest is counted in one further row.
const MAX_CHANGES_A_REPORT: usize = 5_000;

/// Changes of one asset that are written down one by one within a day; more are counted only. What changes so often is no
/// history any more, and must not fill the disk.
const MAX_CHANGES_A_DAY: usize = 20_000;

/// Sub Klasifikasi of a host.
const SERVER_SUB_CLASS: &str = "Server";

/// Whether an asset is in service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AssetState {
    /// In service.
    InService,
    /// Taken out of service.
    Retired,
}

impl AssetState {
    /// Code in records and in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::InService => "in_service",
            Self::Retired => "retired",
        }
    }

    /// The state of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::InService, Self::Retired].into_iter().find(|state| state.code() == code)
    }
}

/// Gives every host its asset, and every asset the state of its host. Says how many rows that changed.
///
/// # Errors
/// If the records fail.
pub fn follow_hosts(db: &Connection, now_ms: Millis) -> Result<usize, RecordsError> {
    let mut changed = 0;
    for host in assets::hosts_and_assets(db)? {
        let wanted = if host.retired { AssetState::Retired } else { AssetState::InService };
        let (id, state) = match host.asset {
            Some(known) => known,
            None => {
                changed += 1;
                let (id, _) =
                    assets::insert(db, AssetClass::Fisik, Some(&host.host_id), SERVER_SUB_CLASS, now_ms)?;
                (id, AssetState::InService)
            }
        };
        if state != wanted {
            changed += 1;
            assets::set_state(db, id, wanted)?;
            let (old, new) = (Some(state.code()), Some(wanted.code()));
            let change = NewChange {
                asset_id: id,
                at_ms: now_ms,
                source: "siaga",
                kind: "state",
                field: "state",
                old,
                new,
            };
            asset_changes::add(db, &change)?;
        }
    }
    Ok(changed)
}

/// Takes over what the agent of a host saw. Gives the code of the asset and how many fields changed.
///
/// # Errors
/// If the records fail.
pub fn take_over(
    db: &Connection,
    host_id: &str,
    source: &str,
    new: &Inventory,
    now_ms: Millis,
) -> Result<(String, usize), RecordsError> {
    let (id, code) = match assets::by_host(db, host_id)? {
        Some(asset) => (asset.id, asset.code),
        None => assets::insert(db, AssetClass::Fisik, Some(host_id), SERVER_SUB_CLASS, now_ms)?,
    };
    let old = assets::seen(db, id)?;
    let add = |kind, field: &str, old: Option<&str>, new: Option<&str>| {
        asset_changes::add(db, &NewChange { asset_id: id, at_ms: now_ms, source, kind, field, old, new })
    };
    let count = match &old {
        None => {
            add("first_seen", "inventory", None, Some(&first_seen_text(new)))?;
            1
        }
        Some(old) => {
            let changes = diff(old, new);
            let today = asset_changes::count_since(db, id, now_ms - DAY_MS)?;
            let room = MAX_CHANGES_A_REPORT.min(MAX_CHANGES_A_DAY.saturating_sub(today));
            for change in changes.iter().take(room) {
                add(change.kind.code(), &change.field, change.old.as_deref(), change.new.as_deref())?;
            }
            // Nothing at all beyond twice the bound: a row a report is a flood as well.
            if let Some(more @ 1..) = changes.len().checked_sub(room)
                && today < 2 * MAX_CHANGES_A_DAY
            {
                add("more", "inventory", None, Some(&more.to_string()))?;
            }
            changes.len()
        }
    };
    // An agent that does not tell of files or listeners says nothing of them; what is known stays, for the next that does.
    let mut seen = new.clone();
    if let Some(old) = &old {
        seen.files = seen.files.or_else(|| old.files.clone());
        seen.listeners = seen.listeners.or_else(|| old.listeners.clone());
    }
    assets::set_seen(db, id, old.as_ref(), &seen, now_ms)?;
    Ok((code, count))
}

fn first_seen_text(inventory: &Inventory) -> String {
    let os = &inventory.os;
    let counts = format!("{} disks, {} packages", inventory.disks.len(), inventory.packages.len());
    format!("{}: {} {}, {counts}", inventory.hostname, os.name, os.version)
}

/// Replaces what people entered of an asset, with the history and the audit trail.
///
/// # Errors
/// If the records fail.
pub fn enter(
    db: &Connection,
    asset: &Asset,
    new: &Entered,
    actor: &str,
    now_ms: Millis,
) -> Result<usize, RecordsError> {
    let changes = asset.entered.changes(new);
    if changes.is_empty() {
        return Ok(0);
    }
    assets::set_entered(db, asset, new, actor, now_ms)?;
    for change in &changes {
        let (old, new) = (change.old.as_deref(), change.new.as_deref());
        let (asset_id, field) = (asset.id, change.field.as_str());
        asset_changes::add(
            db,
            &NewChange { asset_id, at_ms: now_ms, source: actor, kind: "entered", field, old, new },
        )?;
    }
    let fields: Vec<&str> = changes.iter().map(|change| change.field.as_str()).collect();
    audit::add(db, now_ms, actor, "asset.enter", &asset.code, &fields.join(", "))?;
    Ok(changes.len())
}

/// Adds an asset that no agent sees.
///
/// # Errors
/// If the records fail.
pub fn add_by_hand(
    db: &Connection,
    class: AssetClass,
    entered: &Entered,
    actor: &str,
    now_ms: Millis,
) -> Result<String, RecordsError> {
    let (id, code) = assets::insert(db, class, None, "", now_ms)?;
    audit::add(db, now_ms, actor, "asset.create", &code, class.code())?;
    let asset = assets::by_code(db, &code)?;
    let asset = asset.ok_or_else(|| RecordsError::Corrupt { column: "assets.id", reason: id.to_string() })?;
    enter(db, &asset, entered, actor, now_ms)?;
    Ok(code)
}

#[cfg(test)]
#[path = "register_tests.rs"]
mod tests;
