//! `siaga-bench`: the same samples and the same queries to Siaga, Prometheus and VictoriaMetrics, in one run.
//!
//! The requests are encoded before the clock starts, so that the sender costs next to nothing. Only ratios of one run
//! mean something: the machine is whatever it is.

pub mod fleet;
pub mod ingest;
pub mod queries;
pub mod report;
pub mod scale;
pub mod servers;
pub mod wire;

use std::time::Duration;

use clap::Args;

use fleet::Load;
use report::Row;
use servers::{Kind, Running};

/// Time that is given to a server for work that it put off while samples came.
const AFTERMATH: Duration = Duration::from_secs(3);

/// What is compared.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Hosts, each with 100 series
    #[arg(long, default_value_t = 200)]
    pub hosts: usize,
    /// Hours of samples
    #[arg(long, default_value_t = 6)]
    pub hours: usize,
    /// Samples of a series in each request
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
    /// Times that each query is asked; the median counts
    #[arg(long, default_value_t = 7)]
    pub repeat: usize,
    /// Servers to start
    #[arg(long, value_delimiter = ',', default_value = "siaga,victoria-metrics,prometheus")]
    pub servers: Vec<String>,
    /// Leave out the queries
    #[arg(long)]
    pub no_queries: bool,
    /// Path of `siaga-server`
    #[arg(long, default_value = "target/release/siaga-server")]
    pub siaga: std::path::PathBuf,
}

/// What was measured of one server.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Which one.
    pub kind: Kind,
    /// What it did with the samples.
    pub ingest: ingest::Ingested,
    /// Bytes of its files when everything has settled.
    pub disk_bytes: u64,
    /// Latencies of the queries, milliseconds, while the data is as a live server has it.
    pub live_ms: Vec<f64>,
    /// The same once everything has settled.
    pub settled_ms: Vec<f64>,
}

/// Runs the comparison and gives the lines of its report.
///
/// # Errors
/// A server does not start or refuses what it is sent.
pub fn compare(args: &CompareArgs, now_ms: i64) -> anyhow::Result<Vec<String>> {
    let load = Load::new(args.hosts, args.hours, args.batch, now_ms);
    let requests = load.requests()?;
    let samples = load.samples();
    let mut measured = Vec::new();
    for name in &args.servers {
        let kind: Kind = name.parse()?;
        let server = Running::start(kind, &args.siaga)?;
        let ingest = ingest::run(&server, &requests, samples, AFTERMATH)?;
        let ask = |server: &Running| match args.no_queries {
            true => Ok(Vec::new()),
            false => queries::latencies(server, load.end_ms(), args.repeat),
        };
        let live_ms = ask(&server)?;
        let disk_bytes = server.settle()?;
        let settled_ms = ask(&server)?;
        measured.push(Measured { kind, ingest, disk_bytes, live_ms, settled_ms });
    }
    let mut lines = vec![format!(
        "{} hosts x {} series, {} h at {} s, {} samples of a series in a request of {}: {} samples",
        args.hosts,
        fleet::SERIES_PER_HOST,
        args.hours,
        fleet::STEP_MS / 1000,
        args.batch,
        fleet::REQUEST_SAMPLES,
        samples
    )];
    let rows: Vec<Row> = report::rows(&measured, samples);
    lines.extend(report::table(&rows, &measured));
    Ok(lines)
}
