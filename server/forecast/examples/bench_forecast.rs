//! Accuracy and speed on a folder of M4 form (`Hourly-train.csv.gz`, `Hourly-test.csv.gz`), by the competition's own
//! measures.
//!
//! `cargo run --release --example bench_forecast -- DATA [--validate=N] [--models] [--augurs] [--peer=PYTHON]`
//! `--validate=N` leaves the test file alone and foretells the Nth last 48 hours of the training file: for development.
//! `--augurs` adds augurs' own MSTL with automatic ETS.
//! `--peer=PYTHON` adds what statsforecast foretells in the same run; PYTHON is an interpreter that has it.
//! `--models` adds a row for every single candidate.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use augurs::{ets::AutoETS, mstl::MSTLModel, prelude::*};
use flate2::read::GzDecoder;
use siaga_forecast::{HourlySeries, ModelName, forecast_paths, single_model_path};

const HORIZON: usize = 48;
const SEASON: usize = 24;
const LEVELS: [f64; 2] = [0.95, 0.8];

struct Case {
    past: Vec<f64>,
    future: Vec<f64>,
}

#[derive(Default, Clone)]
struct Score {
    smape: f64,
    mase: f64,
    msis: f64,
    inside: [f64; 2],
    series: f64,
}

fn read(path: &Path) -> Result<Vec<Vec<f64>>, Box<dyn std::error::Error>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(GzDecoder::new(File::open(path)?));
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record?;
        rows.push(record.iter().skip(1).filter_map(|cell| cell.trim().parse().ok()).collect());
    }
    Ok(rows)
}

fn cases(folder: &Path, validate: usize) -> Result<Vec<Case>, Box<dyn std::error::Error>> {
    let train = read(&folder.join("Hourly-train.csv.gz"))?;
    if validate > 0 {
        return Ok(train
            .into_iter()
            .map(|mut past| {
                past.truncate(past.len() - (validate - 1) * HORIZON);
                let future = past.split_off(past.len() - HORIZON);
                Case { past, future }
            })
            .collect());
    }
    let test = read(&folder.join("Hourly-test.csv.gz"))?;
    Ok(train.into_iter().zip(test).map(|(past, future)| Case { past, future }).collect())
}

fn seasonal_scale(past: &[f64]) -> f64 {
    let sum: f64 = past.iter().zip(&past[SEASON..]).map(|(a, b)| (b - a).abs()).sum();
    sum / (past.len() - SEASON) as f64
}

impl Score {
    fn add(&mut self, case: &Case, point: &[f64], bands: &[(&[f64], &[f64])]) {
        let scale = seasonal_scale(&case.past);
        let n = case.future.len() as f64;
        self.series += 1.0;
        for (h, truth) in case.future.iter().enumerate() {
            let error = (truth - point[h]).abs();
            self.smape += 200.0 * error / (truth.abs() + point[h].abs()).max(1e-12) / n;
            self.mase += error / scale / n;
            for (k, (lower, upper)) in bands.iter().enumerate() {
                let (below, above) = ((lower[h] - truth).max(0.0), (truth - upper[h]).max(0.0));
                self.inside[k] += f64::from(u8::from(below + above <= 0.0)) / n;
                if k == 0 {
                    self.msis += (upper[h] - lower[h] + 40.0 * (below + above)) / scale / n;
                }
            }
        }
    }

    fn mean(&self) -> Self {
        let n = self.series.max(1.0);
        Self {
            smape: self.smape / n,
            mase: self.mase / n,
            msis: self.msis / n,
            inside: self.inside.map(|i| i / n),
            series: self.series,
        }
    }
}

/// The competition's yardstick: naive on the seasonally adjusted series (classical multiplicative, if seasonal).
fn naive2(past: &[f64]) -> Vec<f64> {
    let index = if is_seasonal(past) { seasonal_index(past) } else { vec![1.0; SEASON] };
    let last = past[past.len() - 1] / index[(past.len() - 1) % SEASON];
    (0..HORIZON).map(|h| last * index[(past.len() + h) % SEASON]).collect()
}

