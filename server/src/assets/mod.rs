//! The register: what agents saw, what people entered, and what changed.
//!
//! - `diff` and `entered` are the rules, `limits` the bounds of a report, `register` puts them on the rows, `words` says them.
//!
//! Invariants: seen and entered fields are kept apart, and no agent overwrites a person; a host is one asset for
//! ever; the history only grows.

mod diff;
mod entered;
pub mod http;
mod limits;
pub mod pages;
mod register;
pub(crate) mod words;

use std::time::Duration;

use tokio::task::JoinSet;

pub use diff::{ChangeKind, FieldChange, diff};
pub use entered::{AssetClass, Entered, EnteredError};
pub use limits::{LimitError, check as check_limits};
pub use register::{AssetState, add_by_hand, enter, follow_hosts, take_over};

use crate::app::{App, every};
use crate::time::now_ms;

/// How often the register follows enrolments and retirements.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(15);

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(
        set,
        app,
        "assets_follow_hosts",
        |_| FOLLOW_INTERVAL,
        |app| async move {
            app.records.run(|db| follow_hosts(db, now_ms())).await?;
            Ok(())
        },
    );
}
