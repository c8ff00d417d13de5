//! Real PostgreSQL servers: a primary and a standby that streams from it, on free ports of the loopback.
//!
//! Their configuration lies beside their data folders, as Debian has it. They run as the user postgres where the test runs
//! as root, which PostgreSQL refuses.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use super::free_port;

/// A primary and its standby, as they were made; a drill may change their roles.
#[derive(Debug)]
pub struct Databases {
    folder: TempDir,
    /// The primary.
    pub a: Database,
    /// The standby.
    pub b: Database,
}

/// One server.
#[derive(Debug)]
pub struct Database {
    /// Its data folder.
    pub data: PathBuf,
    /// Its port.
    pub port: u16,
    /// Its configuration.
    pub config_file: PathBuf,
}

/// Account that the servers run as; none but the test's own where that is not root.
#[must_use]
pub fn account() -> Option<&'static str> {
    rustix::process::getuid().is_root().then_some("postgres")
}

/// The newest version's folder of programs.
fn programs() -> anyhow::Result<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    newest.context("PostgreSQL is not installed: run tests/install-tools.sh")
}

fn program(name: &str) -> anyhow::Result<Command> {
    let path = programs()?.join(name);
    let mut command = match account() {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
            command.args(["--clear-groups", "--"]).arg(path);
            command
        }
        None => Command::new(path),
    };
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}

fn run(mut command: Command) -> anyhow::Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

impl Databases {
    /// Starts both; WAL is archived into the folder [`Databases::archive`].
    ///
    /// # Errors
    /// If they do not start.
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        if let Some(user) = account() {
            run({
                let mut command = Command::new("chown");
                command.arg(user).arg(folder.path());
                command
            })?;
        }
        let database = |name: &str| Database {
            data: folder.path().join(name),
            port: free_port(),
            config_file: folder.path().join(format!("{name}.conf")),
        };
        let pair = Self { a: database("a"), b: database("b"), folder };
        run(as_owner("mkdir", &[&pair.archive()]))?;
        for one in [&pair.a, &pair.b] {
            pair.configure(one)?;
        }
        let mut initdb = program("initdb")?;
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--data-checksums", "-D"]).arg(&pair.a.data);
        run(initdb)?;
        pair.a.control(&["start"])?;
        let mut copy = program("pg_basebackup")?;
        copy.args(["-X", "stream", "-c", "fast", "--no-sync", "-R", "-d"]).arg(pair.a.address());
        copy.arg("-D").arg(&pair.b.data);
        run(copy)?;
        pair.b.control(&["start"])?;
        Ok(pair)
    }

    /// Where the WAL of both is archived.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// A folder in which the servers' account may write.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The connection string that finds the primary, wherever it is.
    #[must_use]
    pub fn address(&self) -> String {
        format!(
            "host=127.0.0.1,127.0.0.1 port={},{} user=postgres dbname=postgres connect_timeout=2 \
             target_session_attrs=read-write",
            self.a.port, self.b.port
        )
    }

    fn configure(&self, one: &Database) -> anyhow::Result<()> {
        let folder = self.folder.path().display();
        let (data, port, archive) = (one.data.display(), one.port, self.archive().display().to_string());
        std::fs::write(
            &one.config_file,
            format!(
                "data_directory = '{data}'\nhba_file = '{folder}/hba.conf'\nident_file = '{folder}/ident.conf'\n\
                 port = {port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '{folder}'\n\
                 wal_level = replica\nmax_wal_senders = 10\nwal_keep_size = '128MB'\nhot_standby = on\n\
                 wal_retrieve_retry_interval = '200ms'\nshared_buffers = '8MB'\nmax_connections = 60\nfsync = off\n\
                 archive_mode = on\narchive_command = 'test -f {archive}/%f || cp %p {archive}/%f'\n"
            ),
        )?;
        std::fs::write(
            self.folder.path().join("hba.conf"),
            "local all all trust\nlocal replication all trust\nhost all all 127.0.0.1/32 trust\n\
             host replication all 127.0.0.1/32 trust\n",
        )?;
        Ok(std::fs::write(self.folder.path().join("ident.conf"), "")?)
    }

    /// A base backup of the primary without WAL, which is in the archive.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn back_up(&self, name: &str) -> anyhow::Result<PathBuf> {
        let target = self.folder.path().join(name);
        let mut command = program("pg_basebackup")?;
        command
            .args(["-X", "none", "-c", "fast", "--no-sync", "-d"])
            .arg(self.a.address())
            .arg("-D")
            .arg(&target);
        run(command)?;
        Ok(target)
    }
}

/// A command of the servers' account.
fn as_owner(name: &str, paths: &[&Path]) -> Command {
    let mut command = match account() {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
            command.args(["--clear-groups", "--", name]);
            command
        }
        None => Command::new(name),
    };
    command.args(paths);
    command
}

impl Database {
    /// Its connection string.
    #[must_use]
    pub fn address(&self) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname=postgres", self.port)
    }

    /// `pg_ctl` on this server.
    ///
    /// # Errors
    /// If it fails.
    pub fn control(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = program("pg_ctl")?;
        command.args(arguments).args(["-w", "-t", "60"]).arg("-D").arg(&self.data);
        if arguments.first() == Some(&"start") {
            command.arg("-o").arg(format!("-c config_file={}", self.config_file.display()));
            command.arg("-l").arg(self.config_file.with_extension("log"));
        }
        run(command)
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        for one in [&self.a, &self.b] {
            // It may not run.
            let _ = one.control(&["stop", "-m", "immediate"]);
        }
    }
}
