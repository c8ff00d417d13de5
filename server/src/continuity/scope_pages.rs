//! Pages of the scope with its coverage, and of the calendar of exercises with the trend of what they measured.

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use super::begin::library;
use super::bodies::Started;
use super::coverage::{Cell, carried_out, coverage};
use super::hold::dated_blackouts;
use super::journal::{self, CheckTime};
use super::plan::{Plan, Scope};
use super::report::length;
use super::rows::counted;
use super::schedule::next_allowed;
use crate::access::Right;
use crate::app::App;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Routes};
use crate::records::drills::{self, Drill};
use crate::time::{DAY_MS, Millis, millis, now_ms};

/// Drills of a plan that are looked at.
const LOOK_BACK: u32 = 50;
/// Exercises that the trend of one plan shows.
const TREND: usize = 20;
/// How far ahead the calendar looks, and how many dates of one plan it shows.
const AHEAD_MS: Millis = 366 * DAY_MS;
const MAX_DATES: usize = 60;
/// Height of the bars of a trend.
const BAR_HEIGHT: f64 = 60.0;

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/kelangsungan/lingkup", Right::ViewContinuity, "scope of continuity and its coverage", show)
        .page("/kelangsungan/kalender", Right::ViewContinuity, "calendar of exercises and trends", calendar)
}

/// Every scenario of every service, as it stands now; nothing without a good scope.
pub(super) async fn cells(app: &App, now: Millis) -> Result<Vec<Cell>, ApiError> {
    let library = library(app).await?;
    let Some(Ok(scope)) = library.scope.as_ref().map(|entry| &entry.scope) else { return Ok(Vec::new()) };
    let mut plans = Vec::new();
    for (plan, _) in library.good() {
        let newest = history(app, &plan.id).await?.into_iter().next();
        plans.push((plan, newest));
    }
    Ok(coverage(scope, &plans, now))
}

/// Drills of a plan that were carried out, newest first.
async fn history(app: &App, plan_id: &str) -> Result<Vec<Drill>, ApiError> {
    let id = plan_id.to_owned();
    let mut found = app.records.run(move |db| drills::latest(db, Some(&id), LOOK_BACK)).await?;
    found.retain(carried_out);
    Ok(found)
}

struct CellRow {
    service: String,
    scenario: String,
    plans: String,
    /// Address and words of the newest exercise.
    last: Option<(String, String)>,
    due: String,
    standing: String,
    badge: &'static str,
}

struct ServiceRow {
    name: String,
    mtpd: String,
    rto: String,
    rpo: String,
    risk: String,
    components: String,
    depends_on: String,
    impact: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "continuity/scope.html")]
struct Show<'a> {
    page: &'a Page,
    /// What is wrong with the file.
    problems: Vec<String>,
    scope: Option<&'a Scope>,
    services: Vec<ServiceRow>,
    cells: Vec<CellRow>,
}

async fn show(State(app): State<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let library = library(&app).await?;
        let entry = library.scope.as_ref();
        let scope = entry.and_then(|entry| entry.scope.as_ref().ok());
        let problems = entry.and_then(|entry| entry.scope.as_ref().err());
        let cells = cells(&app, now_ms()).await?;
        render(&Show {
            problems: problems.map_or_else(Vec::new, |list| list.iter().map(ToString::to_string).collect()),
            services: scope.map_or_else(Vec::new, |scope| service_rows(&page, scope)),
            scope,
            cells: cells.iter().map(|cell| cell_row(&page, cell)).collect(),
            page: &page,
        })
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

fn service_rows(page: &Page, scope: &Scope) -> Vec<ServiceRow> {
    let span = |value: std::time::Duration| humantime(page, value);
    let row = |one: &super::plan::Service| {
        let impact = [
            ("scope.one_hour", &one.impact.one_hour),
            ("scope.four_hours", &one.impact.four_hours),
            ("scope.one_day", &one.impact.one_day),
            ("scope.three_days", &one.impact.three_days),
        ];
        let stated = impact.into_iter().filter(|(_, text)| !text.is_empty());
        ServiceRow {
            name: one.name.clone(),
            mtpd: span(one.mtpd),
            rto: span(one.rto),
            rpo: span(one.rpo),
            risk: page.t(&format!("scope.risk.{}", one.risk.code())),
            components: one.components.join(", "),
            depends_on: one
                .depends_on
                .iter()
                .chain(&one.critical_periods)
                .cloned()
                .collect::<Vec<_>>()
                .join("; "),
            impact: stated.map(|(key, text)| (page.t(key), text.clone())).collect(),
        }
    };
    scope.service.iter().map(row).collect()
}

/// Days, hours or minutes, whichever is whole.
fn humantime(page: &Page, value: std::time::Duration) -> String {
    let seconds = value.as_secs();
    let (key, n) = match seconds {
        _ if seconds >= 86_400 && seconds.is_multiple_of(86_400) => ("scope.days", seconds / 86_400),
        _ if seconds >= 3_600 && seconds.is_multiple_of(3_600) => ("scope.hours", seconds / 3_600),
        _ if seconds >= 60 && seconds.is_multiple_of(60) => ("scope.minutes", seconds / 60),
        _ => return length(page, millis(value)),
    };
    page.tv(key, &[("n", &n.to_string())])
}

fn cell_row(page: &Page, cell: &Cell) -> CellRow {
    let (code, badge) = cell.standing.code();
    CellRow {
        service: cell.service.1.clone(),
        scenario: cell.scenario.1.clone(),
        plans: cell.plans.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>().join(", "),
        last: cell.last.as_ref().map(|(id, number, at, status)| {
            let status = page.t(&format!("continuity.status.{status}"));
            let words = format!("{} {number}, {}: {status}", page.t("continuity.drill"), page.datetime(*at));
            (format!("/kelangsungan/latihan/{id}"), words)
        }),
        due: cell.due_ms.map_or_else(|| "–".to_owned(), |at| page.datetime(at)),
        standing: page.t(&format!("scope.standing.{code}")),
        badge,
    }
}

struct DateRow {
    at_ms: Millis,
    at: String,
    plan: String,
    kind: String,
}

struct BarRow {
    x: usize,
    y: String,
    height: String,
    met: bool,
    title: String,
}

struct TrendRow {
    name: String,
    target: String,
    /// Where the line of the target runs.
    target_y: String,
    width: usize,
    bars: Vec<BarRow>,
    /// When, recovery time, recovery point.
    figures: Vec<(Started, String, String, String)>,
}

#[derive(Template)]
#[template(path = "continuity/calendar.html")]
struct Calendar<'a> {
    page: &'a Page,
    dates: Vec<DateRow>,
    trends: Vec<TrendRow>,
}

