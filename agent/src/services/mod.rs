//! What is asked from this host, over the network or of another program: exporters, probes, time servers, databases,
//! systemd. Each has a task and an interval of
//! its own, so that one that does not answer delays no other and no collection; what it found last lies on its board,
//! from which the collector `services` takes it at each tick.
//!
//! Invariants: every question has a time limit below its interval; a question that fails still gives its series, with a
//! figure that says so; nothing that comes from outside may bear a name that only Siaga writes.

mod clock_offset;
mod der;
pub(crate) mod dns;
mod http;
mod icmp;
mod jvm;
mod postgres;
mod probe;
mod relabel;
mod scrape;
mod systemd;
mod tls;
mod web_server;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::clock;
use crate::config::services::{Asked, Services};
use crate::context::Context;
use crate::samples::Output;

/// Largest answer of an exporter or a status page, in bytes.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

type Board = Arc<Mutex<Output>>;

/// The boards of all services.
#[derive(Default)]
pub struct Boards(Mutex<Vec<Board>>);

impl Boards {
    /// Appends what lies on all boards.
    pub fn read(&self, out: &mut Output) {
        for board in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            out.append(&board.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }

    fn replace(&self, number: usize) -> Vec<Board> {
        let boards: Vec<Board> = (0..number).map(|_| Board::default()).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&boards);
        boards
    }
}

/// Asks all services until it is stopped; begins again when they change in the configuration.
pub async fn run(context: Context) {
    let mut watched = context.running.clone();
    let mut switched_on = context.discovery.services();
    loop {
        let services = watched.borrow_and_update().config.services.clone();
        let further = Arc::clone(&switched_on.borrow_and_update());
        let mut list = list(&services);
        list.extend(asked_by_address(&further));
        let mut tasks = JoinSet::new();
        for (service, board) in list.iter().cloned().zip(context.boards.replace(list.len())) {
            tasks.spawn(ask_again_and_again(service, board));
        }
        loop {
            let changed = tokio::select! {
                changed = watched.changed() => changed,
                changed = switched_on.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
            if watched.borrow_and_update().config.services != services
                || *switched_on.borrow_and_update() != further
            {
                break;
            }
        }
        tasks.shutdown().await;
    }
}

/// Asks all services once, all at the same time.
pub async fn ask_once(services: &Services, boards: &Boards) {
    let list = list(services);
    let mut tasks = JoinSet::new();
    for (service, board) in list.iter().cloned().zip(boards.replace(list.len())) {
        tasks.spawn(async move { ask(&service, &board).await });
    }
    tasks.join_all().await;
}

#[derive(Clone)]
enum Service {
    Scrape(crate::config::services::Scrape),
    Probe(crate::config::services::Probe),
    Time(crate::config::services::TimeServer),
    Postgres(crate::config::services::Postgres),
    Systemd(crate::config::services::Systemd),
    WebServer(crate::config::services::WebServer),
    Jvm(crate::config::services::Jvm),
}

fn list(services: &Services) -> Vec<Service> {
    let systemd = Some(&services.systemd).filter(|systemd| systemd.enabled).cloned().map(Service::Systemd);
    asked_by_address(services).chain(systemd).collect()
}

fn asked_by_address(services: &Services) -> impl Iterator<Item = Service> {
    let scrapes = services.scrapes.iter().cloned().map(Service::Scrape);
    let probes = services.probes.iter().cloned().map(Service::Probe);
    let times = services.time_servers.iter().cloned().map(Service::Time);
    let databases = services.postgres.iter().cloned().map(Service::Postgres);
    let web_servers = services.web_servers.iter().cloned().map(Service::WebServer);
    let jvms = services.jvms.iter().cloned().map(Service::Jvm);
    scrapes.chain(probes).chain(times).chain(databases).chain(web_servers).chain(jvms)
}

impl Service {
    fn asked(&self) -> Asked {
        match self {
            Self::Scrape(scrape) => scrape.asked(),
            Self::Probe(probe) => probe.asked(),
            Self::Time(server) => server.asked(),
            Self::Postgres(server) => server.asked(),
            Self::Systemd(systemd) => systemd.asked(),
            Self::WebServer(server) => server.asked(),
            Self::Jvm(jvm) => jvm.asked(),
        }
    }
}

async fn ask_again_and_again(service: Service, board: Board) {
    loop {
        ask(&service, &board).await;
        tokio::time::sleep(until_next(clock::now_ms(), service.asked())).await;
    }
}

/// Time until the next question: so long before a whole multiple of the interval that the answer is there for the
/// collection at that time.
fn until_next(now_ms: i64, asked: Asked) -> Duration {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let interval = ms(asked.interval());
    let lead = ms(asked.timeout()).min(interval / 2);
    let rest = interval - (now_ms + lead).rem_euclid(interval);
    // One that was just asked, a moment before its time, is not asked twice.
    let rest = if rest < interval / 10 { rest + interval } else { rest };
    Duration::from_millis(rest.unsigned_abs())
}

async fn ask(service: &Service, board: &Board) {
    let mut out = Output::default();
    match service {
        Service::Scrape(scrape) => scrape::ask(scrape, &mut out).await,
        Service::Probe(probe) => probe::ask(probe, &mut out).await,
        Service::Time(server) => clock_offset::ask(server, &mut out).await,
        Service::Postgres(server) => postgres::ask(server, &mut out).await,
        Service::Systemd(systemd) => systemd::ask(systemd, &mut out).await,
        Service::WebServer(server) => web_server::ask(server, &mut out).await,
        Service::Jvm(jvm) => jvm::ask(jvm, &mut out).await,
    }
    *board.lock().unwrap_or_else(PoisonError::into_inner) = out;
}

/// The first address of a host, whose port may stand behind it.
async fn resolve(address: &str, port: u16) -> Result<std::net::SocketAddr, String> {
    let has_port = address.rsplit_once(':').is_some_and(|(host, port)| {
        port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']'))
    });
    let found = match has_port {
        true => tokio::net::lookup_host(address).await.map(|mut found| found.next()),
        false => {
            let host = address.trim_matches(['[', ']']);
            tokio::net::lookup_host((host, port)).await.map(|mut found| found.next())
        }
    };
    found.map_err(|e| e.to_string())?.ok_or_else(|| format!("{address} has no address"))
}

