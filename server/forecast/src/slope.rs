//! A robust line through daily values: Theil-Sen slope since the last bend, with an honest standard error.
//!
//! The standard error is that of least squares on a robust scale, widened for residuals that follow one another
//! (first-order autocorrelation); a series whose residuals are close to a random walk gets the error of a walk.

use crate::stats;

/// Points a piece of line must have before a bend is believed.
const MIN_PIECE: usize = 8;

/// Bends looked for, one after the other.
const MAX_BENDS: usize = 3;

/// F statistic a bend must reach: above the 1 % point of its supremum over all places (about 12; Andrews, 1993).
const BEND_F: f64 = 14.0;

/// Points used at most: pairs grow with the square.
const MAX_POINTS: usize = 400;

/// Confidence of the significance test, two-sided.
const SIGNIFICANCE: f64 = 0.99;

/// A line `level + slope * (t - end)` and how sure it is.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    /// Change a day.
    pub(crate) slope: f64,
    /// Standard error of the slope.
    pub(crate) slope_error: f64,
    /// True when the slope's interval excludes zero.
    pub(crate) significant: bool,
    /// Value of the line at the last point.
    pub(crate) level: f64,
    /// Standard error of the level.
    pub(crate) level_error: f64,
    /// Residual of the last point, which fades by `rho` a day.
    pub(crate) last_residual: f64,
    /// Standard deviation of the residuals.
    pub(crate) sigma: f64,
    /// Autocorrelation of the residuals.
    pub(crate) rho: f64,
    /// Degrees of freedom.
    pub(crate) dof: f64,
    /// Centre of the fitted days, counted back from the last one (positive).
    pub(crate) centre_age: f64,
    /// Index of the first point used.
    pub(crate) first: usize,
}

/// Fits `values` (one a day, `NaN` allowed) from the last bend on; `None` with fewer than three points.
pub(crate) fn fit(values: &[f64]) -> Option<Line> {
    let start = values.len().saturating_sub(MAX_POINTS);
    let points: Vec<(usize, f64)> =
        values.iter().copied().enumerate().skip(start).filter(|(_, v)| v.is_finite()).collect();
    let mut piece = &points[..];
    for _ in 0..MAX_BENDS {
        match last_bend(piece) {
            Some(at) => piece = &piece[at..],
            None => break,
        }
    }
    line(piece)
}

/// Theil-Sen through these points, with errors.
fn line(points: &[(usize, f64)]) -> Option<Line> {
    let (&(first, _), &(last, _)) = (points.first()?, points.last()?);
    if points.len() < 3 {
        return None;
    }
    let slope = theil_sen(points);
    let age = |t: usize| (last - t) as f64;
    let lifted: Vec<f64> = points.iter().map(|&(t, y)| y + slope * age(t)).collect();
    let level = stats::median(&lifted);
    let residuals: Vec<f64> = lifted.iter().map(|y| y - level).collect();
    let n = points.len() as f64;
    // The robust scale misses what happens on few days; half the plain one keeps it honest.
    let sigma =
        stats::mad_sigma(&residuals).max(0.5 * stats::rms(&residuals)) * (n / (n - 2.0).max(1.0)).sqrt();
    let clipped: Vec<f64> = residuals.iter().map(|r| r.clamp(-3.0 * sigma, 3.0 * sigma)).collect();
    // Small samples hide autocorrelation; the usual correction of order 1/n.
    let raw = stats::autocorrelation(&clipped);
    let rho = (raw + (1.0 + 4.0 * raw) / n * f64::from(u8::from(raw > 0.0))).min(0.97);
    let inflation = ((1.0 + rho) / (1.0 - rho)).min(n);
    let effective = (n / inflation).max(2.0);
    let mean_age = stats::mean(&points.iter().map(|&(t, _)| age(t)).collect::<Vec<_>>());
    let spread: f64 = points.iter().map(|&(t, _)| (age(t) - mean_age).powi(2)).sum();
    let mut slope_error = sigma * (inflation / spread.max(1e-9)).sqrt();
    if rho > 0.8 {
        let steps: Vec<f64> = residuals.windows(2).map(|w| w[1] - w[0]).collect();
        slope_error = slope_error.max(stats::rms(&steps) / n.sqrt());
    }
    let dof = (effective - 2.0).max(1.0);
    let critical = stats::t_quantile(0.5 + SIGNIFICANCE / 2.0, dof);
    // Exact arithmetic lines have residuals of rounding only.
    let rounding = 1e-9 * level.abs().max(points.iter().fold(0.0, |m: f64, p| m.max(p.1.abs())));
    Some(Line {
        slope,
        slope_error,
        significant: slope.abs() > critical * slope_error && slope.abs() * (last - first) as f64 > rounding,
        level,
        level_error: sigma / effective.sqrt(),
        last_residual: clipped.last().copied().unwrap_or(0.0),
        sigma,
        rho,
        dof,
        centre_age: mean_age,
        first,
    })
}

/// Median of the slopes of all pairs.
fn theil_sen(points: &[(usize, f64)]) -> f64 {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (i, &(t, y)) in points.iter().enumerate() {
        slopes.extend(points[i + 1..].iter().map(|&(u, z)| (z - y) / (u - t) as f64));
    }
    stats::quantile_mut(&mut slopes, 0.5)
}

