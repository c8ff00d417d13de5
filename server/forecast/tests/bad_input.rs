//! Bad input: a clear reason, never a panic, never a number without support.

#[expect(dead_code, reason = "only the dice are used here")]
mod generated;

use generated::Dice;
use proptest::prelude::*;
use siaga_forecast::{
    Aggregate, Direction, Forecast, HOUR_MS, HourlySeries, Note, Refusal, Request, SeriesError, SeriesKind,
    Threshold, Until, forecast, forecast_paths,
};

fn ask(values: Vec<f64>, kind: SeriesKind) -> Result<Forecast, Refusal> {
    ask_limit(values, kind, Threshold { value: 90.0, direction: Direction::Above })
}

fn ask_limit(values: Vec<f64>, kind: SeriesKind, threshold: Threshold) -> Result<Forecast, Refusal> {
    let series = HourlySeries { start_ms: 0, values };
    forecast(&Request {
        series: &series,
        horizon_hours: 30,
        threshold: Some(threshold),
        bounds: None,
        kind,
        known_events: &[],
    })
}

#[test]
fn what_cannot_be_forecast_is_refused_with_the_reason() {
    let mut infinite = vec![1.0; 100];
    infinite[7] = f64::INFINITY;
    let mut dead = vec![1.0; 400];
    dead[200..].fill(f64::NAN);
    let table: Vec<(&str, Vec<f64>, Refusal)> = vec![
        ("empty", vec![], Refusal::Empty),
        ("all gaps", vec![f64::NAN; 50], Refusal::AllGaps { hours: 50 }),
        ("two points", vec![1.0, 2.0], Refusal::TooShort { have: 2, need: 24 }),
        ("a few hours", vec![5.0; 6], Refusal::TooShort { have: 6, need: 24 }),
        ("infinite", infinite, Refusal::NotFinite { index: 7 }),
        ("wrong units", vec![1e300; 100], Refusal::OutOfRange { index: 0, limit: 1e60 }),
        ("silent for long", dead, Refusal::Stale { hours: 200, limit: 168 }),
        ("counter", (0..300).map(|i| f64::from(i) * 1e6).collect(), Refusal::LooksLikeCounter),
        ("endless", vec![1.0; 50_000], Refusal::TooLong { have: 50_000, limit: 43_920 }),
    ];
    for (name, values, refusal) in table {
        assert_eq!(ask(values, SeriesKind::Flow).unwrap_err(), refusal, "{name}");
    }
}

#[test]
fn unusable_limits_are_refused() {
    let limit = Threshold { value: f64::NAN, direction: Direction::Above };
    assert_eq!(ask_limit(vec![1.0; 100], SeriesKind::Stock, limit).unwrap_err(), Refusal::BadLimits);
}

#[test]
fn a_constant_series_stays_where_it_is() {
    for kind in [SeriesKind::Stock, SeriesKind::Flow] {
        for hours in [24, 60, 100, 500, 2000] {
            let forecast = ask(vec![42.0; hours], kind).unwrap();
            assert_eq!(forecast.until, Until::Never, "{kind:?} {hours}");
            assert!(
                forecast.p10.iter().chain(&forecast.p90).all(|v| (v - 42.0).abs() < 1e-6),
                "{kind:?} {hours}"
            );
            assert!(forecast.notes.contains(&Note::Constant));
            assert!(!forecast.trend_significant);
        }
    }
}

#[test]
fn a_constant_series_at_its_limit_is_past_it() {
    assert_eq!(ask(vec![95.0; 100], SeriesKind::Stock).unwrap().until, Until::AlreadyPast);
}

#[test]
fn a_disk_fed_as_a_counter_is_noted() {
    let forecast = ask((0..300).map(|i| f64::from(i) * 0.1).collect(), SeriesKind::Stock).unwrap();
    assert!(forecast.notes.contains(&Note::LooksLikeCounter));
}

#[test]
fn one_day_of_a_daily_cycle_is_no_trend() {
    let rising: Vec<f64> = (0..24).map(|h| 20.0 + 2.0 * f64::from(h)).collect();
    assert!(!ask(rising, SeriesKind::Flow).unwrap().trend_significant);
}

#[test]
fn two_days_of_steady_filling_are_a_trend_and_of_noise_are_none() {
    let scatter = |h: usize| (h as f64 * 2.399).sin() + 0.6 * (h as f64 * 5.1).cos();
    let filling: Vec<f64> = (0..60).map(|h| 50.0 + 0.4 * h as f64 + 0.2 * scatter(h)).collect();
    let forecast = ask(filling, SeriesKind::Stock).unwrap();
    assert!(forecast.trend_significant);
    assert!((forecast.trend_per_day - 9.6).abs() < 1.5, "{}", forecast.trend_per_day);
    let mut false_trends = 0;
    for seed in 0..50 {
        let mut dice = Dice::new(seed);
        let noise: Vec<f64> = (0..24 + 2 * seed as usize).map(|_| 50.0 + 3.0 * dice.normal()).collect();
        for kind in [SeriesKind::Stock, SeriesKind::Flow] {
            let forecast = ask(noise.clone(), kind).unwrap();
            false_trends += usize::from(forecast.trend_significant);
            let short = forecast.notes.iter().any(|n| matches!(n, Note::ShortHistory { .. }));
            assert_eq!(short, noise.len() < 72);
        }
    }
    assert!(false_trends <= 2, "{false_trends} of 100");
}

