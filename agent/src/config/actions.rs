//! What orders of drills may ask of this host: commands of its own, and built-in actions with their parameters.
//!
//! Invariants: kind and parameters of an action stand in the host's own file, an order only names it; what is undone
//! belongs to the action; paths are absolute and hold nothing that a program's own shell could read as more than a path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use siaga_protocol::agent_api::ActionOffer;

use super::{MAX_ACTIONS, Seconds};

/// What an order may ask for. At most [`MAX_ACTIONS`].
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Action>")]
pub struct Actions(BTreeMap<String, Action>);

impl Actions {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The action of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Action> {
        self.0.get(name)
    }

    /// What the server may know of them.
    #[must_use]
    pub fn offers(&self) -> Vec<ActionOffer> {
        let offer = |(name, action): (&String, &Action)| ActionOffer {
            name: name.clone(),
            description: action.description.clone(),
            has_undo: action.has_undo(),
            timeout_seconds: u32::try_from(action.timeout_seconds.get()).unwrap_or(u32::MAX),
        };
        self.0.iter().map(offer).collect()
    }
}

impl TryFrom<BTreeMap<String, Action>> for Actions {
    type Error = String;

    fn try_from(actions: BTreeMap<String, Action>) -> Result<Self, String> {
        if actions.len() > MAX_ACTIONS {
            return Err(format!("at most {MAX_ACTIONS} actions are allowed"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        match actions.keys().find(|name| name.is_empty() || name.len() > 64 || !name.chars().all(plain)) {
            Some(name) => {
                Err(format!("action name {name:?} must be 1 to 64 letters, digits, dots, - and _ (ASCII)"))
            }
            None => Ok(Self(actions)),
        }
    }
}

/// One thing that an order may ask for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "ActionText")]
pub struct Action {
    /// What is done, and undone.
    pub work: Work,
    /// What it does, for people.
    pub description: String,
    /// Time after which it is killed, with its process group.
    pub timeout_seconds: Seconds<1, 86_400, 60>,
    /// Account that runs it; without it, the executor's own.
    pub user: Option<String>,
}

/// How an action is carried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Work {
    /// By a program of the host.
    Command {
        /// Program and arguments; no shell.
        run: Arguments,
        /// Program and arguments that take it back.
        undo: Option<Arguments>,
    },
    /// By this program itself.
    BuiltIn(Box<BuiltIn>),
}

impl Action {
    /// Whether it can be taken back.
    #[must_use]
    pub fn has_undo(&self) -> bool {
        match &self.work {
            Work::Command { undo, .. } => undo.is_some(),
            Work::BuiltIn(built_in) => built_in.has_undo(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionText {
    command: Option<Arguments>,
    undo: Option<Arguments>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    timeout_seconds: Seconds<1, 86_400, 60>,
    user: Option<String>,
    postgres: Option<Postgres>,
    restore: Option<Restore>,
    patroni: Option<Patroni>,
    http: Option<Http>,
    systemd: Option<Systemd>,
    address: Option<Address>,
    network_cut: Option<NetworkCut>,
}

impl TryFrom<ActionText> for Action {
    type Error = String;

    fn try_from(text: ActionText) -> Result<Self, String> {
        let built_in = [
            text.postgres.map(BuiltIn::Postgres),
            text.restore.map(BuiltIn::Restore),
            text.patroni.map(BuiltIn::Patroni),
            text.http.map(BuiltIn::Http),
            text.systemd.map(BuiltIn::Systemd),
            text.address.map(BuiltIn::Address),
            text.network_cut.map(BuiltIn::NetworkCut),
        ];
        let mut built_in = built_in.into_iter().flatten();
        let work = match (text.command, built_in.next(), built_in.next()) {
            (Some(run), None, None) => Work::Command { run, undo: text.undo },
            (None, Some(one), None) if text.undo.is_none() => {
                one.check()?;
                Work::BuiltIn(Box::new(one))
            }
            (None, Some(_), None) => {
                return Err("undo belongs to command; a built-in action has its own".to_owned());
            }
            _ => {
                return Err("must state exactly one of command, postgres, restore, patroni, http, systemd, \
                            address and network_cut"
                    .to_owned());
            }
        };
        let ActionText { description, timeout_seconds, user, .. } = text;
        Ok(Self { work, description, timeout_seconds, user })
    }
}

/// A program by its absolute path, or a name looked up in `PATH`, and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Arguments {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

impl TryFrom<Vec<String>> for Arguments {
    type Error = &'static str;

    fn try_from(words: Vec<String>) -> Result<Self, Self::Error> {
        let mut words = words.into_iter();
        match words.next() {
            Some(program) if !program.is_empty() => Ok(Self { program, arguments: words.collect() }),
            _ => Err("must be a list that begins with a program"),
        }
    }
}

/// An action that this program knows itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BuiltIn {
    /// One of two PostgreSQL servers of which one follows the other.
    Postgres(Postgres),
    /// A backup of PostgreSQL, restored in a scratch place and counted.
    Restore(Restore),
    /// Patroni's own switchover.
    Patroni(Patroni),
    /// HTTP calls: a switch of DNS or a proxy, a check.
    Http(Http),
    /// A unit of systemd.
    Systemd(Systemd),
    /// An address that moves between hosts.
    Address(Address),
    /// The network to some addresses, cut by nftables.
    NetworkCut(NetworkCut),
}

impl BuiltIn {
    /// Whether it can be taken back.
    #[must_use]
    pub fn has_undo(&self) -> bool {
        match self {
            Self::Postgres(postgres) => postgres.task != PostgresTask::Rejoin,
            Self::Http(http) => http.undo.is_some(),
            Self::Restore(_)
            | Self::Patroni(_)
            | Self::Systemd(_)
            | Self::Address(_)
            | Self::NetworkCut(_) => true,
        }
    }

    /// What of its parameters cannot be.
    fn check(&self) -> Result<(), String> {
        match self {
            Self::Postgres(one) => {
                let paths =
                    [Some(&one.data), Some(&one.socket), one.programs.as_ref(), one.config_file.as_ref()];
                paths.into_iter().chain([one.log.as_ref()]).flatten().try_for_each(|path| plain_path(path))
            }
            Self::Restore(one) => {
                let paths = [Some(&one.backup), Some(&one.scratch), one.wal.as_ref(), one.programs.as_ref()];
                paths.into_iter().flatten().try_for_each(|path| plain_path(path))?;
                if one.scratch.starts_with(&one.backup) || one.backup.starts_with(&one.scratch) {
                    return Err("restore.scratch and restore.backup must lie apart".to_owned());
                }
                if one.count.len() > MAX_COUNTS {
                    return Err(format!("restore.count: at most {MAX_COUNTS}"));
                }
                Ok(())
            }
            Self::Patroni(one) => http_url("patroni.url", &one.url),
            Self::Http(one) => std::iter::once(&one.run)
                .chain(&one.undo)
                .try_for_each(|call| http_url("http: url", &call.url)),
            Self::Systemd(one) => plain_word("systemd.unit", &one.unit),
            Self::Address(one) => {
                plain_word("address.device", &one.device)?;
                let (address, bits) = one.address.split_once('/').unwrap_or((&one.address, "32"));
                let good = address.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok();
                good.then_some(()).ok_or_else(|| format!("address.address: {:?} is no address", one.address))
            }
            Self::NetworkCut(one) => one.check(),
        }
    }
}

/// Questions of one restore that count.
const MAX_COUNTS: usize = 50;
/// Addresses and ports of one cut.
const MAX_CUT: usize = 256;

/// Programs of PostgreSQL hand some of these to a shell of their own.
fn plain_path(path: &Path) -> Result<(), String> {
    let text = path.to_str().unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | ':' | '@');
    if text.starts_with('/') && text.chars().all(plain) && text.split('/').all(|part| part != "..") {
        Ok(())
    } else {
        Err(format!("{text:?} is no absolute path of letters, digits and ./_-+:@"))
    }
}

fn plain_word(field: &str, text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@' | '\\');
    if !text.is_empty() && !text.starts_with('-') && text.chars().all(plain) {
        Ok(())
    } else {
        Err(format!("{field}: {text:?} is no name"))
    }
}

fn http_url(field: &str, text: &str) -> Result<(), String> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(()),
        _ => Err(format!("{field}: {text:?} is no address that begins with http:// or https://")),
    }
}

/// One of two PostgreSQL servers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// What is done.
    pub task: PostgresTask,
    /// Which role this server has before a drill and is given back by the undo of `crash`.
    #[serde(default)]
    pub role: PostgresRole,
    /// Its data folder.
    pub data: PathBuf,
    /// Folder of `pg_ctl` and `pg_rewind`; without it, that of the newest version below /usr/lib/postgresql.
    #[serde(default)]
    pub programs: Option<PathBuf>,
    /// Its `postgresql.conf`, where that does not lie in the data folder.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
    /// File that takes what it says while it starts; without it, `siaga.log` in the data folder.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// Program and arguments that start it; without any, `pg_ctl`. Under systemd, what an action starts would live and die
    /// with the executor's own unit.
    #[serde(default)]
    pub start: Vec<String>,
    /// Program and arguments that stop it in order; without any, `pg_ctl`.
    #[serde(default)]
    pub stop: Vec<String>,
    /// Its port.
    #[serde(default = "postgres_port")]
    pub port: u16,
    /// Folder of its socket.
    #[serde(default = "socket_folder")]
    pub socket: PathBuf,
    /// Role that may promote, rewind and replicate.
    #[serde(default = "postgres_name")]
    pub superuser: String,
    /// Database that is connected to.
    #[serde(default = "postgres_name")]
    pub database: String,
    /// The other server, as a connection string of PostgreSQL without a password.
    pub peer: String,
    /// File with the password of the superuser, on both servers the same.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A standby that is further behind, in bytes of WAL, does not count as one.
    #[serde(default = "sixteen_mebibytes")]
    pub max_lag_bytes: u64,
    /// Where `pg_rewind` cannot rebuild the server, whether a whole copy of the other one may be made.
    #[serde(default)]
    pub copy_if_needed: bool,
}

/// What is done to a PostgreSQL server. What an undo leads to holds from wherever it begins: done twice, it does nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostgresTask {
    /// Kills it with SIGKILL. Undone by giving it its role back, with all that the other one has taken meanwhile.
    Crash,
    /// Makes the standby the primary, unless the other one still is. Undone by making it a standby that takes no writes.
    Promote,
    /// Looks that it is a standby which follows closely. Undone by making it one again.
    Follow,
    /// Rebuilds it by `pg_rewind` as a standby of the other one. Not undone: its role comes back by the undo of `crash`.
    Rejoin,
}

