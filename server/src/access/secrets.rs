//! Makes identifiers, tokens and passwords, and the hashes under which tokens are stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use sha2::{Digest as _, Sha256};

fn random_bytes<const N: usize>() -> [u8; N] {
    rand::rng().random()
}

/// A new identifier of a row: 128 random bits in base64url.
#[must_use]
pub fn new_id() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<16>())
}

/// A new bearer token: 256 random bits, with a prefix that secret scanners can find.
#[must_use]
pub fn new_secret(kind: &str) -> String {
    format!("siaga_{kind}_{}", URL_SAFE_NO_PAD.encode(random_bytes::<32>()))
}

/// A new password: 96 random bits.
#[must_use]
pub fn new_password() -> String {
    URL_SAFE_NO_PAD.encode(random_bytes::<12>())
}

/// The hash under which a token is stored and looked up. Tokens have 256 random bits, so a fast hash is enough;
/// looking up by hash leaves nothing to compare byte by byte.
#[must_use]
pub fn hash_secret(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(secret.as_bytes()))
}
