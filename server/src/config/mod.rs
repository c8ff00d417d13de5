//! The server's one typed configuration. Every key has a default here and a line in `deploy/server.toml`;
//! unknown keys are refused. Values are checked while they are read, so that an error has a place.

mod bounds;
mod documents;
mod reload;
mod values;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use siaga_protocol::toml_text::{self, TomlTextError};

use crate::access::Role;

pub use documents::{Mail, MailAddress, MailTls, Recipient, Reports};
pub use reload::{LiveConfig, watch};
pub use values::{Language, Percent, TimeZoneName};

/// Largest configuration file.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where and how the server listens.
    pub http: Http,
    /// Where data lies.
    pub storage: Storage,
    /// The store of time series.
    pub metrics: Metrics,
    /// Bounds of queries.
    pub query: Query,
    /// Rule files.
    pub rules: Rules,
    /// The helpdesk queue.
    pub incidents: Incidents,
    /// Agents.
    pub fleet: Fleet,
    /// Forecasts and thresholds.
    pub capacity: Capacity,
    /// Plans and drills.
    pub continuity: Continuity,
    /// Users and sessions.
    pub access: Access,
    /// What people see.
    pub console: Console,
    /// Documents.
    pub reports: Reports,
    /// The relay that takes mail.
    pub mail: Mail,
}

/// Where and how the server listens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port.
    pub listen: SocketAddr,
    /// Certificate chain (PEM). Needed, with `tls_key`, for any address but loopback.
    pub tls_certificate: Option<PathBuf>,
    /// Private key (PEM).
    pub tls_key: Option<PathBuf>,
    /// Largest request body, bytes.
    pub max_body_bytes: usize,
    /// Largest remote-write body after unpacking, bytes.
    pub max_unpacked_bytes: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// Connections at once from one address; loopback, where a proxy may stand, has no such bound.
    pub max_connections_per_address: usize,
    /// Longest time for one request, to the head of its answer; a long poll has up to a minute more.
    #[serde(with = "humantime_serde")]
    pub request_timeout: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8480)),
            tls_certificate: None,
            tls_key: None,
            max_body_bytes: 16 << 20,
            max_unpacked_bytes: 64 << 20,
            max_connections: 25_000,
            max_connections_per_address: 1_000,
            request_timeout: Duration::from_secs(90),
        }
    }
}

/// Where data lies.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Folder that holds everything the server keeps.
    pub data_dir: PathBuf,
}

impl Default for Storage {
    fn default() -> Self {
        Self { data_dir: PathBuf::from("data") }
    }
}

/// The store of time series.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// How long samples are kept.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Days older than this are downsampled too, to windows of five minutes and an hour, for queries of long ranges.
    #[serde(with = "humantime_serde")]
    pub downsample_after: Duration,
    /// Upper bound of the store's file in bytes; the oldest samples go first. 0 means no bound.
    pub max_bytes: u64,
    /// Series in all.
    pub max_series: usize,
    /// Series of one agent.
    pub max_series_per_agent: usize,
    /// How far in the past a sample may lie; longer than agents keep what they could not send.
    #[serde(with = "humantime_serde")]
    pub out_of_order_window: Duration,
    /// How far in the future a sample may lie.
    #[serde(with = "humantime_serde")]
    pub max_future: Duration,
    /// Whether each commit waits for the disk (`true`: survives a power cut).
    pub fsync: bool,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(400 * 86_400),
            downsample_after: Duration::from_secs(7 * 86_400),
            max_bytes: 0,
            max_series: 2_000_000,
            max_series_per_agent: 20_000,
            out_of_order_window: Duration::from_secs(15 * 86_400),
            max_future: Duration::from_secs(600),
            fsync: true,
        }
    }
}

/// Bounds of queries.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Query {
    /// How far back an instant selector looks for a sample.
    #[serde(with = "humantime_serde")]
    pub lookback: Duration,
    /// Longest time of one query.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Samples that one query may touch.
    pub max_samples: usize,
    /// Series that one query may touch.
    pub max_series: usize,
    /// Points a series in a range answer.
    pub max_points: usize,
    /// Points in a whole range answer.
    pub max_answer_points: usize,
    /// Memory that running queries may hold together, bytes; read at the start.
    pub max_memory_bytes: usize,
    /// Remove metric names at the end of a query only, as Prometheus' `promql-delayed-name-removal` does.
    pub delayed_name_removal: bool,
    /// Ranges include their left edge, as in Prometheus 2.
    pub prometheus2_ranges: bool,
    /// Queries that run at once; further ones wait.
    pub max_concurrent: usize,
    /// Threads that a query may use when it runs alone; queries that run at the same time share them. 0: as many as
    /// there are processors.
    pub threads: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            timeout: Duration::from_secs(60),
            max_samples: 50_000_000,
            max_series: 500_000,
            max_points: 11_000,
            max_answer_points: 10_000_000,
            max_memory_bytes: 1 << 30,
            delayed_name_removal: false,
            prometheus2_ranges: false,
            max_concurrent: 16,
            threads: 0,
        }
    }
}

