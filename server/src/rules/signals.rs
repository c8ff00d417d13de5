//! Firing alerts as signals for the helpdesk queue. Pure.

use super::alert::{Alert, AlertState, Alerts};
use super::engine::RuleStatus;
use super::format::ALERT_NAME;
use crate::incidents::{Grade, Graded, Impact, Severity, Signal, Urgency};
use crate::records::rules::Pairs;

/// Label that says how bad an alert is; `none` keeps it out of the queue.
const SEVERITY: &str = "severity";

/// The signals of a rule's firing alerts.
pub(super) fn signals<'a>(rule_key: &'a str, alerts: &'a Alerts) -> impl Iterator<Item = Graded> + 'a {
    alerts
        .iter()
        .filter(|(_, alert)| alert.state() == AlertState::Firing)
        .filter_map(move |(labels, alert)| signal(rule_key, labels, alert))
}

/// Evaluations that must have failed in a row before people are told.
const FAILING_RUNS: u32 = 3;

/// A rule that cannot be evaluated: nothing watches what it should watch.
pub(super) fn failing(rule_key: &str, name: &str, status: &RuleStatus) -> Option<Graded> {
    let since_ms = status.failing_since_ms.filter(|_| status.failing_runs >= FAILING_RUNS)?;
    let error = status.last_error.clone().unwrap_or_default();
    let title =
        |language: &str| rust_i18n::t!("incidents.rule_failing", locale = language).replace("%{rule}", name);
    let detail = |language: &str| {
        rust_i18n::t!("incidents.rule_failing_detail", locale = language).replace("%{error}", &error)
    };
    let severity = Severity::Warning;
    let signal = Signal {
        key: format!("failing:{rule_key}"),
        instance: None,
        component: format!("rule-evaluation:{name}"),
        severity,
        title_id: title("id"),
        title_en: title("en"),
        detail_id: detail("id"),
        detail_en: detail("en"),
        value: None,
        started_at_ms: since_ms,
    };
    Some(Graded { signal, grade: Grade::of(severity) })
}

fn signal(rule_key: &str, labels: &Pairs, alert: &Alert) -> Option<Graded> {
    let label = |name: &str| labels.get(name).map(String::as_str);
    let severity = match label(SEVERITY) {
        Some("none") => return None,
        Some("critical" | "page" | "error") => Severity::Critical,
        Some("info") => Severity::Info,
        _ => Severity::Warning,
    };
    let usual = Grade::of(severity);
    let grade = Grade {
        impact: label("impact").and_then(Impact::from_code).unwrap_or(usual.impact),
        urgency: label("urgency").and_then(Urgency::from_code).unwrap_or(usual.urgency),
    };
    let name = label(ALERT_NAME).unwrap_or_default();
    let text = |names: &[&str]| {
        let found =
            names.iter().filter_map(|name| alert.annotations.get(*name)).find(|text| !text.is_empty());
        found.cloned()
    };
    let title_id = text(&["summary", "title"]).unwrap_or_else(|| name.to_owned());
    let detail_id = text(&["description", "message"]).unwrap_or_default();
    let signal = Signal {
        key: key(rule_key, labels),
        instance: label("instance").filter(|instance| !instance.is_empty()).map(str::to_owned),
        component: text(&["component"]).unwrap_or_else(|| format!("rule:{name}")),
        severity,
        title_en: text(&["summary_en"]).unwrap_or_else(|| title_id.clone()),
        title_id,
        detail_en: text(&["description_en"]).unwrap_or_else(|| detail_id.clone()),
        detail_id,
        value: alert.value.is_finite().then_some(alert.value),
        started_at_ms: alert.active_since_ms,
    };
    Some(Graded { signal, grade })
}

fn key(rule_key: &str, labels: &Pairs) -> String {
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{rule_key}{{{}}}", labels.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incidents::Priority;

    fn pairs(list: &[(&str, &str)]) -> Pairs {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn one(labels: &[(&str, &str)], annotations: &[(&str, &str)], fired: bool) -> Option<Graded> {
        let alert = Alert {
            annotations: pairs(annotations),
            value: f64::NAN,
            active_since_ms: 7,
            fired_at_ms: fired.then_some(9),
            absent_since_ms: None,
        };
        let alerts = Alerts::from([(pairs(labels), alert)]);
        signals("r", &alerts).next()
    }

    #[test]
    fn an_alert_becomes_a_signal_with_its_texts_and_grade() {
        let labels =
            [("alertname", "A"), ("instance", "web"), ("severity", "warning"), ("urgency", "urgent")];
        let texts = [("summary", "s"), ("summary_en", "e"), ("component", "memory"), ("description", "d")];
        let Graded { signal, grade } = one(&labels, &texts, true).unwrap();
        assert_eq!((signal.title_id.as_str(), signal.title_en.as_str()), ("s", "e"));
        assert_eq!((signal.detail_id.as_str(), signal.detail_en.as_str()), ("d", "d"));
        assert_eq!((signal.instance.as_deref(), signal.component.as_str()), (Some("web"), "memory"));
        assert_eq!((signal.value, signal.started_at_ms), (None, 7));
        assert_eq!(grade.priority(), Priority::High);
    }

    #[test]
    fn a_rule_that_fails_again_and_again_is_told_once_it_did_so_three_times() {
        let mut status = RuleStatus {
            last_error: Some("many-to-many matching".to_owned()),
            failing_since_ms: Some(7),
            failing_runs: 2,
            ..RuleStatus::default()
        };
        assert_eq!(failing("r", "Disk", &status), None);
        status.failing_runs = 3;
        let Graded { signal, .. } = failing("r", "Disk", &status).unwrap();
        assert_eq!((signal.started_at_ms, signal.component.as_str()), (7, "rule-evaluation:Disk"));
        assert!(signal.title_en.contains("Disk") && signal.detail_id.contains("many-to-many"));
    }

    #[test]
    fn pending_alerts_and_those_without_severity_stay_out_and_others_have_defaults() {
        assert_eq!(one(&[("alertname", "A")], &[], false), None);
        assert_eq!(one(&[("alertname", "A"), ("severity", "none")], &[], true), None);
        let Graded { signal, grade } = one(&[("alertname", "A")], &[], true).unwrap();
        assert_eq!((signal.component.as_str(), signal.title_en.as_str()), ("rule:A", "A"));
        assert_eq!((signal.severity, grade.priority()), (Severity::Warning, Priority::Medium));
    }
}
