//! The detector on a folder of the Numenta Anomaly Benchmark's form (`data/`, `labels/`, `config/`), by the benchmark's
//! own rules, beside its windowed Gaussian, made anew here in the same run. One setting for every series.
//!
//! `cargo run --release --example bench_anomaly -- DATA`

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod corpus;
mod gaussian;
mod scorer;

use std::collections::BTreeSet;
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use corpus::{Profile, Series};
use scorer::Scored;
use siaga_forecast::anomaly::{AGREEING_SIGNS, Agreement, Detector, Settings};

/// Score of the standard profile that is to be reached.
const TARGET: f64 = 60.0;
const WEEK_MS: f64 = 7.0 * 86_400_000.0;

type Scores = Vec<Vec<f64>>;

fn ours(corpus: &[Series]) -> Scores {
    let one = |series: &Series| {
        let mut detector = Detector::new(Settings::default());
        let judge = |&(at, value): &(i64, f64)| detector.push(at, value).map_or(0.0, |verdict| verdict.score);
        series.rows.iter().map(judge).collect()
    };
    corpus.iter().map(one).collect()
}

/// 1 where the rule for incidents begins an episode, else 0.
fn episodes(corpus: &[Series]) -> Scores {
    let one = |series: &Series| {
        let (mut detector, mut agreement) = (Detector::new(Settings::default()), Agreement::default());
        let judge = |&(at, value): &(i64, f64)| {
            let begins = detector.push(at, value).is_some_and(|verdict| {
                agreement.push(at, value, &verdict).is_some_and(|episode| episode.since_ms == at)
            });
            f64::from(u8::from(begins))
        };
        series.rows.iter().map(judge).collect()
    };
    corpus.iter().map(one).collect()
}

fn print(detector: &str, part: &str, scored: &Scored, weeks: f64) {
    let score = if scored.windows == 0 { "-".to_owned() } else { format!("{:.2}", scored.score) };
    println!(
        "{detector:18} {part:24} {score:>6} {:>8} {:12} {:20.2} {:10.3}",
        format!("{}/{}", scored.hit, scored.windows),
        scored.false_alarms,
        scored.false_alarms as f64 / weeks,
        scored.threshold,
    );
}

fn weeks(corpus: &[&Series]) -> f64 {
    let length = |series: &&Series| match series.rows.as_slice() {
        [(first, _), .., (last, _)] => (last - first) as f64 / WEEK_MS,
        _ => 0.0,
    };
    corpus.iter().map(length).sum()
}

fn table(detector: &str, corpus: &[Series], scores: &Scores, profiles: &[(String, Profile)]) -> f64 {
    let all: Vec<&Series> = corpus.iter().collect();
    let mut standard = 0.0;
    for (name, profile) in profiles {
        let scored = scorer::best(&all, scores, *profile);
        print(detector, name, &scored, weeks(&all));
        if name == "standard" {
            standard = scored.score;
            let folders: BTreeSet<&str> = corpus.iter().map(|series| series.folder.as_str()).collect();
            for folder in folders {
                let (part, part_scores): (Vec<&Series>, Scores) = corpus
                    .iter()
                    .zip(scores)
                    .filter(|(series, _)| series.folder == folder)
                    .map(|(series, scores)| (series, scores.clone()))
                    .unzip();
                let at_threshold = scorer::at(&part, &part_scores, *profile, scored.threshold);
                print(detector, &format!("  {folder}"), &at_threshold, weeks(&part));
            }
        }
    }
    standard
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("name a folder of the benchmark's form")?);
    let corpus = corpus::read(&folder)?;
    let profiles: Vec<(String, Profile)> = corpus::profiles(&folder)?.into_iter().collect();
    let rows: usize = corpus.iter().map(|series| series.rows.len()).sum();
    println!("{} series, {rows} samples\n", corpus.len());
    println!(
        "{:18} {:24} {:>6} {:>8} {:>12} {:>20} {:>10}",
        "detector", "profile or folder", "score", "windows", "false alarms", "a server and week", "threshold"
    );
    table("windowed Gaussian", &corpus, &gaussian::scores(&corpus), &profiles);
    let began = Instant::now();
    let scores = ours(&corpus);
    let seconds = began.elapsed().as_secs_f64();
    let standard = table("Siaga", &corpus, &scores, &profiles);
    println!("\n{:.0} samples/s on one core", rows as f64 / seconds);
    let verdict = if standard >= TARGET { "met" } else { "MISSED" };
    println!("standard profile {standard:.2}, target {TARGET}: {verdict}");
    println!(
        "Thresholds are chosen on the labels, as the benchmark does for every detector; ours ships with one."
    );
    let shipped = Settings::default().threshold;
    let incidents = episodes(&corpus);
    for (name, profile) in profiles.iter().filter(|(name, _)| name == "standard") {
        let all: Vec<&Series> = corpus.iter().collect();
        print("Siaga as shipped", name, &scorer::at(&all, &scores, *profile, shipped), weeks(&all));
        let raised = format!("incidents, {AGREEING_SIGNS} signs");
        print(&raised, name, &scorer::at(&all, &incidents, *profile, 1.0), weeks(&all));
    }
    Ok(())
}
