//! The whole agent as on the kernel of CentOS 7 (3.10): system calls that came later answer `ENOSYS`.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

mod common;
#[path = "common/old_kernel.rs"]
mod old_kernel;

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use common::Server;

fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect()
}

#[test]
fn newer_system_calls_are_really_refused() {
    let mut command = Command::new("grep");
    old_kernel::confine(command.args(["-E", "^Seccomp:.*2$", "/proc/self/status"]));
    assert!(command.stdout(Stdio::null()).status().unwrap().success(), "the filter is in force");
    let mut command = Command::new("python3");
    old_kernel::confine(command.args(["-c", "import os; os.pidfd_open(os.getpid())"]));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("Function not implemented") || text.contains("Errno 38"), "{text}");
}

#[test]
fn a_collection_is_as_complete_as_on_a_new_kernel() {
    let once = |old: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siaga-agent"));
        command.arg("once");
        if old {
            old_kernel::confine(&mut command);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        names(std::str::from_utf8(&output.stdout).unwrap())
    };
    let missing: Vec<_> = once(false).difference(&once(true)).cloned().collect();
    assert_eq!(missing, [""; 0]);
}

#[tokio::test]
async fn a_running_agent_enrols_collects_spools_sends_reports_watches_and_starts_programs() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (config, state, watched) =
        (dir.path().join("agent.toml"), dir.path().join("state"), dir.path().join("watched"));
    std::fs::create_dir(&watched).unwrap();
    std::fs::write(
        &config,
        format!(
            "state_dir = {state:?}\n[collect]\ninterval_seconds = 1\n[inventory.files]\npaths = [{watched:?}]\n\
             [[services.probes]]\nname = \"server\"\nkind = \"http\"\ntarget = \"{}\"\ninterval_seconds = 1\n\
             timeout_seconds = 1\n[actions.a]\ncommand = [\"true\"]\n",
            server.url.replace("127.0.0.1", "localhost")
        ),
    )
    .unwrap();
    let agent = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siaga-agent"));
        old_kernel::confine(command.args(arguments).arg("--config").arg(&config));
        command
    };
    let mut enrol = agent(&["enrol", "--server", &server.url, "--token", "one-time"]);
    let enrolled = tokio::task::spawn_blocking(move || enrol.output().unwrap()).await.unwrap();
    assert!(enrolled.status.success(), "{enrolled:?}");
    let mut child = agent(&["run"]).stderr(Stdio::null()).spawn().unwrap();
    server.until(|record| (record.inventories.len() == 1 && record.writes.len() > 1).then_some(())).await;
    std::fs::write(watched.join("a.conf"), "x").unwrap();
    server
        .until(|record| {
            let files = record.inventories.iter().filter_map(|inventory| inventory.files.as_ref());
            files.flatten().any(|file| file.path.ends_with("a.conf") && !file.sha256.is_empty()).then_some(())
        })
        .await;
    let value = |record: &common::Record, name: &str| {
        let series = record.writes.iter().flat_map(|write| &write.timeseries);
        let mut named = series.filter(|s| s.labels.iter().any(|l| l.name == "__name__" && l.value == name));
        named.next_back().and_then(|series| series.samples.last().map(|sample| sample.value))
    };
    // The executor is a process that it started, and the name of the probe's host was looked up.
    server.until(|record| (value(record, "siaga_agent_executor_up") == Some(1.0)).then_some(())).await;
    server.until(|record| value(record, "probe_success").map(drop)).await;
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert!(tokio::task::spawn_blocking(move || child.wait().unwrap()).await.unwrap().success());
}
