//! Classic histograms: series of cumulative buckets that differ in the label `le`.

use std::collections::HashMap;

use crate::Labels;
use crate::eval::{ABSENT, Grid, Series, is_absent};
use crate::format::{format_general, quoted};
use crate::labels::METRIC_NAME;

const BUCKET_LABEL: &str = "le";
/// Relative differences between buckets below this are rounding, not data.
const SMALL_DELTA: f64 = 1e-12;

/// A bucket at one step: cumulative count of observations up to a bound.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bucket {
    pub(crate) bound: f64,
    pub(crate) count: f64,
}

/// The bucket series of one histogram.
pub(crate) struct Histogram {
    /// Labels without `le`; the name stays for notes.
    pub(crate) labels: Labels,
    drop_name: bool,
    /// Upper bound and counts over time, in order of bound.
    buckets: Vec<(f64, Vec<f64>)>,
}

/// Groups bucket series into histograms. Series without a bound are reported and left out.
pub(crate) fn group(input: Vec<Series>, mut bad_bound: impl FnMut(&Labels, &str)) -> Vec<Histogram> {
    let mut index: HashMap<Labels, usize> = HashMap::new();
    let mut out: Vec<Histogram> = Vec::new();
    for s in input {
        let text = s.labels.get(BUCKET_LABEL).unwrap_or("");
        let Some(bound) = parse_bound(text) else {
            bad_bound(&s.labels, text);
            continue;
        };
        // Metrics with different names are different histograms, although the result has no name.
        let labels = s.labels.filtered(|n| n != BUCKET_LABEL);
        let at = *index.entry(labels.clone()).or_insert_with(|| {
            out.push(Histogram { labels, drop_name: s.drop_name, buckets: Vec::new() });
            out.len() - 1
        });
        out[at].drop_name |= s.drop_name;
        out[at].buckets.push((bound, s.values));
    }
    for h in &mut out {
        h.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    out
}

/// Bounds are written by many hands: `1`, `1.0`, `1e0`, `+Inf`.
fn parse_bound(text: &str) -> Option<f64> {
    text.parse().ok().filter(|b: &f64| !b.is_nan())
}

impl Histogram {
    /// Evaluates a function of the buckets at every step that has any.
    pub(crate) fn column(&self, grid: &Grid, mut f: impl FnMut(usize, &mut Vec<Bucket>) -> f64) -> Series {
        let mut scratch = Vec::with_capacity(self.buckets.len());
        let mut values = vec![ABSENT; grid.count];
        for (step, cell) in values.iter_mut().enumerate() {
            scratch.clear();
            for (bound, counts) in &self.buckets {
                if !is_absent(counts[step]) {
                    scratch.push(Bucket { bound: *bound, count: counts[step] });
                }
            }
            if !scratch.is_empty() {
                *cell = f(step, &mut scratch);
            }
        }
        Series { labels: self.labels.clone(), drop_name: self.drop_name, values }
    }
}

/// Where the counts of buckets had to be corrected, over all steps.
#[derive(Debug, Clone)]
pub(crate) struct Forced {
    low: f64,
    high: f64,
    largest: f64,
    steps: usize,
    first_step: usize,
    last_step: usize,
}

impl Forced {
    /// The note about it.
    pub(crate) fn note(&self, labels: &Labels, grid: &Grid) -> String {
        format!(
            "input to histogram_quantile needed to be fixed for monotonicity (see \
             https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}, from buckets \
             {} to {}, with a max diff of {}, over {} samples from {} to {}",
            of_metric(labels),
            format_general(self.low),
            format_general(self.high),
            format_general(two_digits(self.largest)),
            self.steps,
            rfc3339(grid.time(self.first_step)),
            rfc3339(grid.time(self.last_step))
        )
    }
}

/// Names the metric in a note, where there is a name.
pub(crate) fn of_metric(labels: &Labels) -> String {
    labels.get(METRIC_NAME).map_or_else(String::new, |name| format!(" for metric name {}", quoted(name)))
}

/// Rounded to two significant digits.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

fn rfc3339(ms: i64) -> String {
    use crate::ast::DatePart;
    use crate::functions::date::part;
    let t = ms as f64 / 1000.0;
    let p = |which| part(which, t);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        p(DatePart::Year),
        p(DatePart::Month),
        p(DatePart::DayOfMonth),
        p(DatePart::Hour),
        p(DatePart::Minute),
        ms.div_euclid(1000).rem_euclid(60)
    )
}

