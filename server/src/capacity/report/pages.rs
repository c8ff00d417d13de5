//! `/kapasitas/laporan`, where the planner writes, and `/kapasitas/laporan/cetak`, the document that is printed: it stands
//! on its own, can be saved and signed on paper.

use askama::Template;
use axum::extract::{Form, State as Shared};
use axum::response::{Html, Redirect, Response};
use serde::Deserialize;

use super::form::{self, FORECAST_DAYS, FormRow, Measured};
use super::gather::{Gathered, gather};
use super::period::Period;
use super::sections::{MAX_TEXT, SECTIONS, is_known};
use crate::access::Right;
use crate::app::App;
use crate::capacity::calendar::pages::EventRow;
use crate::capacity::evaluation::Crossing;
use crate::capacity::plan_pages::{ProposalRow, ScoreRow, component_name};
use crate::capacity::proposal::Status;
use crate::capacity::resource::ResourceKind;
use crate::capacity::{PLAN_AHEAD_DAYS, State, views};
use crate::console::{Page, PageError, Section, View, document, render};
use crate::http::{ApiError, Caller, Params, Routes, encode_component};
use crate::records::{audit, capacity_reports};
use crate::time::{Millis, now_ms};

/// The document's own style; the answer allows exactly this one by its hash.
const STYLE: &str = concat!(
    include_str!("../../../templates/continuity/report.css"),
    include_str!("../../../templates/capacity/report.css")
);

pub(in crate::capacity) fn routes() -> Routes {
    Routes::new()
        .page("/kapasitas/laporan", Right::ViewCapacity, "periodic report: what the planner writes", edit)
        .form("/kapasitas/laporan", Right::PlanCapacity, "write a section of the report", write)
        .page("/kapasitas/laporan/cetak", Right::ViewCapacity, "periodic report, to be printed", print)
}

#[derive(Debug, Default, Deserialize)]
struct PeriodParams {
    #[serde(default)]
    periode: String,
}

/// The month that is asked for; the running one if none is.
fn period(page: &Page, code: &str, now_ms: Millis) -> Result<Period, ApiError> {
    let offered = Period::offered(now_ms, page.zone());
    if code.is_empty() {
        return Ok(Period::of(now_ms, page.zone()));
    }
    Period::from_code(code)
        .filter(|period| offered.contains(period))
        .ok_or_else(|| ApiError::bad_request("a month of the last four is wanted").at("periode"))
}

fn period_name(page: &Page, period: Period) -> String {
    let (from_ms, _) = period.span(page.zone());
    page.month(from_ms)
}

/// A section with what stands in it.
struct SectionText {
    code: &'static str,
    number: &'static str,
    title: String,
    text: String,
    /// Whether it is Siaga's draft.
    draft: bool,
}

fn sections(page: &Page, gathered: &Gathered) -> Vec<SectionText> {
    let section = |section: &super::sections::Section| {
        let written = gathered.texts.get(section.code);
        SectionText {
            code: section.code,
            number: section.number,
            title: page.t(&format!("capacity.report.section.{}", section.code)),
            text: written.cloned().unwrap_or_else(|| draft(page, gathered, section.code)),
            draft: written.is_none(),
        }
    };
    SECTIONS.iter().map(section).collect()
}

/// What Siaga can say in a section as long as the planner has written nothing.
fn draft(page: &Page, gathered: &Gathered, code: &str) -> String {
    let number = |n: usize| n.to_string();
    let in_state =
        |state: State| number(gathered.measured.iter().filter(|one| one.evaluation.state == state).count());
    let hosts: std::collections::BTreeSet<&str> =
        gathered.measured.iter().map(|one| one.evaluation.key.instance.as_str()).collect();
    let values: Vec<(&str, String)> = match code {
        "scope" => vec![
            ("hosts", number(hosts.len())),
            ("measured", number(gathered.measured.len())),
            ("counted", number(gathered.counted.len())),
        ],
        "service_now" => vec![
            ("normal", in_state(State::Normal)),
            ("warning", in_state(State::Warning)),
            ("critical", in_state(State::Critical)),
            ("unknown", in_state(State::Unknown)),
        ],
        "service_ahead" => {
            let short = gathered.measured.iter().filter(|one| is_short(one)).count();
            vec![("short", number(short)), ("days", PLAN_AHEAD_DAYS.to_string())]
        }
        "options" => {
            let open = gathered.proposals.iter().filter(|p| p.status == Status::Open).count();
            vec![("open", number(open)), ("decided", number(agreed(gathered)))]
        }
        "recommendation" => vec![("decided", number(agreed(gathered)))],
        _ => Vec::new(),
    };
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    page.tv(&format!("capacity.report.draft.{code}"), &values)
}

