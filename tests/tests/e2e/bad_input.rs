//! What is wrong gets a clear error with the right status, and changes nothing.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use serde_json::json;
use siaga_protocol::remote_write::{self, WriteRequest};
use siaga_tests::harness::{Server, series};

const QUIET: &str = "[rules]\ndefaults = false\n";

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// How many series with this prefix exist.
async fn count(server: &Server, prefix: &str) -> usize {
    let query = format!("last_over_time({{__name__=~\"{prefix}.*\"}}[1h])");
    server.api.query(&query, None).await.unwrap().len()
}

#[tokio::test]
async fn garbage_oversize_and_misdated_samples_are_refused_whole() {
    let server = Server::start(QUIET).await.unwrap();
    let api = &server.api;
    let now = now_ms();
    let good = |name: &str| series(&[("__name__", name)], &[(now, 1.0)]);
    const DAY: i64 = 86_400_000;

    let oversize = remote_write::encode(&WriteRequest {
        timeseries: (0..40_000)
            .map(|i| series(&[("__name__", "bad_big"), ("l", &format!("{i:0>2000}"))], &[(now, 1.0)]))
            .collect(),
        metadata: vec![],
    })
    .unwrap();
    let cases: Vec<(&str, Vec<u8>, StatusCode, &str)> = vec![
        ("garbage", b"\xff\xfe garbage".to_vec(), StatusCode::BAD_REQUEST, "snappy"),
        ("empty", Vec::new(), StatusCode::BAD_REQUEST, "snappy"),
        ("bomb", vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], StatusCode::PAYLOAD_TOO_LARGE, "unpacks to"),
        ("unpacked too large", oversize, StatusCode::PAYLOAD_TOO_LARGE, "unpacks to"),
        ("body too large", vec![0; (16 << 20) + 1], StatusCode::PAYLOAD_TOO_LARGE, "length limit"),
    ];
    for (name, body, status, text) in cases {
        let (answered, message) = api.write_body(body).await.unwrap();
        assert_eq!(answered, status, "{name}: {message}");
        assert!(message.contains(text), "{name}: {message}");
    }
    let samples: Vec<(&str, Vec<_>, &str)> = vec![
        (
            "future",
            vec![good("bad_a"), series(&[("__name__", "bad_b")], &[(now + DAY, 1.0)])],
            "in the future",
        ),
        (
            "ancient",
            vec![good("bad_a"), series(&[("__name__", "bad_b")], &[(now - 30 * DAY, 1.0)])],
            "is older than",
        ),
        ("no name", vec![good("bad_a"), series(&[("job", "x")], &[(now, 1.0)])], "no metric name"),
        (
            "label twice",
            vec![good("bad_a"), series(&[("__name__", "bad_b"), ("x", "1"), ("x", "2")], &[(now, 1.0)])],
            "bad labels",
        ),
    ];
    for (name, request, text) in samples {
        let (answered, message) = api.write(request).await.unwrap();
        assert_eq!(answered, StatusCode::BAD_REQUEST, "{name}: {message}");
        assert!(message.contains(text), "{name}: {message}");
    }
    assert_eq!(count(&server, "bad_").await, 0, "a refused request left something behind");
    let (answered, message) = api.write(vec![good("good_a")]).await.unwrap();
    assert_eq!(answered, StatusCode::NO_CONTENT, "{message}");
    assert_eq!(count(&server, "good_").await, 1);
}

