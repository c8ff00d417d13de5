//! The last values of a sign, in order, to tell how far beyond them a new one is.

use std::collections::VecDeque;

/// Values needed before anything is called far.
const MIN_VALUES: usize = 20;

/// A bounded window of finite values, by age and by size.
#[derive(Debug, Clone)]
pub(super) struct Window {
    by_age: VecDeque<f64>,
    sorted: Vec<f64>,
    max: usize,
}

impl Window {
    pub(super) fn new(max: usize) -> Self {
        Self { by_age: VecDeque::new(), sorted: Vec::new(), max }
    }

    pub(super) fn push(&mut self, value: f64) {
        if self.by_age.len() >= self.max
            && let Some(oldest) = self.by_age.pop_front()
        {
            let index = self.sorted.partition_point(|other| other.total_cmp(&oldest).is_lt());
            self.sorted.remove(index);
        }
        self.by_age.push_back(value);
        let index = self.sorted.partition_point(|other| other.total_cmp(&value).is_lt());
        self.sorted.insert(index, value);
    }

    fn quantile(&self, p: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        self.sorted.get((last as f64 * p).round() as usize).copied().unwrap_or(0.0)
    }

    /// Distance between the outer quantiles.
    pub(super) fn range(&self, outer: f64) -> f64 {
        self.quantile(outer) - self.quantile(1.0 - outer)
    }

    /// How far `value` is beyond the outer quantile on its side of the median, in units of the quantile's own distance
    /// from the median, of which at least `floor` is taken; zero within it. Negative below the median.
    pub(super) fn beyond(&self, value: f64, outer: f64, floor: f64) -> f64 {
        if self.sorted.len() < MIN_VALUES {
            return 0.0;
        }
        let middle = self.quantile(0.5);
        let (side, edge) = if value >= middle { (1.0, outer) } else { (-1.0, 1.0 - outer) };
        // What differs by rounding only is no distance.
        let floor = floor.max(1e-9 * (1.0 + middle.abs()));
        let unit = (self.quantile(edge) - middle).abs() + floor;
        side * ((value - middle).abs() / unit - 1.0).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_told_in_units_of_the_usual_distance_on_that_side() {
        let mut window = Window::new(101);
        (0..=100).for_each(|n| window.push(f64::from(n)));
        assert!(window.beyond(80.0, 0.9, 0.0).abs() < 1e-9);
        assert!((window.beyond(130.0, 0.9, 0.0) - 1.0).abs() < 1e-6, "{}", window.beyond(130.0, 0.9, 0.0));
        assert!((window.beyond(-30.0, 0.9, 0.0) + 1.0).abs() < 1e-6, "{}", window.beyond(-30.0, 0.9, 0.0));
    }

    #[test]
    fn the_oldest_values_leave() {
        let mut window = Window::new(30);
        (0..1_000).for_each(|n| window.push(f64::from(n % 7)));
        assert_eq!((window.by_age.len(), window.sorted.len()), (30, 30));
        assert!(window.sorted.is_sorted());
    }
}
