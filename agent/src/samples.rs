//! What one collection yields: series with labels and kind, each with one value.
//!
//! Series are interned, so that a collection in the steady state allocates nothing. Invariants: a series appears at
//! most once in a collection; one that was there before and is not now gets the stale marker, once; the number of
//! series is bounded by [`MAX_SERIES`].
//!
//! Collectors write into an [`Output`] of their own, so that one that hangs holds nothing that others need; the
//! [`Recorder`] takes the outputs up.

use std::collections::HashMap;

use siaga_protocol::exposition;
use siaga_protocol::remote_write::STALE_NAN_BITS;

/// Most series of one host. More are left out and counted.
pub const MAX_SERIES: usize = 20_000;
/// Dead series that are kept before the table is rebuilt.
const MAX_DEAD_SERIES: usize = 1_000;

/// How values of a family behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, begins again at zero.
    Counter,
    /// Any value.
    Gauge,
    /// Not known, as node_exporter leaves it.
    Untyped,
}

impl Kind {
    /// The kind behind `# TYPE`. The parts of histograms and summaries are told apart by their names, not here.
    #[must_use]
    pub fn of_text(text: &str) -> Self {
        match text {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            _ => Self::Untyped,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Untyped => "untyped",
        }
    }
}

/// Place of a series in its [`Recorder`]; valid within one generation.
pub type SeriesId = u32;

/// One value of one series.
pub type Sample = (SeriesId, f64);

struct Series {
    /// Sorted by name, with `__name__`, without empty values.
    labels: Box<[(Box<str>, Box<str>)]>,
    kind: Kind,
    /// Collection in which it was seen last.
    seen: u64,
}

/// What one collector found: values with their series, in the order in which they were found.
#[derive(Default)]
pub struct Output {
    /// Keys of series behind one another, see [`Recorder::record`].
    keys: String,
    rows: Vec<OutputRow>,
}

struct OutputRow {
    kind: Kind,
    /// Where its key ends; it begins where the one before ends.
    key_end: usize,
    value: f64,
}

impl Output {
    /// Empties it, and keeps its room.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.rows.clear();
    }

    /// Records a counter.
    pub fn counter(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.record(Kind::Counter, name, labels, value);
    }

    /// Records a gauge.
    pub fn gauge(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.record(Kind::Gauge, name, labels, value);
    }

    /// Records a value.
    pub fn record(&mut self, kind: Kind, name: &str, labels: &[(&str, &str)], value: f64) {
        write_key(name, labels.iter().copied(), &mut self.keys);
        self.rows.push(OutputRow { kind, key_end: self.keys.len(), value });
    }

    /// Appends what another one holds.
    pub fn append(&mut self, other: &Self) {
        let start = self.keys.len();
        self.keys.push_str(&other.keys);
        self.rows.extend(other.rows.iter().map(|row| OutputRow { key_end: start + row.key_end, ..*row }));
    }

    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn rows(&self) -> impl Iterator<Item = (Kind, &str, f64)> {
        let mut start = 0;
        self.rows.iter().map(move |row| {
            let key = self.keys.get(start..row.key_end).unwrap_or_default();
            start = row.key_end;
            (row.kind, key, row.value)
        })
    }
}

/// NUL separates the parts of a key. It stands in no file name and in no text of the kernel; what others say is cut
/// there.
fn write_key<'a>(name: &str, labels: impl Iterator<Item = (&'a str, &'a str)>, key: &mut String) {
    key.push_str(name);
    for part in labels.flat_map(|(label, text)| [label, text]) {
        key.push('\0');
        key.push_str(part.split('\0').next().unwrap_or_default());
    }
}

/// Takes up the values of one collection after the other.
#[derive(Default)]
pub struct Recorder {
    ids: HashMap<Box<str>, SeriesId>,
    series: Vec<Series>,
    samples: Vec<Sample>,
    previous: Vec<SeriesId>,
    collection: u64,
    generation: u64,
    refused: u64,
    key: String,
}

