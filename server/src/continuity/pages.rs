//! Pages of continuity: plans with their dates and results, the confirmation before a drill, one drill, its report.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{Html, IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::approval::Standing;
use super::approval_pages::{in_words, standing_now};
use super::begin::{Asked, StartError, fleet, library, start};
use super::bodies::{ProblemBody, load, measured_of, phase_of, reasons_of, rollback_of, verified, waits_for};
use super::finding_rows::{FindingRow, finding_rows, signatures};
use super::findings;
use super::hold::{holds, next_date};
use super::http::{problems_of, stop_drill};
use super::journal::{self, Entry as JournalEntry};
use super::machine::Phase;
use super::plan::{Entry as PlanEntry, HostState, Library, Plan, PlanProblem};
use super::proof::Proof;
use super::reason::say_all;
use super::report::{self, Row, fact_rows};
use crate::access::{Right, UserPrincipal};
use crate::app::App;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Routes, encode_component};
use crate::records::drills::{self, Drill};
use crate::time::{Millis, millis, now_ms};

/// Drills that the overview shows.
const HISTORY: u32 = 50;
/// Seconds after which the page of a running drill asks to be loaded again.
const REFRESH_SECONDS: &str = "2";

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/kelangsungan", Right::ViewContinuity, "plans and drills", overview)
        .page("/kelangsungan/rencana/{id}/mulai", Right::RunDrills, "confirmation before a drill", confirm)
        .form("/kelangsungan/rencana/{id}/mulai", Right::RunDrills, "begin a drill", begin)
        .page("/kelangsungan/latihan/{id}", Right::ViewContinuity, "one drill", show)
        .form("/kelangsungan/latihan/{id}/hentikan", Right::RunDrills, "stop a drill", stop)
        .page("/kelangsungan/latihan/{id}/laporan", Right::ViewContinuity, "report of a drill", show_report)
        .page(
            "/kelangsungan/latihan/{id}/laporan/pdf",
            Right::ViewContinuity,
            "report of a drill as a PDF",
            pdf_report,
        )
}

/// A plan in the overview.
struct PlanRow {
    id: Option<String>,
    name: String,
    service: String,
    next: Option<String>,
    /// How it stands with approvals, and whether they are enough; nothing where none are needed.
    approval: Option<(String, bool)>,
    last: Option<DrillRow>,
    problems: Option<Problems>,
    warnings: Vec<(String, String)>,
}

/// What is allowed in a plan but unwise: place and sentence.
fn warnings(page: &Page, plan: &Plan) -> Vec<(String, String)> {
    let say = |problem: &PlanProblem| {
        let typed = problem.fleet.as_ref().map(|problem| problem.say(page.lang()));
        (problem.field.clone(), typed.unwrap_or_else(|| problem.reason.clone()))
    };
    plan.warnings.iter().map(say).collect()
}

/// What stands against a plan.
struct Problems {
    /// What kind of trouble it is, as a sentence.
    heading: String,
    /// Place, sentence, and whether the sentence is of the machine.
    list: Vec<(String, String, bool)>,
}

impl Problems {
    /// Nothing if all is well.
    fn new(page: &Page, entry: &PlanEntry, hosts: &[HostState]) -> Option<Self> {
        let found = problems_of(entry, hosts);
        let heading = match &entry.plan {
            Ok(_) => "continuity.problems.fleet",
            Err(_) => "continuity.problems.file",
        };
        let list: Vec<_> = found
            .into_iter()
            .map(|ProblemBody { at, text }| match at.fleet {
                Some(problem) => (at.field, problem.say(page.lang()), false),
                None => (String::new(), text, true),
            })
            .collect();
        (!list.is_empty()).then(|| Self { heading: page.t(heading), list })
    }
}

/// A drill in lists.
struct DrillRow {
    id: String,
    number: i64,
    plan: String,
    at: String,
    status: String,
    badge: &'static str,
    rto: String,
    target: String,
    journalled: bool,
}

impl DrillRow {
    fn new(page: &Page, drill: &Drill) -> Self {
        Self {
            id: drill.id.clone(),
            number: drill.number,
            plan: plan_name(page, drill),
            at: page.datetime(drill.scheduled_for_ms.unwrap_or(drill.created_at_ms)),
            status: page.t(&format!("continuity.status.{}", drill.status)),
            badge: badge(&drill.status),
            rto: report::recovery(page, drill),
            target: report::length(page, drill.rto_target_ms),
            journalled: drill.status != drills::MISSED,
        }
    }
}

