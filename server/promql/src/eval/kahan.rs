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
