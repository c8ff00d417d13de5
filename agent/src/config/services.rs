//! Which services are watched: processes, log files, exporters, probes, time servers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::guard::ReadablePath;
pub use super::probes::{Probe, ProbeKind, TimeServer};
use super::{Number, Pattern, Seconds, ServerUrl};

/// Longest question of the host's own to a database, in bytes.
const MAX_SQL_BYTES: usize = 4_096;
/// Most groups of processes, log files, and patterns of one file.
pub const MAX_WATCHED: usize = 64;

/// A list of at most [`MAX_WATCHED`], whose names are not empty and stand once.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Vec<T>")]
#[serde(bound = "T: Deserialize<'de> + Named")]
pub struct Watched<T>(Vec<T>);

/// What bears a name.
pub trait Named {
    /// The name.
    fn name(&self) -> &str;

    /// Whether its fields fit together.
    ///
    /// # Errors
    /// What does not.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> std::ops::Deref for Watched<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T: Named> TryFrom<Vec<T>> for Watched<T> {
    type Error = String;

    fn try_from(list: Vec<T>) -> Result<Self, String> {
        if list.len() > MAX_WATCHED {
            return Err(format!("at most {MAX_WATCHED} are allowed"));
        }
        for (place, item) in list.iter().enumerate() {
            let name = item.name();
            if name.is_empty() {
                return Err("a name must not be empty".into());
            }
            if list.iter().take(place).any(|other| other.name() == name) {
                return Err(format!("name {name:?} stands twice"));
            }
            item.check().map_err(|reason| format!("{name:?}: {reason}"))?;
        }
        Ok(Self(list))
    }
}

/// Processes that are watched together.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessGroup {
    /// Label `groupname`.
    pub name: String,
    /// Matches the command line, arguments joined by blanks. A process belongs to the first group that matches.
    pub pattern: Pattern,
}

impl Named for ProcessGroup {
    fn name(&self) -> &str {
        &self.name
    }
}

/// A log file that is followed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Label `log`.
    pub name: String,
    /// The file.
    pub path: ReadablePath,
    /// What is counted, by name: lines that match.
    pub patterns: Patterns,
}

impl Named for Log {
    fn name(&self) -> &str {
        &self.name
    }
}

/// Patterns by name, at most [`MAX_WATCHED`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Pattern>")]
pub struct Patterns(BTreeMap<String, Pattern>);

impl Patterns {
    /// Name and pattern, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Pattern)> {
        self.0.iter().map(|(name, pattern)| (name.as_str(), pattern))
    }
}

impl TryFrom<BTreeMap<String, Pattern>> for Patterns {
    type Error = String;

    fn try_from(patterns: BTreeMap<String, Pattern>) -> Result<Self, String> {
        if patterns.is_empty() || patterns.len() > MAX_WATCHED {
            return Err(format!("1 to {MAX_WATCHED} patterns are needed"));
        }
        Ok(Self(patterns))
    }
}

/// What is asked over the network.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Services {
    /// Prometheus exporters of this host.
    pub scrapes: Watched<Scrape>,
    /// Whether others answer.
    pub probes: Watched<Probe>,
    /// Time servers that this host's clock is compared with.
    pub time_servers: Watched<TimeServer>,
    /// PostgreSQL servers of this host.
    pub postgres: Watched<Postgres>,
    /// Status pages of web servers.
    pub web_servers: Watched<WebServer>,
    /// Java virtual machines.
    pub jvms: Watched<Jvm>,
    /// Units of systemd, where it runs this host.
    pub systemd: Systemd,
}

/// A web server's status page.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebServer {
    /// Label `server`.
    pub name: String,
    /// Whose page it is.
    pub kind: WebServerKind,
    /// Its address.
    pub url: ServerUrl,
    /// Time between two questions.
    #[serde(default)]
    pub interval_seconds: Seconds<1, 3_600, 15>,
    /// Longest time for an answer; at most the interval.
    #[serde(default)]
    pub timeout_seconds: Seconds<1, 60, 5>,
}

/// Kinds of status pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WebServerKind {
    /// `stub_status`.
    Nginx,
    /// `server-status?auto`.
    Apache,
}

impl WebServer {
    /// How often, and how long.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked::new(self.interval_seconds.get(), self.timeout_seconds.get())
    }
}

impl Named for WebServer {
    fn name(&self) -> &str {
        &self.name
    }
}

/// The HTTP endpoint of a Java virtual machine.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jvm {
    /// Label `server`.
    pub name: String,
    /// What answers there.
    pub kind: JvmKind,
    /// Its address: of Jolokia itself, or of the application of Play.
    pub url: ServerUrl,
    /// File with what it wants as `Authorization`.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Time between two questions.
    #[serde(default)]
    pub interval_seconds: Seconds<1, 3_600, 15>,
    /// Longest time for an answer; at most the interval.
    #[serde(default)]
    pub timeout_seconds: Seconds<1, 60, 5>,
}

/// Kinds of endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JvmKind {
    /// Jolokia's agent.
    Jolokia,
    /// The status page of Play 1.
    Play,
}

impl Jvm {
    /// How often, and how long.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked::new(self.interval_seconds.get(), self.timeout_seconds.get())
    }
}

impl Named for Jvm {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), String> {
        match &self.key_file {
            Some(_) if !self.url.is_local_or_tls() => {
                Err("a key travels only encrypted (https) or within this host".into())
            }
            _ => Ok(()),
        }
    }
}

/// How systemd is asked.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Systemd {
    /// Whether it is.
    pub enabled: bool,
    /// Units that are told one by one even when they have not failed.
    pub units: Pattern,
    /// Time between two questions.
    pub interval_seconds: Seconds<1, 3_600, 60>,
    /// Longest time for an answer; at most the interval.
    pub timeout_seconds: Seconds<1, 60, 5>,
}