/// Name of a drill's plan in the viewer's language. The plan is read only where it can say another one.
pub(crate) fn plan_name(page: &Page, drill: &Drill) -> String {
    let plan = (page.lang() == "en").then(|| Plan::read(&drill.plan_file, &drill.plan_text).ok()).flatten();
    plan.map_or_else(|| drill.plan_name.clone(), |plan| plan.say(page.lang(), &drill.plan_name).to_owned())
}

/// Class of a status.
pub(super) fn badge(status: &str) -> &'static str {
    match status {
        "passed" => "ok",
        "failed" => "crit",
        "aborted" | "refused" | "missed" => "warn",
        drills::RUNNING => "info",
        _ => "unknown",
    }
}

#[derive(Template)]
#[template(path = "continuity/overview.html")]
struct Overview<'a> {
    page: &'a Page,
    plans: Vec<PlanRow>,
    drills: Vec<DrillRow>,
    running: Option<DrillRow>,
    may_run: bool,
    folder: bool,
}

async fn overview(State(app): State<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let (library, hosts) = (library(&app).await?, fleet(&app).await?);
        let history = app.records.run(|db| drills::latest(db, None, HISTORY)).await?;
        let (mut last, mut dates) = (Vec::new(), Vec::new());
        for entry in &library.entries {
            let (id, file) = (entry.stated_id(), entry.file.clone());
            let found = app.records.run(move |db| drills::latest_of_file(db, id.as_deref(), &file));
            last.push(found.await?);
            let approval = match &entry.plan {
                Ok(plan) => in_words(&app, &page, plan, entry).await?,
                Err(_) => None,
            };
            dates.push((next_date(&app, entry, now_ms()).await?, approval));
        }
        let running = history.iter().find(|drill| drill.status == drills::RUNNING);
        render(&Overview {
            plans: plan_rows(&page, &library, &hosts, &last, dates),
            running: running.map(|drill| DrillRow::new(&page, drill)),
            drills: history.iter().map(|drill| DrillRow::new(&page, drill)).collect(),
            may_run: page.may(Right::RunDrills),
            folder: app.config.current().continuity.plans_dir.is_some(),
            page: &page,
        })
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

/// The next date of a plan, and how it stands with its approvals and whether they are enough.
type Dates = (Option<Millis>, Option<(String, bool)>);

/// `last` holds the newest drill of each entry, `dates` its next date and how it stands with its approvals.
fn plan_rows(
    page: &Page,
    library: &Library,
    hosts: &[HostState],
    last: &[Option<Drill>],
    dates: Vec<Dates>,
) -> Vec<PlanRow> {
    let row = |((entry, last), (next, approval)): ((&PlanEntry, &Option<Drill>), Dates)| {
        let plan = entry.plan.as_ref().ok();
        let last = last.as_ref();
        // Of a broken file, its last drill still tells what plan it was.
        let known = || last.map(|drill| format!("{} ({})", plan_name(page, drill), entry.file));
        PlanRow {
            id: plan.map(|plan| plan.id.clone()),
            name: match plan {
                Some(plan) => plan.say(page.lang(), &plan.name).to_owned(),
                None => known().unwrap_or_else(|| entry.file.clone()),
            },
            service: plan
                .map_or_else(|| "–".to_owned(), |plan| plan.say(page.lang(), &plan.service).to_owned()),
            next: next.map(|at| page.datetime(at)),
            approval,
            last: last.map(|drill| DrillRow::new(page, drill)),
            problems: Problems::new(page, entry, hosts),
            warnings: plan.map_or_else(Vec::new, |plan| warnings(page, plan)),
        }
    };
    library.entries.iter().zip(last).zip(dates).map(row).collect()
}

#[derive(Template)]
#[template(path = "continuity/confirm.html")]
struct Confirm<'a> {
    page: &'a Page,
    plan: &'a Plan,
    rto: String,
    problems: Option<Problems>,
    warnings: Vec<(String, String)>,
    /// What holds the drill back.
    holds: Vec<String>,
    /// Why it cannot begin for want of approvals.
    unapproved: Option<String>,
    /// Address and name of the drill that runs now.
    running: Option<(String, String)>,
}

