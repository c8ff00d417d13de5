//! The simulated office: a dozen servers with months of history, for demonstrations, import tests and load tests.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use siaga_tests::sim::export::{self, ExportArgs};
use siaga_tests::sim::load::{self, LoadArgs};
use siaga_tests::sim::office::{self, OfficeArgs};

/// Simulates the servers of an office.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Enrol an office at a server, send its history and go on live
    Office(OfficeArgs),
    /// Write an office's history to standard output
    Export(ExportArgs),
    /// Push load to a server and print samples a second, errors and latency
    Load(LoadArgs),
}

/// Milliseconds since the epoch.
fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::print_stdout, reason = "the report is what the program is asked for")]
fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start")?;
    match cli.command {
        Command::Office(args) => runtime.block_on(office::run(args, now_ms)),
        Command::Export(args) => export::run(&args, now_ms()),
        Command::Load(args) => {
            for line in runtime.block_on(load::run(&args, now_ms))? {
                println!("{line}");
            }
            Ok(())
        }
    }
}
