//! Looks whether a check holds now: by an HTTP request from this server, or by a PromQL query.

use std::time::Duration;

use siaga_promql::Value;
use tokio::time::Instant;

use super::measure::Answer;
use super::plan::{Check, CheckKind, Comparison};
use super::prober::ask;
use crate::app::App;
use crate::time::now_ms;

/// Pause between two looks at checks that do not hold yet.
const PAUSE: Duration = Duration::from_millis(250);

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// Name of the check.
    pub(super) check: String,
    /// Whether it holds.
    pub(super) held: bool,
    /// What was found, short and without a language: `HTTP 503`, `0.5 (>= 1)`.
    pub(super) found: String,
}

/// Looks at each check once.
pub(super) async fn look(app: &App, client: &reqwest::Client, checks: &[Check]) -> Vec<Finding> {
    let mut findings = Vec::with_capacity(checks.len());
    for check in checks {
        let (held, found) = match &check.kind {
            CheckKind::Http(wanted) => http_finding(ask(client, wanted).await, wanted.status),
            CheckKind::Promql { query, comparison } => match app.metrics.instant(query, now_ms()).await {
                Ok(answer) => promql_finding(&answer.value, *comparison),
                Err(error) => (false, format!("PromQL: {error}")),
            },
        };
        findings.push(Finding { check: check.name.clone(), held, found });
    }
    findings
}

/// Looks until all checks hold or the deadline has passed; gives the last findings.
pub(super) async fn look_until(
    app: &App,
    client: &reqwest::Client,
    checks: &[Check],
    deadline: Instant,
) -> Vec<Finding> {
    loop {
        let findings = look(app, client, checks).await;
        if findings.iter().all(|finding| finding.held) || Instant::now() >= deadline {
            return findings;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn http_finding(answer: Answer, wanted_status: u16) -> (bool, String) {
    match answer {
        Answer::Good => (true, format!("HTTP {wanted_status}")),
        Answer::Status(status) => (false, format!("HTTP {status} (≠ {wanted_status})")),
        Answer::Body => (false, "HTTP body ≠ body_contains".to_owned()),
        Answer::Timeout => (false, "HTTP timeout".to_owned()),
        Answer::Connect => (false, "HTTP connect".to_owned()),
        Answer::Broken => (false, "HTTP broken".to_owned()),
    }
}

/// At least one value, and the comparison holds for each.
fn promql_finding(value: &Value, comparison: Comparison) -> (bool, String) {
    let values: Vec<f64> = match value {
        Value::Scalar { value, .. } => vec![*value],
        Value::Vector(samples) => samples.iter().filter_map(|one| one.sample.float()).collect(),
        Value::String { .. } | Value::Matrix(_) => Vec::new(),
    };
    match (values.iter().find(|found| !comparison.holds(**found)), values.first()) {
        (Some(bad), _) => (false, format!("{bad} ({comparison})")),
        (None, Some(first)) => (true, format!("{first} ({comparison})")),
        (None, None) => (false, format!("∅ ({comparison})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use siaga_promql::{Labels, VectorSample};

    #[test]
    fn a_query_holds_if_it_has_values_and_all_of_them_fit() {
        let vector = |values: &[f64]| {
            Value::Vector(
                values.iter().map(|value| VectorSample::of_float(Labels::empty(), 0, *value)).collect(),
            )
        };
        let wanted = Comparison::parse(">= 1").unwrap();
        for (value, held, found) in [
            (vector(&[1.0, 2.0]), true, "1 (>= 1)"),
            (vector(&[1.0, 0.5]), false, "0.5 (>= 1)"),
            (vector(&[]), false, "∅ (>= 1)"),
            (Value::Scalar { t_ms: 0, value: 3.0 }, true, "3 (>= 1)"),
        ] {
            assert_eq!(promql_finding(&value, wanted), (held, found.to_owned()));
        }
    }
}
