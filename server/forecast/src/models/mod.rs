//! The candidates of the hourly path. Each is a plain function: past in, path out; `None` when the past is too
//! short for it. All expect finite values.

mod naive;

use crate::answer::ModelName;

/// Hours a day.
pub(crate) const DAY: usize = 24;

/// Hours a week.
pub(crate) const WEEK: usize = 168;

/// Candidates in the order they are tried.
pub(crate) const CANDIDATES: &[ModelName] =
    &[ModelName::SeasonalNaiveDay, ModelName::SeasonalNaiveWeek, ModelName::WeekProfile];

/// The path of one candidate.
pub(crate) fn predict(model: ModelName, past: &[f64], horizon: usize) -> Option<Vec<f64>> {
    let path = match model {
        ModelName::SeasonalNaiveDay => naive::seasonal(past, DAY, horizon),
        ModelName::SeasonalNaiveWeek => naive::seasonal(past, WEEK, horizon),
        ModelName::WeekProfile => naive::week_profile(past, horizon),
        _ => None,
    }?;
    path.iter().all(|v| v.is_finite()).then_some(path)
}
