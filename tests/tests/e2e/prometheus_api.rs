//! The parts of Prometheus' API that are no queries: remote read by a real Prometheus, remote write 2.0, federation,
//! limits, deletion, compressed answers.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use siaga_protocol::remote_read::{self, LabelMatcher, MatcherType, ReadQuery, ReadRequest};
use siaga_protocol::remote_write::Sample;
use siaga_protocol::remote_write_v2::{self, MetadataV2, Request, SeriesV2, Unread};
use siaga_tests::harness::{Prometheus, Server, series};

const WRITE: &str = siaga_protocol::paths::REMOTE_WRITE;

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn server() -> Server {
    Server::start("[rules]\ndefaults = false\n[query]\nmax_series = 20\n").await.unwrap()
}

#[tokio::test]
async fn a_real_prometheus_reads_from_siaga() {
    let siaga = server().await;
    let base = now_ms() - 600_000;
    let samples: Vec<(i64, f64)> = (0..40).map(|n| (base + n * 15_000, (n * n) as f64)).collect();
    let sent = ["a", "b"].map(|host| series(&[("__name__", "read_test_total"), ("host", host)], &samples));
    assert!(siaga.api.write(sent.to_vec()).await.unwrap().0.is_success());
    let config = format!(
        "remote_read:\n  - url: {}/prometheus/api/v1/read\n    read_recent: true\n    authorization:\n      credentials: {}\n",
        siaga.api.url, siaga.api.token
    );
    let prometheus = Prometheus::start(&config).await.unwrap();
    let query = "sum by (host) (rate(read_test_total{host=~\"a|b\",none!=\"x\"}[2m]))";
    let at = base / 1_000 + 500;
    let form = [("query", query.to_owned()), ("time", format!("{at}.001"))];
    let read = prometheus.api.request(Method::POST, "/api/v1/query").form(&form).send().await.unwrap();
    let read: Value = read.json().await.unwrap();
    let own = siaga.api.request(Method::POST, "/prometheus/api/v1/query").form(&form).send().await.unwrap();
    let own: Value = own.json().await.unwrap();
    assert_eq!(own["data"]["result"].as_array().unwrap().len(), 2, "{own}");
    assert_eq!(read["data"], own["data"], "{}", prometheus.log().unwrap());
}

