//! When a person is to look: the score reaches its threshold and several signs agree. One odd quantity raises nothing.

use super::detector::Verdict;
use super::signs::Sign;

/// Signs that must be clear, of the five.
pub const AGREEING_SIGNS: usize = 3;
/// Samples before anything is raised: three days of one in five minutes, so that each hour of the day was seen.
pub const LEARNED_SAMPLES: usize = 864;
/// Samples without agreement after which an episode has ended.
const QUIET_SAMPLES: usize = 6;
/// Samples after which an episode is over in any case: what lasts for a day is the new usual.
const LONGEST_SAMPLES: usize = 288;

/// What is unusual, and since when.
#[derive(Debug, Clone, PartialEq)]
pub struct Episode {
    /// Its first sample.
    pub since_ms: i64,
    /// The clear signs of the sample at which they were strongest, the strongest first, with their strengths.
    pub signs: Vec<(Sign, f64)>,
    /// The value then.
    pub value: f64,
    /// When that was.
    pub at_ms: i64,
}

/// Follows the verdicts on one series.
#[derive(Debug, Clone, Default)]
pub struct Agreement {
    seen: usize,
    quiet: usize,
    length: usize,
    strength: f64,
    episode: Option<Episode>,
}

impl Agreement {
    /// Takes in the verdict on a sample; gives the episode that lasts, if one does.
    pub fn push(&mut self, at_ms: i64, value: f64, verdict: &Verdict) -> Option<&Episode> {
        self.seen += 1;
        let signs = verdict.clear_signs();
        let strength: f64 = signs.iter().map(|(_, strength)| strength.abs().ln_1p()).sum();
        let agree = signs.len() >= AGREEING_SIGNS;
        if self.episode.is_some() {
            self.length += 1;
            self.quiet = if agree { 0 } else { self.quiet + 1 };
            if self.quiet >= QUIET_SAMPLES || self.length >= LONGEST_SAMPLES {
                self.episode = None;
            }
        } else if agree && verdict.is_anomaly() && self.seen > LEARNED_SAMPLES {
            self.quiet = 0;
            self.length = 1;
            self.strength = f64::NEG_INFINITY;
            self.episode = Some(Episode { since_ms: at_ms, signs: Vec::new(), value, at_ms });
        }
        if let Some(episode) = self.episode.as_mut()
            && agree
            && strength > self.strength
        {
            self.strength = strength;
            *episode = Episode { signs, value, at_ms, since_ms: episode.since_ms };
        }
        self.episode.as_ref()
    }

    /// The episode that lasts.
    #[must_use]
    pub fn episode(&self) -> Option<&Episode> {
        self.episode.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Detector, Settings};
    use super::*;

    const STEP_MS: i64 = 300_000;
    const DAY: i64 = 288;

    fn wave(n: i64) -> f64 {
        let noise = ((n * 7_919) % 101) as f64 / 101.0 - 0.5;
        50.0 + 20.0 * (n as f64 * std::f64::consts::TAU / DAY as f64).sin() + 2.0 * noise
    }

    /// First and last sample of each episode, and the signs of each.
    fn episodes(samples: i64, value: impl Fn(i64) -> f64) -> Vec<(i64, i64, Vec<Sign>)> {
        let (mut detector, mut agreement) = (Detector::new(Settings::default()), Agreement::default());
        let mut found: Vec<(i64, i64, Vec<Sign>)> = Vec::new();
        for n in 0..samples {
            let Some(verdict) = detector.push(n * STEP_MS, value(n)) else { continue };
            let Some(episode) = agreement.push(n * STEP_MS, value(n), &verdict) else { continue };
            let signs = episode.signs.iter().map(|(sign, _)| *sign).collect();
            match found.last_mut() {
                Some(last) if last.0 == episode.since_ms / STEP_MS => (last.1, last.2) = (n, signs),
                _ => found.push((episode.since_ms / STEP_MS, n, signs)),
            }
        }
        found
    }

    #[test]
    fn an_hour_of_a_flood_is_one_episode_in_words_and_ends() {
        let flood = 7 * DAY + 30;
        let found =
            episodes(9 * DAY, |n| wave(n) + if (flood..flood + 12).contains(&n) { 180.0 } else { 0.0 });
        assert_eq!(found.len(), 1, "{found:?}");
        let (first, last, signs) = &found[0];
        assert_eq!(*first, flood);
        assert!(*last < flood + 60, "{last}");
        assert!(signs.contains(&Sign::Level) && signs.contains(&Sign::Season), "{signs:?}");
    }

    #[test]
    fn an_undisturbed_wave_raises_nothing() {
        assert!(episodes(20 * DAY, wave).is_empty());
    }

    #[test]
    fn signs_that_do_not_agree_raise_nothing_however_strong_they_are() {
        let raised = |strengths| {
            let mut agreement = Agreement { seen: LEARNED_SAMPLES, ..Agreement::default() };
            let verdict = Verdict { score: 9.0, strengths, anomaly: true, clear: 0.5 };
            agreement.push(0, 1.0, &verdict).is_some()
        };
        assert!(!raised([1e6, 1e6, 0.4, 0.0, -0.4]));
        assert!(raised([0.6, 0.0, -0.6, 0.0, 0.6]));
    }

    #[test]
    fn nothing_is_raised_in_the_first_three_days_and_what_lasts_becomes_usual() {
        assert!(episodes(2 * DAY, |n| if n == 300 { 900.0 } else { wave(n) }).is_empty());
        let shift = 6 * DAY;
        let found = episodes(20 * DAY, |n| wave(n) + if n >= shift { 300.0 } else { 0.0 });
        assert_eq!(found.first().map(|episode| episode.0), Some(shift));
        assert!(found.iter().all(|episode| episode.1 < 12 * DAY), "{found:?}");
    }
}
