//! The long view: where the daily peak will stand, when it meets the limit, how likely.
//!
//! Rules: a slope counts only when significant; without one the outlook is flat, and a flat noisy series gets no
//! date. The spread grows with distance (slope error, fading residuals) and is widened by what a rolling-origin
//! back-test on the same peaks missed. Up is towards the limit; the caller turns the series.

use crate::{
    answer::{BreachProbability, Until, YEAR_DAYS},
    envelope::Envelope,
    slope::{self, Line},
    stats,
};

/// Origins of the back-test.
const ORIGINS: usize = 8;

/// Fewest blocks an origin stands on.
const MIN_TRAIN: usize = 10;

/// Largest widening by the back-test.
const MAX_WIDENING: f64 = 4.0;

/// Rise over a short history, in standard deviations of what the line leaves over, from which it is a trend.
const SHORT_RISE: f64 = 5.0;

/// Equally likely lines that a probability is taken over.
const LINES: usize = 15;

/// Share of the values outside the interval on each side.
const TAIL: f64 = 0.1;

/// The peak's line, its spread and their test on the past.
#[derive(Debug, Clone)]
pub(crate) struct Outlook<'a> {
    envelope: &'a Envelope,
    /// The line, slope zero when not significant.
    pub(crate) line: Line,
    widening: f64,
    /// Standardised errors of the back-test, by origin.
    pub(crate) tests: Vec<Tested>,
}

/// One foretold block of the back-test.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tested {
    pub(crate) origin: usize,
    pub(crate) distance: usize,
    pub(crate) truth: f64,
    pub(crate) foretold: f64,
    pub(crate) spread: f64,
}

impl<'a> Outlook<'a> {
    /// Fits the envelope; `None` with fewer than three known blocks. `trend_allowed` is false where a daily cycle
    /// cannot be told from a trend.
    pub(crate) fn fit(envelope: &'a Envelope, trend_allowed: bool) -> Option<Self> {
        let mut line = slope::fit(&envelope.blocks)?;
        let rise = line.slope.abs() * (envelope.blocks.len() - 1 - line.first) as f64;
        // A few days hold few independent values: the rise must be plain to the eye as well.
        let plain = envelope.per_day == 1 || rise > SHORT_RISE * line.sigma;
        line = settle(line, trend_allowed && plain);
        let tests = back_test(&envelope.blocks, trend_allowed);
        let widening = widening(&tests, None);
        Some(Self { envelope, line, widening, tests })
    }

    /// Slope a day.
    pub(crate) fn slope_per_day(&self) -> f64 {
        self.line.slope * self.envelope.per_day as f64
    }

    /// Centre of the peak, `days` from the end.
    pub(crate) fn centre(&self, days: f64) -> f64 {
        let blocks = days * self.envelope.per_day as f64;
        let index = self.envelope.blocks.len() - 1 + blocks.ceil().max(0.0) as usize;
        centre(&self.line, blocks) + self.envelope.periodic(index)
    }

    /// Standard deviation of the peak about its centre, `days` from the end.
    pub(crate) fn spread(&self, days: f64) -> f64 {
        self.widening * spread(&self.line, days * self.envelope.per_day as f64)
    }

    /// When the limit is met. A block tells no more than that its peak is somewhere within: the earliest date is
    /// the start of the block, the latest its end.
    pub(crate) fn until(&self, limit: f64) -> Until {
        let [earliest, likely, latest] = self.crossings(limit);
        if earliest.is_none() { Until::Never } else { Until::Days { earliest, likely, latest } }
    }

    /// Early, likely and late time of the limit, days from the end; `None` means not within a year.
    pub(crate) fn crossings(&self, limit: f64) -> [Option<f64>; 3] {
        let step = 1.0 / self.envelope.per_day as f64;
        let earliest = self.first_crossing(limit, 1.0 - TAIL).map(|(days, _)| days - step);
        let likely = self.first_crossing(limit, 0.5).map(|(days, share)| days - step + step * share);
        let latest = self.first_crossing(limit, TAIL).map(|(days, _)| days);
        [earliest, likely, latest]
    }

    /// The peak of the day that ends `days` from the end: 10, 50 and 90 %.
    pub(crate) fn peak(&self, days: f64) -> [f64; 3] {
        let (centre, spread) = (self.centre(days), self.spread(days));
        [TAIL, 0.5, 1.0 - TAIL].map(|p| centre + stats::t_quantile(p, self.line.dof) * spread)
    }

    /// End of the first block in which the `p` path stands at the limit, in days, and which share of the block has
    /// passed by a straight line from the block before.
    fn first_crossing(&self, limit: f64, p: f64) -> Option<(f64, f64)> {
        let t = stats::t_quantile(p, self.line.dof);
        let step = 1.0 / self.envelope.per_day as f64;
        let mut before = f64::NAN;
        for block in 1..=YEAR_DAYS * self.envelope.per_day {
            let days = block as f64 * step;
            let at = self.centre(days) + t * self.spread(days);
            if at >= limit {
                let share =
                    if before.is_finite() && at > before { (limit - before) / (at - before) } else { 0.5 };
                return Some((days, share.clamp(0.0, 1.0)));
            }
            before = at;
        }
        None
    }

