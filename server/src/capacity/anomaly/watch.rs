//! The detectors of all series. Pure: samples in, episodes out.

use std::collections::{BTreeMap, BTreeSet};

use siaga_forecast::anomaly::{Agreement, Detector, Episode, Settings};

use super::quantity::Quantity;
use crate::time::{DAY_MS, Millis};

/// Distance of samples.
pub(super) const STEP_MS: Millis = 300_000;
/// What each sample is held against, and what is gone through again after a start.
pub(super) const HISTORY_MS: Millis = 10 * DAY_MS;

/// Which series.
pub(super) type Key = (String, Quantity);

/// One series.
#[derive(Debug)]
struct Watched {
    detector: Detector,
    agreement: Agreement,
    /// The newest sample, its score and its value.
    newest: (Millis, f64, f64),
}

/// All series.
#[derive(Debug, Default)]
pub(super) struct Watch {
    series: BTreeMap<Key, Watched>,
    /// The newest moment that was gone through.
    pub(super) done_ms: Option<Millis>,
    /// Series that had no room at the last moment.
    left_out: BTreeSet<Key>,
}

/// What is unusual now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unusual {
    /// Host.
    pub(super) instance: String,
    /// What of it.
    pub(super) quantity: Quantity,
    /// Since when, and by which signs.
    pub(super) episode: Episode,
    /// The newest value.
    pub(super) value: f64,
}

impl Watch {
    /// Takes in a sample. A further series than `most` is left out and counted.
    pub(super) fn push(&mut self, key: &Key, at_ms: Millis, value: f64, most: usize) {
        if !self.series.contains_key(key) && self.series.len() >= most {
            self.left_out.insert(key.clone());
            return;
        }
        let watched = self.series.entry(key.clone()).or_insert_with(|| Watched {
            detector: Detector::new(Settings::default()),
            agreement: Agreement::default(),
            newest: (at_ms, 0.0, value),
        });
        if let Some(verdict) = watched.detector.push(at_ms, value) {
            watched.agreement.push(at_ms, value, &verdict);
            watched.newest = (at_ms, verdict.score, value);
        }
    }

    /// Forgets hosts that are gone, and what was not heard for as long as samples are held against.
    pub(super) fn keep(&mut self, instances: &BTreeSet<String>, now_ms: Millis) {
        self.series.retain(|(instance, _), watched| {
            instances.contains(instance) && now_ms - watched.newest.0 < HISTORY_MS
        });
        self.left_out.clear();
    }

    /// What is unusual now. A series without new samples concludes nothing: its episode lasts.
    pub(super) fn unusual(&self) -> Vec<Unusual> {
        let of = |(key, watched): (&Key, &Watched)| {
            Some(Unusual {
                instance: key.0.clone(),
                quantity: key.1,
                episode: watched.agreement.episode()?.clone(),
                value: watched.newest.2,
            })
        };
        self.series.iter().filter_map(of).collect()
    }

    /// The newest scores, of what was heard since a time.
    pub(super) fn scores(&self, since_ms: Millis) -> Vec<(&Key, f64)> {
        let heard = self.series.iter().filter(|(_, watched)| watched.newest.0 >= since_ms);
        heard.map(|(key, watched)| (key, watched.newest.1)).collect()
    }

    /// Series that are watched, and those that had no room.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.series.len(), self.left_out.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(instance: &str) -> Key {
        (instance.to_owned(), Quantity::Cpu)
    }

    fn usual(n: i64) -> f64 {
        30.0 + ((n * 7_919) % 101) as f64 / 50.0
    }

    #[test]
    fn what_is_unusual_on_one_host_is_told_of_that_host_alone_until_it_is_gone() {
        let mut watch = Watch::default();
        for n in 0..1_500 {
            for instance in ["a", "b"] {
                let flood = if instance == "b" && n >= 1_490 { 60.0 } else { 0.0 };
                watch.push(&key(instance), n * STEP_MS, usual(n) + flood, 10);
            }
        }
        let unusual = watch.unusual();
        assert_eq!(unusual.len(), 1, "{unusual:?}");
        assert_eq!((unusual[0].instance.as_str(), unusual[0].episode.since_ms), ("b", 1_490 * STEP_MS));
        assert!(unusual[0].episode.signs.len() >= 3);
        assert_eq!(watch.scores(1_400 * STEP_MS).len(), 2);
        watch.keep(&["a".to_owned()].into(), 1_500 * STEP_MS);
        assert!(watch.unusual().is_empty());
    }

    #[test]
    fn series_beyond_the_bound_are_left_out_and_counted() {
        let mut watch = Watch::default();
        for instance in ["a", "b", "c"] {
            watch.push(&key(instance), 0, 1.0, 2);
            watch.push(&key(instance), STEP_MS, 1.0, 2);
        }
        assert_eq!(watch.counts(), (2, 1));
        watch.keep(&["c".to_owned()].into(), 2 * STEP_MS);
        watch.push(&key("c"), 2 * STEP_MS, 1.0, 2);
        assert_eq!(watch.counts(), (1, 0));
    }
}
