//! A real Prometheus, from Debian's package.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use super::{Api, free_port};

/// A Prometheus with data in a temporary folder, that scrapes nothing and takes remote write.
#[derive(Debug)]
pub struct Prometheus {
    /// Its API; what Siaga has under `/prometheus` it has at the root.
    pub api: Api,
    folder: TempDir,
    child: Child,
}

impl Prometheus {
    /// Starts one with this further configuration (YAML) and waits until it is ready.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub async fn start(further: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port();
        let config = folder.path().join("prometheus.yml");
        std::fs::write(&config, format!("global: {{}}\n{further}\n"))?;
        let log = std::fs::File::create(folder.path().join("prometheus.log"))?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--log.level=warn"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start prometheus: install it with tests/install-tools.sh")?;
        let mut prometheus = Self { api: Api::new(&format!("http://127.0.0.1:{port}"), ""), folder, child };
        prometheus.wait_until_ready().await?;
        Ok(prometheus)
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("prometheus ended with {status}: {}", self.log()?);
            }
            let asked = self.api.request(reqwest::Method::GET, "/-/ready").send().await;
            if asked.is_ok_and(|response| response.status().is_success()) {
                return Ok(());
            }
            ensure!(Instant::now() < end, "prometheus did not become ready: {}", self.log()?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its log.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("prometheus.log"))?)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            // Its status is of no interest any more.
            drop(self.child.wait());
        }
    }
}
