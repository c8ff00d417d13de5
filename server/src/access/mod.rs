//! Users, the SOP's roles, sessions, tokens, the audit trail: who may do what.
//!
//! Invariants: every route names the right it needs (`http::routes`); only hashes of secrets are stored;
//! what is compared in secret is compared in constant time.

pub(crate) mod attempt;
mod bootstrap;
pub mod http;
pub(crate) mod manage;
mod password;
mod principal;
mod rights;
mod secrets;
pub(crate) mod signing_key;

pub(crate) use bootstrap::write_private;
pub use bootstrap::{FIRST_RUN_FILE, FirstRun, ensure_first_user};
pub use password::{PasswordError, hash_password, verify_password};
pub(crate) use principal::SESSION_COOKIE;
pub use principal::{AuthError, Principal, UserPrincipal, authenticate};
pub use rights::{Right, Role, may};
pub use secrets::{hash_secret, new_id, new_password, new_secret};

use std::time::Duration;

use tokio::task::JoinSet;

use crate::app::{App, every};
use crate::records::{RecordsError, attempts, users};
use crate::time::{millis, now_ms};

/// How often sessions and attempts that count no more are removed.
const FORGET_INTERVAL: Duration = Duration::from_secs(600);

/// Starts the background tasks of this part.
pub(crate) fn start_tasks(set: &mut JoinSet<()>, app: &App) {
    every(
        set,
        app,
        "forget_old_logins",
        |_| FORGET_INTERVAL,
        |app| async move {
            let session_max = millis(app.config.current().access.session_max);
            app.records
                .run(move |db| {
                    let now = now_ms();
                    users::forget_old_sessions(db, now - session_max)?;
                    attempts::forget_old(db, now - attempt::WINDOW_MS, now - attempt::DEVICE_MS)
                })
                .await
                .map_err(|error: RecordsError| error.into())
        },
    );
}
