//! Attempts at a password, for the login and for a change of one's own password alike.
//!
//! Invariants: an attempt counts before it is verified, so that parallel ones cannot outrun the limit; verifying takes
//! its time and happens outside of the records' transaction, two at a time.

use tokio::sync::Semaphore;

use super::manage::ManageError;
use super::verify_password;
use crate::app::App;
use crate::records::users::{self, User};
use crate::records::{RecordsError, audit};
use crate::time::now_ms;

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The password is that of this user, who may sign in.
    Fits(User),
    /// It is not, or the user may not sign in.
    Wrong,
    /// There were too many failed attempts; this one was not verified.
    TooMany,
}

/// Failed attempts count for so long.
const WINDOW_MS: i64 = 15 * 60 * 1_000;

/// Longest user name that is looked up.
const MAX_USERNAME_CHARS: usize = 64;

/// Passwords that are verified at once; each takes some 20 MB and a processor for a moment, and anybody may ask.
static VERIFICATIONS: Semaphore = Semaphore::const_new(2);

/// The hash of a password that nobody has.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2lhZ2Etc2lhZ2Etc2FsdA$8ZfPq4dqkMNN8u4mNIv1wC8Wd0PuVJZUUNBGN6Kw3Vc";

/// Tries a password for a user name.
///
/// # Errors
/// If the records cannot be read or written.
pub(crate) async fn attempt(app: &App, username: &str, password: String) -> Result<Verdict, ManageError> {
    let max_failed = app.config.current().access.max_failed_logins;
    let username = username.chars().take(MAX_USERNAME_CHARS).collect::<String>();
    let name = username.clone();
    let found = app
        .records
        .run(move |db| {
            let now = now_ms();
            if users::failed_logins_since(db, &name, now - WINDOW_MS)? >= max_failed {
                return Ok(None);
            }
            users::note_failed_login(db, &name, now)?;
            Ok::<_, RecordsError>(Some(users::by_username(db, &name)?))
        })
        .await?;
    let Some(found) = found else { return Ok(Verdict::TooMany) };
    let permit = VERIFICATIONS.acquire().await;
    let (user, fits) = tokio::task::spawn_blocking(move || {
        // A name that does not exist must not answer faster than one that does.
        let hash = found.as_ref().map_or(DUMMY_HASH, |(_, hash)| hash);
        let fits = verify_password(&password, hash);
        (found.map(|(user, _)| user), fits)
    })
    .await
    .map_err(|_| ManageError::Interrupted)?;
    drop(permit);
    let user = user.filter(|user| fits && user.disabled_at_ms.is_none());
    let fits = user.is_some();
    app.records
        .run(move |db| {
            if fits {
                users::forget_failed_logins(db, &username)
            } else {
                audit::add(db, now_ms(), "siaga", "session.refuse", &username, "")
            }
        })
        .await
        .map_err(|error: RecordsError| ManageError::from(error))?;
    Ok(user.map_or(Verdict::Wrong, Verdict::Fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dummy_hash_is_a_hash_that_no_password_fits() {
        assert!(argon2::password_hash::phc::PasswordHash::new(DUMMY_HASH).is_ok());
        assert!(!verify_password("", DUMMY_HASH));
    }
}
