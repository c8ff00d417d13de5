//! What travels between the agent and the server. Types and codecs only: this crate does no I/O,
//! reads no clock and knows neither side's insides.
//!
//! Invariants: fields are only ever added, never renamed or re-used; whatever is decoded here is bounded
//! before memory is reserved for it.

pub mod agent_api;
pub mod exposition;
pub mod inventory;
pub mod metric_names;
pub mod orders;
pub mod remote_read;
pub mod remote_write;
pub mod remote_write_v2;
pub mod toml_text;

/// Paths of the server that the agent calls.
pub mod paths {
    /// Enrolment with a one-time token (`POST`).
    pub const ENROL: &str = "/api/v1/agents/enrol";
    /// What the agent is and may do, sent at start and when its configuration changes (`PUT`).
    pub const HELLO: &str = "/api/v1/agents/hello";
    /// The host's inventory (`PUT`).
    pub const INVENTORY: &str = "/api/v1/agents/inventory";
    /// Long poll for orders (`GET`, parameter `wait_seconds`).
    pub const ORDERS: &str = "/api/v1/agents/orders";
    /// Result of one order (`POST`).
    pub const ORDER_RESULTS: &str = "/api/v1/agents/order-results";
    /// An undo that the agent carried out by itself (`POST`).
    pub const AGENT_UNDOS: &str = "/api/v1/agents/undos";
    /// Header of every request of an agent: which process sends it, drawn anew at each start. Two at a time with one
    /// identity are a host that was copied.
    pub const RUN_HEADER: &str = "siaga-run";
    /// Prometheus remote write (`POST`).
    pub const REMOTE_WRITE: &str = "/prometheus/api/v1/write";
}
