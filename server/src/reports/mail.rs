//! The outbox of mail. [`enqueue`] writes messages in the caller's transaction, so that what is decided and what is told of
//! it are stored together; `mail_delivery` sends them later.
//!
//! Invariants: one cause (`key`) is sent once to each recipient, however often it is queued; the number of messages
//! that wait and the size of each are bounded; without `[mail] server` nothing is queued.

use crate::config::{Mail, MailAddress, Recipient};
use crate::records::{RecordsError, mail_outbox, rusqlite::Connection};
use crate::time::Millis;

/// Largest attachment, bytes: relays refuse more than some 20 MB, of which a third is encoding.
pub const MAX_ATTACHMENT_BYTES: usize = 10 << 20;
/// Longest text, bytes.
const MAX_BODY_BYTES: usize = 256 << 10;

/// A file that goes with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// Its name.
    pub name: String,
    /// Its type, such as `application/pdf`.
    pub media_type: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Names the cause: a second message of the same key to the same recipient is not queued.
    pub key: String,
    /// Subject, one line.
    pub subject: String,
    /// Plain text.
    pub body: String,
    /// A file.
    pub attachment: Option<Attachment>,
}

/// Why a message is not queued.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// No relay is configured.
    #[error("no mail is sent: [mail] server names no relay")]
    Off,
    /// Nobody would get it.
    #[error("nobody is named who gets it, or the roles that are named have no address in [mail.roles]")]
    Nobody,
    /// It is too large.
    #[error("the message is too large: {what} has {bytes} bytes")]
    TooLarge {
        /// What of it.
        what: &'static str,
        /// Its size.
        bytes: usize,
    },
    /// Too many wait.
    #[error("{waiting} messages wait already for the relay")]
    Full {
        /// How many.
        waiting: usize,
    },
    /// The records fail.
    #[error("cannot queue mail")]
    Records(#[from] RecordsError),
}

impl From<MailError> for crate::http::ApiError {
    fn from(error: MailError) -> Self {
        match error {
            MailError::Off | MailError::Nobody => Self::conflict(error.to_string()),
            MailError::TooLarge { .. } => Self::bad_request(error.to_string()),
            MailError::Full { .. } => Self::busy(error.to_string(), 600),
            MailError::Records(cause) => cause.into(),
        }
    }
}

/// The addresses of those who are named by role or address, each once, in that order.
#[must_use]
pub fn addresses(config: &Mail, to: &[Recipient]) -> Vec<MailAddress> {
    let mut found: Vec<MailAddress> = Vec::new();
    for recipient in to {
        let of_it = match recipient {
            Recipient::Role(role) => config.roles.get(role).map_or(&[][..], Vec::as_slice),
            Recipient::Address(address) => std::slice::from_ref(address),
        };
        for address in of_it {
            if !found.iter().any(|known| known.mailbox().email == address.mailbox().email) {
                found.push(address.clone());
            }
        }
    }
    found
}

/// Queues a message for everybody in `to`; gives how many rows are new. To be called within the transaction that stores
/// what the message tells of.
///
/// # Errors
/// Why nothing is queued; the transaction may go on without.
pub fn enqueue(
    db: &Connection,
    config: &Mail,
    message: &Message,
    to: &[Recipient],
    now_ms: Millis,
) -> Result<usize, MailError> {
    if !config.is_on() {
        return Err(MailError::Off);
    }
    let attached = message.attachment.as_ref().map_or(0, |one| one.bytes.len());
    for (what, bytes, limit) in
        [("attachment", attached, MAX_ATTACHMENT_BYTES), ("text", message.body.len(), MAX_BODY_BYTES)]
    {
        if bytes > limit {
            return Err(MailError::TooLarge { what, bytes });
        }
    }
    let addresses = addresses(config, to);
    if addresses.is_empty() {
        return Err(MailError::Nobody);
    }
    let waiting = mail_outbox::count(db, "waiting")?;
    if waiting + addresses.len() > config.max_waiting {
        return Err(MailError::Full { waiting });
    }
    let mut added = 0;
    for address in addresses {
        added += usize::from(mail_outbox::add(db, message, &address.to_string(), now_ms)?);
    }
    Ok(added)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::records::Records;

    fn config() -> Mail {
        Mail {
            server: "relay.example".to_owned(),
            roles: [(Role::KetuaLpse, vec!["Ketua <k@example.go.id>".parse().unwrap()])].into(),
            max_waiting: 3,
            ..Mail::default()
        }
    }

    fn message(key: &str) -> Message {
        Message { key: key.to_owned(), subject: "s".to_owned(), body: "b".to_owned(), attachment: None }
    }

    #[test]
    fn a_cause_is_queued_once_for_each_who_is_named_by_role_or_address() {
        let config = config();
        let to = [
            Recipient::Role(Role::KetuaLpse),
            Recipient::Address("k@example.go.id".parse().unwrap()),
            Recipient::Address("b@example.go.id".parse().unwrap()),
            Recipient::Role(Role::Penilai),
        ];
        let records = Records::in_memory().unwrap();
        let queue = |key: &str| records.transaction(|db| enqueue(db, &config, &message(key), &to, 7));
        assert_eq!(queue("a").unwrap(), 2);
        assert_eq!(queue("a").unwrap_or(0), 0, "the same cause again, whether there is room or not");
        assert!(matches!(queue("b"), Err(MailError::Full { waiting: 2 })));
        let due = records.transaction(|db| mail_outbox::due(db, 7, 10)).unwrap();
        let recipients: Vec<&str> = due.iter().map(|one| one.recipient.as_str()).collect();
        assert_eq!(recipients, ["Ketua <k@example.go.id>", "b@example.go.id"]);
    }

    #[test]
    fn what_nobody_can_get_is_told_and_not_queued() {
        let records = Records::in_memory().unwrap();
        let queue = |config: &Mail, to: &[Recipient]| {
            records.transaction(|db| enqueue(db, config, &message("a"), to, 0))
        };
        let to = [Recipient::Role(Role::KetuaLpse)];
        assert!(matches!(queue(&Mail::default(), &to), Err(MailError::Off)));
        assert!(matches!(queue(&config(), &[Recipient::Role(Role::Penilai)]), Err(MailError::Nobody)));
        let bytes = vec![0; MAX_ATTACHMENT_BYTES + 1];
        let attachment = Attachment { name: "a".to_owned(), media_type: "application/pdf".to_owned(), bytes };
        let large = Message { attachment: Some(attachment), ..message("b") };
        let refused = records.transaction(|db| enqueue(db, &config(), &large, &to, 0));
        assert!(matches!(refused, Err(MailError::TooLarge { what: "attachment", .. })));
    }
}
