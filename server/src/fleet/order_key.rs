//! The key that signs orders. Agents pin its public half when they enrol, so it must survive restarts.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use rand::RngExt as _;

use crate::access::write_private;

const FILE: &str = "order.key";

/// Reads the key from `data_dir`, or makes it at the first start.
///
/// # Errors
/// If the file cannot be read or written, or holds no key.
pub fn load_or_create(data_dir: &Path) -> anyhow::Result<SigningKey> {
    let path = data_dir.join(FILE);
    if path.exists() {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let bytes: Option<[u8; 32]> =
            STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        let bytes = bytes.with_context(|| format!("{} holds no Ed25519 key in base64", path.display()))?;
        return Ok(SigningKey::from_bytes(&bytes));
    }
    let bytes: [u8; 32] = rand::rng().random();
    write_private(&path, STANDARD.encode(bytes).as_bytes())?;
    Ok(SigningKey::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_same_after_a_restart_and_a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let first = load_or_create(folder.path()).unwrap();
        assert_eq!(load_or_create(folder.path()).unwrap().to_bytes(), first.to_bytes());
        std::fs::write(folder.path().join(FILE), "damaged").unwrap();
        assert!(load_or_create(folder.path()).is_err());
    }
}
