//! The candidates of the hourly path. Each is a plain function: past in, path out; `None` when the past is too
//! short for it. All expect finite values.

mod decomposed;
mod double_seasonal;
mod lag_regression;
mod naive;
mod smoothing;

use crate::answer::ModelName;

/// Hours a day.
pub(crate) const DAY: usize = 24;

/// Hours a week.
pub(crate) const WEEK: usize = 168;

/// Candidates in the order they are tried.
pub(crate) const CANDIDATES: &[ModelName] = &[
    ModelName::SeasonalNaiveDay,
    ModelName::SeasonalNaiveWeek,
    ModelName::WeekProfile,
    ModelName::Ets,
    ModelName::Theta,
    ModelName::MstlEts,
    ModelName::MstlEtsLog,
    ModelName::DoubleSeasonal,
    ModelName::DoubleSeasonalLog,
    ModelName::AutoRegression,
    ModelName::AutoRegressionLog,
    ModelName::LagRegression,
    ModelName::LagRegressionLog,
];

/// The path of one candidate.
pub(crate) fn predict(model: ModelName, past: &[f64], horizon: usize) -> Option<Vec<f64>> {
    let path = match model {
        ModelName::SeasonalNaiveDay => naive::seasonal(past, DAY, horizon),
        ModelName::SeasonalNaiveWeek => naive::seasonal(past, WEEK, horizon),
        ModelName::WeekProfile => naive::week_profile(past, horizon),
        ModelName::Ets => Some(smoothing::damped(past, horizon)),
        ModelName::Theta => decomposed::predict(past, decomposed::Rest::Theta, horizon),
        ModelName::MstlEts => decomposed::predict(past, decomposed::Rest::Damped, horizon),
        ModelName::MstlEtsLog => {
            in_logs(past, |logs| decomposed::predict(logs, decomposed::Rest::Damped, horizon))
        }
        ModelName::DoubleSeasonal => double_seasonal::predict(past, horizon),
        ModelName::DoubleSeasonalLog => in_logs(past, |logs| double_seasonal::predict(logs, horizon)),
        ModelName::AutoRegression => lag_regression::predict(past, lag_regression::NEAR, horizon),
        ModelName::AutoRegressionLog => {
            in_logs(past, |logs| lag_regression::predict(logs, lag_regression::NEAR, horizon))
        }
        ModelName::LagRegression => lag_regression::predict(past, lag_regression::SEASONAL, horizon),
        ModelName::LagRegressionLog => {
            in_logs(past, |logs| lag_regression::predict(logs, lag_regression::SEASONAL, horizon))
        }
        ModelName::RobustTrend | ModelName::Level | ModelName::Combination => None,
    }?;
    path.iter().all(|v| v.is_finite()).then_some(path)
}

/// A model on logarithms; `None` unless every value is positive.
fn in_logs(past: &[f64], model: impl FnOnce(&[f64]) -> Option<Vec<f64>>) -> Option<Vec<f64>> {
    if past.iter().any(|v| *v <= 0.0) {
        return None;
    }
    let logs: Vec<f64> = past.iter().map(|v| v.ln()).collect();
    Some(model(&logs)?.into_iter().map(f64::exp).collect())
}
