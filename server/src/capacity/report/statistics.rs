//! Peak, mean and 95th percentile of the hours of a period. Pure.

/// Use over a period, percent of the capacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Statistics {
    /// Largest hour.
    pub(super) peak: f64,
    /// Mean of the hours.
    pub(super) mean: f64,
    /// Nineteen hours in twenty lie at or below.
    pub(super) p95: f64,
    /// Hours with data.
    pub(super) hours: usize,
}

/// The statistics of values; none without a finite one.
pub(super) fn statistics(values: impl Iterator<Item = f64>) -> Option<Statistics> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let hours = values.len();
    // The nearest rank: the smallest value that 95 % of all do not exceed.
    let rank = (hours * 95).div_ceil(100).max(1) - 1;
    Some(Statistics {
        peak: *values.last()?,
        mean: values.iter().sum::<f64>() / hours as f64,
        p95: *values.get(rank)?,
        hours,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_do_not_count_and_the_percentile_is_one_of_the_values() {
        let values = (1..=100).map(f64::from).chain([f64::NAN]);
        let found = statistics(values).unwrap();
        assert_eq!((found.peak, found.mean, found.p95, found.hours), (100.0, 50.5, 95.0, 100));
        assert_eq!(statistics([7.0].into_iter()).unwrap().p95, 7.0);
        assert_eq!(statistics([f64::NAN].into_iter()), None);
    }
}
