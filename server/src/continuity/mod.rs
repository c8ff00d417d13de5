//! Plans, drills, measured downtime, journals and reports.

pub mod http;

use tokio::task::JoinSet;

use crate::app::App;

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(_set: &mut JoinSet<()>, _app: &App) {}
