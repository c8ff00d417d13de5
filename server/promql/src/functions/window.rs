//! Functions over windows of samples: one value for each step from the samples that the step sees.

use std::sync::Arc;

use crate::QueryError;
use crate::ast::WindowFn;
use crate::eval::{ABSENT, Budget, Frame, Grid, RangeSeries, Series, Windows};
use crate::functions::{over_time, rate, regression, segments};

/// A function to be applied to series of a range vector.
pub(crate) struct Call<'a> {
    pub(crate) func: WindowFn,
    /// Its scalar arguments, each with one value for each step.
    pub(crate) scalars: &'a [Vec<f64>],
    pub(crate) frame: Frame,
    pub(crate) grid: &'a Grid,
    pub(crate) budget: &'a Budget,
}

impl Call<'_> {
    /// A column for each series.
    pub(crate) fn columns(
        &self,
        series: impl Iterator<Item = Result<RangeSeries, QueryError>>,
    ) -> Result<Vec<Series>, QueryError> {
        let mut last: Option<(Arc<[i64]>, Windows)> = None;
        let one = |series: Result<RangeSeries, QueryError>| {
            self.budget.check_time()?;
            let RangeSeries { labels, drop_name, timestamps, values } = series?;
            // Series of one scrape share their timestamps, and so their windows.
            let windows = match last.take() {
                Some((of, windows)) if Arc::ptr_eq(&of, &timestamps) => windows,
                _ => self.frame.windows(&timestamps, self.grid),
            };
            let input = Input {
                times: &timestamps,
                values: &values,
                windows: &windows,
                frame: self.frame,
                grid: self.grid,
                budget: self.budget,
            };
            let values = column(self.func, &input, self.scalars)?;
            last = Some((timestamps, windows));
            Ok(Series { labels, drop_name, values })
        };
        series.map(one).collect()
    }
}

/// One series with its windows.
pub(crate) struct Input<'a> {
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) windows: &'a Windows,
    pub(crate) frame: Frame,
    pub(crate) grid: &'a Grid,
    pub(crate) budget: &'a Budget,
}

/// Samples looked at between two looks at the clock: long windows times many steps are much work for one series.
const SAMPLES_PER_TIME_CHECK: usize = 1 << 20;

/// The samples of one step, never empty.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    pub(crate) step: usize,
    /// Index of the first sample within the series.
    pub(crate) first: usize,
    pub(crate) times: &'a [i64],
    pub(crate) values: &'a [f64],
}

impl<'a> Input<'a> {
    /// Runs a function over every window that has samples.
    #[inline]
    pub(crate) fn each(&self, mut f: impl FnMut(Window<'a>) -> f64) -> Result<Vec<f64>, QueryError> {
        let mut out = Vec::with_capacity(self.grid.count);
        let mut looked_at = 0;
        for (step, range) in self.windows.iter().enumerate() {
            looked_at += range.len();
            if looked_at > SAMPLES_PER_TIME_CHECK {
                self.budget.check_time()?;
                looked_at = 0;
            }
            out.push(if range.is_empty() {
                ABSENT
            } else {
                f(Window {
                    step,
                    first: range.start,
                    times: &self.times[range.clone()],
                    values: &self.values[range],
                })
            });
        }
        Ok(out)
    }

    /// Left and right edge of the window at a step, milliseconds.
    #[inline]
    pub(crate) fn edges(&self, step: usize) -> (i64, i64) {
        let end = self.frame.shift.apply(self.grid.time(step));
        (end - self.frame.range_ms, end)
    }
}

/// Scalar arguments that no step may have.
pub(crate) fn check_scalars(func: WindowFn, scalars: &[Vec<f64>]) -> Result<(), QueryError> {
    if func != WindowFn::DoubleExponentialSmoothing {
        return Ok(());
    }
    let outside = |column: &[f64]| column.iter().copied().find(|v| !(*v > 0.0 && *v < 1.0));
    if let Some(sf) = outside(&scalars[0]) {
        return Err(QueryError::execution(format!(
            "invalid smoothing factor. Expected: 0 < sf < 1, got: {sf:.6}"
        )));
    }
    if let Some(tf) = outside(&scalars[1]) {
        return Err(QueryError::execution(format!(
            "invalid trend factor. Expected: 0 < tf < 1, got: {tf:.6}"
        )));
    }
    Ok(())
}

/// The column of a window function.
pub(crate) fn column(
    func: WindowFn,
    input: &Input<'_>,
    scalars: &[Vec<f64>],
) -> Result<Vec<f64>, QueryError> {
    let seconds = |t: i64| t as f64 / 1000.0;
    match func {
        WindowFn::Rate => rate::extrapolated(input, rate::Kind::Rate),
        WindowFn::Increase => rate::extrapolated(input, rate::Kind::Increase),
        WindowFn::Delta => rate::extrapolated(input, rate::Kind::Delta),
        WindowFn::Irate => input.each(|w| rate::instant(&w, true)),
        WindowFn::Idelta => input.each(|w| rate::instant(&w, false)),
        WindowFn::Changes => input.each(|w| rate::changes(w.values)),
        WindowFn::Resets => input.each(|w| rate::resets(w.values)),
        WindowFn::Deriv => regression::deriv(input),
        WindowFn::PredictLinear => regression::predict(input, &scalars[0]),
        WindowFn::DoubleExponentialSmoothing => {
            input.each(|w| regression::double_exponential(w.values, scalars[0][w.step], scalars[1][w.step]))
        }
        WindowFn::AvgOverTime => segments::averages(input),
        WindowFn::SumOverTime => segments::sums(input),
        WindowFn::CountOverTime => input.each(|w| w.values.len() as f64),
        WindowFn::MinOverTime => input.each(|w| over_time::min(w.values)),
        WindowFn::MaxOverTime => input.each(|w| over_time::max(w.values)),
        WindowFn::LastOverTime => input.each(|w| w.values[w.values.len() - 1]),
        WindowFn::FirstOverTime => input.each(|w| w.values[0]),
        WindowFn::PresentOverTime => input.each(|_| 1.0),
        WindowFn::StddevOverTime => input.each(|w| over_time::variance(w.values).sqrt()),
        WindowFn::StdvarOverTime => input.each(|w| over_time::variance(w.values)),
        WindowFn::QuantileOverTime => {
            let mut scratch = Vec::new();
            input.each(|w| over_time::quantile(scalars[0][w.step], w.values, &mut scratch))
        }
        WindowFn::MadOverTime => {
            let mut scratch = Vec::new();
            input.each(|w| over_time::median_deviation(w.values, &mut scratch))
        }
        WindowFn::TsOfMinOverTime => {
            input.each(|w| seconds(w.times[over_time::index_of_last(w.values, |v, best| v <= best)]))
        }
        WindowFn::TsOfMaxOverTime => {
            input.each(|w| seconds(w.times[over_time::index_of_last(w.values, |v, best| v >= best)]))
        }
        WindowFn::TsOfFirstOverTime => input.each(|w| seconds(w.times[0])),
        WindowFn::TsOfLastOverTime => input.each(|w| seconds(w.times[w.times.len() - 1])),
    }
}
