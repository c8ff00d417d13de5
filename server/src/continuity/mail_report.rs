//! Sends the report of a drill that has ended as a PDF, once, to those named in `[continuity] report_to`.

use super::bodies::load;
use super::report::{as_pdf, file_name};
use crate::app::App;
use crate::console::Page;
use crate::records::mail_outbox;
use crate::reports::mail::{self, Attachment, Message};
use crate::time::now_ms;

/// Queues the report, if the drill has ended and somebody is to get it.
pub(super) async fn queue(app: &App, drill_id: &str) -> anyhow::Result<()> {
    let config = app.config.current();
    if !config.mail.is_on() || mail::addresses(&config.mail, &config.continuity.report_to).is_empty() {
        return Ok(());
    }
    let (drill, _) = load(app, drill_id).await.map_err(|error| anyhow::anyhow!("{}", error.message()))?;
    let (key, now) = (format!("drill_report/{}", drill.id), now_ms());
    let wanted = key.clone();
    let known = app.records.run(move |db| mail_outbox::is_known(db, &wanted)).await?;
    if known || drill.ended_at_ms.is_none() {
        return Ok(());
    }
    let console = &config.console;
    let page = Page::detached(
        console.language,
        &console.organisation,
        console.time_zone.clone(),
        console.simulation,
    );
    let (number, status) = (drill.number.to_string(), page.t(&format!("continuity.status.{}", drill.status)));
    let plan = super::pages::plan_name(&page, &drill);
    let values: [(&str, &str); 4] =
        [("number", &number), ("plan", &plan), ("status", &status), ("organisation", page.organisation())];
    let (_, pdf) = as_pdf(app, drill_id, console.language)
        .await
        .map_err(|error| anyhow::anyhow!("{}", error.message()))?;
    let message = Message {
        key,
        subject: page.tv("continuity.mail.subject", &values),
        body: page.tv("continuity.mail.body", &values),
        attachment: Some(Attachment {
            name: file_name(drill.number),
            media_type: "application/pdf".to_owned(),
            bytes: pdf,
        }),
    };
    let config = config.clone();
    app.records
        .run(move |db| mail::enqueue(db, &config.mail, &message, &config.continuity.report_to, now))
        .await?;
    Ok(())
}
