//! Rows of the register of capacity.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Result;
use crate::capacity::{Component, ComponentEntered, ComponentKey, ResourceKey, ResourceKind};
use crate::time::Millis;

const COLUMNS: &str = "instance, resource, item, owner, target, note, threshold_percent, unit, capacity, used, \
                       expected, entered_at_ms, entered_by";

fn entered(row: &Row<'_>) -> rusqlite::Result<ComponentEntered> {
    Ok(ComponentEntered {
        component: Component {
            key: ComponentKey { instance: row.get(0)?, resource: row.get(1)?, item: row.get(2)? },
            owner: row.get(3)?,
            target: row.get(4)?,
            note: row.get(5)?,
            threshold_percent: row.get(6)?,
            unit: row.get(7)?,
            capacity: row.get(8)?,
            used: row.get(9)?,
            expected: row.get(10)?,
        },
        at_ms: row.get(11)?,
        by: row.get(12)?,
    })
}

/// Enters a component, or replaces what was entered.
///
/// # Errors
/// If the statement fails.
pub fn enter(db: &Connection, component: &Component, by: &str, now_ms: Millis) -> Result<()> {
    db.execute(
        "INSERT INTO capacity_components (instance, resource, item, owner, target, note, threshold_percent, unit, \
         capacity, used, expected, entered_at_ms, entered_by) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) \
         ON CONFLICT (instance, resource, item) DO UPDATE SET owner = excluded.owner, target = excluded.target, \
         note = excluded.note, threshold_percent = excluded.threshold_percent, unit = excluded.unit, \
         capacity = excluded.capacity, used = excluded.used, expected = excluded.expected, \
         entered_at_ms = excluded.entered_at_ms, entered_by = excluded.entered_by",
        params![
            component.key.instance,
            component.key.resource,
            component.key.item,
            component.owner,
            component.target,
            component.note,
            component.threshold_percent,
            component.unit,
            component.capacity,
            component.used,
            component.expected,
            now_ms,
            by
        ],
    )?;
    Ok(())
}

/// All that was entered.
///
/// # Errors
/// If the statement fails.
pub fn list(db: &Connection) -> Result<Vec<ComponentEntered>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM capacity_components ORDER BY instance, resource, item"
    ))?;
    let rows = statement.query_map([], entered)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// What was entered about one component.
///
/// # Errors
/// If the statement fails.
pub fn get(db: &Connection, key: &ComponentKey) -> Result<Option<ComponentEntered>> {
    let sql = format!(
        "SELECT {COLUMNS} FROM capacity_components WHERE instance = ?1 AND resource = ?2 AND item = ?3"
    );
    Ok(db.query_row(&sql, params![key.instance, key.resource, key.item], entered).optional()?)
}

/// Takes a component out of the register; whether there was one.
///
/// # Errors
/// If the statement fails.
pub fn delete(db: &Connection, key: &ComponentKey) -> Result<bool> {
    let gone = db.execute(
        "DELETE FROM capacity_components WHERE instance = ?1 AND resource = ?2 AND item = ?3",
        params![key.instance, key.resource, key.item],
    )?;
    Ok(gone > 0)
}

/// How many components people count themselves.
///
/// # Errors
/// If the statement fails.
pub fn counted(db: &Connection) -> Result<usize> {
    let sql = "SELECT COUNT(*) FROM capacity_components WHERE instance = ''";
    let count: i64 = db.query_row(sql, [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Thresholds of measured components that differ from those of the configuration, percent.
///
/// # Errors
/// If the statement fails.
pub fn thresholds(db: &Connection) -> Result<BTreeMap<ResourceKey, f64>> {
    let own = |one: ComponentEntered| {
        let key = one.component.key;
        let kind = ResourceKind::from_code(&key.resource)?;
        let key = ResourceKey { instance: key.instance, kind, item: key.item };
        Some((key, one.component.threshold_percent?))
    };
    Ok(list(db)?.into_iter().filter_map(own).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Records, RecordsError};

    #[test]
    fn what_is_entered_reads_back_and_can_be_replaced_and_taken_out() {
        let records = Records::in_memory().unwrap();
        let mut disk = Component {
            key: ComponentKey {
                instance: "db".to_owned(),
                resource: "filesystem".to_owned(),
                item: "/data".to_owned(),
            },
            owner: "Budi".to_owned(),
            ..Component::default()
        };
        let people = Component {
            key: ComponentKey {
                instance: String::new(),
                resource: "personnel".to_owned(),
                item: "HD".to_owned(),
            },
            capacity: Some(4.0),
            used: Some(3.0),
            threshold_percent: Some(80.0),
            ..Component::default()
        };
        records
            .transaction(|db| {
                enter(db, &disk, "user:a", 1)?;
                enter(db, &people, "user:a", 1)?;
                assert!(thresholds(db)?.is_empty(), "people have no measured threshold");
                disk.threshold_percent = Some(75.0);
                enter(db, &disk, "user:b", 2)?;
                assert_eq!(thresholds(db)?.into_values().collect::<Vec<_>>(), [75.0]);
                let found = get(db, &disk.key)?.unwrap();
                assert_eq!((found.component, found.at_ms, found.by.as_str()), (disk.clone(), 2, "user:b"));
                assert_eq!((list(db)?.len(), counted(db)?), (2, 1));
                assert!(delete(db, &people.key)? && !delete(db, &people.key)?);
                Ok::<_, RecordsError>(())
            })
            .unwrap();
    }
}
