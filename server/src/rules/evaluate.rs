//! Evaluates a group: asks the store, moves alerts on, writes results. A failed rule is counted and logged, its
//! alerts stay as they are, and the group's other rules are evaluated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use siaga_promql::{Value, stale_nan};
use siaga_protocol::metric_names::UP;

use super::alert::{self, Alerts, Seen, Times};
use super::engine::{LiveGroup, RuleStatus, alert_rows, is_alerting};
use super::format::{ALERT_NAME, Group, Kind, Rule, fill};
use crate::app::App;
use crate::fleet::News;
use crate::metrics::OwnSample;
use crate::records::rules::{self as rows, Pairs};
use crate::time::Millis;

/// Labels of a series with `__name__`, in order of name.
pub(super) type SeriesLabels = Vec<(String, String)>;

const METRIC_NAME: &str = "__name__";

/// What the samples of each enrolled host allow to conclude, by instance.
pub(super) type FleetNews = BTreeMap<String, News>;

/// Evaluates a group for the time `at_ms`.
pub(super) async fn evaluate(
    app: &App,
    live: &LiveGroup,
    at_ms: Millis,
    fleet: &FleetNews,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let group = &live.group;
    let at_ms = at_ms - group.query_offset_ms;
    let mut pending = Pending::default();
    let mut changed: Vec<(String, Alerts)> = Vec::new();
    for (index, rule) in group.rules.iter().enumerate() {
        // A rule sees what earlier rules of its group gave.
        if pending.names.iter().any(|name| rule.expr.contains(name.as_str())) {
            pending.write(app).await?;
        }
        let rule_started = Instant::now();
        let outcome = run(app, group, rule, at_ms).await;
        let mut status = live.status();
        let Some(status) = status.rules.get_mut(index) else { continue };
        status.last_run_ms = Some(at_ms);
        match outcome {
            Ok(outcome) => {
                status.last_error = None;
                status.failing_since_ms = None;
                status.failing_runs = 0;
                let before = status.alerts.clone();
                let series = take_over(rule, status, outcome, at_ms, fleet);
                if is_alerting(&rule.kind) && alert::differ(&before, &status.alerts) {
                    changed.push((rule.key.clone(), status.alerts.clone()));
                }
                pending.add(status, series, at_ms);
            }
            Err(error) => {
                status.failures += 1;
                status.failing_since_ms.get_or_insert(at_ms);
                status.failing_runs = status.failing_runs.saturating_add(1);
                // The same failure each interval is told once.
                if status.last_error.as_ref() != Some(&error) {
                    tracing::warn!(
                        rule = rule.name,
                        group = group.name,
                        file = group.file,
                        error,
                        "rule failed"
                    );
                }
                status.last_error = Some(error);
            }
        }
        status.seconds = rule_started.elapsed().as_secs_f64();
    }
    pending.write(app).await?;
    {
        let mut status = live.status();
        status.last_run_ms = Some(at_ms);
        status.seconds = started.elapsed().as_secs_f64();
    }
    if !changed.is_empty() {
        app.records
            .run(move |db| {
                changed.iter().try_for_each(|(key, alerts)| rows::replace(db, key, &alert_rows(key, alerts)))
            })
            .await?;
    }
    Ok(())
}

/// What a rule's query gave, with the rule's labels.
enum Outcome {
    Series(Vec<(SeriesLabels, f64)>),
    Alerts(BTreeMap<Pairs, Seen>),
}

async fn run(app: &App, group: &Group, rule: &Rule, at_ms: Millis) -> Result<Outcome, String> {
    let answer = app.metrics.instant(&rule.expr, at_ms).await.map_err(|error| error.to_string())?;
    let samples: Vec<(Pairs, f64)> = match answer.value {
        Value::Vector(samples) => samples
            .into_iter()
            .filter_map(|one| {
                let labels = one.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
                Some((labels.collect(), one.sample.float()?))
            })
            .collect(),
        Value::Scalar { value, .. } => vec![(Pairs::new(), value)],
        other => return Err(format!("the query gives a {}, not a vector or scalar", other.kind())),
    };
    shape(group, rule, samples, app.config.current().rules.max_series)
}

