//! Refused orders, so that each is logged, counted and answered once, however often the server offers it.
//!
//! They are known by their bytes, not by the identifier that they claim: a forgery must not shadow a true order.

use std::collections::VecDeque;

use siaga_protocol::orders::SignedOrder;

/// Refusals that are remembered.
const MAX_REFUSALS: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Refusals(VecDeque<u64>);

fn fingerprint(signed: &SignedOrder) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (&signed.payload, &signed.signature).hash(&mut hasher);
    hasher.finish()
}

impl Refusals {
    /// True if it was not remembered yet.
    pub(super) fn remember(&mut self, signed: &SignedOrder) -> bool {
        let print = fingerprint(signed);
        if self.0.contains(&print) {
            return false;
        }
        if self.0.len() >= MAX_REFUSALS {
            self.0.pop_front();
        }
        self.0.push_back(print);
        true
    }

    pub(super) fn forget(&mut self, signed: &SignedOrder) {
        let print = fingerprint(signed);
        self.0.retain(|known| *known != print);
    }
}

/// The identifier that an order claims, true or not; only for the answer to the server.
pub(crate) fn claimed_id(signed: &SignedOrder) -> Option<String> {
    let payload: serde_json::Value = serde_json::from_str(&signed.payload).ok()?;
    payload.get("id")?.as_str().filter(|id| id.len() <= 128).map(ToOwned::to_owned)
}
