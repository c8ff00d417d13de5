//! Pages of the queue: the list, one incident, and the form to record one.

use askama::Template;
use axum::extract::{Form, Path, Query, State as Parts};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::handling;
use super::http::{RecordBody, Whole, act, code, load, record_new};
use super::{Impact, Priority, Severity, State, Urgency};
use crate::access::Right;
use crate::app::App;
use crate::config::Language;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Routes};
use crate::records::hosts;
use crate::records::incident_signals::StoredSignal;
use crate::records::incidents::{self, Filter, Incident, StateFilter};
use crate::time::{Millis, now_ms};

/// Incidents on one page of the list.
const PAGE_SIZE: u32 = 100;
/// Last page that can be asked for.
const MAX_PAGE: u32 = 10_000;

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/insiden", Right::ViewIncidents, "the queue", list)
        .form("/insiden", Right::HandleIncidents, "record an incident", record)
        .page("/insiden/{number}", Right::ViewIncidents, "one incident", show)
        .form("/insiden/{number}/tangani", Right::HandleIncidents, "handle an incident", take)
        .form("/insiden/{number}/catatan", Right::HandleIncidents, "add a note", comment)
        .form("/insiden/{number}/selesai", Right::HandleIncidents, "resolve an incident", resolve)
        .form("/insiden/{number}/prioritas", Right::CoordinateIncidents, "set the priority", prioritise)
}

/// The text of the viewer's language.
pub(crate) fn chosen<'a>(page: &Page, id: &'a str, en: &'a str) -> &'a str {
    match page.language() {
        Language::Indonesian => id,
        Language::English => en,
    }
}

/// Class of the badge of a priority.
pub(crate) fn priority_class(priority: Priority) -> &'static str {
    match priority {
        Priority::High => "crit",
        Priority::Medium => "warn",
        Priority::Low => "info",
    }
}

/// Name of a priority for people.
pub(crate) fn priority_name(page: &Page, priority: Priority) -> String {
    page.t(&format!("incidents.priority_{}", priority.code()))
}

/// Name of what is broken for people: `filesystem:/srv` becomes `Sistem berkas /srv`. Rule files may name components of
/// their own; those are shown as they are.
fn component_name(page: &Page, component: &str) -> String {
    let (kind, item) = component.split_once(':').unwrap_or((component, ""));
    let name = page.t_or(&format!("incidents.component_{}", kind.replace('-', "_")), kind);
    if item.is_empty() { name } else { format!("{name} {item}") }
}

/// Class of the badge of a state.
fn state_class(state: State) -> &'static str {
    match state {
        State::Recorded => "warn",
        State::Handling => "info",
        State::Resolved => "ok",
    }
}

/// One row of the list.
struct RowView {
    number: String,
    title: String,
    instance: String,
    component: String,
    priority: String,
    priority_class: &'static str,
    state: String,
    state_class: &'static str,
    started: String,
    started_short: String,
    age: String,
    handler: String,
}

impl RowView {
    fn new(page: &Page, incident: Incident, now: Millis) -> Self {
        let until = incident.quiet_since_ms.or(incident.resolved_at_ms).unwrap_or(now);
        Self {
            title: chosen(page, &incident.title_id, &incident.title_en).to_owned(),
            priority: page.t(&format!("incidents.priority_{}", incident.priority.code())),
            priority_class: priority_class(incident.priority),
            state: page.t(&format!("incidents.state_{}", incident.state.code())),
            state_class: state_class(incident.state),
            started: page.datetime(incident.started_at_ms),
            started_short: page.datetime_short(incident.started_at_ms),
            age: page.duration_exact(until - incident.started_at_ms),
            handler: incident.handler.unwrap_or_default(),
            number: incident.number,
            instance: incident.cause.instance,
            component: component_name(page, &incident.cause.component),
        }
    }
}

/// A choice of a selection box: code, text, whether it is chosen.
type Choice = (&'static str, String, bool);

#[derive(Template)]
#[template(path = "incidents/list.html")]
struct ListPage<'a> {
    page: &'a Page,
    rows: Vec<RowView>,
    open: u64,
    states: Vec<Choice>,
    priorities: Vec<Choice>,
    impacts: Vec<Choice>,
    urgencies: Vec<Choice>,
    instances: Vec<(String, bool)>,
    newer: Option<String>,
    older: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    #[serde(default)]
    status: String,
    #[serde(default)]
    server: String,
    #[serde(default)]
    prioritas: String,
    #[serde(default)]
    halaman: u32,
}

impl ListQuery {
    fn filter(&self) -> Result<Filter, ApiError> {
        Ok(Filter {
            state: code("status", Some(&self.status), StateFilter::from_code)?,
            instance: Some(self.server.clone()).filter(|server| !server.is_empty()),
            priority: code("prioritas", Some(&self.prioritas), Priority::from_code)?,
        })
    }

    /// Address of another page of the same list.
    fn address(&self, halaman: u32) -> String {
        let server: String = form_urlencoded(&self.server);
        format!(
            "/insiden?status={}&server={server}&prioritas={}&halaman={halaman}",
            self.status, self.prioritas
        )
    }
}