/// Roles of a PostgreSQL server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PostgresRole {
    /// Takes writes.
    #[default]
    Primary,
    /// Follows.
    Standby,
}

fn postgres_port() -> u16 {
    5432
}

fn socket_folder() -> PathBuf {
    "/var/run/postgresql".into()
}

fn postgres_name() -> String {
    "postgres".to_owned()
}

fn sixteen_mebibytes() -> u64 {
    16 << 20
}

/// A backup of PostgreSQL that is restored. Undone by removing the scratch place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    /// Folder of a base backup in plain form, with its manifest; or of such folders, of which the newest is taken.
    pub backup: PathBuf,
    /// Folder of archived WAL; without it, the backup holds what it needs.
    #[serde(default)]
    pub wal: Option<PathBuf>,
    /// Folder that is made for the restored copy and removed again. It must not exist.
    pub scratch: PathBuf,
    /// Folder of `pg_ctl` and `pg_verifybackup`; without it, that of the newest version below /usr/lib/postgresql.
    #[serde(default)]
    pub programs: Option<PathBuf>,
    /// Port of the restored copy, which listens on a socket in its folder alone.
    #[serde(default = "restore_port")]
    pub port: u16,
    /// Role of the copy.
    #[serde(default = "postgres_name")]
    pub superuser: String,
    /// Database that is asked.
    #[serde(default = "postgres_name")]
    pub database: String,
    /// The source, as a connection string of PostgreSQL without a password; without it, nothing is compared.
    #[serde(default)]
    pub source: Option<String>,
    /// File with the source's password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Questions that each give one number, asked of the copy and of the source.
    #[serde(default)]
    pub count: Vec<String>,
    /// A question that gives the time of the newest row in seconds since 1970.
    #[serde(default)]
    pub newest: Option<String>,
    /// So many rows less than in the source are no failure: they came after the backup.
    #[serde(default)]
    pub max_missing_rows: u64,
}

