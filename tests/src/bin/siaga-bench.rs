//! `siaga-bench`: Siaga beside its peers on this machine, in one run. `tests/bench.sh` installs the peers.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Parser, Subcommand};
use siaga_tests::bench::scale::{self, HistoryArgs, ScaleArgs};
use siaga_tests::bench::{self, CompareArgs};

/// Measures Siaga beside its peers.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Remote write, memory, size on disk and queries, beside Prometheus and VictoriaMetrics
    Compare(CompareArgs),
    /// Memory by the number of active series
    Scale(ScaleArgs),
    /// Size and latencies of a long history
    History(HistoryArgs),
}

#[expect(clippy::print_stdout, reason = "the report is what the program is asked for")]
fn main() -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
    let lines = match Cli::parse().command {
        Command::Compare(args) => bench::compare(&args, now_ms)?,
        Command::Scale(args) => scale::scale(&args, now_ms)?,
        Command::History(args) => scale::history(&args, now_ms)?,
    };
    for line in lines {
        println!("{line}");
    }
    Ok(())
}
