//! The drill laboratory: two instances of a small HTTP service behind one address, to be killed and started by drills.
//!
//! - `siaga-lab up --dir DIR` starts both instances and the address in front; `down` ends them.
//! - `siaga-lab kill a --dir DIR` kills an instance with SIGKILL, and fails if there is none: a fault that hit nothing is
//!   no fault. `start a` starts it again; that may be repeated.
//! - `serve` and `front` are the programs themselves, in the foreground.
//!
//! The front forwards TCP connections to the first healthy instance in order. It asks each for `/healthz` every 200 ms;
//! an instance is out after three failed questions in a row and back after two good ones, as load balancers commonly
//! have it. In between, connections to a dead instance are lost, which is what a drill measures. When the first
//! instance is back, new connections go to it again.
//!
//! Ports: the address in front is PORT, instance `a` is PORT + 1, instance `b` is PORT + 2 (default 8491, 8492, 8493).

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use clap::{Parser, Subcommand, ValueEnum};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Pause between two questions for the health of an instance.
const HEALTH_INTERVAL: Duration = Duration::from_millis(200);
/// Failed questions in a row after which an instance is out.
const FALL: u32 = 3;
/// Good questions in a row after which an instance is back.
const RISE: u32 = 2;
/// Longest time for an answer to such a question, and for a connection to an instance.
const HEALTH_TIMEOUT: Duration = Duration::from_millis(500);
/// Longest time until a started program answers, or a killed one is gone.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that the front carries at once; further ones wait to be accepted.
const MAX_CONNECTIONS: usize = 256;

#[derive(Debug, Parser)]
#[command(name = "siaga-lab", about = "Two instances of a small HTTP service behind one address, for drills")]
struct Cli {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Debug, Subcommand)]
enum LabCommand {
    /// Start both instances and the address in front.
    Up {
        /// Folder of process numbers and logs.
        #[arg(long)]
        dir: PathBuf,
        /// First of three ports.
        #[arg(long, default_value_t = 8491)]
        port: u16,
    },
    /// End everything.
    Down {
        /// Folder of process numbers and logs.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Start one program; it is no error if it runs already.
    Start {
        /// Which.
        name: Name,
        /// Folder of process numbers and logs.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Kill one program with SIGKILL; fails if it does not run.
    Kill {
        /// Which.
        name: Name,
        /// Folder of process numbers and logs.
        #[arg(long)]
        dir: PathBuf,
    },
    /// Say whether one program runs; fails if it does not.
    Status {
        /// Which.
        name: Name,
        /// Folder of process numbers and logs.
        #[arg(long)]
        dir: PathBuf,
    },
    /// An instance, in the foreground.
    Serve {
        /// Its name.
        #[arg(long)]
        name: String,
        /// Its port on loopback.
        #[arg(long)]
        port: u16,
    },
    /// The address in front, in the foreground.
    Front {
        /// Its port on loopback.
        #[arg(long)]
        listen: u16,
        /// Port of an instance on loopback, in order of preference.
        #[arg(long = "backend", required = true)]
        backends: Vec<u16>,
    },
}

/// Programs of the laboratory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    Front,
    A,
    B,
}

impl Name {
    const ALL: [Self; 3] = [Self::A, Self::B, Self::Front];

    const fn text(self) -> &'static str {
        match self {
            Self::Front => "front",
            Self::A => "a",
            Self::B => "b",
        }
    }

    const fn port(self, first: u16) -> u16 {
        match self {
            Self::Front => first,
            Self::A => first + 1,
            Self::B => first + 2,
        }
    }
}

#[expect(clippy::print_stdout, reason = "this is what the commands are asked for")]
fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        LabCommand::Serve { name, port } => runtime()?.block_on(serve(name, port)),
        LabCommand::Front { listen, backends } => runtime()?.block_on(front(listen, &backends)),
        LabCommand::Up { dir, port } => {
            if port > u16::MAX - 2 {
                bail!("port {port} leaves no room for the two after it");
            }
            fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
            fs::write(dir.join("port"), port.to_string()).context("cannot write the port down")?;
            for name in Name::ALL {
                start(&dir, name)?;
            }
            println!("http://127.0.0.1:{port}");
            Ok(())
        }
        LabCommand::Down { dir } => {
            Name::ALL.into_iter().rev().try_for_each(|name| end(&dir, name, Signal::TERM).map(drop))
        }
        LabCommand::Start { name, dir } => start(&dir, name),
        LabCommand::Kill { name, dir } => {
            if end(&dir, name, Signal::KILL)? {
                Ok(())
            } else {
                bail!("{} does not run: nothing was killed", name.text())
            }
        }
        LabCommand::Status { name, dir } => match running(&dir, name) {
            Some(pid) => {
                println!("{} runs as process {}", name.text(), pid.as_raw_nonzero());
                Ok(())
            }
            None => bail!("{} does not run", name.text()),
        },
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")
}

