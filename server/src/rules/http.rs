//! Rules and alerts in the form of Prometheus' HTTP API.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};
use siaga_tsdb::Matcher;

use super::alert::{Alert, Alerts};
use super::engine::{LiveGroup, RuleStatus};
use super::format::{Group, Kind, Rule};
use crate::access::Right;
use crate::app::App;
use crate::http::Routes;
use crate::query::{Form, PrometheusError, selectors};
use crate::records::rules::Pairs;
use crate::time::{Millis, millis};

/// Routes of this part.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/prometheus/api/v1/rules",
            Right::ViewServers,
            "rules and their state (type=alert or record, rule_name[], rule_group[], file[], match[], exclude_alerts, group_limit)",
            rules,
        )
        .get("/prometheus/api/v1/alerts", Right::ViewServers, "pending and firing alerts", alerts)
}

async fn rules(State(app): State<App>, form: Form) -> Result<Json<Value>, PrometheusError> {
    let wanted = Wanted::new(&form)?;
    let default_ms = millis(app.config.current().rules.interval);
    let groups = app.rules.groups();
    let (page, next) = Page::new(&form)?.of(&groups)?;
    let groups: Vec<Value> = page.iter().filter_map(|live| group_body(live, default_ms, &wanted)).collect();
    let mut data = json!({ "groups": groups });
    if let Some(next) = next {
        data["groupNextToken"] = json!(next);
    }
    Ok(Json(json!({ "status": "success", "data": data })))
}

/// Which rules a request asks for.
struct Wanted<'a> {
    alerting: Option<bool>,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    selectors: Vec<Vec<Matcher>>,
    with_alerts: bool,
}

impl<'a> Wanted<'a> {
    fn new(form: &'a Form) -> Result<Self, PrometheusError> {
        let alerting = match form.get("type") {
            None => None,
            Some("alert") => Some(true),
            Some("record") => Some(false),
            Some(other) => {
                let reason = format!("not supported value {other:?}");
                return Err(PrometheusError::bad_parameter("type", reason));
            }
        };
        let exclude = match form.get("exclude_alerts") {
            None | Some("0" | "f" | "F" | "false" | "False" | "FALSE") => false,
            Some("1" | "t" | "T" | "true" | "True" | "TRUE") => true,
            Some(other) => {
                let reason = format!("not supported value {other:?}");
                return Err(PrometheusError::bad_parameter("exclude_alerts", reason));
            }
        };
        Ok(Self {
            alerting,
            names: form.all("rule_name[]").collect(),
            groups: form.all("rule_group[]").collect(),
            files: form.all("file[]").collect(),
            selectors: selectors(form)?,
            with_alerts: !exclude,
        })
    }

    fn group(&self, group: &Group) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.name.as_str()))
            && (self.files.is_empty() || self.files.contains(&group.file.as_str()))
    }

    fn rule(&self, rule: &Rule) -> bool {
        let label = |name: &str| {
            rule.labels.iter().find(|(label, _)| label == name).map_or("", |(_, text)| text.source())
        };
        let fits = |matchers: &Vec<Matcher>| matchers.iter().all(|m| m.matches(label(m.name())));
        self.alerting.is_none_or(|alerting| alerting == super::engine::is_alerting(&rule.kind))
            && (self.names.is_empty() || self.names.contains(&rule.name.as_str()))
            && (self.selectors.is_empty() || self.selectors.iter().any(fits))
    }

    /// Whether groups without a rule that is wanted are left out.
    fn filters_rules(&self) -> bool {
        self.alerting.is_some() || !self.names.is_empty() || !self.selectors.is_empty()
    }
}

/// The part of the groups that a request asks for.
struct Page<'a> {
    limit: usize,
    from: Option<&'a str>,
}

impl<'a> Page<'a> {
    fn new(form: &'a Form) -> Result<Self, PrometheusError> {
        let page = Self { limit: form.limit("group_limit")?, from: form.get("group_next_token") };
        if page.from.is_some() && page.limit == usize::MAX {
            let reason = "group_limit needs to be present in order to paginate over the groups";
            return Err(PrometheusError::bad_parameter("group_next_token", reason));
        }
        Ok(page)
    }

