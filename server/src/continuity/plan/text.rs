//! From the text of a plan to a [`Plan`]: types and unknown fields first, then everything that only the whole can tell.
//! Pure.
//!
//! Invariant: what is wrong is listed as a whole, not only the first: shape as far as it can be mended (`shape`), then
//! content.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::Deserialize;
use toml::Spanned;
use toml::de::DeTable;

use super::approval::{ApprovalText, approval};
use super::marker::{self, MarkerText};
use super::place::Problems;
use super::shape;
use super::steps::{StepText, steps};
use super::units::{UnitText, units};
use super::{
    Check, CheckKind, Comparison, Covers, FleetProblem, HttpExpectation, Kind, Plan, PlanProblem, Probe,
    StopCondition,
};
use crate::capacity::EventCategory;
use crate::continuity::schedule::{Blackout, BlackoutTime, Schedule, next_allowed};
use crate::time::Millis;

/// Longest text of a name or a reason, characters.
const MAX_TEXT: usize = 500;
/// Longest identifier, characters.
const MAX_ID: usize = 64;
/// Probes of one plan: each asks every interval.
const MAX_PROBES: usize = 8;
/// Checks of one list.
const MAX_CHECKS: usize = 50;
/// How long before and after a known event its blackout may last.
const EVENT_MARGIN: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(60 * 86_400));
/// Blackouts of one plan.
const MAX_BLACKOUTS: usize = 200;
/// Texts of one plan that are given in English.
const MAX_ENGLISH: usize = 500;
/// Participants of one plan.
const MAX_PARTICIPANTS: usize = 100;
/// Bounds of a probe's interval.
pub(super) const PROBE_INTERVAL: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60));
/// Bounds of the time of one request.
pub(super) const REQUEST_TIMEOUT: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(60));
/// Longest wait that a plan may ask for.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(3_600);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanText {
    id: String,
    name: String,
    service: String,
    scenario: String,
    kind: Kind,
    #[serde(with = "humantime_serde")]
    rto: Duration,
    #[serde(default, with = "humantime_serde")]
    rpo: Option<Duration>,
    #[serde(default = "thirty_seconds", with = "humantime_serde")]
    settle: Duration,
    #[serde(default = "jakarta")]
    time_zone: String,
    covers: Option<Covers>,
    people: PeopleText,
    #[serde(default)]
    unit: Vec<UnitText>,
    schedule: Option<ScheduleText>,
    approval: Option<ApprovalText>,
    #[serde(default)]
    blackout: Vec<BlackoutText>,
    #[serde(default)]
    steady_state: Vec<CheckText>,
    #[serde(default)]
    after: Vec<CheckText>,
    #[serde(default)]
    stop: Vec<StopText>,
    #[serde(default)]
    probe: Vec<ProbeText>,
    marker: Option<MarkerText>,
    #[serde(default)]
    step: Vec<StepText>,
    #[serde(default)]
    english: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PeopleText {
    coordinator: String,
    #[serde(default)]
    participants: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleText {
    cron: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlackoutText {
    name: String,
    from: Option<String>,
    to: Option<String>,
    cron: Option<String>,
    #[serde(default, with = "humantime_serde")]
    lasts: Option<Duration>,
    events: Option<Vec<EventCategory>>,
    #[serde(default, with = "humantime_serde")]
    before: Option<Duration>,
    #[serde(default, with = "humantime_serde")]
    after: Option<Duration>,
    incidents: Option<IncidentsText>,
}

/// Incidents that hold a drill back while one of them is open.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum IncidentsText {
    /// Those of high priority.
    High,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StopText {
    name: String,
    http: Option<HttpText>,
    promql: Option<PromqlText>,
    #[serde(default, with = "humantime_serde")]
    patience: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckText {
    pub(super) name: String,
    http: Option<HttpText>,
    promql: Option<PromqlText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpText {
    url: String,
    #[serde(default = "ok_status")]
    status: u16,
    body_contains: Option<String>,
    #[serde(default = "five_seconds", with = "humantime_serde")]
    timeout: Duration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromqlText {
    query: String,
    is: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ProbeText {
    name: String,
    url: String,
    #[serde(default = "ok_status")]
    status: u16,
    body_contains: Option<String>,
    #[serde(default = "hundred_milliseconds", with = "humantime_serde")]
    interval: Duration,
    #[serde(default = "one_second", with = "humantime_serde")]
    timeout: Duration,
}

/// Fields that say when a blackout is.
const BLACKOUT_FIELDS: [&str; 6] = ["from", "to", "cron", "lasts", "events", "incidents"];

/// Fields that hold texts for people, and the tables and lists in which they stand.
const TEXT_FIELDS: [&str; 17] = [
    "name",
    "service",
    "scenario",
    "people",
    "coordinator",
    "participants",
    "blackout",
    "steady_state",
    "after",
    "check",
    "probe",
    "step",
    "no_undo",
    "stop",
    "marker",
    "confirm",
    "unit",
];

impl PlanText {
    /// Every text that people read.
    fn texts(&self) -> impl Iterator<Item = &String> {
        let own = [&self.name, &self.service, &self.scenario, &self.people.coordinator];
        let checks = self.steady_state.iter().chain(&self.after);
        let checks = checks.chain(self.step.iter().flat_map(|step| &step.check)).map(|check| &check.name);
        own.into_iter()
            .chain(&self.people.participants)
            .chain(self.blackout.iter().map(|blackout| &blackout.name))
            .chain(self.unit.iter().map(|unit| &unit.name))
            .chain(self.stop.iter().map(|stop| &stop.name))
            .chain(self.probe.iter().map(|probe| &probe.name))
            .chain(self.marker.iter().map(|marker| &marker.name))
            .chain(self.step.iter().filter_map(|step| step.confirm.as_ref()))
            .chain(self.step.iter().map(|step| &step.name))
            .chain(self.step.iter().filter_map(|step| step.no_undo.as_ref()))
            .chain(checks)
    }
}

fn jakarta() -> String {
    "Asia/Jakarta".to_owned()
}

const fn ok_status() -> u16 {
    200
}

const fn hundred_milliseconds() -> Duration {
    Duration::from_millis(100)
}

const fn one_second() -> Duration {
    Duration::from_secs(1)
}

const fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

const fn thirty_seconds() -> Duration {
    Duration::from_secs(30)
}

/// Reads and checks.
pub(super) fn read(file: &str, text: &str) -> Result<Plan, Vec<PlanProblem>> {
    let syntax = shape::syntax_problems(file, text);
    if !syntax.is_empty() {
        return Err(syntax);
    }
    let table = DeTable::parse(text).unwrap_or_else(|_| Spanned::new(0..0, DeTable::new()));
    let mut problems = Problems::new(file, text, &table);
    let shape::Shaped { text: raw, mended } = shape::read(text, &mut problems);
    problems.pass_over(mended);
    let plan = raw.and_then(|raw| check(raw, &mut problems));
    match (plan, problems.into_sorted()) {
        (Some(plan), (found, warnings)) if found.is_empty() => Ok(Plan { warnings, ..plan }),
        (_, (found, _)) => Err(found),
    }
}

/// The plan, if nothing is wrong that leaves a part without a value; what is wrong goes to `problems`.
fn check(raw: PlanText, problems: &mut Problems<'_>) -> Option<Plan> {
    // Taken from the text: a part that is wrong still has its name.
    let texts: BTreeSet<String> = raw.texts().cloned().collect();
    english(&raw.english, &texts, problems);
    check_id(problems, "id", &raw.id);
    for (field, text) in [
        ("name", &raw.name),
        ("service", &raw.service),
        ("scenario", &raw.scenario),
        ("people.coordinator", &raw.people.coordinator),
    ] {
        check_text(problems, field, text);
    }
    if raw.people.participants.len() > MAX_PARTICIPANTS {
        problems.add("people.participants", format!("more than {MAX_PARTICIPANTS} participants"));
    }
    for (index, name) in raw.people.participants.iter().enumerate() {
        check_text(problems, &format!("people.participants[{index}]"), name);
    }
    if raw.rto.is_zero() {
        problems.add(
            "rto",
            "a recovery time of zero cannot be met by any failover; state the longest bearable time",
        );
    }
    check_range(problems, "settle", raw.settle, (Duration::from_secs(1), MAX_WAIT));
    let zone = TimeZone::get(&raw.time_zone);
    if zone.is_err() {
        problems.add("time_zone", format!("{:?} is not an IANA time zone", raw.time_zone));
    }
    let zone = zone.ok();
    let blackouts = blackouts(raw.blackout, zone.as_ref(), &raw.time_zone, problems);
    let approval = approval(raw.approval, problems);
    let schedule = schedule(raw.schedule, &blackouts, zone.as_ref(), &raw.time_zone, problems);
    if raw.steady_state.is_empty() && raw.kind.disturbs() {
        problems.add(
            "steady_state",
            "at least one [[steady_state]] is needed: without it nothing says that the system is well",
        );
    }
    let steady_state = checks("steady_state", raw.steady_state, problems);
    let after = checks("after", raw.after, problems);
    let stops = stops(raw.stop, problems);
    let probes = probes(raw.probe, raw.kind, problems);
    let marker = raw.marker.and_then(|marker| marker::read(marker, &probes, problems));
    if raw.rpo.is_some() && marker.is_none() && raw.kind.disturbs() {
        problems.warn("rpo", FleetProblem::RpoNotMeasured);
    }
    for (field, id) in
        raw.covers.iter().flat_map(|one| [("service", &one.service), ("scenario", &one.scenario)])
    {
        check_id(problems, &format!("covers.{field}"), id);
    }
    let units = units(raw.unit, problems);
    let (steps, waves) = steps(raw.step, raw.kind, problems);
    Some(Plan {
        id: raw.id,
        name: raw.name,
        service: raw.service,
        scenario: raw.scenario,
        kind: raw.kind,
        rto: raw.rto,
        rpo: raw.rpo,
        settle: raw.settle,
        coordinator: raw.people.coordinator,
        participants: raw.people.participants,
        covers: raw.covers,
        units,
        time_zone: zone?,
        schedule,
        blackouts,
        approval,
        steady_state,
        after,
        stops,
        probes,
        marker,
        steps,
        waves,
        english: raw.english,
        warnings: Vec::new(),
    })
}

/// Each text has another text of the plan in English.
fn english(english: &BTreeMap<String, String>, texts: &BTreeSet<String>, problems: &mut Problems<'_>) {
    if english.len() > MAX_ENGLISH {
        problems.add("english", format!("more than {MAX_ENGLISH} texts"));
    }
    // Where a text could not be read, another one may be its English: that is no news.
    let all_known = !problems.passes_over_any(&TEXT_FIELDS);
    for (text, english) in english {
        if all_known && !texts.contains(text) {
            problems.add_entry("english", text, format!("{text:?} is no text of this plan"));
        } else if english.trim().is_empty() || english.chars().count() > MAX_TEXT {
            problems.add_entry(
                "english",
                text,
                format!("the English of {text:?} is empty or longer than {MAX_TEXT} characters"),
            );
        }
    }
}

fn schedule(
    raw: Option<ScheduleText>,
    blackouts: &[Blackout],
    zone: Option<&TimeZone>,
    zone_name: &str,
    problems: &mut Problems<'_>,
) -> Option<Schedule> {
    let (raw, _) = (raw?, zone?);
    match Schedule::parse(&raw.cron, zone_name) {
        Err(reason) => {
            problems.add("schedule.cron", format!("no cron rule of five fields: {reason}"));
            None
        }
        Ok(schedule) => {
            // The epoch stands for "whenever": rules repeat, so that what never comes after it never comes.
            if schedule.next_after(0).is_none() {
                problems.add("schedule.cron", "no date fits this rule, so the drill would never start");
            } else if !blackouts.is_empty()
                && next_allowed(&schedule, &recurring_only(blackouts), 0).is_none()
            {
                problems
                    .add("schedule.cron", "every date of this rule falls into a blackout of the plan itself");
            }
            Some(schedule)
        }
    }
}

/// Blackouts that come again: those of one time cannot cover every date of a rule.
fn recurring_only(blackouts: &[Blackout]) -> Vec<Blackout> {
    blackouts.iter().filter(|one| matches!(one.when, BlackoutTime::Recurring(..))).cloned().collect()
}

fn blackouts(
    raw: Vec<BlackoutText>,
    zone: Option<&TimeZone>,
    zone_name: &str,
    problems: &mut Problems<'_>,
) -> Vec<Blackout> {
    if raw.len() > MAX_BLACKOUTS {
        problems.add("blackout", format!("more than {MAX_BLACKOUTS} blackouts"));
    }
    let mut found = Vec::new();
    for (index, one) in raw.into_iter().enumerate() {
        let at = format!("blackout[{index}]");
        check_text(problems, &format!("{at}.name"), &one.name);
        let Some(zone) = zone else { continue };
        for (field, margin) in [("before", one.before), ("after", one.after)] {
            if margin.is_some() && one.events.is_none() {
                problems.add(&format!("{at}.{field}"), "stands beside events alone");
            }
            check_range(problems, &format!("{at}.{field}"), margin.unwrap_or_default(), EVENT_MARGIN);
        }
        let margins = (one.before.unwrap_or_default(), one.after.unwrap_or_default());
        let when = match (one.from, one.to, one.cron, one.lasts, one.events, one.incidents) {
            (Some(from), Some(to), None, None, None, None) => once(&at, &from, &to, zone, problems),
            (None, None, Some(cron), Some(lasts), None, None) => {
                recurring(&at, &cron, lasts, zone_name, problems)
            }
            (None, None, None, None, Some(categories), None) => {
                if categories.is_empty() {
                    problems.add(&format!("{at}.events"), "is empty, so it covers nothing");
                }
                Some(BlackoutTime::Events { categories, before: margins.0, after: margins.1 })
            }
            (None, None, None, None, None, Some(IncidentsText::High)) => Some(BlackoutTime::HighIncidents),
            // What was taken out because it is wrong is not missing.
            _ if problems.passes_over_any(&BLACKOUT_FIELDS) => None,
            _ => {
                problems.add(
                    &at,
                    "state either from and to, or cron and lasts, or events, or incidents = \"high\"",
                );
                None
            }
        };
        found.extend(when.map(|when| Blackout { name: one.name, event: None, when }));
    }
    found
}

fn once(
    at: &str,
    from: &str,
    to: &str,
    zone: &TimeZone,
    problems: &mut Problems<'_>,
) -> Option<BlackoutTime> {
    let read = |field: &str, text: &str, end: bool, problems: &mut Problems<'_>| {
        let instant = local_instant(text, end, zone);
        if instant.is_none() {
            problems.add(
                &format!("{at}.{field}"),
                format!("{text:?} is no date (2026-12-24) or local time (2026-12-24T08:00)"),
            );
        }
        instant
    };
    let from_ms = read("from", from, false, problems);
    let to_ms = read("to", to, true, problems);
    let (from_ms, to_ms) = (from_ms?, to_ms?);
    if from_ms >= to_ms {
        problems.add(&format!("{at}.to"), "does not lie after from");
    }
    Some(BlackoutTime::Once(from_ms, to_ms))
}

fn recurring(
    at: &str,
    cron: &str,
    lasts: Duration,
    zone_name: &str,
    problems: &mut Problems<'_>,
) -> Option<BlackoutTime> {
    if lasts.is_zero() {
        problems.add(&format!("{at}.lasts"), "is zero, so it covers nothing");
    }
    match Schedule::parse(cron, zone_name) {
        Ok(rule) => Some(BlackoutTime::Recurring(rule, lasts)),
        Err(reason) => {
            problems.add(&format!("{at}.cron"), format!("no cron rule of five fields: {reason}"));
            None
        }
    }
}

/// A date (its start, or its end if `end`) or a local time in a zone.
fn local_instant(text: &str, end: bool, zone: &TimeZone) -> Option<Millis> {
    let local: DateTime = if text.contains('T') {
        text.parse().ok()?
    } else {
        let date: Date = text.parse().ok()?;
        if end { date.tomorrow().ok()?.into() } else { date.into() }
    };
    let at: Timestamp = local.to_zoned(zone.clone()).ok()?.timestamp();
    Some(at.as_millisecond())
}

fn stops(raw: Vec<StopText>, problems: &mut Problems<'_>) -> Vec<StopCondition> {
    let patience: Vec<Duration> = raw.iter().map(|one| one.patience).collect();
    for (index, one) in patience.iter().enumerate() {
        check_range(problems, &format!("stop[{index}].patience"), *one, (Duration::ZERO, MAX_WAIT));
    }
    let raw = raw.into_iter().map(|StopText { name, http, promql, .. }| CheckText { name, http, promql });
    let found = checks("stop", raw.collect(), problems);
    found.into_iter().zip(patience).map(|(check, patience)| StopCondition { check, patience }).collect()
}

pub(super) fn checks(list: &str, raw: Vec<CheckText>, problems: &mut Problems<'_>) -> Vec<Check> {
    if raw.len() > MAX_CHECKS {
        problems.add(list, format!("more than {MAX_CHECKS} checks"));
    }
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (index, one) in raw.into_iter().enumerate() {
        let at = format!("{list}[{index}]");
        check_text(problems, &format!("{at}.name"), &one.name);
        if !names.insert(one.name.clone()) {
            problems.add(
                &format!("{at}.name"),
                format!("{:?} is the name of an earlier check as well", one.name),
            );
        }
        let kind = match (one.http, one.promql) {
            (Some(http), None) => http_check(&format!("{at}.http"), http, problems).map(CheckKind::Http),
            (None, Some(promql)) => promql_check(&format!("{at}.promql"), promql, problems),
            _ => {
                problems.add(&at, "state exactly one of http and promql");
                None
            }
        };
        found.extend(kind.map(|kind| Check { name: one.name, kind }));
    }
    found
}

fn http_check(at: &str, raw: HttpText, problems: &mut Problems<'_>) -> Option<HttpExpectation> {
    check_range(problems, &format!("{at}.timeout"), raw.timeout, REQUEST_TIMEOUT);
    check_status(problems, &format!("{at}.status"), raw.status);
    let url = http_url(problems, &format!("{at}.url"), &raw.url)?;
    Some(HttpExpectation { url, status: raw.status, body_contains: raw.body_contains, timeout: raw.timeout })
}

fn promql_check(at: &str, raw: PromqlText, problems: &mut Problems<'_>) -> Option<CheckKind> {
    if let Err(reason) = promql_parser::parser::parse(&raw.query) {
        problems.add(&format!("{at}.query"), format!("no PromQL: {reason}"));
    }
    let comparison = Comparison::parse(&raw.is);
    if comparison.is_none() {
        problems.add(&format!("{at}.is"), "no comparison with a number, such as \">= 1\"");
    }
    Some(CheckKind::Promql { query: raw.query, comparison: comparison? })
}

fn probes(raw: Vec<ProbeText>, kind: Kind, problems: &mut Problems<'_>) -> Vec<Probe> {
    if raw.is_empty() && kind.disturbs() {
        problems.add("probe", "at least one [[probe]] is needed: without it no downtime is measured");
    }
    if raw.len() > MAX_PROBES {
        problems.add("probe", format!("more than {MAX_PROBES} probes"));
    }
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (index, one) in raw.into_iter().enumerate() {
        let at = format!("probe[{index}]");
        check_text(problems, &format!("{at}.name"), &one.name);
        if !names.insert(one.name.clone()) {
            problems.add(
                &format!("{at}.name"),
                format!("{:?} is the name of an earlier probe as well", one.name),
            );
        }
        check_range(problems, &format!("{at}.interval"), one.interval, PROBE_INTERVAL);
        check_range(problems, &format!("{at}.timeout"), one.timeout, REQUEST_TIMEOUT);
        check_status(problems, &format!("{at}.status"), one.status);
        let url = http_url(problems, &format!("{at}.url"), &one.url);
        found.extend(url.map(|url| Probe {
            name: one.name,
            http: HttpExpectation {
                url,
                status: one.status,
                body_contains: one.body_contains,
                timeout: one.timeout,
            },
            interval: one.interval,
        }));
    }
    found
}

pub(super) fn check_id(problems: &mut Problems<'_>, field: &str, id: &str) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if id.is_empty() || id.len() > MAX_ID || !id.chars().all(plain) {
        problems.add(field, format!("{id:?} is not 1 to {MAX_ID} small letters, digits and \"-\""));
    }
}

pub(super) fn check_text(problems: &mut Problems<'_>, field: &str, text: &str) {
    if text.trim().is_empty() {
        problems.add(field, "is empty");
    } else if text.chars().count() > MAX_TEXT {
        problems.add(field, format!("is longer than {MAX_TEXT} characters"));
    }
}

pub(super) fn check_range(
    problems: &mut Problems<'_>,
    field: &str,
    value: Duration,
    (from, to): (Duration, Duration),
) {
    if value < from || value > to {
        problems.add(field, format!("{value:?} does not lie between {from:?} and {to:?}"));
    }
}

fn check_status(problems: &mut Problems<'_>, field: &str, status: u16) {
    if !(100..=599).contains(&status) {
        problems.add(field, format!("{status} is no HTTP status"));
    }
}

pub(super) fn http_url(problems: &mut Problems<'_>, field: &str, text: &str) -> Option<reqwest::Url> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Some(url),
        Ok(url) => {
            problems.add(field, format!("{:?} is neither http nor https", url.scheme()));
            None
        }
        Err(error) => {
            problems.add(field, format!("{text:?} is no address: {error}"));
            None
        }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
