//! `siaga-server import-events`: brings events that are known beforehand into a running server. Its status is 0 only if
//! every line was taken.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use siaga_protocol::agent_api::Problem;

use super::client::{Client, ServerArgs};
use super::import::SOME_LEFT_OUT;
use crate::capacity::{EventCategory, EventFormat, IMPORT_EVENTS, ImportedEvents};

#[derive(Debug, Args)]
pub(super) struct ImportEventsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Format of the file; without it, it is seen from its beginning.
    #[arg(long, value_enum)]
    format: Option<EventFormat>,
    /// Category of events that name none.
    #[arg(long, value_enum, default_value = "tender")]
    category: EventCategory,
    /// The file: iCalendar, or CSV with a header that names `name` and `start`, and `end`, `category` and `id` where
    /// wanted.
    file: PathBuf,
}

pub(super) async fn run(args: ImportEventsArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read(&args.file).with_context(|| format!("cannot read {}", args.file.display()))?;
    let client = Client::new(&args.server)?;
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("category", args.category.code());
    if let Some(format) = args.format {
        query.append_pair("format", if format == EventFormat::Ics { "ics" } else { "csv" });
    }
    if let Some(name) = args.file.file_name() {
        query.append_pair("source", &name.to_string_lossy());
    }
    let path = format!("{IMPORT_EVENTS}?{}", query.finish());
    let request = client.request(Method::POST, &path).header(CONTENT_TYPE, "text/plain; charset=utf-8");
    let response = request
        .body(text)
        .send()
        .await
        .with_context(|| format!("cannot reach the server at {}", client.base()))?;
    let status = response.status();
    if !status.is_success() {
        let problem = response.json::<Problem>().await;
        bail!("{status}: {}", problem.map_or_else(|_| "no reason given".to_owned(), |p| p.error));
    }
    let done: ImportedEvents = response.json().await.context("cannot read the answer")?;
    for bad in &done.bad {
        tracing::warn!(line = bad.line, "{}", bad.reason);
    }
    super::out::line(format_args!(
        "{} events added, {} changed, {} known already, {} lines not taken",
        done.added, done.changed, done.known, done.bad_lines
    ))?;
    Ok(if done.bad_lines > 0 { ExitCode::from(SOME_LEFT_OUT) } else { ExitCode::SUCCESS })
}
