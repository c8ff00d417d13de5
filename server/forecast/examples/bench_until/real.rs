//! Real series, each cut before the hour in which it first reaches a limit that it had not reached before.
//!
//! The limit lies half-way between the highest hour of the first three fifths of a series and the highest of the rest;
//! a series that never exceeds what it had before has no crossing and is only counted. Cuts are one, three and seven
//! days before, where at least seven days of history are left. Series by the day are left out: the forecaster takes
//! hours.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use siaga_forecast::{Aggregate, Direction, HourlySeries, SeriesKind, Threshold};

use crate::generated::{Case, Kind};

const DAY: usize = 24;
/// Days before the crossing at which a series is cut.
const CUTS: [usize; 3] = [1, 3, 7];
/// Days that must be left.
const LEAST_DAYS: usize = 7;
/// Distance of samples in the files that count them from zero.
const STEP_MS: i64 = 300_000;

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    entries.sort();
    for path in entries {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // What was drawn by a machine is no real series.
        if path.is_dir() && !name.starts_with("artificial") {
            files(&path, found)?;
        } else if name.ends_with(".csv.gz") && !name.contains("daily") && !name.starts_with("Hourly") {
            found.push(path);
        }
    }
    Ok(())
}

/// The columns of a file, each as hourly peaks.
fn read(path: &Path) -> Result<Vec<HourlySeries>, Box<dyn Error>> {
    let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(path)?));
    let timed = reader.headers()?.get(0) == Some("timestamp");
    let first = usize::from(timed);
    let mut columns: Vec<Vec<(i64, f64)>> = vec![Vec::new(); reader.headers()?.len() - first];
    for (row, record) in reader.records().enumerate() {
        let record = record?;
        let at = match record.get(0).filter(|_| timed) {
            None => i64::try_from(row)? * STEP_MS,
            Some(text) => match text.parse::<i64>() {
                Ok(seconds) => seconds * 1_000,
                Err(_) => text.parse::<DateTime>()?.to_zoned(TimeZone::UTC)?.timestamp().as_millisecond(),
            },
        };
        for (column, cell) in columns.iter_mut().zip(record.iter().skip(first)) {
            if let Ok(value) = cell.parse() {
                column.push((at, value));
            }
        }
    }
    Ok(columns.iter().filter_map(|points| HourlySeries::from_points(points, Aggregate::Max).ok()).collect())
}

fn highest(values: &[f64]) -> f64 {
    values.iter().copied().filter(|value| value.is_finite()).fold(f64::NEG_INFINITY, f64::max)
}

/// Cases with the days before the crossing at which each is cut.
pub(super) type Cut = Vec<(usize, Case)>;

/// Cases of all series below a folder, and how many series there are.
pub(super) fn cases(folder: &Path) -> Result<(Cut, usize), Box<dyn Error>> {
    let mut found = Vec::new();
    files(folder, &mut found)?;
    let (mut cases, mut count) = (Vec::new(), 0);
    for path in found {
        for series in read(&path)? {
            count += 1;
            let values = &series.values;
            let early = values.len() * 3 / 5;
            let (before, after) = (highest(&values[..early]), highest(&values[early..]));
            if after.is_nan() || after <= before {
                continue;
            }
            let limit = before + 0.5 * (after - before);
            let Some(crossing) = values.iter().position(|value| *value >= limit) else { continue };
            for days in CUTS {
                let Some(cut) = crossing.checked_sub(days * DAY).filter(|cut| *cut >= LEAST_DAYS * DAY)
                else {
                    continue;
                };
                let case = Case {
                    kind: Kind::Seasonal,
                    series: HourlySeries { start_ms: series.start_ms, values: values[..cut].to_vec() },
                    series_kind: SeriesKind::Flow,
                    threshold: Threshold { value: limit, direction: Direction::Above },
                    crosses: Some((crossing - cut + 1) as f64 / DAY as f64),
                };
                cases.push((days, case));
            }
        }
    }
    Ok((cases, count))
}