    /// Probability of the limit being met within 7, 30 and 90 days.
    ///
    /// What is unsure of the line is the same for all days; what a day leaves over is its own. So the chance of no
    /// breach is that of each day in turn, for each of some equally likely lines, taken together.
    pub(crate) fn probability(&self, limit: f64) -> BreachProbability {
        let mut within = [0.0; 3];
        for line in 0..LINES {
            let z = stats::t_quantile((line as f64 + 0.5) / LINES as f64, self.line.dof);
            let mut none = 1.0;
            for day in 1..=90_usize {
                let ahead = day as f64 * self.envelope.per_day as f64;
                let (own, common) = spreads(&self.line, ahead);
                let above = self.centre(day as f64) + z * self.widening * common - limit;
                let own = self.widening * own;
                none *= if own > 0.0 {
                    1.0 - stats::t_cdf(above / own, self.line.dof)
                } else {
                    f64::from(u8::from(above < 0.0))
                };
                for (days, met) in [7, 30, 90].into_iter().zip(&mut within) {
                    if day == days {
                        *met += (1.0 - none) / LINES as f64;
                    }
                }
            }
        }
        let [d7, d30, d90] = within;
        BreachProbability { d7, d30, d90 }
    }

    /// Share of the tested blocks inside the 80 % interval, each origin judged with the others' widening.
    pub(crate) fn coverage_80(&self) -> Option<f64> {
        if self.tests.is_empty() {
            return None;
        }
        let t = stats::t_quantile(1.0 - TAIL, self.line.dof);
        let inside = self
            .tests
            .iter()
            .filter(|test| {
                let reach = t * test.spread * widening(&self.tests, Some(test.origin));
                (test.truth - test.foretold).abs() <= reach.max(f64::EPSILON * test.truth.abs())
            })
            .count();
        Some(inside as f64 / self.tests.len() as f64)
    }
}

/// A slope that is not significant is no slope: the level is then that of the recent past.
fn settle(mut line: Line, trend_allowed: bool) -> Line {
    if !line.significant || !trend_allowed {
        line.level -= line.slope * line.centre_age;
        line.last_residual += line.slope * line.centre_age;
        line.slope = 0.0;
        line.slope_error = 0.0;
        line.significant = false;
    }
    line
}

fn centre(line: &Line, blocks: f64) -> f64 {
    line.level + line.slope * blocks + line.last_residual * line.rho.powf(blocks)
}

fn spread(line: &Line, blocks: f64) -> f64 {
    let (own, common) = spreads(line, blocks);
    own.hypot(common)
}

/// Standard deviation of what a block leaves over, and of the line itself.
fn spreads(line: &Line, blocks: f64) -> (f64, f64) {
    let own = line.sigma * (1.0 - line.rho.powf(2.0 * blocks)).sqrt();
    (own, line.level_error.hypot(line.slope_error * (blocks + line.centre_age)))
}

/// Forecasts from earlier ends of the same blocks.
fn back_test(blocks: &[f64], trend_allowed: bool) -> Vec<Tested> {
    let mut tests = Vec::new();
    if blocks.len() < MIN_TRAIN + 2 {
        return tests;
    }
    let room = blocks.len() - MIN_TRAIN;
    for k in 0..ORIGINS.min(room) {
        let origin = MIN_TRAIN + room * k / ORIGINS.min(room);
        let Some(line) = slope::fit(&blocks[..origin]).map(|line| settle(line, trend_allowed)) else {
            continue;
        };
        for distance in [1, 2, 4, 7, 14, 28, 56] {
            let Some(truth) = blocks.get(origin - 1 + distance).copied().filter(|v| v.is_finite()) else {
                continue;
            };
            let ahead = distance as f64;
            let (foretold, spread) = (centre(&line, ahead), spread(&line, ahead));
            tests.push(Tested { origin, distance, truth, foretold, spread });
        }
    }
    tests
}

/// How much wider the spread must be for eight in ten of the tested blocks to lie inside; never narrower.
fn widening(tests: &[Tested], without: Option<usize>) -> f64 {
    let ratios: Vec<f64> = tests
        .iter()
        .filter(|t| Some(t.origin) != without && t.spread > 0.0)
        .map(|t| (t.truth - t.foretold).abs() / t.spread)
        .collect();
    if ratios.len() < 5 {
        return 1.0;
    }
    (stats::quantile(&ratios, 1.0 - 2.0 * TAIL) / stats::normal_quantile(1.0 - TAIL)).clamp(1.0, MAX_WIDENING)
}

impl Outlook<'_> {
    /// Mean absolute change from block to block.
    pub(crate) fn naive_scale(&self) -> f64 {
        let changes: Vec<f64> =
            self.envelope.blocks.windows(2).map(|w| (w[1] - w[0]).abs()).filter(|c| c.is_finite()).collect();
        stats::mean(&changes)
    }

    /// Hours a block.
    pub(crate) fn block_hours(&self) -> usize {
        self.envelope.block_hours()
    }
}
