//! Runs Prometheus' own test scripts (`promqltest` language) against the engine.
//!
//! The folder is `PROMQL_TESTDATA`; without it, `shared/promql/testdata` beside the checkout. Where there is no
//! folder the test says so and passes. Every evaluation passes, fails, or is unsupported; what fails or is unsupported
//! and is not listed with its reason in `tests/known_failures.txt` fails the test, and so does a listed one that passes.
//! The scripts assume delayed removal of names; they are run a second time by the rules of a stock server.

#![expect(clippy::print_stdout, reason = "the report is what this test is for")]
#![expect(clippy::unwrap_used, reason = "a broken test script or a poisoned lock ends the test")]

mod compare;
mod evaluate;
mod known;
mod notation;
mod script;
mod store;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use evaluate::Outcome;

/// What came out of one file.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: Vec<(usize, String)>,
    unsupported: BTreeMap<String, usize>,
}

fn testdata() -> PathBuf {
    match std::env::var_os("PROMQL_TESTDATA") {
        Some(folder) => folder.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/promql/testdata"),
    }
}

fn script_files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == "test"))
        .collect();
    files.sort();
    files
}

fn run_file(path: &Path, delayed_name_removal: bool) -> Tally {
    let text = std::fs::read_to_string(path).unwrap();
    let mut tally = Tally::default();
    let mut runner = evaluate::Runner::new(delayed_name_removal);
    for command in script::parse(&text) {
        let Some((line, outcome)) = runner.run(&command) else { continue };
        match outcome {
            Outcome::Passed => tally.passed += 1,
            Outcome::Failed(why) => tally.failed.push((line, why)),
            Outcome::Unsupported(why) => *tally.unsupported.entry(why).or_default() += 1,
        }
    }
    tally
}

fn print_line(name: &str, tally: &Tally, known: &known::Known) {
    let unsupported: usize = tally.unsupported.values().sum();
    println!("{name:<28} {:>6} {:>6} {unsupported:>11}", tally.passed, tally.failed.len());
    for (why, count) in &tally.unsupported {
        let reason = known.why_unsupported(why).unwrap_or("NOT LISTED");
        println!("{:<28}   {count} unsupported: {why}: {reason}", "");
    }
    for (line, why) in &tally.failed {
        println!("{:<28}   line {line} failed: {why}", "");
    }
}

#[test]
fn prometheus_test_scripts_pass() {
    let folder = testdata();
    let files = script_files(&folder);
    if files.is_empty() {
        println!("no promqltest scripts in {}: nothing was tested", folder.display());
        println!("set PROMQL_TESTDATA to a folder with Prometheus' promqltest files");
        return;
    }
    let known = known::Known::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/known_failures.txt"));
    println!("{:<28} {:>6} {:>6} {:>11}", "file", "passed", "failed", "unsupported");
    let mut total = Tally::default();
    let mut complaints = Vec::new();
    for path in &files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let tally = run_file(path, true);
        print_line(&name, &tally, &known);
        complaints.extend(known.complaints(&name, &tally.failed));
        // Once more by the rules of a stock server; only what fails is worth a line.
        let stock = run_file(path, false);
        complaints.extend(known.complaints(&format!("stock/{name}"), &stock.failed));
        total.passed += tally.passed;
        for (why, count) in tally.unsupported {
            *total.unsupported.entry(why).or_default() += count;
        }
        total.failed.extend(tally.failed);
    }
    print_line("total", &total, &known);
    complaints.extend(known.unlisted(&total.unsupported));
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}
