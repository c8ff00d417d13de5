//! Passwords: argon2id hashes in PHC strings.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};

/// Shortest password that is accepted, characters.
pub(crate) const MIN_PASSWORD_CHARS: usize = 10;
/// Longest password that is hashed, bytes: hashing costs, and anybody may try to sign in.
pub(crate) const MAX_PASSWORD_BYTES: usize = 256;

/// Why a password is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Too short or too long.
    #[error("a password has {MIN_PASSWORD_CHARS} characters at least and {MAX_PASSWORD_BYTES} bytes at most")]
    Length,
    /// The hash could not be made.
    #[error("the password could not be hashed")]
    Hash,
}

/// Hashes a new password.
///
/// # Errors
/// If its length is not accepted.
pub fn hash_password(password: &str) -> Result<String, PasswordError> {
    if password.chars().count() < MIN_PASSWORD_CHARS || password.len() > MAX_PASSWORD_BYTES {
        return Err(PasswordError::Length);
    }
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|_| PasswordError::Hash)
}

/// Whether a password fits a stored hash. Takes its time: call it off the async threads.
#[must_use]
pub fn verify_password(password: &str, stored: &str) -> bool {
    password.len() <= MAX_PASSWORD_BYTES
        && PasswordHash::new(stored)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let hash = hash_password("rahasia-sekali").unwrap();
        assert!(verify_password("rahasia-sekali", &hash));
        assert!(!verify_password("rahasia-sekalI", &hash));
        assert!(!verify_password("rahasia-sekali", "not a hash"));
        assert_eq!(hash_password("pendek"), Err(PasswordError::Length));
    }
}
