//! Anomalies of one series as its samples come: how unusual each is, and by which signs.
//!
//! Five quantities are watched, each against its own last values: the value, its jump, its distance to what is usual at
//! this time of day, the mean and the spread of the last samples. Their distances are joined into one score; what has
//! been told is not told again, but fades. The settings are one for all series. [`Agreement`] says when a person is to
//! look: only when several signs agree.
//!
//! Invariants: bounded memory; the same samples always give the same scores; a value that is not finite changes
//! nothing; scores are finite and not negative.

mod agreement;
mod detector;
mod signs;
mod window;

pub use agreement::{AGREEING_SIGNS, Agreement, Episode, LEARNED_SAMPLES};
pub use detector::{Detector, Settings, Verdict};
pub use signs::{SIGNS, Sign};
