//! The quantities in which an anomaly shows.

use std::collections::VecDeque;

/// Length of a day.
const DAY_MS: i64 = 86_400_000;
/// Parts of a day for which what is usual is kept.
const PARTS: usize = 48;
/// Samples of a part of the day before it is known what is usual then.
const MIN_PART_SAMPLES: f64 = 6.0;
/// What is usual then is the mean of about so many samples.
const PART_SAMPLES: f64 = 12.0;

/// In what an anomaly shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sign {
    /// The value is out of its range.
    Level,
    /// The value changed by more than it does from one sample to the next.
    Jump,
    /// The value is not what it is at this time of day.
    Season,
    /// The mean of the last samples is out of its range.
    Mean,
    /// The last samples differ from each other more, or less, than they do.
    Spread,
}

/// All signs, in the order of their strengths.
pub const SIGNS: [Sign; 5] = [Sign::Level, Sign::Jump, Sign::Season, Sign::Mean, Sign::Spread];

/// What is usual in one part of the day.
#[derive(Debug, Clone, Copy, Default)]
struct Usual {
    mean: f64,
    samples: f64,
}

/// Makes the quantities of each sample.
#[derive(Debug, Clone)]
pub(super) struct Quantities {
    last: Option<f64>,
    recent: VecDeque<f64>,
    recent_max: usize,
    usual: [Usual; PARTS],
}

impl Quantities {
    pub(super) fn new(recent_max: usize) -> Self {
        Self { last: None, recent: VecDeque::new(), recent_max, usual: [Usual::default(); PARTS] }
    }

    /// The quantities of a sample, in the order of [`SIGNS`].
    pub(super) fn of(&mut self, at_ms: i64, value: f64) -> [f64; SIGNS.len()] {
        self.recent.push_back(value);
        if self.recent.len() > self.recent_max {
            self.recent.pop_front();
        }
        let count = self.recent.len() as f64;
        let mean = self.recent.iter().map(|value| value / count).sum::<f64>();
        let variance = self.recent.iter().map(|value| (value - mean).powi(2) / count).sum::<f64>();
        let jump = self.last.map_or(0.0, |last| value - last);
        self.last = Some(value);
        [value, jump, self.off_season(at_ms, value), mean, variance.sqrt()]
    }

    /// Distance to what is usual at this time of day; zero until that is known.
    fn off_season(&mut self, at_ms: i64, value: f64) -> f64 {
        let part = at_ms.rem_euclid(DAY_MS) as usize * PARTS / DAY_MS as usize;
        let usual = &mut self.usual[part];
        let distance = value - usual.mean;
        let known = usual.samples > MIN_PART_SAMPLES;
        usual.samples = (usual.samples + 1.0).min(PART_SAMPLES);
        usual.mean += distance / usual.samples;
        if known { distance } else { 0.0 }
    }
}
