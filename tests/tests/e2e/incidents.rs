//! Incidents open by themselves, one for each cause, and resolve by themselves.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use reqwest::Method;
use serde_json::{Value, json};
use siaga_protocol::paths;
use siaga_tests::harness::{Agent, Api, Server, wait_for};

/// The built-in rules wait a minute before they fire.
const LONG: Duration = Duration::from_secs(180);

/// A small filesystem that can be filled. Needs root, as mounting does.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=32m", "siaga-scratch"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(status.success(), "this test mounts a filesystem, which needs root");
        Self { folder }
    }

    fn mountpoint(&self) -> String {
        self.folder.path().to_str().unwrap().to_owned()
    }

    fn ballast(&self) -> PathBuf {
        self.folder.path().join("ballast")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.folder.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

/// All incidents, open and resolved, of one component or of all.
async fn incidents(server: &Server, component: Option<&str>) -> Vec<Value> {
    let all = server.api.get("/api/v1/incidents?limit=1000").await.unwrap();
    let all = all.as_array().cloned().unwrap_or_else(|| all["incidents"].as_array().cloned().unwrap());
    all.into_iter().filter(|one| component.is_none_or(|component| one["component"] == component)).collect()
}

/// Enrols a host without an agent; gives its instance and the API with its token.
async fn enrolled(server: &Server, hostname: &str) -> (String, Api) {
    let token = server.command(&["enrol-token"]).unwrap();
    let request = json!({
        "token": token.trim(), "hostname": hostname, "machine_id": hostname, "agent_version": "0.1.0"
    });
    let answer = server.api.post(paths::ENROL, &request).await.unwrap();
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("instance"), server.api.with_token(&text("agent_token")))
}

fn resolved(incident: &Value) -> bool {
    !incident["resolved_at_ms"].is_null()
}

#[tokio::test]
async fn a_filled_filesystem_opens_exactly_one_incident_and_freeing_it_resolves_it() {
    let server = Server::start("[incidents]\nhold = \"3s\"\n").await.unwrap();
    let scratch = Scratch::mount();
    let _agent = Agent::start(&server, "[collect]\ninterval_seconds = 1\n").unwrap();
    let component = format!("filesystem:{}", scratch.mountpoint());
    let query = format!("node_filesystem_size_bytes{{mountpoint=\"{}\"}}", scratch.mountpoint());
    wait_for("the scratch filesystem to be seen", LONG, async || {
        (!server.api.query(&query, None).await.unwrap().is_empty()).then_some(())
    })
    .await;
    assert_eq!(incidents(&server, Some(&component)).await.len(), 0);

    std::fs::write(scratch.ballast(), vec![1_u8; 31 << 20]).unwrap();
    let opened =
        wait_for("the incident", LONG, async || incidents(&server, Some(&component)).await.pop()).await;
    assert!(!resolved(&opened), "{opened}");
    // Both rules of the filesystem fire (90 % and 95 %), and go on firing: still one incident.
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(incidents(&server, Some(&component)).await.len(), 1);

    std::fs::remove_file(scratch.ballast()).unwrap();
    wait_for("the incident to resolve", LONG, async || {
        incidents(&server, Some(&component)).await.first().is_some_and(resolved).then_some(())
    })
    .await;
    let all = incidents(&server, Some(&component)).await;
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["number"], opened["number"]);
}

#[tokio::test]
async fn a_host_with_a_wrong_clock_is_an_incident_until_its_clock_is_right() {
    let config =
        "[rules]\ndefaults = false\n[incidents]\nhold = \"1s\"\n[fleet]\nmax_clock_difference = \"3s\"\n";
    let server = Server::start(config).await.unwrap();
    let (instance, agent) = enrolled(&server, "web").await;
    // What an agent does all the time, with a clock that is behind by so much.
    let ask = async |behind: Duration| {
        let date = httpdate::fmt_http_date(SystemTime::now() - behind);
        let request = agent.request(Method::GET, paths::ORDERS).header("date", date);
        assert!(request.send().await.unwrap().status().is_success());
    };
    let behind = Duration::from_secs(26 * 3_600 + 5);
    let opened = wait_for("the incident of the clock", LONG, async || {
        ask(behind).await;
        incidents(&server, None).await.pop()
    })
    .await;
    assert_eq!((&opened["component"], &opened["instance"]), (&"clock".into(), &instance.as_str().into()));
    assert_eq!(opened["priority"], "high", "{opened}");
    assert_eq!(opened["title_id"], "Jam server web terlambat 1 hari 2 jam");
    let host = server.api.get(&format!("/api/v1/hosts/{instance}")).await.unwrap();
    assert_eq!(host["clock"]["difference_ms"].as_i64().map(|ms| ms / 60_000), Some(-26 * 60), "{host}");

    wait_for("the incident to resolve", LONG, async || {
        ask(Duration::ZERO).await;
        incidents(&server, None).await.iter().all(resolved).then_some(())
    })
    .await;
    assert_eq!(incidents(&server, None).await.len(), 1);
    let host = server.api.get(&format!("/api/v1/hosts/{instance}")).await.unwrap();
    assert!(host["clock"].is_null(), "{host}");
}

#[tokio::test]
async fn unplugging_an_agent_opens_one_incident_for_the_host_and_none_for_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("parts.yml");
    // A rule about a part that fires exactly when nothing more is heard of its host.
    std::fs::write(
        &rules,
        "groups:\n  - name: parts\n    interval: 1s\n    rules:\n      - alert: ClockOld\n        \
         expr: time() - last_over_time(node_time_seconds[10m]) > 3\n        \
         annotations: { component: clock, summary: Jam usang, summary_en: Clock old }\n",
    )
    .unwrap();
    let config = format!(
        "[rules]\ndefaults = false\nfiles = [\"{}\"]\n[incidents]\nhold = \"2s\"\n[fleet]\nsilent_after = \"2s\"\n",
        rules.display()
    );
    let server = Server::start(&config).await.unwrap();
    let mut agent = Agent::start(&server, "[collect]\ninterval_seconds = 1\n").unwrap();
    let instance = agent.instance().unwrap();
    wait_for("the agent to be heard", LONG, async || {
        (!server.api.query("node_time_seconds", None).await.unwrap().is_empty()).then_some(())
    })
    .await;
    assert_eq!(incidents(&server, None).await.len(), 0);

    agent.kill().unwrap();
    let host =
        wait_for("the incident of the host", LONG, async || incidents(&server, None).await.pop()).await;
    assert_eq!((&host["component"], &host["instance"]), (&Value::from("agent"), &Value::from(instance)));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(incidents(&server, None).await.len(), 1, "parts of a silent host open no incidents");

    agent.launch().unwrap();
    wait_for("the incident to resolve", LONG, async || {
        incidents(&server, None).await.iter().all(resolved).then_some(())
    })
    .await;
    assert_eq!(incidents(&server, None).await.len(), 1);
}
