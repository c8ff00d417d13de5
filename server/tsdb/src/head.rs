//! The head: samples that are durable in the log but not in a chunk yet. In memory, by series and bucket.
//!
//! Invariants: what the head holds of a bucket is exactly what the bucket's log rows hold. A closing bucket is frozen
//! first: its samples move aside, unchanging and still readable, until its chunks are written and its log rows gone.
//! Memory follows the active series: full runs of samples are kept compressed.

mod buf;

pub(crate) use buf::{Buf, Inserted};

use crate::bucket::BucketKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// One series in the head.
#[derive(Debug, Default)]
struct SeriesHead {
    /// Open buckets, few; the newest use last.
    open: Vec<(BucketKey, Buf)>,
    /// Minute (since the epoch) of the last append.
    seen_minute: u32,
    source: u32,
    active: bool,
}

/// Who sends, and how many of its series are active.
#[derive(Debug)]
struct Source {
    name: Arc<str>,
    active: usize,
}

/// What is known of an open bucket.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenBucket {
    pub(crate) samples: usize,
    /// Minutes of its first and last append; 0 when replayed from the log.
    pub(crate) opened_minute: u32,
    pub(crate) touched_minute: u32,
}

/// Samples of one bucket that were new to the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewSamples {
    key: BucketKey,
    count: usize,
    oldest_ms: i64,
    newest_ms: i64,
}

impl NewSamples {
    /// One sample.
    pub(crate) fn one(key: BucketKey, t: i64) -> Self {
        Self { key, count: 1, oldest_ms: t, newest_ms: t }
    }

    /// Adds one; false if it is of another bucket.
    pub(crate) fn add(&mut self, key: BucketKey, t: i64) -> bool {
        if key != self.key {
            return false;
        }
        self.count += 1;
        (self.oldest_ms, self.newest_ms) = (self.oldest_ms.min(t), self.newest_ms.max(t));
        true
    }
}

/// A run of samples of one bucket.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) key: BucketKey,
    pub(crate) timestamps: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

/// A bucket that is being closed.
#[derive(Debug)]
pub(crate) struct Frozen {
    /// Samples by series, in ascending order of series.
    pub(crate) series: Vec<(u32, Buf)>,
    /// The last log row that these samples came from.
    pub(crate) last_log: u32,
    pub(crate) samples: usize,
}

impl Frozen {
    pub(crate) fn get(&self, series: u32) -> Option<&Buf> {
        let at = self.series.binary_search_by_key(&series, |&(id, _)| id).ok()?;
        Some(&self.series[at].1)
    }
}

/// All open and closing buckets.
#[derive(Debug, Default)]
pub(crate) struct Head {
    series: Vec<SeriesHead>,
    sources: Vec<Source>,
    source_ids: HashMap<Arc<str>, u32>,
    active: usize,
    open: BTreeMap<BucketKey, OpenBucket>,
    frozen: BTreeMap<BucketKey, Arc<Frozen>>,
    samples: usize,
    span_ms: Option<(i64, i64)>,
}

impl Head {
    /// Tells the head of a series, before its first sample.
    pub(crate) fn register(&mut self, series: u32, source: &str, seen_minute: u32, active: bool) {
        let source = self.source(source);
        let at = series as usize;
        if self.series.len() <= at {
            self.series.resize_with(at + 1, SeriesHead::default);
        }
        self.forget(series);
        let entry = &mut self.series[at];
        (entry.source, entry.seen_minute, entry.active) = (source, seen_minute, active);
        if active {
            self.active += 1;
            self.sources[source as usize].active += 1;
        }
    }

    /// A series that does not exist any more.
    pub(crate) fn forget(&mut self, series: u32) {
        let Some(entry) = self.series.get_mut(series as usize) else { return };
        if std::mem::take(&mut entry.active) {
            self.active -= 1;
            self.sources[entry.source as usize].active -= 1;
        }
        for (key, buf) in std::mem::take(&mut entry.open) {
            self.samples -= buf.len();
            if let Some(bucket) = self.open.get_mut(&key) {
                bucket.samples -= buf.len();
            }
        }
    }

    fn source(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.source_ids.get(name) {
            return id;
        }
        let (id, name) = (self.sources.len() as u32, Arc::<str>::from(name));
        self.sources.push(Source { name: Arc::clone(&name), active: 0 });
        self.source_ids.insert(name, id);
        id
    }

    /// Adds a sample that is in the log. The first of a timestamp wins. What is new is to be told to [`Head::count`].
    pub(crate) fn insert(
        &mut self,
        series: u32,
        key: BucketKey,
        t: i64,
        value: f64,
        minute: u32,
    ) -> Inserted {
        let Some(entry) = self.series.get_mut(series as usize) else { return Inserted::Duplicate };
        entry.seen_minute = entry.seen_minute.max(minute);
        if !entry.active && minute > 0 {
            entry.active = true;
            self.active += 1;
            self.sources[entry.source as usize].active += 1;
        }
        let buf = match entry.open.iter().rposition(|(k, _)| *k == key) {
            Some(at) => &mut entry.open[at].1,
            None => {
                entry.open.push((key, Buf::default()));
                let opened = OpenBucket { samples: 0, opened_minute: minute, touched_minute: minute };
                self.open.entry(key).or_insert(opened);
                let last = entry.open.len() - 1;
                &mut entry.open[last].1
            }
        };
        buf.insert((t - key.start_ms()) as u32, value)
    }

