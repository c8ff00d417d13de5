//! Days until a limit on generated series with known truth, against `predict_linear` over 6 hours, 1 day and 7 days.
//!
//! `cargo run --release --example bench_until -- [--seeds=30] [--noise=1] [--list] [--fleet] [--real=FOLDER]`
//! `--real=FOLDER` adds every real series below a folder that reaches a new height, cut before it does.
//! Every kind is drawn once a seed. A growing series is scored when the truth crosses within a year; an answer of
//! "not within a year" counts as 365 days. On flat series any date is a false alarm; `alarm30` is a date within 30
//! days.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

#[path = "../../tests/generated/mod.rs"]
mod generated;
mod real;

use std::time::Instant;

use generated::{Case, Kind, draw, draw_noisy};
use siaga_forecast::{Direction, HourlySeries, Request, SeriesKind, Threshold, Until, forecast};

const YEAR: f64 = 365.0;

/// An answer in days, infinite for never.
#[derive(Clone, Copy)]
struct Answer {
    likely: f64,
    range: Option<(f64, f64)>,
}

fn ours(case: &Case) -> Answer {
    let request = Request {
        series: &case.series,
        horizon_hours: 24,
        threshold: Some(case.threshold),
        bounds: None,
        kind: case.series_kind,
        known_events: &[],
    };
    let days = |d: Option<f64>| d.unwrap_or(f64::INFINITY);
    match forecast(&request).map(|f| f.until) {
        Ok(Until::AlreadyPast) => Answer { likely: 0.0, range: Some((0.0, 0.0)) },
        Ok(Until::Days { earliest, likely, latest }) => {
            Answer { likely: days(likely), range: Some((days(earliest), days(latest))) }
        }
        _ => Answer { likely: f64::INFINITY, range: Some((f64::INFINITY, f64::INFINITY)) },
    }
}

/// Least squares over the last hours, as `predict_linear` fits it, solved for the limit.
fn linear(case: &Case, hours: usize) -> Answer {
    let values = &case.series.values;
    let points: Vec<(f64, f64)> = values
        .iter()
        .enumerate()
        .skip(values.len() - hours)
        .filter(|(_, v)| v.is_finite())
        .map(|(t, v)| (t as f64 - values.len() as f64, *v))
        .collect();
    let n = points.len() as f64;
    let (mx, my) = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let up: f64 = points.iter().map(|p| (p.0 - mx) * (p.1 - my)).sum();
    let down: f64 = points.iter().map(|p| (p.0 - mx).powi(2)).sum();
    let slope = up / down;
    let days = (case.threshold.value - (my - slope * mx)) / slope / 24.0;
    Answer { likely: if slope > 0.0 && days <= YEAR { days.max(0.0) } else { f64::INFINITY }, range: None }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

type Method = (&'static str, fn(&Case) -> Answer);

const METHODS: [Method; 4] = [
    ("siaga", ours),
    ("linear 6h", |c| linear(c, 6)),
    ("linear 1d", |c| linear(c, 24)),
    ("linear 7d", |c| linear(c, 168)),
];

fn report(name: &str, cases: &[Case]) {
    for (method, ask) in METHODS {
        let scored: Vec<(f64, Answer)> = cases.iter().map(|c| (c.crosses.unwrap_or(YEAR), ask(c))).collect();
        let errors: Vec<f64> = scored.iter().map(|(t, a)| (a.likely.min(YEAR) - t.min(YEAR)).abs()).collect();
        let relative: Vec<f64> = errors.iter().zip(&scored).map(|(e, (t, _))| 100.0 * e / t).collect();
        let inside = scored.iter().filter(|(t, a)| a.range.is_some_and(|(l, h)| l <= *t && *t <= h)).count();
        let share = if method == "siaga" {
            format!("{:5.1}%", 100.0 * inside as f64 / scored.len() as f64)
        } else {
            "     -".to_owned()
        };
        println!(
            "{name:20} {method:10} {:5} {:9.2} d {:8.1}% {share}",
            scored.len(),
            median(errors),
            median(relative)
        );
    }
}

/// Time of a whole office's forecasts: 12 hosts with 10 resources each, 120 days of hours.
fn fleet() {
    let wave = |h: usize, k: usize| {
        let h = h as f64 / 24.0;
        50.0 + k as f64 * 0.1
            + 10.0 * (h * std::f64::consts::TAU).sin()
            + 0.05 * h
            + ((h * 97.0 + k as f64).sin())
    };
    let start = Instant::now();
    for k in 0..120 {
        let series = HourlySeries { start_ms: 0, values: (0..2880).map(|h| wave(h, k)).collect() };
        let kind = if k % 3 == 0 { SeriesKind::Stock } else { SeriesKind::Flow };
        let threshold = Some(Threshold { value: 90.0, direction: Direction::Above });
        let asked =
            Request { series: &series, horizon_hours: 720, threshold, bounds: None, kind, known_events: &[] };
        if let Err(refusal) = forecast(&asked) {
            println!("refused: {refusal}");
        }
    }
    println!("fleet of 120 series x 2880 hours: {:.1} s", start.elapsed().as_secs_f64());
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|a| a == "--fleet") {
        fleet();
        return Ok(());
    }
    let seeds: u64 =
        args.iter().find_map(|a| a.strip_prefix("--seeds=")).and_then(|v| v.parse().ok()).unwrap_or(30);
    let louder: f64 =
        args.iter().find_map(|a| a.strip_prefix("--noise=")).and_then(|v| v.parse().ok()).unwrap_or(1.0);
    let mut growing: Vec<Case> = Vec::new();
    let mut flat: Vec<Case> = Vec::new();
    for kind in Kind::ALL {
        for seed in 0..seeds {
            let case =
                if louder == 1.0 { draw(kind, 1000 + seed) } else { draw_noisy(kind, 1000 + seed, louder) };
            if kind.is_flat() {
                flat.push(case);
            } else if case.crosses.is_some() {
                growing.push(case);
            }
        }
    }
    println!("{} growing and {} flat series", growing.len(), flat.len());
    println!("kind                 method     cases  median err  relative  in 80 %");
    if args.iter().any(|a| a == "--list") {
        for case in &growing {
            let a = ours(case);
            let (low, high) = a.range.unwrap_or_default();
            println!(
                "{:?} past {} d truth {:.1} likely {:.1} range {low:.1} {high:.1}",
                case.kind,
                case.series.values.len() / 24,
                case.crosses.unwrap_or(YEAR),
                a.likely
            );
        }
    }
    for kind in Kind::ALL.into_iter().filter(|k| !k.is_flat()) {
        let (of_kind, rest) = growing.into_iter().partition(|c| c.kind == kind);
        growing = rest;
        report(&format!("{kind:?}"), &of_kind);
        growing.extend(of_kind);
    }
    report("all growing", &growing);
    for (method, ask) in METHODS {
        let dates = flat.iter().filter(|c| ask(c).likely <= YEAR).count();
        let soon = flat.iter().filter(|c| ask(c).likely <= 30.0).count();
        println!("flat: {method:10} false dates {dates} of {}, within 30 days {soon}", flat.len());
    }
    if let Some(folder) = args.iter().find_map(|a| a.strip_prefix("--real=")) {
        let (all, count) = real::cases(std::path::Path::new(folder))?;
        println!("{count} real series; those that reach a new height, cut before it:");
        for days in [1, 3, 7] {
            let of: Vec<Case> =
                all.iter().filter(|(cut, _)| *cut == days).map(|(_, case)| case.clone()).collect();
            report(&format!("real, {days} d before"), &of);
        }
    }
    Ok(())
}
