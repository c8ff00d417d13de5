//! The rules in force and their state, shared by the evaluation and the API.
//!
//! Invariants: the rules in force were checked as a whole; an invalid file changes nothing; alerts keep their state
//! through a reload and through a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::alert::{Alert, Alerts};
use super::evaluate::SeriesLabels;
use super::format::{Group, Kind};
use super::load::{Signature, load, signature};
use crate::config::Rules as RulesConfig;
use crate::records::Records;
use crate::records::rules::{self as rows, AlertRow};
use crate::time::Millis;

/// State of one rule.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleStatus {
    /// Alerts of an alerting rule.
    pub(super) alerts: Alerts,
    /// Series that were written last time, to be marked as ended when they are no more.
    pub(super) written: Vec<SeriesLabels>,
    /// When it was evaluated last.
    pub(super) last_run_ms: Option<Millis>,
    /// How long that took, seconds.
    pub(super) seconds: f64,
    /// Why it failed last time.
    pub(super) last_error: Option<String>,
    /// Failed evaluations so far.
    pub(super) failures: u64,
    /// Since when every evaluation failed.
    pub(super) failing_since_ms: Option<Millis>,
    /// Evaluations that failed since then.
    pub(super) failing_runs: u32,
}

/// State of one group.
#[derive(Debug, Clone, Default)]
pub(super) struct GroupStatus {
    /// Rules, in the group's order.
    pub(super) rules: Vec<RuleStatus>,
    /// Interval that was evaluated last, counted since the epoch.
    pub(super) last_slot: Option<i64>,
    /// When it was evaluated last.
    pub(super) last_run_ms: Option<Millis>,
    /// How long that took, seconds.
    pub(super) seconds: f64,
    /// Intervals that were passed over.
    pub(super) missed: u64,
}

/// A group with its state.
#[derive(Debug)]
pub(super) struct LiveGroup {
    /// The rules.
    pub(super) group: Group,
    status: Mutex<GroupStatus>,
}

impl LiveGroup {
    /// The state.
    pub(super) fn status(&self) -> MutexGuard<'_, GroupStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Interval of the group.
    pub(super) fn interval_ms(&self, default_ms: Millis) -> Millis {
        self.group.interval_ms.unwrap_or(default_ms).max(1)
    }

    /// The time of an evaluation that is due, and notes that it happens. Groups are spread over their interval.
    pub(super) fn due(&self, default_ms: Millis, now_ms: Millis) -> Option<Millis> {
        let interval_ms = self.interval_ms(default_ms);
        let offset_ms = spread(&self.group, interval_ms);
        let slot = (now_ms - offset_ms).div_euclid(interval_ms);
        let mut status = self.status();
        if status.last_slot.is_some_and(|last| slot <= last) {
            return None;
        }
        let passed = status.last_slot.map_or(0, |last| slot - last - 1);
        status.missed += u64::try_from(passed).unwrap_or(0);
        status.last_slot = Some(slot);
        Some(slot * interval_ms + offset_ms)
    }
}

/// A place in the interval that is always the same for a group (FNV-1a of its name).
fn spread(group: &Group, interval_ms: Millis) -> Millis {
    let hash = group.file.bytes().chain(group.name.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    i64::try_from(hash % u64::try_from(interval_ms).unwrap_or(1)).unwrap_or(0)
}

#[derive(Debug)]
struct Loaded {
    groups: Vec<Arc<LiveGroup>>,
    /// Names that recording rules write.
    recorded: Arc<BTreeSet<String>>,
    config: RulesConfig,
    signature: Signature,
}

/// The rules in force. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Rules(Arc<Mutex<Loaded>>);

impl Rules {
    /// Loads the rules of a configuration and the alerts of the last run. Blocks.
    ///
    /// # Errors
    /// What is wrong with a rule file, with file and line; or why the records cannot be read.
    pub fn open(config: &RulesConfig, records: &Records) -> anyhow::Result<Self> {
        let signature = signature(config);
        let groups = load(config)?;
        let mut alerts: BTreeMap<String, Alerts> = BTreeMap::new();
        for row in records.transaction(|db| rows::list(db))? {
            let alert = Alert {
                annotations: row.annotations,
                value: row.value,
                active_since_ms: row.active_since_ms,
                fired_at_ms: row.fired_at_ms,
                absent_since_ms: row.absent_since_ms,
            };
            alerts.entry(row.rule).or_default().insert(row.labels, alert);
        }
        let status = alerts
            .into_iter()
            .map(|(key, alerts)| (key, RuleStatus { alerts, ..RuleStatus::default() }))
            .collect();
        let recorded = Arc::new(recorded_names(&groups));
        let loaded = Loaded { groups: go_live(groups, status), recorded, config: config.clone(), signature };
        Ok(Self(Arc::new(Mutex::new(loaded))))
    }

    fn loaded(&self) -> MutexGuard<'_, Loaded> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Names that the recording rules in force write.
    #[must_use]
    pub fn recorded(&self) -> Arc<BTreeSet<String>> {
        Arc::clone(&self.loaded().recorded)
    }

    /// The groups in force.
    pub(super) fn groups(&self) -> Vec<Arc<LiveGroup>> {
        self.loaded().groups.clone()
    }

    /// Reads the files again if they or the configuration changed; says whether it did. Blocks.
    ///
    /// # Errors
    /// What is wrong with the new files; the rules in force stay, and the same files are not tried again.
    pub(super) fn reload(&self, config: &RulesConfig, records: &Records) -> anyhow::Result<bool> {
        let fresh = signature(config);
        {
            let mut loaded = self.loaded();
            if loaded.signature == fresh && loaded.config == *config {
                return Ok(false);
            }
            loaded.signature = fresh;
            loaded.config = config.clone();
        }
        let groups = load(config)?;
        let keys: Vec<String> =
            groups.iter().flat_map(|group| group.rules.iter().map(|rule| rule.key.clone())).collect();
        let mut status = BTreeMap::new();
        for live in self.groups() {
            let states = live.status().rules.clone();
            status.extend(live.group.rules.iter().map(|rule| rule.key.clone()).zip(states));
        }
        {
            let mut loaded = self.loaded();
            loaded.recorded = Arc::new(recorded_names(&groups));
            loaded.groups = go_live(groups, status);
        }
        records.transaction(|db| rows::keep_only(db, &keys))?;
        Ok(true)
    }
}

fn recorded_names(groups: &[Group]) -> BTreeSet<String> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    rules.filter(|rule| matches!(rule.kind, Kind::Recording)).map(|rule| rule.name.clone()).collect()
}

