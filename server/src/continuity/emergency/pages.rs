//! Pages of emergencies: the list with the form that declares one, one with its timeline and tasks, and the papers after
//! it: report, draft of the public announcement, draft of the Berita Acara Gangguan.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{Html, Redirect, Response};
use jiff::civil::DateTime;
use serde::Deserialize;

use super::http::{MAX_LISTED, load};
use super::rules::{DeclareBody, RecoveredBody, declare, done, figures, lift, note, recovered};
use crate::access::Right;
use crate::app::App;
use crate::capacity::{EventCategory, known_events};
use crate::console::{Page, PageError, Section, View, document, render};
use crate::continuity::begin::library;
use crate::continuity::report::{length, who};
use crate::http::{ApiError, Caller, Routes};
use crate::records::disruptions::{self, Disruption, Entry};
use crate::time::{Millis, now_ms};

/// The documents' own style.
const STYLE: &str = include_str!("../../../templates/continuity/report.css");
const HOME: &str = "/kelangsungan/darurat";

pub(super) fn routes() -> Routes {
    Routes::new()
        .page(HOME, Right::ViewContinuity, "emergencies", list)
        .form(HOME, Right::DeclareEmergency, "declare an emergency", declare_form)
        .page("/kelangsungan/darurat/{id}", Right::ViewContinuity, "one emergency", show)
        .form(
            "/kelangsungan/darurat/{id}/catat",
            Right::DeclareEmergency,
            "note something or set a task",
            note_form,
        )
        .form("/kelangsungan/darurat/{id}/selesai", Right::DeclareEmergency, "a task is done", done_form)
        .form(
            "/kelangsungan/darurat/{id}/pulih",
            Right::DeclareEmergency,
            "the service is back",
            recovered_form,
        )
        .form("/kelangsungan/darurat/{id}/cabut", Right::DeclareEmergency, "lift an emergency", lift_form)
        .page(
            "/kelangsungan/darurat/{id}/{paper}",
            Right::ViewContinuity,
            "report or draft of a disruption",
            paper,
        )
}

struct Row {
    id: String,
    number: i64,
    service: String,
    form: String,
    began: String,
    state: String,
    badge: &'static str,
}

impl Row {
    fn new(page: &Page, one: &Disruption) -> Self {
        let (key, badge) = match (one.lifted_at_ms, one.recovered_at_ms) {
            (Some(_), _) => ("emergency.lifted", "ok"),
            (None, Some(_)) => ("emergency.recovered", "warn"),
            (None, None) => ("emergency.open", "crit"),
        };
        Self {
            id: one.id.clone(),
            number: one.number,
            service: one.service.clone(),
            form: one.form.clone(),
            began: page.datetime(one.began_at_ms),
            state: page.t(key),
            badge,
        }
    }
}

#[derive(Template)]
#[template(path = "emergency/list.html")]
struct List<'a> {
    page: &'a Page,
    rows: Vec<Row>,
    may: bool,
    /// Plans: identifier and name.
    plans: Vec<(String, String)>,
    now: String,
}

async fn list(State(app): State<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let found = app.records.run(|db| disruptions::latest(db, MAX_LISTED)).await?;
        let library = library(&app).await?;
        let plans = library.good().map(|(plan, _)| {
            let name =
                format!("{} – {}", plan.say(page.lang(), &plan.service), plan.say(page.lang(), &plan.name));
            (plan.id.clone(), name)
        });
        render(&List {
            rows: found.iter().map(|one| Row::new(&page, one)).collect(),
            may: page.may(Right::DeclareEmergency),
            plans: plans.collect(),
            now: local(&page, now_ms()),
            page: &page,
        })
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

/// A time as a form's field has it.
fn local(page: &Page, at_ms: Millis) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms).unwrap_or_default().to_zoned(page.zone().clone());
    at.strftime("%Y-%m-%dT%H:%M").to_string()
}

/// The time that a form's field says, in the page's zone.
fn moment(page: &Page, field: &str, text: &str) -> Result<Millis, ApiError> {
    let wrong = || ApiError::bad_request(format!("{text:?} is no date with a time")).at(field);
    let at: DateTime = text.trim().parse().map_err(|_| wrong())?;
    Ok(at.to_zoned(page.zone().clone()).map_err(|_| wrong())?.timestamp().as_millisecond())
}

#[derive(Debug, Deserialize)]
struct DeclareForm {
    #[serde(default)]
    plan: String,
    #[serde(default)]
    service: String,
    #[serde(default)]
    address: String,
    form: String,
    reporter: String,
    reported: String,
    began: String,
    analysis: String,
    basis: String,
}

