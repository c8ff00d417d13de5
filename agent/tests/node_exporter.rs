//! Side by side with the real node_exporter: every series of its default output is there, with the same type and the same
//! labels and, where both read the same made-up server, the same figure; or it stands in `node_exporter_left_out.txt`
//! with the reason.
//!
//! Needs `prometheus-node-exporter`, which `tests/install-tools.sh` installs; without it the test fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use siaga_agent::collectors;
use siaga_agent::config::Collect;
use siaga_agent::samples::Recorder;
use siaga_protocol::exposition::{Line, TimeUnit, parse_line};

/// What stands behind a name.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    /// Figures by labels, which are sorted.
    series: BTreeMap<Vec<(String, String)>, f64>,
}

type Families = BTreeMap<String, Family>;

fn families(text: &str) -> Families {
    let mut found = Families::new();
    for line in text.lines() {
        match parse_line(line, TimeUnit::Milliseconds).unwrap() {
            Line::Type { name, kind } => found.entry(name).or_default().kind = kind,
            Line::Sample(sample) => {
                // An empty label is none.
                let mut labels: Vec<_> =
                    sample.labels.into_iter().filter(|(_, text)| !text.is_empty()).collect();
                let place = labels.iter().position(|(label, _)| label == "__name__").unwrap();
                let (_, name) = labels.remove(place);
                labels.sort();
                found.entry(name).or_default().series.insert(labels, sample.value);
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

/// What node_exporter gives by default of the host below `root`, once it answers.
async fn node_exporter(root: &Path) -> String {
    siaga_agent::install_tls_provider();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let below = |option: &str, folder: &str| format!("--path.{option}={}", root.join(folder).display());
    let child = Command::new("prometheus-node-exporter")
        .args([format!("--web.listen-address={address}"), "--log.level=error".to_owned()])
        .args([below("procfs", "proc"), below("sysfs", "sys"), below("udev.data", "run/udev/data")])
        .arg(format!("--path.rootfs={}", root.display()))
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

/// Beginnings of names that are left out, of which each needs a reason.
fn left_out() -> Vec<&'static str> {
    include_str!("node_exporter_left_out.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("a beginning and a reason").0)
        .collect()
}

/// What is another thing in each program: its own process, its own collectors, the moment.
fn is_its_own(name: &str) -> bool {
    name.starts_with("process_")
        || name.starts_with("node_scrape_collector_")
        || name == "node_textfile_scrape_error"
}

/// How ours differ from theirs; figures too where `figures` says so of a name.
fn differences(theirs: &Families, ours: &Families, figures: impl Fn(&str) -> bool) -> Vec<String> {
    let left_out = left_out();
    let mut wrong = Vec::new();
    for (name, their) in
        theirs.iter().filter(|(name, _)| !left_out.iter().any(|start| name.starts_with(start)))
    {
        let Some(our) = ours.get(name) else {
            wrong.push(format!("{name} is missing"));
            continue;
        };
        if our.kind != their.kind {
            wrong.push(format!("{name} is a {}, node_exporter says {}", our.kind, their.kind));
        }
        if is_its_own(name) {
            continue;
        }
        // Later versions than 1.5 leave out compressed memory by default, as the agent does.
        let is_zram = |labels: &[(String, String)]| labels.iter().any(|(_, text)| text.starts_with("zram"));
        for (labels, figure) in their.series.iter().filter(|(labels, _)| !is_zram(labels)) {
            match our.series.get(labels) {
                None => wrong.push(format!("{name} has no series {labels:?}")),
                Some(our) if figures(name) && (our - figure).abs() > figure.abs() * 1e-9 => {
                    wrong.push(format!("{name} {labels:?} is {our}, node_exporter says {figure}"));
                }
                Some(_) => {}
            }
        }
        // Ours may tell more series, of a later kernel or a newer node_exporter, but no other labels.
        let known = their
            .series
            .keys()
            .next()
            .map(|labels| labels.iter().map(|(label, _)| label).collect::<Vec<_>>());
        for labels in our.series.keys().filter(|labels| !their.series.contains_key(*labels)) {
            let same = known
                .as_ref()
                .is_none_or(|known| labels.iter().map(|(label, _)| label).eq(known.iter().copied()));
            if !same {
                wrong.push(format!("{name} has a series of its own with other labels, {labels:?}"));
            }
        }
    }
    wrong
}

#[tokio::test]
async fn every_series_of_node_exporter_is_there_or_left_out_with_a_reason() {
    let mut tries = 0;
    // What comes or goes between the two looks, as an interface does, is there or not for both a moment later.
    loop {
        let theirs = families(&node_exporter(Path::new("/")).await);
        let own = Command::new(env!("CARGO_BIN_EXE_siaga-agent")).arg("once").output().unwrap();
        let ours = families(std::str::from_utf8(&own.stdout).unwrap());
        assert!(theirs.len() > 100, "that is not node_exporter: {theirs:#?}");
        let wrong = differences(&theirs, &ours, |_| false);
        if wrong.is_empty() {
            println!("{} families of node_exporter compared, {} own", theirs.len(), ours.len());
            return;
        }
        tries += 1;
        assert!(tries < 3, "{}", wrong.join("\n"));
    }
}

/// The made-up host with what only other hardware has.
fn rack(root: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let copied = Command::new("cp").arg("-r").arg(fixtures.join("host/.")).arg(root).status().unwrap();
    assert!(copied.success());
    let text = std::fs::read_to_string(fixtures.join("rack.txt")).unwrap();
    for part in format!("\n{text}").split("\n== ").skip(1) {
        let (head, body) = part.split_once('\n').unwrap_or((part, ""));
        let path = |name: &str| -> PathBuf {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        match head.split_once(" -> ") {
            Some((link, target)) => std::os::unix::fs::symlink(target, path(link)).unwrap(),
            None => std::fs::write(path(head), format!("{body}\n")).unwrap(),
        }
    }
}

#[tokio::test]
async fn both_read_the_same_figures_from_a_server_with_other_hardware() {
    let root = tempfile::tempdir().unwrap();
    rack(root.path());
    let mut theirs = families(&node_exporter(root.path()).await);
    // These it asks the kernel of this machine for, over netlink.
    let is_netlink = |name: &str| {
        ["node_network_receive_", "node_network_transmit_"].iter().any(|start| name.starts_with(start))
            && name != "node_network_transmit_queue_length"
    };
    theirs.retain(|name, _| !is_netlink(name));
    let mut recorder = Recorder::default();
    collectors::runner(&Collect::default(), root.path(), &Default::default(), &Default::default())
        .collect(&mut recorder)
        .await;
    let ours = families(&recorder.to_text());
    for beginning in [
        "node_bonding_",
        "node_cooling_device_",
        "node_cpu_core_throttles_total",
        "node_cpu_scaling_frequency_hertz",
        "node_dmi_info",
        "node_edac_",
        "node_hwmon_temp_celsius",
        "node_ipvs_",
        "node_md_state",
        "node_nfs_requests_total",
        "node_nfsd_requests_total",
        "node_nvme_info",
        "node_schedstat_",
        "node_thermal_zone_temp",
        "node_xfs_",
    ] {
        assert!(theirs.keys().any(|name| name.starts_with(beginning)), "the fixture has no {beginning}");
    }
    // These ask the kernel itself and not the files.
    let is_live = |name: &str| {
        ["node_time_seconds", "node_timex_", "node_filesystem_"].iter().any(|start| name.starts_with(start))
    };
    let wrong = differences(&theirs, &ours, |name| !is_live(name));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