    /// The groups of this page, and what to ask for the next.
    fn of<'b, G: AsRef<LiveGroup>>(
        &self,
        groups: &'b [G],
    ) -> Result<(&'b [G], Option<String>), PrometheusError> {
        let token = |live: &G| format!("{};{}", live.as_ref().group.file, live.as_ref().group.name);
        let start = match self.from {
            None => Some(0),
            Some(from) => groups.iter().position(|live| token(live) == from),
        };
        let Some(start) = start else {
            let reason = "is of no group. Were rule groups changed?";
            return Err(PrometheusError::bad_parameter("group_next_token", reason));
        };
        let rest = groups.get(start..).unwrap_or(&[]);
        let (page, later) = rest.split_at(self.limit.min(rest.len()));
        Ok((page, later.first().map(token)))
    }
}

/// `None` for a group without anything that is wanted.
fn group_body(live: &LiveGroup, default_ms: Millis, wanted: &Wanted<'_>) -> Option<Value> {
    if !wanted.group(&live.group) {
        return None;
    }
    let status = live.status().clone();
    let rules: Vec<Value> = live
        .group
        .rules
        .iter()
        .zip(&status.rules)
        .filter(|(rule, _)| wanted.rule(rule))
        .map(|(rule, status)| rule_body(rule, status, wanted.with_alerts))
        .collect();
    if rules.is_empty() && wanted.filters_rules() {
        return None;
    }
    Some(json!({
        "name": live.group.name,
        "file": live.group.file,
        "interval": seconds(live.interval_ms(default_ms)),
        "limit": live.group.limit,
        "rules": rules,
        "evaluationTime": status.seconds,
        "lastEvaluation": time(status.last_run_ms.unwrap_or(0)),
        "missedEvaluations": status.missed,
    }))
}

fn rule_body(rule: &Rule, status: &RuleStatus, with_alerts: bool) -> Value {
    let texts = |list: &[(String, super::template::Text)]| -> Pairs {
        list.iter().map(|(name, text)| (name.clone(), text.source().to_owned())).collect()
    };
    let health = match (&status.last_error, status.last_run_ms) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let mut body = json!({
        "name": rule.name,
        "query": rule.expr,
        "labels": texts(&rule.labels),
        "health": health,
        "evaluationTime": status.seconds,
        "lastEvaluation": time(status.last_run_ms.unwrap_or(0)),
        "failures": status.failures,
        "type": if super::engine::is_alerting(&rule.kind) { "alerting" } else { "recording" },
    });
    if let Some(error) = &status.last_error {
        body["lastError"] = json!(error);
    }
    if let Kind::Alerting { hold_ms, keep_firing_ms, annotations } = &rule.kind {
        body["duration"] = json!(seconds(*hold_ms));
        body["keepFiringFor"] = json!(seconds(*keep_firing_ms));
        body["annotations"] = json!(texts(annotations));
        body["state"] = json!(state(&status.alerts));
        if with_alerts {
            body["alerts"] = status.alerts.iter().map(|(labels, alert)| alert_body(labels, alert)).collect();
        }
    }
    body
}

/// The state of a rule is that of its worst alert.
fn state(alerts: &Alerts) -> &'static str {
    let states: Vec<&'static str> = alerts.values().map(|alert| alert.state().code()).collect();
    if states.contains(&"firing") {
        "firing"
    } else if states.is_empty() {
        "inactive"
    } else {
        "pending"
    }
}

fn alert_body(labels: &Pairs, alert: &Alert) -> Value {
    let mut body = json!({
        "labels": labels,
        "annotations": alert.annotations,
        "state": alert.state().code(),
        "activeAt": time(alert.active_since_ms),
        "value": go_exponent(alert.value),
    });
    if let Some(absent) = alert.absent_since_ms {
        body["keepFiringSince"] = json!(time(absent));
    }
    body
}

async fn alerts(State(app): State<App>) -> Json<Value> {
    let mut bodies = Vec::new();
    for live in app.rules.groups() {
        for rule in &live.status().rules {
            bodies.extend(rule.alerts.iter().map(|(labels, alert)| alert_body(labels, alert)));
        }
    }
    Json(json!({ "status": "success", "data": { "alerts": bodies } }))
}

fn seconds(length_ms: Millis) -> f64 {
    length_ms as f64 / 1_000.0
}

fn time(at_ms: Millis) -> String {
    jiff::Timestamp::from_millisecond(at_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// A number as Go prints it with `%e` and the fewest digits: `9.5e+01`.
fn go_exponent(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_prometheus_writes_them() {
        for (value, wanted) in [
            (95.5, "9.55e+01"),
            (0.0, "0e+00"),
            (-0.002, "-2e-03"),
            (1e120, "1e+120"),
            (f64::INFINITY, "+Inf"),
        ] {
            assert_eq!(go_exponent(value), wanted);
        }
        assert_eq!(time(1_795_503_600_250), "2026-11-24T07:00:00.25Z");
    }
}
