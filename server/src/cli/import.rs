//! `siaga-server import`: brings months of history into a running server, with progress. Its status is 0 only if every
//! line was taken; a line that is not costs itself alone, and makes the status [`SOME_LEFT_OUT`].

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};
use siaga_protocol::agent_api::Problem;
use siaga_protocol::remote_write;

use super::client::{Client, ServerArgs};
use crate::ingest::http::HISTORY;
use crate::ingest::import::{BadLine, Batch, CsvOptions, Event, Format, ImportError, read};

/// Status of the program when some lines were not taken and all others are stored.
pub(super) const SOME_LEFT_OUT: u8 = 3;
/// Broken lines that are printed; the rest is only counted.
const MAX_PRINTED_LINES: u64 = 100;
/// Attempts while the server is busy.
const MAX_ATTEMPTS: u32 = 30;

#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Format of the file.
    #[arg(long, value_enum)]
    format: FormatName,
    /// CSV: metric of all rows, where the file has no column `metric`.
    #[arg(long)]
    metric: Option<String>,
    /// CSV: a label that every sample gets, NAME=VALUE; may be given several times.
    #[arg(long = "label", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// The file; `-` reads standard input.
    file: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FormatName {
    /// OpenMetrics text with timestamps.
    #[value(name = "openmetrics")]
    OpenMetrics,
    /// CSV with a header line.
    Csv,
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or("not NAME=VALUE".to_owned())
}

/// Counts of one import.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    samples: u64,
    bad_lines: u64,
}

pub(super) fn run(args: ImportArgs, runtime: &tokio::runtime::Runtime) -> anyhow::Result<ExitCode> {
    let client = Client::new(&args.server)?;
    let format = match args.format {
        FormatName::OpenMetrics => Format::OpenMetrics,
        FormatName::Csv => Format::Csv(CsvOptions { metric: args.metric, labels: args.labels }),
    };
    let (input, size) = open(&args.file)?;
    let bar = progress_bar(size);
    let mut import = Import { client, runtime, bar: bar.clone(), counts: Counts::default() };
    let outcome = read(&format, BufReader::new(bar.wrap_read(input)), &mut |event| import.take(event));
    bar.finish_and_clear();
    let counts = import.counts;
    super::out::line(format_args!(
        "samples imported: {}, lines not taken: {}",
        counts.samples, counts.bad_lines
    ))?;
    match outcome {
        Ok(()) if counts.bad_lines > 0 => Ok(ExitCode::from(SOME_LEFT_OUT)),
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(ImportError::Sink(error)) => {
            Err(error.context("the import ended early; what was counted is stored"))
        }
        Err(error) => bail!("{}: {:#}", args.file.display(), anyhow::Error::msg(error.to_string())),
    }
}

fn open(file: &Path) -> anyhow::Result<(Box<dyn Read>, Option<u64>)> {
    if file == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), None));
    }
    let opened = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let size = opened.metadata().ok().map(|metadata| metadata.len());
    Ok((Box::new(opened), size))
}

fn progress_bar(size: Option<u64>) -> ProgressBar {
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:40} {bytes}/{total_bytes} {eta} left, {msg}"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}, {msg}"),
    };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

struct Import<'a> {
    client: Client,
    runtime: &'a tokio::runtime::Runtime,
    bar: ProgressBar,
    counts: Counts,
}

impl Import<'_> {
    fn take(&mut self, event: Event) -> anyhow::Result<()> {
        match event {
            Event::Bad(bad) => self.report(&bad),
            Event::NoEnd => self.bar.suspend(|| {
                tracing::warn!("the file does not end with `# EOF`: it may have been cut off");
            }),
            Event::Batch(batch) => self.store(batch)?,
        }
        self.bar.set_message(format!("{} samples", self.counts.samples));
        Ok(())
    }

    fn report(&mut self, bad: &BadLine) {
        self.counts.bad_lines += 1;
        if self.counts.bad_lines <= MAX_PRINTED_LINES {
            self.bar.suspend(|| tracing::warn!(line = bad.line, "{}", bad.reason));
        } else if self.counts.bad_lines == MAX_PRINTED_LINES + 1 {
            self.bar.suspend(|| tracing::warn!("further lines that are not taken are only counted"));
        }
    }

    /// Stores a batch; one that is refused is halved until the refused samples stand alone.
    fn store(&mut self, batch: Batch) -> anyhow::Result<()> {
        let mut waiting = vec![batch];
        while let Some(batch) = waiting.pop() {
            let Some(reason) = self.runtime.block_on(send(&self.client, &batch))? else {
                self.counts.samples += u64::try_from(batch.samples()).unwrap_or(0);
                continue;
            };
            let line = batch.items.first().and_then(|item| item.samples.first()).map_or(0, |sample| sample.2);
            match batch.halves() {
                Some((first, second)) => waiting.extend([second, first]),
                None => self.report(&BadLine { line, reason }),
            }
        }
        Ok(())
    }
}

/// Sends a batch: `None` if it was stored, else why it is refused.
async fn send(client: &Client, batch: &Batch) -> anyhow::Result<Option<String>> {
    let body = remote_write::encode(&batch.request())?;
    for attempt in 1..=MAX_ATTEMPTS {
        let response = client
            .request(Method::POST, HISTORY)
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .body(body.clone())
            .send()
            .await
            .with_context(|| format!("cannot reach the server at {}", client.base()))?;
        let status = response.status();
        if status.is_success() {
            return Ok(None);
        }
        let reason =
            response.json::<Problem>().await.map_or_else(|_| status.to_string(), |problem| problem.error);
        match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => return Ok(Some(reason)),
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS if attempt < MAX_ATTEMPTS => {
                tokio::time::sleep(Duration::from_secs(2)).await;
            }
            _ => bail!("the server answered {status}: {reason}"),
        }
    }
    bail!("the server stayed busy")
}