async fn confirm(
    State(app): State<App>,
    view: View,
    Path(id): Path<String>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let (library, hosts) = (library(&app).await?, fleet(&app).await?);
        let (plan, entry) = library.get(&id).ok_or_else(|| ApiError::not_found(format!("plan {id}")))?;
        let running = match app.running_drill.id() {
            Some(running) => Some(link_to(&app, &page, &running).await?),
            None => None,
        };
        let asker = page.user().map(|user| format!("user:{}", user.username));
        let standing = standing_now(&app, plan, entry, asker.as_deref()).await?;
        let unapproved = standing.filter(|found| !found.enough()).map(|found| lacking(&page, &found));
        render(&Confirm {
            warnings: warnings(&page, plan),
            plan,
            rto: report::length(&page, millis(plan.rto)),
            problems: Problems::new(&page, entry, &hosts),
            holds: say_all(&holds(&app, plan, now_ms()).await?, Some(plan), page.lang()),
            unapproved,
            running,
            page: &page,
        })
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

/// What is missing of the approvals of a plan.
fn lacking(page: &Page, found: &Standing) -> String {
    let (given, wanted) = (found.holding.len().to_string(), found.wanted.to_string());
    let values: [(&str, &str); 2] = [("given", &given), ("wanted", &wanted)];
    match found.only_asker {
        true => page.t("continuity.approval.only_asker"),
        false => page.tv("continuity.approval.lacking", &values),
    }
}

#[derive(Debug, Deserialize)]
struct BeginForm {
    /// Why it is to begin though something stands against it.
    despite: Option<String>,
}

async fn begin(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<BeginForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    match start(&app, &id, Asked::by_hand(&principal.actor(), form.despite)).await {
        Ok(id) => Ok(Redirect::to(&format!("/kelangsungan/latihan/{id}"))),
        Err(StartError::Busy(running)) => {
            let link = link_to(&app, &page, &running).await.map_err(|error| PageError::new(&page, error))?;
            let said = page.t("continuity.confirm.running");
            Err(PageError::new(&page, StartError::Busy(running)).saying(said, link))
        }
        Err(error @ StartError::NotApproved { .. }) => {
            let approvals = format!("/kelangsungan/rencana/{}/persetujuan", encode_component(&id));
            let link = (approvals, page.t("continuity.approval.title"));
            let said = page.t("continuity.confirm.unapproved");
            Err(PageError::new(&page, error).saying(said, link))
        }
        Err(StartError::Held(reasons)) => {
            let confirm = format!("/kelangsungan/rencana/{}/mulai", encode_component(&id));
            let link = (confirm, page.t("continuity.confirm.title"));
            let held = say_all(&reasons, None, page.lang()).join("; ");
            let said = format!("{} {held}", page.t("continuity.confirm.held"));
            Err(PageError::new(&page, StartError::Held(reasons)).saying(said, link))
        }
        Err(error) => Err(PageError::new(&page, error)),
    }
}

/// Address and name of a drill, as a link says them.
async fn link_to(app: &App, page: &Page, id: &str) -> Result<(String, String), ApiError> {
    Ok(drill_link(page, &load(app, id).await?.0))
}

/// Address and name of a drill, as a link says them.
pub(crate) fn drill_link(page: &Page, drill: &Drill) -> (String, String) {
    let name = format!("{} {}: {}", page.t("continuity.drill"), drill.number, plan_name(page, drill));
    (format!("/kelangsungan/latihan/{}", drill.id), name)
}

#[derive(Template)]
#[template(path = "continuity/drill.html")]
struct Show<'a> {
    page: &'a Page,
    drill: &'a Drill,
    row: DrillRow,
    phase: String,
    running: bool,
    may_stop: bool,
    reasons: Vec<String>,
    measured: Vec<report::MeasuredRow>,
    facts: Vec<Row>,
    started_by: String,
    /// The step that waits for a person: its identifier and what is asked.
    waits_for: Option<(String, String)>,
    rows: Vec<(String, String)>,
    findings: Vec<FindingRow>,
    signed: Vec<String>,
    /// Whether the viewer may note findings and close them.
    may_act: bool,
    /// Whether the viewer may sign, and has not yet.
    may_sign: bool,
    proof: Option<Proof>,
}

