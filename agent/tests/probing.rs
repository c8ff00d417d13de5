//! Exporters and probes against real listeners: what a running agent sends of them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use siaga_agent::config::Config;
use siaga_agent::samples::Recorder;
use siaga_agent::services::{self, Boards};

async fn site() -> String {
    let router = Router::new()
        .route("/", get(|| async { "Selamat datang di LPSE" }))
        .route("/old", get(|| async { Redirect::to("/") }))
        .route("/broken", get(|| async { (StatusCode::INTERNAL_SERVER_ERROR, "no") }))
        .route("/slow", get(std::future::pending::<()>))
        .route(
            "/metrics",
            get(|| async { "# TYPE pg_up gauge\npg_up 1\ngo_threads 5\npg_stat_database_numbackends{datname=\"spse\"} 7\n" }),
        );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// The text of what the services of this configuration say.
async fn ask(config: &str) -> String {
    siaga_agent::install_tls_provider();
    let config = Config::parse(config, Path::new("test.toml")).unwrap();
    let boards = Arc::new(Boards::default());
    services::ask_once(&config.services, &boards).await;
    let mut output = siaga_agent::samples::Output::default();
    boards.read(&mut output);
    let mut recorder = Recorder::default();
    recorder.begin();
    recorder.take_up(&output);
    recorder.end();
    recorder.to_text()
}

fn value(text: &str, family: &str, labels: &[&str]) -> f64 {
    let found = text.lines().find(|line| {
        line.strip_prefix(family).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    let line = found.unwrap_or_else(|| panic!("no {family} {labels:?} in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

fn probe(name: &str, kind: &str, target: &str, more: &str) -> String {
    format!(
        "[[services.probes]]\nname = \"{name}\"\nkind = \"{kind}\"\ntarget = \"{target}\"\ntimeout_seconds = 1\n{more}\n"
    )
}

#[tokio::test]
async fn http_probes_tell_status_body_redirects_and_phases() {
    let site = site().await;
    let config = [
        probe("good", "http", &format!("http://{site}/"), "body_matches = 'LPSE'"),
        probe("body", "http", &format!("http://{site}/"), "body_must_not_match = 'datang'"),
        probe("moved", "http", &format!("http://{site}/old"), "valid_statuses = [303]"),
        probe("followed", "http", &format!("http://{site}/old"), "follow_redirects = true"),
        probe("broken", "http", &format!("http://{site}/broken"), ""),
        probe("slow", "http", &format!("http://{site}/slow"), ""),
        probe("refused", "http", "http://127.0.0.1:1/", ""),
        probe("no-tls", "http", &format!("https://{site}/"), ""),
    ]
    .concat();
    let text = ask(&config).await;
    for (name, success, status, redirects, regex) in [
        ("good", 1.0, 200.0, 0.0, 0.0),
        ("body", 0.0, 200.0, 0.0, 1.0),
        ("moved", 1.0, 303.0, 0.0, 0.0),
        ("followed", 1.0, 200.0, 1.0, 0.0),
        ("broken", 0.0, 500.0, 0.0, 0.0),
        ("slow", 0.0, 0.0, 0.0, 0.0),
        ("refused", 0.0, 0.0, 0.0, 0.0),
        ("no-tls", 0.0, 0.0, 0.0, 0.0),
    ] {
        let label = format!("probe=\"{name}\"");
        let of = |family| value(&text, family, &[&label]);
        assert_eq!(of("probe_success"), success, "{name}\n{text}");
        assert_eq!(of("probe_http_status_code"), status, "{name}");
        assert_eq!(of("probe_http_redirects"), redirects, "{name}");
        assert_eq!(of("probe_failed_due_to_regex"), regex, "{name}");
        for phase in ["resolve", "connect", "tls", "processing", "transfer"] {
            let took = value(&text, "probe_http_duration_seconds", &[&label, &format!("phase=\"{phase}\"")]);
            assert!((0.0..=of("probe_duration_seconds")).contains(&took), "{name} {phase}");
        }
    }
    assert_eq!(value(&text, "probe_http_uncompressed_body_length", &["\"good\""]), 22.0);
    assert!(value(&text, "probe_duration_seconds", &["\"slow\""]) >= 1.0);
}

#[tokio::test]
async fn tcp_probes_tell_whether_somebody_listens() {
    let site = site().await;
    let config = [probe("open", "tcp", &site, ""), probe("closed", "tcp", "127.0.0.1:1", "")].concat();
    let text = ask(&config).await;
    assert_eq!(value(&text, "probe_success", &["\"open\""]), 1.0);
    assert_eq!(value(&text, "probe_success", &["\"closed\""]), 0.0);
}

#[tokio::test]
async fn an_exporter_is_passed_on_and_a_dead_one_is_told() {
    let site = site().await;
    let text = ask(&format!(
        "[[services.scrapes]]\nname = \"postgres\"\nurl = \"http://{site}/metrics\"\n\
         [[services.scrapes.relabel]]\nsource_labels = [\"__name__\"]\nregex = \"go_.*\"\naction = \"drop\"\n\
         [[services.scrapes]]\nname = \"dead\"\nurl = \"http://127.0.0.1:1/metrics\"\n"
    ))
    .await;
    assert_eq!(value(&text, "siaga_scrape_up", &["job=\"postgres\""]), 1.0);
    assert_eq!(value(&text, "scrape_samples_scraped", &["job=\"postgres\""]), 3.0);
    let labels = ["job=\"postgres\"", "datname=\"spse\""];
    assert_eq!(value(&text, "pg_stat_database_numbackends", &labels), 7.0);
    assert_eq!(value(&text, "siaga_scrape_up", &["job=\"dead\""]), 0.0);
    assert!(text.contains("# TYPE pg_up gauge\n") && !text.contains("go_threads"), "{text}");
}

#[tokio::test]
async fn until_when_a_certificate_is_valid_is_told_also_when_it_is_not_trusted() {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    /// The end of the fixture's certificate, as openssl shows it.
    const EXPIRY: f64 = 4128344915.0;
    siaga_agent::install_tls_provider();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let server = rustls::ServerConfig::builder().with_no_client_auth();
    let server = Arc::new(server.with_single_cert(vec![certificate], key).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(server);
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(acceptor.accept(stream));
        }
    });
    let ca = format!("tls = true\nca_file = \"{}\"", folder.join("cert.pem").display());
    let config =
        [probe("trusted", "tcp", &address, &ca), probe("unknown", "tcp", &address, "tls = true")].concat();
    let text = ask(&config).await;
    for (name, success) in [("\"trusted\"", 1.0), ("\"unknown\"", 0.0)] {
        assert_eq!(value(&text, "probe_ssl_earliest_cert_expiry", &[name]), EXPIRY, "{text}");
        assert_eq!(value(&text, "probe_success", &[name]), success, "{text}");
    }
}

/// A name server that knows one name and loses the first question.
async fn name_server() -> String {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        socket.recv_from(&mut packet).await.unwrap();
        loop {
            let (length, from) = socket.recv_from(&mut packet).await.unwrap();
            let known = packet[12..length].starts_with(b"\x04lpse");
            packet[2] |= 0x80;
            packet[3] = if known { 0 } else { 3 };
            packet[7] = u8::from(known);
            socket.send_to(&packet[..length], from).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn a_name_server_is_asked_until_it_answers_and_what_it_does_not_know_fails() {
    let server = name_server().await;
    let ask_for = |name: &str| {
        let more = format!("query_name = \"{name}\"\n");
        probe(name, "dns", &server, &more).replace("timeout_seconds = 1", "timeout_seconds = 10")
    };
    let text = ask(&ask_for("lpse.example")).await;
    assert_eq!(value(&text, "probe_success", &[]), 1.0);
    assert_eq!(value(&text, "probe_dns_answer_rrs", &[]), 1.0);
    assert!(value(&text, "probe_dns_duration_seconds", &["phase=\"request\""]) >= 1.0, "asked twice");
    let text = ask(&ask_for("other.example")).await;
    assert_eq!(value(&text, "probe_success", &[]), 0.0);
    assert_eq!(value(&text, "probe_dns_query_succeeded", &[]), 1.0);
    let wrong = Config::parse(&probe("no", "dns", &server, ""), Path::new("test.toml")).unwrap_err();
    assert!(
        wrong.to_string().contains("is no name of a host")
            || format!("{wrong:?}").contains("is no name of a host")
    );
}

#[tokio::test]
async fn an_echo_request_to_a_host_that_is_none_fails() {
    let text = ask(&probe("far", "icmp", "host.invalid", "")).await;
    assert_eq!(value(&text, "probe_success", &[]), 0.0);
    assert_eq!(value(&text, "probe_icmp_duration_seconds", &["phase=\"rtt\""]), 0.0);
}
