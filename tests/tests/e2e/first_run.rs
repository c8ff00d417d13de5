//! What `make run` starts, as a newcomer meets it: this machine watched, its disks listed for forecasts, its asset row
//! filled, and a drill carried out on it; ended with Ctrl-C, and started again with its data.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use serde_json::{Value, json};
use siaga_tests::harness::{Api, free_port, program, wait_for};

const LONG: Duration = Duration::from_secs(120);

/// A run of `deploy/run-local.sh`.
struct Run {
    folder: PathBuf,
    printed: PathBuf,
    listen: String,
    lab_port: u16,
    child: Option<Child>,
}

impl Run {
    fn start(folder: &Path, listen: &str, lab_port: u16) -> Self {
        Self::start_as("first", folder, listen, lab_port)
    }

    /// `name` tells what it prints from what others on the same data do.
    fn start_as(name: &str, folder: &Path, listen: &str, lab_port: u16) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/run-local.sh");
        let programs = program("siaga-server");
        let printed = folder.join(name);
        let output = std::fs::File::create(&printed).unwrap();
        // A group of its own, so that Ctrl-C can be sent to all of it, as a terminal does.
        // A shell that was started with signals ignored, as by a background job, cannot trap them.
        let child = Command::new("env")
            .arg("--default-signal=INT")
            .arg(script)
            .env("SIAGA_BIN", programs.parent().unwrap())
            .env("SIAGA_DATA", folder.join("data"))
            .env("SIAGA_LISTEN", listen)
            .env("SIAGA_LAB_PORT", lab_port.to_string())
            .stderr(output.try_clone().unwrap())
            .stdout(output)
            .process_group(0)
            .spawn()
            .unwrap();
        Self { folder: folder.to_owned(), printed, listen: listen.to_owned(), lab_port, child: Some(child) }
    }

    fn output(&self) -> String {
        std::fs::read_to_string(&self.printed).unwrap()
    }

    async fn api(&self) -> Api {
        wait_for("the password to be printed", LONG, async || {
            self.output().contains("password").then_some(())
        })
        .await;
        let file = self.folder.join("data/first-run.json");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let first: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        for key in ["url", "user", "password", "api_token"] {
            assert!(first[key].as_str().is_some_and(|text| !text.is_empty()), "{first} has no {key}");
        }
        assert_eq!(first["url"], format!("http://{}", self.listen));
        Api::new(first["url"].as_str().unwrap(), first["api_token"].as_str().unwrap())
    }

    async fn interrupt(&mut self) -> ExitStatus {
        let group = format!("-{}", self.child.as_ref().unwrap().id());
        assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
        self.end().await
    }

    /// Waits until it has ended.
    async fn end(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        for _ in 0..600 {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it does not end: {}", self.output());
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").args(["-TERM", "--", &format!("-{}", child.id())]).status();
            let _ = child.wait();
            let lab = self.folder.join("data/lab");
            let _ = Command::new(program("siaga-lab")).arg("down").arg("--dir").arg(lab).status();
        }
    }
}

async fn lab_answers(port: u16) -> Option<String> {
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/")).await.ok()?;
    let body: Value = answer.json().await.ok()?;
    body["name"].as_str().map(str::to_owned)
}

/// Three neighbouring ports that are free.
fn lab_ports() -> u16 {
    loop {
        let first = free_port();
        let free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
        if first < u16::MAX - 2 && free(first + 1) && free(first + 2) {
            return first;
        }
    }
}

#[tokio::test]
async fn a_first_start_on_a_taken_address_is_refused_and_leaves_nothing_that_the_next_would_obey() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut run = Run::start(folder.path(), &taken.local_addr().unwrap().to_string(), lab_ports());
    assert!(!run.end().await.success() && run.output().contains("already"), "{}", run.output());
    assert!(!folder.path().join("data/server.toml").exists());
}

