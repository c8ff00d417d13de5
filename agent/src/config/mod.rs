//! The agent's configuration: one typed TOML file. Every key has a default; `deploy/agent.toml` documents them all.
//!
//! Invariants: an unknown key is an error; a value out of its range never becomes a [`Config`];
//! every error names the file, the line and the field.

pub mod actions;
pub mod discovery;
pub mod files;
pub mod guard;
pub mod probes;
pub mod services;

use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;
use siaga_protocol::toml_text::{self, TomlTextError};

use crate::collectors::CollectorName;
pub use actions::{Action, Actions, Arguments, Work};
pub use discovery::Discovery;
pub use files::WatchedFiles;
use guard::ReadablePath;
use services::{Log, ProcessGroup, Services, Watched};

/// Largest configuration file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Most receivers beside the server.
pub const MAX_TARGETS: usize = 4;
/// Most actions that one host may define.
pub const MAX_ACTIONS: usize = 256;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of credentials and spool, and of the executor's memory unless that has its own.
    pub state_dir: PathBuf,
    /// Where to send, and how.
    pub server: Server,
    /// What to collect, and how often.
    pub collect: Collect,
    /// The queue on disk.
    pub spool: Spool,
    /// How samples leave the spool.
    pub send: Send,
    /// Who gets the samples beside the server.
    pub targets: Targets,
    /// What is asked over the network.
    pub services: Services,
    /// The report on what the host is made of.
    pub inventory: Inventory,
    /// The search for what listens on the host.
    pub discovery: Discovery,
    /// Orders of drills.
    pub orders: Orders,
    /// What an order may ask for, by name.
    pub actions: Actions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/siaga-agent".into(),
            server: Server::default(),
            collect: Collect::default(),
            spool: Spool::default(),
            send: Send::default(),
            targets: Targets::default(),
            services: Services::default(),
            inventory: Inventory::default(),
            discovery: Discovery::default(),
            orders: Orders::default(),
            actions: Actions::default(),
        }
    }
}

/// Where to send, and how.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Server {
    /// Address of the server; without it, the one given at enrolment.
    pub url: Option<ServerUrl>,
    /// Certificates (PEM) that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest time for one request.
    pub request_timeout_seconds: Seconds<1, 300, 30>,
}

/// What to collect, and how often.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collect {
    /// Time between two collections.
    pub interval_seconds: Seconds<1, 300, 15>,
    /// Collectors that are switched off.
    pub disabled_collectors: Vec<CollectorName>,
    /// A collector that takes longer is left alone until it comes back; the others go on.
    pub deadline_seconds: Seconds<1, 60, 5>,
    /// Filesystems.
    pub filesystem: FilesystemFilter,
    /// Block devices.
    pub diskstats: DiskFilter,
    /// Network interfaces.
    pub netdev: NetFilter,
    /// Files of other programs.
    pub textfile: Textfile,
    /// Processes that are watched in groups.
    pub process_groups: Watched<ProcessGroup>,
    /// Log files that are followed.
    pub logs: Watched<Log>,
}

/// Where other programs of this host leave figures of their own.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Textfile {
    /// Folder with files `*.prom`; without one, none are read.
    pub directory: Option<ReadablePath>,
}

/// Which filesystems are left out, and how long one may take to answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FilesystemFilter {
    /// Types that are left out.
    pub exclude_fstypes: Pattern,
    /// Mount points that are left out.
    pub exclude_mountpoints: Pattern,
    /// After this time a filesystem that does not answer is reported as `node_filesystem_device_error`.
    pub deadline_milliseconds: Number<10, 10_000, 500>,
}

impl Default for FilesystemFilter {
    fn default() -> Self {
        Self {
            exclude_fstypes: Pattern::constant(
                r"^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tracefs)$",
            ),
            exclude_mountpoints: Pattern::constant(
                r"^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
            ),
            deadline_milliseconds: Number::default(),
        }
    }
}

/// Which block devices are left out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskFilter {
    /// Devices that are left out.
    pub exclude_devices: Pattern,
}

impl Default for DiskFilter {
    fn default() -> Self {
        Self { exclude_devices: Pattern::constant(r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$") }
    }
}

/// Which network interfaces are left out.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetFilter {
    /// Interfaces that are left out; the default leaves out none.
    pub exclude_devices: Pattern,
}

impl Default for NetFilter {
    fn default() -> Self {
        Self { exclude_devices: Pattern::constant("^$") }
    }
}

/// The queue on disk.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Spool {
    /// Bytes that it may take; beyond, the oldest samples are dropped and counted.
    pub max_bytes: Number<{ 1 << 20 }, { 1 << 36 }, { 64 << 20 }>,
}

