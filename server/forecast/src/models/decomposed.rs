//! Seasonal-trend decomposition (`augurs`, MSTL) by day and week; the seasons repeat, the rest is smoothed.
//!
//! The decomposition runs in single precision, so the series is centred and scaled before and after.

use augurs::mstl::stlrs;

use super::{DAY, WEEK, smoothing};
use crate::stats;

/// What foretells the deseasonalised rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    /// Damped exponential smoothing.
    Damped,
    /// Theta.
    Theta,
}

/// The path; `None` with less than two days.
pub(super) fn predict(past: &[f64], rest: Rest, horizon: usize) -> Option<Vec<f64>> {
    let mut periods = vec![DAY];
    if past.len() >= 2 * WEEK + DAY {
        periods.push(WEEK);
    }
    if past.len() < 2 * DAY + 1 {
        return None;
    }
    let centre = stats::mean(past);
    let scale = stats::rms(&past.iter().map(|v| v - centre).collect::<Vec<_>>());
    if !stats::is_positive(scale) {
        return None;
    }
    let scaled: Vec<f32> = past.iter().map(|v| ((v - centre) / scale) as f32).collect();
    let fit = stlrs::MstlParams::new().fit(&scaled, &periods).ok()?;
    let calm: Vec<f64> = fit.trend().iter().zip(fit.remainder()).map(|(t, r)| f64::from(t + r)).collect();
    let level = match rest {
        Rest::Damped => smoothing::damped(&calm, horizon),
        Rest::Theta => smoothing::theta(&calm, horizon),
    };
    let seasons: Vec<(usize, &[f32])> =
        periods.iter().zip(fit.seasonal()).map(|(p, s)| (*p, &s[s.len() - p..])).collect();
    let season = |h: usize| seasons.iter().map(|(p, s)| f64::from(s[h % p])).sum::<f64>();
    Some(level.iter().enumerate().map(|(h, l)| centre + scale * (l + season(h))).collect())
}
