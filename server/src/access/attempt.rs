//! Attempts at a password, for the login and for a change of one's own password alike.
//!
//! Invariants: an attempt counts before it is verified, so that parallel ones cannot outrun the limit; verifying takes
//! its time and happens outside of the records' transaction, two at a time. Attempts are counted by where they come
//! from, so that nobody can lock out a user from elsewhere: a browser in which the user has signed in before bears a
//! device cookie and is counted alone; all others are counted by address, and together where they try one name.

use std::net::IpAddr;

use tokio::sync::Semaphore;

use super::manage::ManageError;
use super::verify_password;
use crate::app::App;
use crate::records::attempts::{self, ADDRESS, Failed};
use crate::records::users::{self, User};
use crate::records::{RecordsError, audit};
use crate::time::{DAY_MS, Millis, now_ms};

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

/// Where an attempt comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// An address, and the hash of the device cookie, if the browser has one.
    Browser {
        /// Address of the other end.
        address: Option<IpAddr>,
        /// Hash of the device cookie.
        device: Option<String>,
    },
    /// A user who is signed in, by identifier.
    Session(String),
}

/// Failed attempts count for so long.
pub(super) const WINDOW_MS: Millis = 15 * 60 * 1_000;

/// Attempts of all strangers at one name, and of one source at all names, are that many times those at one name from
/// one source.
const TOGETHER: u32 = 10;

/// A browser is known for so long after it was last used to sign in.
pub(super) const DEVICE_MS: Millis = 180 * DAY_MS;

/// Browsers of one user that are known.
pub(crate) const MAX_DEVICES: u32 = 20;

/// Longest user name that is looked up.
const MAX_USERNAME_CHARS: usize = 64;

/// Passwords that are verified at once; each takes some 20 MB and a processor for a moment, and anybody may ask.
static VERIFICATIONS: Semaphore = Semaphore::const_new(2);

/// The hash of a password that nobody has.
const DUMMY_HASH: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c2lhZ2Etc2lhZ2Etc2FsdA$8ZfPq4dqkMNN8u4mNIv1wC8Wd0PuVJZUUNBGN6Kw3Vc";

/// An address as it is counted: whoever has one IPv6 address has its whole network of 64 bits.
fn address_text(address: Option<IpAddr>) -> String {
    let network = match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Some(IpAddr::V4(address)) => address.to_string(),
        None => "unknown".to_owned(),
    };
    format!("{ADDRESS}{network}")
}

/// Whether no further attempt is verified. `stranger` says that nothing but an address is known of who tries.
fn is_too_many(failed: Failed, stranger: bool, max_failed: u32) -> bool {
    let together = max_failed.saturating_mul(TOGETHER);
    failed.here >= max_failed || failed.by_source >= together || (stranger && failed.by_strangers >= together)
}

/// Tries a password for a user name.
///
/// # Errors
/// If the records cannot be read or written.
pub(crate) async fn attempt(
    app: &App,
    username: &str,
    password: String,
    source: Source,
) -> Result<Verdict, ManageError> {
    let max_failed = app.config.current().access.max_failed_logins;
    let username = username.chars().take(MAX_USERNAME_CHARS).collect::<String>();
    let name = username.clone();
    let found = app
        .records
        .run(move |db| {
            let now = now_ms();
            let (source, stranger) = match source {
                Source::Session(user_id) => (format!("session:{user_id}"), false),
                Source::Browser { address, device } => match device {
                    Some(hash) if attempts::is_device(db, &name, &hash, now - DEVICE_MS)? => {
                        (format!("device:{hash}"), false)
                    }
                    _ => (address_text(address), true),
                },
            };
            let failed = attempts::failed_since(db, &name, &source, now - WINDOW_MS)?;
            if is_too_many(failed, stranger, max_failed) {
                return Ok(None);
            }
            attempts::note(db, &name, &source, now)?;
            Ok::<_, RecordsError>(Some((users::by_username(db, &name)?, source)))
        })
        .await?;
    let Some((found, source)) = found else { return Ok(Verdict::TooMany) };
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
                attempts::forget(db, &username, &source)
            } else {
                audit::add(db, now_ms(), "siaga", "session.refuse", &username, &source_text(&source))
            }
        })
        .await
        .map_err(|error: RecordsError| ManageError::from(error))?;
    Ok(user.map_or(Verdict::Wrong, Verdict::Fits))
}

/// A source in the audit trail: an address as it is, of the others only the kind.
fn source_text(source: &str) -> String {
    source
        .strip_prefix(ADDRESS)
        .map_or_else(|| source.split(':').next().unwrap_or_default().to_owned(), ToOwned::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::Records;

    #[test]
    fn the_dummy_hash_is_a_hash_that_no_password_fits() {
        assert!(argon2::password_hash::phc::PasswordHash::new(DUMMY_HASH).is_ok());
        assert!(!verify_password("", DUMMY_HASH));
    }

    #[test]
    fn addresses_are_counted_by_who_has_them() {
        for (address, wanted) in [
            (Some("192.0.2.7"), "address:192.0.2.7"),
            (Some("::ffff:192.0.2.7"), "address:192.0.2.7"),
            (Some("2001:db8:1:2:3::9"), "address:2001:db8:1:2::/64"),
            (None, "address:unknown"),
        ] {
            assert_eq!(address_text(address.map(|text| text.parse().unwrap())), wanted);
        }
        assert_eq!(source_text("address:192.0.2.7"), "192.0.2.7");
        assert_eq!(source_text("device:0123"), "device", "no hash in the trail");
    }

    #[test]
    fn an_attacker_from_elsewhere_locks_out_neither_the_users_browser_nor_another_address() {
        let records = Records::in_memory().unwrap();
        let too_many = |source: &str, stranger| {
            let failed = records.transaction(|db| attempts::failed_since(db, "ani", source, 0)).unwrap();
            is_too_many(failed, stranger, 10)
        };
        let fail = |name: &str, source: &str, times: u32| {
            let note = |db: &crate::records::rusqlite::Transaction<'_>| {
                (0..times).try_for_each(|_| attempts::note(db, name, source, 1))
            };
            records.transaction(note).unwrap();
        };
        fail("ani", "address:6.6.6.6", 10);
        assert!(too_many("address:6.6.6.6", true), "the attacker");
        assert!(!too_many("address:10.0.0.1", true), "the user at the office");
        for last in 1..10 {
            fail("ani", &format!("address:6.6.6.{}", 100 + last), 10);
        }
        assert!(too_many("address:10.0.0.1", true), "a hundred strangers' failures are enough");
        assert!(!too_many("device:d", false), "the user's own browser still gets in");
        fail("budi", "address:7.7.7.7", 50);
        fail("citra", "address:7.7.7.7", 50);
        assert!(too_many("address:7.7.7.7", true), "one source that tries many names");
    }
}