async fn calendar(State(app): State<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let library = library(&app).await?;
        let (mut dates, mut trends) = (Vec::new(), Vec::new());
        for (plan, _) in library.good() {
            dates.extend(dates_of(&app, &page, plan, now_ms()).await?);
            trends.extend(trend_of(&app, &page, plan).await?);
        }
        dates.sort_by_key(|date| date.at_ms);
        render(&Calendar { dates, trends, page: &page })
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

async fn dates_of(app: &App, page: &Page, plan: &Plan, now: Millis) -> Result<Vec<DateRow>, ApiError> {
    let Some(schedule) = &plan.schedule else { return Ok(Vec::new()) };
    let blackouts = dated_blackouts(app, plan, now).await?;
    let next = |at: &Millis| next_allowed(schedule, &blackouts, *at);
    let row = |at_ms: Millis| DateRow {
        at_ms,
        at: page.datetime(at_ms),
        plan: plan.say(page.lang(), &plan.name).to_owned(),
        kind: page.t(&format!("continuity.kind.{}", plan.kind.code())),
    };
    let dates = std::iter::successors(next(&now), next);
    Ok(dates.take_while(|at| *at <= now + AHEAD_MS).take(MAX_DATES).map(row).collect())
}

async fn trend_of(app: &App, page: &Page, plan: &Plan) -> Result<Option<TrendRow>, ApiError> {
    let mut found = history(app, &plan.id).await?;
    found.truncate(TREND);
    found.reverse();
    if found.is_empty() {
        return Ok(None);
    }
    let target_ms = millis(plan.rto);
    let most = found.iter().filter_map(|drill| drill.rto_ms).max().unwrap_or(0).max(target_ms).max(1);
    let height = |value: Millis| value as f64 / most as f64 * BAR_HEIGHT;
    let (mut bars, mut figures) = (Vec::new(), Vec::new());
    for (index, drill) in found.iter().enumerate() {
        let id = drill.id.clone();
        let rows = app.records.run(move |db| drills::journal(db, &id)).await?;
        let entries = journal::entries(&rows)?;
        let rpo = counted(&entries, CheckTime::Step).and_then(|count| count.rpo_ms);
        let span = |value: Option<Millis>| value.map_or_else(|| "–".to_owned(), |value| length(page, value));
        let at = page.datetime(drill.created_at_ms);
        if let Some(rto_ms) = drill.rto_ms {
            let tall = height(rto_ms).max(1.0);
            bars.push(BarRow {
                x: index * 16,
                y: format!("{:.1}", BAR_HEIGHT - tall),
                height: format!("{tall:.1}"),
                met: rto_ms <= drill.rto_target_ms,
                title: format!("{at}: {}", length(page, rto_ms)),
            });
        }
        figures.push((Started { id: drill.id.clone() }, at, span(drill.rto_ms), span(rpo)));
    }
    Ok(Some(TrendRow {
        name: plan.say(page.lang(), &plan.name).to_owned(),
        target: length(page, target_ms),
        target_y: format!("{:.1}", BAR_HEIGHT - height(target_ms)),
        width: found.len() * 16,
        bars,
        figures,
    }))
}
