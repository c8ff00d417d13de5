//! The servers: started on loopback with data in a temporary folder, and stopped by their process.

use std::fmt;
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

use super::wire::Connection;
use crate::harness::free_port;

/// A server must be ready within this time.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Ticks of `/proc/PID/stat` in a second, as Linux has them on every architecture it is built for here.
const TICKS: f64 = 100.0;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Siaga.
    Siaga,
    /// VictoriaMetrics.
    Victoria,
    /// Prometheus.
    Prometheus,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Siaga => "siaga",
            Self::Victoria => "victoria-metrics",
            Self::Prometheus => "prometheus",
        })
    }
}

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = [Self::Siaga, Self::Victoria, Self::Prometheus];
        known.into_iter().find(|kind| kind.to_string() == name).with_context(|| format!("no server {name:?}"))
    }
}

impl Kind {
    /// What stands before `/api/v1`.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        if self == Self::Siaga { "/prometheus" } else { "" }
    }
}

/// A running server.
#[derive(Debug)]
pub struct Running {
    /// Which one.
    pub kind: Kind,
    /// Where it listens.
    pub address: SocketAddr,
    /// Value of the header, or empty.
    pub authorization: String,
    folder: TempDir,
    child: Child,
}

impl Running {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// The program is not there or does not become ready.
    pub fn start(kind: Kind, siaga: &Path) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = match kind {
            Kind::Siaga => siaga_command(siaga, folder.path(), address)?,
            Kind::Victoria => victoria_command(folder.path(), address),
            Kind::Prometheus => prometheus_command(folder.path(), address)?,
        };
        let log = fs::File::create(folder.path().join("log"))?;
        let child = command.stdout(Stdio::null()).stderr(log).spawn();
        let child = child.with_context(|| format!("cannot start {kind}"))?;
        let mut server = Self { kind, address, authorization: String::new(), folder, child };
        server.wait_ready()?;
        if kind == Kind::Siaga {
            let first = fs::read(server.folder.path().join("data/first-run.json"))?;
            let first: serde_json::Value = serde_json::from_slice(&first)?;
            let token = first["api_token"].as_str().context("first-run.json has no api_token")?;
            server.authorization = format!("Bearer {token}");
        }
        Ok(server)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let path = match self.kind {
            Kind::Siaga => "/readyz",
            Kind::Victoria => "/health",
            Kind::Prometheus => "/-/ready",
        };
        let began = Instant::now();
        while began.elapsed() < START_TIMEOUT {
            if let Some(status) = self.child.try_wait()? {
                let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
                bail!("{} ended with {status}: {log}", self.kind);
            }
            let ready = TcpStream::connect(self.address).is_ok()
                && Connection::open(self.address, "").and_then(|mut c| c.get(path)).is_ok_and(|a| a.0 == 200);
            if ready {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{} does not become ready", self.kind)
    }

    /// Processor seconds so far.
    ///
    /// # Errors
    /// The process is gone.
    pub fn cpu_seconds(&self) -> anyhow::Result<f64> {
        cpu_seconds_of(&self.child.id().to_string())
    }

    /// The largest resident memory so far.
    ///
    /// # Errors
    /// The process is gone.
    pub fn peak_bytes(&self) -> anyhow::Result<u64> {
        self.memory("VmHWM")
    }

    /// Resident memory now.
    ///
    /// # Errors
    /// The process is gone.
    pub fn resident_bytes(&self) -> anyhow::Result<u64> {
        self.memory("VmRSS")
    }

    fn memory(&self, name: &'static str) -> anyhow::Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with(name)).context(name)?;
        let kib: u64 = line.split_whitespace().nth(1).context(name)?.parse()?;
        Ok(kib * 1024)
    }

    /// Has everything compressed for good, and gives the bytes of the files.
    ///
    /// # Errors
    /// It refuses.
    pub fn settle(&self) -> anyhow::Result<u64> {
        let mut connection = Connection::open(self.address, &self.authorization)?;
        let mut ask = |method: &str, path: &str| -> anyhow::Result<u16> {
            let (status, body) =
                if method == "POST" { connection.post(path, "", b"")? } else { connection.get(path)? };
            ensure!(status / 100 == 2, "{path} answered {status}: {}", String::from_utf8_lossy(&body));
            Ok(status)
        };
        let data = self.folder.path().join("data");
        match self.kind {
            Kind::Siaga => {
                // 202: there is more to do.
                while ask("POST", "/api/v1/import/settle")? == 202 {}
                size_of(&data.join("metrics"))
            }
            Kind::Victoria => {
                ask("GET", "/internal/force_flush")?;
                ask("GET", "/internal/force_merge")?;
                settled_size(&data)
            }
            // A snapshot holds what compaction would leave, without the write-ahead log.
            Kind::Prometheus => {
                ask("POST", "/api/v1/admin/tsdb/snapshot")?;
                size_of(&data.join("snapshots"))
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor seconds of a process and its threads.
pub(super) fn cpu_seconds_of(process: &str) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    Ok(fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / TICKS)
}

/// Merging goes on in the background: the size when it has stopped changing.
fn settled_size(folder: &Path) -> anyhow::Result<u64> {
    let mut last = size_of(folder)?;
    for _ in 0..30 {
        std::thread::sleep(Duration::from_secs(2));
        let now = size_of(folder)?;
        if now == last {
            break;
        }
        last = now;
    }
    Ok(last)
}

/// Bytes of all files below; files may go meanwhile.
fn size_of(folder: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)?.flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        bytes += if metadata.is_dir() { size_of(&entry.path()).unwrap_or(0) } else { metadata.len() };
    }
    Ok(bytes)
}

fn siaga_command(program: &Path, folder: &Path, address: SocketAddr) -> anyhow::Result<Command> {
    let config = folder.join("server.toml");
    let data = folder.join("data");
    fs::write(
        &config,
        format!(
            "[http]\nlisten = \"{address}\"\n[storage]\ndata_dir = \"{}\"\n[rules]\ndefaults = false\n\
             [metrics]\nmax_series = 4000000\nmax_series_per_agent = 4000000\nout_of_order_window = \"4days\"\n",
            data.display()
        ),
    )?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--config").arg(config);
    Ok(command)
}

fn victoria_command(folder: &Path, address: SocketAddr) -> Command {
    let mut command = Command::new("victoria-metrics");
    command.arg(format!("-storageDataPath={}", folder.join("data").display()));
    command.arg(format!("-httpListenAddr={address}")).arg("-retentionPeriod=24");
    // Otherwise it forgets samples that are newer than half a minute, and leaves fresh series out.
    command.arg("-search.latencyOffset=0s");
    command
}

fn prometheus_command(folder: &Path, address: SocketAddr) -> anyhow::Result<Command> {
    let config = folder.join("prometheus.yml");
    fs::write(&config, "global:\n  scrape_interval: 15s\n")?;
    let mut command = Command::new("prometheus");
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
    command.arg(format!("--web.listen-address={address}"));
    command.args(["--web.enable-remote-write-receiver", "--web.enable-admin-api", "--log.level=warn"]);
    Ok(command)
}
