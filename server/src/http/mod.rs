//! The server's HTTP surface: one list of routes in which each names its right, who is asking, errors, listening.
//!
//! Invariant: nothing is served that was not added through [`Routes`], so nothing is served without a named right.

mod auth;
mod connections;
mod error;
mod extract;
mod listen;
mod openapi;
mod problem;
mod routes;
mod time_limit;

pub(crate) use auth::encode_component;
pub use auth::{FROM_ANOTHER_SITE, same_site};
pub use error::{ApiError, MISSING};
pub use extract::{Caller, JsonBody, MaybeCaller, OptionalJsonBody, Params, PeerAddress};
pub use listen::{ListenError, serve};
pub use openapi::describe;
pub use routes::{Access, Entry, Kind, Routes, router};
