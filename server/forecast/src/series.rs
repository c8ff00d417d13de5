//! The hourly series every forecast starts from.
//!
//! Invariant: one value an hour without holes in the time axis; a missing hour is `NaN`. A series built by
//! [`HourlySeries::from_points`] never spans more than [`MAX_HOURS`], so a clock jump cannot ask for memory
//! without bound.

use thiserror::Error;

/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// Longest span accepted, in hours: five years. Longer means a clock jump or wrong units.
pub const MAX_HOURS: usize = 5 * 366 * 24;

/// One value an hour; `NaN` marks an hour without data.
#[derive(Debug, Clone, PartialEq)]
pub struct HourlySeries {
    /// Start of the first hour, milliseconds since the epoch.
    pub start_ms: i64,
    /// One value an hour.
    pub values: Vec<f64>,
}

/// How several points within an hour become one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Arithmetic mean: for rates and loads.
    Mean,
    /// Largest value: for what fills up.
    Max,
}

/// Why points did not make a series.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SeriesError {
    /// There was no finite point at all.
    #[error("no finite points")]
    Empty,
    /// First and last point are too far apart: a clock jump, or times in wrong units.
    #[error("points span {hours} hours, the limit is {limit}: clock jump or wrong time units")]
    SpanTooLong {
        /// Hours between the first and the last point.
        hours: u64,
        /// The limit, [`MAX_HOURS`].
        limit: usize,
    },
}

impl HourlySeries {
    /// Puts points (milliseconds since the epoch, value) into hours; order does not matter, points that are not
    /// finite count as missing.
    ///
    /// # Errors
    /// [`SeriesError::Empty`] without a finite point, [`SeriesError::SpanTooLong`] past [`MAX_HOURS`].
    pub fn from_points(points: &[(i64, f64)], aggregate: Aggregate) -> Result<Self, SeriesError> {
        let hours = || points.iter().filter(|p| p.1.is_finite()).map(|p| p.0.div_euclid(HOUR_MS));
        let (Some(first), Some(last)) = (hours().min(), hours().max()) else {
            return Err(SeriesError::Empty);
        };
        let span = last.abs_diff(first).saturating_add(1);
        if span > MAX_HOURS as u64 {
            return Err(SeriesError::SpanTooLong { hours: span, limit: MAX_HOURS });
        }
        let mut values = vec![f64::NAN; span as usize];
        let mut counts = vec![0.0_f64; span as usize];
        for &(ms, value) in points.iter().filter(|p| p.1.is_finite()) {
            let slot = (ms.div_euclid(HOUR_MS) - first) as usize;
            let (held, count) = (&mut values[slot], &mut counts[slot]);
            *count += 1.0;
            *held = if *count <= 1.0 {
                value
            } else {
                match aggregate {
                    Aggregate::Max => held.max(value),
                    // Running mean: a sum could overflow.
                    Aggregate::Mean => *held * ((*count - 1.0) / *count) + value / *count,
                }
            };
        }
        Ok(Self { start_ms: first.saturating_mul(HOUR_MS), values })
    }

    /// Hours that hold a finite value.
    #[must_use]
    pub fn known_hours(&self) -> usize {
        self.values.iter().filter(|v| v.is_finite()).count()
    }

    /// The moment after the last hour, milliseconds since the epoch.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.ms_at(self.values.len())
    }

    /// Start of the hour with this index, milliseconds since the epoch.
    #[must_use]
    pub fn ms_at(&self, index: usize) -> i64 {
        let offset = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(HOUR_MS);
        self.start_ms.saturating_add(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_put_into_hours_whatever_their_order() {
        let points = [(HOUR_MS * 2 + 5, 4.0), (10, 1.0), (20, 3.0), (HOUR_MS, f64::NAN)];
        let mean = HourlySeries::from_points(&points, Aggregate::Mean).unwrap();
        assert_eq!(mean.start_ms, 0);
        assert_eq!((mean.values[0], mean.values[2]), (2.0, 4.0));
        assert!(mean.values[1].is_nan());
        let max = HourlySeries::from_points(&points, Aggregate::Max).unwrap();
        assert_eq!(max.values[0], 3.0);
        assert_eq!(max.end_ms(), 3 * HOUR_MS);
        assert_eq!(max.known_hours(), 2);
    }

    #[test]
    fn a_clock_jump_is_named_and_costs_no_memory() {
        let points = [(0, 1.0), (i64::MAX, 2.0)];
        let refused = HourlySeries::from_points(&points, Aggregate::Mean);
        assert!(matches!(refused, Err(SeriesError::SpanTooLong { .. })));
        let extremes = [(i64::MIN, 1.0), (i64::MAX, 2.0)];
        assert!(HourlySeries::from_points(&extremes, Aggregate::Max).is_err());
    }

    #[test]
    fn no_finite_point_is_empty() {
        for points in [&[][..], &[(0, f64::NAN), (5, f64::INFINITY)][..]] {
            assert_eq!(HourlySeries::from_points(points, Aggregate::Max), Err(SeriesError::Empty));
        }
    }
}
