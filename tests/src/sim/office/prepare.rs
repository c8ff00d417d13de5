//! What the office does once: enrol, send history, ask for forecasts, start the drill.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use siaga_protocol::remote_write;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::state::{Agent, State};
use super::{Office, say};
use crate::sim::calendar::DAY_MS;
use crate::sim::cast::Machine;
use crate::sim::client::{Client, status};
use crate::sim::history::{history, moments};
use crate::sim::host::Host;
use crate::sim::inventory::machine_id;

/// Path that takes history.
const HISTORY_PATH: &str = "/api/v1/import/write";
const PLANS_PATH: &str = "/api/v1/plans";
/// File of the shipped plan.
const PLAN_FILE: &str = "lab.toml";
const FORECASTS_PATH: &str = "/api/v1/forecasts/refresh";
/// Samples of a request of history.
const BATCH_SAMPLES: usize = 20_000;
/// Requests of history that are ready, and that are under way.
const READY: usize = 8;
const UNDER_WAY: usize = 4;
/// How often a request is tried that the server is too busy for, and the pause between.
const MAX_ATTEMPTS: u32 = 30;
const PAUSE: Duration = Duration::from_secs(2);
/// How often the drill is tried: the agent of the laboratory may still be on its way.
const MAX_DRILL_ATTEMPTS: u32 = 10;

/// Enrols the hosts that are not enrolled yet.
pub(super) async fn enrol(office: &Office, state: &mut State, machines: &[Machine]) -> anyhow::Result<()> {
    let mut count = 0;
    for machine in machines {
        if state.agent(&machine.name).is_some() {
            continue;
        }
        let id = machine_id(machine, office.wanted.seed);
        let enrolled = office.client.enrol(&office.token, &machine.name, &id).await;
        let enrolled = enrolled.with_context(|| format!("cannot enrol {}", machine.name))?;
        let (name, instance) = (machine.name.clone(), enrolled.instance);
        state.add_agent(Agent { name, instance, token: enrolled.agent_token })?;
        count += 1;
    }
    if count > 0 {
        say(&format!("{count} hosts enrolled"));
    }
    Ok(())
}

/// A packed request and its samples.
struct Packed {
    body: Vec<u8>,
    samples: u64,
}

/// Sends the history of all hosts, unless that was done before.
pub(super) async fn send_history(
    office: &Office,
    state: &mut State,
    machines: &[Machine],
) -> anyhow::Result<()> {
    if state.is_history_sent() {
        say("its history is there already");
        return Ok(());
    }
    let days = i64::from(office.wanted.days);
    say(&format!("sending {days} days of history of {} hosts", machines.len()));
    let from_ms = office.anchor_ms - days * DAY_MS;
    let hosts: Vec<(Host, String)> = machines
        .iter()
        .filter_map(|machine| {
            let instance = state.agent(&machine.name)?.instance.clone();
            Some((Host::new(machine.clone(), office.wanted.seed, from_ms, office.anchor_ms), instance))
        })
        .collect();
    let moments = moments(from_ms, office.anchor_ms);
    let (ready, packed) = mpsc::channel(READY);
    let made = tokio::task::spawn_blocking(move || make_history(hosts, &moments, &ready));
    let begin = Instant::now();
    let samples = send_all(office, packed, machines.len()).await?;
    made.await.context("making history was interrupted")??;
    state.note_history_sent()?;
    say(&format!("{samples} samples of history sent in {:.1} s", begin.elapsed().as_secs_f64()));
    Ok(())
}

/// Makes the history of each host and packs it. Ends early when nobody takes it any more.
fn make_history(
    hosts: Vec<(Host, String)>,
    moments: &[i64],
    ready: &mpsc::Sender<Packed>,
) -> anyhow::Result<()> {
    for (host, instance) in hosts {
        let history = history(host, &instance, moments);
        for request in history.requests(BATCH_SAMPLES) {
            let samples = request.timeseries.iter().map(|series| series.samples.len() as u64).sum();
            let body = remote_write::encode(&request)?;
            if ready.blocking_send(Packed { body, samples }).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn send_all(office: &Office, mut packed: mpsc::Receiver<Packed>, hosts: usize) -> anyhow::Result<u64> {
    let bar = ProgressBar::new_spinner();
    let style =
        ProgressStyle::with_template("{spinner} {human_pos} samples of {prefix} hosts, {per_sec}, {elapsed}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_prefix(hosts.to_string());
    let mut under_way: JoinSet<anyhow::Result<u64>> = JoinSet::new();
    while let Some(next) = packed.recv().await {
        if under_way.len() >= UNDER_WAY
            && let Some(done) = under_way.join_next().await
        {
            bar.inc(done??);
        }
        under_way.spawn(send_one(office.client.clone(), office.token.clone(), next));
    }
    while let Some(done) = under_way.join_next().await {
        bar.inc(done??);
    }
    bar.finish_and_clear();
    Ok(bar.position())
}

async fn send_one(client: Client, token: String, packed: Packed) -> anyhow::Result<u64> {
    for attempt in 1.. {
        match client.write(HISTORY_PATH, &token, packed.body.clone()).await {
            Ok(()) => break,
            Err(error)
                if attempt < MAX_ATTEMPTS
                    && matches!(
                        status(&error),
                        Some(StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
                    ) =>
            {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error.context("history was not taken")),
        }
    }
    Ok(packed.samples)
}

/// Asks for forecasts now rather than at the next hour.
pub(super) async fn ask_for_forecasts(office: &Office) {
    say("asking for forecasts");
    let body = serde_json::json!({});
    if let Err(error) = office.client.send(Method::POST, FORECASTS_PATH, &office.token, &body).await {
        say(&format!("no forecasts yet: {error:#}"));
    }
}

/// A plan as the server lists it.
#[derive(Debug, Deserialize)]
struct Plan {
    file: String,
    id: String,
}

/// Starts the shipped drill, once in the office's life. It is a real one, on the laboratory of this machine.
pub(super) async fn start_drill(office: &Office, state: &mut State) -> anyhow::Result<()> {
    if state.is_drill_started() {
        return Ok(());
    }
    for attempt in 1..=MAX_DRILL_ATTEMPTS {
        match begin_drill(office).await {
            Ok(plan) => {
                say(&format!("the drill {plan} has begun, see the page Kelangsungan"));
                return state.note_drill_started();
            }
            Err(error) if attempt == MAX_DRILL_ATTEMPTS => say(&format!("no drill: {error:#}")),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
    Ok(())
}

async fn begin_drill(office: &Office) -> anyhow::Result<String> {
    let plans: Vec<Plan> = office.client.get(PLANS_PATH, &office.token).await?;
    let plan = plans.into_iter().find(|plan| plan.file == PLAN_FILE);
    let plan = plan.with_context(|| format!("the server has no plan {PLAN_FILE}"))?;
    let path = format!("{PLANS_PATH}/{}/drills", plan.id);
    office.client.send(Method::POST, &path, &office.token, &serde_json::json!({})).await?;
    Ok(plan.id)
}
