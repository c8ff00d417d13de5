//! One simulated agent: introduces itself, then sends a sample of each series every 15 seconds, oldest first after the
//! server was away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Method, StatusCode};
use serde::Serialize;
use siaga_protocol::agent_api::Hello;
use siaga_protocol::paths;
use siaga_protocol::remote_write::{self, Sample, TimeSeries, WriteRequest};

use super::state::Agent;
use super::{Office, say};
use crate::sim::calendar::DAY_MS;
use crate::sim::cast::{Machine, SILENT_AFTER_MS, UPGRADE_AFTER_MS};
use crate::sim::client::status;
use crate::sim::host::Host;
use crate::sim::inventory::inventory;
use crate::sim::series::{AGENT_VERSION, Series, series};

/// Seconds between two samples.
const INTERVAL_SECONDS: u32 = 15;
/// Requests that wait while the server is away: an hour of them.
const MAX_WAITING: usize = 240;
/// Agents start this far from one another.
const STAGGER: Duration = Duration::from_millis(150);

/// Runs the agent until it falls silent.
pub(super) async fn run(office: Arc<Office>, machine: Machine, agent: Agent, place: u64) {
    let name = machine.name.clone();
    tokio::time::sleep(STAGGER * u32::try_from(place % 100).unwrap_or(0)).await;
    let live_since_ms = (office.clock)();
    let mut live = match Live::start(&office, machine, agent).await {
        Ok(live) => live,
        Err(error) => return say(&format!("{name}: {error:#}")),
    };
    let mut ticks = tokio::time::interval(Duration::from_secs(INTERVAL_SECONDS.into()));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let now_ms = (office.clock)();
        if live.host.machine.falls_silent && now_ms >= live_since_ms + SILENT_AFTER_MS {
            return say(&format!("{name}: its agent falls silent now"));
        }
        if let Err(error) = live.turn(&office, now_ms).await {
            say(&format!("{name}: {error:#}"));
        }
    }
}

struct Live {
    host: Host,
    agent: Agent,
    series: Vec<Series>,
    waiting: VecDeque<Vec<u8>>,
    /// Whether types of metrics are known to the server, and which inventory is.
    introduced: bool,
    inventory_sent_ms: Option<i64>,
    last_ms: i64,
}

impl Live {
    async fn start(office: &Office, machine: Machine, agent: Agent) -> anyhow::Result<Self> {
        let (seed, anchor_ms, now_ms) = (office.wanted.seed, office.anchor_ms, (office.clock)());
        let origin_ms = anchor_ms - i64::from(office.wanted.days) * DAY_MS;
        let walk = move || {
            let mut host = Host::new(machine, seed, origin_ms, anchor_ms);
            host.at(now_ms);
            host
        };
        let host = tokio::task::spawn_blocking(walk).await.context("the model was interrupted")?;
        let series = series(&host.machine, &agent.instance);
        let live = Self {
            host,
            agent,
            series,
            waiting: VecDeque::new(),
            introduced: false,
            inventory_sent_ms: None,
            last_ms: now_ms,
        };
        let hello = Hello {
            agent_version: AGENT_VERSION.to_owned(),
            interval_seconds: INTERVAL_SECONDS,
            started_at_ms: now_ms,
            actions: Vec::new(),
        };
        live.put(office, paths::HELLO, &hello).await.context("cannot introduce itself")?;
        Ok(live)
    }

    async fn put(&self, office: &Office, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        office.client.send(Method::PUT, path, &self.agent.token, body).await.map(drop)
    }

    async fn turn(&mut self, office: &Office, now_ms: i64) -> anyhow::Result<()> {
        // A clock that is set back does not make counters fall.
        self.last_ms = self.last_ms.max(now_ms);
        if let Some(body) = self.sample(self.last_ms)? {
            self.waiting.push_back(body);
        }
        while self.waiting.len() > MAX_WAITING {
            self.waiting.pop_front();
        }
        self.send_waiting(office).await?;
        self.report_inventory(office, now_ms).await
    }

    fn sample(&mut self, at_ms: i64) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(snapshot) = self.host.at(at_ms) else { return Ok(None) };
        let timeseries = self.series.iter().map(|series| TimeSeries {
            labels: series.wire_labels(),
            samples: vec![Sample { value: series.value(&snapshot), timestamp: at_ms }],
        });
        let mut request = WriteRequest { timeseries: timeseries.collect(), metadata: vec![] };
        if !self.introduced {
            request.metadata = self.series.iter().map(Series::metadata).collect();
            request.metadata.dedup();
        }
        Ok(Some(remote_write::encode(&request)?))
    }

    async fn send_waiting(&mut self, office: &Office) -> anyhow::Result<()> {
        while let Some(body) = self.waiting.front() {
            match office.client.write(paths::REMOTE_WRITE, &self.agent.token, body.clone()).await {
                Ok(()) => self.introduced = true,
                // What is refused for good does not get better by waiting.
                Err(error) if matches!(status(&error), Some(StatusCode::BAD_REQUEST)) => {
                    self.waiting.pop_front();
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
            self.waiting.pop_front();
        }
        Ok(())
    }

    /// Sends the inventory at the start and when it has changed.
    async fn report_inventory(&mut self, office: &Office, now_ms: i64) -> anyhow::Result<()> {
        let changes_at_ms = office.anchor_ms + UPGRADE_AFTER_MS;
        let machine = &self.host.machine;
        let due = match self.inventory_sent_ms {
            None => true,
            Some(sent) => machine.upgrade.is_some() && sent < changes_at_ms && now_ms >= changes_at_ms,
        };
        if !due {
            return Ok(());
        }
        let report = inventory(machine, office.wanted.seed, office.anchor_ms, now_ms);
        match self.put(office, paths::INVENTORY, &report).await {
            Err(error) if status(&error) != Some(StatusCode::NOT_FOUND) => Err(error),
            _ => {
                if self.inventory_sent_ms.is_some() {
                    say(&format!("{}: upgraded, its inventory has changed", machine.name));
                }
                self.inventory_sent_ms = Some(now_ms);
                Ok(())
            }
        }
    }
}