/// Gives samples the rule's labels and texts. Pure.
fn shape(
    group: &Group,
    rule: &Rule,
    samples: Vec<(Pairs, f64)>,
    max_series: usize,
) -> Result<Outcome, String> {
    let limit = if group.limit == 0 { max_series } else { group.limit.min(max_series) };
    if samples.len() > limit {
        return Err(format!("the query gives {} series, more than the limit {limit}", samples.len()));
    }
    let mut seen = BTreeMap::new();
    let mut series = BTreeMap::new();
    for (mut found, value) in samples {
        let mut labels = found.clone();
        labels.remove(METRIC_NAME);
        // Templates see the labels of the sample, as in Prometheus.
        found.remove(METRIC_NAME);
        for (name, text) in fill(&rule.labels, &found, value)? {
            if text.is_empty() {
                labels.remove(&name);
            } else {
                labels.insert(name, text);
            }
        }
        let again = match &rule.kind {
            Kind::Recording => {
                labels.insert(METRIC_NAME.to_owned(), rule.name.clone());
                series.insert(labels.into_iter().collect::<SeriesLabels>(), value).is_some()
            }
            Kind::Alerting { annotations, .. } => {
                labels.insert(ALERT_NAME.to_owned(), rule.name.clone());
                let annotations = fill(annotations, &found, value)?;
                seen.insert(labels, Seen { annotations, value }).is_some()
            }
        };
        if again {
            return Err("the query gives series with the same labels once the rule's are set".to_owned());
        }
    }
    Ok(match rule.kind {
        Kind::Recording => Outcome::Series(series.into_iter().collect()),
        Kind::Alerting { .. } => Outcome::Alerts(seen),
    })
}

/// Moves the rule's state on; gives the series to write.
fn take_over(
    rule: &Rule,
    status: &mut RuleStatus,
    outcome: Outcome,
    at_ms: Millis,
    fleet: &FleetNews,
) -> Vec<(SeriesLabels, f64)> {
    match (outcome, &rule.kind) {
        (Outcome::Alerts(seen), Kind::Alerting { hold_ms, keep_firing_ms, .. }) => {
            let times = Times { hold_ms: *hold_ms, keep_firing_ms: *keep_firing_ms, now_ms: at_ms };
            let on_samples = !asks_for_silence(&rule.expr);
            let news = |labels: &Pairs| {
                let host = labels.get("instance").filter(|_| on_samples);
                host.and_then(|instance| fleet.get(instance)).copied().unwrap_or(News::ALWAYS)
            };
            status.alerts = alert::step(&status.alerts, seen, times, news);
            alert_series(&status.alerts)
        }
        (Outcome::Series(series), _) => series,
        (Outcome::Alerts(_), Kind::Recording) => Vec::new(),
    }
}

/// Whether a rule asks for `up`, which the server itself writes, above all of silent hosts.
fn asks_for_silence(expr: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    expr.split(|c| !is_part(c)).any(|word| word == UP)
}

/// Name of the series that say which alerts are pending and firing.
pub(crate) const ALERTS: &str = "ALERTS";
/// Name of the series that say since when alerts stand.
pub(crate) const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// The series `ALERTS` and `ALERTS_FOR_STATE`.
fn alert_series(alerts: &Alerts) -> Vec<(SeriesLabels, f64)> {
    let mut series = Vec::with_capacity(alerts.len() * 2);
    for (labels, alert) in alerts {
        let named = |name: &str, state: Option<&str>| -> SeriesLabels {
            let mut labels = labels.clone();
            labels.insert(METRIC_NAME.to_owned(), name.to_owned());
            if let Some(state) = state {
                labels.insert("alertstate".to_owned(), state.to_owned());
            }
            labels.into_iter().collect()
        };
        series.push((named(ALERTS, Some(alert.state().code())), 1.0));
        series.push((named(ALERTS_FOR_STATE, None), (alert.active_since_ms / 1_000) as f64));
    }
    series
}

/// Samples that wait to be written in one go.
#[derive(Default)]
struct Pending {
    samples: Vec<OwnSample>,
    names: BTreeSet<String>,
}

