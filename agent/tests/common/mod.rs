//! A small server that records what the agent sends and answers as it is told.
#![allow(unreachable_pub, dead_code, reason = "each test program uses its own part")]

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use ed25519_dalek::SigningKey;
use siaga_agent::config::Config;
use siaga_agent::context::{Context, Running};
use siaga_agent::counters::Counters;
use siaga_agent::samples::Recorder;
use siaga_agent::spool::Spool;
use siaga_agent::state::Credentials;
use siaga_protocol::agent_api::{EnrolRequest, EnrolResponse, Hello};
use siaga_protocol::inventory::Inventory;
use siaga_protocol::orders::{AgentUndo, Order, OrderBatch, OrderResult, SignedOrder, public_key_text, sign};
use siaga_protocol::{paths, remote_write};
use tokio::sync::{Notify, watch};

pub const TOKEN: &str = "agent-secret";
pub const HOST: &str = "host-1";

pub fn order_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub fn signed(order: &Order) -> SignedOrder {
    sign(order, &order_key()).unwrap()
}

/// Times of collections that contain a value below zero are refused with 400.
#[derive(Default)]
pub struct Record {
    pub statuses: VecDeque<u16>,
    /// The clock of this server, where it is another than that of the test.
    pub date: Option<String>,
    /// Header of answers that are no success, seconds.
    pub retry_after: Option<u64>,
    pub refuse_negative: bool,
    pub writes: Vec<remote_write::WriteRequest>,
    pub headers: Vec<HeaderMap>,
    pub metadata: Vec<remote_write::MetricMetadata>,
    pub attempts: usize,
    pub hellos: Vec<Hello>,
    pub inventories: Vec<Inventory>,
    pub orders: Vec<SignedOrder>,
    pub results: Vec<OrderResult>,
    pub undos: Vec<AgentUndo>,
    pub enrolments: Vec<EnrolRequest>,
}

impl Record {
    /// Times of all samples of the series `m`, in the order in which they came.
    pub fn times(&self) -> Vec<i64> {
        let series = self.writes.iter().flat_map(|write| &write.timeseries);
        series
            .filter(|series| series.labels.iter().any(|l| l.name == "__name__" && l.value == "m"))
            .flat_map(|series| series.samples.iter().map(|sample| sample.timestamp))
            .collect()
    }
}

#[derive(Clone, Default)]
pub struct Server {
    pub record: Arc<Mutex<Record>>,
    changed: Arc<Notify>,
    pub url: String,
}

impl Server {
    pub async fn start() -> Self {
        siaga_agent::install_tls_provider();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, ..Self::default() };
        let router = Router::new()
            .route(paths::REMOTE_WRITE, post(write))
            .route(paths::HELLO, put(hello))
            .route(paths::INVENTORY, put(inventory))
            .route(paths::ORDERS, get(orders))
            .route(paths::ORDER_RESULTS, post(results))
            .route(paths::AGENT_UNDOS, post(undos))
            .route(paths::ENROL, post(enrol))
            .with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    /// Waits until something is recorded; fails loudly instead of hanging for ever.
    pub async fn until<T>(&self, mut look: impl FnMut(&mut Record) -> Option<T>) -> T {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = look(&mut self.record.lock().unwrap()) {
                    return found;
                }
                let _ = tokio::time::timeout(Duration::from_millis(50), changed).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait).await.expect("the server never saw it")
    }

    fn note(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().unwrap());
        self.changed.notify_waiters();
    }

    pub fn credentials(&self) -> Credentials {
        Credentials {
            server: self.url.clone(),
            host_id: HOST.into(),
            instance: "web-1".into(),
            agent_token: TOKEN.into(),
            order_key: public_key_text(&order_key()),
        }
    }
}

fn is_agent(headers: &HeaderMap) -> bool {
    headers.get("authorization").is_some_and(|value| value == format!("Bearer {TOKEN}").as_str())
}