/// Which version of IP an address is of.
fn ip_protocol(address: std::net::SocketAddr) -> u8 {
    if address.is_ipv4() { 4 } else { 6 }
}

/// The text behind an address of this host.
async fn fetch(url: &str, timeout: Duration) -> Result<String, String> {
    let client = client(timeout, url.starts_with("https://")).map_err(|e| crate::error_chain(&e))?;
    read(client.get(url)).await
}

/// The text of an answer that says that all is well.
async fn read(request: reqwest::RequestBuilder) -> Result<String, String> {
    let mut response = request.send().await.map_err(|e| crate::error_chain(&e.without_url()))?;
    if !response.status().is_success() {
        return Err(format!("it answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|e| crate::error_chain(&e.without_url()))? {
        if body.len() + part.len() > MAX_BODY_BYTES {
            return Err(format!("its answer is larger than {MAX_BODY_BYTES} bytes"));
        }
        body.extend_from_slice(&part);
    }
    String::from_utf8(body).map_err(|_| "its answer is not text".to_owned())
}

/// A client for these services. It follows no redirect, and knows nothing of the server's token.
fn client(timeout: Duration, is_tls: bool) -> reqwest::Result<reqwest::Client> {
    let client = reqwest::Client::builder()
        .user_agent(concat!("siaga-agent/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .pool_max_idle_per_host(0)
        .redirect(reqwest::redirect::Policy::none());
    // The system's certificates are dear to read.
    if is_tls { client.build() } else { client.tls_certs_only([]).build() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_comes_so_early_that_its_answer_is_there_at_the_tick() {
        let asked = Asked::new(15, 5);
        for (now, wait) in [(0, 10_000), (9_999, 15_001), (10_001, 14_999), (14_000, 11_000), (5_000, 5_000)]
        {
            assert_eq!(until_next(now, asked), Duration::from_millis(wait), "{now}");
        }
    }
}
