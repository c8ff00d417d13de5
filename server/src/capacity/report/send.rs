//! The report as a PDF, and its way by mail to those named in `[capacity] report_to`: by itself once a month, as soon as
//! the month has ended, and by hand.

use super::document::{period_name, print_template};
use super::gather::gather;
use super::period::Period;
use crate::app::App;
use crate::config::Config;
use crate::console::{Page, render};
use crate::http::ApiError;
use crate::records::{audit, mail_outbox};
use crate::reports::mail::{self, Attachment, MailError, Message};
use crate::reports::pdf;
use crate::time::now_ms;

/// Name of the file.
pub(super) fn file_name(period: Period) -> String {
    format!("laporan-kapasitas-{}.pdf", period.code())
}

/// The document of a month as a PDF.
pub(super) async fn make_pdf(app: &App, page: &Page, period: Period) -> Result<Vec<u8>, ApiError> {
    let now = now_ms();
    let gathered = gather(app, page, period, now).await?;
    let html = render(&print_template(page, &gathered, period, now))?.0;
    Ok(pdf::render(app, &html).await?)
}

/// A page in the office's own language, for what no person asked for.
pub(super) fn own_page(config: &Config) -> Page {
    let console = &config.console;
    Page::detached(console.language, &console.organisation, console.time_zone.clone(), console.simulation)
}

fn message(page: &Page, period: Period, key: String, pdf: Vec<u8>) -> Message {
    let name = period_name(page, period);
    let values = [("period", name.as_str()), ("organisation", page.organisation())];
    Message {
        key,
        subject: page.tv("capacity.report.mail.subject", &values),
        body: page.tv("capacity.report.mail.body", &values),
        attachment: Some(Attachment {
            name: file_name(period),
            media_type: "application/pdf".to_owned(),
            bytes: pdf,
        }),
    }
}

/// Queues the report for those named; gives how many get it.
pub(super) async fn by_hand(
    app: &App,
    page: &Page,
    period: Period,
    actor: String,
) -> Result<usize, ApiError> {
    let config = app.config.current();
    if !config.mail.is_on() {
        return Err(MailError::Off.into());
    }
    let pdf = make_pdf(app, page, period).await?;
    let now = now_ms();
    let message = message(page, period, format!("capacity_report/{}/{now}", period.code()), pdf);
    let code = period.code();
    let queued = app.records.run(move |db| {
        let count = mail::enqueue(db, &config.mail, &message, &config.capacity.report_to, now)?;
        audit::add(db, now, &actor, "capacity_report.send", &code, &count.to_string())?;
        Ok::<_, MailError>(count)
    });
    Ok(queued.await?)
}

/// Queues the report of the month that ended, once, if there is something to report and somebody to get it.
///
/// # Errors
/// If the document cannot be made or the records fail; the next run tries again.
pub(in crate::capacity) async fn run(app: &App) -> anyhow::Result<()> {
    let config = app.config.current();
    if !config.mail.is_on() || mail::addresses(&config.mail, &config.capacity.report_to).is_empty() {
        return Ok(());
    }
    let page = own_page(&config);
    let now = now_ms();
    let period = Period::of(now, page.zone()).before();
    let key = format!("capacity_report/{}", period.code());
    let wanted = key.clone();
    if app.records.run(move |db| mail_outbox::is_known(db, &wanted)).await? {
        return Ok(());
    }
    let gathered = gather(app, &page, period, now).await.map_err(failed)?;
    if !gathered.measured.iter().any(|one| one.statistics.is_some()) {
        // A server that was not there in that month, or whose first pass has not run yet.
        return Ok(());
    }
    let html = render(&print_template(&page, &gathered, period, now)).map_err(failed)?.0;
    let pdf = pdf::render(app, &html).await?;
    let message = message(&page, period, key, pdf);
    let queued = app
        .records
        .run(move |db| mail::enqueue(db, &config.mail, &message, &config.capacity.report_to, now))
        .await?;
    tracing::info!(period = period.code(), mail.recipients = queued, "report of capacity queued");
    Ok(())
}

fn failed(error: ApiError) -> anyhow::Error {
    error.log();
    anyhow::anyhow!("cannot make the report: {}", error.message())
}

#[cfg(test)]
#[path = "send_tests.rs"]
mod tests;
