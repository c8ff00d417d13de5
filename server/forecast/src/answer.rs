//! What the forecaster answers: a forecast with its evidence, or a refusal with its reason.

use std::fmt;

use thiserror::Error;

/// Days ahead that a crossing is looked for.
pub const YEAR_DAYS: usize = 365;

/// Longest hourly path, in hours (90 days).
pub const MAX_PATH_HOURS: usize = 90 * 24;

/// Fewest hours with data that a forecast is made from.
pub const MIN_KNOWN_HOURS: usize = 24;

/// The models a forecast may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ModelName {
    /// The value of the hour one day before.
    SeasonalNaiveDay,
    /// The value of the hour one week before.
    SeasonalNaiveWeek,
    /// Mean of the same hour of the week over recent weeks, moved to the present level.
    WeekProfile,
    /// Exponential smoothing (error, trend) of the whole series.
    Ets,
    /// Theta: half linear trend, half simple smoothing, on the deseasonalised series.
    Theta,
    /// Seasonal-trend decomposition, trend by exponential smoothing.
    MstlEts,
    /// The same on logarithms.
    MstlEtsLog,
    /// Double-seasonal exponential smoothing (day and week) with error correction.
    DoubleSeasonal,
    /// The same on logarithms.
    DoubleSeasonalLog,
    /// Regression on the series' own past at hourly, daily and weekly lags.
    AutoRegression,
    /// The same on logarithms.
    AutoRegressionLog,
    /// Regression on the same hour of past days and weeks.
    LagRegression,
    /// The same on logarithms.
    LagRegressionLog,
    /// Theil-Sen line through the daily peaks since the last change.
    RobustTrend,
    /// The last level, for a series without a significant trend.
    Level,
    /// A weighted mean of several of them.
    Combination,
}

impl ModelName {
    /// The candidates of the hourly path.
    #[must_use]
    pub fn candidates() -> &'static [Self] {
        crate::models::CANDIDATES
    }

    /// Stable identifier, for labels and reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SeasonalNaiveDay => "seasonal_naive_24",
            Self::SeasonalNaiveWeek => "seasonal_naive_168",
            Self::WeekProfile => "week_profile",
            Self::Ets => "ets",
            Self::Theta => "theta",
            Self::MstlEts => "mstl_ets",
            Self::MstlEtsLog => "mstl_ets_log",
            Self::DoubleSeasonal => "double_seasonal",
            Self::DoubleSeasonalLog => "double_seasonal_log",
            Self::LagRegression => "lag_regression",
            Self::LagRegressionLog => "lag_regression_log",
            Self::AutoRegression => "autoregression",
            Self::AutoRegressionLog => "autoregression_log",
            Self::RobustTrend => "robust_trend",
            Self::Level => "level",
            Self::Combination => "combination",
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When the limit is reached, counted in days from the end of the series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Until {
    /// The request named no limit.
    NotAsked,
    /// The series stands at or past the limit now.
    AlreadyPast,
    /// An 80 % interval; `None` means not within a year. `earliest` is always there, and
    /// `earliest <= likely <= latest` with `None` as the largest.
    Days {
        /// The 90 % path (towards the limit) reaches it.
        earliest: Option<f64>,
        /// The 50 % path reaches it.
        likely: Option<f64>,
        /// The 10 % path reaches it.
        latest: Option<f64>,
    },
    /// Not even the 90 % path reaches the limit within a year.
    Never,
}

/// Probability, 0 to 1, that the limit is reached within so many days; all zero when no limit was named.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct BreachProbability {
    /// Within 7 days.
    pub d7: f64,
    /// Within 30 days.
    pub d30: f64,
    /// Within 90 days.
    pub d90: f64,
}

/// How the model did on the past it had not seen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backtest {
    /// Mean absolute error over that of the daily seasonal naive in sample; `None` where that is zero or nothing
    /// could be tested.
    pub mase: Option<f64>,
    /// Symmetric mean absolute percentage error, per cent (0 to 200); `None` where nothing could be tested.
    pub smape: Option<f64>,
    /// Share of test values inside the 80 % interval, each origin judged by the others' errors.
    pub coverage_80: Option<f64>,
    /// Origins tested from.
    pub origins: usize,
    /// Longest distance tested, in hours.
    pub horizon: usize,
}

