//! Puts the answer together: the hourly path by the kind of series, the long view by its peaks.

use crate::{
    answer::{Backtest, BreachProbability, Forecast, MAX_PATH_HOURS, ModelName, Note, Refusal, Until},
    clean::{self, Cleaned},
    envelope::{self, Envelope},
    hourly,
    models::{DAY, WEEK},
    outlook::Outlook,
    request::{Direction, Request, SeriesKind, Threshold},
    stats,
    yearly::Yearly,
};

/// Days the hour-of-day shape of a stock is taken from.
const SHAPE_DAYS: usize = 14;

/// Hours of the past that a flow's models learn from; older weeks cost time and tell little.
const LEARN_HOURS: usize = 6 * WEEK;

/// Level of the interval between the p10 and the p90 path.
const INTERVAL: f64 = 0.8;

/// Three paths, hour by hour.
struct Fan {
    p10: Vec<f64>,
    p50: Vec<f64>,
    p90: Vec<f64>,
    model: ModelName,
    weights: Vec<(ModelName, f64)>,
    backtest: Backtest,
}

/// Answers one request.
///
/// # Errors
/// A [`Refusal`] that says why the series cannot be forecast.
pub fn forecast(request: &Request<'_>) -> Result<Forecast, Refusal> {
    check_limits(request)?;
    let mut cleaned = clean::clean(request.series, request.kind)?;
    let turn = match request.threshold.map(|t| t.direction) {
        Some(Direction::Below) => -1.0,
        _ => 1.0,
    };
    let turned: Vec<f64> = with_gaps(&cleaned).iter().map(|v| v * turn).collect();
    let envelope = envelope::build(&turned);
    note_findings(request, &mut cleaned, &envelope, turn);
    let trend_allowed = request.kind == SeriesKind::Stock || cleaned.filled.len() >= 2 * DAY;
    let Some(outlook) = Outlook::fit(&envelope, trend_allowed) else {
        let have = cleaned.known.iter().filter(|v| v.is_finite()).count();
        return Err(Refusal::TooShort { have, need: have + DAY });
    };
    if outlook.line.first > 0 {
        let hours = cleaned.offset + envelope.skipped_hours + outlook.line.first * envelope.block_hours();
        cleaned.notes.push(Note::Bend { at_ms: request.series.ms_at(hours) });
    }
    let hours = request.horizon_hours.min(MAX_PATH_HOURS) + cleaned.stale;
    let mut fan = match request.kind {
        SeriesKind::Stock => stock_fan(&turned, &outlook, hours, turn),
        SeriesKind::Flow => flow_fan(&cleaned.filled, &outlook, hours, turn),
    };
    for path in [&mut fan.p10, &mut fan.p50, &mut fan.p90] {
        path.drain(..cleaned.stale);
        bound(path, request.bounds);
    }
    let (until, breach_probability) = crossing(request, &cleaned, &outlook, turn);
    Ok(Forecast {
        start_ms: request.series.end_ms(),
        p10: fan.p10,
        p50: fan.p50,
        p90: fan.p90,
        until,
        breach_probability,
        model: fan.model,
        weights: fan.weights,
        backtest: fan.backtest,
        notes: cleaned.notes,
        trend_per_day: outlook.slope_per_day() * turn,
        trend_significant: outlook.line.significant,
    })
}

fn check_limits(request: &Request<'_>) -> Result<(), Refusal> {
    let limit_fine = request.threshold.is_none_or(|t| t.value.is_finite());
    let bounds_fine = request.bounds.is_none_or(|(low, high)| low < high);
    if limit_fine && bounds_fine { Ok(()) } else { Err(Refusal::BadLimits) }
}

/// Measured values, outliers taken out, gaps left open.
fn with_gaps(cleaned: &Cleaned) -> Vec<f64> {
    cleaned
        .known
        .iter()
        .zip(&cleaned.filled)
        .map(|(k, f)| if k.is_finite() { *f } else { f64::NAN })
        .collect()
}

fn note_findings(request: &Request<'_>, cleaned: &mut Cleaned, envelope: &Envelope, turn: f64) {
    let first = cleaned.known.iter().copied().find(|v| v.is_finite()).unwrap_or(0.0);
    if cleaned.known.iter().all(|v| v.is_nan() || *v == first) {
        cleaned.notes.push(Note::Constant);
    }
    let base = cleaned.offset + envelope.skipped_hours;
    for &(block, size) in &envelope.shifts {
        let at_ms = request.series.ms_at(base + block * envelope.block_hours());
        cleaned.notes.push(Note::LevelShift { at_ms, size: size * turn });
    }
    if let Some(blocks) = envelope.saw_tooth {
        cleaned.notes.push(Note::SawTooth { period_days: blocks / envelope.per_day as f64 });
    }
}

fn bound(path: &mut [f64], bounds: Option<(f64, f64)>) {
    if let Some((low, high)) = bounds {
        path.iter_mut().for_each(|v| *v = v.clamp(low, high));
    }
}

fn crossing(
    request: &Request<'_>,
    cleaned: &Cleaned,
    outlook: &Outlook<'_>,
    turn: f64,
) -> (Until, BreachProbability) {
    let Some(threshold) = request.threshold else { return (Until::NotAsked, BreachProbability::default()) };
    let now = cleaned.known.iter().rev().copied().find(|v| v.is_finite()).unwrap_or(f64::NAN);
    if threshold.is_past(now) {
        return (Until::AlreadyPast, BreachProbability { d7: 1.0, d30: 1.0, d90: 1.0 });
    }
    if out_of_reach(threshold, request.bounds) {
        return (Until::Never, BreachProbability::default());
    }
    let limit = threshold.value * turn;
    let stale_days = cleaned.stale as f64 / DAY as f64;
    let until = match outlook.until(limit) {
        Until::Days { earliest, likely, latest } => {
            let later = |days: Option<f64>| days.map(|d| (d - stale_days).max(0.0));
            Until::Days { earliest: later(earliest), likely: later(likely), latest: later(latest) }
        }
        other => other,
    };
    (until, outlook.probability(limit))
}

