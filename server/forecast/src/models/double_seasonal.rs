//! Double-seasonal exponential smoothing after Taylor (2003): a level, a daily and a weekly season, each corrected
//! by a share of the error, and a first-order correction that fades.
//!
//! The shares minimise absolute errors at several distances at once (one hour to two days), since the path matters
//! and not the next hour alone.

use super::{DAY, WEEK};
use crate::stats;

/// Distances whose errors are minimised, in hours.
const DISTANCES: [usize; 5] = [1, 6, 12, 24, 48];

/// Shares: level, day, week, fading correction.
type Shares = [f64; 4];

/// Starting points of the search.
const STARTS: [Shares; 3] = [[0.02, 0.1, 0.1, 0.7], [0.3, 0.15, 0.2, 0.3], [0.005, 0.02, 0.3, 0.9]];

/// Rounds of coordinate search.
const ROUNDS: usize = 3;

struct State {
    level: f64,
    day: [f64; DAY],
    week: [f64; WEEK],
    fading: f64,
}

/// The path; `None` with less than two and a half weeks.
pub(super) fn predict(past: &[f64], horizon: usize) -> Option<Vec<f64>> {
    if past.len() < 2 * WEEK + 4 * DAY {
        return None;
    }
    let shares = search(past);
    let mut state = State::begin(past);
    state.run(past, &shares, |_, _| {});
    Some((1..=horizon).map(|h| state.ahead(past.len() - 1, h, shares[3])).collect())
}

impl State {
    /// Means of the first two weeks.
    fn begin(past: &[f64]) -> Self {
        let first = &past[..2 * WEEK];
        let level = stats::mean(first);
        let mut day = [0.0; DAY];
        for (h, v) in first.iter().enumerate() {
            day[h % DAY] += (v - level) * DAY as f64 / first.len() as f64;
        }
        let mut week = [0.0; WEEK];
        for (h, v) in first.iter().enumerate() {
            week[h % WEEK] += 0.5 * (v - level - day[h % DAY]);
        }
        Self { level, day, week, fading: 0.0 }
    }

    /// Forecast `distance` hours after hour `t`.
    fn ahead(&self, t: usize, distance: usize, fade: f64) -> f64 {
        let at = t + distance;
        self.level + self.day[at % DAY] + self.week[at % WEEK] + self.fading * fade.powi(distance as i32)
    }

    /// Walks through the past; `seen` is called after every hour with the state as it then stands.
    fn run(&mut self, past: &[f64], shares: &Shares, mut seen: impl FnMut(usize, &Self)) {
        let [level, day, week, fade] = *shares;
        for (t, value) in past.iter().enumerate() {
            let base = self.level + self.day[t % DAY] + self.week[t % WEEK];
            let carried = fade * self.fading;
            let error = value - base - carried;
            self.level += level * error;
            self.day[t % DAY] += day * error;
            self.week[t % WEEK] += week * error;
            self.fading = carried + (1.0 - level - day - week).max(0.0) * error;
            seen(t, self);
        }
    }
}

/// Mean absolute error over the distances, the first two weeks not counted; errors far back count less.
fn cost(past: &[f64], shares: &Shares) -> f64 {
    let mut state = State::begin(past);
    let fades = DISTANCES.map(|d| shares[3].powi(d as i32));
    let mut sum = 0.0;
    let from = 2 * WEEK - DISTANCES[4];
    state.run(past, shares, |t, state| {
        if t < from {
            return;
        }
        for (distance, fade) in DISTANCES.into_iter().zip(fades) {
            let at = t + distance;
            if let Some(truth) = past.get(at) {
                let foretold =
                    state.level + state.day[at % DAY] + state.week[at % WEEK] + state.fading * fade;
                sum += (truth - foretold).abs();
            }
        }
    });
    if sum.is_finite() { sum } else { f64::INFINITY }
}

fn search(past: &[f64]) -> Shares {
    let mut best = STARTS
        .map(|s| (cost(past, &s), s))
        .into_iter()
        .fold((f64::INFINITY, STARTS[0]), |a, b| if b.0 < a.0 { b } else { a });
    let mut step = 2.0;
    for _ in 0..ROUNDS {
        for which in 0..4 {
            for factor in [step, 1.0 / step] {
                let mut shares = best.1;
                // The fade is stepped in its distance from one, the shares in themselves.
                shares[which] = match which {
                    3 => (1.0 - (1.0 - shares[3]) * factor).clamp(0.0, 0.995),
                    _ => (shares[which] * factor).clamp(0.0005, 0.9),
                };
                let found = cost(past, &shares);
                if found < best.0 {
                    best = (found, shares);
                    break;
                }
            }
        }
        step = step.sqrt().max(1.3);
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn day_and_week_are_continued() {
        let tau = std::f64::consts::TAU;
        let value = |h: usize| {
            let h = h as f64;
            50.0 + 8.0 * (h * tau / 24.0).sin() + 5.0 * (h * tau / 168.0).cos()
        };
        let past: Vec<f64> = (0..800).map(value).collect();
        for (h, foretold) in predict(&past, 48).unwrap().iter().enumerate() {
            assert!((foretold - value(800 + h)).abs() < 0.5, "hour {h}: {foretold}");
        }
    }
}