/// What the planner should know about the series.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// Hours without data were filled in.
    GapsFilled {
        /// How many.
        hours: usize,
    },
    /// The last hours are missing: the forecast starts from older data.
    Stale {
        /// How many.
        hours: usize,
    },
    /// Lone extreme values were set aside.
    Outliers {
        /// How many.
        count: usize,
    },
    /// The level changed at once: clean-up, new disk, upgrade. The trend starts after it.
    LevelShift {
        /// When, milliseconds since the epoch.
        at_ms: i64,
        /// By how much, in the unit of the series.
        size: f64,
    },
    /// The rate of growth changed.
    Bend {
        /// When, milliseconds since the epoch.
        at_ms: i64,
    },
    /// The series rises and is cleared again and again; its peaks are followed.
    SawTooth {
        /// Days from peak to peak.
        period_days: f64,
    },
    /// Few days of history: the interval is wide for good reason.
    ShortHistory {
        /// Days with data.
        days: f64,
    },
    /// Never falls, or only to start again near zero: a counter should be fed as a rate.
    LooksLikeCounter,
    /// Every value is the same.
    Constant,
}

/// A forecast and what it stands on.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Start of the first hour foretold, milliseconds since the epoch.
    pub start_ms: i64,
    /// Hourly path that one value in ten falls below.
    pub p10: Vec<f64>,
    /// Hourly path that half the values fall below.
    pub p50: Vec<f64>,
    /// Hourly path that nine values in ten fall below.
    pub p90: Vec<f64>,
    /// Peak (the low, where the limit lies below) of each whole day ahead: one in ten falls below the first, half below
    /// the second, nine in ten below the third. The largest of an hourly path is less than the peak of a day: each hour
    /// has its own chance to be the one.
    pub peaks: Vec<[f64; 3]>,
    /// When the limit is reached.
    pub until: Until,
    /// How likely a breach is.
    pub breach_probability: BreachProbability,
    /// The model of the hourly path.
    pub model: ModelName,
    /// The parts of a combination and their weights (sum 1), largest first.
    pub weights: Vec<(ModelName, f64)>,
    /// Back-test of the hourly path.
    pub backtest: Backtest,
    /// What was noticed.
    pub notes: Vec<Note>,
    /// Slope of the daily peaks since the last change, unit of the series a day; 0 when not significant.
    pub trend_per_day: f64,
    /// True when the slope's 99 % interval excludes zero.
    pub trend_significant: bool,
}

/// Why there is no forecast.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The series holds no hour at all.
    #[error("the series is empty")]
    Empty,
    /// The series holds hours, but none with data.
    #[error("all {hours} hours are gaps")]
    AllGaps {
        /// Length of the series.
        hours: usize,
    },
    /// Too little data.
    #[error("{have} hours with data, at least {need} are needed")]
    TooShort {
        /// Hours with data.
        have: usize,
        /// Hours needed.
        need: usize,
    },
    /// An infinite value is in the series.
    #[error("value of hour {index} is infinite")]
    NotFinite {
        /// Index of the first such hour.
        index: usize,
    },
    /// Values too large to compute with: wrong units.
    #[error("value of hour {index} is larger than {limit:e}: wrong units")]
    OutOfRange {
        /// Index of the first such hour.
        index: usize,
        /// The limit.
        limit: f64,
    },
    /// The limit is not a finite number, or the bounds are not an interval.
    #[error("threshold or bounds are not usable numbers")]
    BadLimits,
    /// More than five years of hours.
    #[error("{have} hours, the limit is {limit}: clock jump or wrong time units")]
    TooLong {
        /// Length of the series.
        have: usize,
        /// The limit.
        limit: usize,
    },
    /// A flow that never falls except to start again near zero is a counter, not a gauge.
    #[error("the values only ever rise: feed a counter as a rate")]
    LooksLikeCounter,
    /// Nothing was heard for too long.
    #[error("the last {hours} hours are missing, at most {limit} may be")]
    Stale {
        /// Hours since the last value.
        hours: usize,
        /// The limit.
        limit: usize,
    },
}
