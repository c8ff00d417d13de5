//! What listens on a host is found, proposed, and watched while the console says so.

use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use serde_json::{Value, json};
use siaga_tests::harness::{Agent, Server, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// An exporter on a port where exporters are looked for.
async fn exporter() -> u16 {
    let listener = (8_600..8_700).find_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().route("/metrics", get(async || "# TYPE tender_open gauge\ntender_open 7\n"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

struct Office {
    server: Server,
    services: String,
    id: String,
}

impl Office {
    async fn service(&self) -> Option<Value> {
        let all = self.server.api.get(&self.services).await.unwrap();
        all.as_array().unwrap().iter().find(|service| service["id"] == self.id.as_str()).cloned()
    }

    async fn until(&self, state: &str) -> Value {
        wait_for(state, LONG, async || self.service().await.filter(|service| service["state"] == state)).await
    }

    async fn decide(&self, id: &str, decision: &str) -> u16 {
        let request = self.server.api.request(Method::PUT, &format!("{}/{id}", self.services));
        request.json(&json!({ "decision": decision })).send().await.unwrap().status().as_u16()
    }

    /// Whether the exporter's series have ended, by a stale marker or by age, while others go on.
    async fn has_ended(&self) -> bool {
        let query = "max(timestamp(node_load1)) - max(timestamp(tender_open)) > 2 \
                     or absent(tender_open) and on () max(timestamp(node_load1)) > time() - 10";
        !self.server.api.query(query, None).await.unwrap().is_empty()
    }
}

#[tokio::test]
async fn an_exporter_is_found_watched_at_a_click_and_left_alone_again() {
    let server = Server::start("[rules]\ndefaults = false\n").await.unwrap();
    let port = exporter().await;
    let settings = "[collect]\ninterval_seconds = 1\n[discovery]\ninterval_seconds = 1\n";
    let mut agent = Agent::start(&server, settings).unwrap();
    let services = format!("/api/v1/hosts/{}/services", agent.instance().unwrap());
    let office = Office { server, services, id: format!("exporter-{port}") };

    let found = office.until("proposed").await;
    let config = found["listener"]["proposal"]["config"].as_str().unwrap();
    assert!(config.contains(&format!("http://127.0.0.1:{port}/metrics")), "{config}");
    let assets = office.server.api.get("/api/v1/assets/AST-0001").await.unwrap();
    let listeners = assets["seen"]["listeners"].as_array().unwrap();
    assert!(listeners.iter().any(|listener| listener["port"] == port), "{listeners:?}");
    assert!(office.server.api.query("tender_open", None).await.unwrap().is_empty(), "only proposed");

    assert_eq!(office.decide(&office.id, "unwatch").await, 409);
    assert_eq!(office.decide("exporter-1", "watch").await, 404, "no agent found that");
    assert_eq!(office.decide(&office.id, "watch").await, 200);
    office.until("watched").await;
    let query = format!("tender_open{{job=\"{}\"}}", office.id);
    wait_for("the exporter's series", LONG, async || {
        office.server.api.query(&query, None).await.unwrap().pop()
    })
    .await;

    agent.kill().unwrap();
    agent.launch().unwrap();
    let since = format!("{query} and timestamp({query}) > {}", now_seconds());
    wait_for("its series after a restart", LONG, async || {
        office.server.api.query(&since, None).await.unwrap().pop()
    })
    .await;

    assert_eq!(office.decide(&office.id, "unwatch").await, 200);
    office.until("proposed").await;
    wait_for("its series to end", LONG, async || office.has_ended().await.then_some(())).await;
    assert_eq!(office.decide(&office.id, "dismiss").await, 200);
    office.until("dismissed").await;
    let trail = office.server.api.get("/api/v1/audit").await.unwrap().to_string();
    for action in ["host.watch", "host.unwatch", "host.dismiss"] {
        assert!(trail.contains(action), "{action}");
    }
}

fn now_seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