/// Rule files.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether the built-in rules for Linux servers are evaluated.
    pub defaults: bool,
    /// Further files in Prometheus' rule format.
    pub files: Vec<PathBuf>,
    /// Interval of groups that name none.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// Series that one rule may give; more is a failed evaluation.
    pub max_series: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { defaults: true, files: Vec::new(), interval: Duration::from_secs(15), max_series: 50_000 }
    }
}

/// The helpdesk queue.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Incidents {
    /// An incident resolves by itself when its last signal has been gone for this long.
    #[serde(with = "humantime_serde")]
    pub hold: Duration,
    /// A cause that comes back within this time re-opens its last incident.
    #[serde(with = "humantime_serde")]
    pub reopen_within: Duration,
    /// An incident that a person resolved re-opens when its cause still stands after this time.
    #[serde(with = "humantime_serde")]
    pub reopen_after: Duration,
    /// Open incidents in all; signals open no further ones.
    pub max_open: usize,
}

impl Default for Incidents {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(60),
            reopen_within: Duration::from_secs(3_600),
            reopen_after: Duration::from_secs(600),
            max_open: 10_000,
        }
    }
}

/// Agents.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fleet {
    /// An agent that was not heard for this long is silent, but never sooner than three of its intervals.
    #[serde(with = "humantime_serde")]
    pub silent_after: Duration,
    /// How far a host's clock may be from the server's; a clock that is further off for as long is an incident.
    #[serde(with = "humantime_serde")]
    pub max_clock_difference: Duration,
    /// How long a one-time enrolment token is good.
    #[serde(with = "humantime_serde")]
    pub enrol_token_valid: Duration,
    /// Hosts in all.
    pub max_hosts: usize,
}

impl Default for Fleet {
    fn default() -> Self {
        Self {
            silent_after: Duration::from_secs(60),
            max_clock_difference: Duration::from_secs(60),
            enrol_token_valid: Duration::from_secs(86_400),
            max_hosts: 10_000,
        }
    }
}

/// Forecasts and thresholds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Capacity {
    /// How often forecasts are made.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// History that a forecast looks at.
    #[serde(with = "humantime_serde")]
    pub history: Duration,
    /// An incident is opened when the likely date lies within this time.
    #[serde(with = "humantime_serde")]
    pub lead_time: Duration,
    /// Threshold of filesystems.
    pub filesystem_threshold: Percent,
    /// Threshold of memory.
    pub memory_threshold: Percent,
    /// Threshold of processors.
    pub cpu_threshold: Percent,
    /// Threshold of the files that filesystems can hold.
    pub inode_threshold: Percent,
    /// Threshold of quotas.
    pub quota_threshold: Percent,
    /// Due forecasts running, an hour of new data apart, after which an incident is opened.
    pub signal_evaluations: u32,
    /// Use that must be reached before a forecast opens an incident.
    pub signal_floor: Percent,
    /// How long past forecasts and their scores are kept.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Series that are watched for anomalies, seven of each host; 0: none.
    pub anomaly_series: usize,
    /// Who gets the report of each month by mail.
    pub report_to: Vec<Recipient>,
}

impl Default for Capacity {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(3_600),
            history: Duration::from_secs(120 * 86_400),
            lead_time: Duration::from_secs(14 * 86_400),
            filesystem_threshold: Percent::of(90),
            memory_threshold: Percent::of(90),
            cpu_threshold: Percent::of(85),
            inode_threshold: Percent::of(90),
            quota_threshold: Percent::of(90),
            signal_evaluations: 3,
            signal_floor: Percent::of(60),
            keep: Duration::from_secs(400 * 86_400),
            anomaly_series: 700,
            report_to: Vec::new(),
        }
    }
}

/// Plans and drills.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Continuity {
    /// Folder of plans (`*.toml`). Without it there are none.
    pub plans_dir: Option<PathBuf>,
    /// Whether scheduled drills start by themselves.
    pub scheduled: bool,
    /// Who gets the report of each drill by mail.
    pub report_to: Vec<Recipient>,
}

impl Default for Continuity {
    fn default() -> Self {
        Self {
            plans_dir: None,
            scheduled: true,
            report_to: vec![Recipient::Role(Role::KoordinatorKelangsunganLayanan)],
        }
    }
}

/// Users and sessions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// How long a session lives without use.
    #[serde(with = "humantime_serde")]
    pub session_idle: Duration,
    /// How long a session lives at most.
    #[serde(with = "humantime_serde")]
    pub session_max: Duration,
    /// Failed logins of one user name from one address within 15 minutes after which further ones from there are
    /// refused. From all addresses together ten times as many; a browser in which the user has signed in before is
    /// counted alone.
    pub max_failed_logins: u32,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            session_idle: Duration::from_secs(2 * 3_600),
            session_max: Duration::from_secs(12 * 3_600),
            max_failed_logins: 10,
        }
    }
}