async fn declare_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<DeclareForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let some = |text: String| Some(text).filter(|text| !text.trim().is_empty());
    let work = async {
        let body = DeclareBody {
            plan: some(form.plan),
            service: some(form.service),
            address: form.address,
            form: form.form,
            reporter: form.reporter,
            reported_at_ms: moment(&page, "reported", &form.reported)?,
            began_at_ms: moment(&page, "began", &form.began)?,
            analysis: form.analysis,
            basis: form.basis,
        };
        declare(&app, &principal.actor(), body).await
    };
    let id = work.await.map_err(|error: ApiError| PageError::new(&page, error))?;
    Ok(Redirect::to(&format!("{HOME}/{id}")))
}

struct EntryRow {
    at: String,
    by: String,
    kind: String,
    words: String,
    badge: &'static str,
}

struct TaskRow {
    seq: i64,
    words: String,
    owner: String,
    /// When and by whom it was done.
    done: Option<String>,
}

#[derive(Template)]
#[template(path = "emergency/show.html")]
struct Show<'a> {
    page: &'a Page,
    one: &'a Disruption,
    row: Row,
    facts: Vec<(String, String)>,
    tasks: Vec<TaskRow>,
    timeline: Vec<EntryRow>,
    deadlines: Vec<String>,
    may: bool,
    now: String,
}

async fn show(State(app): State<App>, view: View, Path(id): Path<String>) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let (one, entries) = load(&app, &id).await?;
        render(&Show {
            row: Row::new(&page, &one),
            facts: facts(&page, &one),
            tasks: tasks(&page, &entries),
            timeline: entries.iter().map(|entry| entry_row(&page, &entries, entry)).collect(),
            deadlines: deadlines(&app, &page, &one).await?,
            may: page.may(Right::DeclareEmergency) && one.lifted_at_ms.is_none(),
            now: local(&page, now_ms()),
            one: &one,
            page: &page,
        })
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

/// What was stated, in the order of the form.
fn facts(page: &Page, one: &Disruption) -> Vec<(String, String)> {
    let at = |at_ms: Option<Millis>| at_ms.map_or_else(|| "–".to_owned(), |at_ms| page.datetime(at_ms));
    let words = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".to_owned());
    let span = |value: Option<Millis>| value.map_or_else(|| "–".to_owned(), |value| length(page, value));
    let target = |value: Option<Millis>, target: Option<Millis>| match target {
        None => span(value),
        Some(_) => format!("{} ({} {})", span(value), page.t("continuity.target"), span(target)),
    };
    let (rto_ms, rpo_ms) = figures(one);
    let rows = [
        ("continuity.service", one.service.clone()),
        ("emergency.address", one.address.clone()),
        ("emergency.form", one.form.clone()),
        ("emergency.reporter", format!("{}, {}", one.reporter, page.datetime(one.reported_at_ms))),
        ("emergency.began", page.datetime(one.began_at_ms)),
        ("emergency.analysis", one.analysis.clone()),
        ("emergency.basis", one.basis.clone()),
        (
            "emergency.declared",
            format!("{}, {}", who(page, &one.declared_by), page.datetime(one.declared_at_ms)),
        ),
        ("emergency.cause", words(&one.cause)),
        ("emergency.effect", words(&one.effect)),
        ("emergency.recovered_at", at(one.recovered_at_ms)),
        ("emergency.data_until", at(one.data_until_ms)),
        ("continuity.rto", target(rto_ms, one.rto_target_ms)),
        ("continuity.rpo", target(rpo_ms, one.rpo_target_ms)),
        (
            "emergency.lifted_by",
            match &one.lifted_by {
                Some(by) => format!("{}, {}: {}", who(page, by), at(one.lifted_at_ms), words(&one.lift_note)),
                None => "–".to_owned(),
            },
        ),
    ];
    rows.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (page.t(key), text)).collect()
}

fn tasks(page: &Page, entries: &[Entry]) -> Vec<TaskRow> {
    let done = |seq: i64| entries.iter().find(|entry| entry.task == Some(seq));
    let row = |entry: &Entry| TaskRow {
        seq: entry.seq,
        words: entry.words.clone(),
        owner: entry.owner.clone().unwrap_or_else(|| "–".to_owned()),
        done: done(entry.seq)
            .map(|done| format!("{}, {}", page.datetime(done.at_ms), who(page, &done.actor))),
    };
    entries.iter().filter(|entry| entry.kind == "task").map(row).collect()
}