impl Pending {
    /// Adds a rule's series, and an end mark for those that are no more.
    fn add(&mut self, status: &mut RuleStatus, series: Vec<(SeriesLabels, f64)>, at_ms: Millis) {
        let here: BTreeSet<&SeriesLabels> = series.iter().map(|(labels, _)| labels).collect();
        let gone: Vec<SeriesLabels> = status.written.iter().filter(|l| !here.contains(l)).cloned().collect();
        status.written = series.iter().map(|(labels, _)| labels.clone()).collect();
        let ended = gone.into_iter().map(|labels| (labels, stale_nan()));
        for (labels, value) in series.into_iter().chain(ended) {
            let name = labels.iter().find(|(name, _)| name == METRIC_NAME).map(|(_, value)| value.clone());
            self.names.extend(name);
            self.samples.push(OwnSample { labels, timestamp_ms: at_ms, value });
        }
    }

    async fn write(&mut self, app: &App) -> anyhow::Result<()> {
        self.names.clear();
        let samples = std::mem::take(&mut self.samples);
        if !samples.is_empty() {
            app.metrics.append_own(samples).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::format::parse;

    fn group(rule: &str) -> Group {
        parse("a.yml", &format!("groups: [{{ name: g, limit: 2, rules: [{rule}] }}]")).unwrap().remove(0)
    }

    fn pairs(list: &[(&str, &str)]) -> Pairs {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_recording_rule_names_and_labels_its_series() {
        let group = group("{ record: 'a:b', expr: up, labels: { team: ops, job: '' } }");
        let samples = vec![(pairs(&[("__name__", "up"), ("job", "x"), ("instance", "web")]), 2.0)];
        let Ok(Outcome::Series(series)) = shape(&group, &group.rules[0], samples, 9) else { panic!() };
        let wanted = [("__name__", "a:b"), ("instance", "web"), ("team", "ops")];
        assert_eq!(series, [(pairs(&wanted).into_iter().collect(), 2.0)]);
    }

    #[test]
    fn an_alerting_rule_fills_labels_and_texts_in() {
        let group = group(
            "{ alert: A, expr: up, labels: { severity: '{{ if gt $value 1.0 }}critical{{ end }}' }, \
             annotations: { summary: '{{ $labels.instance }} {{ $value }}' } }",
        );
        let samples = vec![(pairs(&[("__name__", "up"), ("instance", "web")]), 2.0)];
        let Ok(Outcome::Alerts(seen)) = shape(&group, &group.rules[0], samples, 9) else { panic!() };
        let labels = pairs(&[("alertname", "A"), ("instance", "web"), ("severity", "critical")]);
        assert_eq!(seen[&labels].annotations, pairs(&[("summary", "web 2")]));
    }

    #[test]
    fn a_rule_about_silence_itself_is_told_by_its_series() {
        for (expr, wanted) in [
            ("up == 0", true),
            ("avg_over_time(up{instance=\"web\"}[5m]) < 0.5", true),
            ("node_up == 0", false),
            ("node_load1 > 3", false),
        ] {
            assert_eq!(asks_for_silence(expr), wanted, "{expr}");
        }
    }

    #[test]
    fn too_many_series_and_equal_ones_are_failures() {
        let group = group("{ record: 'a:b', expr: up, labels: { instance: '' } }");
        let sample = |host: &str| (pairs(&[("instance", host)]), 1.0);
        for (samples, wanted) in [
            (vec![sample("a"), sample("b")], "same labels"),
            (vec![sample("a"), sample("b"), sample("c")], "more than the limit 2"),
        ] {
            let Err(error) = shape(&group, &group.rules[0], samples, 9) else { panic!() };
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_series_that_is_gone_gets_an_end_mark_once() {
        let mut status = RuleStatus::default();
        let labels = |state: &str| -> SeriesLabels {
            pairs(&[("__name__", "ALERTS"), ("alertstate", state)]).into_iter().collect()
        };
        let mut told = Vec::new();
        for series in [vec![(labels("pending"), 1.0)], vec![(labels("firing"), 1.0)], vec![], vec![]] {
            let mut pending = Pending::default();
            pending.add(&mut status, series, 0);
            told.push(
                pending
                    .samples
                    .iter()
                    .map(|sample| (sample.labels[1].1.clone(), siaga_promql::is_stale_nan(sample.value)))
                    .collect::<Vec<_>>(),
            );
        }
        let mark = |state: &str, ended| (state.to_owned(), ended);
        assert_eq!(
            told,
            [
                vec![mark("pending", false)],
                vec![mark("firing", false), mark("pending", true)],
                vec![mark("firing", true)],
                vec![],
            ]
        );
    }
}
