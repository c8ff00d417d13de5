//! Seeded series of named kinds with a known future: what the tests and the bench judge forecasts by.
//!
//! Every kind is drawn for `past` days the forecaster sees and a year it does not; nothing that could not be
//! foreseen (no second clean-up, no second migration) happens after the cut.

use siaga_forecast::{Direction, HourlySeries, SeriesKind, Threshold};

/// SplitMix64: small, seeded, good enough to draw noise from.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `low..high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal.
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.between(1e-12, 1.0).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.between(0.0, 1.0)).cos()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    SteadyGrowth,
    SawTooth,
    CleanUp,
    StepAfterMigration,
    Bend,
    Seasonal,
    Flat,
    NoiseOnly,
}

impl Kind {
    pub(crate) const ALL: [Kind; 8] = [
        Kind::SteadyGrowth,
        Kind::SawTooth,
        Kind::CleanUp,
        Kind::StepAfterMigration,
        Kind::Bend,
        Kind::Seasonal,
        Kind::Flat,
        Kind::NoiseOnly,
    ];

    /// True when the series never comes near its limit.
    pub(crate) fn is_flat(self) -> bool {
        matches!(self, Kind::Flat | Kind::NoiseOnly)
    }
}

/// A series cut at "now", its limit, and what came after.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) series: HourlySeries,
    pub(crate) series_kind: SeriesKind,
    pub(crate) threshold: Threshold,
    /// Days from the cut to the first hour at the limit; `None` when not within the year.
    pub(crate) crosses: Option<f64>,
}

const YEAR_HOURS: usize = 365 * 24;

/// Draws one case. Values are per cent of a limit at 100 before scaling to a unit of arbitrary size.
pub(crate) fn draw(kind: Kind, seed: u64) -> Case {
    draw_noisy(kind, seed, 1.0)
}

/// The same with the noise multiplied.
pub(crate) fn draw_noisy(kind: Kind, seed: u64, louder: f64) -> Case {
    let mut dice = Dice::new(seed.wrapping_mul(31).wrapping_add(kind as u64));
    let past_days = dice.between(30.0, 120.0).round();
    let cross_day = dice.between(5.0, 90.0);
    let past = past_days as usize * 24;
    let hours = past + YEAR_HOURS;
    let signal = signal(kind, &mut dice, past_days, cross_day);
    let noise = match kind {
        Kind::NoiseOnly => dice.between(2.0, 8.0),
        _ => louder * dice.between(0.05, 0.8),
    };
    // Real noise is partly persistent: half white, half fading over hours.
    let mut slow = 0.0;
    let mut values: Vec<f64> = (0..hours)
        .map(|h| {
            slow = 0.9 * slow + dice.normal() * noise * 0.3;
            signal(h as f64 / 24.0) + slow + 0.7 * noise * dice.normal()
        })
        .collect();
    let crosses = values[past..].iter().position(|v| *v >= 100.0).map(|h| (h as f64 + 1.0) / 24.0);
    values.truncate(past);
    if dice.between(0.0, 1.0) < 0.3 {
        let start = dice.between(0.2, 0.8) * past as f64;
        let length = dice.between(2.0, 30.0) as usize;
        values[start as usize..(start as usize + length).min(past - 24)].fill(f64::NAN);
    }
    let unit = 10_f64.powf(dice.between(-2.0, 11.0));
    values.iter_mut().for_each(|v| *v *= unit);
    let series_kind = if kind == Kind::Seasonal { SeriesKind::Flow } else { SeriesKind::Stock };
    Case {
        kind,
        series: HourlySeries { start_ms: 1_700_000_000_000 / 3_600_000 * 3_600_000, values },
        series_kind,
        threshold: Threshold { value: 100.0 * unit, direction: Direction::Above },
        crosses,
    }
}

/// The course without noise, by days since the start; the cut is at `past`.
fn signal(kind: Kind, dice: &mut Dice, past: f64, cross: f64) -> Box<dyn Fn(f64) -> f64> {
    let now = dice.between(55.0, 92.0);
    let rate = (100.0 - now) / cross;
    let tau = std::f64::consts::TAU;
    match kind {
        Kind::SteadyGrowth => Box::new(move |d| now + rate * (d - past)),
        Kind::SawTooth => {
            let period = [1.0, 1.0, 7.0, 3.0, 10.0][(dice.bits() % 5) as usize];
            let height = dice.between(2.0, 15.0);
            Box::new(move |d| now + rate * (d - past) + height * ((d / period).fract() - 1.0))
        }
        Kind::CleanUp => {
            let at = past - dice.between(2.0, 0.6 * past).round();
            let size = dice.between(10.0, 40.0);
            Box::new(move |d| now + rate * (d - past) + if d < at { size } else { 0.0 })
        }
        Kind::StepAfterMigration => {
            let at = past - dice.between(3.0, 0.6 * past).round();
            let size = dice.between(8.0, 30.0);
            Box::new(move |d| now + rate * (d - past) - if d < at { size } else { 0.0 })
        }
        Kind::Bend => {
            let at = past - dice.between(12.0, 0.6 * past);
            let before = rate
                * if dice.bits().is_multiple_of(2) { dice.between(0.1, 0.5) } else { dice.between(1.5, 3.0) };
            Box::new(move |d| {
                now + rate * (at - past).max(d - past) + if d < at { before * (d - at) } else { 0.0 }
            })
        }
        Kind::Seasonal => {
            let (day, week) = (dice.between(3.0, 10.0), dice.between(0.0, 8.0));
            Box::new(move |d| {
                let work = if (d as usize) % 7 < 5 { 0.0 } else { -week };
                now + rate * (d - past) + day * ((tau * d).sin() - 1.0) + work
            })
        }
        Kind::Flat | Kind::NoiseOnly => {
            let level = dice.between(20.0, 65.0);
            Box::new(move |_| level)
        }
    }
}