/// Gives groups the state that their rules had.
fn go_live(groups: Vec<Group>, mut known: BTreeMap<String, RuleStatus>) -> Vec<Arc<LiveGroup>> {
    groups
        .into_iter()
        .map(|group| {
            let rules = group.rules.iter().map(|rule| known.remove(&rule.key).unwrap_or_default()).collect();
            let status = Mutex::new(GroupStatus { rules, ..GroupStatus::default() });
            Arc::new(LiveGroup { group, status })
        })
        .collect()
}

/// The rows of a rule's alerts.
pub(super) fn alert_rows(rule: &str, alerts: &Alerts) -> Vec<AlertRow> {
    alerts
        .iter()
        .map(|(labels, alert)| AlertRow {
            rule: rule.to_owned(),
            labels: labels.clone(),
            annotations: alert.annotations.clone(),
            active_since_ms: alert.active_since_ms,
            fired_at_ms: alert.fired_at_ms,
            absent_since_ms: alert.absent_since_ms,
            value: alert.value,
        })
        .collect()
}

/// Whether a rule alerts.
pub(super) fn is_alerting(kind: &Kind) -> bool {
    matches!(kind, Kind::Alerting { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::rules::Pairs;

    fn config(folder: &tempfile::TempDir) -> RulesConfig {
        RulesConfig { defaults: false, files: vec![folder.path().join("*.yml")], ..RulesConfig::default() }
    }

    fn write(folder: &tempfile::TempDir, text: &str) {
        std::fs::write(folder.path().join("a.yml"), text).unwrap();
    }

    const ONE: &str = "groups: [{ name: g, interval: 10s, rules: [{ alert: A, expr: up == 0, for: 1m }] }]";

    #[test]
    fn a_wrong_file_is_told_once_and_the_rules_in_force_stay() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, ONE);
        let records = Records::in_memory().unwrap();
        let rules = Rules::open(&config(&folder), &records).unwrap();
        assert!(!rules.reload(&config(&folder), &records).unwrap());
        write(&folder, "groups: [{ name: g, rules: [{ alert: A, expr: 'up ==' }] }]");
        let error = rules.reload(&config(&folder), &records).unwrap_err().to_string();
        assert!(error.contains("a.yml:1:") && error.contains("expr"), "{error}");
        assert!(!rules.reload(&config(&folder), &records).unwrap());
        assert_eq!(rules.groups()[0].group.rules[0].expr, "up == 0");
        assert!(Rules::open(&config(&folder), &records).is_err(), "a start refuses it");
    }

    #[test]
    fn alerts_outlive_a_reload_and_a_restart_unless_their_rule_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, ONE);
        let records = Records::in_memory().unwrap();
        let rules = Rules::open(&config(&folder), &records).unwrap();
        let key = rules.groups()[0].group.rules[0].key.clone();
        let alert = Alert {
            annotations: Pairs::new(),
            value: 1.0,
            active_since_ms: 5,
            fired_at_ms: None,
            absent_since_ms: None,
        };
        let alerts = Alerts::from([(Pairs::new(), alert)]);
        rules.groups()[0].status().rules[0].alerts = alerts.clone();
        records.transaction(|db| rows::replace(db, &key, &alert_rows(&key, &alerts))).unwrap();
        write(&folder, &ONE.replace("up == 0", "up == 0 or up == 2"));
        assert!(rules.reload(&config(&folder), &records).unwrap());
        assert_eq!(rules.groups()[0].status().rules[0].alerts, alerts);
        let restarted = Rules::open(&config(&folder), &records).unwrap();
        assert_eq!(restarted.groups()[0].status().rules[0].alerts, alerts);
        write(&folder, "groups: []");
        assert!(rules.reload(&config(&folder), &records).unwrap());
        assert!(records.transaction(|db| rows::list(db)).unwrap().is_empty());
    }

    #[test]
    fn a_group_is_due_once_an_interval_and_counts_what_it_missed() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder, ONE);
        let rules = Rules::open(&config(&folder), &Records::in_memory().unwrap()).unwrap();
        let group = &rules.groups()[0];
        let first = group.due(15_000, 100_000).unwrap();
        assert!((90_001..=100_000).contains(&first));
        assert_eq!(group.due(15_000, first + 9_999), None);
        assert_eq!(group.due(15_000, first + 10_000), Some(first + 10_000));
        assert_eq!(group.due(15_000, first + 45_000), Some(first + 40_000));
        assert_eq!(group.status().missed, 2);
    }
}
