//! From the spool to a server and back from its refusals.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

mod common;

use common::{Server, collect, context};
use siaga_agent::samples::Recorder;
use siaga_agent::sender;

#[tokio::test]
async fn samples_arrive_as_remote_write_with_the_agents_labels() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), "");
    collect(&context, &mut Recorder::default(), &[(1_000, 1.0), (2_000, 2.0)]);
    let task = tokio::spawn(sender::run(context.clone()));
    server.until(|record| (record.times() == [1_000, 2_000]).then_some(())).await;
    let record = server.record.lock().unwrap();
    let labels: Vec<_> =
        record.writes[0].timeseries[0].labels.iter().map(|l| (l.name.as_str(), l.value.as_str())).collect();
    assert_eq!(labels, [("__name__", "m"), ("device", "sda"), ("instance", "web-1"), ("job", "siaga")]);
    for (name, value) in [
        ("content-encoding", "snappy"),
        ("content-type", "application/x-protobuf"),
        ("x-prometheus-remote-write-version", "0.1.0"),
        ("authorization", "Bearer agent-secret"),
    ] {
        assert_eq!(record.headers[0][name], value);
    }
    task.abort();
}

#[tokio::test]
async fn what_the_server_cannot_take_now_comes_later_in_order_and_once() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    server.record.lock().unwrap().statuses = [503, 429, 401].into();
    let (context, _keep) =
        context(&server, dir.path(), "[send]\nmax_backoff_seconds = 1\nmax_samples_per_request = 100");
    let mut recorder = Recorder::default();
    let samples: Vec<_> = (1..=700).map(|n| (n * 1_000, n as f64)).collect();
    collect(&context, &mut recorder, &samples[..650]);
    let task = tokio::spawn(sender::run(context.clone()));
    collect(&context, &mut recorder, &samples[650..]);
    server.until(|record| (record.times().len() >= 700).then_some(())).await;
    let record = server.record.lock().unwrap();
    assert_eq!(record.times(), samples.iter().map(|s| s.0).collect::<Vec<_>>());
    assert_eq!(record.attempts, record.writes.len() + 3);
    assert_eq!(context.counters.send_failures.get(), 3);
    assert_eq!(context.counters.rejected_samples.get(), 0);
    task.abort();
}

#[tokio::test]
async fn it_comes_back_no_sooner_than_the_server_asks() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    {
        let mut record = server.record.lock().unwrap();
        (record.statuses, record.retry_after) = ([503].into(), Some(3));
    }
    let (context, _keep) = context(&server, dir.path(), "[send]\nmax_backoff_seconds = 1\n");
    collect(&context, &mut Recorder::default(), &[(1_000, 1.0)]);
    let started = std::time::Instant::now();
    let task = tokio::spawn(sender::run(context.clone()));
    server.until(|record| (record.times() == [1_000]).then_some(())).await;
    assert!(started.elapsed() >= std::time::Duration::from_secs(3));
    task.abort();
}

#[tokio::test]
async fn one_collection_that_the_server_will_never_take_costs_only_itself() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    server.record.lock().unwrap().refuse_negative = true;
    let (context, _keep) = context(&server, dir.path(), "");
    let samples: Vec<_> = (1..=40).map(|n| (n * 1_000, if n == 23 { -1.0 } else { 1.0 })).collect();
    collect(&context, &mut Recorder::default(), &samples);
    let task = tokio::spawn(sender::run(context.clone()));
    server.until(|record| (record.times().len() >= 39).then_some(())).await;
    let expected: Vec<_> = samples.iter().filter(|s| s.1 > 0.0).map(|s| s.0).collect();
    assert_eq!(server.record.lock().unwrap().times(), expected);
    assert_eq!(context.counters.rejected_samples.get(), 1);
    task.abort();
}

