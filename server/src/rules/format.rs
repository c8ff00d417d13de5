//! Rule files in Prometheus' format. An error names file, line and field or rule; unknown fields are refused.
//! Pure: the caller reads the file.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_saphyr::{Location, Spanned};
use siaga_promql::{Engine, EngineOptions};

use super::shape;
use super::template::Text;
use crate::records::rules::Pairs;
use crate::time::Millis;

/// Largest rule file, bytes.
pub(super) const MAX_FILE_BYTES: u64 = 4 << 20;
/// Groups in all files.
pub(super) const MAX_GROUPS: usize = 2_000;

/// Label that holds an alert's name.
pub(super) const ALERT_NAME: &str = "alertname";

/// What is wrong with a rule file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct RuleFileError {
    /// Name of the file, as the reader knows it.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column, from 1.
    pub column: u64,
    /// Field or rule, and what is wrong with it; one line.
    pub reason: String,
}

/// Everything that is wrong with a rule file, in the order of the text; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFileErrors(pub Vec<RuleFileError>);

impl std::error::Error for RuleFileErrors {}

impl std::fmt::Display for RuleFileErrors {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        out.write_str(&lines.join("\n"))
    }
}

/// A group: its rules are evaluated one after the other, at one time.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// File that it comes from.
    pub(super) file: String,
    /// Name, unique in the file.
    pub(super) name: String,
    /// Interval; `None` takes the configured one.
    pub(super) interval_ms: Option<Millis>,
    /// How far back in time rules are evaluated.
    pub(super) query_offset_ms: Millis,
    /// Alerts or series that one rule may give; 0 is no limit.
    pub(super) limit: usize,
    /// Rules.
    pub(super) rules: Vec<Rule>,
}

/// A rule.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// Names the rule over restarts: file, group, name, and a number where names repeat.
    pub(super) key: String,
    /// Name of the series or alert.
    pub(super) name: String,
    /// Query.
    pub(super) expr: String,
    /// Labels that are set.
    pub(super) labels: Vec<(String, Text)>,
    /// Alerting or recording.
    pub(super) kind: Kind,
}

/// What a rule does.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Writes its result as series.
    Recording,
    /// Alerts.
    Alerting {
        /// How long the condition must hold before the alert fires.
        hold_ms: Millis,
        /// How long the alert still fires when the condition holds no more.
        keep_firing_ms: Millis,
        /// Texts.
        annotations: Vec<(String, Text)>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    groups: Vec<Spanned<RawGroup>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawGroup {
    name: String,
    interval: Option<Spanned<String>>,
    query_offset: Option<Spanned<String>>,
    #[serde(default)]
    limit: usize,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    rules: Vec<Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    record: Option<Spanned<String>>,
    alert: Option<Spanned<String>>,
    expr: Spanned<String>,
    r#for: Option<Spanned<String>>,
    keep_firing_for: Option<Spanned<String>>,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    annotations: BTreeMap<String, Spanned<String>>,
}

/// Rules that are reported as wrong in one file.
const MAX_REPORTED: usize = 100;

/// Reads the text of a file; `file` is its name in errors and answers.
///
/// # Errors
/// Everything that is wrong: all that is wrong with the shape, and of the content of what can be read each rule's first
/// error. Of a text that is no YAML only the first.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Group>, RuleFileErrors> {
    let reader = Reader { file, engine: Engine::new(EngineOptions::default()), found: RefCell::default() };
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Vec::new());
    }
    let raw: Option<RawFile> = match serde_saphyr::from_str(text) {
        Ok(raw) => Some(raw),
        Err(error) => {
            let shape = shape::look(text).filter(|shape| !shape.found.is_empty());
            let Some(shape) = shape else { return Err(RuleFileErrors(vec![reader.shape_error(&error)])) };
            for shape::Finding { line, column, reason } in shape.found {
                reader.note(RuleFileError { file: file.to_owned(), line, column, reason });
            }
            // What cannot be read without what is wrong would only say so again.
            shape.mended.and_then(|mended| serde_saphyr::from_str(&mended).ok())
        }
    };
    let groups = reader.groups(raw);
    let mut found = reader.found.into_inner();
    found.sort_by_key(|error| (error.line, error.column));
    if found.is_empty() { Ok(groups) } else { Err(RuleFileErrors(found)) }
}

