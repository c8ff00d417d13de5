//! What is probed from this host's place, and which time servers its clock is compared with.

use std::path::PathBuf;

use serde::Deserialize;

use super::services::{Asked, Named};
use super::{Pattern, Seconds};

/// Something that must answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Label `probe`.
    pub name: String,
    /// How it is asked.
    pub kind: ProbeKind,
    /// For `http` an address with `http://` or `https://`, for `tcp` a host and port, for `dns` a name server with port
    /// where it is not 53, for `icmp` a host.
    pub target: String,
    /// Time between two questions.
    #[serde(default)]
    pub interval_seconds: Seconds<1, 3_600, 60>,
    /// Longest time for all of it; at most the interval.
    #[serde(default)]
    pub timeout_seconds: Seconds<1, 60, 10>,
    /// HTTP method.
    #[serde(default = "get")]
    pub method: String,
    /// Statuses that are right; none given means 200 to 299.
    #[serde(default)]
    pub valid_statuses: Vec<u16>,
    /// The body must match.
    #[serde(default)]
    pub body_matches: Option<Pattern>,
    /// The body must not match.
    #[serde(default)]
    pub body_must_not_match: Option<Pattern>,
    /// Whether redirects are followed.
    #[serde(default)]
    pub follow_redirects: bool,
    /// What a `dns` probe asks for.
    #[serde(default)]
    pub query_name: String,
    /// Which kind of record.
    #[serde(default = "address_record")]
    pub query_type: String,
    /// Whether a `tcp` probe begins TLS.
    #[serde(default)]
    pub tls: bool,
    /// Certificates (PEM) that are trusted instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

fn address_record() -> String {
    "A".into()
}

fn get() -> String {
    "GET".into()
}

impl Probe {
    /// How often, and how long.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked::new(self.interval_seconds.get(), self.timeout_seconds.get())
    }
}

impl Named for Probe {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), String> {
        match self.kind {
            ProbeKind::Dns => crate::services::dns::check(&self.query_name, &self.query_type),
            ProbeKind::Http => self.check_http(),
            ProbeKind::Tcp => match self.target.rsplit_once(':').map(|(_, port)| port.parse::<u16>()) {
                Some(Ok(_)) => Ok(()),
                _ => Err(format!("target {:?} is no host with a port", self.target)),
            },
            ProbeKind::Icmp => Ok(()),
        }
    }
}

impl Probe {
    /// An address without a password: the target is a label, which everybody sees.
    fn check_http(&self) -> Result<(), String> {
        let url = reqwest::Url::parse(&self.target).map_err(|e| format!("target is no address: {e}"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err("target must begin with http:// or https:// and name a host".into());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("target must not hold a user or a password".into());
        }
        let is_method = !self.method.is_empty() && self.method.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_method { Ok(()) } else { Err(format!("{:?} is no method of HTTP", self.method)) }
    }

    /// The target as a label: without parameters, which may be secrets.
    #[must_use]
    pub fn target_label(&self) -> &str {
        match self.kind {
            ProbeKind::Http => self.target.split(['?', '#']).next().unwrap_or_default(),
            _ => &self.target,
        }
    }
}

/// How a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeKind {
    /// An HTTP request.
    Http,
    /// A connection.
    Tcp,
    /// A question to a name server.
    Dns,
    /// An echo request.
    Icmp,
}

/// A time server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeServer {
    /// Host, with port where it is not 123; label `server`.
    pub address: String,
    /// Time between two questions; public servers ask not to be asked too often.
    #[serde(default)]
    pub interval_seconds: Seconds<16, 3_600, 300>,
    /// Longest time for an answer.
    #[serde(default)]
    pub timeout_seconds: Seconds<1, 15, 5>,
}

impl TimeServer {
    /// How often, and how long.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked::new(self.interval_seconds.get(), self.timeout_seconds.get())
    }
}

impl Named for TimeServer {
    fn name(&self) -> &str {
        &self.address
    }
}
