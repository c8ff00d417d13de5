//! Memory by the number of active series, and what a long history costs. Siaga alone.

use std::time::Instant;

use anyhow::ensure;
use clap::Args;

use super::fleet::{Load, SERIES_PER_HOST};
use super::servers::{Kind, Running};
use super::wire::Connection;
use super::{AFTERMATH, ingest};

/// Active series to measure.
#[derive(Debug, Clone, Args)]
pub struct ScaleArgs {
    /// Numbers of active series
    #[arg(long, value_delimiter = ',', default_value = "20000,200000,1000000")]
    pub series: Vec<usize>,
    /// Collections that are sent of each
    #[arg(long, default_value_t = 20)]
    pub collections: usize,
    /// Path of `siaga-server`
    #[arg(long, default_value = "target/release/siaga-server")]
    pub siaga: std::path::PathBuf,
}

/// Size of a history.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// Hosts, each with 100 series at 15 s
    #[arg(long, default_value_t = 50)]
    pub hosts: usize,
    /// Days
    #[arg(long, default_value_t = 365)]
    pub days: usize,
    /// Path of `siaga-server`
    #[arg(long, default_value = "target/release/siaga-server")]
    pub siaga: std::path::PathBuf,
}

/// Memory for each number of series.
///
/// # Errors
/// The server does not start or refuses samples.
#[expect(clippy::cast_precision_loss, reason = "bytes and series stay far below 2^53")]
pub fn scale(args: &ScaleArgs, now_ms: i64) -> anyhow::Result<Vec<String>> {
    let mut lines =
        vec![format!("{:>10}{:>12}{:>12}{:>16}", "series", "peak MB", "now MB", "bytes a series")];
    for &series in &args.series {
        let load = Load::of_steps(series.div_ceil(SERIES_PER_HOST), args.collections, 1, now_ms);
        let requests = load.requests()?;
        let server = Running::start(Kind::Siaga, &args.siaga)?;
        let idle = server.resident_bytes()?;
        let done = ingest::run(&server, &requests, load.samples(), AFTERMATH)?;
        let now = server.resident_bytes()?;
        lines.push(format!(
            "{series:>10}{:>12.0}{:>12.0}{:>16.0}",
            done.peak_bytes as f64 / 1e6,
            now as f64 / 1e6,
            now.saturating_sub(idle) as f64 / series as f64
        ));
    }
    Ok(lines)
}

/// Imports a history day by day, settles it and asks for all of it.
///
/// # Errors
/// The server does not start or refuses samples.
#[expect(clippy::cast_precision_loss, reason = "bytes and samples stay far below 2^53")]
pub fn history(args: &HistoryArgs, now_ms: i64) -> anyhow::Result<Vec<String>> {
    let server = Running::start(Kind::Siaga, &args.siaga)?;
    let load = Load::of_days(args.hosts, args.days, now_ms);
    let began = Instant::now();
    let cpu = server.cpu_seconds()?;
    load.each_day(|body| ingest::send_history(&server, body))?;
    let disk = server.settle()?;
    let (took, cpu) = (began.elapsed().as_secs_f64(), server.cpu_seconds()? - cpu);
    let samples = load.samples() as f64;
    let mut lines = vec![
        format!(
            "{} hosts x {SERIES_PER_HOST} series, {} days at 15 s: {samples} samples",
            args.hosts, args.days
        ),
        format!(
            "imported and settled in {took:.0} s: {:.0} samples/s, {:.2} CPU s per million",
            samples / took,
            cpu / samples * 1e6
        ),
        format!("on disk {:.1} MB: {:.3} bytes a sample", disk as f64 / 1e6, disk as f64 / samples),
        format!(
            "resident memory {:.0} MB, at most {:.0} MB",
            server.resident_bytes()? as f64 / 1e6,
            server.peak_bytes()? as f64 / 1e6
        ),
    ];
    let (start, end) = (load.start_ms() / 1000, load.end_ms() / 1000);
    for (what, expression, step) in [
        ("a load, every 6 h", "node_load1", 21_600),
        ("busiest hour of each day", "max_over_time(node_load1[1d])", 86_400),
        ("disk growth, every day", "rate(node_filesystem_used_bytes[1d])", 86_400),
        ("CPU by host, every 6 h", "sum by (host) (rate(node_cpu_seconds_total[6h]))", 21_600),
    ] {
        let query: String = super::queries::form_urlencode(expression);
        let target =
            format!("/prometheus/api/v1/query_range?query={query}&start={start}&end={end}&step={step}");
        let began = Instant::now();
        let (status, body) = Connection::open(server.address, &server.authorization)?.get(&target)?;
        let text = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
        let answer = if status == 200 { format!("{} bytes", body.len()) } else { text };
        ensure!(status / 100 == 2 || status / 100 == 4, "{expression} answered {status}: {answer}");
        lines.push(format!(
            "{what:<26} {expression:<52} {:>9.1} ms  {answer}",
            began.elapsed().as_secs_f64() * 1e3
        ));
    }
    Ok(lines)
}
