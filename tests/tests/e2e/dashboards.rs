//! Grafana's dashboards: every query of every panel is asked of the real API, as Grafana asks it, and gives data.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::{Value, json};
use siaga_protocol::remote_write::TimeSeries;
use siaga_tests::harness::{Agent, Api, Server, series, wait_for};

const LONG: Duration = Duration::from_secs(120);
const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

fn dashboards() -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dashboards");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| (path.clone(), serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()))
        .collect();
    found.sort_by(|a: &(PathBuf, Value), b| a.0.cmp(&b.0));
    found
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Ten days of a host with a disk that fills, so that there is something to forecast.
fn history(instance: &str, now: i64) -> Vec<TimeSeries> {
    let times: Vec<i64> =
        (now - 10 * DAY..now - 20 * MINUTE).step_by(usize::try_from(10 * MINUTE).unwrap()).collect();
    let of = |name: &str, more: &[(&str, &str)], value: &dyn Fn(f64) -> f64| {
        let mut labels = vec![("__name__", name), ("instance", instance), ("job", "siaga")];
        labels.extend_from_slice(more);
        labels.sort_unstable();
        #[expect(clippy::cast_precision_loss, reason = "days of a test")]
        let samples: Vec<(i64, f64)> =
            times.iter().map(|&at| (at, value((at - now) as f64 / DAY as f64 + 10.0))).collect();
        series(&labels, &samples)
    };
    let disk = [("device", "/dev/arsip"), ("fstype", "ext4"), ("mountpoint", "/arsip")];
    vec![
        of("node_filesystem_size_bytes", &disk, &|_| 100e9),
        of("node_filesystem_avail_bytes", &disk, &|days| 40e9 - days * 2e9),
        of("node_memory_MemTotal_bytes", &[], &|_| 16e9),
        of("node_memory_MemAvailable_bytes", &[], &|days| 8e9 + (days * std::f64::consts::TAU).sin() * 1e9),
        of("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "idle")], &|days| days * 60_000.0),
        of("node_cpu_seconds_total", &[("cpu", "0"), ("mode", "user")], &|days| days * 26_400.0),
    ]
}

/// Asks one target as Grafana does; gives the number of series.
async fn ask(api: &Api, target: &Value, instance: &str) -> anyhow::Result<usize> {
    let text =
        target["expr"].as_str().unwrap().replace("$instance", instance).replace("$__rate_interval", "1m");
    if target["instant"] == json!(true) {
        return Ok(api.query(&text, None).await?.len());
    }
    let now = now_ms() / 1_000;
    let form = [
        ("query", text),
        ("start", (now - 3_600).to_string()),
        ("end", now.to_string()),
        ("step", "15".to_owned()),
    ];
    let answer = api.request(Method::POST, "/prometheus/api/v1/query_range").form(&form).send().await?;
    let body: Value = answer.error_for_status()?.json().await?;
    Ok(body["data"]["result"].as_array().map_or(0, Vec::len))
}

#[tokio::test]
async fn every_query_of_every_dashboard_gives_data() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("always.yml");
    std::fs::write(
        &rules,
        "groups: [{name: g, interval: 1s, rules: [{alert: Selalu, expr: 'node_load1 >= 0', \
         annotations: {summary: Uji, summary_en: Test}}]}]\n",
    )
    .unwrap();
    let server = Server::start(&format!("[rules]\nfiles = [\"{}\"]\n", rules.display())).await.unwrap();
    let agent = Agent::start(&server, "[collect]\ninterval_seconds = 1\n").unwrap();
    let instance = agent.instance().unwrap();
    let mut history = history(&instance, now_ms());
    // The processor is that of a server whose load is known.
    history.retain(|one| !one.labels.iter().any(|label| label.value == "node_cpu_seconds_total"));
    history.extend(crate::capacity::loaded(&instance, now_ms()));
    crate::capacity::bring_in(&server.api, history).await;
    let service = crate::capacity::service(&instance);
    let entered = server.api.request(Method::PUT, "/api/v1/capacity/services").json(&service).send().await;
    assert!(entered.unwrap().status().is_success());
    wait_for("an alert", LONG, async || {
        let firing = server.api.query("ALERTS{alertstate=\"firing\"}", None).await.unwrap();
        (!firing.is_empty()).then_some(())
    })
    .await;
    server.api.post("/api/v1/forecasts/refresh", &json!({})).await.unwrap();
    wait_for("a forecast", LONG, async || {
        let made = server.api.query("siaga_forecast_days_until_threshold", None).await.unwrap();
        (!made.is_empty()).then_some(())
    })
    .await;

    let mut asked = 0;
    for (file, dashboard) in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let place = format!("{}: {}: {}", file.display(), panel["title"], target["expr"]);
                wait_for(&place, LONG, async || {
                    let found = ask(&server.api, target, &instance)
                        .await
                        .unwrap_or_else(|e| panic!("{place}: {e:#}"));
                    (found > 0).then_some(())
                })
                .await;
                asked += 1;
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            if variable["type"] == "query" {
                // label_values(SELECTOR, NAME) becomes this request.
                let path = "/prometheus/api/v1/label/instance/values?match[]=up%7Bjob%3D%22siaga%22%7D";
                let values = server.api.get(path).await.unwrap();
                assert_eq!(values["data"], json!([instance]), "{}", variable["name"]);
            }
        }
    }
    assert!(asked >= 55, "only {asked} queries were asked");
}

#[test]
fn dashboards_are_well_formed() {
    let all = dashboards();
    assert!(all.len() >= 3);
    let mut uids = BTreeSet::new();
    for (file, dashboard) in &all {
        let name = file.display();
        assert!(uids.insert(dashboard["uid"].as_str().unwrap().to_owned()), "{name}: uid stands twice");
        assert!(dashboard["schemaVersion"].as_i64().unwrap() >= 36, "{name}");
        let panels = dashboard["panels"].as_array().unwrap();
        let ids: BTreeSet<i64> = panels.iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
        assert_eq!(ids.len(), panels.len(), "{name}: panel ids stand twice");
        for panel in panels.iter().filter(|panel| panel["type"] != "row") {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{name}: {}", panel["title"]);
            let position = &panel["gridPos"];
            assert!(
                position["x"].as_i64().unwrap() + position["w"].as_i64().unwrap() <= 24,
                "{name}: {position}"
            );
        }
    }
}