/// Percent-encodes a value of a query string.
fn form_urlencoded(value: &str) -> String {
    value
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn choices(page: &Page, kind: &str, codes: &[&'static str], current: &str) -> Vec<Choice> {
    codes.iter().map(|&code| (code, page.t(&format!("incidents.{kind}_{code}")), code == current)).collect()
}

async fn list(
    Parts(app): Parts<App>,
    view: View,
    Query(query): Query<ListQuery>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Incidents);
    list_html(&app, &page, &query).await.map_err(|error| PageError::new(&page, error))
}

async fn list_html(app: &App, page: &Page, query: &ListQuery) -> Result<Html<String>, ApiError> {
    let filter = query.filter()?;
    let number = query.halaman.min(MAX_PAGE);
    let (mut found, open, hosts) = app
        .records
        .run(move |db| {
            let found = incidents::queue(db, &filter, PAGE_SIZE + 1, number * PAGE_SIZE)?;
            Ok::<_, ApiError>((found, incidents::count_open(db)?, hosts::list(db)?))
        })
        .await?;
    let has_older = found.len() > PAGE_SIZE as usize;
    found.truncate(PAGE_SIZE as usize);
    let now = now_ms();
    let codes = |all: &[Priority]| all.iter().rev().map(|p| p.code()).collect::<Vec<_>>();
    render(&ListPage {
        page,
        rows: found.into_iter().map(|incident| RowView::new(page, incident, now)).collect(),
        open: open.iter().map(|(_, count)| count).sum(),
        states: choices(page, "state", &["open", "recorded", "handling", "resolved"], &query.status),
        priorities: choices(page, "priority", &codes(Priority::ALL), &query.prioritas),
        impacts: choices(page, "impact", &Impact::ALL.iter().map(|i| i.code()).collect::<Vec<_>>(), "medium"),
        urgencies: choices(page, "urgency", &Urgency::ALL.iter().map(|u| u.code()).collect::<Vec<_>>(), ""),
        instances: hosts
            .into_iter()
            .map(|host| {
                let current = host.instance == query.server;
                (host.instance, current)
            })
            .collect(),
        newer: number.checked_sub(1).map(|newer| query.address(newer)),
        older: has_older.then(|| query.address(number + 1)),
    })
}

/// A signal as the page shows it.
struct SignalView {
    source: String,
    title: String,
    detail: String,
    severity: String,
    severity_class: &'static str,
    started: String,
    ended: Option<String>,
    occurrences: i64,
}

impl SignalView {
    fn new(page: &Page, signal: StoredSignal) -> Self {
        let severity_class = match signal.severity {
            Severity::Critical => "crit",
            Severity::Warning => "warn",
            Severity::Info => "info",
        };
        Self {
            source: page.t(&format!("incidents.source_{}", signal.source.code())),
            title: chosen(page, &signal.title_id, &signal.title_en).to_owned(),
            detail: chosen(page, &signal.detail_id, &signal.detail_en).to_owned(),
            severity: page.t(&format!("incidents.severity_{}", signal.severity.code())),
            severity_class,
            started: page.datetime_seconds(signal.started_at_ms),
            ended: signal.ended_at_ms.map(|at| page.datetime_seconds(at)),
            occurrences: signal.occurrences,
        }
    }
}

/// An entry of the history as the page shows it.
struct EventView {
    at: String,
    actor: String,
    text: String,
    detail: String,
}

#[derive(Template)]
#[template(path = "incidents/show.html")]
struct ShowPage<'a> {
    page: &'a Page,
    row: RowView,
    detail: String,
    impact: String,
    urgency: String,
    opened: String,
    quiet: Option<String>,
    resolved: Option<String>,
    solution: String,
    is_open: bool,
    is_mine: bool,
    may_handle: bool,
    may_coordinate: bool,
    priorities: Vec<Choice>,
    signals: Vec<SignalView>,
    events: Vec<EventView>,
}

async fn show(
    Parts(app): Parts<App>,
    view: View,
    Path(number): Path<String>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Incidents);
    let whole = load(&app, number).await.map_err(|error| PageError::new(&page, error))?;
    render(&show_page(&page, whole)).map_err(|error| PageError::new(&page, error))
}

