//! `[reports]` and `[mail]`: how documents are made and sent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lettre::message::Mailbox;
use serde::{Deserialize, Deserializer, de};

use crate::access::Role;

/// Documents.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Reports {
    /// Program and arguments that read HTML from standard input and write a PDF to standard output. Empty: Debian's
    /// weasyprint, which then can fetch nothing.
    pub pdf_renderer: Vec<String>,
    /// Longest time of one document.
    #[serde(with = "humantime_serde")]
    pub pdf_timeout: Duration,
}

impl Default for Reports {
    fn default() -> Self {
        Self { pdf_renderer: Vec::new(), pdf_timeout: Duration::from_secs(60) }
    }
}

/// How the connection to the relay is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailTls {
    /// It begins in the clear and must become TLS before anything is said.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// Not at all.
    None,
}

/// An address that mail comes from or goes to, such as `Siaga <siaga@example.go.id>`.
#[derive(Debug, Clone, PartialEq)]
pub struct MailAddress(Mailbox);

impl MailAddress {
    /// The address with its name.
    #[must_use]
    pub fn mailbox(&self) -> &Mailbox {
        &self.0
    }
}

impl std::fmt::Display for MailAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for MailAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error| format!("{text:?} is no mail address: {error}"))
    }
}

impl<'de> Deserialize<'de> for MailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Who gets something: whoever bears a role, or an address.
#[derive(Debug, Clone, PartialEq)]
pub enum Recipient {
    /// The addresses of a role in `[mail.roles]`.
    Role(Role),
    /// One address.
    Address(MailAddress),
}

impl<'de> Deserialize<'de> for Recipient {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.contains('@') {
            return text.parse().map(Self::Address).map_err(de::Error::custom);
        }
        Role::from_code(&text)
            .map(Self::Role)
            .ok_or_else(|| de::Error::custom(format!("{text:?} is neither a role nor a mail address")))
    }
}

/// The relay that takes mail.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mail {
    /// Its name. Empty: no mail is sent.
    pub server: String,
    /// Its port.
    pub port: u16,
    /// How the connection is secured.
    pub tls: MailTls,
    /// Certificate of the authority (PEM) that the relay's certificate is from, beside those of the system.
    pub ca_file: Option<PathBuf>,
    /// User at the relay.
    pub user: Option<String>,
    /// File with that user's password.
    pub password_file: Option<PathBuf>,
    /// Sender of all mail.
    pub from: MailAddress,
    /// Addresses of those who bear a role.
    pub roles: BTreeMap<Role, Vec<MailAddress>>,
    /// Wait before the second attempt; each further one doubles it, up to six hours.
    #[serde(with = "humantime_serde")]
    pub retry_after: Duration,
    /// How long a message is tried that the relay does not take.
    #[serde(with = "humantime_serde")]
    pub give_up_after: Duration,
    /// Messages that may wait.
    pub max_waiting: usize,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            server: String::new(),
            port: 587,
            tls: MailTls::StartTls,
            ca_file: None,
            user: None,
            password_file: None,
            from: MailAddress(Mailbox::new(
                Some("Siaga".to_owned()),
                lettre::Address::new_dangerous("siaga", "localhost"),
            )),
            roles: BTreeMap::new(),
            retry_after: Duration::from_secs(60),
            give_up_after: Duration::from_secs(3 * 86_400),
            max_waiting: 1_000,
        }
    }
}

impl Mail {
    /// Whether mail is sent at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.server.is_empty()
    }

    /// Checks what no single key can say.
    ///
    /// # Errors
    /// The field that does not go together with the others, and why.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        if self.user.is_some() != self.password_file.is_some() {
            return Err(("mail.user", "set both mail.user and mail.password_file, or none".to_owned()));
        }
        let local = ["localhost", "127.0.0.1", "::1"].contains(&self.server.as_str());
        if self.user.is_some() && self.tls == MailTls::None && !local {
            let reason = "with mail.user it must be \"starttls\" or \"tls\": the password would cross the network in \
                          the clear";
            return Err(("mail.tls", reason.to_owned()));
        }
        Ok(())
    }
}
