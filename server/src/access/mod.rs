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

pub(crate) use bootstrap::write_private;
pub use bootstrap::{FIRST_RUN_FILE, FirstRun, ensure_first_user};
pub use password::{PasswordError, hash_password, verify_password};
pub(crate) use principal::SESSION_COOKIE;
pub use principal::{AuthError, Principal, UserPrincipal, authenticate};
pub use rights::{Right, Role, may};
pub use secrets::{hash_secret, new_id, new_password, new_secret};