/// What people see.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Name of the office.
    pub organisation: String,
    /// Language of those who have not chosen.
    pub language: Language,
    /// Time zone of pages and reports.
    pub time_zone: TimeZoneName,
    /// Marks every page as a simulation.
    pub simulation: bool,
}

impl Default for Console {
    fn default() -> Self {
        Self {
            organisation: "LPSE".to_owned(),
            language: Language::Indonesian,
            time_zone: TimeZoneName::default(),
            simulation: false,
        }
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read configuration file {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Reason.
        #[source]
        source: std::io::Error,
    },
    /// The text is wrong.
    #[error(transparent)]
    Text(#[from] TomlTextError),
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// What is wrong, with file, line and field.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = read_text(file).map_err(|source| ConfigError::Read { file: file.to_owned(), source })?;
        Ok(Self::read(&file.display().to_string(), &text)?)
    }

    /// Reads and checks a text; `file` is only used in errors.
    fn read(file: &str, text: &str) -> Result<Self, TomlTextError> {
        let config: Self = toml_text::parse(file, text)?;
        config.check().map_err(|(field, reason)| {
            let (line, column) = toml_text::place_of(text, field).unwrap_or((1, 1));
            TomlTextError { file: file.to_owned(), line, column, field: field.to_owned(), reason }
        })?;
        Ok(config)
    }

    /// Checks what no single key can say.
    ///
    /// # Errors
    /// The fields that do not go together, and why.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let http = &self.http;
        let pair = "set both http.tls_certificate and http.tls_key, or none".to_owned();
        match (&http.tls_certificate, &http.tls_key) {
            (Some(_), None) => return Err(("http.tls_certificate", pair)),
            (None, Some(_)) => return Err(("http.tls_key", pair)),
            _ => {}
        }
        if !http.listen.ip().is_loopback() && http.tls_certificate.is_none() {
            return Err((
                "http.listen",
                format!(
                    "{} is not a loopback address, so http.tls_certificate and http.tls_key are needed: \
                     passwords and tokens would cross the network in the clear",
                    http.listen
                ),
            ));
        }
        if self.query.timeout >= http.request_timeout {
            let reason =
                "must be less than http.request_timeout, or no query could tell that it took too long";
            return Err(("query.timeout", reason.to_owned()));
        }
        self.mail.check()?;
        bounds::check(self)
    }
}

/// The text of a regular file of a bounded size: a device or a pipe in its place would never end.
fn read_text(file: &Path) -> std::io::Result<String> {
    let found = std::fs::metadata(file)?;
    if !found.is_file() || found.len() > MAX_FILE_BYTES {
        let reason = format!("not a regular file of at most {MAX_FILE_BYTES} bytes");
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, reason));
    }
    std::fs::read_to_string(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::read("server.toml", text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_documented_example_states_the_defaults() {
        let text = include_str!("../../../deploy/server.toml");
        assert_eq!(parse(text).unwrap(), Config::default());
    }

    #[test]
    fn a_wrong_file_is_refused_with_line_and_field() {
        for (text, wanted) in [
            ("[http]\nlisten = \"nowhere\"\n", "server.toml:2:10: http.listen: "),
            ("[htp]\n", "server.toml:1:2: htp: unknown field"),
            ("[capacity]\ncpu_threshold = 140\n", "server.toml:2:17: capacity.cpu_threshold: "),
            ("[console]\nlanguage = \"fr\"\n", "server.toml:2:12: console.language: "),
            ("[console]\ntime_zone = \"Asia/Nowhere\"\n", "server.toml:2:13: console.time_zone: "),
            (
                "[http]\nlisten = \"0.0.0.0:8480\"\n",
                "server.toml:2:10: http.listen: 0.0.0.0:8480 is not a loopback address",
            ),
            ("[http]\ntls_key = \"k\"\n", "server.toml:2:11: http.tls_key: set both"),
            ("[query]\ntimeout = \"2m\"\n", "server.toml:2:11: query.timeout: must be less than"),
            ("[mail]\nfrom = \"siaga\"\n", "server.toml:2:8: mail.from: \"siaga\" is no mail address"),
            ("[mail]\nuser = \"u\"\n", "server.toml:2:8: mail.user: set both"),
            (
                "[mail]\nserver = \"a.example\"\nuser = \"u\"\npassword_file = \"p\"\ntls = \"none\"\n",
                "server.toml:5:7: mail.tls: with mail.user",
            ),
            ("[metrics]\nretention = \"0s\"\n", "server.toml:2:13: metrics.retention: must be at least 1h"),
            (
                "[access]\nmax_failed_logins = 0\n",
                "server.toml:2:21: access.max_failed_logins: must be at least 1",
            ),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