#[tokio::test]
async fn remote_write_2_is_stored_with_types_and_its_histograms_are_refused_aloud() {
    let siaga = server().await;
    let at = now_ms() - 1_000;
    let mut request = Request {
        symbols: ["", "__name__", "two_total", "help of two", "host", "é"].map(str::to_owned).to_vec(),
        timeseries: vec![SeriesV2 {
            labels_refs: vec![1, 2, 4, 5],
            samples: vec![Sample { value: 7.0, timestamp: at }],
            metadata: Some(MetadataV2 { r#type: 1, help_ref: 3, unit_ref: 0 }),
            ..SeriesV2::default()
        }],
    };
    let send = async |request: &Request, kind: &str| {
        let body = remote_write_v2::encode(request).unwrap();
        let asked = siaga.api.request(Method::POST, WRITE).header("content-type", kind);
        asked.header("content-encoding", "snappy").body(body).send().await.unwrap()
    };
    let kind = "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let answer = send(&request, kind).await;
    assert_eq!(answer.status(), 204);
    assert_eq!(answer.headers()["x-prometheus-remote-write-samples-written"], "1");
    assert_eq!(siaga.api.query("two_total{host=\"é\"}", None).await.unwrap()[0]["value"][1], "7");
    let metadata = siaga.api.get("/prometheus/api/v1/metadata?metric=two_total").await.unwrap();
    assert_eq!(
        metadata["data"]["two_total"],
        json!([{ "type": "counter", "help": "help of two", "unit": "" }])
    );
    request.timeseries[0].samples[0] = Sample { value: 8.0, timestamp: at + 500 };
    request.timeseries[0].histograms = vec![Unread {}];
    let answer = send(&request, kind).await;
    assert_eq!(answer.status(), 400);
    assert_eq!(answer.headers()["x-prometheus-remote-write-samples-written"], "1");
    assert_eq!(answer.headers()["x-prometheus-remote-write-histograms-written"], "0");
    assert_eq!(siaga.api.query("two_total", None).await.unwrap()[0]["value"][1], "8");
    assert_eq!(send(&request, "application/x-protobuf;proto=something.Else").await.status(), 415);
}

#[tokio::test]
async fn federation_limits_deletion_and_compression_work_as_in_prometheus() {
    let siaga = server().await;
    let at = now_ms() - 20_000;
    let hosts: Vec<String> = (0..25).map(|n| format!("h{n:02}")).collect();
    let sent = hosts.iter().map(|host| series(&[("__name__", "many"), ("host", host)], &[(at, 1.5)]));
    assert!(siaga.api.write(sent.collect()).await.unwrap().0.is_success());
    let get = async |path: &str| {
        siaga.api.request(Method::GET, &format!("/prometheus{path}")).send().await.unwrap()
    };

    let text = get("/federate?match[]=many{host=%22h03%22}").await.text().await.unwrap();
    assert_eq!(text, format!("# TYPE many untyped\nmany{{host=\"h03\"}} 1.5 {at}\n"));

    let cut: Value = get("/api/v1/label/host/values?limit=3").await.json().await.unwrap();
    assert_eq!(cut["data"], json!(["h00", "h01", "h02"]));
    assert_eq!(cut["warnings"], json!(["results truncated due to limit"]));
    for path in ["/api/v1/series?match[]=many", "/api/v1/query?query=many"] {
        let refused = get(path).await;
        assert_eq!(refused.status(), 422, "{path}");
        let refused: Value = refused.json().await.unwrap();
        assert_eq!((&refused["status"], &refused["errorType"]), (&json!("error"), &json!("execution")));
    }
    // Go takes a brace that repeats nothing as itself.
    let braces = "count(many{host=~\"h{x}|h0[12]\"})";
    assert_eq!(siaga.api.query(braces, None).await.unwrap()[0]["value"][1], "2");
    let formatted: Value = get("/api/v1/format_query?query=sum(many)by(host)").await.json().await.unwrap();
    assert_eq!(formatted["data"], "sum by (host) (many)");
    let sizes: Value = get("/api/v1/status/tsdb").await.json().await.unwrap();
    assert_eq!(sizes["data"]["headStats"]["numSeries"].as_u64().map(|n| n >= 25), Some(true), "{sizes}");

    let asked = siaga.api.request(Method::GET, "/prometheus/api/v1/label/host/values?limit=20");
    let packed = asked.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");

    let path = "/prometheus/api/v1/admin/tsdb/delete_series?match[]=many{host=~%22h0.*%22}";
    assert_eq!(siaga.api.request(Method::POST, path).send().await.unwrap().status(), 204);
    assert_eq!(siaga.api.query("count(many)", None).await.unwrap()[0]["value"][1], "15");
    let path = "/prometheus/api/v1/admin/tsdb/delete_series";
    assert_eq!(siaga.api.request(Method::PUT, path).send().await.unwrap().status(), 400);
    assert_eq!(siaga.api.nameless(Method::POST, path).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_query_that_nobody_waits_for_ends_and_a_long_one_ends_at_its_time() {
    let siaga = Server::start("[rules]\ndefaults = false\n[query]\nmax_concurrent = 1\ntimeout = \"85s\"\n")
        .await
        .unwrap();
    // Windows of a day at each of 11,000 steps: minutes of work that hold next to nothing.
    let long = [
        ("query", "quantile_over_time(0.5, vector(time() % 7)[1d:1s])".to_owned()),
        ("start", "1700000000".to_owned()),
        ("end", "1700010999".to_owned()),
        ("step", "1".to_owned()),
    ];
    let path = "/prometheus/api/v1/query_range";
    let ask = |timeout: &str| {
        let form: Vec<_> = long.iter().cloned().chain([("timeout", timeout.to_owned())]).collect();
        siaga.api.request(Method::POST, path).form(&form)
    };
    let late: Value = ask("300ms").send().await.unwrap().json().await.unwrap();
    assert_eq!(late["errorType"], "timeout", "{late}");
    let abandoned = ask("80s").timeout(std::time::Duration::from_secs(1)).send().await;
    assert!(abandoned.unwrap_err().is_timeout());
    // There is one place: it was given back long before the 80 seconds.
    let next = siaga.api.request(Method::GET, "/prometheus/api/v1/query?query=1");
    let next = next.timeout(std::time::Duration::from_secs(30)).send().await.unwrap();
    assert_eq!(next.status(), 200);
}

#[tokio::test]
async fn rules_are_listed_as_asked_and_agents_are_targets() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yml");
    std::fs::write(
        &rules,
        "groups:\n- name: one\n  rules:\n  - record: a:b\n    expr: vector(1)\n    labels: {team: ops}\n\
         - name: two\n  rules:\n  - alert: A\n    expr: vector(1)\n  - record: c:d\n    expr: vector(2)\n",
    )
    .unwrap();
    let config = format!("[rules]\ndefaults = false\nfiles = [\"{}\"]\n", rules.display());
    let siaga = Server::start(&config).await.unwrap();
    let list = async |parameters: &str| {
        let body = siaga.api.get(&format!("/prometheus/api/v1/rules?{parameters}")).await.unwrap();
        let groups = body["data"]["groups"].as_array().unwrap().clone();
        let names = groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone());
        let names: Vec<String> = names.map(|rule| rule["name"].as_str().unwrap().to_owned()).collect();
        (groups.len(), names.join(" "), body["data"]["groupNextToken"].as_str().unwrap_or("").to_owned())
    };
    let found = |groups: usize, names: &str| (groups, names.to_owned(), String::new());
    assert_eq!(list("").await, found(2, "a:b A c:d"));
    assert_eq!(list("type=alert").await, found(1, "A"));
    assert_eq!(list("type=record&exclude_alerts=true").await, found(2, "a:b c:d"));
    assert_eq!(list("rule_name[]=A&rule_name[]=a:b").await, found(2, "a:b A"));
    assert_eq!(list("rule_group[]=one").await, found(1, "a:b"));
    assert_eq!(list("file[]=none").await, found(0, ""));
    assert_eq!(list("match[]={team=~%22o.*%22}").await, found(1, "a:b"));
    let (groups, names, next) = list("group_limit=1").await;
    assert_eq!((groups, names.as_str()), (1, "a:b"));
    assert_eq!(list(&format!("group_limit=1&group_next_token={next}")).await, found(1, "A c:d"));
    for wrong in ["group_next_token=x", "group_limit=1&group_next_token=x", "type=x", "match[]={"] {
        let path = format!("/prometheus/api/v1/rules?{wrong}");
        let refused = siaga.api.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(refused.status(), 400, "{wrong}");
        assert_eq!(refused.json::<Value>().await.unwrap()["errorType"], "bad_data", "{wrong}");
    }

    let enrol = siaga.api.post("/api/v1/enrol-tokens", &json!({})).await.unwrap();
    let body = json!({
        "token": enrol["token"], "hostname": "web", "machine_id": "m1", "agent_version": "1"
    });
    let enrolled = siaga.api.request(Method::POST, "/api/v1/agents/enrol").json(&body).send().await.unwrap();
    assert_eq!(enrolled.status(), 200);
    let targets = siaga.api.get("/prometheus/api/v1/targets").await.unwrap();
    let target = &targets["data"]["activeTargets"][0];
    assert_eq!(target["labels"], json!({ "instance": "web", "job": "siaga" }), "{targets}");
    assert_eq!(target["health"], "up");
    let none = siaga.api.get("/prometheus/api/v1/targets?state=dropped").await.unwrap();
    assert_eq!(none["data"], json!({ "activeTargets": [], "droppedTargets": [], "droppedTargetCounts": {} }));
    let exemplars = siaga.api.get("/prometheus/api/v1/query_exemplars?query=up&start=0&end=1").await.unwrap();
    assert_eq!(exemplars, json!({ "status": "success", "data": [] }));
}

#[tokio::test]
async fn queries_that_explode_end_soon_and_samples_still_come_in() {
    let siaga = Server::start(
        "[rules]\ndefaults = false\n[query]\nmax_samples = 250000\nmax_memory_bytes = 4000000\nmax_answer_points = 5000\n",
    )
    .await
    .unwrap();
    let now = now_ms();
    let samples: Vec<(i64, f64)> = (0..500).map(|n| (now - 600_000 + n * 1_000, n as f64)).collect();
    let hosts: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let sent = hosts.iter().map(|host| series(&[("__name__", "explode"), ("host", host)], &samples));
    assert!(siaga.api.write(sent.collect()).await.unwrap().0.is_success());
    let (start, end) = (now / 1_000 - 600, now / 1_000);
    let before = siaga.peak_bytes().unwrap();
    let deep = format!("{}explode{}", "abs(".repeat(250), ")".repeat(250));
    let doubled = |text: String, _| format!("label_replace({text}, \"x\", \"$1$1\", \"x\", \"(.*)\")");
    let labels = (0..40).fold("label_replace(explode,\"x\",\"0123456789\",\"\",\"\")".to_owned(), doubled);
    let matchers = vec!["a!=\"b\""; 5_000].join(",");
    let patterns = vec!["a!~\"(b{900}c?){90}\""; 1_000].join(",");
    let explosive = [
        ("{__name__=~\".+\"}[1y]", "execution"),
        ("sum_over_time({__name__=~\".+\"}[1y:1ms])", "execution"),
        ("sum_over_time(sum(vector(time()))[1y:1s])", "execution"),
        ("explode", "execution"),
        ("count_values(\"v\", explode * on() group_left vector(1))", "execution"),
        // Each of 200 series meets another partner at each step.
        ("explode{host=~\"[12]..\"} * on() group_left(v) count_values(\"v\", vector(time()))", "execution"),
        (&deep, "execution"),
        (&labels, "execution"),
        (&format!("{{{matchers},x=\"y\"}}"), "bad_data"),
        (&format!("{{{patterns},x=\"y\"}}"), "bad_data"),
    ];
    for (query, kind) in explosive {
        // As many partners as fit the samples of a query.
        let end = if query.contains("group_left(v)") { start + 380 } else { end };
        let form = [
            ("query", query.to_owned()),
            ("start", start.to_string()),
            ("end", end.to_string()),
            ("step", "1".to_owned()),
        ];
        let path = if query.ends_with(']') { "query" } else { "query_range" };
        let asked = siaga.api.request(Method::POST, &format!("/prometheus/api/v1/{path}")).form(&form);
        let write = siaga.api.write(vec![series(&[("__name__", "meanwhile")], &[(now_ms(), 1.0)])]);
        let (answer, written) = tokio::join!(asked.send(), write);
        assert!(written.unwrap().0.is_success());
        let answer: Value = answer.unwrap().json().await.unwrap();
        assert_eq!(answer["errorType"], kind, "{query:.60}: {:.300}", answer.to_string());
    }
    let grown = siaga.peak_bytes().unwrap() - before;
    assert!(grown < 100 << 20, "queries that may hold 4 MB made the server grow by {grown} bytes");

    // Remote read draws on the same memory.
    let read = async |host: &str| {
        let matcher = |name: &str, op: MatcherType, value: &str| LabelMatcher {
            r#type: op.into(),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let matchers = vec![
            matcher("__name__", MatcherType::Equal, "explode"),
            matcher("host", MatcherType::Regex, host),
        ];
        let query = ReadQuery { start_timestamp_ms: 0, end_timestamp_ms: now, matchers };
        let request = ReadRequest { queries: vec![query], accepted_response_types: vec![] };
        let body = remote_read::encode_request(&request).unwrap();
        siaga.api.request(Method::POST, "/prometheus/api/v1/read").body(body).send().await.unwrap()
    };
    let refused = read(".*").await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().await.unwrap().contains("may hold 4000000 bytes"));
    for _ in 0..10 {
        assert_eq!(read("1..").await.status(), StatusCode::OK, "what was held is given back");
    }
}