/// True when the quantity cannot physically reach the limit.
fn out_of_reach(threshold: Threshold, bounds: Option<(f64, f64)>) -> bool {
    bounds.is_some_and(|(low, high)| match threshold.direction {
        Direction::Above => threshold.value > high,
        Direction::Below => threshold.value < low,
    })
}

/// Peaks' line with the usual course of the day below it. `turned` and the outlook point up, the answer does not.
fn stock_fan(turned: &[f64], outlook: &Outlook<'_>, hours: usize, turn: f64) -> Fan {
    let shape = day_shape(turned, outlook.slope_per_day());
    let wide = crate::stats::t_quantile(0.5 + 0.5 * INTERVAL, outlook.line.dof);
    let (mut low, mut mid, mut high) = (Vec::new(), Vec::new(), Vec::new());
    for h in 0..hours {
        let days = (h + 1) as f64 / DAY as f64;
        let [below, usual, above] = shape[h % DAY];
        let centre = outlook.centre(days) + usual;
        let reach = wide * outlook.spread(days);
        low.push(turn * (centre - reach.hypot(usual - below)));
        mid.push(turn * centre);
        high.push(turn * (centre + reach.hypot(above - usual)));
    }
    let (p10, p90) = if turn < 0.0 { (high, low) } else { (low, high) };
    let model = if outlook.line.significant { ModelName::RobustTrend } else { ModelName::Level };
    Fan { p10, p50: mid, p90, model, weights: vec![(model, 1.0)], backtest: peak_backtest(outlook) }
}

/// Hour by hour after the end: 10, 50 and 90 % of what lies below the day's peak, the trend within the day removed.
fn day_shape(turned: &[f64], slope_per_day: f64) -> Vec<[f64; 3]> {
    let recent = &turned[turned.len().saturating_sub(SHAPE_DAYS * DAY)..];
    let recent = &recent[recent.len() % DAY..];
    let mut below: Vec<Vec<f64>> = vec![Vec::new(); DAY];
    for day in recent.chunks_exact(DAY) {
        // The peaks' line is at the day's end; each hour is compared with where the line stood then.
        let flat: Vec<f64> = day
            .iter()
            .enumerate()
            .map(|(h, v)| v + slope_per_day * (DAY - 1 - h) as f64 / DAY as f64)
            .collect();
        let peak = day.iter().copied().fold(f64::NAN, f64::max);
        for (hour, value) in flat.iter().enumerate().filter(|(_, v)| v.is_finite()) {
            below[hour].push(value - peak);
        }
    }
    below
        .iter()
        .map(|v| [0.1, 0.5, 0.9].map(|p| if v.is_empty() { 0.0 } else { stats::quantile(v, p) }))
        .collect()
}

fn peak_backtest(outlook: &Outlook<'_>) -> Backtest {
    let tests = &outlook.tests;
    let mut origins: Vec<usize> = tests.iter().map(|t| t.origin).collect();
    origins.dedup();
    let errors: Vec<f64> = tests.iter().map(|t| (t.truth - t.foretold).abs()).collect();
    let percentages: Vec<f64> = tests
        .iter()
        .map(|t| {
            let size = t.truth.abs() + t.foretold.abs();
            if size > 0.0 { 200.0 * (t.truth - t.foretold).abs() / size } else { 0.0 }
        })
        .collect();
    let scale = outlook.naive_scale();
    let tested = !tests.is_empty();
    Backtest {
        mase: (tested && scale > 0.0).then(|| stats::mean(&errors) / scale),
        smape: tested.then(|| stats::mean(&percentages)),
        coverage_80: outlook.coverage_80(),
        origins: origins.len(),
        horizon: tests.iter().map(|t| t.distance).max().unwrap_or(0) * outlook.block_hours(),
    }
}

/// The seasonal path; past its first week the week repeats, on the shape of the year where one is found, else on the
/// peaks' trend, and the interval grows with the peaks' spread.
fn flow_fan(filled: &[f64], outlook: &Outlook<'_>, hours: usize, turn: f64) -> Fan {
    let past = &filled[filled.len().saturating_sub(LEARN_HOURS)..];
    let modelled = hours.min(WEEK);
    let mut paths = hourly::paths(past, modelled, &[INTERVAL]);
    let band = paths.bands.pop();
    let (mut p10, mut p90) = band.map(|b| (b.lower, b.upper)).unwrap_or_default();
    let mut p50 = paths.point;
    let wide = stats::t_quantile(0.5 + 0.5 * INTERVAL, outlook.line.dof);
    let week_spread = outlook.spread(7.0);
    let yearly = Yearly::find(filled);
    for h in modelled..hours {
        let from = h - WEEK.min(modelled);
        let drift = match &yearly {
            Some(year) => year.change(h / WEEK + 1) - year.change(h / WEEK),
            None => turn * outlook.slope_per_day() * 7.0,
        };
        let grown =
            (outlook.spread((h + 1) as f64 / DAY as f64).powi(2) - week_spread.powi(2)).max(0.0).sqrt()
                * wide;
        let base = h % WEEK;
        let centre = p50[from] + drift;
        p50.push(centre);
        p10.push(centre - (p50[base] - p10[base]).hypot(grown));
        p90.push(centre + (p90[base] - p50[base]).hypot(grown));
    }
    Fan { p10, p50, p90, model: paths.model, weights: paths.weights, backtest: paths.backtest }
}