/// How samples leave the spool.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Send {
    /// Samples in one request; one collection is never cut.
    pub max_samples_per_request: Number<100, 100_000, 10_000>,
    /// Longest pause between two attempts.
    pub max_backoff_seconds: Seconds<1, 3_600, 60>,
    /// Samples a second while what has waited is sent: many agents that come back at once must not hurt the server.
    pub max_samples_per_second: Number<100, 10_000_000, 50_000>,
}

/// Who gets the samples beside the server: any receiver of Prometheus remote write 1.0. At most [`MAX_TARGETS`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Target>")]
pub struct Targets(Vec<Target>);

impl Targets {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Target> {
        self.0.iter()
    }
}

impl TryFrom<Vec<Target>> for Targets {
    type Error = String;

    fn try_from(targets: Vec<Target>) -> Result<Self, String> {
        if targets.len() > MAX_TARGETS {
            return Err(format!("at most {MAX_TARGETS} targets are allowed"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        for (place, Target { name, url, token_file, .. }) in targets.iter().enumerate() {
            if name.is_empty() || name.len() > 32 || !name.chars().all(plain) {
                return Err(format!("target name {name:?} must be 1 to 32 letters, digits, - and _ (ASCII)"));
            }
            if targets.iter().take(place).any(|other| other.name == *name) {
                return Err(format!("target name {name:?} stands twice"));
            }
            if token_file.is_some() && !url.is_local_or_tls() {
                return Err(format!(
                    "target {name:?}: a token travels only encrypted (https) or within this host"
                ));
            }
        }
        Ok(Self(targets))
    }
}

/// One more receiver of the samples.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its name in the log and in the spool's folder.
    pub name: String,
    /// Where it takes remote write, with path.
    pub url: ServerUrl,
    /// File with a bearer token, read when the configuration is.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The report on what the host is made of.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Inventory {
    /// Whether it is sent.
    pub enabled: bool,
    /// How often the agent looks whether something changed.
    pub check_interval_seconds: Seconds<10, 86_400, 60>,
    /// Files whose changes are told.
    pub files: WatchedFiles,
}

impl Default for Inventory {
    fn default() -> Self {
        Self { enabled: true, check_interval_seconds: Seconds::default(), files: WatchedFiles::default() }
    }
}

/// Orders of drills.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Orders {
    /// Whether the agent asks for orders at all.
    pub enabled: bool,
    /// Longest time that the server may hold one question for orders open.
    pub wait_seconds: Seconds<1, 120, 25>,
    /// Whether the agent starts the executor itself, with its own rights.
    pub start_executor: bool,
    /// Folder of the executor's memory; without one, a folder of `state_dir`.
    pub executor_dir: Option<PathBuf>,
    /// Socket of the executor; without one, a file in its folder.
    pub executor_socket: Option<PathBuf>,
}

impl Config {
    /// Folder of the executor's memory.
    #[must_use]
    pub fn executor_dir(&self) -> PathBuf {
        self.orders.executor_dir.clone().unwrap_or_else(|| self.state_dir.join("executor"))
    }