impl Recorder {
    /// Begins a collection.
    pub fn begin(&mut self) {
        if self.series.len() > self.previous.len() * 2 + MAX_DEAD_SERIES {
            self.forget_dead();
        }
        self.collection += 1;
        self.samples.clear();
    }

    /// Records a counter.
    pub fn counter(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.record(Kind::Counter, name, labels, value);
    }

    /// Records a gauge.
    pub fn gauge(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.record(Kind::Gauge, name, labels, value);
    }

    /// Records a value. A second one for the same series in a collection is left out.
    pub fn record(&mut self, kind: Kind, name: &str, labels: &[(&str, &str)], value: f64) {
        let mut key = std::mem::take(&mut self.key);
        key.clear();
        write_key(name, labels.iter().copied(), &mut key);
        self.record_key(kind, &key, value);
        self.key = key;
    }

    /// Takes up what a collector found.
    pub fn take_up(&mut self, output: &Output) {
        for (kind, key, value) in output.rows() {
            self.record_key(kind, key, value);
        }
    }

    fn record_key(&mut self, kind: Kind, key: &str, value: f64) {
        let id = match self.ids.get(key) {
            Some(&id) => id,
            None => match self.intern(kind, key) {
                Some(id) => id,
                None => return,
            },
        };
        let series = &mut self.series[id as usize];
        if series.seen != self.collection {
            series.seen = self.collection;
            self.samples.push((id, value));
        }
    }

    fn intern(&mut self, kind: Kind, key: &str) -> Option<SeriesId> {
        if self.series.len() >= MAX_SERIES {
            self.refused += 1;
            return None;
        }
        let id = u32::try_from(self.series.len()).ok()?;
        let mut parts = key.split('\0');
        let name = parts.next().unwrap_or_default();
        let mut sorted: Vec<(Box<str>, Box<str>)> = vec![("__name__".into(), name.into())];
        while let (Some(label), Some(text)) = (parts.next(), parts.next()) {
            if !text.is_empty() {
                sorted.push((label.into(), text.into()));
            }
        }
        sorted.sort_unstable();
        self.ids.insert(key.into(), id);
        self.series.push(Series { labels: sorted.into(), kind, seen: 0 });
        Some(id)
    }

    /// Ends a collection: marks as stale what has vanished since the one before.
    pub fn end(&mut self) {
        let live = self.samples.len();
        for &id in &self.previous {
            if self.series[id as usize].seen != self.collection {
                self.samples.push((id, f64::from_bits(STALE_NAN_BITS)));
            }
        }
        self.previous.clear();
        self.previous.extend(self.samples[..live].iter().map(|&(id, _)| id));
    }

    /// Keeps only the series of the last collection; their places change, hence the new generation.
    fn forget_dead(&mut self) {
        let live: std::collections::HashSet<SeriesId> = self.previous.iter().copied().collect();
        let mut places = HashMap::new();
        let mut kept = Vec::with_capacity(live.len());
        for (id, series) in (0u32..).zip(std::mem::take(&mut self.series)) {
            if live.contains(&id) {
                places.insert(id, u32::try_from(kept.len()).unwrap_or(u32::MAX));
                kept.push(series);
            }
        }
        self.series = kept;
        self.ids.retain(|_, id| places.get(id).map(|place| *id = *place).is_some());
        for id in &mut self.previous {
            *id = places.get(id).copied().unwrap_or(0);
        }
        self.generation += 1;
    }

    /// Families of all series with their kinds, sorted by name.
    pub fn families(&self) -> impl Iterator<Item = (&str, Kind)> {
        let name = |series: &Series| {
            series.labels.iter().position(|(label, _)| &**label == "__name__").unwrap_or_default()
        };
        let named = self.series.iter().filter_map(move |s| Some((&*s.labels.get(name(s))?.1, s.kind)));
        named.collect::<std::collections::BTreeMap<_, _>>().into_iter()
    }

