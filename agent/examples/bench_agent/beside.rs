//! The running agent beside a running node_exporter: memory, processor time and size.
//!
//! All are real processes that are asked once a second: node_exporter is scraped, the agent sends to a receiver here, once
//! with the families of node_exporter alone and once with all that it does by default. Processor time is that of all threads from `/proc/PID/task/*/schedstat`, several runs, of which the median
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

/// What node_exporter does not do.
const ALIKE: &str =
    "disabled_collectors = [\"processes\"]\n[inventory]\nenabled = false\n[discovery]\nenabled = false\n";

/// The agent that runs, and how often it has sent.
struct Agent {
    process: Process,
    collections: Arc<AtomicUsize>,
}

impl Agent {
    async fn start(agent: &Path, folder: &Path, settings: &str) -> anyhow::Result<Self> {
        let collections = Arc::new(AtomicUsize::new(0));
        let url = receiver(Arc::clone(&collections)).await?;
        std::fs::create_dir(folder)?;
        Ok(Self { process: start_agent(agent, folder, &url, settings)?, collections })
    }

    /// Processor time and collections until now.
    fn spent(&self) -> (f64, usize) {
        (self.process.cpu_ms(), self.collections.load(Ordering::Relaxed))
    }

    /// Milliseconds for a collection since then.
    fn since(&self, (ms, collections): (f64, usize)) -> f64 {
        let (now, collected) = self.spent();
        (now - ms) / (collected - collections).max(1) as f64
    }
}

fn start_agent(agent: &Path, folder: &Path, url: &str, settings: &str) -> anyhow::Result<Process> {
    let config = folder.join("agent.toml");
    std::fs::create_dir(folder.join("state"))?;
    let state = folder.join("state");
    std::fs::write(
        &config,
        format!("state_dir = \"{}\"\n[collect]\ninterval_seconds = 1\n{settings}", state.display()),
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

/// Milliseconds of each agent and of node_exporter for a collection, in one run with all at once.
async fn one_run(
    agents: &[Agent; 2],
    exporter: &Process,
    (client, url): (&reqwest::Client, &str),
) -> anyhow::Result<[f64; 3]> {
    let (before, theirs) = (agents.each_ref().map(Agent::spent), exporter.cpu_ms());
    for _ in 0..RUN_SECONDS {
        scrape(client, url).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let theirs = (exporter.cpu_ms() - theirs) / RUN_SECONDS as f64;
    Ok([agents[0].since(before[0]), agents[1].since(before[1]), theirs])
}

/// Measures and prints.
pub(super) async fn run(agent: &Path) -> anyhow::Result<()> {
    siaga_agent::install_tls_provider();
    let folder = tempfile::tempdir()?;
    let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let exporter = Command::new("prometheus-node-exporter")
        .args([format!("--web.listen-address={address}"), "--log.level=error".to_owned()])
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| anyhow::anyhow!("prometheus-node-exporter: {error}: run tests/install-tools.sh"))?;
    let exporter = Process(exporter);
    let program = std::fs::read_link(format!("/proc/{}/exe", exporter.0.id()))?;
    let agents = [
        Agent::start(agent, &folder.path().join("alike"), ALIKE).await?,
        Agent::start(agent, &folder.path().join("all"), "").await?,
    ];
    tokio::time::sleep(WARM_UP).await;
    let (client, url) = (reqwest::Client::builder().no_proxy().build()?, format!("http://{address}/metrics"));
    let mut spent = [const { Vec::new() }; 3];
    for _ in 0..RUNS {
        let run = one_run(&agents, &exporter, (&client, &url)).await?;
        spent.iter_mut().zip(run).for_each(|(all, one)| all.push(one));
    }
    println!("{RUNS} runs of {RUN_SECONDS} collections, all at once; medians");
    println!(
        "  ms a collection: agent {:.3?}, with all {:.3?}, node_exporter {:.3?}",
        spent[0], spent[1], spent[2]
    );
    row("series of node_exporter", scrape(&client, &url).await? as f64, "", None);
    let [alike, all, theirs] = spent.map(median);
    row("CPU a collection: node_exporter", theirs, "ms", None);
    row("CPU a collection: agent, its families, sent", alike, "ms", None);
    row("CPU, agent / node_exporter", alike / theirs, "", Some(0.33));
    row("  with all that the agent does by default", all / theirs, "", None);
    let [alike, all] = agents.each_ref().map(|agent| agent.process.status_mib("VmRSS"));
    let theirs = exporter.status_mib("VmRSS");
    row("resident memory: node_exporter", theirs, "MiB", None);
    row("resident memory: agent, its families", alike, "MiB", None);
    row("  of which anonymous", agents[0].process.status_mib("RssAnon"), "MiB", None);
    row("resident memory, agent / node_exporter", alike / theirs, "", Some(0.4));
    row("  with all that the agent does by default", all / theirs, "", Some(0.4));
    row("binary: node_exporter", mib(&program), "MB", None);
    row("binary: agent", mib(agent), "MB", Some(8.0));
    Ok(())
}
