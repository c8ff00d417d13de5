//! `/kapasitas/laporan`, where the planner writes and sends, and the document itself: `/kapasitas/laporan/cetak` to be
//! printed, `/kapasitas/laporan/pdf` as a file to be signed and kept.

use askama::Template;
use axum::extract::{Form, State as Shared};
use axum::response::{Html, Redirect, Response};
use serde::Deserialize;

use super::document::{STYLE, SectionText, period_name, print_template, sections};
use super::gather::gather;
use super::period::{Period, chosen};
use super::sections::{MAX_TEXT, is_known};
use super::send;
use crate::access::Right;
use crate::app::App;
use crate::console::{Page, PageError, Section, View, document, render};
use crate::http::{ApiError, Caller, Params, Routes, encode_component};
use crate::records::{audit, capacity_reports};
use crate::reports::{mail, pdf};
use crate::time::now_ms;

pub(in crate::capacity) fn routes() -> Routes {
    Routes::new()
        .page("/kapasitas/laporan", Right::ViewCapacity, "periodic report: what the planner writes", edit)
        .form("/kapasitas/laporan", Right::PlanCapacity, "write a section of the report", write)
        .page("/kapasitas/laporan/cetak", Right::ViewCapacity, "periodic report, to be printed", print)
        .page("/kapasitas/laporan/pdf", Right::ViewCapacity, "periodic report as a PDF", as_pdf)
        .form("/kapasitas/laporan/kirim", Right::PlanCapacity, "send the periodic report now", send_now)
}

#[derive(Debug, Default, Deserialize)]
struct PeriodParams {
    #[serde(default)]
    periode: String,
    /// Set after the report was sent: how many get it.
    #[serde(default)]
    terkirim: Option<usize>,
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
    /// Addresses that get it each month.
    recipients: Vec<String>,
    /// Whether it can be sent, and why not.
    sending: Result<(), String>,
    /// What came of the button.
    sent: Option<String>,
}

async fn edit(
    Shared(app): Shared<App>,
    view: View,
    Params(params): Params<PeriodParams>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let now = now_ms();
    let period = chosen(&page, &params.periode, now).map_err(failed)?;
    let gathered = gather(&app, &page, period, now).await.map_err(failed)?;
    let offered = Period::offered(now, page.zone());
    let config = app.config.current();
    let recipients = mail::addresses(&config.mail, &config.capacity.report_to);
    let template = EditTemplate {
        page: &page,
        period: period.code(),
        period_name: period_name(&page, period),
        offered: offered.iter().map(|one| (one.code(), period_name(&page, *one), *one == period)).collect(),
        sections: sections(&page, &gathered),
        may_plan: page.may(Right::PlanCapacity),
        recipients: recipients.iter().map(ToString::to_string).collect(),
        sending: match (config.mail.is_on(), recipients.is_empty()) {
            (false, _) => Err(page.t("capacity.report.mail.off")),
            (true, true) => Err(page.t("capacity.report.mail.nobody")),
            (true, false) => Ok(()),
        },
        sent: params
            .terkirim
            .map(|count| page.tv("capacity.report.mail.queued", &[("count", &count.to_string())])),
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
    let period = chosen(&page, &form.periode, now).map_err(failed)?.code();
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

async fn print(
    Shared(app): Shared<App>,
    view: View,
    Params(params): Params<PeriodParams>,
) -> Result<Response, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let now = now_ms();
    let period = chosen(&page, &params.periode, now).map_err(failed)?;
    let gathered = gather(&app, &page, period, now).await.map_err(failed)?;
    document(&print_template(&page, &gathered, period, now), STYLE).map_err(failed)
}

async fn as_pdf(
    Shared(app): Shared<App>,
    view: View,
    Params(params): Params<PeriodParams>,
) -> Result<Response, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let period = chosen(&page, &params.periode, now_ms()).map_err(failed)?;
    let file = send::make_pdf(&app, &page, period).await.map_err(failed)?;
    Ok(pdf::answer(&send::file_name(period), file))
}

async fn send_now(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<PeriodParams>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let period = chosen(&page, &form.periode, now_ms()).map_err(failed)?;
    let count = send::by_hand(&app, &page, period, principal.actor()).await.map_err(failed)?;
    Ok(Redirect::to(&format!(
        "/kapasitas/laporan?periode={}&terkirim={count}",
        encode_component(&period.code())
    )))
}