    /// Socket over which agent and executor speak.
    #[must_use]
    pub fn executor_socket(&self) -> PathBuf {
        self.orders.executor_socket.clone().unwrap_or_else(|| self.executor_dir().join("executor.sock"))
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            enabled: true,
            wait_seconds: Seconds::default(),
            start_executor: true,
            executor_dir: None,
            executor_socket: None,
        }
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Number<const MIN: u64, const MAX: u64, const DEFAULT: u64>(u64);

/// A whole number of seconds from `MIN` to `MAX`.
pub type Seconds<const MIN: u64, const MAX: u64, const DEFAULT: u64> = Number<MIN, MAX, DEFAULT>;

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Number<MIN, MAX, DEFAULT> {
    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// As seconds.
    #[must_use]
    pub fn seconds(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> Default for Number<MIN, MAX, DEFAULT> {
    fn default() -> Self {
        const { assert!(MIN <= DEFAULT && DEFAULT <= MAX) };
        Self(DEFAULT)
    }
}

impl<const MIN: u64, const MAX: u64, const DEFAULT: u64> TryFrom<u64> for Number<MIN, MAX, DEFAULT> {
    type Error = String;

    fn try_from(value: u64) -> Result<Self, String> {
        if (MIN..=MAX).contains(&value) {
            Ok(Self(value))
        } else {
            Err(format!("{value} is out of range, must be {MIN} to {MAX}"))
        }
    }
}

/// A regular expression.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Regex);

impl Pattern {
    #[expect(clippy::expect_used, reason = "only constants of this file, each compiled by a test")]
    fn constant(text: &str) -> Self {
        Self(Regex::new(text).expect("a constant pattern"))
    }

    /// Whether it matches somewhere in `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // The compiler's own message spans lines and draws arrows; its last line is the reason.
        let reason = |e: regex::Error| e.to_string().lines().last().unwrap_or_default().trim().to_owned();
        Regex::new(&text).map(Self).map_err(|e| format!("not a regular expression: {}", reason(e)))
    }
}

/// Address of a server: `http://` or `https://`, without path end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ServerUrl(String);

impl ServerUrl {
    /// The address with a path of [`siaga_protocol::paths`].
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }

    /// The address.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Whether nobody on the way can read along.
    #[must_use]
    pub fn is_local_or_tls(&self) -> bool {
        let host = reqwest::Url::parse(&self.0).ok().and_then(|url| url.host_str().map(ToOwned::to_owned));
        let is_local = |host: String| {
            let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        };
        self.is_tls() || host.is_some_and(is_local)
    }
}

impl TryFrom<String> for ServerUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let url = reqwest::Url::parse(&text).ok();
        let is_http =
            |url: &reqwest::Url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
        let Some(url) = url.filter(is_http) else {
            return Err(format!("{text:?} must begin with http:// or https:// and name a host"));
        };
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
            return Err("an address must not hold a user, a password or parameters".into());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Why a file is not a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The content is wrong.
    #[error(transparent)]
    Invalid(#[from] TomlTextError),
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// The file, line and field that are wrong, or the failure to read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let read_error = |source| ConfigError::Read { path: path.into(), source };
        let size = std::fs::metadata(path).map_err(read_error)?.len();
        if size > MAX_FILE_BYTES {
            return Err(read_error(std::io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes"))));
        }
        Self::parse(&std::fs::read_to_string(path).map_err(read_error)?, path)
    }

    /// Reads a text; `path` is for messages.
    ///
    /// # Errors
    /// The line and field that are wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        Ok(toml_text::parse(&path.display().to_string(), text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Config::parse(text, Path::new("agent.toml")).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_file_is_the_default_configuration() {
        let config = Config::parse("", Path::new("x")).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config.collect.interval_seconds.seconds(), Duration::from_secs(15));
    }

    #[test]
    fn a_wrong_file_names_line_and_field() {
        for (text, line, expected) in [
            (
                "[collect]\ninterval_seconds = 0",
                2,
                "collect.interval_seconds: 0 is out of range, must be 1 to 300",
            ),
            (
                "[collect]\n\ninterval_seconds = \"x\"",
                3,
                "collect.interval_seconds: invalid type: string \"x\"",
            ),
            ("intervall = 3", 1, "intervall: unknown field `intervall`"),
            (
                "[collect.netdev]\nexclude_devices = '('",
                2,
                "collect.netdev.exclude_devices: not a regular expression: ",
            ),
            ("[actions.a]\ncommand = []", 2, "actions.a.command: must be a list that begins with a program"),
            ("[server]\nurl = \"ftp://x\"", 2, "server.url: \"ftp://x\" must begin with http"),
            (
                "[collect]\ndisabled_collectors = [\n\"cpu\",\n\"gpu\"]",
                4,
                "collect.disabled_collectors[1]: unknown variant `gpu`",
            ),
            ("a = ", 1, ""),
            ("[actions.a]\n", 1, "actions.a: must state exactly one of command"),
            (
                "[[collect.logs]]\nname = \"x\"\npath = \"/etc/shadow\"\npatterns = { a = \"b\" }",
                3,
                "collect.logs[0].path: \"/etc/shadow\" is a place of settings and secrets",
            ),
            (
                "[collect.textfile]\ndirectory = \"/etc\"",
                2,
                "collect.textfile.directory: \"/etc\" is a place of settings and secrets",
            ),
            (
                "[[services.probes]]\nname = \"x\"\nkind = \"http\"\ntarget = \"http://u:p@x/\"",
                1,
                "services.probes: \"x\": target must not hold a user or a password",
            ),
            (
                "[[services.scrapes]]\nname = \"x\"\nurl = \"file:///etc/shadow\"",
                3,
                "services.scrapes[0].url: \"file:///etc/shadow\" must begin with http",
            ),
            (
                "[[services.postgres]]\nname = \"x\"\nuser = \"a\"\nhost = \"10.0.0.1\"",
                1,
                "services.postgres: \"x\": host \"10.0.0.1\" is neither",
            ),
            (
                "[[targets]]\nname = \"x\"\nurl = \"http://10.0.0.1/\"\ntoken_file = \"/t\"",
                1,
                "targets: target \"x\": a token travels only encrypted",
            ),
            (
                "[[services.jvms]]\nname = \"x\"\nkind = \"play\"\nurl = \"http://10.0.0.1\"\nkey_file = \"/t\"",
                1,
                "services.jvms: \"x\": a key travels only encrypted",
            ),
            ("[actions.\"a b\"]\ncommand = [\"x\"]", 1, "actions: action name \"a b\" must be"),
        ] {
            let error = error(text);
            let rest = error.strip_prefix(&format!("agent.toml:{line}:"));
            let rest = rest.and_then(|rest| rest.split_once(": ")).map(|(_, rest)| rest);
            assert!(rest.is_some_and(|rest| rest.starts_with(expected)), "{text}\n{error}");
        }
    }

