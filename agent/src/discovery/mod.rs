//! Finds what listens on this host, recognises it, and watches what the server orders to.
//!
//! - `sockets` reads the ports, `owners` the programs behind them, `recognise` and `question` find out what they are,
//!   `memory` decides what counts and keeps it, `proposal` says how it could be watched.
//!
//! Invariants: an order names what this agent has found itself on its own loopback, never an address; the host's own file
//! can forbid it; a service is asked once for each of its starts, one after the other, each question bounded; what the
//! file watches already is not watched twice.

mod memory;
mod owners;
mod proposal;
mod question;
mod recognise;
mod sockets;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use siaga_protocol::inventory::{Listener, Proposal, WatchedBy};
use siaga_protocol::orders::{Order, OrderKind};
use tokio::sync::watch;

use self::memory::{Memory, Recognised};
use self::proposal::Target;
use self::sockets::Port;
use crate::config::Config;
use crate::config::services::Services;
use crate::context::Context;
use crate::inventory::Names;
use crate::{durable, state};

/// Name of its file in the agent's folder.
const FILE: &str = "discovery.json";
/// The second look comes after this time at the latest, so that a new agent soon has something to tell.
const SECOND_LOOK: Duration = Duration::from_secs(30);

/// What was found and what is watched by order, shared by the agent's tasks.
#[derive(Debug)]
pub struct Discovery {
    root: PathBuf,
    file: PathBuf,
    memory: Mutex<Memory>,
    /// The configuration that `services` were read from.
    watched: Mutex<String>,
    listeners: watch::Sender<Option<Vec<Listener>>>,
    services: watch::Sender<Arc<Services>>,
}

impl Discovery {
    /// Reads what was known before.
    #[must_use]
    pub fn open(config: &Config) -> Self {
        let file = config.state_dir.join(FILE);
        let memory = durable::read_json(&file).unwrap_or_else(|error| {
            tracing::error!(error = crate::error_chain(&error), "what was switched on is forgotten");
            None
        });
        let discovery = Self {
            root: "/".into(),
            file,
            memory: Mutex::new(memory.unwrap_or_default()),
            watched: Mutex::default(),
            listeners: watch::Sender::new(None),
            services: watch::Sender::new(Arc::default()),
        };
        discovery.publish(config);
        discovery
    }

    /// What listens, for the report; none before the first looks and where discovery is switched off.
    #[must_use]
    pub fn listeners(&self) -> watch::Receiver<Option<Vec<Listener>>> {
        self.listeners.subscribe()
    }

    /// What is to be asked because an order said so.
    #[must_use]
    pub fn services(&self) -> watch::Receiver<Arc<Services>> {
        self.services.subscribe()
    }

    /// Carries out an order that was found to be true. The same order may come twice.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn obey(&self, order: &Order, config: &Config, now_ms: i64) -> Result<(), &'static str> {
        let mut memory = self.memory();
        let mut changed = memory.clone();
        changed.forget_old(now_ms);
        match order.kind {
            OrderKind::Watch if !config.discovery.obeys() => {
                return Err("this host's configuration forbids to switch on from the console");
            }
            OrderKind::Watch => changed.switch_on(&order.action, order.expires_at_ms)?,
            OrderKind::Unwatch => changed.switch_off(&order.action, order.expires_at_ms)?,
            OrderKind::Run | OrderKind::Undo => return Err("an action is none of discovery"),
        }
        if *memory != changed {
            durable::write_json(&self.file, &changed).map_err(|error| {
                tracing::error!(error = crate::error_chain(&error), "an order cannot be remembered");
                "this host cannot write to its disk"
            })?;
            *memory = changed;
        }
        drop(memory);
        self.publish(config);
        Ok(())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the other tasks what is known now.
    fn publish(&self, config: &Config) {
        let memory = self.memory();
        let by_file = proposal::watched_ports(&config.services, &state::hostname());
        let is_on = |target: &&Target| config.discovery.obeys() && !by_file.contains(&target.port);
        let on = memory.switched.values().filter(|switched| switched.is_on).map(|switched| &switched.target);
        let on: Vec<&Target> = on.filter(is_on).collect();
        let text: String = on.iter().map(|target| target.config(&self.root)).collect();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if *watched != text {
            self.services.send_replace(Arc::new(proposal::services(&text)));
            *watched = text;
        }
        drop(watched);
        let ids: BTreeSet<String> = on.iter().map(|target| target.id()).collect();
        let known = memory.is_known();
        let listeners = (config.discovery.enabled && known).then(|| {
            let tell =
                |(port, found): (&u16, &memory::Found)| self.tell(*port, found, config, &by_file, &ids);
            memory.found.iter().map(tell).collect::<Vec<_>>()
        });
        self.listeners.send_if_modified(|old| {
            let is_new = *old != listeners;
            *old = listeners;
            is_new
        });
    }

