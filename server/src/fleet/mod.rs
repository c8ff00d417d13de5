//! Agents: their enrolment, credentials, heartbeat, and orders to them.
//!
//! Invariants: a host keeps its identity through a new enrolment; an order is signed, bears an expiry and is
//! answered once; presence is kept in memory and written down at intervals, so that a heartbeat costs no disk write.

mod clock;
mod enrolment;
pub mod http;
pub mod orders;
mod presence;
mod retire;
mod twins;

pub use clock::{HostClock, Verdict as ClockVerdict};
pub use enrolment::{EnrolError, enrol, is_plain_name, new_enrol_token, note_refusal};
pub use presence::{DownTime, News, Presence, is_silent, silence_limit_ms};
pub use retire::{RetireError, retire};

use std::time::Duration;

use tokio::task::JoinSet;

use crate::app::{App, every};
use crate::time::now_ms;

/// File of the key that signs orders, in the data folder. Agents pin its public half when they enrol.
pub const ORDER_KEY_FILE: &str = "order.key";
/// How often signs of life are written down.
const PRESENCE_INTERVAL: Duration = Duration::from_secs(15);

/// Starts the background tasks of the fleet.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(
        set,
        app,
        "write_down_presence",
        |_| PRESENCE_INTERVAL,
        |app| async move {
            tokio::task::spawn_blocking(move || app.presence.write_down(&app.records, now_ms())).await??;
            Ok(())
        },
    );
}
