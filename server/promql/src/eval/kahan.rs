//! Compensated summation (Kahan's, in Neumaier's form): sums of very different magnitudes keep their small parts.

/// A running sum with its compensation.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kahan {
    pub(crate) sum: f64,
    pub(crate) compensation: f64,
}

impl Kahan {
    pub(crate) fn new(sum: f64) -> Self {
        Self { sum, compensation: 0.0 }
    }

    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let t = self.sum + value;
        if t.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - t) + value;
        } else {
            self.compensation += (value - t) + self.sum;
        }
        self.sum = t;
    }

    #[inline]
    pub(crate) fn total(&self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.compensation }
    }
}

/// Windows of at least this many samples are summed in lanes; shorter ones in order, as Prometheus does.
const LANES_FROM: usize = 32;
const LANES: usize = 4;

/// The compensated sum of a window.
pub(crate) fn sum_of(values: &[f64]) -> Kahan {
    if values.len() >= LANES_FROM {
        let sum = sum_in_lanes(values);
        if sum.sum.is_finite() && sum.compensation.is_finite() {
            return sum;
        }
    }
    let mut sum = Kahan::default();
    values.iter().for_each(|v| sum.add(*v));
    sum
}

/// Several sums side by side, so that one addition need not wait for the other. Wrong where anything is infinite.
fn sum_in_lanes(values: &[f64]) -> Kahan {
    let mut lanes = [ErrorFree::default(); LANES];
    let (chunks, rest) = values.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            lane.add(*v);
        }
    }
    let mut sum = Kahan::default();
    rest.iter().for_each(|v| sum.add(*v));
    for lane in lanes {
        sum.add(lane.sum);
        sum.compensation += lane.error;
    }
    sum
}

/// Knuth's error-free addition: the same compensation as [`Kahan`] without a branch. An infinite sum gives NaN.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ErrorFree {
    sum: f64,
    error: f64,
}

impl ErrorFree {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let t = self.sum + value;
        let part = t - self.sum;
        self.error += (self.sum - (t - part)) + (value - part);
        self.sum = t;
    }

    #[inline]
    pub(crate) fn total(&self) -> f64 {
        self.sum + self.error
    }
}

/// A mean as the sum divided by the count, which turns to an incremental mean before the sum overflows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mean {
    count: f64,
    /// The sum, or the mean once it is incremental.
    state: Kahan,
    incremental: bool,
}

impl Mean {
    pub(crate) fn new(first: f64) -> Self {
        Self { count: 1.0, state: Kahan::new(first), incremental: false }
    }

    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut next = self.state;
            next.add(value);
            if !next.sum.is_infinite() {
                self.state = next;
                return;
            }
            self.incremental = true;
            self.state.sum /= self.count - 1.0;
            self.state.compensation /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        self.state.sum *= q;
        self.state.compensation *= q;
        self.state.add(value / self.count);
    }

    pub(crate) fn value(&self) -> f64 {
        if self.incremental {
            self.state.sum + self.state.compensation
        } else {
            self.state.sum / self.count + self.state.compensation / self.count
        }
    }
}

/// The mean of a window that is not empty.
pub(crate) fn mean_of(values: &[f64]) -> f64 {
    let sum = sum_of(values);
    if sum.sum.is_finite() {
        let count = values.len() as f64;
        return sum.sum / count + sum.compensation / count;
    }
    let mut mean = Mean::new(values[0]);
    values[1..].iter().for_each(|v| mean.add(*v));
    mean.value()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_keep_what_plain_addition_loses() {
        let mut values = vec![1.0; 64];
        (values[3], values[41]) = (1e100, -1e100);
        assert_eq!(sum_of(&values).total(), 62.0);
        assert_ne!(values.iter().sum::<f64>(), 62.0);
    }

    #[test]
    fn infinities_and_overflow_take_the_slow_path() {
        let mut values = vec![1.0; 40];
        values[7] = f64::INFINITY;
        assert_eq!(sum_of(&values).total(), f64::INFINITY);
        assert_eq!(mean_of(&values), f64::INFINITY);
        assert!((mean_of(&[1e308; 40]) / 1e308 - 1.0).abs() < 1e-12);
    }
}
