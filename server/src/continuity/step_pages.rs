//! Pages of what a drill would do, and the form by which a person confirms a step that waits.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{Html, Redirect};
use serde::Deserialize;

use super::begin::library;
use super::dry_run::{DryRun, DryStep, Looked, dry_run, in_words};
use super::http::{ConfirmBody, confirm_step};
use super::plan::Plan;
use super::report::length;
use crate::access::Right;
use crate::app::App;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/kelangsungan/rencana/{id}/uji-kering", Right::RunDrills, "dry run of a plan", show)
        .form(
            "/kelangsungan/latihan/{id}/konfirmasi",
            Right::RunDrills,
            "confirm the step of a drill that waits for a person",
            confirm,
        )
}

/// A check, stop condition or probe, and how it stands.
struct NowRow {
    kind: String,
    name: String,
    found: String,
    badge: &'static str,
}

struct StepRow {
    order: usize,
    name: String,
    who: String,
    undo: String,
}

#[derive(Template)]
#[template(path = "continuity/dry_run.html")]
struct Show<'a> {
    page: &'a Page,
    plan: &'a Plan,
    against: &'a [String],
    now: Vec<NowRow>,
    steps: Vec<StepRow>,
    rollback: Vec<String>,
    marker: Option<(String, String)>,
    longest: String,
}

async fn show(State(app): State<App>, view: View, Path(id): Path<String>) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let found = dry_run(&app, &id).await?;
        let library = library(&app).await?;
        let (plan, _) = library.get(&id).ok_or_else(|| ApiError::not_found(format!("plan {id}")))?;
        render(&Show {
            against: &found.against,
            now: now_rows(&page, plan, &found),
            steps: found.steps.iter().map(|step| step_row(&page, plan, step)).collect(),
            rollback: found.rollback.iter().map(|name| plan.say(page.lang(), name).to_owned()).collect(),
            marker: found.marker.clone(),
            longest: length(&page, found.longest_ms),
            plan,
            page: &page,
        })
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

fn now_rows(page: &Page, plan: &Plan, found: &DryRun) -> Vec<NowRow> {
    let lists: [(&str, &[Looked]); 3] = [
        ("continuity.check", &found.steady_state),
        ("continuity.stops", &found.stops),
        ("continuity.probe", &found.probes),
    ];
    let row = |key: &str, one: &Looked| NowRow {
        kind: page.t(key),
        name: plan.say(page.lang(), &one.name).to_owned(),
        found: in_words(page, one),
        badge: if one.held { "ok" } else { "crit" },
    };
    lists.into_iter().flat_map(|(key, list)| list.iter().map(move |one| row(key, one))).collect()
}

fn step_row(page: &Page, plan: &Plan, step: &DryStep) -> StepRow {
    let who = match (&step.action, &step.confirm) {
        (Some(action), _) => {
            let host = step.host.as_deref().unwrap_or("–");
            let description = step.description.as_ref().map_or_else(String::new, |text| format!(": {text}"));
            format!("{action} @ {host}{description}")
        }
        (None, Some(question)) => {
            let asked = plan.say(page.lang(), question);
            format!("{}: {asked}", page.t("continuity.dry_run.person"))
        }
        (None, None) => "–".to_owned(),
    };
    let undo = match (step.undo_after_ms, &step.no_undo) {
        (Some(after), _) => page.tv("continuity.dry_run.by_agent", &[("after", &length(page, after))]),
        (None, Some(why)) => plan.say(page.lang(), why).to_owned(),
        (None, None) => "–".to_owned(),
    };
    StepRow { order: step.order, name: plan.say(page.lang(), &step.name).to_owned(), who, undo }
}

#[derive(Debug, Deserialize)]
struct ConfirmForm {
    step: String,
    /// `yes` or `no`.
    done: String,
    #[serde(default)]
    note: String,
}

async fn confirm(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<ConfirmForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let body = ConfirmBody { step: form.step, done: form.done == "yes", note: form.note };
    confirm_step(&app, &id, &principal.actor(), body).await.map_err(|error| PageError::new(&page, error))?;
    Ok(Redirect::to(&format!("/kelangsungan/latihan/{id}")))
}