    #[test]
    fn addresses_join_with_one_slash() {
        let url = ServerUrl::try_from("https://siaga.example/".to_owned()).unwrap();
        assert_eq!(url.join("/x"), "https://siaga.example/x");
        assert!(url.is_tls());
        for (text, safe) in [
            ("http://siaga.example", false),
            ("https://siaga.example", true),
            ("http://127.0.0.1:8480", true),
            ("http://[::1]:8480", true),
            ("http://localhost", true),
            ("http://localhost.example", false),
        ] {
            assert_eq!(ServerUrl::try_from(text.to_owned()).unwrap().is_local_or_tls(), safe, "{text}");
        }
        assert!(ServerUrl::try_from("https://user:secret@siaga.example/".to_owned()).is_err());
    }

    /// Every key that can be written, so that the example cannot forget one.
    fn keys(value: &toml::Table, prefix: &str, out: &mut Vec<String>) {
        for (key, value) in value {
            let name = format!("{prefix}{key}");
            match value {
                toml::Value::Table(table) => keys(table, &format!("{name}."), out),
                _ => out.push(name),
            }
        }
    }

    #[test]
    fn the_documented_example_states_every_key_and_its_default() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/agent.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let example = Config::parse(&text, &path).unwrap();
        // Keys without a default stand commented out; all others state theirs.
        assert_eq!(example, Config::default());
        let active: String =
            text.lines().map(|l| l.strip_prefix("#= ").unwrap_or(l)).fold(String::new(), |a, l| a + l + "\n");
        let full = Config::parse(&active, &path).unwrap();
        assert!(full.server.url.is_some() && full.server.ca_file.is_some());
        assert!(full.collect.textfile.directory.is_some());
        assert!(!full.collect.process_groups.is_empty() && !full.collect.logs.is_empty());
        let target = full.targets.iter().next().unwrap();
        assert!(target.token_file.is_some() && target.ca_file.is_some());
        let services = &full.services;
        assert!(!services.scrapes.is_empty() && !services.scrapes[0].relabel.is_empty());
        assert!(services.postgres.first().is_some_and(|server| server.password_file.is_some()));
        assert!(services.postgres.first().is_some_and(|server| !server.probes.is_empty()));
        assert!(!services.probes.is_empty() && !services.time_servers.is_empty());
        assert!(!services.web_servers.is_empty() && services.jvms[0].key_file.is_some());
        let action = full.actions.get("restart-web").unwrap();
        assert!(action.has_undo() && action.user.is_some() && !action.description.is_empty());
        assert!(full.orders.executor_dir.is_some() && full.orders.executor_socket.is_some());
        let mut stated = Vec::new();
        keys(&toml::from_str(&active).unwrap(), "", &mut stated);
        assert_eq!(stated.len(), 102, "a key was added or removed: {stated:#?}");
    }
}
