//! Small robust statistics, total on any input: an empty slice gives `NaN` or zero, never a panic.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// True for a number above zero; false for `NaN`.
pub(crate) fn is_positive(value: f64) -> bool {
    value > 0.0
}

/// Median of the finite values; `NaN` when there is none.
pub(crate) fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Quantile `p` (0 to 1) of the finite values by linear interpolation; `NaN` when there is none.
pub(crate) fn quantile(values: &[f64], p: f64) -> f64 {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    quantile_mut(&mut sorted, p)
}

/// The same on a scratch buffer of finite values, which is reordered.
pub(crate) fn quantile_mut(values: &mut [f64], p: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let position = p.clamp(0.0, 1.0) * (values.len() - 1) as f64;
    let (index, fraction) = (position.floor() as usize, position.fract());
    let (_, &mut low, above) = values.select_nth_unstable_by(index, f64::total_cmp);
    if fraction <= 0.0 {
        return low;
    }
    let high = above.iter().copied().fold(f64::INFINITY, f64::min);
    low + (high - low) * fraction
}

/// Standard deviation guessed from the median absolute deviation (Gaussian consistent).
pub(crate) fn mad_sigma(values: &[f64]) -> f64 {
    let centre = median(values);
    let away: Vec<f64> = values.iter().map(|v| (v - centre).abs()).collect();
    1.4826 * median(&away)
}

/// Arithmetic mean; zero of nothing.
pub(crate) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

/// Root of the mean square; zero of nothing.
pub(crate) fn rms(values: &[f64]) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        (values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64).sqrt()
    }
}

/// Autocorrelation at lag one about zero, within 0 to 0.98; zero when the values do not vary.
pub(crate) fn autocorrelation(values: &[f64]) -> f64 {
    let power: f64 = values.iter().map(|v| v * v).sum();
    if power <= 0.0 || values.len() < 3 {
        return 0.0;
    }
    let lagged: f64 = values.windows(2).map(|w| w[0] * w[1]).sum();
    (lagged / power).clamp(0.0, 0.98)
}

/// Degrees of freedom from which Student's t is taken for the normal.
const MANY: f64 = 300.0;

/// Quantile of Student's t.
pub(crate) fn t_quantile(p: f64, dof: f64) -> f64 {
    if dof > MANY {
        return normal_quantile(p);
    }
    StudentsT::new(0.0, 1.0, dof.max(1.0)).map_or_else(|_| normal_quantile(p), |t| t.inverse_cdf(p))
}

/// Distribution function of Student's t.
pub(crate) fn t_cdf(x: f64, dof: f64) -> f64 {
    if !x.is_finite() {
        return f64::from(u8::from(x > 0.0));
    }
    if dof > MANY {
        return Normal::standard().cdf(x);
    }
    StudentsT::new(0.0, 1.0, dof.max(1.0)).map_or(0.5, |t| t.cdf(x)).clamp(0.0, 1.0)
}

/// Quantile of the standard normal.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_skip_gaps() {
        assert_eq!(median(&[3.0, f64::NAN, 1.0]), 2.0);
        assert_eq!(quantile(&[0.0, 10.0], 0.25), 2.5);
        assert!(median(&[f64::NAN]).is_nan());
    }

    #[test]
    fn the_scale_ignores_a_few_wild_values() {
        let mut values: Vec<f64> = (0..101).map(|i| f64::from(i) - 50.0).collect();
        let clean = mad_sigma(&values);
        values[0] = 1e9;
        assert!((mad_sigma(&values) - clean).abs() < 0.1 * clean);
    }

    #[test]
    fn student_quantiles_match_the_tables() {
        assert!((t_quantile(0.975, 10.0) - 2.228).abs() < 0.01);
        assert!((t_cdf(2.228, 10.0) - 0.975).abs() < 0.001);
        assert!((t_quantile(0.995, 1.0) - 63.657).abs() < 0.01);
        assert!((normal_quantile(0.9) - 1.2816).abs() < 0.001);
    }

    #[test]
    fn student_tails_are_total() {
        for x in [-1e300, -1e9, -3.0, 0.0, 1e9, 1e300, f64::INFINITY] {
            for dof in [0.0, 1.0, 2.5, 100.0, 1e9] {
                let p = t_cdf(x, dof);
                assert!((0.0..=1.0).contains(&p), "{x} {dof} {p}");
            }
        }
    }
}
