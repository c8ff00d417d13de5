//! Forecasts of generated series against what came.

mod generated;

use generated::{Case, Kind, draw};
use siaga_forecast::{Forecast, Note, Request, Until, forecast};

const SEEDS: u64 = 12;

fn answer(case: &Case) -> Forecast {
    let request = Request {
        series: &case.series,
        horizon_hours: 48,
        threshold: Some(case.threshold),
        bounds: None,
        kind: case.series_kind,
        known_events: &[],
    };
    match forecast(&request) {
        Ok(forecast) => forecast,
        Err(refusal) => panic!("a generated series can be forecast, but: {refusal}"),
    }
}

/// Cases of the kind, and how many have their crossing inside the interval and near the likely date.
fn score(kind: Kind) -> (usize, usize, usize) {
    let (mut cases, mut inside, mut near) = (0, 0, 0);
    for seed in 0..SEEDS {
        let case = draw(kind, seed);
        assert_eq!(case.kind, kind);
        let Some(truth) = case.crosses else { continue };
        cases += 1;
        if let Until::Days { earliest, likely, latest } = answer(&case).until {
            let late = latest.unwrap_or(f64::INFINITY);
            inside += usize::from(earliest.is_some_and(|e| e <= truth + 1.0) && truth <= late + 1.0);
            near += usize::from(likely.is_some_and(|l| (l - truth).abs() <= 2.0 + 0.35 * truth));
        }
    }
    (cases, inside, near)
}

#[test]
fn growing_series_get_a_date_near_the_truth() {
    for kind in Kind::ALL.into_iter().filter(|k| !k.is_flat()) {
        let (cases, inside, near) = score(kind);
        assert!(cases >= 8, "{kind:?}: only {cases} cases");
        assert!(near * 10 >= cases * 7, "{kind:?}: {near} of {cases} near the truth");
        assert!(inside * 10 >= cases * 5, "{kind:?}: {inside} of {cases} inside the interval");
    }
}

#[test]
fn flat_and_noisy_series_get_no_date() {
    for kind in Kind::ALL.into_iter().filter(|k| k.is_flat()) {
        for seed in 0..SEEDS {
            let case = draw(kind, seed);
            let forecast = answer(&case);
            let likely = matches!(forecast.until, Until::Days { likely: Some(_), .. });
            assert!(!likely, "{kind:?} {seed}: {:?}", forecast.until);
            assert!(
                forecast.breach_probability.d7 < 0.2,
                "{kind:?} {seed}: {:?}",
                forecast.breach_probability
            );
        }
    }
}

#[test]
fn a_clean_up_is_told() {
    let told = (0..SEEDS)
        .filter(|seed| {
            let forecast = answer(&draw(Kind::CleanUp, *seed));
            forecast.notes.iter().any(|note| matches!(note, Note::LevelShift { size, .. } if *size < 0.0))
        })
        .count();
    assert!(told as u64 * 10 >= SEEDS * 7, "{told} of {SEEDS}");
}

#[test]
fn the_same_request_gets_the_same_answer() {
    let case = draw(Kind::Seasonal, 3);
    assert_eq!(answer(&case), answer(&case));
}
