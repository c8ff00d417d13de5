//! Ed25519 keys that the server signs with, one file each, read by its own user alone. What they signed is checked
//! elsewhere and later, so they must survive restarts.

use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use rand::RngExt as _;

use super::write_private;

/// Reads the key in `file`, or makes it at the first start.
///
/// # Errors
/// If the file cannot be read or written, or holds no key.
pub(crate) fn load_or_create(file: &Path) -> anyhow::Result<SigningKey> {
    if file.exists() {
        return load(file);
    }
    let bytes: [u8; 32] = rand::rng().random();
    write_private(file, STANDARD.encode(bytes).as_bytes())?;
    Ok(SigningKey::from_bytes(&bytes))
}

/// Reads the key in `file`.
///
/// # Errors
/// If the file cannot be read, or holds no key.
pub(crate) fn load(file: &Path) -> anyhow::Result<SigningKey> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let bytes: Option<[u8; 32]> = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.with_context(|| format!("{} holds no Ed25519 key in base64", file.display()))?;
    Ok(SigningKey::from_bytes(&bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_the_same_after_a_restart_for_its_user_alone_and_a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("order.key");
        let first = load_or_create(&file).unwrap();
        assert_eq!(load_or_create(&file).unwrap().to_bytes(), first.to_bytes());
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&file, "damaged").unwrap();
        assert!(load_or_create(&file).is_err());
    }
}