fn show_page(page: &Page, whole: Whole) -> ShowPage<'_> {
    let Whole { incident, signals, events } = whole;
    let username = page.user().map(|user| user.username.as_str());
    let events = events
        .into_iter()
        .map(|event| {
            let detail = chosen(page, &event.detail_id, &event.detail_en);
            let detail = match (event.kind, Priority::from_code(detail)) {
                (super::EventKind::Priority, Some(priority)) => {
                    page.t(&format!("incidents.priority_{}", priority.code()))
                }
                _ => detail.to_owned(),
            };
            EventView {
                at: page.datetime_seconds(event.at_ms),
                actor: page.actor(&event.actor),
                text: page.t(&format!("incidents.event_{}", event.kind.code())),
                detail,
            }
        })
        .collect();
    ShowPage {
        page,
        detail: chosen(page, &incident.detail_id, &incident.detail_en).to_owned(),
        impact: page.t(&format!("incidents.impact_{}", incident.grade.impact.code())),
        urgency: page.t(&format!("incidents.urgency_{}", incident.grade.urgency.code())),
        opened: page.datetime_seconds(incident.opened_at_ms),
        quiet: incident.quiet_since_ms.map(|at| page.datetime_seconds(at)),
        resolved: incident.resolved_at_ms.map(|at| page.datetime_seconds(at)),
        solution: incident.solution.clone(),
        is_open: incident.state != State::Resolved,
        is_mine: incident.handler.is_some() && incident.handler.as_deref() == username,
        may_handle: page.may(Right::HandleIncidents),
        may_coordinate: page.may(Right::CoordinateIncidents),
        priorities: choices(
            page,
            "priority",
            &Priority::ALL.iter().rev().map(|p| p.code()).collect::<Vec<_>>(),
            incident.priority.code(),
        ),
        signals: signals.into_iter().map(|signal| SignalView::new(page, signal)).collect(),
        events,
        row: RowView::new(page, incident, now_ms()),
    }
}

/// Leads back to the incident, or shows what was wrong.
fn back(view: View, number: &str, result: Result<(), ApiError>) -> Response {
    match result {
        Ok(()) => Redirect::to(&format!("/insiden/{}", form_urlencoded(number))).into_response(),
        Err(error) => PageError::new(&view.page(Section::Incidents), error).into_response(),
    }
}

async fn record(
    Parts(app): Parts<App>,
    view: View,
    Caller(principal): Caller,
    Form(body): Form<RecordBody>,
) -> Response {
    match record_new(&app, &principal, body).await {
        Ok(number) => back(view, &number, Ok(())),
        Err(error) => back(view, "", Err(error)),
    }
}

async fn take(
    Parts(app): Parts<App>,
    view: View,
    Caller(principal): Caller,
    Path(number): Path<String>,
) -> Response {
    let wanted = number.clone();
    let result = act(&app, &principal, move |db, actor| handling::take(db, &wanted, actor)).await;
    back(view, &number, result)
}

#[derive(Debug, Deserialize)]
struct CommentForm {
    text: String,
}

async fn comment(
    Parts(app): Parts<App>,
    view: View,
    Caller(principal): Caller,
    Path(number): Path<String>,
    Form(form): Form<CommentForm>,
) -> Response {
    let wanted = number.clone();
    let result =
        act(&app, &principal, move |db, actor| handling::comment(db, &wanted, &form.text, actor)).await;
    back(view, &number, result)
}

#[derive(Debug, Deserialize)]
struct ResolveForm {
    solution: String,
}

async fn resolve(
    Parts(app): Parts<App>,
    view: View,
    Caller(principal): Caller,
    Path(number): Path<String>,
    Form(form): Form<ResolveForm>,
) -> Response {
    let wanted = number.clone();
    let result =
        act(&app, &principal, move |db, actor| handling::resolve(db, &wanted, &form.solution, actor)).await;
    back(view, &number, result)
}

#[derive(Debug, Deserialize)]
struct PriorityForm {
    priority: String,
}

async fn prioritise(
    Parts(app): Parts<App>,
    view: View,
    Caller(principal): Caller,
    Path(number): Path<String>,
    Form(form): Form<PriorityForm>,
) -> Response {
    let wanted = number.clone();
    let result = match Priority::from_code(&form.priority) {
        Some(priority) => {
            act(&app, &principal, move |db, actor| handling::prioritise(db, &wanted, priority, actor)).await
        }
        None => Err(ApiError::bad_request("not a priority").at("priority")),
    };
    back(view, &number, result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TimeZoneName;

    #[test]
    fn every_component_of_the_shipped_rules_and_of_siaga_itself_has_its_words() {
        let rules = include_str!("../../../deploy/rules/linux.yml");
        let shipped = rules.lines().filter_map(|line| line.trim().strip_prefix("component: "));
        let shipped: Vec<&str> = shipped.map(|component| component.trim_matches('\'')).collect();
        assert!(shipped.len() > 10);
        for language in [Language::Indonesian, Language::English] {
            let page = Page::detached(language, "LPSE", TimeZoneName::default(), false);
            let own = [
                "agent",
                "identity",
                "drill:lab",
                "rule:Disk",
                "rule-evaluation:Disk",
                "memory",
                "cpu",
                "filesystem:/",
            ];
            for component in shipped.iter().chain(&own) {
                let kind = component.split(':').next().unwrap_or("");
                let name = component_name(&page, component);
                assert!(!name.starts_with(kind) || name.starts_with("disk "), "{component}: {name}");
            }
        }
        let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
        assert_eq!(component_name(&page, "filesystem:/srv"), "Sistem berkas /srv");
        assert_eq!(component_name(&page, "own:x"), "own x");
    }
}
