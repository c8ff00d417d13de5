//! Side by side with the real node_exporter on this machine: every family of its default output is there, with the
//! same type and the same label names, or stands in `node_exporter_left_out.txt` with the reason.
//!
//! Needs `prometheus-node-exporter`, which `tests/install-tools.sh` installs; without it the test fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use siaga_protocol::exposition::{Line, TimeUnit, parse_line};

/// Name -> type and label names.
type Families = BTreeMap<String, (String, BTreeSet<String>)>;

fn families(text: &str) -> Families {
    let mut found = Families::new();
    for line in text.lines() {
        match parse_line(line, TimeUnit::Milliseconds).unwrap() {
            Line::Type { name, kind } => {
                found.entry(name).or_default().0 = kind;
            }
            Line::Sample(sample) => {
                let name = sample.labels.iter().find(|(label, _)| label == "__name__").unwrap().1.clone();
                let labels = sample.labels.into_iter().map(|(label, _)| label).filter(|l| l != "__name__");
                found.entry(name).or_default().1.extend(labels);
            }
            _ => {}
        }
    }
    found
}

struct Exporter(Child);

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What node_exporter gives by default, once it answers.
async fn node_exporter() -> String {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = Command::new("prometheus-node-exporter")
        .args([format!("--web.listen-address={address}"), "--log.level=error".to_owned()])
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus-node-exporter is not installed: run tests/install-tools.sh");
    let _exporter = Exporter(child);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let since = Instant::now();
    loop {
        if let Ok(answer) = client.get(format!("http://{address}/metrics")).send().await {
            return answer.text().await.unwrap();
        }
        assert!(since.elapsed() < Duration::from_secs(30), "node_exporter never answered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn every_family_of_node_exporter_is_there_or_left_out_with_a_reason() {
    siaga_agent::install_tls_provider();
    let theirs = families(&node_exporter().await);
    let own = Command::new(env!("CARGO_BIN_EXE_siaga-agent")).arg("once").output().unwrap();
    let ours = families(std::str::from_utf8(&own.stdout).unwrap());
    let left_out: Vec<&str> = include_str!("node_exporter_left_out.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("a beginning and a reason").0)
        .collect();
    assert!(theirs.len() > 100, "that is not node_exporter: {theirs:#?}");
    let mut wrong = Vec::new();
    for (name, (kind, labels)) in &theirs {
        if left_out.iter().any(|beginning| name.starts_with(beginning)) {
            continue;
        }
        match ours.get(name) {
            None => wrong.push(format!("{name} is missing")),
            Some((our_kind, _)) if our_kind != kind => {
                wrong.push(format!("{name} is a {our_kind}, node_exporter says {kind}"));
            }
            Some((_, ours)) if !labels.is_subset(ours) => {
                wrong.push(format!("{name} has labels {ours:?}, node_exporter {labels:?}"));
            }
            Some(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} families of node_exporter compared, {} own", theirs.len(), ours.len());
}
