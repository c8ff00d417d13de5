//! The page on which drills of a plan are approved: `/kelangsungan/rencana/{id}/persetujuan`.

use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{Html, Redirect};
use jiff::civil::Date;
use serde::Deserialize;

use super::approval::{GiveBody, Standing, role_of, standing, text_digest, withdraw};
use super::approval_http::{MAX_LISTED, approve_as, user};
use super::begin::library;
use super::plan::{Entry, Plan};
use crate::access::Right;
use crate::app::App;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Routes};
use crate::records::drill_approvals::{self, ApprovalRow};
use crate::records::{RecordsError, rusqlite::Transaction};
use crate::time::{Millis, millis, now_ms};

pub(super) fn routes() -> Routes {
    let page = "/kelangsungan/rencana/{id}/persetujuan";
    Routes::new()
        .page(page, Right::ViewContinuity, "approvals of a plan", show)
        .form(page, Right::ApproveDrills, "approve the next drill of a plan", approve)
        .form(
            "/kelangsungan/rencana/{id}/persetujuan/cabut",
            Right::ApproveDrills,
            "withdraw one's own approval",
            take_back,
        )
}

/// How it stands with the approvals of a plan, for people; nothing where it needs none.
pub(super) async fn in_words(
    app: &App,
    page: &Page,
    plan: &Plan,
    entry: &Entry,
) -> Result<Option<(String, bool)>, RecordsError> {
    let Some(found) = standing_now(app, plan, entry, None).await? else { return Ok(None) };
    let (given, wanted) = (found.holding.len().to_string(), found.wanted.to_string());
    let words = page.tv("continuity.approval.standing", &[("given", &given), ("wanted", &wanted)]);
    Ok(Some((words, found.enough())))
}

/// How it stands with the approvals of a plan, if it needs any.
pub(super) async fn standing_now(
    app: &App,
    plan: &Plan,
    entry: &Entry,
    asker: Option<&str>,
) -> Result<Option<Standing>, RecordsError> {
    let Some(approval) = &plan.approval else { return Ok(None) };
    let (id, digest) = (plan.id.clone(), text_digest(&entry.text));
    let rows = app.records.run(move |db| drill_approvals::holding(db, &id, &digest, now_ms())).await?;
    Ok(Some(standing(approval, rows, asker)))
}

/// An approval, worded.
struct ApprovalView {
    id: String,
    name: String,
    role: String,
    reason: String,
    given: String,
    until: String,
    state: String,
    badge: &'static str,
    own: bool,
}

impl ApprovalView {
    fn new(page: &Page, row: ApprovalRow, digest: &str, holding: &[ApprovalRow]) -> Self {
        let holds = holding.iter().any(|one| one.id == row.id);
        let (state, badge) = match () {
            () if row.drill_id.is_some() => ("continuity.approval.used", "info"),
            () if row.withdrawn_at_ms.is_some() => ("continuity.approval.withdrawn", "warn"),
            () if holds => ("continuity.approval.holds", "ok"),
            () if row.plan_sha256 != digest => ("continuity.approval.other_text", "warn"),
            () => ("continuity.approval.over", "warn"),
        };
        Self {
            own: holds && page.user().is_some_and(|user| user.id == row.user_id),
            name: row.name,
            role: page.t(&format!("role.{}", row.role.code())),
            reason: row.reason,
            given: page.datetime(row.given_at_ms),
            until: page.datetime(row.valid_until_ms),
            state: page.t(state),
            badge,
            id: row.id,
        }
    }
}

#[derive(Template)]
#[template(path = "continuity/approval.html")]
struct Show<'a> {
    page: &'a Page,
    plan: &'a Plan,
    standing: String,
    enough: bool,
    roles: String,
    rows: Vec<ApprovalView>,
    /// Whether the viewer may approve, and has not yet.
    may_approve: bool,
    longest: String,
}

async fn show(State(app): State<App>, view: View, Path(id): Path<String>) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let library = library(&app).await?;
        let missing = || ApiError::not_found(format!("plan {id}"));
        let (plan, entry) = library.get(&id).ok_or_else(missing)?;
        let approval = plan.approval.as_ref().ok_or_else(missing)?;
        let (digest, plan_id, now) = (text_digest(&entry.text), plan.id.clone(), now_ms());
        let wanted = digest.clone();
        let read = move |db: &Transaction<'_>| {
            let holding = drill_approvals::holding(db, &plan_id, &wanted, now)?;
            Ok::<_, RecordsError>((holding, drill_approvals::latest(db, &plan_id, MAX_LISTED)?))
        };
        let (holding, latest) = app.records.run(read).await?;
        let found = standing(approval, holding.clone(), None);
        let (given, wanted) = (found.holding.len().to_string(), found.wanted.to_string());
        let role = |role: &crate::access::Role| page.t(&format!("role.{}", role.code()));
        let has_approved = |id: &str| found.holding.iter().any(|row| row.user_id == id);
        let may = |user: &crate::access::UserPrincipal| {
            role_of(approval, user).is_some() && !has_approved(&user.id)
        };
        render(&Show {
            standing: page.tv("continuity.approval.standing", &[("given", &given), ("wanted", &wanted)]),
            enough: found.enough(),
            roles: approval.roles.iter().map(role).collect::<Vec<_>>().join(", "),
            may_approve: page.user().is_some_and(may),
            rows: latest.into_iter().map(|row| ApprovalView::new(&page, row, &digest, &holding)).collect(),
            longest: page.datetime(now + millis(approval.valid)),
            plan,
            page: &page,
        })
    };
    work.await.map_err(|error: ApiError| PageError::new(&page, error))
}

#[derive(Debug, Deserialize)]
struct ApproveForm {
    reason: String,
    /// A date, its end counts; empty: the longest time of the plan.
    #[serde(default)]
    until: String,
}

/// The end of a date in the page's zone.
pub(super) fn end_of(page: &Page, date: &str) -> Result<Option<Millis>, ApiError> {
    if date.trim().is_empty() {
        return Ok(None);
    }
    let wrong = || ApiError::bad_request(format!("{date:?} is no date")).at("until");
    let date: Date = date.trim().parse().map_err(|_| wrong())?;
    let next = date.tomorrow().map_err(|_| wrong())?.to_zoned(page.zone().clone()).map_err(|_| wrong())?;
    Ok(Some(next.timestamp().as_millisecond() - 1))
}

async fn approve(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<String>,
    Form(form): Form<ApproveForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let body = GiveBody { reason: form.reason, valid_until_ms: end_of(&page, &form.until)? };
        approve_as(&app, &id, user(principal)?, body).await
    };
    let row = work.await.map_err(|error: ApiError| PageError::new(&page, error))?;
    Ok(back_to(&row.plan_id))
}

fn back_to(plan_id: &str) -> Redirect {
    // Identifiers of plans are letters, digits and "-".
    Redirect::to(&format!("/kelangsungan/rencana/{plan_id}/persetujuan"))
}

#[derive(Debug, Deserialize)]
struct WithdrawForm {
    id: String,
}

async fn take_back(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(_): Path<String>,
    Form(form): Form<WithdrawForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Continuity);
    let work = async {
        let user = user(principal)?;
        app.records.run(move |db| withdraw(db, &form.id, &user, now_ms())).await
    };
    let row = work.await.map_err(|error: ApiError| PageError::new(&page, error))?;
    Ok(back_to(&row.plan_id))
}
