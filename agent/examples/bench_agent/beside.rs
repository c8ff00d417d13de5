//! The running agent beside a running node_exporter: memory, processor time and size.
//!
//! Both are real processes that somebody asks once a second: node_exporter is scraped, the agent sends to a receiver
//! here. Processor time is that of all threads from `/proc/PID/task/*/schedstat`, several runs, of which the median
//! counts. Memory is read at the end, in the steady state.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get};

use super::row;

/// After this time blocking threads of the start have gone.
const WARM_UP: Duration = Duration::from_secs(14);
const RUNS: usize = 5;
/// Collections in one run, one a second.
const RUN_SECONDS: usize = 10;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn cpu_ms(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).into_iter().flatten().flatten();
        let spent = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok());
        spent.filter_map(|text| text.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1e6
    }

    fn status_mib(&self, field: &str) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib: f64 = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
        kib / 1024.0
    }
}

fn mib(path: &Path) -> f64 {
    std::fs::metadata(path).map_or(0.0, |meta| meta.len() as f64 / 1e6)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Takes what the agent sends and counts the collections.
async fn receiver(collections: Arc<AtomicUsize>) -> anyhow::Result<String> {
    let write = move || {
        collections.fetch_add(1, Ordering::Relaxed);
        async { StatusCode::NO_CONTENT }
    };
    let orders = || async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        "{\"orders\":[]}"
    };
    let router = Router::new()
        .route(siaga_protocol::paths::REMOTE_WRITE, any(write))
        .route(siaga_protocol::paths::ORDERS, get(orders))
        .fallback(|| async { StatusCode::NO_CONTENT });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

fn start_agent(agent: &Path, folder: &Path, url: &str) -> anyhow::Result<Process> {
    let config = folder.join("agent.toml");
    std::fs::create_dir(folder.join("state"))?;
    let state = folder.join("state");
    std::fs::write(
        &config,
        format!("state_dir = \"{}\"\n[collect]\ninterval_seconds = 1\n", state.display()),
    )?;
    let credentials = format!(
        "{{\"server\":\"{url}\",\"host_id\":\"h\",\"instance\":\"bench\",\"agent_token\":\"t\",\"order_key\":\"\"}}"
    );
    std::fs::write(state.join("credentials.json"), credentials)?;
    let child = Command::new(agent).arg("run").arg("--config").arg(config).stderr(Stdio::null()).spawn()?;
    Ok(Process(child))
}

async fn scrape(client: &reqwest::Client, url: &str) -> anyhow::Result<usize> {
    Ok(client.get(url).send().await?.text().await?.lines().filter(|line| !line.starts_with('#')).count())
}

/// Milliseconds of the agent and of node_exporter for a collection, in one run with both at once.
async fn one_run(
    (agent, collections): (&Process, &AtomicUsize),
    exporter: &Process,
    (client, url): (&reqwest::Client, &str),
) -> anyhow::Result<(f64, f64)> {
    let (ours, theirs, before) = (agent.cpu_ms(), exporter.cpu_ms(), collections.load(Ordering::Relaxed));
    for _ in 0..RUN_SECONDS {
        scrape(client, url).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let collected = (collections.load(Ordering::Relaxed) - before).max(1);
    Ok(((agent.cpu_ms() - ours) / collected as f64, (exporter.cpu_ms() - theirs) / RUN_SECONDS as f64))
}

/// Measures and prints.
pub(super) async fn run(agent: &Path) -> anyhow::Result<()> {
    siaga_agent::install_tls_provider();
    let folder = tempfile::tempdir()?;
    let collections = Arc::new(AtomicUsize::new(0));
    let receiver = receiver(Arc::clone(&collections)).await?;
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let exporter = Command::new("prometheus-node-exporter")
        .args([format!("--web.listen-address={address}"), "--log.level=error".to_owned()])
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| anyhow::anyhow!("prometheus-node-exporter: {error}: run tests/install-tools.sh"))?;
    let exporter = Process(exporter);
    let program = std::fs::read_link(format!("/proc/{}/exe", exporter.0.id()))?;
    let agent_process = start_agent(agent, folder.path(), &receiver)?;
    tokio::time::sleep(WARM_UP).await;
    let (client, url) = (reqwest::Client::builder().no_proxy().build()?, format!("http://{address}/metrics"));
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (our, their) = one_run((&agent_process, &collections), &exporter, (&client, &url)).await?;
        ours.push(our);
        theirs.push(their);
    }
    println!("{RUNS} runs of {RUN_SECONDS} collections, both at once; medians");
    println!("  agent ms a collection {ours:.3?}, node_exporter {theirs:.3?}");
    row("series of node_exporter", scrape(&client, &url).await? as f64, "", None);
    let (ours, theirs) = (median(ours), median(theirs));
    row("CPU a collection: node_exporter", theirs, "ms", None);
    row("CPU a collection: agent, sending included", ours, "ms", None);
    row("CPU, agent / node_exporter", ours / theirs, "", Some(0.33));
    let (ours, theirs) = (agent_process.status_mib("VmRSS"), exporter.status_mib("VmRSS"));
    row("resident memory: node_exporter", theirs, "MiB", None);
    row("resident memory: agent", ours, "MiB", None);
    row("  of which anonymous", agent_process.status_mib("RssAnon"), "MiB", None);
    row("resident memory, agent / node_exporter", ours / theirs, "", Some(0.4));
    row("binary: node_exporter", mib(&program), "MB", None);
    row("binary: agent", mib(agent), "MB", Some(8.0));
    Ok(())
}
