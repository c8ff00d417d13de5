//! Whose orders an executor carries out.
//!
//! Invariant: an executor with rights of its own keeps the key and the host's name that it saw first in a folder that the
//! agent cannot write, so that an agent in wrong hands cannot put another key in their place.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::durable::{self, DurableError};
use crate::state::Credentials;

const FILE: &str = "trust.json";

/// What makes an order true.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The server's identifier of this host.
    pub host_id: String,
    /// Public key of orders, base64.
    pub order_key: String,
}

impl Trust {
    /// As the agent was told at its enrolment. For an executor with no more rights than the agent.
    #[must_use]
    pub fn of(credentials: &Credentials) -> Self {
        Self { host_id: credentials.host_id.clone(), order_key: credentials.order_key.clone() }
    }

    /// As it was first seen, whatever the agent's credentials say now.
    ///
    /// # Errors
    /// The file cannot be read, or written the first time.
    pub(super) fn keep(folder: &Path, credentials: &Credentials) -> Result<Self, DurableError> {
        let file = folder.join(FILE);
        let seen = Self::of(credentials);
        match durable::read_json::<Self>(&file)? {
            Some(kept) if kept == seen => Ok(kept),
            Some(kept) => {
                tracing::error!(
                    file = %file.display(),
                    "the agent was enrolled anew, but only orders of the earlier enrolment are carried out; \
                     take the file away if the new one is right"
                );
                Ok(kept)
            }
            None => {
                durable::write_json(&file, &seen)?;
                tracing::info!(host = seen.host_id, "orders of this enrolment are carried out from now on");
                Ok(seen)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_key_does_not_take_the_place_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = |key: &str| Credentials {
            server: String::new(),
            host_id: "h".into(),
            instance: String::new(),
            agent_token: String::new(),
            order_key: key.into(),
        };
        let first = Trust::keep(folder.path(), &credentials("a")).unwrap();
        assert_eq!(first, Trust::of(&credentials("a")));
        assert_eq!(Trust::keep(folder.path(), &credentials("b")).unwrap(), first);
        std::fs::remove_file(folder.path().join(FILE)).unwrap();
        assert_eq!(Trust::keep(folder.path(), &credentials("b")).unwrap(), Trust::of(&credentials("b")));
    }
}
