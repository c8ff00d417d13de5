//! A real agent process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;
use tempfile::TempDir;

use super::server::{run, terminate};
use super::{Server, program};

/// An enrolled agent with its state in a temporary folder.
#[derive(Debug)]
pub struct Agent {
    folder: TempDir,
    child: Option<Child>,
}

impl Agent {
    /// Enrols at `server` and starts, collecting every second, with this further configuration (TOML).
    ///
    /// # Errors
    /// If it cannot be enrolled or started.
    pub fn start(server: &Server, further: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = format!("state_dir = \"{}\"\n{further}\n", folder.path().join("state").display());
        let file = folder.path().join("agent.toml");
        std::fs::write(&file, config)?;
        let token = server.command(&["enrol-token"])?;
        run(Command::new(program("siaga-agent"))
            .arg("enrol")
            .arg("--config")
            .arg(&file)
            .args(["--server", &server.api.url])
            .env("SIAGA_ENROL_TOKEN", token.trim()))?;
        let mut agent = Self { folder, child: None };
        agent.launch()?;
        Ok(agent)
    }

    /// Enrols at `server` under a host name of its own, as if it ran on a machine of its own, and starts.
    ///
    /// # Errors
    /// If it cannot be enrolled or started.
    pub async fn start_as(server: &Server, hostname: &str, further: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let state = folder.path().join("state");
        let config = format!(
            "state_dir = \"{}\"\n{further}\n[inventory]\nenabled = false\n[discovery]\nenabled = false\n",
            state.display()
        );
        std::fs::write(folder.path().join("agent.toml"), config)?;
        let token = server.command(&["enrol-token"])?;
        let request = serde_json::json!({
            "token": token.trim(), "hostname": hostname, "machine_id": format!("machine-of-{hostname}"),
            "agent_version": env!("CARGO_PKG_VERSION"),
        });
        let mut credentials = server.api.post(siaga_protocol::paths::ENROL, &request).await?;
        credentials["server"] = serde_json::json!(server.api.url);
        std::fs::create_dir_all(&state)?;
        std::fs::write(state.join("credentials.json"), credentials.to_string())?;
        let mut agent = Self { folder, child: None };
        agent.launch()?;
        Ok(agent)
    }

    /// The `instance` label that the server gave it.
    ///
    /// # Errors
    /// If the credentials cannot be read.
    pub fn instance(&self) -> anyhow::Result<String> {
        let text = std::fs::read(self.folder.path().join("state/credentials.json"))?;
        let value: serde_json::Value = serde_json::from_slice(&text)?;
        value["instance"].as_str().map(str::to_owned).context("the credentials have no instance")
    }

    /// Its configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.folder.path().join("agent.toml")
    }

    /// Folder of its files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its log.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("agent.log"))?)
    }

    /// Starts the process (again).
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn launch(&mut self) -> anyhow::Result<()> {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.path().join("agent.log"))?;
        let child = Command::new(program("siaga-agent"))
            .arg("run")
            .arg("--config")
            .arg(self.config_file())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Process identifier.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Kills the process with SIGKILL.
    ///
    /// # Errors
    /// If it does not run.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.child.take().context("the agent does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends the process with SIGTERM.
    ///
    /// # Errors
    /// If it does not run or does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        terminate(self.child.take().context("the agent does not run")?).await.map(drop)
    }
}

impl Drop for Agent {
    #[expect(clippy::print_stderr, reason = "a test that fails shows the log")]
    fn drop(&mut self) {
        if self.child.is_some() && self.kill().is_err() {
            // It is gone already.
        }
        if std::thread::panicking() {
            let log = self.log().unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(15).collect();
            for line in tail.iter().rev() {
                eprintln!("agent: {line}");
            }
        }
    }
}
