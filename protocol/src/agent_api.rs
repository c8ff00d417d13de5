//! JSON bodies of enrolment and of the agent's introduction of itself.

use serde::{Deserialize, Serialize};

/// Body of `POST /api/v1/agents/enrol`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// One-time token that an administrator created.
    pub token: String,
    /// The host's name, proposed as its `instance` label.
    pub hostname: String,
    /// Stable identity of the installation (`/etc/machine-id`): a host that enrols again stays the same host.
    pub machine_id: String,
    /// Version of the agent.
    pub agent_version: String,
}

/// Answer to a successful enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// The server's identifier of this host.
    pub host_id: String,
    /// The `instance` label that this host must write; differs from the host name when that was taken.
    pub instance: String,
    /// Bearer token of this agent. Shown once.
    pub agent_token: String,
    /// Ed25519 public key (base64) with which orders are signed; the agent pins it.
    pub order_key: String,
}

/// Body of `PUT /api/v1/agents/hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Version of the agent.
    pub agent_version: String,
    /// Seconds between two collections; the server derives from it when the agent counts as silent.
    pub interval_seconds: u32,
    /// When the agent started, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// Actions that this host's own file allows.
    pub actions: Vec<ActionOffer>,
}

/// An action that the agent's own configuration defines. The server sees its name, never its command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionOffer {
    /// Name by which an order asks for it.
    pub name: String,
    /// What it does, for people.
    #[serde(default)]
    pub description: String,
    /// Whether the file defines an undo.
    pub has_undo: bool,
    /// Longest time it may run, in seconds.
    pub timeout_seconds: u32,
}

/// Body of every error answer of Siaga's own API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What was wrong, one sentence.
    pub error: String,
    /// Where: a field, a line, a parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
}
