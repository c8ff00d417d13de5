//! The whole agent, killed with SIGKILL and on a filesystem that is really full: what the server gets in the end.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use common::{Record, Server};
use siaga_agent::counters::Counters;
use siaga_agent::spool::{SERVER, Spool};

/// Answers 503 as often as an agent can ask in a test.
fn go_away(server: &Server) {
    server.record.lock().unwrap().statuses = [503; 10_000].into();
}

fn come_back(server: &Server) {
    server.record.lock().unwrap().statuses.clear();
}

/// Times and values of a series without labels of its own, in the order in which they came.
fn samples(record: &Record, name: &str) -> Vec<(i64, f64)> {
    let series = record.writes.iter().flat_map(|write| &write.timeseries);
    let named = series.filter(|s| s.labels.iter().any(|l| l.name == "__name__" && l.value == name));
    named.flat_map(|series| series.samples.iter().map(|sample| (sample.timestamp, sample.value))).collect()
}

fn times(record: &Record) -> Vec<i64> {
    samples(record, "node_load1").into_iter().map(|(time, _)| time).collect()
}

fn config(dir: &Path, state: &Path) -> PathBuf {
    let path = dir.join("agent.toml");
    let text = format!(
        "state_dir = {state:?}\n[collect]\ninterval_seconds = 1\n[send]\nmax_backoff_seconds = 1\n\
         [inventory]\nenabled = false\n[discovery]\nenabled = false\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn agent(config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siaga-agent"));
    command.arg("run").arg("--config").arg(config).stderr(Stdio::null());
    command
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Times of the collections that lie in a spool.
fn spooled(spool: &Path) -> Vec<i64> {
    let copy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(spool).unwrap().flatten() {
        std::fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    let mut spool = Spool::open(copy.path(), 1 << 30, Arc::new(Counters::default())).unwrap();
    let mut found = BTreeSet::new();
    while let Some(batch) = spool.next_batch(SERVER, usize::MAX, 100) {
        found.extend(batch.rows.iter().map(|row| row.time_ms));
        let end = batch.end;
        spool.acknowledge(SERVER, end);
    }
    found.into_iter().collect()
}

#[tokio::test]
async fn what_was_collected_before_a_sigkill_arrives_in_order_and_once() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let state = dir.path().join("state");
    server.credentials().store(&state).unwrap();
    go_away(&server);
    let config = config(dir.path(), &state);
    let mut before = Vec::new();
    for life in 1..=3 {
        let agent = Killed(agent(&config).spawn().unwrap());
        let attempts = server.record.lock().unwrap().attempts;
        server.until(|record| (record.attempts > attempts + 1).then_some(())).await;
        drop(agent);
        let now = spooled(&state.join("spool"));
        assert!(now.len() > before.len() && now.starts_with(&before), "life {life}: {before:?} {now:?}");
        before = now;
    }
    come_back(&server);
    let _agent = Killed(agent(&config).spawn().unwrap());
    let arrived = server.until(|record| Some(times(record)).filter(|times| times.len() > before.len())).await;
    assert!(arrived.starts_with(&before), "{before:?} {arrived:?}");
    assert!(arrived.is_sorted_by(|a, b| a < b), "once and in order: {arrived:?}");
}

/// A filesystem of 512 KiB of its own, which lives in a mount namespace as long as this does.
struct SmallDisk {
    holder: Killed,
    folder: PathBuf,
}

impl SmallDisk {
    fn new(folder: &Path) -> Self {
        let mut command = Command::new("unshare");
        if !rustix::process::getuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        let script = "mount -t tmpfs -o size=512k,mode=0700 none \"$1\" && echo mounted && exec sleep 600";
        command.args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"]).arg(folder);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("unshare of util-linux");
        let mut line = String::new();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line, "mounted\n", "a filesystem could not be mounted");
        Self { holder: Killed(child), folder: folder.to_owned() }
    }

    /// The folder as this process sees it.
    fn path(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.0.id()));
        root.join(self.folder.strip_prefix("/").unwrap())
    }

    fn fill(&self) {
        let mut ballast =
            std::fs::File::options().append(true).create(true).open(self.path().join("ballast")).unwrap();
        // A page at a time, until there is not one left.
        while ballast.write_all(&[7; 4096]).is_ok() {}
        let error = ballast.write_all(&[7; 4096]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    }

    fn enter(&self, program: &Command) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.holder.0.id()));
        if !rustix::process::getuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command.arg("--mount").arg("--").arg(program.get_program()).args(program.get_args());
        command.stderr(Stdio::null());
        command
    }
}

#[tokio::test]
async fn on_a_full_disk_it_goes_on_says_so_and_starts_and_all_arrives() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let folder = dir.path().join("disk");
    std::fs::create_dir(&folder).unwrap();
    let disk = SmallDisk::new(&folder);
    let state = disk.path().join("state");
    server.credentials().store(&state).unwrap();
    let config = config(dir.path(), &folder.join("state"));
    go_away(&server);
    let first = Killed(disk.enter(&agent(&config)).spawn().unwrap());
    server.until(|record| (record.attempts > 1).then_some(())).await;
    disk.fill();
    let on_disk = spooled(&state.join("spool"));
    let attempts = server.record.lock().unwrap().attempts;
    server.until(|record| (record.attempts > attempts + 4).then_some(())).await;
    come_back(&server);
    // What was on the disk, what was only in memory, and that something is wrong.
    let arrived = server
        .until(|record| {
            let errors = samples(record, "siaga_agent_spool_errors_total");
            errors.iter().any(|(_, errors)| *errors > 0.0).then(|| times(record))
        })
        .await;
    assert!(!on_disk.is_empty() && arrived.starts_with(&on_disk) && arrived.len() > on_disk.len() + 2);
    assert!(arrived.is_sorted_by(|a, b| a < b), "once and in order: {arrived:?}");
    drop(first);

    // Killed, and started where nothing can be written.
    disk.fill();
    let second = Killed(disk.enter(&agent(&config)).spawn().unwrap());
    let newest = *times(&server.record.lock().unwrap()).last().unwrap();
    server.until(|record| times(record).last().filter(|time| **time > newest + 1_000).map(drop)).await;

    // Room again: what is collected from then on is on the disk.
    go_away(&server);
    std::fs::remove_file(disk.path().join("ballast")).unwrap();
    let newest = *times(&server.record.lock().unwrap()).last().unwrap();
    server.until(|_| spooled(&state.join("spool")).last().filter(|time| **time > newest).map(drop)).await;
    drop(second);
    let mut counts = BTreeMap::<i64, usize>::new();
    times(&server.record.lock().unwrap()).into_iter().for_each(|time| *counts.entry(time).or_default() += 1);
    // One that was killed before it could note what had arrived sends that once more, which the server takes as one.
    let twice = counts.values().filter(|count| **count > 1).count();
    assert!(twice <= 2, "{counts:?}");
}