impl Default for Systemd {
    fn default() -> Self {
        Self {
            enabled: true,
            units: Pattern::constant("^$"),
            interval_seconds: Seconds::default(),
            timeout_seconds: Seconds::default(),
        }
    }
}

impl Systemd {
    /// How often, and how long.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked::new(self.interval_seconds.get(), self.timeout_seconds.get())
    }
}

/// How often something is asked, and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    interval_seconds: u64,
    timeout_seconds: u64,
}

impl Asked {
    /// Both in seconds; the answer may take no longer than the interval.
    #[must_use]
    pub fn new(interval_seconds: u64, timeout_seconds: u64) -> Self {
        Self { interval_seconds, timeout_seconds: timeout_seconds.min(interval_seconds) }
    }

    /// Time between two questions.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }

    /// Longest time for an answer.
    #[must_use]
    pub fn timeout(self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// A Prometheus exporter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scrape {
    /// Label `job` of its series.
    pub name: String,
    /// Where it gives its figures.
    pub url: ServerUrl,
    /// Time between two questions.
    #[serde(default)]
    pub interval_seconds: Seconds<1, 3_600, 15>,
    /// Longest time for an answer; at most the interval.
    #[serde(default)]
    pub timeout_seconds: Seconds<1, 60, 5>,
    /// An answer with more samples is refused as a whole.
    #[serde(default)]
    pub max_samples: Number<1, 20_000, 5_000>,
    /// Which samples go on, and with which labels.
    #[serde(default)]
    pub relabel: Vec<Relabel>,
}

impl Scrape {
    /// How often, and how long.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked::new(self.interval_seconds.get(), self.timeout_seconds.get())
    }
}

impl Named for Scrape {
    fn name(&self) -> &str {
        &self.name
    }
}

/// A rule as in Prometheus' `metric_relabel_configs`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Relabel {
    /// Labels whose values, joined by `;`, are matched.
    pub source_labels: Vec<String>,
    /// Must match the whole text.
    pub regex: WholePattern,
    /// What is done.
    pub action: RelabelAction,
    /// Label that `replace` writes.
    pub target_label: String,
    /// What it writes; `$1` is the first group.
    pub replacement: String,
}

impl Default for Relabel {
    fn default() -> Self {
        Self {
            source_labels: Vec::new(),
            regex: WholePattern(Pattern::constant("^(?:(?s:(.*)))$")),
            action: RelabelAction::default(),
            target_label: String::new(),
            replacement: "$1".into(),
        }
    }
}

/// What a rule does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelabelAction {
    /// Only samples that match go on.
    Keep,
    /// Samples that match do not go on.
    Drop,
    /// Writes a label where it matches.
    #[default]
    Replace,
    /// Takes away labels whose names match.
    Labeldrop,
    /// Takes away labels whose names do not match.
    Labelkeep,
}

/// A regular expression that must match the whole text.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct WholePattern(Pattern);

impl TryFrom<String> for WholePattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Pattern::try_from(text.clone())?;
        Pattern::try_from(format!("^(?:{text})$")).map(Self)
    }
}

impl WholePattern {
    /// Whether it matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.matches(text)
    }

    /// `replacement` with the groups of the match filled in; `None` if it does not match.
    #[must_use]
    pub fn expand(&self, text: &str, replacement: &str) -> Option<String> {
        let groups = self.0.0.captures(text)?;
        let mut out = String::new();
        groups.expand(replacement, &mut out);
        Some(out)
    }
}

/// A PostgreSQL server, asked without TLS: through its socket or the loopback.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Label `server`.
    pub name: String,
    /// Folder of its socket, or its address.
    #[serde(default = "socket_folder")]
    pub host: String,
    /// Port, which also names the socket.
    #[serde(default = "postgres_port")]
    pub port: u16,
    /// Role; it needs no more than `pg_monitor`.
    pub user: String,
    /// File with its password, where it needs one.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Questions of the host's own, whose first figure is told.
    #[serde(default)]
    pub probes: Watched<SqlProbe>,
    /// Database that it connects to; all are reported.
    #[serde(default = "postgres_database")]
    pub database: String,
    /// Time between two questions.
    #[serde(default)]
    pub interval_seconds: Seconds<1, 3_600, 30>,
    /// Longest time for all answers; at most the interval.
    #[serde(default)]
    pub timeout_seconds: Seconds<1, 60, 5>,
}

/// A question in SQL.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqlProbe {
    /// Label `probe`.
    pub name: String,
    /// The question.
    pub sql: String,
}

impl Named for SqlProbe {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), String> {
        let first = self.sql.split_ascii_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        if !matches!(first.as_str(), "select" | "with" | "values") || self.sql.len() > MAX_SQL_BYTES {
            return Err(format!("sql must be a SELECT of at most {MAX_SQL_BYTES} bytes"));
        }
        if self.sql.contains([';', '\0']) {
            return Err("sql must be one SELECT, without a semicolon".into());
        }
        Ok(())
    }
}

fn socket_folder() -> String {
    "/run/postgresql".into()
}

fn postgres_port() -> u16 {
    5432
}

fn postgres_database() -> String {
    "postgres".into()
}

impl Postgres {
    /// How often, and how long.
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked::new(self.interval_seconds.get(), self.timeout_seconds.get())
    }
}

impl Named for Postgres {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<(), String> {
        let is_loopback = |host: &str| {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        };
        if self.host.starts_with('/') || is_loopback(&self.host) {
            Ok(())
        } else {
            // A password would travel unencrypted.
            Err(format!("host {:?} is neither the folder of a socket nor an address of this host", self.host))
        }
    }
}
