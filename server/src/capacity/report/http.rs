//! The report for programs: `/api/v1/reports/capacity`, with its texts in the language of the office.

use axum::Json;
use axum::extract::State as Shared;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::document::{SectionText, TrendRow, print_template};
use super::form::FormRow;
use super::gather::gather;
use super::period::chosen;
use super::send::{by_hand, file_name, make_pdf, own_page};
use crate::access::Right;
use crate::app::App;
use crate::http::{ApiError, Caller, OptionalJsonBody, Params, Routes};
use crate::reports::pdf;
use crate::time::{Millis, now_ms};

pub(in crate::capacity) fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/reports/capacity", Right::ViewCapacity, "periodic report of capacity (period)", report)
        .get("/api/v1/reports/capacity/pdf", Right::ViewCapacity, "the same as a PDF (period)", as_pdf)
        .post(
            "/api/v1/reports/capacity/send",
            Right::PlanCapacity,
            "mail it to those named in the configuration (period)",
            send,
        )
}

/// Which month, such as `2026-11`; the running one if none is named.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Asked {
    period: String,
}

#[derive(Debug, Serialize)]
struct ReportBody {
    period: String,
    made_at_ms: Millis,
    sections: Vec<SectionText>,
    /// The record form (Formulir Pencatatan).
    form: Vec<FormRow>,
    trends: Vec<TrendRow>,
}

async fn report(
    Shared(app): Shared<App>,
    Params(asked): Params<Asked>,
) -> Result<Json<ReportBody>, ApiError> {
    let page = own_page(&app.config.current());
    let now = now_ms();
    let period = chosen(&page, &asked.period, now)?;
    let gathered = gather(&app, &page, period, now).await?;
    let template = print_template(&page, &gathered, period, now);
    Ok(Json(ReportBody {
        period: period.code(),
        made_at_ms: now,
        sections: template.sections,
        form: template.form,
        trends: template.trends,
    }))
}

async fn as_pdf(Shared(app): Shared<App>, Params(asked): Params<Asked>) -> Result<Response, ApiError> {
    let page = own_page(&app.config.current());
    let period = chosen(&page, &asked.period, now_ms())?;
    Ok(pdf::answer(&file_name(period), make_pdf(&app, &page, period).await?))
}

#[derive(Debug, Serialize)]
struct SentBody {
    /// Addresses that it was queued for.
    queued: usize,
}

async fn send(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
    OptionalJsonBody(asked): OptionalJsonBody<Asked>,
) -> Result<Json<SentBody>, ApiError> {
    let page = own_page(&app.config.current());
    let period = chosen(&page, &asked.period, now_ms())?;
    Ok(Json(SentBody { queued: by_hand(&app, &page, period, principal.actor()).await? }))
}
