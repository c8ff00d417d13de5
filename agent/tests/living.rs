//! The whole program: enrolment, start, new configuration, end.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

mod common;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use common::{HOST, Server, signed};
use siaga_protocol::orders::{Order, OrderKind, Outcome};

fn agent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siaga-agent"));
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn output(arguments: &[&str]) -> Output {
    let mut command = agent(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

async fn end(mut child: Child, signal: rustix::process::Signal) -> (std::process::ExitStatus, String) {
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, signal).unwrap();
    tokio::task::spawn_blocking(move || {
        let mut text = String::new();
        std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut text).unwrap();
        (child.wait().unwrap(), text)
    })
    .await
    .unwrap()
}

fn write_config(dir: &Path, more: &str) -> String {
    let path = dir.join("agent.toml");
    let text = format!("state_dir = \"{}\"\n{more}", dir.join("state").display());
    // As editors do: the new file takes the place of the old.
    std::fs::write(dir.join("agent.new"), text).unwrap();
    std::fs::rename(dir.join("agent.new"), &path).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn an_agent_enrols_reports_follows_its_configuration_and_ends_cleanly() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let config = write_config(dir.path(), "[collect]\ninterval_seconds = 1\n");

    let early = output(&["run", "--config", &config]).await;
    assert!(String::from_utf8_lossy(&early.stderr).contains("not enrolled"));
    let wrong = output(&["enrol", "--server", &server.url, "--token", "old", "--config", &config]).await;
    assert!(!wrong.status.success());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("the token is used up"), "{wrong:?}");
    let enrolled =
        output(&["enrol", "--server", &server.url, "--token", "one-time", "--config", &config]).await;
    assert!(enrolled.status.success(), "{enrolled:?}");
    assert_eq!(server.record.lock().unwrap().enrolments[0].machine_id.len(), 32);

    let child = agent(&["run", "--config", &config]).spawn().unwrap();
    let hello = server.until(|record| record.hellos.first().cloned()).await;
    assert_eq!((hello.interval_seconds, hello.actions.len()), (1, 0));
    let inventory = server.until(|record| record.inventories.first().cloned()).await;
    assert!(!inventory.hostname.is_empty() && inventory.hardware.cpu_count > 0);
    let names = server
        .until(|record| {
            let series = record.writes.iter().flat_map(|write| &write.timeseries);
            let names: Vec<String> = series
                .filter_map(|s| Some(s.labels.iter().find(|l| l.name == "__name__")?.value.clone()))
                .collect();
            (!names.is_empty()).then_some(names)
        })
        .await;
    for name in
        ["node_cpu_seconds_total", "node_memory_MemAvailable_bytes", "siaga_agent_resident_memory_bytes"]
    {
        assert!(names.iter().any(|have| have == name), "{name}");
    }

    write_config(dir.path(), "[collect]\ninterval_seconds = 0\n");
    write_config(dir.path(), "[collect]\ninterval_seconds = 2\n[actions.a]\ncommand = [\"true\"]\n");
    let hello =
        server.until(|record| record.hellos.iter().find(|hello| hello.interval_seconds == 2).cloned()).await;
    assert_eq!(hello.actions[0].name, "a");

    let (status, log) = end(child, rustix::process::Signal::TERM).await;
    assert!(status.success(), "{status:?} {log}");
    assert!(log.contains("agent ended"), "{log}");
    assert!(!log.contains("agent-secret"), "{log}");
}

#[tokio::test]
async fn a_wrong_new_configuration_is_refused_with_its_place_and_the_running_one_stays() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let config = write_config(dir.path(), "[collect]\ninterval_seconds = 1\n");
    server.credentials().store(&dir.path().join("state")).unwrap();
    let mut child = agent(&["run", "--config", &config]).spawn().unwrap();
    server.until(|record| (!record.writes.is_empty()).then_some(())).await;
    write_config(dir.path(), "\n[collect]\ninterval_seconds = 0\n");
    // The refusal is the next line of the log that speaks of it.
    let stderr = child.stderr.take().unwrap();
    let line = tokio::task::spawn_blocking(move || {
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr)).map_while(Result::ok);
        lines.find(|line| line.contains("refused"))
    })
    .await
    .unwrap()
    .unwrap();
    assert!(line.contains("agent.toml:4:20: collect.interval_seconds: 0 is out of range"), "{line}");
    let before = server.record.lock().unwrap().writes.len();
    server.until(|record| (record.writes.len() > before).then_some(())).await;
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[tokio::test]
async fn configuration_and_collection_can_be_tried_by_hand() {
    let dir = tempfile::tempdir().unwrap();
    let config = write_config(dir.path(), "[spool]\nmax_bytes = 1\n");
    let wrong = output(&["check-config", "--config", &config]).await;
    assert!(!wrong.status.success());
    assert!(
        String::from_utf8_lossy(&wrong.stderr)
            .contains("agent.toml:3:13: spool.max_bytes: 1 is out of range")
    );
    let config = write_config(dir.path(), "");
    assert!(output(&["check-config", "--config", &config]).await.status.success());
    let once = output(&["once"]).await;
    let text = String::from_utf8(once.stdout).unwrap();
    assert!(
        text.contains(
            "# TYPE node_cpu_seconds_total counter\nnode_cpu_seconds_total{cpu=\"0\",mode=\"user\"} "
        )
    );
    for line in text.lines() {
        siaga_protocol::exposition::parse_line(line, siaga_protocol::exposition::TimeUnit::Milliseconds)
            .unwrap();
    }
}