#[tokio::test]
async fn samples_of_an_agent_that_was_killed_are_sent_by_the_next() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    {
        let (context, _keep) = context(&server, dir.path(), "");
        collect(&context, &mut Recorder::default(), &[(1_000, 1.0), (2_000, 2.0)]);
        std::mem::forget(context); // nothing is closed or flushed
    }
    let (context, _keep) = context(&server, dir.path(), "");
    collect(&context, &mut Recorder::default(), &[(3_000, 3.0)]);
    let task = tokio::spawn(sender::run(context));
    server.until(|record| (record.times() == [1_000, 2_000, 3_000]).then_some(())).await;
    task.abort();
}

#[tokio::test]
async fn another_receiver_gets_everything_also_while_the_server_is_away_and_the_server_later() {
    let (server, other, dir) = (Server::start().await, Server::start().await, tempfile::tempdir().unwrap());
    let token = dir.path().join("token");
    std::fs::write(&token, format!("{}\n", common::TOKEN)).unwrap();
    let target = format!(
        "[send]\nmax_backoff_seconds = 1\n[[targets]]\nname = \"other\"\nurl = \"{}{}\"\ntoken_file = \"{}\"\n",
        other.url,
        siaga_protocol::paths::REMOTE_WRITE,
        token.display()
    );
    server.record.lock().unwrap().statuses = [503; 3].into();
    let (context, _keep) = context(&server, dir.path(), &target);
    let mut recorder = Recorder::default();
    collect(&context, &mut recorder, &[(1_000, 1.0), (2_000, 2.0)]);
    let task = tokio::spawn(sender::run(context.clone()));
    other.until(|record| (record.times() == [1_000, 2_000]).then_some(())).await;
    server.until(|record| (record.times() == [1_000, 2_000]).then_some(())).await;
    collect(&context, &mut recorder, &[(3_000, 3.0)]);
    for receiver in [&server, &other] {
        receiver.until(|record| (record.times() == [1_000, 2_000, 3_000]).then_some(())).await;
    }
    task.abort();
}

#[tokio::test]
async fn types_and_help_follow_the_samples_to_the_server() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), "[collect]\ninterval_seconds = 1\n");
    let collecting = tokio::spawn(siaga_agent::sampler::run(context.clone()));
    let sending = tokio::spawn(sender::run(context));
    let metadata =
        server.until(|record| (!record.metadata.is_empty()).then(|| record.metadata.clone())).await;
    let of = |name: &str| {
        let family = metadata.iter().find(|family| family.metric_family_name == name).unwrap();
        (family.r#type, family.help.as_str())
    };
    assert_eq!(of("node_load5"), (2, "Tasks that run or wait, average of 5 minutes."));
    assert_eq!(of("node_cpu_seconds_total"), (1, "Processor time by mode."));
    assert!(metadata.len() > 100 && metadata.iter().all(|family| !family.help.is_empty()), "{metadata:#?}");
    collecting.abort();
    sending.abort();
}

#[tokio::test]
async fn a_clock_that_differs_from_the_servers_is_told_as_a_figure() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let ahead = std::time::SystemTime::now() + std::time::Duration::from_secs(3_600);
    server.record.lock().unwrap().date = Some(httpdate::fmt_http_date(ahead));
    let (context, _keep) = context(&server, dir.path(), "[collect]\ninterval_seconds = 1\n");
    let collecting = tokio::spawn(siaga_agent::sampler::run(context.clone()));
    let sending = tokio::spawn(sender::run(context));
    let offset = server
        .until(|record| {
            let series = record.writes.iter().flat_map(|write| &write.timeseries);
            let name = "siaga_agent_clock_offset_seconds";
            let mut named =
                series.filter(|s| s.labels.iter().any(|l| l.name == "__name__" && l.value == name));
            named.next_back().and_then(|series| Some(series.samples.last()?.value))
        })
        .await;
    assert!((3_500.0..3_700.0).contains(&offset), "{offset}");
    collecting.abort();
    sending.abort();
}
