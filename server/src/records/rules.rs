//! Rows of alerts that are pending or firing.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::{RecordsError, Result};
use crate::time::Millis;

/// Names and values.
pub type Pairs = BTreeMap<String, String>;

/// One alert of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRow {
    /// Rule that it belongs to.
    pub rule: String,
    /// Its labels, which tell it from others of the rule.
    pub labels: Pairs,
    /// Its texts.
    pub annotations: Pairs,
    /// Since when the condition holds.
    pub active_since_ms: Millis,
    /// When it began to fire.
    pub fired_at_ms: Option<Millis>,
    /// Since when the condition holds no more, while it is kept firing.
    pub absent_since_ms: Option<Millis>,
    /// Last value.
    pub value: f64,
}

/// All alerts.
///
/// # Errors
/// If the statement fails or a row cannot be read.
pub fn list(db: &Connection) -> Result<Vec<AlertRow>> {
    let mut statement = db.prepare_cached(
        "SELECT rule, labels, annotations, active_since_ms, fired_at_ms, absent_since_ms, value FROM rule_alerts",
    )?;
    let rows = statement.query_map([], |row| {
        let alert = AlertRow {
            rule: row.get(0)?,
            labels: Pairs::new(),
            annotations: Pairs::new(),
            active_since_ms: row.get(3)?,
            fired_at_ms: row.get(4)?,
            absent_since_ms: row.get(5)?,
            value: row.get::<_, Option<f64>>(6)?.unwrap_or(f64::NAN),
        };
        Ok((alert, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
    })?;
    rows.map(|row| {
        let (mut alert, labels, annotations) = row?;
        alert.labels = pairs("rule_alerts.labels", &labels)?;
        alert.annotations = pairs("rule_alerts.annotations", &annotations)?;
        Ok(alert)
    })
    .collect()
}

fn pairs(column: &'static str, json: &str) -> Result<Pairs> {
    serde_json::from_str(json).map_err(|error| RecordsError::Corrupt { column, reason: error.to_string() })
}

fn json(column: &'static str, pairs: &Pairs) -> Result<String> {
    serde_json::to_string(pairs).map_err(|error| RecordsError::Corrupt { column, reason: error.to_string() })
}

/// Replaces the alerts of one rule.
///
/// # Errors
/// If a statement fails.
pub fn replace(db: &Connection, rule: &str, alerts: &[AlertRow]) -> Result<()> {
    db.execute("DELETE FROM rule_alerts WHERE rule = ?1", [rule])?;
    let mut statement = db.prepare_cached(
        "INSERT INTO rule_alerts (rule, labels, annotations, active_since_ms, fired_at_ms, absent_since_ms, value) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for alert in alerts {
        statement.execute(params![
            rule,
            json("rule_alerts.labels", &alert.labels)?,
            json("rule_alerts.annotations", &alert.annotations)?,
            alert.active_since_ms,
            alert.fired_at_ms,
            alert.absent_since_ms,
            alert.value,
        ])?;
    }
    Ok(())
}

/// Removes the alerts of rules that are no more.
///
/// # Errors
/// If a statement fails.
pub fn keep_only(db: &Connection, rules: &[String]) -> Result<()> {
    let mut statement = db.prepare_cached("SELECT DISTINCT rule FROM rule_alerts")?;
    let known = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    for gone in known.iter().filter(|rule| !rules.contains(rule)) {
        db.execute("DELETE FROM rule_alerts WHERE rule = ?1", [gone])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Records;

    #[test]
    fn alerts_read_back_and_those_of_gone_rules_are_removed() {
        let records = Records::in_memory().unwrap();
        let pairs = |name: &str| Pairs::from([(name.to_owned(), "x \"y\"".to_owned())]);
        let alert = AlertRow {
            rule: "r".to_owned(),
            labels: pairs("instance"),
            annotations: pairs("summary"),
            active_since_ms: 1,
            fired_at_ms: Some(2),
            absent_since_ms: None,
            value: 0.5,
        };
        let read = |records: &Records| records.transaction(|db| list(db)).unwrap();
        records.transaction(|db| replace(db, "r", std::slice::from_ref(&alert))).unwrap();
        assert_eq!(read(&records), [alert]);
        records.transaction(|db| keep_only(db, &["r".to_owned()])).unwrap();
        assert_eq!(read(&records).len(), 1);
        records.transaction(|db| keep_only(db, &["s".to_owned()])).unwrap();
        assert!(read(&records).is_empty());
    }
}
