//! The agent's own folder: what enrolment gave, and who this installation is.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::durable::{self, DurableError};

/// What enrolment gave. Kept in `credentials.json`, mode 0600.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Address of the server.
    pub server: String,
    /// The server's identifier of this host.
    pub host_id: String,
    /// The `instance` label of every sample.
    pub instance: String,
    /// Bearer token.
    pub agent_token: String,
    /// Public key of orders, base64.
    pub order_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Credentials");
        shown.field("server", &self.server).field("host_id", &self.host_id).finish_non_exhaustive()
    }
}

const CREDENTIALS_FILE: &str = "credentials.json";
const MACHINE_ID_FILE: &str = "machine-id.json";

impl Credentials {
    /// Reads them; `None` before enrolment.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn load(state_dir: &Path) -> Result<Option<Self>, DurableError> {
        durable::read_json(&state_dir.join(CREDENTIALS_FILE))
    }

    /// Writes them.
    ///
    /// # Errors
    /// The folder or the file cannot be written.
    pub fn store(&self, state_dir: &Path) -> Result<(), DurableError> {
        durable::create_folder(state_dir)?;
        durable::write_json(&state_dir.join(CREDENTIALS_FILE), self)
    }
}

/// `/etc/machine-id` below `root`, or one that is made once and kept in the agent's folder.
///
/// # Errors
/// There is none, and the made one cannot be kept.
pub fn machine_id(root: &Path, state_dir: &Path) -> Result<String, DurableError> {
    let valid = |id: &String| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
    let read = std::fs::read_to_string(root.join("etc/machine-id")).map(|id| id.trim().to_lowercase());
    if let Some(id) = read.ok().filter(valid) {
        return Ok(id);
    }
    let path = state_dir.join(MACHINE_ID_FILE);
    if let Some(id) = durable::read_json::<String>(&path)?.filter(valid) {
        return Ok(id);
    }
    let id = format!("{:032x}", rand::random::<u128>());
    durable::create_folder(state_dir)?;
    durable::write_json(&path, &id)?;
    Ok(id)
}

/// The host's name.
#[must_use]
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn credentials() -> Credentials {
        Credentials {
            server: "http://127.0.0.1:8480".into(),
            host_id: "h1".into(),
            instance: "web-1".into(),
            agent_token: "secret".into(),
            order_key: "key".into(),
        }
    }

    #[test]
    fn credentials_are_kept_and_readable_by_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("state");
        assert_eq!(Credentials::load(&folder).unwrap(), None);
        credentials().store(&folder).unwrap();
        assert_eq!(Credentials::load(&folder).unwrap(), Some(credentials()));
        let mode = std::fs::metadata(folder.join(CREDENTIALS_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{:?}", credentials()).contains("secret"));
    }

    #[test]
    fn a_machine_without_identity_gets_one_and_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = machine_id(dir.path(), &dir.path().join("state")).unwrap();
        assert_eq!(first.len(), 32);
        assert_eq!(machine_id(dir.path(), &dir.path().join("state")).unwrap(), first);
        std::fs::create_dir(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/machine-id"), "0123456789abcdef0123456789ABCDEF\n").unwrap();
        assert_eq!(machine_id(dir.path(), dir.path()).unwrap(), "0123456789abcdef0123456789abcdef");
    }
}