    fn tell(
        &self,
        port: u16,
        found: &memory::Found,
        config: &Config,
        by_file: &BTreeSet<u16>,
        on: &BTreeSet<String>,
    ) -> Listener {
        let id = proposal::id(found.kind, port);
        let watched = if by_file.contains(&port) {
            Some(WatchedBy::Configuration)
        } else {
            on.contains(&id).then_some(WatchedBy::Console)
        };
        let propose = |target: &Target| Proposal {
            config: target.config(&self.root),
            needs: target.needs(&self.root),
            can_switch_on: config.discovery.obeys(),
        };
        Listener {
            port,
            addresses: found.addresses.iter().map(ToString::to_string).collect(),
            kind: found.kind.code().to_owned(),
            process: found.process.clone(),
            user: found.user.clone(),
            banner: found.banner.clone(),
            proposal: found.target.as_ref().map(propose),
            watched,
            id,
        }
    }

    /// Looks once, asks what is new, and tells.
    async fn look(&self, config: &Config) {
        let root = self.root.clone();
        let Ok(ports) = tokio::task::spawn_blocking(move || sockets::read(&root)).await else { return };
        let (to_ask, before) = {
            let mut memory = self.memory();
            let before = memory.clone();
            (memory.note(&ports), before)
        };
        if !to_ask.is_empty() {
            let inodes = to_ask.iter().filter_map(|port| ports.get(port)).flat_map(|port| &port.inodes);
            let (root, inodes) = (self.root.clone(), inodes.copied().collect());
            let names =
                tokio::task::spawn_blocking(move || (owners::names(&root, inodes), Names::read(&root)));
            let Ok((programs, users)) = names.await else { return };
            for number in to_ask {
                let Some(port) = ports.get(&number) else { continue };
                let now = recognise_port(number, port, &programs, users.user(port.uid), config).await;
                self.memory().recognise(number, port, now);
            }
        }
        let now = self.memory().clone();
        let is_kept = |memory: &Memory| serde_json::to_string(memory).ok();
        if is_kept(&before) != is_kept(&now)
            && let Err(error) = durable::write_json(&self.file, &now)
        {
            tracing::warn!(error = crate::error_chain(&error), "what listens here is kept in memory only");
        }
        self.publish(config);
    }
}

async fn recognise_port(
    number: u16,
    port: &Port,
    programs: &BTreeMap<u64, String>,
    user: String,
    config: &Config,
) -> Recognised {
    let held_by: BTreeSet<&str> =
        port.inodes.iter().filter_map(|inode| programs.get(inode)).map(String::as_str).collect();
    let process = held_by.into_iter().collect::<Vec<_>>().join(", ");
    let guess = recognise::guess(number, &process, &user, config.discovery.ask_unknown_ports);
    let address = proposal::loopback(&port.addresses);
    let answer = match (address, guess.question) {
        (Some(address), Some(question)) => {
            question::ask(SocketAddr::new(address, number), question, guess).await
        }
        _ => None,
    };
    let was_asked = address.is_some() && guess.question.is_some();
    let is_unanswered = was_asked && answer.is_none();
    let found = answer.unwrap_or_else(|| question::Confirmed {
        // A number alone is no proof against a service that was asked and did not answer as it should.
        kind: if is_unanswered && !guess.by_program { recognise::Kind::Unknown } else { guess.kind },
        ..question::Confirmed::default()
    });
    let target = address.filter(|_| !is_unanswered && proposal::can_be_watched(found.kind)).map(|address| {
        Target { kind: found.kind, port: number, address, page: found.page, status: found.status }
    });
    Recognised { kind: found.kind, process, user, banner: found.banner, target, is_unanswered }
}

