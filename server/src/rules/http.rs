//! Rules and alerts in the form of Prometheus' HTTP API.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::alert::{Alert, Alerts};
use super::engine::{LiveGroup, RuleStatus};
use super::format::{Kind, Rule};
use crate::access::Right;
use crate::app::App;
use crate::http::{Params, Routes};
use crate::query::PrometheusError;
use crate::records::rules::Pairs;
use crate::time::{Millis, millis};

/// Routes of this part.
#[must_use]
pub fn routes() -> Routes {
    Routes::new()
        .get(
            "/prometheus/api/v1/rules",
            Right::ViewServers,
            "rules and their state (type=alert or record, exclude_alerts)",
            rules,
        )
        .get("/prometheus/api/v1/alerts", Right::ViewServers, "pending and firing alerts", alerts)
}

#[derive(Debug, Deserialize)]
struct RulesParams {
    r#type: Option<String>,
    #[serde(default)]
    exclude_alerts: bool,
}

async fn rules(
    State(app): State<App>,
    Params(params): Params<RulesParams>,
) -> Result<Json<Value>, PrometheusError> {
    let wanted = match params.r#type.as_deref() {
        None | Some("") => None,
        Some("alert") => Some(true),
        Some("record") => Some(false),
        Some(other) => {
            let reason = format!("not supported value {other:?}");
            return Err(PrometheusError::bad_parameter("type", reason));
        }
    };
    let default_ms = millis(app.config.current().rules.interval);
    let groups: Vec<Value> = app
        .rules
        .groups()
        .iter()
        .map(|live| group_body(live, default_ms, wanted, !params.exclude_alerts))
        .collect();
    Ok(Json(json!({ "status": "success", "data": { "groups": groups } })))
}

fn group_body(live: &LiveGroup, default_ms: Millis, wanted: Option<bool>, with_alerts: bool) -> Value {
    let status = live.status().clone();
    let rules: Vec<Value> = live
        .group
        .rules
        .iter()
        .zip(&status.rules)
        .filter(|(rule, _)| wanted.is_none_or(|alerting| alerting == super::engine::is_alerting(&rule.kind)))
        .map(|(rule, status)| rule_body(rule, status, with_alerts))
        .collect();
    json!({
        "name": live.group.name,
        "file": live.group.file,
        "interval": seconds(live.interval_ms(default_ms)),
        "limit": live.group.limit,
        "rules": rules,
        "evaluationTime": status.seconds,
        "lastEvaluation": time(status.last_run_ms.unwrap_or(0)),
        "missedEvaluations": status.missed,
    })
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
