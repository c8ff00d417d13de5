//! Gathers samples by series, remembering the line of each, until a batch is full.

use std::collections::HashMap;

use siaga_protocol::remote_write::{Label, Sample, TimeSeries, WriteRequest};

use super::{BATCH_SAMPLES, Event};

/// Labels of a series, sorted, with `__name__`.
type Pairs = Vec<(String, String)>;

/// Samples of one series with the lines that they stood on.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchItem {
    /// Labels, sorted, with `__name__`.
    pub labels: Pairs,
    /// Time in milliseconds, value, line.
    pub samples: Vec<(i64, f64, u64)>,
}

/// Samples that are sent together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// Series with samples.
    pub items: Vec<BatchItem>,
}

impl Batch {
    /// Samples in it.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.items.iter().map(|item| item.samples.len()).sum()
    }

    /// The body of a remote write.
    #[must_use]
    pub fn request(&self) -> WriteRequest {
        let label = |(name, value): &(String, String)| Label { name: name.clone(), value: value.clone() };
        let timeseries = self.items.iter().map(|item| TimeSeries {
            labels: item.labels.iter().map(label).collect(),
            samples: item.samples.iter().map(|&(timestamp, value, _)| Sample { value, timestamp }).collect(),
        });
        WriteRequest { timeseries: timeseries.collect(), metadata: Vec::new() }
    }

    /// Two halves, to find the samples for which a batch is refused. `None` for a single sample.
    #[must_use]
    pub fn halves(mut self) -> Option<(Self, Self)> {
        if self.items.len() > 1 {
            let second = self.items.split_off(self.items.len() / 2);
            return Some((self, Self { items: second }));
        }
        let item = self.items.first_mut()?;
        if item.samples.len() < 2 {
            return None;
        }
        let second = item.samples.split_off(item.samples.len() / 2);
        let labels = item.labels.clone();
        Some((self, Self { items: vec![BatchItem { labels, samples: second }] }))
    }
}

/// A batch that is being filled.
#[derive(Debug, Default)]
pub(super) struct Gatherer {
    batch: Batch,
    index: HashMap<Pairs, usize>,
    samples: usize,
}

impl Gatherer {
    /// Adds a sample; hands the batch over when it is full.
    pub(super) fn add<E>(
        &mut self,
        labels: &Pairs,
        timestamp_ms: i64,
        value: f64,
        line: u64,
        sink: &mut impl FnMut(Event) -> Result<(), E>,
    ) -> Result<(), E> {
        let at = match self.index.get(labels) {
            Some(&at) => at,
            None => {
                let at = self.batch.items.len();
                self.batch.items.push(BatchItem { labels: labels.clone(), samples: Vec::new() });
                self.index.insert(labels.clone(), at);
                at
            }
        };
        if let Some(item) = self.batch.items.get_mut(at) {
            item.samples.push((timestamp_ms, value, line));
        }
        self.samples += 1;
        if self.samples >= BATCH_SAMPLES { self.finish(sink) } else { Ok(()) }
    }

    /// Hands over what is there.
    pub(super) fn finish<E>(&mut self, sink: &mut impl FnMut(Event) -> Result<(), E>) -> Result<(), E> {
        self.index.clear();
        self.samples = 0;
        let batch = std::mem::take(&mut self.batch);
        if batch.items.is_empty() { Ok(()) } else { sink(Event::Batch(batch)) }
    }
}
