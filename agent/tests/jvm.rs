//! A real Java virtual machine through Jolokia, and the status page of Play 1 as its source writes it.
//!
//! Needs a JDK and Debian's `libjolokia-core-java`, which `tests/install-tools.sh` installs; without them the test fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::io::BufRead;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use siaga_agent::config::Config;
use siaga_agent::samples::{Output, Recorder};
use siaga_agent::services::{self, Boards};

struct Jvm {
    process: Child,
    port: u16,
}

impl Jvm {
    fn start() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/Jolokia.java");
        let mut process = Command::new("java")
            .args(["-Xmx64m", "-cp", "/usr/share/java/jolokia-core.jar:/usr/share/java/json-simple.jar"])
            .arg(source)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("there is no java: run tests/install-tools.sh");
        let mut line = String::new();
        std::io::BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().expect("Jolokia did not start: run tests/install-tools.sh");
        Self { process, port }
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn ask(config: &str) -> String {
    siaga_agent::install_tls_provider();
    let config = Config::parse(config, Path::new("test.toml")).unwrap();
    let boards = Arc::new(Boards::default());
    services::ask_once(&config.services, &boards).await;
    let (mut output, mut recorder) = (Output::default(), Recorder::default());
    boards.read(&mut output);
    recorder.begin();
    recorder.take_up(&output);
    recorder.end();
    recorder.to_text()
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series) && !line.starts_with('#'));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

fn jvm(name: &str, kind: &str, url: &str, more: &str) -> String {
    format!("[[services.jvms]]\nname = \"{name}\"\nkind = \"{kind}\"\nurl = \"{url}\"\n{more}\n")
}

#[tokio::test]
async fn a_real_jvm_tells_heap_pools_collections_threads_and_files_through_jolokia() {
    let java = Jvm::start();
    let url = format!("http://127.0.0.1:{}/jolokia", java.port);
    let text =
        ask(&(jvm("spse", "jolokia", &url, "") + &jvm("dead", "jolokia", "http://127.0.0.1:1", ""))).await;
    assert_eq!(value(&text, "jvm_up{server=\"spse\"}"), 1.0, "{text}");
    assert_eq!(value(&text, "jvm_up{server=\"dead\"}"), 0.0);
    let heap =
        |part: &str| value(&text, &format!("jvm_memory_bytes_{part}{{area=\"heap\",server=\"spse\"}}"));
    assert!(0.0 < heap("used") && heap("used") <= heap("committed") && heap("committed") <= heap("max"));
    assert!(heap("max") <= 64.0 * 1024.0 * 1024.0, "as its command line says");
    assert!(value(&text, "jvm_memory_bytes_used{area=\"nonheap\"") > 0.0);
    assert!(value(&text, "jvm_memory_pool_bytes_used{pool=\"Metaspace\"") > 0.0);
    assert!(
        text.contains(
            "# TYPE jvm_gc_collection_seconds_count counter\njvm_gc_collection_seconds_count{gc=\""
        )
    );
    assert!(value(&text, "jvm_gc_collection_seconds_sum{gc=\"") >= 0.0);
    assert!(value(&text, "jvm_threads_current{") >= value(&text, "jvm_threads_daemon{"));
    assert!(value(&text, "jvm_classes_loaded{") > 100.0);
    let open = std::fs::read_dir(format!("/proc/{}/fd", java.process.id())).unwrap().count() as f64;
    assert!((value(&text, "process_open_fds{server=\"spse\"}") - open).abs() < 10.0);
    assert!(value(&text, "process_cpu_seconds_total{server=\"spse\"}") > 0.0);
    let now = siaga_agent::clock::now_ms() as f64 / 1e3;
    assert!((now - 600.0..now).contains(&value(&text, "process_start_time_seconds{server=\"spse\"}")));
}

/// What Play 1 answers at its status page.
async fn play() -> String {
    let status = |headers: HeaderMap| async move {
        if headers.get("authorization").is_none_or(|key| key != "kunci") {
            return (StatusCode::UNAUTHORIZED, "{\"error\": \"Not authorized\"}");
        }
        let text = "{\"play.plugins.PlayStatusPlugin\":{\"java\":{\"version\":\"1.8.0\"},\"memory\":{\"max\":4000,\
                    \"free\":600,\"total\":1000},\"application\":{\"uptime\":60000,\"path\":\"/home/appserver/rahasia\"},\
                    \"monitors\":[{\"name\":\"Paket.rahasia(), ms.\",\"hits\":2.0}]},\"play.db.DBPlugin\":{}}";
        (StatusCode::OK, text)
    };
    let router = Router::new().route("/eproc4/@status.json", get(status));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/eproc4", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

#[tokio::test]
async fn play_tells_its_heap_to_who_has_the_key_and_no_text_of_it_leaves_the_host() {
    let (url, dir) = (play().await, tempfile::tempdir().unwrap());
    let key = dir.path().join("key");
    std::fs::write(&key, "kunci\n").unwrap();
    let key = format!("key_file = \"{}\"", key.display());
    let text = ask(&(jvm("spse", "play", &url, &key) + &jvm("locked", "play", &url, ""))).await;
    for (series, expected) in [
        ("jvm_up{server=\"spse\"}", 1.0),
        ("jvm_up{server=\"locked\"}", 0.0),
        ("jvm_memory_bytes_used{area=\"heap\",server=\"spse\"}", 400.0),
        ("jvm_memory_bytes_committed{area=\"heap\",server=\"spse\"}", 1_000.0),
        ("jvm_memory_bytes_max{area=\"heap\",server=\"spse\"}", 4_000.0),
    ] {
        assert_eq!(value(&text, series), expected, "{series}\n{text}");
    }
    let age = siaga_agent::clock::now_ms() as f64 / 1e3
        - value(&text, "process_start_time_seconds{server=\"spse\"}");
    assert!((55.0..120.0).contains(&age), "{age}");
    assert!(!text.contains("rahasia") && !text.contains("kunci"), "{text}");
}