struct Reader<'a> {
    file: &'a str,
    engine: Engine,
    /// What was found wrong while the reading went on.
    found: RefCell<Vec<RuleFileError>>,
}

impl Reader<'_> {
    fn note(&self, error: RuleFileError) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_REPORTED {
            found.push(error);
        }
    }

    fn error(&self, at: Location, reason: impl Into<String>) -> RuleFileError {
        RuleFileError {
            file: self.file.to_owned(),
            line: at.line().max(1),
            column: at.column().max(1),
            reason: reason.into(),
        }
    }

    /// What the reader of types says.
    fn shape_error(&self, error: &serde_saphyr::Error) -> RuleFileError {
        let text = error.without_snippet().to_string();
        // The place is stated in front already.
        let reason = text.split(" at line ").next().unwrap_or(&text).lines().collect::<Vec<_>>().join(" ");
        self.error(error.location().unwrap_or(Location::UNKNOWN), reason)
    }

    fn groups(&self, raw: Option<RawFile>) -> Vec<Group> {
        let mut names = BTreeSet::new();
        let mut groups = Vec::new();
        for group in raw.into_iter().flat_map(|raw| raw.groups) {
            if !names.insert(group.value.name.clone()) {
                let reason = format!("group {:?}: the name is used twice", group.value.name);
                self.note(self.error(group.referenced, reason));
            }
            match self.group(group) {
                Ok(group) => groups.push(group),
                Err(error) => self.note(error),
            }
        }
        groups
    }

    fn group(&self, raw: Spanned<RawGroup>) -> Result<Group, RuleFileError> {
        let at = raw.referenced;
        let raw = raw.value;
        let place = format!("group {:?}", raw.name);
        if raw.name.trim().is_empty() {
            return Err(self.error(at, "group: name must not be empty"));
        }
        let interval_ms = self.duration(&format!("{place}: interval"), raw.interval.as_ref())?;
        if interval_ms == Some(0) {
            return Err(self.error(at, format!("{place}: interval must be more than 0")));
        }
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut rules = Vec::with_capacity(raw.rules.len());
        for rule in raw.rules {
            let mut rule = match self.rule(&place, &raw.labels, rule) {
                Ok(rule) => rule,
                Err(error) => {
                    self.note(error);
                    continue;
                }
            };
            let count = seen.entry(rule.name.clone()).or_default();
            rule.key = format!("{};{};{};{count}", self.file, raw.name, rule.name);
            *count += 1;
            rules.push(rule);
        }
        Ok(Group {
            file: self.file.to_owned(),
            interval_ms,
            query_offset_ms: self
                .duration(&format!("{place}: query_offset"), raw.query_offset.as_ref())?
                .unwrap_or(0),
            limit: raw.limit,
            name: raw.name,
            rules,
        })
    }

    fn rule(
        &self,
        place: &str,
        group_labels: &BTreeMap<String, Spanned<String>>,
        raw: Spanned<RawRule>,
    ) -> Result<Rule, RuleFileError> {
        let at = raw.referenced;
        let raw = raw.value;
        let (name, is_alert) = match (&raw.record, &raw.alert) {
            (Some(name), None) => (name, false),
            (None, Some(name)) => (name, true),
            _ => return Err(self.error(at, format!("{place}: a rule has either record or alert"))),
        };
        let place = format!("{place}, {} {:?}", if is_alert { "alert" } else { "record" }, name.value);
        if name.value.trim().is_empty() || (!is_alert && !is_metric_name(&name.value)) {
            return Err(self.error(name.referenced, format!("{place}: not a valid name")));
        }
        self.engine
            .parse(&raw.expr.value)
            .map_err(|error| self.error(raw.expr.referenced, format!("{place}: expr: {error}")))?;
        let hold_ms = self.duration(&format!("{place}: for"), raw.r#for.as_ref())?;
        let keep_firing_ms =
            self.duration(&format!("{place}: keep_firing_for"), raw.keep_firing_for.as_ref())?;
        if !is_alert && (hold_ms.is_some() || keep_firing_ms.is_some() || !raw.annotations.is_empty()) {
            let reason = "for, keep_firing_for and annotations belong to alerts only";
            return Err(self.error(at, format!("{place}: {reason}")));
        }
        let mut labels = group_labels.clone();
        labels.extend(raw.labels);
        for (label, value) in &labels {
            if !is_label_name(label) || label == "__name__" || (is_alert && label == ALERT_NAME) {
                return Err(self.error(value.referenced, format!("{place}: labels: {label:?} cannot be set")));
            }
        }
        let kind = if is_alert {
            Kind::Alerting {
                hold_ms: hold_ms.unwrap_or(0),
                keep_firing_ms: keep_firing_ms.unwrap_or(0),
                annotations: self.texts(&format!("{place}: annotations"), raw.annotations, true)?,
            }
        } else {
            Kind::Recording
        };
        Ok(Rule {
            key: String::new(),
            name: name.value.clone(),
            expr: raw.expr.value,
            labels: self.texts(&format!("{place}: labels"), labels, is_alert)?,
            kind,
        })
    }

    fn texts(
        &self,
        place: &str,
        raw: BTreeMap<String, Spanned<String>>,
        filled_in: bool,
    ) -> Result<Vec<(String, Text)>, RuleFileError> {
        raw.into_iter()
            .map(|(name, text)| {
                let parsed = if filled_in { Text::parse(&text.value) } else { Ok(Text::fixed(&text.value)) };
                match parsed {
                    Ok(text) => Ok((name, text)),
                    Err(error) => Err(self.error(text.referenced, format!("{place}: {name}: {error}"))),
                }
            })
            .collect()
    }

    fn duration(&self, place: &str, text: Option<&Spanned<String>>) -> Result<Option<Millis>, RuleFileError> {
        let Some(text) = text else { return Ok(None) };
        parse_duration(&text.value).map(Some).ok_or_else(|| {
            let reason = format!("{place}: {:?} is not a duration such as 30s, 5m or 1h30m", text.value);
            self.error(text.referenced, reason)
        })
    }
}