fn restore_port() -> u16 {
    54_329
}

/// A switchover by Patroni. Undone by one back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patroni {
    /// Address of the REST interface of a member.
    pub url: String,
    /// Member that leads before.
    pub leader: String,
    /// Member that leads after.
    pub candidate: String,
    /// File with `user:password`, where it asks for one.
    #[serde(default)]
    pub credentials_file: Option<PathBuf>,
}

/// HTTP calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// What is called.
    pub run: HttpCall,
    /// What takes it back.
    #[serde(default)]
    pub undo: Option<HttpCall>,
    /// File with a bearer token.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
}

/// One HTTP call and the answer that counts as done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpCall {
    /// Address.
    pub url: String,
    /// Method.
    #[serde(default)]
    pub method: HttpMethod,
    /// Body, sent as JSON if it begins with a brace.
    #[serde(default)]
    pub body: Option<String>,
    /// Status that counts as done.
    #[serde(default = "ok_status")]
    pub status: u16,
    /// Text that the answer must hold.
    #[serde(default)]
    pub contains: Option<String>,
}

fn ok_status() -> u16 {
    200
}

/// Methods of HTTP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "they are known by their names")]
pub enum HttpMethod {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// A unit of systemd. Undone by bringing it back to how it was meant to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Systemd {
    /// Its name.
    pub unit: String,
    /// What is done.
    pub task: SystemdTask,
}

