//! Agents: their enrolment, credentials, heartbeat, and orders to them.
//!
//! Invariants: a host keeps its identity through a new enrolment; an order is signed, bears an expiry and is
//! answered once; presence is kept in memory and written down at intervals, so that a heartbeat costs no disk write.

mod enrolment;
pub mod http;
mod order_key;
pub mod orders;
mod presence;

pub use enrolment::{EnrolError, enrol, new_enrol_token};
pub use order_key::load_or_create as load_order_key;
pub use presence::{Presence, is_silent, silence_limit_ms};