    /// Samples of the collection.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// Labels of a series, sorted by name, with `__name__`.
    #[must_use]
    pub fn labels(&self, id: SeriesId) -> &[(Box<str>, Box<str>)] {
        self.series.get(id as usize).map_or(&[], |series| &series.labels)
    }

    /// Changes when places of series change their meaning.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Values that were left out because there were more than [`MAX_SERIES`] series.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The collection in Prometheus text format, families in order of their names.
    #[must_use]
    pub fn to_text(&self) -> String {
        let name_of = |id: SeriesId| {
            self.labels(id).iter().find(|(label, _)| &**label == "__name__").map_or("", |(_, name)| name)
        };
        let mut samples = self.samples.clone();
        samples.sort_by(|a, b| name_of(a.0).cmp(name_of(b.0)));
        let (mut out, mut family) = (String::new(), "");
        for (id, value) in samples {
            let name = name_of(id);
            if name != family {
                family = name;
                let kind = self.series[id as usize].kind.as_str();
                let help = crate::help::of(name);
                if !help.is_empty() {
                    out.push_str(&format!("# HELP {name} {help}\n"));
                }
                out.push_str(&format!("# TYPE {name} {kind}\n"));
            }
            exposition::write_sample(&mut out, self.labels(id), value, None);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use siaga_protocol::remote_write::is_stale_marker;

    use super::*;

    fn collect(recorder: &mut Recorder, devices: &[&str]) {
        recorder.begin();
        for device in devices {
            recorder.counter("bytes_total", &[("device", device)], 1.0);
        }
        recorder.end();
    }

    #[test]
    fn a_series_that_vanishes_is_marked_stale_once() {
        let mut recorder = Recorder::default();
        collect(&mut recorder, &["a", "b"]);
        collect(&mut recorder, &["a"]);
        let stale: Vec<_> = recorder.samples().iter().filter(|s| is_stale_marker(s.1)).collect();
        assert_eq!(stale.len(), 1);
        assert_eq!(&*recorder.labels(stale[0].0)[1].1, "b");
        collect(&mut recorder, &["a"]);
        assert_eq!(recorder.samples().len(), 1);
    }

    #[test]
    fn the_first_of_two_values_for_one_series_counts() {
        let mut recorder = Recorder::default();
        collect(&mut recorder, &["a", "a"]);
        assert_eq!(recorder.samples().len(), 1);
    }

    #[test]
    fn an_output_is_taken_up_as_if_it_had_been_recorded() {
        let (mut output, mut recorder) = (Output::default(), Recorder::default());
        for value in [1.0, 2.0] {
            output.clear();
            output.counter("n_total", &[("path", "a\0b"), ("none", "")], value);
            output.gauge("g", &[], value);
            recorder.begin();
            recorder.take_up(&output);
            recorder.end();
        }
        let text = "# TYPE g gauge\ng 2\n# TYPE n_total counter\nn_total{path=\"a\"} 2\n";
        assert_eq!(recorder.to_text(), text);
        assert_eq!((output.len(), recorder.series.len()), (2, 2));
    }

    #[test]
    fn labels_are_sorted_and_empty_ones_left_out() {
        let mut recorder = Recorder::default();
        recorder.begin();
        recorder.gauge("m", &[("z", "1"), ("a", "2"), ("e", "")], 3.0);
        recorder.end();
        assert_eq!(recorder.to_text(), "# TYPE m gauge\nm{a=\"2\",z=\"1\"} 3\n");
    }

    #[test]
    fn series_that_come_and_go_do_not_pile_up_and_still_go_stale() {
        let mut recorder = Recorder::default();
        for round in 0..20_000 {
            let name = format!("veth{round}");
            collect(&mut recorder, &["lo", &name]);
            assert_eq!(recorder.samples().len(), if round == 0 { 2 } else { 3 });
        }
        assert!(recorder.series.len() < MAX_DEAD_SERIES + 10);
        assert!(recorder.generation() > 0);
        assert_eq!(recorder.ids.len(), recorder.series.len());
    }
}
