//! Orders from the server to an agent. An order names an action of the agent's own file, or a service that the agent found
//! itself; it never carries a command or an address.
//!
//! Invariants: an order is signed over its exact bytes; an agent refuses what is expired, was seen before,
//! is meant for another host or bears a false signature.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use serde::{Deserialize, Serialize};

/// What the agent is to do with a named action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Run the action's command.
    Run,
    /// Run the action's undo.
    Undo,
    /// Watch what the agent found itself; `action` is its identifier ([`crate::inventory::Listener::id`]), no address.
    Watch,
    /// Watch it no more.
    Unwatch,
}

/// One order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Unique; an agent carries out each at most once.
    pub id: String,
    /// The host that it is for.
    pub host_id: String,
    /// Drill that it belongs to; empty for `watch` and `unwatch`.
    pub drill_id: String,
    /// Name of the action in the agent's own file, or of what it found.
    pub action: String,
    /// What to do with it.
    pub kind: OrderKind,
    /// Not to be started at or after this time (milliseconds since the epoch).
    pub expires_at_ms: i64,
    /// If the server has not ordered the undo by this time, the agent undoes by itself.
    #[serde(default)]
    pub undo_at_ms: Option<i64>,
}

/// An order as it travels: the exact JSON text and its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedOrder {
    /// JSON text of an [`Order`].
    pub payload: String,
    /// Ed25519 signature of `payload`, base64.
    pub signature: String,
}

/// Answer to the long poll.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBatch {
    /// Orders not answered yet, oldest first.
    pub orders: Vec<SignedOrder>,
}

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The command ended with status 0.
    Succeeded,
    /// The command ended otherwise, or could not be started.
    Failed,
    /// The command ran into its timeout and was killed.
    TimedOut,
    /// The agent did not accept the order; `message` says why.
    Refused,
}

/// Result that the agent reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderResult {
    /// Order that this answers.
    pub order_id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Reason or exit status, one line.
    pub message: String,
    /// End of the command's output, at most a few KiB.
    #[serde(default)]
    pub output: String,
    /// When it started, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// When it ended, milliseconds since the epoch.
    pub ended_at_ms: i64,
}

/// An undo that the agent carried out by itself, because no order for it came in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentUndo {
    /// Unique, so that a report that is sent twice counts once.
    pub id: String,
    /// Drill that the undo belongs to.
    pub drill_id: String,
    /// The order that ran what was undone.
    pub order_id: String,
    /// Name of the action in the agent's own file.
    pub action: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Reason or exit status, one line.
    pub message: String,
    /// End of the command's output.
    #[serde(default)]
    pub output: String,
    /// When it started, milliseconds since the epoch.
    pub started_at_ms: i64,
    /// When it ended, milliseconds since the epoch.
    pub ended_at_ms: i64,
}

/// Why an order was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// The pinned key is not a key.
    #[error("the pinned order key is not an Ed25519 public key in base64")]
    BadKey,
    /// The signature is not from the pinned key.
    #[error("the signature does not match the pinned key")]
    BadSignature,
    /// The payload is not an order.
    #[error("the payload is not an order: {0}")]
    BadPayload(String),
    /// It is for another host.
    #[error("the order is for host {0}")]
    WrongHost(String),
    /// It came too late.
    #[error("the order expired at {expires_at_ms} ms, now is {now_ms} ms")]
    Expired {
        /// Expiry of the order.
        expires_at_ms: i64,
        /// Clock of the agent.
        now_ms: i64,
    },
}

/// Signs an order with the server's key.
///
/// # Errors
/// [`OrderError::BadPayload`] if the order cannot be written as JSON.
pub fn sign(order: &Order, key: &SigningKey) -> Result<SignedOrder, OrderError> {
    let payload = serde_json::to_string(order).map_err(|e| OrderError::BadPayload(e.to_string()))?;
    let signature = BASE64.encode(key.sign(payload.as_bytes()).to_bytes());
    Ok(SignedOrder { payload, signature })
}

/// Checks signature, addressee and expiry, and gives the order. Replay is the agent's own memory.
///
/// # Errors
/// The reason for which the order must be refused.
pub fn verify(
    signed: &SignedOrder,
    order_key: &str,
    host_id: &str,
    now_ms: i64,
) -> Result<Order, OrderError> {
    let key = decode_key(order_key)?;
    let bytes = BASE64.decode(&signed.signature).map_err(|_| OrderError::BadSignature)?;
    let signature = Signature::from_slice(&bytes).map_err(|_| OrderError::BadSignature)?;
    key.verify(signed.payload.as_bytes(), &signature).map_err(|_| OrderError::BadSignature)?;
    let order: Order =
        serde_json::from_str(&signed.payload).map_err(|e| OrderError::BadPayload(e.to_string()))?;
    if order.host_id != host_id {
        return Err(OrderError::WrongHost(order.host_id));
    }
    if now_ms >= order.expires_at_ms {
        return Err(OrderError::Expired { expires_at_ms: order.expires_at_ms, now_ms });
    }
    Ok(order)
}

/// The public half of a signing key, as it is pinned by an agent.
#[must_use]
pub fn public_key_text(key: &SigningKey) -> String {
    BASE64.encode(key.verifying_key().to_bytes())
}

fn decode_key(text: &str) -> Result<VerifyingKey, OrderError> {
    let bytes = BASE64.decode(text).map_err(|_| OrderError::BadKey)?;
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| OrderError::BadKey)?;
    VerifyingKey::from_bytes(&bytes).map_err(|_| OrderError::BadKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        Order {
            id: "o1".into(),
            host_id: "h1".into(),
            drill_id: "d1".into(),
            action: "stop-a".into(),
            kind: OrderKind::Run,
            expires_at_ms: 1_000,
            undo_at_ms: None,
        }
    }

    #[test]
    fn a_signed_order_is_accepted_by_its_host_in_time() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let signed = sign(&order(), &key).unwrap();
        assert_eq!(verify(&signed, &public_key_text(&key), "h1", 999), Ok(order()));
    }

    #[test]
    fn an_order_that_is_late_misaddressed_or_altered_is_refused() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let other = public_key_text(&SigningKey::from_bytes(&[8; 32]));
        let signed = sign(&order(), &key).unwrap();
        let public = public_key_text(&key);
        assert!(matches!(verify(&signed, &public, "h1", 1_000), Err(OrderError::Expired { .. })));
        assert!(matches!(verify(&signed, &public, "h2", 1), Err(OrderError::WrongHost(_))));
        assert_eq!(verify(&signed, &other, "h1", 1), Err(OrderError::BadSignature));
        let mut altered = signed.clone();
        altered.payload = altered.payload.replace("stop-a", "stop-b");
        assert_eq!(verify(&altered, &public, "h1", 1), Err(OrderError::BadSignature));
        assert_eq!(verify(&signed, "short", "h1", 1), Err(OrderError::BadKey));
    }
}
