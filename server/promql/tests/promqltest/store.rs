//! A storage in memory that knows which of its series hold what the engine has no type for.

use std::collections::BTreeMap;
use std::sync::Mutex;

use siaga_promql::{
    Labels, METRIC_NAME, Matcher, SelectBudget, SelectHints, SeriesData, Storage, StorageError,
};

use super::notation::{self, Description};
use super::script::Load;

#[derive(Default)]
pub(crate) struct Store {
    series: BTreeMap<Labels, Entry>,
    /// Why a query since the last [`Store::take_obstacle`] cannot be judged.
    obstacle: Mutex<Option<&'static str>>,
}

#[derive(Default)]
struct Entry {
    samples: BTreeMap<i64, f64>,
    obstacle: Option<&'static str>,
}

const HISTOGRAMS: &str = "reads native histograms";
const CUSTOM_BUCKETS: &str = "reads native histograms made by load_with_nhcb";
const START_TIMES: &str = "reads series with start timestamps";

impl Store {
    pub(crate) fn load(&mut self, load: &Load) -> Result<(), String> {
        // Of two lines with the same labels in one load, the later replaces the earlier.
        let mut descriptions: BTreeMap<Labels, Description> = BTreeMap::new();
        let mut with_start_times = Vec::new();
        for line in &load.series {
            let d = notation::parse_series(line)?;
            if d.is_start_times {
                with_start_times.push(d.labels);
            } else {
                descriptions.insert(d.labels.clone(), d);
            }
        }
        for (labels, d) in descriptions {
            if load.with_custom_buckets {
                self.mark_custom_buckets(&labels);
            }
            let entry = self.series.entry(labels).or_default();
            if d.has_histograms {
                entry.obstacle = Some(HISTOGRAMS);
            }
            for (i, point) in d.points.iter().enumerate() {
                if let Some(value) = point {
                    entry.samples.insert(load.step_ms * i as i64, *value);
                }
            }
        }
        for labels in with_start_times {
            self.series.entry(labels).or_default().obstacle = Some(START_TIMES);
        }
        Ok(())
    }

    /// The native histogram that would be made of a classic one is not loaded; who asks for it is told.
    fn mark_custom_buckets(&mut self, labels: &Labels) {
        let Some(name) = labels.get(METRIC_NAME).and_then(|n| n.strip_suffix("_bucket")) else { return };
        let native = Labels::new(
            labels
                .iter()
                .filter(|(n, _)| *n != "le")
                .map(|(n, v)| (n.to_owned(), if n == METRIC_NAME { name.to_owned() } else { v.to_owned() })),
        );
        self.series.entry(native).or_default().obstacle = Some(CUSTOM_BUCKETS);
    }

    pub(crate) fn take_obstacle(&self) -> Option<&'static str> {
        self.obstacle.lock().unwrap().take()
    }
}

impl Storage for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        hints: &SelectHints,
        _: &SelectBudget,
    ) -> Result<Vec<SeriesData>, StorageError> {
        let compiled: Vec<_> = matchers.iter().map(|m| m.compile().unwrap()).collect();
        let mut out = Vec::new();
        for (labels, entry) in &self.series {
            if !compiled.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or(""))) {
                continue;
            }
            if entry.obstacle.is_some() {
                *self.obstacle.lock().unwrap() = entry.obstacle;
            }
            if hints.start_ms > hints.end_ms {
                continue;
            }
            let (timestamps, values): (Vec<i64>, Vec<f64>) =
                entry.samples.range(hints.start_ms..=hints.end_ms).map(|(t, v)| (*t, *v)).unzip();
            if !timestamps.is_empty() {
                out.push(SeriesData::new(labels.clone(), timestamps, values));
            }
        }
        Ok(out)
    }
}
