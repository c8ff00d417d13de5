//! What an attacker tried once and must not be able to do again.

use reqwest::{Method, StatusCode};
use siaga_protocol::remote_write::{self, MetricMetadata, MetricType, WriteRequest};
use siaga_tests::harness::{Server, series};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const QUIET: &str = "[rules]\ndefaults = false\n";

#[tokio::test]
async fn parallel_attempts_at_a_password_do_not_outrun_their_limit() {
    let server = Server::start(QUIET).await.unwrap();
    let http = reqwest::Client::new();
    let attempts: Vec<_> = (0..40)
        .map(|number| {
            let form = [("username", "admin".to_owned()), ("password", format!("salah-{number}"))];
            let request =
                http.post(format!("{}/masuk", server.api.url)).header("sec-fetch-site", "same-origin");
            tokio::spawn(request.form(&form).send())
        })
        .collect();
    for attempt in attempts {
        assert_eq!(attempt.await.unwrap().unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    let trail = server.api.get("/api/v1/audit").await.unwrap();
    let verified =
        trail.as_array().unwrap().iter().filter(|entry| entry["action"] == "session.refuse").count();
    assert_eq!(verified, 10, "as many as access.max_failed_logins are verified, not one more");
}

#[tokio::test]
async fn a_flood_of_selectors_is_refused_and_the_server_goes_on() {
    let server = Server::start(QUIET).await.unwrap();
    let selectors = vec!["match[]=%7B__name__%3D~%22.%2B%22%7D"; 50_000].join("&");
    let request = server
        .api
        .request(Method::POST, "/prometheus/api/v1/labels")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(selectors);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
    server.api.get("/readyz").await.unwrap();
}

#[tokio::test]
async fn a_refused_write_leaves_no_metadata_and_a_token_makes_no_token() {
    let server = Server::start(QUIET).await.unwrap();
    let metadata = MetricMetadata {
        r#type: MetricType::Gauge.into(),
        metric_family_name: "planted".to_owned(),
        help: "planted".to_owned(),
        unit: String::new(),
    };
    let refused =
        WriteRequest { timeseries: vec![series(&[("job", "x")], &[(1, 1.0)])], metadata: vec![metadata] };
    let (status, _) = server.api.write_body(remote_write::encode(&refused).unwrap()).await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let known = server.api.get("/prometheus/api/v1/metadata").await.unwrap();
    assert_eq!(known["data"], serde_json::json!({}));

    let more =
        server.api.request(Method::POST, "/api/v1/tokens").json(&serde_json::json!({"name": "selamanya"}));
    assert_eq!(more.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    let enrol = server.api.post("/api/v1/enrol-tokens", &serde_json::json!({})).await.unwrap();
    // A machine in service is not taken over with a token for anybody; its own token stays good.
    let enrol_as = |token: &serde_json::Value, machine_id: &str| {
        let body = serde_json::json!({
            "token": token, "hostname": "web", "machine_id": machine_id, "agent_version": "1"
        });
        server.api.request(Method::POST, "/api/v1/agents/enrol").json(&body).send()
    };
    let web: serde_json::Value = enrol_as(&enrol["token"], "m1").await.unwrap().json().await.unwrap();
    let enrol = server.api.post("/api/v1/enrol-tokens", &serde_json::json!({})).await.unwrap();
    assert_eq!(enrol_as(&enrol["token"], "m1").await.unwrap().status(), StatusCode::CONFLICT);
    let agent = server.api.with_token(web["agent_token"].as_str().unwrap());
    let (status, text) =
        agent.write(vec![series(&[("__name__", "ALERTS"), ("instance", "web")], &[(1, 1.0)])]).await.unwrap();
    assert_eq!(status, StatusCode::BAD_REQUEST, "{text}");
    assert!(text.contains("only the server writes"), "{text}");
    let for_web = server.api.post("/api/v1/enrol-tokens", &serde_json::json!({"host": "web"})).await.unwrap();
    assert_eq!(enrol_as(&for_web["token"], "m1").await.unwrap().status(), StatusCode::OK);
    let trail = server.api.get("/api/v1/audit").await.unwrap().to_string();
    assert!(trail.contains("host.enrol.refuse") && trail.contains("host.enrol.again"), "{trail}");
    for hostname in ["..", " ", "a/b", "\u{202e}web", "<script>"] {
        let body = serde_json::json!({
            "token": enrol["token"], "hostname": hostname, "machine_id": "m", "agent_version": "1"
        });
        let request = server.api.request(Method::POST, "/api/v1/agents/enrol").json(&body);
        assert_eq!(request.send().await.unwrap().status(), StatusCode::BAD_REQUEST, "{hostname:?}");
    }
}

#[tokio::test]
async fn what_somebody_typed_is_never_markup_on_a_page() {
    let server = Server::start(QUIET).await.unwrap();
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let user = serde_json::json!({
        "username": "x", "display_name": evil, "password": "cukup-panjang", "roles": ["helpdesk"]
    });
    server.api.post("/api/v1/users", &user).await.unwrap();
    let report = serde_json::json!({
        "title": evil, "detail": evil, "instance": "", "component": evil, "impact": "large", "urgency": "urgent"
    });
    let opened = server.api.request(Method::POST, "/api/v1/incidents").json(&report).send().await.unwrap();
    assert!(opened.status().is_success(), "{}", opened.text().await.unwrap());
    let number = opened.json::<serde_json::Value>().await.unwrap()["number"].as_str().unwrap().to_owned();
    for path in [
        "/",
        "/insiden",
        &format!("/insiden/{number}"),
        "/pengguna",
        "/server/%3Cscript%3Ealert",
        "/aset?q=%3Cscript%3Ealert",
    ] {
        let request = server.api.request(Method::GET, path).header("accept", "text/html");
        let answer = request.send().await.unwrap();
        assert!(answer.headers().contains_key("content-security-policy"), "{path}");
        let html = answer.text().await.unwrap();
        assert!(html.contains("<html") && !html.contains("<script>alert"), "{path}: {html}");
        assert!(!html.contains("<img src=x"), "{path}");
    }
}

#[tokio::test]
async fn every_route_but_the_public_ones_asks_who_is_there_and_every_error_is_json() {
    let server = Server::start(QUIET).await.unwrap();
    let api = server.api.get("/api/openapi.json").await.unwrap();
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation["security"].as_array().is_some_and(Vec::is_empty) {
                continue;
            }
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let answer = server.api.nameless(method, &path.replace(['{', '}'], "")).send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "{path}");
        }
    }
    for (method, path, body, status) in [
        (Method::GET, "/none", "", 404),
        (Method::PATCH, "/api/v1/hosts", "", 405),
        (Method::GET, "/api/v1/hosts/%ff", "", 400),
        (Method::POST, "/api/v1/users", "{", 400),
        (Method::POST, "/api/v1/users", "\u{0}", 400),
    ] {
        let request = server.api.request(method, path).header("content-type", "application/json").body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path} {body}");
        let problem: serde_json::Value = answer.json().await.unwrap();
        assert!(problem["error"].is_string(), "{path}: {problem}");
    }
    for (path, kind) in
        [("/api/v1/agents/enrol", "application/json"), ("/masuk", "application/x-www-form-urlencoded")]
    {
        let request = server.api.nameless(Method::POST, path).header("content-type", kind);
        let request = request.header("sec-fetch-site", "same-origin").body(vec![b' '; 65 << 10]);
        let status = request.send().await.unwrap().status();
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{path}: what anybody may send is not held");
    }
    let (status, text) = server.api.write_body(vec![0; (16 << 20) + 1]).await.unwrap();
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["error"].is_string(), "{text}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_given_up_at_the_time_limit_and_told_so() {
    let mut server = Server::start(&format!("{QUIET}[query]\ntimeout = \"1s\"\n")).await.unwrap();
    let config = std::fs::read_to_string(server.config_file()).unwrap();
    let config = config.replace("[http]\n", "[http]\nrequest_timeout = \"2s\"\n");
    std::fs::write(server.config_file(), config).unwrap();
    server.stop().await.unwrap();
    server.launch().await.unwrap();
    let address = server.api.url.trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /masuk HTTP/1.1\r\nhost: {address}\r\nsec-fetch-site: same-origin\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\nusername="
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("http.request_timeout (2 s)"), "{answer}");
}
