//! The public half of the key that signs journals, in the form that other programs read: PEM of RFC 8410. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha256};

use super::journal::hex;

/// File of the key, in the data folder.
pub const JOURNAL_KEY_FILE: &str = "journal.key";

/// What stands before the 32 bytes of an Ed25519 key in its DER form (RFC 8410, section 4).
const DER_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

fn der(key: &VerifyingKey) -> Vec<u8> {
    [DER_PREFIX.as_slice(), key.as_bytes()].concat()
}

/// The key as PEM.
#[must_use]
pub fn to_pem(key: &VerifyingKey) -> String {
    format!("{BEGIN}\n{}\n{END}\n", STANDARD.encode(der(key)))
}

/// Reads PEM; what stands around it counts for nothing.
#[must_use]
pub fn from_pem(text: &str) -> Option<VerifyingKey> {
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    let bytes = STANDARD.decode(body.split_whitespace().collect::<String>()).ok()?;
    let key: &[u8; 32] = bytes.strip_prefix(&DER_PREFIX)?.try_into().ok()?;
    VerifyingKey::from_bytes(key).ok()
}

/// Fingerprint of the key: SHA-256 of its DER form, hexadecimal.
#[must_use]
pub fn key_id(key: &VerifyingKey) -> String {
    hex(&Sha256::digest(der(key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_back_from_its_standard_form() {
        // Public key and PEM of RFC 8410, section 10.1.
        let pem = "x\n-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                   -----END PUBLIC KEY-----\n";
        let key = from_pem(pem).unwrap();
        assert_eq!(hex(&key.as_bytes()[..4]), "19bf4409");
        assert_eq!(from_pem(&to_pem(&key)), Some(key));
        assert_eq!(key_id(&key).len(), 64);
        for bad in ["", "MCow", &pem.replace("MCow", "MCox"), &pem.replace("ZuE=", "Zu")] {
            assert_eq!(from_pem(bad), None, "{bad}");
        }
    }
}