/// Looks again and again until it is stopped.
pub async fn run(context: Context) {
    let mut watched = context.running.clone();
    let mut pause = SECOND_LOOK;
    loop {
        let running = Arc::clone(&watched.borrow_and_update());
        let config = &running.config;
        if config.discovery.enabled {
            context.discovery.look(config).await;
        } else {
            context.discovery.publish(config);
        }
        let interval = config.discovery.interval_seconds.seconds();
        let changed = tokio::select! {
            () = tokio::time::sleep(pause.min(interval)) => Ok(()),
            changed = watched.changed() => changed,
        };
        if changed.is_err() {
            return;
        }
        pause = interval;
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(folder: &Path, further: &str) -> Config {
        let text =
            format!("state_dir = '{}'\n[discovery]\nask_unknown_ports = true\n{further}", folder.display());
        Config::parse(&text, Path::new("test.toml")).unwrap()
    }

    fn order(kind: OrderKind, action: &str, expires_at_ms: i64) -> Order {
        Order {
            id: "o".into(),
            host_id: "h".into(),
            drill_id: String::new(),
            action: action.into(),
            kind,
            expires_at_ms,
            undo_at_ms: None,
        }
    }

    /// An exporter on the loopback.
    async fn exporter() -> u16 {
        let router = axum::Router::new().route("/metrics", axum::routing::get(async || "up_and_well 1\n"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, router).await });
        port
    }

    fn told(discovery: &Discovery, port: u16) -> Option<Listener> {
        discovery.listeners.borrow().iter().flatten().find(|listener| listener.port == port).cloned()
    }

    #[tokio::test]
    async fn an_exporter_is_found_proposed_switched_on_kept_and_switched_off() {
        let folder = tempfile::tempdir().unwrap();
        let (port, config) = (exporter().await, config(folder.path(), ""));
        let discovery = Discovery::open(&config);
        discovery.look(&config).await;
        assert_eq!(told(&discovery, port), None, "it may be gone in a moment");
        discovery.look(&config).await;
        let found = told(&discovery, port).unwrap();
        assert_eq!(
            (found.kind.as_str(), found.id.as_str()),
            ("exporter", format!("exporter-{port}").as_str())
        );
        assert!(found.proposal.unwrap().can_switch_on && found.watched.is_none());

        discovery.obey(&order(OrderKind::Watch, &found.id, 10), &config, 0).unwrap();
        assert_eq!(told(&discovery, port).unwrap().watched, Some(WatchedBy::Console));
        let again = Discovery::open(&config);
        let services = again.services().borrow().clone();
        assert_eq!(services.scrapes[0].url.as_str(), format!("http://127.0.0.1:{port}/metrics"));
        assert_eq!(told(&again, port).unwrap().watched, Some(WatchedBy::Console));

        again.obey(&order(OrderKind::Unwatch, &found.id, 11), &config, 0).unwrap();
        assert_eq!(**again.services().borrow(), Services::default());
        assert!(again.obey(&order(OrderKind::Watch, &found.id, 10), &config, 0).is_err(), "a replayed order");
    }

    #[tokio::test]
    async fn the_hosts_own_file_decides_before_the_console() {
        let folder = tempfile::tempdir().unwrap();
        let port = exporter().await;
        let id = format!("exporter-{port}");
        let free = config(folder.path(), "");
        let discovery = Discovery::open(&free);
        discovery.look(&free).await;
        discovery.look(&free).await;
        discovery.obey(&order(OrderKind::Watch, &id, 10), &free, 0).unwrap();

        let closed = config(folder.path(), "switch_on_from_console = false");
        assert!(discovery.obey(&order(OrderKind::Watch, &id, 12), &closed, 0).is_err());
        assert!(discovery.services().borrow().scrapes.len() == 1);
        discovery.publish(&closed);
        assert_eq!(**discovery.services().borrow(), Services::default());
        let found = told(&discovery, port).unwrap();
        assert!(found.watched.is_none() && !found.proposal.unwrap().can_switch_on);

        let text = format!("[[services.scrapes]]\nname = 'own'\nurl = 'http://localhost:{port}/metrics'");
        discovery.publish(&config(folder.path(), &text));
        assert_eq!(told(&discovery, port).unwrap().watched, Some(WatchedBy::Configuration));
        assert_eq!(**discovery.services().borrow(), Services::default(), "it is watched once");
        let off = config(folder.path(), "enabled = false");
        discovery.publish(&off);
        assert!(discovery.listeners.borrow().is_none());
    }
}