    /// Counts samples of a bucket that were new.
    pub(crate) fn count(&mut self, new: &NewSamples, minute: u32) {
        self.samples += new.count;
        if let Some(bucket) = self.open.get_mut(&new.key) {
            bucket.samples += new.count;
            bucket.touched_minute = bucket.touched_minute.max(minute);
        }
        let (low, high) = self.span_ms.unwrap_or((new.oldest_ms, new.newest_ms));
        self.span_ms = Some((low.min(new.oldest_ms), high.max(new.newest_ms)));
    }

    /// Sets a bucket's samples aside for closing. `None` when it has none or is closing already.
    pub(crate) fn freeze(&mut self, key: BucketKey, last_log: u32) -> Option<Arc<Frozen>> {
        if self.frozen.contains_key(&key) {
            return None;
        }
        self.open.remove(&key)?;
        let mut series = Vec::new();
        for (id, entry) in self.series.iter_mut().enumerate() {
            if let Some(at) = entry.open.iter().position(|(k, _)| *k == key) {
                series.push((id as u32, entry.open.remove(at).1));
                if entry.open.is_empty() {
                    entry.open = Vec::new();
                }
            }
        }
        let samples = series.iter().map(|(_, b)| b.len()).sum();
        let frozen = Arc::new(Frozen { series, last_log, samples });
        self.frozen.insert(key, Arc::clone(&frozen));
        Some(frozen)
    }

    /// The closing bucket's chunks are written: lets go of it.
    pub(crate) fn thaw(&mut self, key: BucketKey) {
        if let Some(frozen) = self.frozen.remove(&key) {
            self.samples -= frozen.samples;
        }
        if self.samples == 0 {
            self.span_ms = None;
        }
    }

    /// Open buckets, the earliest of each level first.
    pub(crate) fn open_buckets(&self) -> impl Iterator<Item = (BucketKey, OpenBucket)> + '_ {
        self.open.iter().map(|(&k, &b)| (k, b))
    }

    pub(crate) fn is_open(&self, key: BucketKey) -> bool {
        self.open.contains_key(&key) || self.frozen.contains_key(&key)
    }

    /// Buckets left closing by a failure.
    pub(crate) fn closing(&self) -> Vec<(BucketKey, Arc<Frozen>)> {
        self.frozen.iter().map(|(&k, f)| (k, Arc::clone(f))).collect()
    }

    /// Appends what the head has of a series within `start_ms..=end_ms`, by bucket in the order of reading; what came
    /// first is first.
    pub(crate) fn collect(&self, series: u32, start_ms: i64, end_ms: i64, out: &mut Vec<Part>) {
        let from = out.len();
        // Closing buckets first: their samples came earlier, and the first of a timestamp wins.
        for (&key, frozen) in &self.frozen {
            if key.overlaps(start_ms, end_ms)
                && let Some(buf) = frozen.get(series)
            {
                push_part(key, buf, start_ms, end_ms, out);
            }
        }
        if let Some(entry) = self.series.get(series as usize) {
            for (key, buf) in &entry.open {
                if key.overlaps(start_ms, end_ms) {
                    push_part(*key, buf, start_ms, end_ms, out);
                }
            }
        }
        out[from..].sort_by_key(|part| part.key.reading_order());
    }

    /// Whether the head may have a sample of the series in a bucket that touches the range.
    pub(crate) fn touches(&self, series: u32, start_ms: i64, end_ms: i64) -> bool {
        let open = self
            .series
            .get(series as usize)
            .is_some_and(|entry| entry.open.iter().any(|(key, _)| key.overlaps(start_ms, end_ms)));
        open || self.frozen.iter().any(|(k, f)| k.overlaps(start_ms, end_ms) && f.get(series).is_some())
    }

    /// Whether the head has no sample of the series.
    pub(crate) fn is_idle(&self, series: u32) -> bool {
        self.series.get(series as usize).is_none_or(|entry| entry.open.is_empty())
            && self.frozen.values().all(|frozen| frozen.get(series).is_none())
    }

    /// Marks series without an append since `minute` as inactive.
    pub(crate) fn expire_before(&mut self, minute: u32) {
        for entry in &mut self.series {
            if entry.active && entry.seen_minute < minute {
                entry.active = false;
                self.active -= 1;
                self.sources[entry.source as usize].active -= 1;
            }
        }
    }

    /// Active series of a source.
    pub(crate) fn active_of(&self, source: &str) -> usize {
        self.source_ids.get(source).map_or(0, |&id| self.sources[id as usize].active)
    }

    /// Active series in all.
    pub(crate) fn active(&self) -> usize {
        self.active
    }

    /// Sources with their active series, the largest first.
    pub(crate) fn sources(&self) -> Vec<(Arc<str>, usize)> {
        let mut sources: Vec<_> =
            self.sources.iter().filter(|s| s.active > 0).map(|s| (Arc::clone(&s.name), s.active)).collect();
        sources.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        sources
    }

    /// Samples held.
    pub(crate) fn samples(&self) -> usize {
        self.samples
    }

    /// Oldest and newest timestamp that came in since the head was last empty.
    pub(crate) fn span_ms(&self) -> Option<(i64, i64)> {
        self.span_ms
    }
}

fn push_part(key: BucketKey, buf: &Buf, start_ms: i64, end_ms: i64, out: &mut Vec<Part>) {
    let (mut timestamps, mut values) = (Vec::with_capacity(buf.len()), Vec::with_capacity(buf.len()));
    buf.collect(key.start_ms(), start_ms, end_ms, &mut timestamps, &mut values);
    if !timestamps.is_empty() {
        out.push(Part { key, timestamps, values });
    }
}