#[tokio::test]
async fn unknown_tokens_and_missing_rights_are_refused() {
    let server = Server::start(QUIET).await.unwrap();
    let get = async |token: &str, path: &str| {
        let api = server.api.with_token(token);
        api.request(Method::GET, path).send().await.unwrap().status()
    };
    assert_eq!(get("siaga_api_unknown", "/api/v1/hosts").await, StatusCode::UNAUTHORIZED);
    let nobody = reqwest::Client::new();
    for path in ["/api/v1/hosts", "/prometheus/api/v1/query?query=up", "/metrics", "/api/v1/audit"] {
        let status = nobody.get(format!("{}{path}", server.api.url)).send().await.unwrap().status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{path}");
    }
    for path in ["/healthz", "/readyz", "/api/openapi.json"] {
        let status = nobody.get(format!("{}{path}", server.api.url)).send().await.unwrap().status();
        assert_eq!(status, StatusCode::OK, "{path}");
    }

    // A user whose role gives no right to manage.
    let user = json!({"username": "budi", "display_name": "Budi", "password": "rahasia-sekali", "roles": ["helpdesk"]});
    server.api.post("/api/v1/users", &user).await.unwrap();
    let login = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let form = [("username", "budi"), ("password", "rahasia-sekali")];
    let url = format!("{}/masuk", server.api.url);
    let foreign = login.post(&url).header("origin", "http://elsewhere").form(&form).send().await.unwrap();
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "a form from another site must not sign anybody in");
    let answer = login.post(&url).header("sec-fetch-site", "same-origin").form(&form).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    let cookie = siaga_tests::harness::cookies(answer.headers());
    let as_budi = |method: Method, path: &str| {
        login.request(method, format!("{}{path}", server.api.url)).header("cookie", &cookie)
    };
    assert_eq!(as_budi(Method::GET, "/api/v1/hosts").send().await.unwrap().status(), StatusCode::OK);
    for (method, path) in [
        (Method::GET, "/api/v1/users"),
        (Method::POST, "/api/v1/enrol-tokens"),
        (Method::POST, "/prometheus/api/v1/write"),
        (Method::POST, "/api/v1/import/write"),
    ] {
        let request = as_budi(method, path).header("sec-fetch-site", "same-origin");
        assert_eq!(request.send().await.unwrap().status(), StatusCode::FORBIDDEN, "{path}");
    }
    // With the cookie, but from another site.
    let forged = as_budi(Method::POST, "/api/v1/tokens").header("sec-fetch-site", "cross-site");
    assert_eq!(forged.json(&json!({"name": "x"})).send().await.unwrap().status(), StatusCode::FORBIDDEN);
    // An enrolment token enrols once; anything else enrols never.
    let enrol = json!({"token": "siaga_enrol_no", "hostname": "h", "machine_id": "m", "agent_version": "1"});
    let refused =
        nobody.post(format!("{}/api/v1/agents/enrol", server.api.url)).json(&enrol).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(server.api.get("/api/v1/hosts").await.unwrap().as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn wrong_queries_get_errors_in_prometheus_form() {
    let server = Server::start(QUIET).await.unwrap();
    for (path, status, kind, text) in [
        ("query?query=up%7B", 400, "bad_data", "unexpected end of input"),
        ("query", 400, "bad_data", "query"),
        ("query?query=up&time=yesterday", 400, "bad_data", "time"),
        ("query_range?query=up&start=0&end=1000000&step=1", 400, "bad_data", "11,000 points"),
        ("query_range?query=up&start=10&end=1&step=1", 400, "bad_data", "end"),
        ("query_range?query=up&start=0&end=1&step=0", 400, "bad_data", "step"),
        ("series", 400, "bad_data", "match[]"),
        ("series?match[]=1%2B1", 400, "bad_data", "selector"),
    ] {
        let request = server.api.request(Method::GET, &format!("/prometheus/api/v1/{path}"));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["errorType"], kind, "{path}: {body}");
        assert!(body["error"].as_str().unwrap().contains(text), "{path}: {body}");
    }
}

#[tokio::test]
async fn an_agent_cannot_write_for_another_host() {
    let server = Server::start(QUIET).await.unwrap();
    let token = server.api.post("/api/v1/enrol-tokens", &json!({})).await.unwrap();
    let enrol = json!({"token": token["token"], "hostname": "web", "machine_id": "m1", "agent_version": "1"});
    let enrolled = server.api.post("/api/v1/agents/enrol", &enrol).await.unwrap();
    let agent = server.api.with_token(enrolled["agent_token"].as_str().unwrap());
    let sample =
        |instance: &str| vec![series(&[("__name__", "x"), ("instance", instance)], &[(now_ms(), 1.0)])];
    assert_eq!(agent.write(sample("web")).await.unwrap().0, StatusCode::NO_CONTENT);
    let (status, message) = agent.write(sample("db")).await.unwrap();
    assert_eq!(status, StatusCode::FORBIDDEN, "{message}");
    let users = agent.request(Method::GET, "/api/v1/users").send().await.unwrap();
    assert_eq!(users.status(), StatusCode::FORBIDDEN);
    // Enrolled a second time with the same token: refused.
    let again = reqwest::Client::new();
    let again =
        again.post(format!("{}/api/v1/agents/enrol", server.api.url)).json(&enrol).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_with_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    for (text, wanted) in [
        ("[http]\nlisten = \"0.0.0.0:8480\"\n", "is not a loopback address"),
        ("[metrics]\nretention = \"soon\"\n", "server.toml:2:13: metrics.retention"),
        ("[metrics]\nretentoin = \"1d\"\n", "server.toml:2:1: metrics.retentoin: unknown field"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = std::process::Command::new(siaga_tests::harness::program("siaga-server"))
            .args(["serve", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn a_command_whose_reader_goes_away_ends_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = std::process::Command::new(siaga_tests::harness::program("siaga-server"))
        .arg("check-config")
        .stdout(writer)
        .stderr(std::process::Stdio::piped())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), error.as_str()), (Some(141), ""));
}