#[test]
fn paths_stay_within_their_bounds_for_the_whole_horizon() {
    let values: Vec<f64> = (0..1500).map(|h| 60.0 + 39.0 * (h as f64 * 0.2618).sin()).collect();
    let series = HourlySeries { start_ms: 0, values };
    for kind in [SeriesKind::Stock, SeriesKind::Flow] {
        let forecast = forecast(&Request {
            series: &series,
            horizon_hours: 100_000,
            threshold: None,
            bounds: Some((0.0, 100.0)),
            kind,
            known_events: &[],
        })
        .unwrap();
        assert_eq!(forecast.p50.len(), siaga_forecast::MAX_PATH_HOURS);
        assert!(forecast.p10.iter().chain(&forecast.p90).all(|v| (0.0..=100.0).contains(v)));
        assert_eq!(forecast.until, Until::NotAsked);
    }
}

#[test]
fn a_clock_jump_is_named() {
    let points: Vec<(i64, f64)> = (0..100).map(|h| (h * HOUR_MS, 1.0)).chain([(1 << 50, 1.0)]).collect();
    assert!(matches!(
        HourlySeries::from_points(&points, Aggregate::Mean),
        Err(SeriesError::SpanTooLong { .. })
    ));
}

#[test]
fn falling_to_a_limit_mirrors_rising_to_one() {
    let wave = |h: usize| (h as f64 * 0.7).sin();
    let up: Vec<f64> = (0..960).map(|h| 50.0 + 0.02 * h as f64 + wave(h)).collect();
    let down: Vec<f64> = up.iter().map(|v| -v).collect();
    let rising =
        ask_limit(up, SeriesKind::Stock, Threshold { value: 90.0, direction: Direction::Above }).unwrap();
    let falling =
        ask_limit(down, SeriesKind::Stock, Threshold { value: -90.0, direction: Direction::Below }).unwrap();
    assert_eq!(rising.until, falling.until);
    assert_eq!(rising.trend_per_day, -falling.trend_per_day);
    assert!(rising.p10.iter().zip(&falling.p90).all(|(a, b)| (a + b).abs() < 1e-9));
}

/// What must hold of every forecast.
fn check(forecast: &Forecast, hours: usize) -> Result<(), TestCaseError> {
    prop_assert_eq!(forecast.p50.len(), hours);
    for h in 0..hours {
        prop_assert!(forecast.p10[h] <= forecast.p50[h] && forecast.p50[h] <= forecast.p90[h]);
        prop_assert!(forecast.p10[h].is_finite() && forecast.p90[h].is_finite());
    }
    let p = forecast.breach_probability;
    prop_assert!(0.0 <= p.d7 && p.d7 <= p.d30 && p.d30 <= p.d90 && p.d90 <= 1.0);
    if let Until::Days { earliest, likely, latest } = forecast.until {
        prop_assert!(earliest.is_some());
        let order = [earliest, likely, latest].map(|d| d.unwrap_or(f64::INFINITY));
        prop_assert!(order[0] <= order[1] && order[1] <= order[2] && order[0] >= 0.0);
    }
    Ok(())
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => -1e3..1e3_f64,
        2 => Just(7.0),
        1 => Just(0.0),
        1 => Just(f64::NAN),
        1 => any::<f64>().prop_map(|v| v % 1e60),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_numbers_get_an_ordered_answer_or_a_reason(
        values in prop::collection::vec(any_value(), 0..900),
        stock in any::<bool>(),
        below in any::<bool>(),
        limit in -2e3..2e3_f64,
    ) {
        let kind = if stock { SeriesKind::Stock } else { SeriesKind::Flow };
        let direction = if below { Direction::Below } else { Direction::Above };
        if let Ok(forecast) = ask_limit(values, kind, Threshold { value: limit, direction }) {
            check(&forecast, 30)?;
        }
    }

    #[test]
    fn any_start_and_raw_floats_do_not_panic(
        values in prop::collection::vec(any::<f64>(), 0..200),
        start_ms in any::<i64>(),
        horizon in 0..400_usize,
    ) {
        let series = HourlySeries { start_ms, values };
        let _ = forecast_paths(&series, horizon, &[0.0, 0.5, 0.95, 1.0]);
    }
}
