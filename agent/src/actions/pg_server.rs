//! One PostgreSQL server: what it is now, and how it is started, stopped, killed and rebuilt.
//!
//! Invariants: only the postmaster of this very data folder is ever signalled; a data folder that `pg_rewind` was cut off
//! in is marked, and never started or rewound again.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::{Job, program, read_secret, say};
use crate::config::actions::Postgres;

/// Variable by which the executor finds what belongs to a command; a server that was started is meant to stay.
const MARK: &str = "SIAGA_COMMAND";
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);

/// What one server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether it is in recovery, so a standby.
    pub(super) standby: bool,
    /// Position in its WAL, bytes: written by a primary, replayed by a standby.
    pub(super) position: u64,
    /// Newest timeline in its WAL. That of its newest checkpoint may be behind for a long time.
    pub(super) timeline: u32,
    /// Whether a standby receives.
    pub(super) streaming: bool,
}

const LOOK: &str = "SELECT pg_is_in_recovery(), \
    (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END - '0/0'::pg_lsn)::bigint, \
    (SELECT max(substr(name, 1, 8)) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'), \
    EXISTS (SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming')";

/// One question to a server; its first row.
pub(super) async fn ask(
    config: &tokio_postgres::Config,
    sql: &str,
    limit: Duration,
) -> anyhow::Result<Vec<Option<String>>> {
    let question = async {
        let (client, connection) = config.connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        let answer = client.simple_query(sql).await;
        drop(client);
        connection.abort();
        answer
    };
    let answer = tokio::time::timeout(limit, question).await.context("no answer in time")?;
    let rows = answer.map_err(|error| anyhow::anyhow!("{}", crate::error_chain(&error)))?;
    let row = rows.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.context("no row")?;
    Ok((0..row.len()).map(|place| row.get(place).map(ToOwned::to_owned)).collect())
}

async fn look(config: &tokio_postgres::Config) -> anyhow::Result<Seen> {
    let row = ask(config, LOOK, CONNECT_WITHIN).await?;
    let cell = |place: usize| row.get(place).and_then(Option::as_deref).unwrap_or_default();
    Ok(Seen {
        standby: cell(0) == "t",
        position: cell(1).parse().unwrap_or(0),
        timeline: u32::from_str_radix(cell(2), 16).context("no timeline")?,
        streaming: cell(3) == "t",
    })
}

/// A connection string with the password of a file.
pub(super) fn connection(
    text: &str,
    password_file: Option<&PathBuf>,
) -> anyhow::Result<tokio_postgres::Config> {
    let mut config: tokio_postgres::Config =
        text.parse().map_err(|error| anyhow::anyhow!("no connection string: {error}"))?;
    config.connect_timeout(CONNECT_WITHIN).application_name("siaga");
    if let Some(file) = password_file {
        config.password(read_secret(file)?);
    }
    Ok(config)
}

/// A server of this host and the other one.
pub(super) struct Server<'a> {
    pub(super) asked: &'a Postgres,
    own: tokio_postgres::Config,
    peer: tokio_postgres::Config,
}

impl<'a> Server<'a> {
    pub(super) fn new(asked: &'a Postgres) -> anyhow::Result<Self> {
        let text = format!(
            "host={} port={} user={} dbname={}",
            asked.socket.display(),
            asked.port,
            asked.superuser,
            asked.database
        );
        let own = connection(&text, asked.password_file.as_ref())?;
        let peer = connection(&asked.peer, asked.password_file.as_ref()).context("peer")?;
        Ok(Self { asked, own, peer })
    }

    /// What this server is; an error if it does not answer.
    pub(super) async fn look(&self) -> anyhow::Result<Seen> {
        look(&self.own).await
    }

    /// What the other server is; an error if it does not answer.
    pub(super) async fn look_at_peer(&self) -> anyhow::Result<Seen> {
        look(&self.peer).await
    }

    /// A statement on this server.
    pub(super) async fn tell(&self, sql: &str, job: &Job) -> anyhow::Result<()> {
        ask(&self.own, sql, job.left()).await.map(drop)
    }