fn agreed(gathered: &Gathered) -> usize {
    gathered.proposals.iter().filter(|p| matches!(p.status, Status::Accepted | Status::Changed)).count()
}

/// Whether a component has passed its threshold, or is expected to within the time that plans reach.
fn is_short(one: &Measured) -> bool {
    if one.evaluation.is_exceeded() {
        return true;
    }
    let until = one.evaluation.made_at_ms + Millis::from(PLAN_AHEAD_DAYS) * crate::time::DAY_MS;
    match one.evaluation.outcome.as_ref().map(|made| made.crossing) {
        Ok(Crossing::Past) => true,
        Ok(Crossing::Within { likely_ms: Some(likely), .. }) => likely <= until,
        _ => false,
    }
}

#[derive(Template)]
#[template(path = "capacity/report_edit.html")]
struct EditTemplate<'a> {
    page: &'a Page,
    period: String,
    period_name: String,
    /// Months: code, name, whether it is the one shown.
    offered: Vec<(String, String, bool)>,
    sections: Vec<SectionText>,
    may_plan: bool,
}

async fn edit(
    Shared(app): Shared<App>,
    view: View,
    Params(params): Params<PeriodParams>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let now = now_ms();
    let period = period(&page, &params.periode, now).map_err(failed)?;
    let gathered = gather(&app, &page, period, now).await.map_err(failed)?;
    let offered = Period::offered(now, page.zone());
    let template = EditTemplate {
        page: &page,
        period: period.code(),
        period_name: period_name(&page, period),
        offered: offered.iter().map(|one| (one.code(), period_name(&page, *one), *one == period)).collect(),
        sections: sections(&page, &gathered),
        may_plan: page.may(Right::PlanCapacity),
    };
    render(&template).map_err(failed)
}

#[derive(Debug, Deserialize)]
struct TextForm {
    periode: String,
    section: String,
    #[serde(default)]
    text: String,
    /// Set by the button that brings Siaga's draft back.
    #[serde(default)]
    reset: Option<String>,
}

async fn write(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<TextForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let now = now_ms();
    let period = period(&page, &form.periode, now).map_err(failed)?.code();
    if !is_known(&form.section) {
        return Err(failed(ApiError::bad_request("there is no such section").at("section")));
    }
    let text = form.text.trim().replace("\r\n", "\n");
    if text.chars().count() > MAX_TEXT {
        return Err(failed(ApiError::bad_request("at most 20,000 characters are taken").at("text")));
    }
    let text = if form.reset.is_some() { String::new() } else { text };
    let actor = principal.actor();
    let back = format!("/kapasitas/laporan?periode={}#{}", encode_component(&period), form.section);
    let stored = app.records.run(move |db| {
        capacity_reports::write(db, (&period, &form.section), &text, &actor, now)?;
        audit::add(db, now, &actor, "capacity_report.write", &period, &form.section)
    });
    stored.await.map_err(|error| failed(error.into()))?;
    Ok(Redirect::to(&back))
}

/// A row of the analysis of trends, worded.
struct TrendRow {
    component: String,
    unit: String,
    capacity: String,
    peak: String,
    mean: String,
    p95: String,
    growth: String,
    likely: String,
    interval: String,
    points: String,
    badge: &'static str,
    state: String,
}

