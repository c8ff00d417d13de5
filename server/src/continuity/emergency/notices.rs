//! Delivers what units are to be told through their webhooks, and notes whom it reached and whom not.

use std::time::Duration;

use tokio::task::JoinSet;

use super::refresh;
use crate::app::{App, every};
use crate::continuity::prober::client;
use crate::records::disruptions::{self, Entry, Notice};
use crate::time::{Millis, SECOND_MS, now_ms};

/// How often it is looked for notices.
const INTERVAL: Duration = Duration::from_secs(2);
/// Longest time for one webhook.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts before a unit counts as not reached.
const MAX_ATTEMPTS: u32 = 8;
/// Notices of one round.
const MAX_A_ROUND: u32 = 20;

/// Starts the background task.
pub(in crate::continuity) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(
        set,
        app,
        "emergency_notices",
        |_| INTERVAL,
        |app| async move {
            refresh(&app).await?;
            run(&app).await
        },
    );
}

async fn run(app: &App) -> anyhow::Result<()> {
    let now = now_ms();
    let due = app.records.run(move |db| disruptions::due_notices(db, now, MAX_A_ROUND)).await?;
    for notice in due {
        let failure = deliver(&notice).await.err();
        app.records.run(move |db| note(db, &notice, failure, now_ms())).await?;
    }
    Ok(())
}

async fn deliver(notice: &Notice) -> anyhow::Result<()> {
    let request = client()?
        .post(&notice.url)
        .header("content-type", "application/json")
        // The same notice may come twice.
        .header("idempotency-key", &notice.id)
        .timeout(TIMEOUT)
        .body(notice.body.clone());
    let status = request.send().await.map_err(reqwest::Error::without_url)?.status();
    anyhow::ensure!(status.is_success(), "HTTP {}", status.as_u16());
    Ok(())
}

fn note(
    db: &crate::records::rusqlite::Connection,
    notice: &Notice,
    failure: Option<anyhow::Error>,
    now: Millis,
) -> crate::records::Result<()> {
    let last = failure.is_none() || notice.attempts + 1 >= MAX_ATTEMPTS;
    let pause = (SECOND_MS * 5) << notice.attempts.min(8);
    disruptions::tried_notice(db, &notice.id, last.then_some(now), now + pause)?;
    if !last {
        return Ok(());
    }
    let (kind, words) = match failure {
        None => ("told", notice.unit.clone()),
        Some(error) => ("not_told", format!("{}: {error:#}", notice.unit)),
    };
    let entry =
        Entry { at_ms: now, actor: "siaga".to_owned(), kind: kind.to_owned(), words, ..Entry::default() };
    disruptions::add_entry(db, &notice.disruption_id, &entry)
}