fn first_port(dir: &Path) -> anyhow::Result<u16> {
    let file = dir.join("port");
    let text = fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}: was `siaga-lab up` run?", file.display()))?;
    text.trim().parse().with_context(|| format!("{} holds no port", file.display()))
}

fn pid_file(dir: &Path, name: Name) -> PathBuf {
    dir.join(format!("{}.pid", name.text()))
}

/// When a process began, in ticks since the machine did; `None` if it is gone or only waits to be reaped. Tells a
/// process from a later one with the same number.
fn began(pid: Pid) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in parentheses may hold anything, so the fields are counted from its end.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// The process of a program, if it is the one that was started.
fn running(dir: &Path, name: Name) -> Option<Pid> {
    let text = fs::read_to_string(pid_file(dir, name)).ok()?;
    let (pid, noted) = text.trim().split_once(' ')?;
    let pid = Pid::from_raw(pid.parse().ok()?)?;
    (began(pid)? == noted.parse::<u64>().ok()?).then_some(pid)
}

#[expect(clippy::print_stdout, reason = "an agent reports what its actions print")]
fn start(dir: &Path, name: Name) -> anyhow::Result<()> {
    let first = first_port(dir)?;
    if let Some(pid) = running(dir, name) {
        println!("{} runs already as process {}", name.text(), pid.as_raw_nonzero());
        return Ok(());
    }
    let address = SocketAddr::from(([127, 0, 0, 1], name.port(first)));
    // Somebody else's answer on the address would pass for this program's.
    drop(
        std::net::TcpListener::bind(address)
            .with_context(|| format!("cannot start {} on {address}", name.text()))?,
    );
    let program = std::env::current_exe().context("cannot find this program")?;
    let log_file = dir.join(format!("{}.log", name.text()));
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(&log_file)
        .with_context(|| format!("cannot write {}", log_file.display()))?;
    let mut command = Command::new(program);
    match name {
        Name::Front => {
            command.args(["front", "--listen", &first.to_string()]);
            for backend in [Name::A, Name::B] {
                command.args(["--backend", &backend.port(first).to_string()]);
            }
        }
        Name::A | Name::B => {
            command.args(["serve", "--name", name.text(), "--port", &name.port(first).to_string()]);
        }
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // A group of its own, so that Ctrl-C at the terminal and the agent's limit on its action do not reach it.
    command.process_group(0);
    let child = command.spawn().with_context(|| format!("cannot start {}", name.text()))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("no process number")?;
    let noted =
        began(pid).with_context(|| format!("{} ended at once, see {}", name.text(), log_file.display()))?;
    let mut file = fs::File::create(pid_file(dir, name)).context("cannot write the process number")?;
    write!(file, "{} {noted}", pid.as_raw_nonzero())?;
    wait_until(|| {
        running(dir, name).is_none() || std::net::TcpStream::connect_timeout(&address, HEALTH_TIMEOUT).is_ok()
    });
    if running(dir, name).is_none() {
        bail!("{} ended at once, see {}", name.text(), log_file.display());
    }
    println!("{} runs as process {} on {address}", name.text(), pid.as_raw_nonzero());
    Ok(())
}

/// Ends a program; whether there was one to end.
#[expect(clippy::print_stdout, reason = "an agent reports what its actions print")]
fn end(dir: &Path, name: Name, signal: Signal) -> anyhow::Result<bool> {
    let Some(pid) = running(dir, name) else {
        println!("{} does not run", name.text());
        return Ok(false);
    };
    kill_process(pid, signal).with_context(|| format!("cannot kill {}", name.text()))?;
    wait_until(|| running(dir, name).is_none());
    if running(dir, name).is_some() {
        bail!("{} still runs as process {}", name.text(), pid.as_raw_nonzero());
    }
    println!("{} killed, it was process {}", name.text(), pid.as_raw_nonzero());
    Ok(true)
}

fn wait_until(mut wanted: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !wanted() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[derive(Debug)]
struct Instance {
    name: String,
    answered: AtomicU64,
}

async fn serve(name: String, port: u16) -> anyhow::Result<()> {
    async fn answer(State(instance): State<Arc<Instance>>) -> Json<serde_json::Value> {
        let count = instance.answered.fetch_add(1, Ordering::Relaxed) + 1;
        Json(serde_json::json!({ "name": instance.name, "count": count }))
    }
    let instance = Arc::new(Instance { name, answered: AtomicU64::new(0) });
    let router =
        Router::new().route("/", get(answer)).route("/healthz", get(async || "ok")).with_state(instance);
    axum::serve(listen(port).await?, router).await.context("serving ended")
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Index that stands for "no instance is healthy".
const NONE: usize = usize::MAX;

async fn front(port: u16, backends: &[u16]) -> anyhow::Result<()> {
    let listener = listen(port).await?;
    let addresses: Arc<[SocketAddr]> =
        backends.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
    let chosen = Arc::new(AtomicUsize::new(NONE));
    tokio::spawn(choose(Arc::clone(&addresses), Arc::clone(&chosen)));
    let places = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let place = Arc::clone(&places).acquire_owned().await.context("no more places")?;
        // A client that is gone before it is accepted is no reason to end.
        let Ok((client, _)) = listener.accept().await else { continue };
        let backend = addresses.get(chosen.load(Ordering::Relaxed)).copied();
        tokio::spawn(async move {
            if let Some(backend) = backend {
                forward(client, backend).await;
            }
            drop(place);
        });
    }
}

async fn forward(mut client: TcpStream, backend: SocketAddr) {
    if let Ok(Ok(mut instance)) = tokio::time::timeout(HEALTH_TIMEOUT, TcpStream::connect(backend)).await {
        // Either side may break off; the connection is over then, which the other side sees.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut instance).await;
    }
}

/// Whether an instance is in, and how many answers in a row say otherwise.
#[derive(Debug, Clone, Copy, Default)]
struct Health {
    is_in: bool,
    against: u32,
}

impl Health {
    fn note(&mut self, good: bool) {
        self.against = if good == self.is_in { 0 } else { self.against + 1 };
        if self.against >= if self.is_in { FALL } else { RISE } {
            *self = Self { is_in: good, against: 0 };
        }
    }
}

/// Asks the instances for their health and chooses the first one that is in.
async fn choose(addresses: Arc<[SocketAddr]>, chosen: Arc<AtomicUsize>) {
    let mut ticks = tokio::time::interval(HEALTH_INTERVAL);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut healths = vec![Health::default(); addresses.len()];
    loop {
        ticks.tick().await;
        for (health, address) in healths.iter_mut().zip(addresses.iter()) {
            health.note(is_healthy(*address).await);
        }
        chosen.store(healths.iter().position(|health| health.is_in).unwrap_or(NONE), Ordering::Relaxed);
    }
}

async fn is_healthy(address: SocketAddr) -> bool {
    let question = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").await.ok()?;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer == *b"HTTP/1.1 200")
    };
    tokio::time::timeout(HEALTH_TIMEOUT, question).await.ok().flatten() == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_another_one_with_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let own = i32::try_from(std::process::id()).ok().and_then(Pid::from_raw).unwrap();
        let note = |text: String| fs::write(pid_file(dir.path(), Name::A), text).unwrap();
        assert_eq!(running(dir.path(), Name::A), None, "nothing was started");
        note(format!("{} {}", own.as_raw_nonzero(), began(own).unwrap()));
        assert_eq!(running(dir.path(), Name::A), Some(own));
        note(format!("{} 1", own.as_raw_nonzero()));
        assert_eq!(running(dir.path(), Name::A), None, "another process has the number now");
    }

    #[test]
    fn an_instance_is_out_after_three_failures_in_a_row_and_back_after_two_good_answers() {
        let mut health = Health { is_in: true, against: 0 };
        let ins: Vec<bool> = [false, false, true, false, false, false, true, true]
            .into_iter()
            .map(|good| {
                health.note(good);
                health.is_in
            })
            .collect();
        assert_eq!(ins, [true, true, true, true, true, false, false, true]);
    }

    #[test]
    fn connections_go_to_the_first_healthy_instance_and_back_to_the_preferred_one() {
        runtime().unwrap().block_on(async {
            let serve_on = async |name: &str| {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let port = listener.local_addr().unwrap().port();
                drop(listener);
                let name = name.to_owned();
                (port, tokio::spawn(async move { serve(name, port).await }))
            };
            let ((a, task_a), (b, _task_b)) = (serve_on("a").await, serve_on("b").await);
            let addresses: Arc<[SocketAddr]> =
                [a, b].into_iter().map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
            let chosen = Arc::new(AtomicUsize::new(NONE));
            tokio::spawn(choose(addresses, Arc::clone(&chosen)));
            let until = async |wanted: usize| {
                while chosen.load(Ordering::Relaxed) != wanted {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            until(0).await;
            task_a.abort();
            until(1).await;
            tokio::spawn(async move { serve("a".to_owned(), a).await });
            until(0).await;
        });
    }
}
