//! Drills on real PostgreSQL servers: one that fails over, measures and goes back to where it began, on the plan that is
//! shipped; and the restore of a backup, whole and damaged.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use siaga_tests::harness::{Agent, Database, Databases, Server, account, wait_for};
use tokio_postgres::NoTls;

const LONG: Duration = Duration::from_secs(120);

/// A connection that finds the primary, wherever it is: what a service has.
async fn connect(address: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn number(address: &str, sql: &str) -> i64 {
    connect(address).await.unwrap().query_one(sql, &[]).await.unwrap().get(0)
}

async fn is_standby(database: &Database) -> Option<bool> {
    let client = connect(&database.address()).await.ok()?;
    Some(client.query_one("SELECT pg_is_in_recovery()", &[]).await.ok()?.get(0))
}

async fn streams(database: &Database) -> bool {
    let sql = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'";
    number(&database.address(), sql).await == 1
}

/// A service over the databases: it is well when it can write, and takes and gives rows.
async fn service(address: String) -> u16 {
    #[derive(Deserialize)]
    struct Row {
        drill: String,
        mark: i64,
    }
    #[derive(Deserialize)]
    struct Wanted {
        drill: String,
    }
    type Shared = Arc<String>;
    async fn health(State(address): State<Shared>) -> StatusCode {
        let Ok(client) = connect(&address).await else { return StatusCode::SERVICE_UNAVAILABLE };
        match client.execute("INSERT INTO load DEFAULT VALUES", &[]).await {
            Ok(1) => StatusCode::OK,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
    async fn write(State(address): State<Shared>, Json(row): Json<Row>) -> StatusCode {
        let Ok(client) = connect(&address).await else { return StatusCode::SERVICE_UNAVAILABLE };
        let sql = "INSERT INTO siaga_marker (drill, mark) VALUES ($1, $2)";
        match client.execute(sql, &[&row.drill, &row.mark]).await {
            Ok(1) => StatusCode::CREATED,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
    async fn read(
        State(address): State<Shared>,
        Query(wanted): Query<Wanted>,
    ) -> Result<Json<Vec<i64>>, StatusCode> {
        let client = connect(&address).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        let sql = "SELECT mark FROM siaga_marker WHERE drill = $1";
        let rows = client.query(sql, &[&wanted.drill]).await.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        Ok(Json(rows.iter().map(|row| row.get(0)).collect()))
    }
    let router = Router::new()
        .route("/health", get(health))
        .route("/marker", get(read).post(write))
        .with_state(Arc::new(address));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    port
}

/// The actions of one database's host, as its own file has them.
fn actions(own: &Database, peer: &Database, folder: &Path, tasks: &[(&str, &str)]) -> String {
    let user = account().map_or_else(String::new, |user| format!("user = \"{user}\"\n"));
    let one = |(name, task): &(&str, &str)| {
        format!(
            "[actions.{name}]\ntimeout_seconds = 40\n{user}[actions.{name}.postgres]\ntask = \"{task}\"\n\
             data = \"{}\"\nconfig_file = \"{}\"\nlog = \"{}\"\nport = {}\nsocket = \"{}\"\npeer = \"{}\"\n",
            own.data.display(),
            own.config_file.display(),
            own.config_file.with_extension("log").display(),
            own.port,
            folder.display(),
            peer.address(),
        )
    };
    tasks.iter().map(one).collect()
}

/// A shipped plan without its approvals and its blackouts, which the clock would decide.
fn shipped(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/plans").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let mut kept = Vec::new();
    let mut leave_out = false;
    for line in text.lines() {
        if line.starts_with('[') {
            leave_out = matches!(line, "[approval]" | "[[blackout]]" | "[schedule]");
        }
        let of_blackout = line.starts_with("\"Tenggat tender\"") || line.starts_with("\"Insiden prioritas");
        if !leave_out && !of_blackout {
            kept.push(line);
        }
    }
    kept.join("\n")
}

async fn server_with_plans(plans: &[(&str, String)]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in plans {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let config =
        format!("[continuity]\nplans_dir = \"{}\"\n[rules]\ndefaults = false\n", folder.path().display());
    (Server::start(&config).await.unwrap(), folder)
}

/// Begins a drill as soon as the fleet can carry it out, and waits for its end.
async fn drill(server: &Server, plan: &str) -> Value {
    let path = format!("/api/v1/plans/{plan}");
    wait_for("the agents to offer their actions", LONG, async || {
        let plan = server.api.get(&path).await.unwrap();
        (plan["problems"] == json!([])).then_some(())
    })
    .await;
    let started = server.api.post(&format!("{path}/drills"), &json!({})).await.unwrap();
    let path = format!("/api/v1/drills/{}", started["id"].as_str().unwrap());
    wait_for("the drill to end", LONG, async || {
        let drill = server.api.get(&path).await.unwrap();
        (drill["drill"]["status"] != "running").then_some(drill)
    })
    .await
}

async fn report(server: &Server, drill: &Value) -> String {
    let path = format!("/api/v1/drills/{}/report?lang=id", drill["drill"]["id"].as_str().unwrap());
    server.api.request(reqwest::Method::GET, &path).send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_database_fails_over_is_measured_and_ends_where_it_began() {
    let databases = Databases::start().unwrap();
    let admin = connect(&databases.a.address()).await.unwrap();
    admin
        .batch_execute(
            "CREATE TABLE load (id bigserial PRIMARY KEY); \
             CREATE TABLE siaga_marker (drill text, mark bigint, PRIMARY KEY (drill, mark))",
        )
        .await
        .unwrap();
    let port = service(databases.address()).await;
    let plan = shipped("postgresql.toml").replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
    let (server, _plans) = server_with_plans(&[("postgresql.toml", plan)]).await;
    let (a, b, folder) = (&databases.a, &databases.b, databases.folder());
    let on_a = actions(a, b, folder, &[("pg-crash", "crash"), ("pg-rejoin", "rejoin")]);
    let on_b = actions(b, a, folder, &[("pg-follow", "follow"), ("pg-promote", "promote")]);
    let _agent_a = Agent::start_as(&server, "db-a", &on_a).await.unwrap();
    let _agent_b = Agent::start_as(&server, "db-b", &on_b).await.unwrap();

    let done = drill(&server, "postgresql-alih-layanan").await;
    assert_eq!(done["drill"]["status"], "passed", "{done:#}");
    assert_eq!(done["drill"]["restored"], true);
    let (rto, downtime) =
        (done["drill"]["rto_ms"].as_i64().unwrap(), done["drill"]["downtime_ms"].as_i64().unwrap());
    assert!(rto > 0 && rto <= 60_000 && downtime >= rto, "RTO {rto} ms, downtime {downtime} ms");

    // Where it began: roles, streaming, and no server with a history of its own.
    assert_eq!((is_standby(a).await, is_standby(b).await), (Some(false), Some(true)));
    assert!(streams(b).await);
    let timeline = "SELECT timeline_id::bigint FROM pg_control_checkpoint()";
    connect(&a.address()).await.unwrap().batch_execute("CHECKPOINT").await.unwrap();
    assert_eq!(number(&a.address(), timeline).await, 3, "it was promoted twice: there and back");

    // Rows: what the report says is what is in the database.
    let rows = &done["rows"];
    let id = done["drill"]["id"].as_str().unwrap();
    let trace = server.api.get(&format!("/api/v1/drills/{id}/trace")).await.unwrap();
    let trace = trace.as_array().unwrap().iter().find(|one| one[0] == "Baris penanda").unwrap();
    let kept = |point: &&Value| point[2] == "good";
    let acknowledged: BTreeSet<i64> =
        trace[1].as_array().unwrap().iter().filter(kept).map(|point| point[0].as_i64().unwrap()).collect();
    let client = connect(&databases.address()).await.unwrap();
    let there = client.query("SELECT mark FROM siaga_marker", &[]).await.unwrap();
    let there: BTreeSet<i64> = there.iter().map(|row| row.get(0)).collect();
    let lost = i64::try_from(acknowledged.difference(&there).count()).unwrap();
    assert_eq!(done["rows_after"]["lost"], lost, "{rows:#}");
    assert_eq!(rows["lost"], lost, "the way back loses nothing");
    assert!(rows["acknowledged"].as_i64().unwrap() > 10, "{rows:#}");
    assert!(
        trace[1].as_array().unwrap().len() > acknowledged.len(),
        "rows were refused while nobody took them"
    );
    assert_eq!(rows["rpo_ms"] == 0, lost == 0, "{rows:#}");

    let html = report(&server, &done).await;
    for wanted in ["Baris penanda setelah pemulihan", "Alih layanan", "pg-promote @ db-b"] {
        assert!(html.contains(wanted), "{wanted} is not in the report");
    }
    assert!(!html.contains("continuity."), "a text is missing from the catalogue");
    let verified = server.api.get(&format!("/api/v1/drills/{id}/verification")).await.unwrap();
    assert_eq!(verified["state"], "intact", "{verified:#}");

    // A standby that lags is no standby for a drill: nothing is broken.
    connect(&b.address()).await.unwrap().batch_execute("SELECT pg_wal_replay_pause()").await.unwrap();
    let fill = "INSERT INTO load SELECT FROM generate_series(1, 400000)";
    connect(&a.address()).await.unwrap().batch_execute(fill).await.unwrap();
    let lagging = drill(&server, "postgresql-alih-layanan").await;
    assert_eq!(
        (&lagging["drill"]["status"], &lagging["drill"]["restored"]),
        (&json!("failed"), &json!(true))
    );
    let reasons = lagging["drill"]["reasons"].to_string();
    assert!(reasons.contains("bytes behind, more than"), "{reasons}");
    assert_eq!(is_standby(a).await, Some(false), "the primary was not touched");
}

#[tokio::test]
async fn a_backup_is_restored_and_counted_and_a_damaged_one_fails_with_the_reason() {
    let databases = Databases::start().unwrap();
    let source = databases.a.address();
    let admin = connect(&source).await.unwrap();
    admin.batch_execute("CREATE TABLE paket (id int, dibuat timestamptz DEFAULT now())").await.unwrap();
    admin.batch_execute("INSERT INTO paket SELECT generate_series(1, 1000)").await.unwrap();
    let backup = databases.back_up("backup").unwrap();
    // These rows are in archived WAL alone.
    admin.batch_execute("INSERT INTO paket SELECT generate_series(1, 500)").await.unwrap();
    let segment: String =
        admin.query_one("SELECT pg_walfile_name(pg_switch_wal())", &[]).await.unwrap().get(0);
    let archived = databases.archive().join(&segment);
    wait_for("the WAL to be archived", LONG, async || archived.exists().then_some(())).await;

    let plan = shipped("restore.toml");
    let (server, _plans) = server_with_plans(&[("restore.toml", plan)]).await;
    let user = account().map_or_else(String::new, |user| format!("user = \"{user}\"\n"));
    let scratch = databases.folder().join("scratch");
    let config = format!(
        "[actions.restore-check]\ntimeout_seconds = 60\n{user}[actions.restore-check.restore]\n\
         backup = \"{}\"\nwal = \"{}\"\nscratch = \"{}\"\nsource = \"{source}\"\n\
         count = [\"SELECT count(*) FROM paket\"]\nnewest = \"SELECT extract(epoch FROM max(dibuat)) FROM paket\"\n",
        backup.display(),
        databases.archive().display(),
        scratch.display(),
    );
    let _agent = Agent::start_as(&server, "db-b", &config).await.unwrap();
    let done = drill(&server, "pemulihan-cadangan").await;
    assert_eq!(done["drill"]["status"], "passed", "{done:#}");
    let answer =
        done["journal"].as_array().unwrap().iter().find(|one| one["fact"]["event"] == "step_answered");
    let output = answer.unwrap()["fact"]["answer"]["output"].as_str().unwrap();
    assert!(output.contains("1500 restored, 1500 in the source"), "{output}");
    assert!(output.contains("\"missing_rows\":0.0") && output.contains("\"behind_seconds\":0.0"), "{output}");
    let took = done["drill"]["rto_ms"].as_i64().unwrap();
    assert!((100..60_000).contains(&took), "{took} ms");
    assert!(!scratch.exists(), "nothing is left behind");
    assert_eq!(number(&source, "SELECT count(*) FROM paket").await, 1_500, "the source is as it was");
    let html = report(&server, &done).await;
    assert!(html.contains("Pemulihan cadangan") && !html.contains("continuity."), "{html}");

    // A byte of a table changes on the way to the shelf.
    let path =
        admin.query_one("SELECT pg_relation_filepath('paket')", &[]).await.unwrap().get::<_, String>(0);
    let file = backup.join(path);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[5_000] ^= 0xff;
    std::fs::write(&file, bytes).unwrap();
    let damaged = drill(&server, "pemulihan-cadangan").await;
    assert_eq!(
        (&damaged["drill"]["status"], &damaged["drill"]["restored"]),
        (&json!("failed"), &json!(true))
    );
    let reasons = damaged["drill"]["reasons"].to_string();
    assert!(reasons.contains("the backup is damaged") && reasons.contains("checksum"), "{reasons}");
    assert!(!scratch.exists(), "nothing is left behind");
    let html = report(&server, &damaged).await;
    assert!(html.contains("the backup is damaged"), "the report says why");
}