#[tokio::test]
async fn make_run_shows_this_machine_and_carries_out_a_drill_on_it() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("127.0.0.1:{}", free_port());
    let mut run = Run::start(folder.path(), &listen, lab_ports());
    let api = run.api().await;

    let host = wait_for("live figures of this machine", LONG, async || {
        let live = api.query("node_load1{job=\"siaga\"}", None).await.unwrap();
        live.first().map(|series| series["metric"]["instance"].as_str().unwrap().to_owned())
    })
    .await;
    wait_for("the asset row", LONG, async || {
        api.get("/api/v1/assets").await.unwrap().to_string().contains(&host).then_some(())
    })
    .await;
    wait_for("the disks' forecasts, or why there are none yet", LONG, async || {
        api.post("/api/v1/forecasts/refresh", &json!({})).await.ok()?;
        api.get("/api/v1/forecasts").await.unwrap().to_string().contains("filesystem").then_some(())
    })
    .await;

    let plan = api.get("/api/v1/plans/lab-alih-layanan").await.unwrap();
    assert_eq!(plan["steps"][0]["host"], host.as_str(), "the plan is for this machine alone");
    assert_eq!(plan["warnings"], json!([]));
    assert_eq!(lab_answers(run.lab_port).await.as_deref(), Some("a"));
    let started = wait_for("the agent to offer its actions", LONG, async || {
        api.post("/api/v1/plans/lab-alih-layanan/drills", &json!({ "despite": "make run" })).await.ok()
    })
    .await;
    let path = format!("/api/v1/drills/{}", started["id"].as_str().unwrap());
    let done = wait_for("the drill to end", LONG, async || {
        let drill = api.get(&path).await.unwrap();
        (drill["drill"]["status"] != "running").then_some(drill)
    })
    .await;
    assert_eq!(done["drill"]["status"], "passed", "{done:#}");
    assert_eq!(done["drill"]["restored"], true);
    let proof = api.get(&format!("{path}/verification")).await.unwrap();
    assert_eq!((&proof["state"], &proof["flaws"]), (&json!("intact"), &json!([])), "{proof:#}");
    let downtime = done["drill"]["downtime_ms"].as_i64().unwrap();
    assert!(
        (1..10_000).contains(&downtime),
        "a killed instance costs some time, but not much: {downtime} ms"
    );
    assert!(done["journal_problem"].is_null());
    assert_eq!(
        lab_answers(run.lab_port).await.as_deref(),
        Some("a"),
        "the rollback starts the instance again"
    );
    let report = api.request(reqwest::Method::GET, &format!("{path}/report")).send().await.unwrap();
    let report = report.text().await.unwrap();
    assert!(report.contains("<svg") && report.contains("Alih layanan laboratorium"), "{report}");

    // A second start on the same data is refused and leaves the first one as it is, its laboratory too.
    let elsewhere = format!("127.0.0.1:{}", free_port());
    let mut second = Run::start_as("second", folder.path(), &elsewhere, lab_ports());
    assert!(!second.end().await.success() && second.output().contains("already"), "{}", second.output());
    assert_eq!(lab_answers(run.lab_port).await.as_deref(), Some("a"));

    assert!(run.interrupt().await.success(), "{}", run.output());
    assert_eq!(lab_answers(run.lab_port).await, None, "nothing is left running");

    // Another address than the files name is refused with the reason, not printed as if somebody listened there.
    let mut moved = Run::start_as("moved", folder.path(), &elsewhere, run.lab_port);
    assert!(!moved.end().await.success() && moved.output().contains(&listen), "{}", moved.output());

    let mut again = Run::start(folder.path(), &listen, run.lab_port);
    let api = again.api().await;
    assert_eq!(api.get("/api/v1/hosts").await.unwrap().as_array().unwrap().len(), 1);
    assert_eq!(api.get(&path).await.unwrap()["drill"]["status"], "passed", "the data are kept");
    assert!(again.interrupt().await.success());
}