    /// The process number of the postmaster of this data folder, if it runs.
    pub(super) fn postmaster(&self) -> Option<Pid> {
        let text = std::fs::read_to_string(self.asked.data.join("postmaster.pid")).ok()?;
        let pid = text.lines().next()?.trim().parse().ok().and_then(Pid::from_raw)?;
        // The number may have been given to somebody else; a postmaster works in its data folder.
        let works_in = std::fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).ok()?;
        (works_in == self.asked.data.canonicalize().ok()?).then_some(pid)
    }

    pub(super) fn has_standby_signal(&self) -> bool {
        self.asked.data.join("standby.signal").exists()
    }

    /// Kills postmaster and children with SIGKILL, and waits until they are gone.
    pub(super) async fn kill(&self, job: &Job) -> anyhow::Result<()> {
        let pid = self.postmaster().context("the server does not run")?;
        let children = children_of(pid);
        kill_process(pid, Signal::KILL).context("cannot kill the postmaster")?;
        say(&format!("postmaster {} killed with SIGKILL", pid.as_raw_nonzero()));
        for child in &children {
            // It may have ended with its postmaster.
            let _ = kill_process(*child, Signal::KILL);
        }
        let runs = |pid: &Pid| {
            Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists() && !is_dead_but_there(*pid)
        };
        while std::iter::once(&pid).chain(&children).any(runs) {
            ensure!(!job.left().is_zero(), "the server was killed but is not gone");
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Removes the lock files of a dead postmaster whose number is not free yet, because nobody has fetched its end: to
    /// PostgreSQL it looks alive. One that is gone altogether is seen by PostgreSQL itself.
    fn clear_dead_locks(&self) -> anyhow::Result<()> {
        let data = self.asked.data.canonicalize()?;
        let of_socket = self.asked.socket.join(format!(".s.PGSQL.{}.lock", self.asked.port));
        for file in [data.join("postmaster.pid"), of_socket] {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let pid = text.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
            if pid.is_some_and(is_dead_but_there) && !anybody_works_in(&data) {
                std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        Ok(())
    }

    fn program(&self, name: &str) -> anyhow::Result<Command> {
        let mut command = Command::new(program::of_postgres(self.asked.programs.as_ref(), name)?);
        if let Some(file) = &self.asked.password_file {
            command.env("PGPASSWORD", read_secret(file)?);
        }
        Ok(command)
    }

    async fn control(&self, arguments: &[&str], job: &Job) -> anyhow::Result<()> {
        let mut command = self.program("pg_ctl")?;
        command.arg("-D").arg(&self.asked.data).args(arguments).env_remove(MARK);
        command.args(["-w", "-t", &job.left().as_secs().max(1).to_string()]);
        if arguments.first() == Some(&"start") {
            let log = self.asked.log.clone().unwrap_or_else(|| self.asked.data.join("siaga.log"));
            command.arg("-l").arg(log);
            if let Some(file) = &self.asked.config_file {
                command.arg("-o").arg(format!("-c config_file={}", file.display()));
            }
        }
        program::run(command, job).await.map(drop)
    }

    pub(super) async fn start(&self, job: &Job) -> anyhow::Result<()> {
        ensure!(!self.mark().exists(), "the data folder was left half rewound ({})", self.mark().display());
        self.clear_dead_locks()?;
        say("starting");
        if self.asked.start.is_empty() {
            return self.control(&["start"], job).await;
        }
        run_own(&self.asked.start, job).await?;
        let answers = async || Ok(self.look().await.map_err(|error| format!("{error:#}")));
        job.until("the server to answer", answers).await.map(drop)
    }

    /// Stops it in order, if it runs: what was written is sent to standbys first.
    pub(super) async fn stop(&self, job: &Job) -> anyhow::Result<()> {
        if self.postmaster().is_none() {
            return Ok(());
        }
        say("stopping");
        if self.asked.stop.is_empty() {
            return self.control(&["stop", "-m", "fast"], job).await;
        }
        run_own(&self.asked.stop, job).await?;
        let gone = async || Ok(self.postmaster().map_or(Ok(()), |_| Err("it runs".to_owned())));
        job.until("the server to end", gone).await
    }

    /// Makes the stopped server a standby of the other one.
    pub(super) fn make_standby(&self) -> anyhow::Result<()> {
        let file = self.asked.data.join("postgresql.auto.conf");
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("primary_conninfo"))
            .map(ToOwned::to_owned)
            .collect();
        let password = match &self.asked.password_file {
            Some(file) => format!(" password='{}'", escaped(&read_secret(file)?)),
            None => String::new(),
        };
        let peer = format!("{}{password}", self.asked.peer);
        lines.push(format!("primary_conninfo = '{}'", peer.replace('\'', "''")));
        write_new(&file.with_extension("conf.siaga"), &(lines.join("\n") + "\n"))?;
        std::fs::rename(file.with_extension("conf.siaga"), &file)?;
        let signal = self.asked.data.join("standby.signal");
        if !signal.exists() {
            write_new(&signal, "")?;
        }
        Ok(())
    }

    /// Newest timeline in the WAL of the stopped server.
    pub(super) fn stopped_timeline(&self) -> anyhow::Result<u32> {
        let folder = self.asked.data.join("pg_wal");
        let entries =
            std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let timeline = |name: &str| {
            let segment = name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
            u32::from_str_radix(name.get(..8).filter(|_| segment)?, 16).ok()
        };
        let found = entries.flatten().filter_map(|entry| timeline(entry.file_name().to_str()?)).max();
        found.context("the data folder has no WAL")
    }

    fn mark(&self) -> PathBuf {
        let mut name = self.asked.data.clone().into_os_string();
        name.push(".siaga-rewinding");
        name.into()
    }

    /// Rebuilds the server as a standby of the other one: by `pg_rewind`, which takes over only what differs, or by a whole
    /// copy where that is allowed and needed.
    pub(super) async fn rebuild(&self, peer: &Seen, job: &Job) -> anyhow::Result<()> {
        self.stop(job).await?;
        if !peer.standby {
            // Without a checkpoint since its promotion, the source still names its old timeline.
            ask(&self.peer, "CHECKPOINT", job.left()).await.or_else(only_no_row)?;
        }
        let rewound = if self.mark().exists() {
            Err(anyhow::anyhow!("the data folder was left half rewound"))
        } else {
            self.rewind(job).await
        };
        if let Err(error) = rewound {
            if !self.asked.copy_if_needed {
                return Err(error.context("pg_rewind cannot rebuild it, and copy_if_needed is not set"));
            }
            say(&format!("{error:#}; a whole copy is made"));
            self.copy(job).await?;
        }
        self.make_standby()
    }

    async fn rewind(&self, job: &Job) -> anyhow::Result<()> {
        self.clear_dead_locks()?;
        let mut command = self.program("pg_rewind")?;
        command.arg("-D").arg(&self.asked.data).arg(format!("--source-server={}", self.asked.peer));
        if let Some(file) = &self.asked.config_file {
            command.arg(format!("--config-file={}", file.display()));
        }
        if !self.mark().exists() {
            write_new(
                &self.mark(),
                "pg_rewind was cut off here: the data folder beside this cannot be used\n",
            )?;
        }
        program::run(command, job).await?;
        std::fs::remove_file(self.mark()).context("cannot remove the mark of rewinding")
    }

    async fn copy(&self, job: &Job) -> anyhow::Result<()> {
        let beside = |suffix: &str| {
            let mut name = self.asked.data.clone().into_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        let (new, old) = (beside(".siaga-new"), beside(".siaga-old"));
        for folder in [&new, &old] {
            if folder.exists() {
                std::fs::remove_dir_all(folder)
                    .with_context(|| format!("cannot remove {}", folder.display()))?;
            }
        }
        let mut command = self.program("pg_basebackup")?;
        command.arg("-D").arg(&new).arg("-d").arg(&self.asked.peer).args(["-X", "stream", "-c", "fast"]);
        program::run(command, job).await?;
        std::fs::rename(&self.asked.data, &old).context("cannot put the old data folder aside")?;
        std::fs::rename(&new, &self.asked.data).context("cannot put the copy in its place")?;
        if self.mark().exists() {
            std::fs::remove_file(self.mark())?;
        }
        std::fs::remove_dir_all(&old).context("cannot remove the old data folder")
    }
}

/// A command of the host's own file.
async fn run_own(words: &[String], job: &Job) -> anyhow::Result<()> {
    let (name, arguments) = words.split_first().context("the command is empty")?;
    let mut command = Command::new(name);
    command.args(arguments).env_remove(MARK);
    program::run(command, job).await.map(drop)
}

/// Some statements give no row.
fn only_no_row(error: anyhow::Error) -> anyhow::Result<Vec<Option<String>>> {
    if error.to_string() == "no row" { Ok(Vec::new()) } else { Err(error) }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('\'', "\\'")
}

/// Writes a file that is not there yet, readable by its owner alone; a link in its place is not followed.
fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let cannot = || format!("cannot write {}", path.display());
    if path.symlink_metadata().is_ok() {
        std::fs::remove_file(path).with_context(cannot)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(cannot)?;
    file.write_all(text.as_bytes()).with_context(cannot)?;
    file.sync_all().with_context(cannot)
}

/// Whether a process has ended and waits to be fetched by its parent.
fn is_dead_but_there(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

/// Whether a process has this folder as its own, as all of a server have its data folder.
fn anybody_works_in(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else { return true };
    entries.flatten().any(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == folder))
}

fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let numbers = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        rest.split_whitespace().nth(1).and_then(|ppid| ppid.parse().ok())
            == Some(parent.as_raw_nonzero().get())
    };
    numbers.filter(is_child).filter_map(Pid::from_raw).collect()
}

/// Holds a data folder while something is done to it; another action waits.
pub(super) async fn lock(data: &Path, job: &Job) -> anyhow::Result<std::fs::File> {
    let folder = std::fs::File::open(data).with_context(|| format!("cannot open {}", data.display()))?;
    loop {
        match rustix::fs::flock(&folder, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(folder),
            Err(rustix::io::Errno::WOULDBLOCK) if !job.left().is_zero() => tokio::time::sleep(PAUSE).await,
            Err(error) => bail!("another action works on {}: {error}", data.display()),
        }
    }
}