impl TrendRow {
    fn new(page: &Page, one: &Measured) -> Self {
        let (evaluation, statistics) = (&one.evaluation, one.statistics);
        let bytes = evaluation.key.kind == ResourceKind::Filesystem;
        let percent = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| page.percent(v));
        let made = evaluation.outcome.as_ref().ok();
        let (likely, interval) = match made.map(|made| made.crossing) {
            Some(Crossing::Past) => (page.t("capacity.past"), "–".to_owned()),
            Some(Crossing::Never) => (page.t("capacity.not_within_a_year"), "–".to_owned()),
            Some(Crossing::Within { earliest_ms, likely_ms, latest_ms }) => {
                let day = |at: Option<Millis>| {
                    at.map_or_else(|| page.t("capacity.not_within_a_year"), |at| page.date_short(at))
                };
                (day(likely_ms), format!("{} – {}", day(earliest_ms), day(latest_ms)))
            }
            None => (page.t("capacity.state.unknown"), "–".to_owned()),
        };
        let growth = made.map_or_else(
            || "–".to_owned(),
            |made| {
                let value = page.number(made.trend_percent_per_day, 2);
                if made.significant {
                    page.tv("capacity.growth_value", &[("n", &value)])
                } else {
                    page.t("capacity.no_growth")
                }
            },
        );
        Self {
            component: component_name(page, &evaluation.key),
            unit: page.t(if bytes { "capacity.report.unit.bytes" } else { "capacity.report.unit.percent" }),
            capacity: if bytes { page.bytes(evaluation.full) } else { "100%".to_owned() },
            peak: percent(statistics.map(|s| s.peak)),
            mean: percent(statistics.map(|s| s.mean)),
            p95: percent(statistics.map(|s| s.p95)),
            growth,
            likely,
            interval,
            points: statistics.map_or_else(|| "–".to_owned(), |s| s.hours.to_string()),
            badge: evaluation.state.badge(),
            state: page.t(&format!("capacity.state.{}", evaluation.state.code())),
        }
    }
}

#[derive(Template)]
#[template(path = "capacity/report.html")]
struct PrintTemplate<'a> {
    page: &'a Page,
    style: &'a str,
    period_name: String,
    made: String,
    sections: Vec<SectionText>,
    events: Vec<EventRow>,
    form: Vec<FormRow>,
    form_note: String,
    trends: Vec<TrendRow>,
    /// Components that pass their threshold in the time that plans reach.
    short: Vec<(String, String)>,
    proposals: Vec<ProposalRow>,
    scores: Vec<ScoreRow>,
}

impl PrintTemplate<'_> {
    fn section(&self, code: &str) -> Option<&SectionText> {
        self.sections.iter().find(|section| section.code == code)
    }
}

/// Known events named in the document.
const EVENTS_NAMED: usize = 60;

async fn print(
    Shared(app): Shared<App>,
    view: View,
    Params(params): Params<PeriodParams>,
) -> Result<Response, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let now = now_ms();
    let period = period(&page, &params.periode, now).map_err(failed)?;
    let gathered = gather(&app, &page, period, now).await.map_err(failed)?;
    let period_name = period_name(&page, period);
    let short = gathered.measured.iter().filter(|one| is_short(one)).map(|one| {
        let made = one.evaluation.outcome.as_ref().ok();
        // What is exceeded without a forecast is exceeded all the same.
        let likely = made.map(|made| views::dates(&page, made, now)[1].clone());
        let likely = likely.unwrap_or_else(|| page.t("capacity.past"));
        (component_name(&page, &one.evaluation.key), likely)
    });
    let kept = |status: Status| !matches!(status, Status::Withdrawn | Status::Done);
    let template = PrintTemplate {
        page: &page,
        style: STYLE,
        made: page.datetime(now),
        sections: sections(&page, &gathered),
        events: gathered.events.iter().take(EVENTS_NAMED).map(|event| EventRow::new(&page, event)).collect(),
        form: form::rows(&page, &gathered.measured, &gathered.counted, &period_name, now),
        form_note: page.tv("capacity.report.form_note", &[("days", &FORECAST_DAYS.to_string())]),
        trends: gathered.measured.iter().map(|one| TrendRow::new(&page, one)).collect(),
        short: short.collect(),
        proposals: gathered
            .proposals
            .iter()
            .filter(|proposal| kept(proposal.status))
            .map(|proposal| ProposalRow::new(&page, proposal))
            .collect(),
        scores: ScoreRow::by_distance(&page, &gathered.scores.distances),
        period_name,
    };
    document(&template, STYLE).map_err(failed)
}
