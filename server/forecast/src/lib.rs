//! Capacity forecasts: numbers in, forecasts out. No clock, no input or output, no state, no chance: the same
//! request always gets the same answer.
//!
//! - [`HourlySeries`] is what everything starts from; [`forecast`] answers a [`Request`] with a [`Forecast`] or a
//!   [`Refusal`] that says why there is none; [`forecast_paths`] gives intervals at any level.
//! - `clean` refuses and repairs, `envelope` finds peaks and level shifts, `slope` the trend since the last bend,
//!   `outlook` the crossing of a limit, `hourly` the seasonal path from the candidates in `models`,
//!   `yearly` the shape of a year.
//! - [`fit_load`] learns how the use of a resource follows the load of a service, [`event_effect`] what an event adds.
//!
//! Invariants: never a panic, whatever the numbers; never a date from a slope that is not significant;
//! `p10 <= p50 <= p90` hour by hour; every answer within the bounds asked for.

pub mod anomaly;
mod answer;
mod backtest;
mod clean;
mod conformal;
mod engine;
mod envelope;
mod hourly;
mod load;
mod models;
mod outlook;
mod request;
mod series;
mod slope;
mod stats;
mod yearly;

pub use answer::{
    Backtest, BreachProbability, Forecast, MAX_PATH_HOURS, MIN_KNOWN_HOURS, ModelName, Note, Refusal, Until,
    YEAR_DAYS,
};
pub use clean::{MAX_MAGNITUDE, MAX_STALE_HOURS};
pub use engine::forecast;
pub use hourly::{Band, Paths, forecast_paths, single_model_path};
pub use load::{
    EventEffect, Headroom, LoadFit, LoadRefusal, LoadShape, MAX_STRETCH, MIN_EVENT_HOURS, MIN_LOAD_POINTS,
    event_effect, fit_load,
};
pub use request::{Direction, EventWindow, Request, SeriesKind, Threshold};
pub use series::{Aggregate, HOUR_MS, HourlySeries, MAX_HOURS, SeriesError};
