//! Writes the office's history as text, for tests of imports and for load tests.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};

use super::calendar::{DAY_MS, MINUTE_MS};
use super::cast::{self, MAX_HOSTS};
use super::history::{History, MAX_DAYS, history, moments};
use super::host::Host;

/// How history is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// OpenMetrics text with times.
    Openmetrics,
}

/// What is exported.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// How it is written
    #[arg(long, value_enum, default_value = "openmetrics")]
    pub format: Format,
    /// Days of history
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    pub days: u32,
    /// Servers
    #[arg(long, default_value_t = 12)]
    pub hosts: usize,
    /// The same seed and end give the same figures
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// End of the history, seconds since the epoch (default: now)
    #[arg(long, value_name = "SECONDS")]
    pub until: Option<i64>,
}

/// Writes the history to standard output.
///
/// # Errors
/// If an argument is out of bounds or the output cannot be written.
pub fn run(args: &ExportArgs, now_ms: i64) -> anyhow::Result<()> {
    ensure!((1..=MAX_HOSTS).contains(&args.hosts), "--hosts is not between 1 and {MAX_HOSTS}");
    let until_ms = match args.until {
        Some(seconds) => seconds.checked_mul(1_000).context("--until is too far away")?,
        None => now_ms - now_ms.rem_euclid(MINUTE_MS),
    };
    let histories = histories(args.seed, args.hosts, i64::from(args.days), until_ms);
    let Format::Openmetrics = args.format;
    match write_openmetrics(BufWriter::new(io::stdout().lock()), &histories) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write the history"),
    }
}

/// The history of the first `hosts` servers.
#[must_use]
pub fn histories(seed: u64, hosts: usize, days: i64, until_ms: i64) -> Vec<History> {
    let from_ms = until_ms - days * DAY_MS;
    let moments = moments(from_ms, until_ms);
    let make = |machine: cast::Machine| {
        let instance = machine.name.clone();
        history(Host::new(machine, seed, from_ms, until_ms), &instance, &moments)
    };
    cast::office(hosts).into_iter().map(make).collect()
}

/// The columns of one metric family, by history and place.
#[derive(Default)]
struct Family<'a> {
    counter: bool,
    columns: Vec<(&'a History, usize)>,
}

/// Writes OpenMetrics 1.0: families in one piece each, times in seconds.
///
/// # Errors
/// If the output cannot be written.
pub fn write_openmetrics(mut out: impl Write, histories: &[History]) -> io::Result<()> {
    let mut families: BTreeMap<&str, Family<'_>> = BTreeMap::new();
    for history in histories {
        for (place, (series, _)) in history.columns.iter().enumerate() {
            let family = families.entry(series.name()).or_default();
            family.counter = series.counter;
            family.columns.push((history, place));
        }
    }
    for (name, family) in families {
        let kind = if family.counter { "counter" } else { "gauge" };
        writeln!(out, "# TYPE {} {kind}", name.strip_suffix("_total").unwrap_or(name))?;
        for (history, place) in family.columns {
            let (series, values) = &history.columns[place];
            let head = head(&series.labels);
            for (at, value) in history.times.iter().zip(values) {
                writeln!(out, "{head} {value} {}", at / 1_000)?;
            }
        }
    }
    writeln!(out, "# TYPE up gauge")?;
    for history in histories {
        let head = head(&history.up.labels);
        for (at, value) in &history.up.samples {
            writeln!(out, "{head} {value} {}", at / 1_000)?;
        }
    }
    writeln!(out, "# EOF")?;
    out.flush()
}

/// Name and labels of a series. No value of the office needs escaping.
fn head(labels: &[(String, String)]) -> String {
    let name = labels.iter().find(|(name, _)| name == "__name__").map_or("", |(_, value)| value);
    let rest: Vec<String> = labels
        .iter()
        .filter(|(name, _)| name != "__name__")
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    format!("{name}{{{}}}", rest.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use siaga_protocol::exposition::{Line, TimeUnit, parse_line};

    const UNTIL: i64 = 1_795_399_200_000;

    fn text(seed: u64) -> String {
        let mut out = Vec::new();
        write_openmetrics(&mut out, &histories(seed, 2, 1, UNTIL)).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_line_is_read_back_as_the_sample_that_it_was() {
        let histories = histories(1, 2, 1, UNTIL);
        let text = text(1);
        let lines: Vec<Line> =
            text.lines().map(|line| parse_line(line, TimeUnit::Seconds).unwrap()).collect();
        let samples: Vec<_> = lines
            .iter()
            .filter_map(|line| if let Line::Sample(sample) = line { Some(sample) } else { None })
            .collect();
        assert_eq!(samples.len(), histories.iter().map(History::samples).sum::<usize>());
        assert_eq!(lines.last(), Some(&Line::Eof));
        let (series, values) = &histories[1].columns[7];
        let mut found = samples.iter().filter(|sample| sample.labels == series.labels);
        let first = found.next().unwrap();
        assert_eq!((first.value, first.timestamp_ms), (values[0], Some(histories[1].times[0])));
        assert_eq!(found.count(), values.len() - 1);
    }

    #[test]
    fn families_stand_in_one_piece_and_the_seed_decides() {
        let text = text(1);
        let types: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let unique: std::collections::BTreeSet<_> = types.iter().collect();
        assert_eq!(unique.len(), types.len());
        assert!(types.contains(&"# TYPE node_cpu_seconds counter"));
        assert_eq!(text, self::text(1));
        assert_ne!(text, self::text(2));
    }
}