/// What is done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SystemdTask {
    /// Stops it, in order. Undone by starting it.
    Stop,
    /// Kills its processes. Undone by starting it.
    Kill,
    /// Starts it. Undone by stopping it.
    Start,
    /// Restarts it. Undone by starting it.
    Restart,
}

/// An address of a device. Undone by the opposite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The address with its prefix, for example `10.0.0.9/24`.
    pub address: String,
    /// The device.
    pub device: String,
    /// What is done.
    pub task: AddressTask,
}

/// What is done to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressTask {
    /// Gives it up.
    Release,
    /// Takes it.
    Take,
}

/// What is cut off from this host by a table of nftables of its own. Undone by removing the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkCut {
    /// Addresses and networks, to which and from which nothing goes.
    pub addresses: Vec<String>,
    /// Only these TCP ports; without any, everything.
    #[serde(default)]
    pub ports: Vec<u16>,
}

impl NetworkCut {
    fn check(&self) -> Result<(), String> {
        if self.addresses.is_empty() || self.addresses.len().max(self.ports.len()) > MAX_CUT {
            return Err(format!("network_cut: 1 to {MAX_CUT} addresses and at most so many ports"));
        }
        let good = |text: &String| {
            let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
            address.parse::<std::net::IpAddr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
        };
        match self.addresses.iter().find(|text| !good(text)) {
            Some(text) => Err(format!("network_cut.addresses: {text:?} is no address or network")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Action, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    #[test]
    fn a_built_in_action_has_parameters_and_its_own_undo() {
        let text = "user = \"postgres\"\n[postgres]\ntask = \"crash\"\ndata = \"/srv/a\"\npeer = \"host=b\"";
        let action = read(text).unwrap();
        assert!(action.has_undo() && action.user.as_deref() == Some("postgres"));
        let Work::BuiltIn(built_in) = &action.work else { panic!("{action:?}") };
        let again: BuiltIn = serde_json::from_str(&serde_json::to_string(built_in).unwrap()).unwrap();
        assert_eq!(again, **built_in, "it travels to the process that carries it out");
        let rejoin = read(&text.replace("crash", "rejoin")).unwrap();
        assert!(!rejoin.has_undo());
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_reason() {
        for (text, wanted) in [
            ("", "must state exactly one of"),
            ("command = [\"x\"]\n[systemd]\nunit = \"a\"\ntask = \"stop\"", "must state exactly one of"),
            ("undo = [\"x\"]\n[systemd]\nunit = \"a\"\ntask = \"stop\"", "undo belongs to command"),
            ("[systemd]\nunit = \"--all\"\ntask = \"stop\"", "systemd.unit"),
            ("[postgres]\ntask = \"crash\"\npeer = \"\"\ndata = \"/a b\"", "no absolute path"),
            ("[postgres]\ntask = \"crash\"\npeer = \"\"\ndata = \"/a/../b\"", "no absolute path"),
            ("[restore]\nbackup = \"/b\"\nscratch = \"/b/s\"", "must lie apart"),
            ("[network_cut]\naddresses = [\"drop\"]", "is no address"),
            ("[network_cut]\naddresses = []", "1 to 256 addresses"),
            ("[address]\naddress = \"x\"\ndevice = \"eth0\"\ntask = \"take\"", "is no address"),
            ("[http]\nrun = { url = \"file:///etc/passwd\" }", "begins with http"),
        ] {
            let found = read(text).unwrap_err();
            assert!(found.contains(wanted), "{text}: {found}");
        }
    }
}
