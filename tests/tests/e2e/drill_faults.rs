//! Faults of a drill itself, with real processes: the server is killed in its middle, the agent is. Afterwards the service
//! is as it was, and the report says what happened.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use siaga_tests::harness::{Agent, Server, free_port, program, wait_for};

const LONG: Duration = Duration::from_secs(120);

/// The laboratory of `siaga-lab` on three neighbouring ports.
struct Lab {
    folder: tempfile::TempDir,
    port: u16,
}

impl Lab {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        let port = loop {
            let first = free_port();
            if first < u16::MAX - 2 && free(first + 1) && free(first + 2) {
                break first;
            }
        };
        let lab = Self { folder, port };
        assert!(lab.command(&["up", "--port", &port.to_string()]).status().unwrap().success());
        lab
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program("siaga-lab"));
        command.args(words).arg("--dir").arg(self.folder.path());
        command
    }

    /// The actions of the host, as its own file has them.
    fn actions(&self) -> String {
        let (program, folder) = (program("siaga-lab"), self.folder.path().display().to_string());
        format!(
            "[actions.lab-kill-a]\ntimeout_seconds = 10\n\
             command = [\"{0}\", \"kill\", \"a\", \"--dir\", \"{folder}\"]\n\
             undo = [\"{0}\", \"start\", \"a\", \"--dir\", \"{folder}\"]\n",
            program.display()
        )
    }

    fn plan(&self) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plans/lab.toml");
        let text = std::fs::read_to_string(path).unwrap();
        text.replace("127.0.0.1:8491", &format!("127.0.0.1:{}", self.port))
            .replace("127.0.0.1:8493", &format!("127.0.0.1:{}", self.port + 2))
            .replace("# host = \"instance\"", "host = \"lab\"")
            // The clock is not to decide whether it may begin.
            .replace("from = \"2026-12-24\"", "from = \"2001-12-24\"")
            .replace("to = \"2027-01-02\"", "to = \"2002-01-02\"")
    }

    async fn answers(&self) -> Option<String> {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/", self.port)).await.ok()?;
        let body: Value = answer.json().await.ok()?;
        body["name"].as_str().map(str::to_owned)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).status();
    }
}

async fn scene(lab: &Lab) -> (Server, Agent, tempfile::TempDir) {
    let plans = tempfile::tempdir().unwrap();
    std::fs::write(plans.path().join("lab.toml"), lab.plan()).unwrap();
    let config =
        format!("[continuity]\nplans_dir = \"{}\"\n[rules]\ndefaults = false\n", plans.path().display());
    let server = Server::start(&config).await.unwrap();
    let agent = Agent::start_as(&server, "lab", &lab.actions()).await.unwrap();
    (server, agent, plans)
}

/// Begins a drill and waits until its journal has such an entry; gives its path.
async fn begun(server: &Server, entry: &str) -> String {
    let started = wait_for("the drill to begin", LONG, async || {
        let plan = server.api.get("/api/v1/plans/lab-alih-layanan").await.unwrap();
        if plan["problems"] != json!([]) {
            return None;
        }
        server.api.post("/api/v1/plans/lab-alih-layanan/drills", &json!({})).await.ok()
    })
    .await;
    let path = format!("/api/v1/drills/{}", started["id"].as_str().unwrap());
    loop {
        let drill = server.api.get(&path).await.unwrap();
        let found = |one: &Value| one["fact"]["event"] == entry;
        if drill["journal"].as_array().unwrap().iter().any(found) {
            return path;
        }
        assert_eq!(drill["drill"]["status"], "running", "it ended before: {drill:#}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn ended(server: &Server, path: &str) -> Value {
    wait_for("the drill to end", LONG, async || {
        let drill = server.api.get(path).await.unwrap();
        (drill["drill"]["status"] != "running").then_some(drill)
    })
    .await
}

#[tokio::test]
async fn a_server_that_is_killed_in_the_middle_of_a_drill_takes_it_up_and_restores_the_service() {
    let lab = Lab::start();
    let (mut server, _agent, _plans) = scene(&lab).await;
    for entry in ["step_started", "step_answered", "measured", "undo_started"] {
        let path = begun(&server, entry).await;
        server.kill().unwrap();
        server.launch().await.unwrap();
        let done = ended(&server, &path).await;
        assert_eq!(
            (&done["drill"]["status"], &done["drill"]["restored"]),
            (&json!("aborted"), &json!(true)),
            "{entry}: {done:#}"
        );
        let reasons = done["drill"]["reasons"].to_string();
        assert!(reasons.contains("the Siaga server ended in the middle of the drill"), "{entry}: {reasons}");
        wait_for("instance a to serve again", LONG, async || {
            (lab.answers().await.as_deref() == Some("a")).then_some(())
        })
        .await;
        let proof = server.api.get(&format!("{path}/verification")).await.unwrap();
        assert_eq!(proof["state"], "intact", "{entry}: {proof:#}");
    }
}

#[tokio::test]
async fn an_agent_that_is_killed_in_the_middle_of_a_drill_undoes_when_it_is_back() {
    let lab = Lab::start();
    let (server, mut agent, _plans) = scene(&lab).await;
    let path = begun(&server, "step_answered").await;
    agent.kill().unwrap();
    // The rollback is ordered while nobody is there to hear it.
    wait_for("the undo to be ordered", LONG, async || {
        let drill = server.api.get(&path).await.unwrap();
        drill["journal"].to_string().contains("undo_started").then_some(())
    })
    .await;
    agent.launch().unwrap();
    let done = ended(&server, &path).await;
    assert_eq!(done["drill"]["restored"], true, "{done:#}");
    assert_eq!(lab.answers().await.as_deref(), Some("a"));
}