fn entry_row(page: &Page, entries: &[Entry], entry: &Entry) -> EntryRow {
    let of_task = entry.task.and_then(|task| entries.iter().find(|one| one.seq == task));
    let words = match of_task {
        Some(task) if entry.words.is_empty() => task.words.clone(),
        Some(task) => format!("{}: {}", task.words, entry.words),
        None => entry.words.clone(),
    };
    EntryRow {
        at: page.datetime_seconds(entry.at_ms),
        by: if entry.actor == "siaga" { "Siaga".to_owned() } else { who(page, &entry.actor) },
        kind: page.t(&format!("emergency.entry.{}", entry.kind)),
        words,
        badge: match entry.kind.as_str() {
            "done" | "told" => "ok",
            "task" => "warn",
            "not_told" => "crit",
            _ => "info",
        },
    }
}

/// Deadlines of tenders that fell into the disruption. What follows from it for a schedule is decided by others.
async fn deadlines(app: &App, page: &Page, one: &Disruption) -> Result<Vec<String>, ApiError> {
    let until = one.recovered_at_ms.unwrap_or_else(now_ms);
    let events = known_events(app, page, one.began_at_ms, until).await?;
    let fell = |at: Millis| (one.began_at_ms..=until).contains(&at);
    let tender = events.into_iter().filter(|event| event.category == EventCategory::Tender);
    // A deadline is an end; one that is kept as a day counts by its beginning too.
    let hit = tender.filter(|event| fell(event.from_ms) || fell(event.to_ms));
    Ok(hit.map(|event| format!("{} ({})", event.name, page.datetime(event.from_ms))).collect())
}

#[derive(Debug, Deserialize)]
struct NoteForm {
    words: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    task: Option<i64>,
}

async fn note_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<NoteForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let owner = Some(form.owner.as_str()).filter(|owner| !owner.trim().is_empty());
    let noted = note(&app, &id, &principal.actor(), &form.words, owner).await;
    noted.map_err(|error| PageError::new(&page, error))?;
    Ok(Redirect::to(&format!("{HOME}/{id}")))
}

async fn done_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<NoteForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let ended = done(&app, &id, &principal.actor(), form.task.unwrap_or_default(), &form.words).await;
    ended.map_err(|error| PageError::new(&page, error))?;
    Ok(Redirect::to(&format!("{HOME}/{id}")))
}

#[derive(Debug, Deserialize)]
struct RecoveredForm {
    at: String,
    #[serde(default)]
    data_until: String,
    cause: String,
    effect: String,
}

async fn recovered_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<RecoveredForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let data_until_ms = match form.data_until.trim() {
            "" => None,
            text => Some(moment(&page, "data_until", text)?),
        };
        let at_ms = moment(&page, "at", &form.at)?;
        let body = RecoveredBody { at_ms, data_until_ms, cause: form.cause, effect: form.effect };
        recovered(&app, &id, &principal.actor(), body).await
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))?;
    Ok(Redirect::to(&format!("{HOME}/{id}")))
}

async fn lift_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<NoteForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let lifted = lift(&app, &id, &principal.actor(), &form.words).await;
    lifted.map_err(|error| PageError::new(&page, error))?;
    Ok(Redirect::to(&format!("{HOME}/{id}")))
}

#[derive(Template)]
#[template(path = "emergency/paper.html")]
struct Paper<'a> {
    page: &'a Page,
    style: &'a str,
    title: String,
    is_report: bool,
    /// What is told to the public, in that paper alone.
    announcement: Option<String>,
    one: &'a Disruption,
    facts: Vec<(String, String)>,
    timeline: Vec<EntryRow>,
    deadlines: Vec<String>,
    lasted: Option<String>,
    made: String,
}

/// What the public is told.
fn announcement(page: &Page, one: &Disruption) -> String {
    let began = page.datetime(one.began_at_ms);
    let values: [(&str, &str); 3] = [("service", &one.service), ("form", &one.form), ("began", &began)];
    let after = match one.recovered_at_ms {
        Some(at) => page.tv("emergency.announcement.back", &[("until", &page.datetime(at))]),
        None => page.t("emergency.announcement.down"),
    };
    format!("{} {after}", page.tv("emergency.announcement", &values))
}

async fn paper(
    State(app): State<App>,
    view: View,
    Path((id, kind)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        if !matches!(kind.as_str(), "laporan" | "pengumuman" | "berita-acara") {
            return Err(ApiError::not_found(format!("paper {kind}")));
        }
        let (one, entries) = load(&app, &id).await?;
        let paper = Paper {
            style: STYLE,
            title: page.t(&format!("emergency.paper.{kind}")),
            is_report: kind == "laporan",
            announcement: (kind == "pengumuman").then(|| announcement(&page, &one)),
            facts: facts(&page, &one),
            timeline: entries.iter().map(|entry| entry_row(&page, &entries, entry)).collect(),
            deadlines: deadlines(&app, &page, &one).await?,
            lasted: figures(&one).0.map(|rto| length(&page, rto)),
            made: page.datetime_seconds(now_ms()),
            one: &one,
            page: &page,
        };
        document(&paper, STYLE)
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}
