//! Forecasts of generated series against what came.

mod generated;

use generated::{Case, Kind, draw};
use siaga_forecast::{
    Direction, Forecast, HourlySeries, Note, Request, SeriesKind, Threshold, Until, forecast,
};

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

/// A processor that is quiet but for a peak each working day, of a height nobody knows before.
fn deadline_peaks(days: usize) -> Vec<f64> {
    let mut state = 7_u64;
    let mut chance = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..days)
        .flat_map(|day| {
            let (height, at) = (30.0 + 40.0 * chance().powi(2), 9 + (chance() * 7.0) as usize);
            let quiet: Vec<f64> = (0..24).map(|_| 5.0 + 3.0 * chance()).collect();
            (0..24).map(move |hour| if day % 7 < 5 && hour == at { height } else { quiet[hour] })
        })
        .collect()
}

#[test]
fn peaks_of_days_lie_in_their_band_as_often_as_it_says() {
    let values = deadline_peaks(150);
    let (past, future) = values.split_at(90 * 24);
    let series = HourlySeries { start_ms: 0, values: past.to_vec() };
    let request = Request {
        series: &series,
        horizon_hours: 60 * 24,
        threshold: Some(Threshold { value: 75.0, direction: Direction::Above }),
        bounds: Some((0.0, 100.0)),
        kind: SeriesKind::Flow,
        known_events: &[],
    };
    let answer = forecast(&request).unwrap();
    assert_eq!(answer.peaks.len(), 60);
    let peaks = future.chunks(24).map(|day| day.iter().copied().fold(0.0, f64::max));
    let inside =
        peaks.zip(&answer.peaks).filter(|(peak, [low, _, high])| (low..=high).contains(&peak)).count();
    assert!((40..=58).contains(&inside), "{inside} of 60 in the 80 % band");
    let breach = answer.breach_probability;
    assert!(
        breach.d7 < breach.d30 && breach.d30 < breach.d90,
        "each further day is a further chance: {breach:?}"
    );
}