/// A duration as Prometheus writes it: numbers with units, the largest unit first.
fn parse_duration(text: &str) -> Option<Millis> {
    const UNITS: [(&str, Millis); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    if text == "0" {
        return Some(0);
    }
    let (mut rest, mut total, mut next_unit): (&str, Millis, usize) = (text, 0, 0);
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: Millis = rest.get(..digits)?.parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let place = UNITS.iter().position(|(unit, _)| *unit == &rest[..letters])?;
        if place < next_unit {
            return None;
        }
        next_unit = place + 1;
        total = total.checked_add(number.checked_mul(UNITS[place].1)?)?;
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

fn is_label_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_metric_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// Fills texts in.
pub(super) fn fill(texts: &[(String, Text)], labels: &Pairs, value: f64) -> Result<Pairs, String> {
    texts.iter().map(|(name, text)| Ok((name.clone(), text.render(labels, value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
groups:
  - name: disk
    interval: 30s
    limit: 10
    labels: { team: ops }
    rules:
      - record: instance:load:ratio
        expr: node_load1 / 4
      - alert: DiskFull
        expr: |
          node_filesystem_avail_bytes < 10
        for: 1m30s
        keep_firing_for: 2m
        labels: { severity: warning }
        annotations:
          summary: "{{ $labels.mountpoint }} penuh"
      - alert: DiskFull
        expr: node_filesystem_avail_bytes < 5
"#;

    #[test]
    fn a_file_of_prometheus_is_read() {
        let groups = parse("a.yml", GOOD).unwrap();
        let group = &groups[0];
        assert_eq!((group.name.as_str(), group.interval_ms, group.limit), ("disk", Some(30_000), 10));
        let keys: Vec<&str> = group.rules.iter().map(|rule| rule.key.as_str()).collect();
        assert_eq!(
            keys,
            ["a.yml;disk;instance:load:ratio;0", "a.yml;disk;DiskFull;0", "a.yml;disk;DiskFull;1"]
        );
        let Kind::Alerting { hold_ms, keep_firing_ms, annotations } = &group.rules[1].kind else { panic!() };
        assert_eq!((*hold_ms, *keep_firing_ms, annotations.len()), (90_000, 120_000, 1));
        let labels: Vec<&str> = group.rules[1].labels.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(labels, ["severity", "team"]);
        assert!(parse("empty.yml", "# nothing\n").unwrap().is_empty());
    }

    #[test]
    fn a_wrong_file_is_refused_with_line_and_rule() {
        for (from, to, wanted) in [
            ("limit: 10", "limit: many", "a.yml:5:12: "),
            ("interval: 30s", "intervall: 30s", "a.yml:4:5: group \"disk\": intervall: unknown field"),
            (
                "interval: 30s",
                "interval: soon",
                "a.yml:4:15: group \"disk\": interval: \"soon\" is not a duration",
            ),
            ("interval: 30s", "interval: 0s", "a.yml:3:5: group \"disk\": interval must be more than 0"),
            ("for: 1m30s", "for: 30s1m", "a.yml:13:14: group \"disk\", alert \"DiskFull\": for: "),
            (
                "node_load1 / 4",
                "node_load1 /",
                "a.yml:9:15: group \"disk\", record \"instance:load:ratio\": expr: ",
            ),
            (
                "instance:load:ratio",
                "instance-load",
                "a.yml:8:17: group \"disk\", record \"instance-load\": not a",
            ),
            (
                "$labels.mountpoint }}",
                "$nothing }}",
                "a.yml:17:20: group \"disk\", alert \"DiskFull\": annotations: ",
            ),
            (
                "severity: warning",
                "alertname: x",
                "a.yml:15:30: group \"disk\", alert \"DiskFull\": labels: ",
            ),
            (
                "- alert: DiskFull\n        expr: |",
                "- record: a\n        alert: b\n        expr: |",
                "a.yml:10:9: group \"disk\": a rule has either",
            ),
            (
                "expr: node_filesystem_avail_bytes < 5",
                "for: 5m",
                "a.yml:18:9: group \"disk\", alert \"DiskFull\": expr: missing",
            ),
            (
                "expr: node_load1 / 4",
                "expr: node_load1 / 4\n        for: 1m",
                "a.yml:8:9: group \"disk\", record",
            ),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = parse("a.yml", &GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        let wrong = GOOD.replace("node_load1 / 4", "node_load1 /").replace("for: 1m30s", "for: soon");
        let found = parse("a.yml", &wrong).unwrap_err().to_string();
        let lines: Vec<&str> = found.lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("a.yml:9:15:"), "{found}");
        assert!(lines[1].starts_with("a.yml:13:14:"), "{found}");
        let wrong = GOOD
            .replace("interval: 30s", "intervall: 30s")
            .replace("for: 1m30s", "foor: 1m30s")
            .replace("node_load1 / 4", "node_load1 /")
            .replace("expr: node_filesystem_avail_bytes < 5", "for: 5m");
        let found = parse("a.yml", &wrong).unwrap_err().to_string();
        let places: Vec<&str> = found.lines().filter_map(|line| line.get(..9)).collect();
        assert_eq!(
            places,
            ["a.yml:4:5", "a.yml:9:1", "a.yml:13:", "a.yml:18:"],
            "shape and content: {found}"
        );
        let twice = "groups:\n  - name: a\n  - name: a\n";
        assert_eq!(
            parse("a.yml", twice).unwrap_err().to_string(),
            "a.yml:3:5: group \"a\": the name is used twice"
        );
        for garbage in ["groups: [", "- 1", "\u{0}", "groups: 7"] {
            assert!(parse("a.yml", garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn durations_are_those_of_prometheus() {
        for (text, wanted) in [
            ("0", Some(0)),
            ("5m", Some(300_000)),
            ("1h30m", Some(5_400_000)),
            ("1d", Some(86_400_000)),
            ("150ms", Some(150)),
            ("", None),
            ("5", None),
            ("m", None),
            ("30m1h", None),
            ("1m1m", None),
            ("-5m", None),
            ("99999999999999y", None),
        ] {
            assert_eq!(parse_duration(text), wanted, "{text}");
        }
    }
}
