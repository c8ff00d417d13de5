//! Services that agents found on their hosts: what is proposed, what people decide, and orders that carry it to the agent.
//!
//! - `state` is the rule of what is shown and what may be decided, `decide` puts it on the rows and sends the order.
//!
//! Invariants: an order names what the agent itself found, never an address; a decision stands here until another one does,
//! also when the agent has lost its memory of it; every decision of a person is in the audit trail.

mod decide;
pub mod http;
pub mod pages;
mod state;

pub use decide::{DecideError, decide, repair, services};
pub use state::{Decided, Decision, Sent, Service, ServiceState};

use crate::console::Page;

/// Name of a kind of service.
#[must_use]
pub fn kind_name(page: &Page, kind: &str) -> String {
    page.t_or(&format!("discovery.kind.{kind}"), kind)
}
