//! Side by side with the real blackbox_exporter: the families of its probes are there under the same names, with the same
//! types, the labels of its own and the same figures where both must find the same; or they stand in
//! `blackbox_exporter_left_out.txt` with the reason.
//!
//! Needs `prometheus-blackbox-exporter`, which `tests/install-tools.sh` installs; without it the test fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use siaga_agent::config::Config;
use siaga_agent::samples::{Output, Recorder};
use siaga_agent::services::{self, Boards};
use siaga_protocol::exposition::{Line, TimeUnit, parse_line};

const MODULES: &str = "modules:
  http: {prober: http, http: {preferred_ip_protocol: ip4}}
  https: {prober: http, http: {preferred_ip_protocol: ip4, tls_config: {ca_file: CA}}}
  tcp: {prober: tcp, tcp: {preferred_ip_protocol: ip4}}
  dns: {prober: dns, dns: {preferred_ip_protocol: ip4, query_name: lpse.example, query_type: A}}
  icmp: {prober: icmp, icmp: {preferred_ip_protocol: ip4}}
";

/// Figures that both must find.
const SAME: [&str; 9] = [
    "probe_success",
    "probe_ip_protocol",
    "probe_failed_due_to_regex",
    "probe_http_status_code",
    "probe_http_ssl",
    "probe_http_redirects",
    "probe_http_content_length",
    "probe_http_uncompressed_body_length",
    "probe_ssl_earliest_cert_expiry",
];

/// Types, and figures by labels of the exporter's own.
#[derive(Default)]
struct Families {
    kinds: BTreeMap<String, String>,
    series: BTreeMap<(String, Vec<(String, String)>), f64>,
}

fn families(text: &str) -> Families {
    let mut found = Families::default();
    for line in text.lines() {
        match parse_line(line, TimeUnit::Milliseconds).unwrap() {
            Line::Type { name, kind } => drop(found.kinds.insert(name, kind)),
            Line::Sample(sample) => {
                let (name, labels): (Vec<_>, Vec<_>) =
                    sample.labels.into_iter().partition(|(label, _)| label == "__name__");
                let labels =
                    labels.into_iter().filter(|(label, _)| !["probe", "target"].contains(&label.as_str()));
                found.series.insert((name[0].1.clone(), labels.collect()), sample.value);
            }
            _ => {}
        }
    }
    found
}

struct Exporter {
    process: Child,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Exporter {
    fn start(ca: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let modules = folder.path().join("modules.yml");
        std::fs::write(&modules, MODULES.replace("CA", &ca.display().to_string())).unwrap();
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("prometheus-blackbox-exporter")
            .arg(format!("--config.file={}", modules.display()))
            .args([format!("--web.listen-address={address}"), "--log.level=error".to_owned()])
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus-blackbox-exporter is not installed: run tests/install-tools.sh");
        Self { process, address, _folder: folder }
    }

    async fn probe(&self, module: &str, target: &str) -> Families {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/probe?module={module}&target={target}", self.address);
        let since = Instant::now();
        loop {
            if let Ok(answer) = client.get(&url).send().await {
                return families(&answer.text().await.unwrap());
            }
            assert!(since.elapsed() < Duration::from_secs(30), "blackbox_exporter never answered");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn ours(kind: &str, target: &str, ca: &Path) -> Families {
    let config = format!(
        "[[services.probes]]\nname = \"p\"\nkind = \"{kind}\"\ntarget = \"{target}\"\nca_file = \"{}\"\n\
         query_name = \"lpse.example\"\n",
        ca.display()
    );
    let config = Config::parse(&config, Path::new("test.toml")).unwrap();
    let boards = Arc::new(Boards::default());
    services::ask_once(&config.services, &boards).await;
    let (mut output, mut recorder) = (Output::default(), Recorder::default());
    boards.read(&mut output);
    recorder.begin();
    recorder.take_up(&output);
    recorder.end();
    families(&recorder.to_text())
}

async fn site() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let router = Router::new().route("/", get(|| async { "Selamat datang" }));
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers every request over TLS with the certificate of the fixtures.
async fn tls_site(folder: &Path) -> String {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let certificate = CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let server = rustls::ServerConfig::builder().with_no_client_auth();
    let server = Arc::new(server.with_single_cert(vec![certificate], key).unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(server);
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let _ = stream.read(&mut [0; 4096]).await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
                let _ = stream.write_all(answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    format!("localhost:{port}")
}

async fn name_server() -> String {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            // The question back as an answer without records, as for a name that is not there.
            packet[2] |= 0x80;
            packet[3] = 3;
            let _ = socket.send_to(&packet[..length], from).await;
        }
    });
    address
}

#[tokio::test]
async fn probes_tell_what_blackbox_exporter_tells_under_its_names() {
    siaga_agent::install_tls_provider();
    let tls = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls");
    let ca = tls.join("cert.pem");
    let exporter = Exporter::start(&ca);
    let left_out: Vec<&str> = include_str!("blackbox_exporter_left_out.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once(' ').expect("a beginning and a reason").0)
        .collect();
    let (site, tls_site, name_server) = (site().await, tls_site(&tls).await, name_server().await);
    let mut wrong = Vec::new();
    for (module, kind, target) in [
        ("http", "http", format!("http://{site}/")),
        ("http", "http", format!("http://{site}/none")),
        ("https", "http", format!("https://{tls_site}/")),
        ("tcp", "tcp", site.clone()),
        ("dns", "dns", name_server),
        ("icmp", "icmp", "127.0.0.1".to_owned()),
    ] {
        let (theirs, ours) = (exporter.probe(module, &target).await, ours(kind, &target, &ca).await);
        assert!(theirs.series.len() > 5, "{module}: that is not blackbox_exporter");
        for ((name, labels), figure) in &theirs.series {
            if left_out.iter().any(|start| name.starts_with(start)) {
                continue;
            }
            // Only root pings where the host gives nobody a ping socket.
            let may_fail = module == "icmp" && name == "probe_success";
            match ours.series.get(&(name.clone(), labels.clone())) {
                None => wrong.push(format!("{module} {target}: {name} {labels:?} is missing")),
                Some(our) if SAME.contains(&name.as_str()) && !may_fail && our != figure => {
                    wrong
                        .push(format!("{module} {target}: {name} is {our}, blackbox_exporter says {figure}"));
                }
                Some(_) => {}
            }
            if ours.kinds.get(name) != theirs.kinds.get(name) {
                wrong.push(format!(
                    "{name} is a {:?}, theirs {:?}",
                    ours.kinds.get(name),
                    theirs.kinds.get(name)
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
