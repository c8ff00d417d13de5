//! Evaluations for tests: a disk that is used to four fifths and grows by a point a day. A test states what it is about
//! and takes the rest from here.

use super::{Crossing, Evaluation, HorizonPoint, Made, ResourceKey, ResourceKind, Standing, State};
use crate::time::Millis;

/// A forecast with this crossing.
pub(super) fn made(crossing: Crossing) -> Made {
    Made {
        crossing,
        breach: [0.5; 3],
        model: "robust_trend".to_owned(),
        mase: None,
        smape: None,
        coverage: Some(0.8),
        trend_percent_per_day: 1.0,
        significant: true,
        remarks: Vec::new(),
        horizons: vec![HorizonPoint { days: 30, p10: 80.0, p50: 95.0, p90: 100.0 }],
    }
}

/// An evaluation of the disk `/data` of `db` at this time.
pub(super) fn disk(at_ms: Millis, crossing: Crossing) -> Evaluation {
    Evaluation {
        key: ResourceKey {
            instance: "db".to_owned(),
            kind: ResourceKind::Filesystem,
            item: "/data".to_owned(),
        },
        made_at_ms: at_ms,
        data_end_ms: at_ms,
        known_hours: 1_000,
        full: 1_000.0,
        threshold_percent: 90.0,
        current_percent: Some(80.0),
        standing: Standing::Firm,
        state: State::Warning,
        outcome: Ok(made(crossing)),
    }
}