async fn write(State(server): State<Server>, headers: HeaderMap, body: Bytes) -> Response {
    let status = {
        let mut record = server.record.lock().unwrap();
        record.attempts += 1;
        record.statuses.pop_front().unwrap_or(204)
    };
    let request = remote_write::decode(&body, 1 << 24).unwrap();
    let negative = request.timeseries.iter().any(|s| s.samples.iter().any(|sample| sample.value < 0.0));
    let status = if !is_agent(&headers) {
        401
    } else if negative && server.record.lock().unwrap().refuse_negative {
        400
    } else {
        status
    };
    server.note(|record| {
        if status == 204 && request.timeseries.is_empty() {
            record.metadata.extend(request.metadata);
        } else if status == 204 {
            record.writes.push(request);
            record.headers.push(headers);
        }
    });
    let asked = server.record.lock().unwrap().retry_after.filter(|_| status >= 300);
    let mut response = StatusCode::from_u16(status).unwrap().into_response();
    if let Some(date) = server.record.lock().unwrap().date.clone() {
        response.headers_mut().insert("date", date.parse().unwrap());
    }
    if let Some(seconds) = asked {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

async fn hello(State(server): State<Server>, Json(body): Json<Hello>) {
    server.note(|record| record.hellos.push(body));
}

async fn inventory(State(server): State<Server>, Json(body): Json<Inventory>) {
    server.note(|record| record.inventories.push(body));
}

async fn orders(State(server): State<Server>) -> Json<OrderBatch> {
    for _ in 0..100 {
        let orders = {
            let record = server.record.lock().unwrap();
            let answered = |signed: &SignedOrder| {
                record
                    .results
                    .iter()
                    .any(|result| signed.payload.contains(&format!("\"{}\"", result.order_id)))
            };
            record.orders.iter().filter(|signed| !answered(signed)).cloned().collect::<Vec<_>>()
        };
        if !orders.is_empty() {
            return Json(OrderBatch { orders });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Json(OrderBatch::default())
}

async fn results(State(server): State<Server>, Json(body): Json<OrderResult>) {
    server.note(|record| record.results.push(body));
}

async fn undos(State(server): State<Server>, Json(body): Json<AgentUndo>) {
    server.note(|record| record.undos.push(body));
}

async fn enrol(State(server): State<Server>, Json(body): Json<EnrolRequest>) -> Response {
    if body.token != "one-time" {
        let problem = siaga_protocol::agent_api::Problem { error: "the token is used up".into(), at: None };
        return (StatusCode::FORBIDDEN, Json(problem)).into_response();
    }
    server.note(|record| record.enrolments.push(body));
    let credentials = server.credentials();
    Json(EnrolResponse {
        host_id: credentials.host_id,
        instance: credentials.instance,
        agent_token: credentials.agent_token,
        order_key: credentials.order_key,
    })
    .into_response()
}

/// What an agent's tasks need, with its folder in `dir`.
pub fn context(server: &Server, dir: &Path, config: &str) -> (Context, watch::Sender<Arc<Running>>) {
    let mut config = Config::parse(config, Path::new("test.toml")).unwrap();
    config.state_dir = dir.into();
    let credentials = Arc::new(server.credentials());
    let counters = Arc::new(Counters::default());
    let mut spool =
        Spool::open(&dir.join("spool"), config.spool.max_bytes.get(), Arc::clone(&counters)).unwrap();
    spool.set_destinations(config.targets.iter().map(|target| target.name.as_str()));
    let discovery = Arc::new(siaga_agent::discovery::Discovery::open(&config));
    let (sender, running) = watch::channel(Arc::new(Running::new(config, &credentials).unwrap()));
    let context = Context {
        running,
        config_path: PathBuf::new(),
        credentials,
        spool: Arc::new(Mutex::new(spool)),
        counters,
        collected: Arc::new(watch::Sender::new(())),
        boards: Arc::default(),
        discovery,
        metadata: Arc::default(),
        started_at_ms: 0,
    };
    (context, sender)
}

/// Puts collections of one series `m` into the spool.
pub fn collect(context: &Context, recorder: &mut Recorder, samples: &[(i64, f64)]) {
    for (time, value) in samples {
        recorder.begin();
        recorder.gauge("m", &[("device", "sda")], *value);
        recorder.end();
        context.spool.lock().unwrap().append(*time, recorder);
    }
    context.collected.send_replace(());
}