fn autocorrelation(x: &[f64], lag: usize) -> f64 {
    let mean = x.iter().sum::<f64>() / x.len() as f64;
    let power: f64 = x.iter().map(|v| (v - mean).powi(2)).sum();
    x.iter().zip(&x[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / power
}

fn is_seasonal(past: &[f64]) -> bool {
    let earlier: f64 = (1..SEASON).map(|lag| autocorrelation(past, lag).powi(2)).sum();
    autocorrelation(past, SEASON).abs() > 1.645 * ((1.0 + 2.0 * earlier) / past.len() as f64).sqrt()
}

fn seasonal_index(past: &[f64]) -> Vec<f64> {
    let half = SEASON / 2;
    let mut ratios = vec![Vec::new(); SEASON];
    for t in half..past.len() - half {
        let inner: f64 = past[t - half + 1..t + half].iter().sum();
        let centre = (inner + 0.5 * (past[t - half] + past[t + half])) / SEASON as f64;
        ratios[t % SEASON].push(past[t] / centre);
    }
    let raw: Vec<f64> = ratios.iter().map(|r| r.iter().sum::<f64>() / r.len() as f64).collect();
    let mean = raw.iter().sum::<f64>() / SEASON as f64;
    raw.iter().map(|r| r / mean).collect()
}

fn series(past: &[f64]) -> HourlySeries {
    HourlySeries { start_ms: 0, values: past.to_vec() }
}

fn row(name: &str, score: &Score, yardstick: &Score, rate: f64) {
    let (s, y) = (score.mean(), yardstick.mean());
    let owa = 0.5 * (s.smape / y.smape + s.mase / y.mase);
    println!(
        "{name:24} {:8.3} {:7.3} {owa:7.3} {:8.3} {:8.3} {:8.2} {rate:9.1}",
        s.smape, s.mase, s.inside[0], s.inside[1], s.msis
    );
}

/// Paths of a peer: point and bounds of the intervals at 95 and 80 %.
type PeerPaths = [Vec<f64>; 5];

/// A peer's name, its seconds, and its paths of every series.
type PeerAnswer = (String, f64, Vec<PeerPaths>);

/// Asks statsforecast for all series; it answers with the name, the seconds and one line of numbers for each path.
fn peer(python: &str, cases: &[Case]) -> Result<Vec<PeerAnswer>, Box<dyn std::error::Error>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/statsforecast_peer.py");
    let mut child = Command::new(python).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let past: Vec<&[f64]> = cases.iter().map(|case| case.past.as_slice()).collect();
    let asked = serde_json::json!({ "horizon": HORIZON, "season": SEASON, "past": past });
    serde_json::to_writer(child.stdin.take().ok_or("no standard input")?, &asked)?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("statsforecast ended with {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// What is to be reached.
fn verdict(score: &Score, yardstick: &Score, rate: f64) {
    let (s, y) = (score.mean(), yardstick.mean());
    let owa = 0.5 * (s.smape / y.smape + s.mase / y.mase);
    let said = |name: &str, value: f64, met: bool| {
        println!("{name} {value:.3}: {}", if met { "met" } else { "MISSED" });
    };
    println!();
    said("OWA, target at most 0.43:", owa, owa <= 0.43);
    said("MSIS, target at most 7.2:", s.msis, s.msis <= 7.2);
    said("coverage at 95 %, target 0.93 to 0.97:", s.inside[0], (0.93..=0.97).contains(&s.inside[0]));
    said("series/s on one core, target at least 10:", rate, rate >= 10.0);
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(folder) = args.iter().find(|a| !a.starts_with("--")) else {
        return Err("usage: bench_forecast DATA [--validate=N] [--models] [--augurs] [--peer=PYTHON]".into());
    };
    let flag = |name: &str| args.iter().any(|a| a == name);
    let validate = args.iter().find_map(|a| a.strip_prefix("--validate=")).map_or(Ok(0), str::parse)?;
    let cases = cases(Path::new(folder), validate)?;
    let mut yardstick = Score::default();
    for case in &cases {
        yardstick.add(case, &naive2(&case.past), &[]);
    }
    println!("{} series, horizon {HORIZON}", cases.len());
    println!("method                      sMAPE    MASE     OWA    cov95    cov80     MSIS  series/s");
    row("naive2", &yardstick, &yardstick, f64::NAN);
    if flag("--models") {
        for &model in ModelName::candidates() {
            let (mut score, mut same) = (Score::default(), Score::default());
            let start = Instant::now();
            for case in &cases {
                if let Some(path) = single_model_path(&series(&case.past), model, HORIZON)? {
                    score.add(case, &path, &[]);
                    same.add(case, &naive2(&case.past), &[]);
                }
            }
            let rate = score.series / start.elapsed().as_secs_f64();
            row(&format!("{model} ({})", score.series), &score, &same, rate);
        }
    }
    if flag("--augurs") {
        let mut score = Score::default();
        let start = Instant::now();
        for case in &cases {
            let fit =
                MSTLModel::new(vec![24, 168], AutoETS::non_seasonal().into_trend_model()).fit(&case.past)?;
            let forecast = fit.predict(HORIZON, 0.95)?;
            let intervals = forecast.intervals.ok_or("no intervals")?;
            score.add(case, &forecast.point, &[(&intervals.lower, &intervals.upper)]);
        }
        row("augurs mstl + auto ets", &score, &yardstick, score.series / start.elapsed().as_secs_f64());
    }
    if let Some(python) = args.iter().find_map(|a| a.strip_prefix("--peer=")) {
        match peer(python, &cases) {
            Ok(methods) => {
                for (name, seconds, all) in methods {
                    let mut score = Score::default();
                    for (case, [point, low95, high95, low80, high80]) in cases.iter().zip(&all) {
                        score.add(case, point, &[(low95, high95), (low80, high80)]);
                    }
                    row(&name, &score, &yardstick, score.series / seconds);
                }
            }
            Err(error) => println!("statsforecast: not compared with, {error}"),
        }
    }
    let mut score = Score::default();
    let start = Instant::now();
    for case in &cases {
        let paths = forecast_paths(&series(&case.past), HORIZON, &LEVELS)?;
        let bands: Vec<(&[f64], &[f64])> =
            paths.bands.iter().map(|b| (b.lower.as_slice(), b.upper.as_slice())).collect();
        score.add(case, &paths.point, &bands);
    }
    let rate = score.series / start.elapsed().as_secs_f64();
    row("siaga-forecast", &score, &yardstick, rate);
    verdict(&score, &yardstick, rate);
    Ok(())
}