/// Index of the point where a two-piece continuous line fits significantly better than one line.
fn last_bend(points: &[(usize, f64)]) -> Option<usize> {
    if points.len() < 2 * MIN_PIECE {
        return None;
    }
    let calm = winsorised(points);
    let n = calm.len() as f64;
    let x: Vec<f64> = points.iter().map(|p| p.0 as f64).collect();
    let (one, residuals) = residual_sum(&x, &calm);
    let mut best = (one, 0);
    for at in MIN_PIECE..=points.len() - MIN_PIECE {
        let sum = bent_residual_sum(&x, &residuals, x[at]);
        if sum < best.0 {
            best = (sum, at);
        }
    }
    let (two, at) = best;
    let scale: f64 = calm.iter().map(|v| v * v).sum();
    if at == 0 || one <= 1e-18 * scale {
        return None;
    }
    // Judge the correlation on what the bent line leaves over: a bend itself looks like correlation.
    let left = bent_residuals(&x, &residuals, x[at]);
    let rho = stats::autocorrelation(&left).min(0.9);
    let effective = (n * (1.0 - rho) / (1.0 + rho)).max(4.0);
    let f = (one - two) / (two.max(1e-18 * scale) / (effective - 3.0).max(1.0));
    (f > BEND_F).then_some(at)
}

/// Values with those far from the robust line drawn in.
fn winsorised(points: &[(usize, f64)]) -> Vec<f64> {
    // Running medians of five follow any slope and bend, and ignore lone days.
    let smooth: Vec<f64> = (0..points.len())
        .map(|i| {
            let window = &points[i.saturating_sub(2)..(i + 3).min(points.len())];
            stats::median(&window.iter().map(|p| p.1).collect::<Vec<_>>())
        })
        .collect();
    let away: Vec<f64> = points.iter().zip(&smooth).map(|(p, s)| p.1 - s).collect();
    let limit = 4.0 * stats::mad_sigma(&away);
    points
        .iter()
        .zip(&smooth)
        .map(|(p, s)| if limit > 0.0 { s + (p.1 - s).clamp(-limit, limit) } else { p.1 })
        .collect()
}

/// Residuals of the least-squares line and their sum of squares.
fn residual_sum(x: &[f64], y: &[f64]) -> (f64, Vec<f64>) {
    let residuals = regress_out(x, y);
    (residuals.iter().map(|r| r * r).sum(), residuals)
}

fn regress_out(x: &[f64], y: &[f64]) -> Vec<f64> {
    let (mx, my) = (stats::mean(x), stats::mean(y));
    let sxx: f64 = x.iter().map(|v| (v - mx).powi(2)).sum();
    let sxy: f64 = x.iter().zip(y).map(|(a, b)| (a - mx) * (b - my)).sum();
    let slope = if sxx > 0.0 { sxy / sxx } else { 0.0 };
    x.iter().zip(y).map(|(a, b)| b - my - slope * (a - mx)).collect()
}

fn hinge(x: &[f64], knot: f64) -> Vec<f64> {
    let raw: Vec<f64> = x.iter().map(|v| (v - knot).max(0.0)).collect();
    regress_out(x, &raw)
}

fn bent_residual_sum(x: &[f64], residuals: &[f64], knot: f64) -> f64 {
    let h = hinge(x, knot);
    let hh: f64 = h.iter().map(|v| v * v).sum();
    let hr: f64 = h.iter().zip(residuals).map(|(a, b)| a * b).sum();
    let rr: f64 = residuals.iter().map(|v| v * v).sum();
    if hh > 0.0 { rr - hr * hr / hh } else { rr }
}

fn bent_residuals(x: &[f64], residuals: &[f64], knot: f64) -> Vec<f64> {
    let h = hinge(x, knot);
    let hh: f64 = h.iter().map(|v| v * v).sum();
    let hr: f64 = h.iter().zip(residuals).map(|(a, b)| a * b).sum();
    let factor = if hh > 0.0 { hr / hh } else { 0.0 };
    residuals.iter().zip(&h).map(|(r, v)| r - factor * v).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(i: usize) -> f64 {
        // A fixed scatter, enough for tests of arithmetic.
        let x = (i as f64 * 12.9898).sin() * 43758.5453;
        x - x.floor() - 0.5
    }

    #[test]
    fn a_line_with_wild_days_keeps_its_slope() {
        let mut values: Vec<f64> = (0..60).map(|i| 10.0 + 2.0 * i as f64 + noise(i)).collect();
        values[10] = 500.0;
        values[40] = f64::NAN;
        let line = fit(&values).unwrap();
        assert!((line.slope - 2.0).abs() < 0.05, "{}", line.slope);
        assert!(line.significant);
    }

    #[test]
    fn scatter_alone_is_no_trend() {
        let significant = (0..40)
            .filter(|start| {
                let values: Vec<f64> = (0..60).map(|i| 50.0 + 5.0 * noise(i + start * 977)).collect();
                fit(&values).unwrap().significant
            })
            .count();
        assert!(significant <= 2, "{significant} of 40");
    }

    #[test]
    fn after_a_bend_only_the_last_piece_counts() {
        let values: Vec<f64> = (0..90)
            .map(|i| if i < 60 { i as f64 } else { 60.0 + 4.0 * (i - 60) as f64 } + noise(i))
            .collect();
        let line = fit(&values).unwrap();
        assert!((line.slope - 4.0).abs() < 0.2, "{}", line.slope);
        assert!(line.first >= 55 && line.first <= 65, "{}", line.first);
    }
}
