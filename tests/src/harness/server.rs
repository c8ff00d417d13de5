//! A real server process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use super::{Api, free_port, program};

/// A server with data in a temporary folder.
#[derive(Debug)]
pub struct Server {
    /// Its API with the first user's token.
    pub api: Api,
    folder: TempDir,
    child: Option<Child>,
    /// The data folder is a disk of its own.
    is_mounted: bool,
}

impl Server {
    /// Starts a server with defaults and this further configuration (TOML). Sections `http` and `storage` are set.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start(further: &str) -> anyhow::Result<Self> {
        let url = format!("http://127.0.0.1:{}", free_port());
        Self::start_at(Api::new(&url, ""), "", further).await
    }

    /// Starts a server that speaks HTTPS with this certificate and key; `ca_file` is the authority to trust.
    ///
    /// # Errors
    /// If it does not start.
    pub async fn start_with_tls(certificate: &Path, key: &Path, ca_file: &Path) -> anyhow::Result<Self> {
        let url = format!("https://127.0.0.1:{}", free_port());
        let keys =
            format!("tls_certificate = \"{}\"\ntls_key = \"{}\"\n", certificate.display(), key.display());
        let api = Api::trusting(&url, &std::fs::read(ca_file)?)?;
        Self::start_at(api, &keys, "[rules]\ndefaults = false\n").await
    }

    /// Starts a server whose data is on a disk of this size, in memory. Needs the right to mount.
    ///
    /// # Errors
    /// If the disk cannot be mounted or the server does not start.
    pub async fn start_on_small_disk(mebibytes: u32, further: &str) -> anyhow::Result<Self> {
        let url = format!("http://127.0.0.1:{}", free_port());
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        std::fs::create_dir(&data)?;
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(&data))?;
        Self::start_in(folder, true, Api::new(&url, ""), "", further).await
    }

    async fn start_at(api: Api, http: &str, further: &str) -> anyhow::Result<Self> {
        Self::start_in(tempfile::tempdir()?, false, api, http, further).await
    }

    async fn start_in(
        folder: TempDir,
        is_mounted: bool,
        api: Api,
        http: &str,
        further: &str,
    ) -> anyhow::Result<Self> {
        let listen = api.url.split("://").nth(1).context("the address has no scheme")?.to_owned();
        let data = folder.path().join("data");
        let config = format!(
            "[http]\nlisten = \"{listen}\"\n{http}[storage]\ndata_dir = \"{}\"\n{further}\n",
            data.display()
        );
        std::fs::write(folder.path().join("server.toml"), config)?;
        let mut server = Self { api, folder, child: None, is_mounted };
        server.launch().await?;
        let first = std::fs::read(data.join("first-run.json"))?;
        let first: serde_json::Value = serde_json::from_slice(&first)?;
        let token = first["api_token"].as_str().context("first-run.json has no api_token")?;
        server.api = server.api.with_token(token);
        Ok(server)
    }

    /// Its data folder.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("server.toml")
    }

    /// Its log.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("server.log"))?)
    }

    /// Starts the process (again) and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn launch(&mut self) -> anyhow::Result<()> {
        self.launch_until("/readyz").await
    }

    /// Starts the process (again) and waits until this path answers with success.
    ///
    /// # Errors
    /// If it does not come to that.
    pub async fn launch_until(&mut self, path: &str) -> anyhow::Result<()> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("server.log"))?;
        let mut child = Command::new(program("siaga-server"))
            .arg("serve")
            .arg("--config")
            .arg(self.config_file())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        let ready = || self.api.nameless(reqwest::Method::GET, path).send();
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}: {}", self.log()?);
            }
            if ready().await.is_ok_and(|response| response.status().is_success()) {
                break;
            }
            ensure!(Instant::now() < end, "the server did not become ready: {}", self.log()?);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.child = Some(child);
        Ok(())
    }

    /// The most memory that the process has had resident, bytes.
    ///
    /// # Errors
    /// If it does not run.
    pub fn peak_bytes(&self) -> anyhow::Result<u64> {
        let child = self.child.as_ref().context("the server does not run")?;
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kib: u64 = line.split_whitespace().next().context("no number")?.parse()?;
        Ok(kib * 1024)
    }

    /// Kills the process with SIGKILL: no chance to write anything.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the server does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends the process with SIGTERM and gives its status.
    ///
    /// # Errors
    /// If it does not run or does not end.
    pub async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let child = self.child.take().context("the server does not run")?;
        terminate(child).await
    }

    /// Runs a subcommand with the server's configuration; gives standard output.
    ///
    /// # Errors
    /// If it fails; standard error is in the error.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(Command::new(program("siaga-server")).args(arguments).arg("--config").arg(self.config_file()))
    }

    /// A folder for what belongs to this server's test.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    #[expect(clippy::print_stderr, reason = "a test that fails shows the log")]
    fn drop(&mut self) {
        if self.child.is_some() && self.kill().is_err() {
            // It is gone already.
        }
        if self.is_mounted
            && let Err(error) = run(Command::new("umount").arg("--lazy").arg(self.data_dir()))
        {
            eprintln!("server: the disk of the test stays mounted: {error}");
        }
        if std::thread::panicking() {
            let log = self.log().unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            for line in tail.iter().rev() {
                eprintln!("server: {line}");
            }
        }
    }
}

/// Sends SIGTERM and waits.
pub(super) async fn terminate(mut child: Child) -> anyhow::Result<ExitStatus> {
    let pid = child.id().to_string();
    let sent = Command::new("kill").arg("-TERM").arg(&pid).status()?;
    if !sent.success() {
        bail!("cannot send SIGTERM to {pid}");
    }
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        ensure!(Instant::now() < end, "process {pid} did not end after SIGTERM");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs a command to its end; gives standard output.
pub(super) fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output()?;
    if !output.status.success() {
        bail!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