fn command_lives(pid_file: &Path) -> bool {
    let pid = std::fs::read_to_string(pid_file).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.starts_with(" Z"))
}

#[tokio::test]
async fn what_a_killed_executor_left_running_is_ended_before_its_undo() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let file = |name: &str| dir.path().join(name);
    let (state, pid) = (file("state").join("mark"), file("pid"));
    let config = write_config(
        dir.path(),
        &format!(
            "[orders]\nstart_executor = false\n\
             [actions.break]\n\
             command = [\"sh\", \"-c\", \"echo $$ > {pid}; while :; do echo broken > {state}; sleep 0.02; done\"]\n\
             undo = [\"sh\", \"-c\", \"echo restored > {state}\"]\n",
            pid = pid.display(),
            state = state.display()
        ),
    );
    server.credentials().store(&file("state")).unwrap();
    let now = siaga_agent::clock::now_ms();
    let order = Order {
        id: "o1".into(),
        host_id: HOST.into(),
        drill_id: "drill-1".into(),
        action: "break".into(),
        kind: OrderKind::Run,
        expires_at_ms: now + 60_000,
        undo_at_ms: Some(now + 1_500),
    };
    server.record.lock().unwrap().orders = vec![signed(&order)];
    let executor = agent(&["executor", "--config", &config]).spawn().unwrap();
    let child = agent(&["run", "--config", &config]).spawn().unwrap();
    server.until(|_| state.exists().then_some(())).await;
    // The pipe of its log is held open by nobody but itself.
    end(executor, rustix::process::Signal::KILL).await;
    assert!(command_lives(&pid), "the command goes on without its executor");

    let executor = agent(&["executor", "--config", &config]).spawn().unwrap();
    let undo = server.until(|record| record.undos.first().cloned()).await;
    assert_eq!((undo.outcome, undo.order_id.as_str()), (Outcome::Succeeded, "o1"));
    let result = server.until(|record| record.results.first().cloned()).await;
    assert_eq!(result.outcome, Outcome::Failed);
    assert!(result.message.contains("it still ran and was killed"), "{}", result.message);
    assert!(!command_lives(&pid));
    assert_eq!(std::fs::read_to_string(&state).unwrap(), "restored\n");
    end(child, rustix::process::Signal::TERM).await;
    let (status, log) = end(executor, rustix::process::Signal::TERM).await;
    assert!(status.success() && log.contains("executor ended"), "{log}");
}

#[tokio::test]
async fn an_executor_outlives_a_killed_agent_and_serves_the_next() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let mark = dir.path().join("mark");
    let config = write_config(
        dir.path(),
        &format!(
            "[actions.mark]\ncommand = [\"true\"]\nundo = [\"sh\", \"-c\", \"echo undone >> {}\"]\n",
            mark.display()
        ),
    );
    server.credentials().store(&dir.path().join("state")).unwrap();
    let start = || {
        let mut command = agent(&["run", "--config", &config]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let now = siaga_agent::clock::now_ms();
    let order = |id: &str, undo_at_ms| Order {
        id: id.into(),
        host_id: HOST.into(),
        drill_id: "drill-1".into(),
        action: "mark".into(),
        kind: OrderKind::Run,
        expires_at_ms: now + 60_000,
        undo_at_ms,
    };
    server.record.lock().unwrap().orders = vec![signed(&order("o1", Some(now + 2_000)))];
    let mut first = start();
    server.until(|record| record.results.first().cloned()).await;
    first.kill().unwrap();
    first.wait().unwrap();
    server.until(|_| mark.exists().then_some(())).await;
    assert!(server.record.lock().unwrap().undos.is_empty(), "nobody was there to report it");

    let socket = dir.path().join("state/executor/executor.sock");
    let made = std::fs::metadata(&socket).unwrap().modified().unwrap();
    let mut second = start();
    let undo = server.until(|record| record.undos.first().cloned()).await;
    assert_eq!((undo.order_id.as_str(), undo.outcome), ("o1", Outcome::Succeeded));
    assert_eq!(std::fs::metadata(&socket).unwrap().modified().unwrap(), made, "the same executor");
    second.kill().unwrap();
    second.wait().unwrap();
}