async fn show(State(app): State<App>, view: View, Path(id): Path<String>) -> Result<Response, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let (drill, rows) = load(&app, &id).await?;
        let entries = journal::entries(&rows)?;
        let running = drill.ended_at_ms.is_none();
        let found = verified(&app, drill.clone()).await?;
        let proof = Some(Proof::new(&page, drill.number, &found)).filter(|_| !entries.is_empty());
        let found = findings::of_drill(&app, &id).await?;
        let signed = findings::signed(&app, &id).await?;
        let has_signed = |user: &UserPrincipal| signed.iter().any(|one| one.user_id == user.id);
        let may_sign = |user: &UserPrincipal| findings::role_of(user).is_some() && !has_signed(user);
        let shown = Show {
            proof,
            findings: finding_rows(&page, found, now_ms()),
            may_sign: page.user().is_some_and(may_sign),
            signed: signatures(&page, &signed),
            ..show_template(&page, &drill, &entries, running)
        };
        let mut response = render(&shown)?.into_response();
        // Who is writing a note is not interrupted.
        if running && shown.waits_for.is_none() {
            // Without a script: the header does what a meta element would do.
            let refresh = HeaderValue::from_static(REFRESH_SECONDS);
            response.headers_mut().insert(HeaderName::from_static("refresh"), refresh);
        }
        Ok(response)
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

fn show_template<'a>(page: &'a Page, drill: &'a Drill, entries: &[JournalEntry], running: bool) -> Show<'a> {
    let plan = Plan::read(&drill.plan_file, &drill.plan_text).ok();
    let phase = if running { phase_of(drill, entries) } else { Phase::Finished };
    Show {
        row: DrillRow::new(page, drill),
        phase: page.t(&format!("continuity.phase.{}", report::phase_code(phase))),
        running,
        may_stop: running
            && page.may(Right::RunDrills)
            && matches!(phase, Phase::CheckingBefore | Phase::Steps | Phase::Measuring),
        reasons: say_all(&reasons_of(drill), plan.as_ref(), page.lang()),
        measured: report::measured_rows(page, plan.as_ref(), measured_of(entries), rollback_of(entries)),
        facts: fact_rows(page, plan.as_ref(), entries),
        started_by: report::who(page, &drill.started_by),
        waits_for: waits_for(drill, entries).filter(|_| running && page.may(Right::RunDrills)),
        rows: super::rows::found(page, plan.as_ref(), entries),
        findings: Vec::new(),
        signed: Vec::new(),
        may_act: page.may(Right::RunDrills),
        may_sign: false,
        proof: None,
        page,
        drill,
    }
}

async fn stop(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    stop_drill(&app, &id, &principal.actor()).await.map_err(|error| PageError::new(&page, error))?;
    Ok(Redirect::to(&format!("/kelangsungan/latihan/{id}")))
}

async fn show_report(
    State(app): State<App>,
    view: View,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let language = view.language();
    let page = view.page(Section::Continuity);
    report::respond(&app, &id, language, report::Form::Html)
        .await
        .map_err(|error| PageError::new(&page, error))
}

async fn pdf_report(
    State(app): State<App>,
    view: View,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let language = view.language();
    let page = view.page(Section::Continuity);
    report::respond(&app, &id, language, report::Form::Pdf)
        .await
        .map_err(|error| PageError::new(&page, error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Language, TimeZoneName};

    #[test]
    fn a_plan_whose_file_is_broken_keeps_its_last_drill_and_says_what_is_wrong_in_the_language_of_the_page() {
        let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
        let folder = tempfile::tempdir().unwrap();
        let good = include_str!("../../../deploy/plans/lab.toml");
        std::fs::write(folder.path().join("a.toml"), good.replace("kind = ", "kidn = ")).unwrap();
        std::fs::write(folder.path().join("b.toml"), good).unwrap();
        let library = super::super::plan::read_folder(folder.path()).unwrap();
        let drill = Drill { plan_name: "Alih layanan".to_owned(), ..Drill::default() };
        let rows = plan_rows(&page, &library, &[], &[Some(drill), None], vec![(None, None), (None, None)]);
        assert!(rows[0].last.is_some() && rows[1].last.is_none());
        assert_eq!((rows[0].name.as_str(), &rows[0].id), ("Alih layanan (a.toml)", &None));
        let [broken, unfit] = [0, 1].map(|index: usize| rows[index].problems.as_ref().unwrap());
        assert!(broken.list.iter().all(|(_, text, machine)| *machine && text.starts_with("a.toml:")));
        assert_eq!(unfit.list[0].0, "step[0].action");
        let [(place, warning)] = &rows[1].warnings[..] else { panic!("one step names no host") };
        assert!(place == "step[0].host" && warning.contains("tidak menyebut servernya"), "{warning}");
        assert!(unfit.list[0].1.starts_with("tidak ada server terdaftar") && !unfit.list[0].2);
    }
}
