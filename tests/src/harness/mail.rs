//! A real mail server, Debian's aiosmtpd, that keeps what it takes in a folder.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

/// A relay on loopback.
#[derive(Debug)]
pub struct MailServer {
    folder: TempDir,
    child: Child,
}

impl MailServer {
    /// Starts one on a port; with a certificate and its key (PEM) it takes mail only after STARTTLS.
    ///
    /// # Errors
    /// If it is not installed or does not start.
    pub async fn start(port: u16, tls: Option<(&Path, &Path)>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = std::fs::File::create(folder.path().join("mail.log"))?;
        let mut command = Command::new("/usr/bin/python3");
        command.args(["-m", "aiosmtpd", "-n", "-l"]).arg(format!("127.0.0.1:{port}"));
        if let Some((certificate, key)) = tls {
            command.arg("--tlscert").arg(certificate).arg("--tlskey").arg(key);
        }
        let child = command
            .args(["-c", "aiosmtpd.handlers.Mailbox"])
            .arg(folder.path().join("mail"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start aiosmtpd: install it with tests/install-tools.sh")?;
        let mut server = Self { folder, child };
        let end = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = server.child.try_wait()? {
                bail!("aiosmtpd ended with {status}: {}", server.log()?);
            }
            ensure!(Instant::now() < end, "aiosmtpd did not become ready: {}", server.log()?);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }

    /// Its log.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("mail.log"))?)
    }

    /// What it took so far, each with its headers.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn messages(&self) -> anyhow::Result<Vec<String>> {
        let folder = self.folder.path().join("mail/new");
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        files.sort();
        files.iter().map(|file| Ok(std::fs::read_to_string(file)?)).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            // Its status is of no interest any more.
            drop(self.child.wait());
        }
    }
}
