//! Downsampling: what is kept of a span of samples, and which of it a question can be answered with.
//!
//! A window of a resolution is open on the left and closed on the right, `(k * r, (k + 1) * r]`, as Prometheus' ranges
//! are. A question whose instants and ranges are multiples of the resolution therefore gets from the aggregates what
//! it would get from the samples: exactly for minimum, maximum, sum and the newest sample; for an average with the
//! weight of each window as one; for the increase of a counter with what its resets took counted in, as long as a
//! window has one reset at most.

/// Length of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resolution {
    /// Five minutes.
    FiveMinutes,
    /// An hour.
    Hour,
}

impl Resolution {
    /// All, the coarsest first.
    pub const ALL: [Self; 2] = [Self::Hour, Self::FiveMinutes];

    /// Milliseconds of a window.
    #[must_use]
    pub const fn ms(self) -> i64 {
        match self {
            Self::FiveMinutes => 300_000,
            Self::Hour => 3_600_000,
        }
    }
}

/// What of each window answers the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// The sum of the values.
    Sum,
    /// The mean of the values.
    Average,
    /// The newest value, stale markers included.
    Last,
    /// The newest value, and before it the largest when the counter fell from there.
    Counter,
}

/// Bits of the NaN that ends a series in Prometheus' world: it is no value, but it may be the newest sample.
const STALE_BITS: u64 = 0x7ff0_0000_0000_0002;

/// Windows of one series, in columns. Windows without a sample do not occur.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Windows {
    /// Time of the newest sample of each window.
    pub(crate) timestamps: Vec<i64>,
    pub(crate) min: Vec<f64>,
    pub(crate) max: Vec<f64>,
    pub(crate) sum: Vec<f64>,
    /// Values, stale markers left out.
    pub(crate) count: Vec<f64>,
    pub(crate) last: Vec<f64>,
}

impl Windows {
    /// Aggregates samples that are in order of time.
    pub(crate) fn of(timestamps: &[i64], values: &[f64], resolution: Resolution) -> Self {
        let mut windows = Self::default();
        let mut from = 0;
        while from < timestamps.len() {
            let end_ms = window_end(timestamps[from], resolution.ms());
            let len = timestamps[from..].partition_point(|&t| t <= end_ms);
            windows.push(timestamps[from + len - 1], &values[from..from + len]);
            from += len;
        }
        windows
    }

    fn push(&mut self, newest_ms: i64, values: &[f64]) {
        let (mut min, mut max, mut sum, mut count) = (f64::NAN, f64::NAN, 0.0, 0.0);
        for value in values.iter().copied().filter(|v| v.to_bits() != STALE_BITS) {
            // `min` and `max` prefer any number to NaN, as Prometheus does.
            (min, max) = (min.min(value), max.max(value));
            sum += value;
            count += 1.0;
        }
        self.timestamps.push(newest_ms);
        self.min.push(min);
        self.max.push(max);
        self.sum.push(sum);
        self.count.push(count);
        self.last.push(values.last().copied().unwrap_or(f64::NAN));
    }

    /// Appends what answers the question, as samples.
    pub(crate) fn answer(&self, aggregate: Aggregate, ts: &mut Vec<i64>, vs: &mut Vec<f64>) {
        for at in 0..self.timestamps.len() {
            let (t, count, last) = (self.timestamps[at], self.count[at], self.last[at]);
            // A window of nothing but stale markers has no value, but it ends the series.
            let value = match aggregate {
                Aggregate::Last | Aggregate::Counter => last,
                _ if count == 0.0 => f64::from_bits(STALE_BITS),
                Aggregate::Min => self.min[at],
                Aggregate::Max => self.max[at],
                Aggregate::Sum => self.sum[at],
                Aggregate::Average => self.sum[at] / count,
            };
            // The fall or the end of a counter within the window, unless the sample before it has that very time.
            let hidden = self.max[at] > last || (last.to_bits() == STALE_BITS && count > 0.0);
            if aggregate == Aggregate::Counter && hidden && ts.last().is_none_or(|&before| before < t - 1) {
                ts.push(t - 1);
                vs.push(self.max[at]);
            }
            ts.push(t);
            vs.push(value);
        }
    }
}

/// The last millisecond of the window that holds this one.
fn window_end(timestamp_ms: i64, resolution_ms: i64) -> i64 {
    (timestamp_ms - 1).div_euclid(resolution_ms) * resolution_ms + resolution_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(windows: &Windows, aggregate: Aggregate) -> Vec<(i64, f64)> {
        let (mut ts, mut vs) = (Vec::new(), Vec::new());
        windows.answer(aggregate, &mut ts, &mut vs);
        ts.into_iter().zip(vs).collect()
    }

    #[test]
    fn a_window_is_open_on_the_left_and_closed_on_the_right() {
        let windows = Windows::of(&[300_000, 300_001, 600_000], &[1.0, 2.0, 3.0], Resolution::FiveMinutes);
        assert_eq!(windows.timestamps, [300_000, 600_000]);
        assert_eq!(answer(&windows, Aggregate::Sum), [(300_000, 1.0), (600_000, 5.0)]);
        assert_eq!(answer(&windows, Aggregate::Average), [(300_000, 1.0), (600_000, 2.5)]);
    }

    #[test]
    fn a_counter_that_starts_again_loses_nothing() {
        let windows = Windows::of(&[10, 20, 30, 40], &[5.0, 9.0, 1.0, 4.0], Resolution::Hour);
        assert_eq!(answer(&windows, Aggregate::Counter), [(39, 9.0), (40, 4.0)]);
    }

    #[test]
    fn a_stale_marker_is_the_newest_sample_and_no_value() {
        let stale = f64::from_bits(STALE_BITS);
        let windows = Windows::of(&[10, 20, 3_600_001], &[5.0, stale, stale], Resolution::Hour);
        assert_eq!(answer(&windows, Aggregate::Max)[0], (20, 5.0));
        let bits: Vec<u64> = answer(&windows, Aggregate::Last).iter().map(|(_, v)| v.to_bits()).collect();
        assert_eq!(bits, [STALE_BITS, STALE_BITS]);
        assert_eq!(answer(&windows, Aggregate::Sum)[1].1.to_bits(), STALE_BITS);
    }

    proptest! {
        #[test]
        fn aligned_questions_are_answered_as_from_the_samples(
            samples in prop::collection::btree_map(1_i64..20_000_000, -1000_i32..1000, 1..200),
            start in 0_i64..4, range in 1_i64..6,
        ) {
            let resolution = Resolution::Hour;
            let (ts, vs): (Vec<i64>, Vec<f64>) = samples.iter().map(|(&t, &v)| (t, f64::from(v))).unzip();
            let windows = Windows::of(&ts, &vs, resolution);
            let (from, to) = (start * resolution.ms(), (start + range) * resolution.ms());
            let within = |samples: Vec<(i64, f64)>| -> Vec<f64> {
                samples.into_iter().filter(|(t, _)| *t > from && *t <= to).map(|(_, v)| v).collect()
            };
            let raw = within(ts.iter().copied().zip(vs.iter().copied()).collect());
            let of = |aggregate| within(answer(&windows, aggregate));
            let max = |v: &[f64]| v.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let min = |v: &[f64]| v.iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert_eq!(max(&of(Aggregate::Max)), max(&raw));
            prop_assert_eq!(min(&of(Aggregate::Min)), min(&raw));
            prop_assert_eq!(of(Aggregate::Sum).iter().sum::<f64>(), raw.iter().sum::<f64>());
            prop_assert_eq!(of(Aggregate::Last).last().copied(), raw.last().copied());
        }
    }
}