/// Sorted buckets with equal bounds added up; `None` without a bucket for everything.
fn complete(buckets: &mut Vec<Bucket>) -> Option<()> {
    if buckets.last()?.bound != f64::INFINITY {
        return None;
    }
    buckets.dedup_by(|next, kept| {
        let same = next.bound == kept.bound;
        if same {
            kept.count += next.count;
        }
        same
    });
    Some(())
}

/// The q-quantile, interpolated within its bucket.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>, step: usize, forced: &mut Option<Forced>) -> f64 {
    if q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    if complete(buckets).is_none() {
        return f64::NAN;
    }
    make_monotonic(buckets, step, forced);
    let n = buckets.len();
    let observations = buckets[n - 1].count;
    if n < 2 || observations == 0.0 || observations.is_nan() {
        return f64::NAN;
    }
    let mut rank = q * observations;
    let b = buckets[..n - 1].partition_point(|b| b.count < rank);
    if b == n - 1 {
        return buckets[n - 2].bound;
    }
    if b == 0 && buckets[0].bound <= 0.0 {
        return buckets[0].bound;
    }
    let mut start = 0.0;
    let mut count = buckets[b].count;
    if b > 0 {
        start = buckets[b - 1].bound;
        count -= buckets[b - 1].count;
        rank -= buckets[b - 1].count;
    }
    start + (buckets[b].bound - start) * (rank / count)
}

/// Cumulative counts never fall; scrapes in the middle of an update and rounding make them seem to.
fn make_monotonic(buckets: &mut [Bucket], step: usize, forced: &mut Option<Forced>) {
    let mut previous = buckets[0].count;
    for b in &mut buckets[1..] {
        if b.count == previous {
            continue;
        }
        if nearly_equal(previous, b.count) {
            b.count = previous;
        } else if b.count < previous {
            let new = Forced {
                low: b.bound,
                high: b.bound,
                largest: 0.0,
                steps: 0,
                first_step: step,
                last_step: usize::MAX,
            };
            let f = forced.get_or_insert(new);
            f.low = f.low.min(b.bound);
            f.high = f.high.max(b.bound);
            f.largest = f.largest.max(previous - b.count);
            f.steps += usize::from(f.last_step != step);
            f.last_step = step;
            b.count = previous;
        } else {
            previous = b.count;
        }
    }
}

fn nearly_equal(a: f64, b: f64) -> bool {
    let sum = a.abs() + b.abs();
    let difference = (a - b).abs();
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < SMALL_DELTA * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < SMALL_DELTA
}

/// The share of observations between two values, interpolated within buckets.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if complete(buckets).is_none() {
        return f64::NAN;
    }
    let count = buckets[buckets.len() - 1].count;
    if count == 0.0 || count.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets).min(count) - rank_of(lower, buckets).min(count)) / count
}

/// Number of observations below a value.
fn rank_of(value: f64, buckets: &[Bucket]) -> f64 {
    let mut rank = 0.0;
    for (i, b) in buckets.iter().enumerate() {
        let low = match i.checked_sub(1) {
            Some(previous) => buckets[previous].bound,
            None if b.bound > 0.0 => 0.0,
            None => f64::NEG_INFINITY,
        };
        if low >= value {
            return rank;
        }
        if b.bound > value {
            // A bucket of infinite width says nothing about where in it the observations are.
            return if low == f64::NEG_INFINITY {
                b.count
            } else {
                rank + (b.count - rank) * (value - low) / (b.bound - low)
            };
        }
        rank = b.count;
    }
    buckets.last().map_or(0.0, |b| b.count)
}
