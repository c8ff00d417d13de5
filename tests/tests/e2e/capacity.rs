//! Capacity by load, and the report of capacity on its way to those who are named.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{CertificateParams, KeyPair};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use siaga_protocol::remote_write::{self, TimeSeries, WriteRequest};
use siaga_tests::harness::{Agent, Api, MailServer, Server, free_port, series, wait_for};

const LONG: Duration = Duration::from_secs(120);
const QUIET: &str = "[rules]\ndefaults = false\n";
const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Four weeks of a server whose processor follows its load: 10 % and 0.4 % for each request a second, of 10 to 90.
pub(crate) fn loaded(instance: &str, now: i64) -> Vec<TimeSeries> {
    let times: Vec<i64> =
        (now - 28 * DAY..now - 20 * MINUTE).step_by(usize::try_from(10 * MINUTE).unwrap()).collect();
    let wave = std::f64::consts::TAU;
    #[expect(clippy::cast_precision_loss, reason = "days of a test")]
    let days = |at: i64| (at - now) as f64 / DAY as f64 + 28.0;
    let of = |name: &str, more: &[(&str, &str)], value: &dyn Fn(f64) -> f64| {
        let mut labels = vec![("__name__", name), ("instance", instance), ("job", "siaga")];
        labels.extend_from_slice(more);
        labels.sort_unstable();
        let samples: Vec<(i64, f64)> = times.iter().map(|&at| (at, value(days(at)))).collect();
        series(&labels, &samples)
    };
    // The busy share is 0.3 + 0.16 sin, so its integral over a day of 86,400 s is this.
    let busy = |days: f64| 86_400.0 * (0.3 * days - 0.16 / wave * (wave * days).cos());
    vec![
        of("requests", &[], &|days| 50.0 + 40.0 * (wave * days).sin()),
        of("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "user")], &busy),
        of("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "idle")], &|days| 86_400.0 * days - busy(days)),
        of("connections", &[], &|days| 20.0 + (wave * 3.7 * days).sin()),
    ]
}

pub(crate) async fn bring_in(api: &Api, timeseries: Vec<TimeSeries>) {
    let body = remote_write::encode(&WriteRequest { timeseries, metadata: Vec::new() }).unwrap();
    let request =
        api.request(Method::POST, "/api/v1/import/write").header("content-encoding", "snappy").body(body);
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// A service of one processor and of what does not follow the load.
pub(crate) fn service(instance: &str) -> Value {
    json!({
        "name": "SPSE",
        "loads": [{ "name": "Permintaan", "unit": "/s", "query": "requests" }],
        "parts": [
            { "instance": instance, "resource": "cpu", "pool": "app", "threshold_percent": 85 },
            { "instance": "app-02", "resource": "cpu", "pool": "app" },
            { "name": "Koneksi", "query": "connections", "full": 100, "threshold_percent": 90 },
        ],
    })
}

async fn put_service(api: &Api, service: &Value) -> (StatusCode, Value) {
    let answer = api.request(Method::PUT, "/api/v1/capacity/services").json(service).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap())
}

#[tokio::test]
async fn a_service_says_how_much_load_fits_and_what_would_be() {
    let server = Server::start(QUIET).await.unwrap();
    let agent = Agent::start(&server, "[collect]\ninterval_seconds = 5\n").unwrap();
    let instance = agent.instance().unwrap();
    bring_in(&server.api, loaded(&instance, now_ms())).await;
    server.api.post("/api/v1/forecasts/refresh", &json!({})).await.unwrap();

    let (status, body) = put_service(&server.api, &service(&instance)).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let parts = body["part_figures"].as_array().unwrap();
    // 10 + 0.4 x = 85.
    let fits = parts[0]["headroom"]["load"].as_f64().unwrap_or_else(|| panic!("{body}"));
    assert!((fits - 187.5).abs() < 10.0, "{body}");
    assert_eq!(parts[0]["shape"], "linear");
    assert_eq!(parts[1]["reason"], "not measured");
    assert!(parts[2]["headroom"].is_null() && parts[2]["reason"].is_string(), "{body}");

    let ask = async |question: Value| {
        let answer = server.api.post("/api/v1/capacity/services/SPSE/what-if", &question).await.unwrap();
        answer["components"][0].clone()
    };
    let more = ask(json!({ "load_factor": 1.5 })).await;
    assert_eq!(more["verdict"], "fits", "{more}");
    assert!((more["used_then_percent"].as_f64().unwrap() - 64.0).abs() < 3.0, "{more}");
    let less = ask(json!({ "load_factor": 1.2, "servers_less": { "app": 1 } })).await;
    assert_eq!(less["verdict"], "exceeded", "{less}");
    let tenders = ask(json!({ "tenders": 10 })).await;
    assert!(
        tenders["reason"].as_str().unwrap().contains("closing tenders"),
        "no tender was ever seen: {tenders}"
    );

    let mut broken = service(&instance);
    broken["loads"][0]["query"] = json!("sum(");
    let (status, body) = put_service(&server.api, &broken).await;
    assert_eq!((status, body["at"].as_str()), (StatusCode::BAD_REQUEST, Some("loads[0].query")), "{body}");

    let table = server.command(&["what-if", "SPSE", "--load", "1.2", "--less", "app=1"]).unwrap();
    assert!(table.lines().nth(1).unwrap().starts_with("exceeded"), "{table}");
    let page = "/kapasitas/layanan/SPSE?faktor=1,2&kurang.app=1";
    let answer = server.api.request(Method::GET, page).send().await.unwrap();
    let text = answer.error_for_status().unwrap().text().await.unwrap();
    assert!(text.contains("ambang terlampaui") && text.contains("kali jam tersibuk"), "{text}");
    // What was entered after a pass is published with the next one.
    server.api.post("/api/v1/forecasts/refresh", &json!({})).await.unwrap();
    wait_for("the headroom as a series", LONG, async || {
        let found = server.api.query("siaga_forecast_headroom_ratio{bound=\"likely\"}", None).await.unwrap();
        (!found.is_empty()).then_some(())
    })
    .await;
}

/// A certificate of its own authority for loopback, and its key.
fn certificate(folder: &std::path::Path) -> (std::path::PathBuf, std::path::PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "authority of mail");
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_key = KeyPair::generate().unwrap();
    let issuer = rcgen::CertifiedIssuer::self_signed(params, ca_key).unwrap();
    let leaf = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    let (crt, pem) = (folder.join("mail.crt"), folder.join("mail.key"));
    std::fs::write(&crt, leaf.pem()).unwrap();
    std::fs::write(&pem, key.serialize_pem()).unwrap();
    std::fs::write(folder.join("ca.crt"), issuer.pem()).unwrap();
    (crt, pem)
}

#[tokio::test]
async fn the_report_is_a_pdf_and_reaches_those_named_though_the_relay_was_away() {
    let folder = tempfile::tempdir().unwrap();
    let (crt, key) = certificate(folder.path());
    let port = free_port();
    let server = Server::start(&format!(
        "{QUIET}[capacity]\nreport_to = [\"ketua_lpse\", \"dewi@lpse.example\"]\n\
         [mail]\nserver = \"localhost\"\nport = {port}\nretry_after = \"1s\"\nca_file = \"{}\"\n\
         from = \"Siaga <siaga@lpse.example>\"\n[mail.roles]\nketua_lpse = [\"Ketua <ketua@lpse.example>\"]\n",
        folder.path().join("ca.crt").display()
    ))
    .await
    .unwrap();

    let answer = server.api.request(Method::GET, "/kapasitas/laporan/pdf").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/pdf");
    let pdf = answer.bytes().await.unwrap();
    assert!(pdf.starts_with(b"%PDF-"), "{} bytes", pdf.len());

    let report = server.api.get("/api/v1/reports/capacity").await.unwrap();
    assert_eq!(report["sections"].as_array().unwrap().len(), 9, "{report}");
    let sent = server.api.request(Method::POST, "/kapasitas/laporan/kirim").form(&[("periode", "")]).send();
    let page = sent.await.unwrap().error_for_status().unwrap().text().await.unwrap();
    assert!(page.contains("2 alamat"), "{page}");
    // The relay is not there: nothing is lost.
    wait_for("a failed attempt", LONG, async || {
        let outbox = server.api.get("/api/v1/mail").await.unwrap();
        let tried = outbox["messages"].as_array().unwrap().iter().any(|one| one["attempts"] != 0);
        (outbox["waiting"] == 2 && tried).then_some(())
    })
    .await;
    let relay = MailServer::start(port, Some((&crt, &key))).await.unwrap();
    let messages = wait_for("both messages", LONG, async || {
        let messages = relay.messages().unwrap();
        (messages.len() == 2).then_some(messages)
    })
    .await;
    for (message, to) in messages.iter().zip(["ketua@lpse.example", "dewi@lpse.example"]) {
        let all = messages.iter().any(|message| message.contains(to));
        assert!(all && message.contains("From: Siaga <siaga@lpse.example>"), "{message}");
        assert!(message.contains("application/pdf") && message.contains("laporan-kapasitas-"), "{message}");
    }
    wait_for("the outbox to say so", LONG, async || {
        let outbox = server.api.get("/api/v1/mail").await.unwrap();
        let sent = outbox["messages"].as_array().unwrap().iter().all(|one| one["status"] == "sent");
        (outbox["waiting"] == 0 && sent).then_some(())
    })
    .await;
}
