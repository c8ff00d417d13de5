//! What a caller asks: a series, how far to look, which limit matters.

use crate::series::HourlySeries;

/// Which side of the limit is the breach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Breach when the value reaches the limit from below: bytes used, processor load.
    Above,
    /// Breach when the value falls to the limit: bytes free, certificates' days left.
    Below,
}

/// The limit whose crossing is to be foretold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The limit, in the unit of the series.
    pub value: f64,
    /// Which side is the breach.
    pub direction: Direction,
}

impl Threshold {
    /// True when `value` is at or past the limit.
    #[must_use]
    pub fn is_past(&self, value: f64) -> bool {
        match self.direction {
            Direction::Above => value >= self.value,
            Direction::Below => value <= self.value,
        }
    }
}

/// What sort of quantity the series measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind {
    /// Something that piles up (disk bytes, inodes): level and trend since the last shift, by daily peaks.
    Stock,
    /// Something that comes and goes with the users (processor, memory, load, requests): seasonal.
    Flow,
}

/// A marked window of time, such as a holiday or a tender's deadline. Kept with the request; the models do not
/// use it yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventWindow {
    /// First moment, milliseconds since the epoch.
    pub start_ms: i64,
    /// First moment after it.
    pub end_ms: i64,
    /// What it is, for people.
    pub label: String,
}

/// One question to the forecaster.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The past.
    pub series: &'a HourlySeries,
    /// Length of the hourly path wanted; at most [`crate::MAX_PATH_HOURS`], longer is cut.
    pub horizon_hours: usize,
    /// The limit, if one matters.
    pub threshold: Option<Threshold>,
    /// Physical limits of the quantity, such as (0, 100) per cent or (0, capacity in bytes).
    pub bounds: Option<(f64, f64)>,
    /// What sort of quantity.
    pub kind: SeriesKind,
    /// Windows known beforehand.
    pub known_events: &'a [EventWindow],
}
