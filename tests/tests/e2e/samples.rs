//! What was answered with 2xx is kept, and what could not be sent is sent later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use siaga_tests::harness::{Agent, Server, series, wait_for};

const LONG: Duration = Duration::from_secs(60);

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Samples of `query` over the last `window`, oldest first: time in milliseconds and value.
async fn raw(server: &Server, query: &str) -> Vec<(i64, f64)> {
    let found = server.api.query(query, None).await.unwrap();
    assert!(found.len() <= 1, "{query} gives {} series", found.len());
    let samples = found.first().and_then(|series| series["values"].as_array().cloned()).unwrap_or_default();
    samples
        .iter()
        .map(|pair| {
            #[expect(clippy::cast_possible_truncation, reason = "milliseconds of today")]
            let at = (pair[0].as_f64().unwrap() * 1_000.0).round() as i64;
            (at, pair[1].as_str().unwrap().parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn every_sample_answered_with_2xx_survives_sigkill_under_load() {
    let mut server = Server::start("[rules]\ndefaults = false\n").await.unwrap();
    let writing = Arc::new(AtomicBool::new(true));
    let base = now_ms() - 300_000;
    let acknowledged: Vec<Arc<AtomicI64>> = (0..4).map(|_| Arc::new(AtomicI64::new(-1))).collect();
    let writers: Vec<_> = acknowledged
        .iter()
        .enumerate()
        .map(|(number, last)| {
            let (api, writing, last) = (server.api.clone(), Arc::clone(&writing), Arc::clone(last));
            let name = number.to_string();
            tokio::spawn(async move {
                let mut next = 0;
                while writing.load(Ordering::Relaxed) {
                    let batch = series(
                        &[("__name__", "load_test"), ("writer", &name)],
                        &[(base + next, f64::from(i32::try_from(next).unwrap()))],
                    );
                    match api.write(vec![batch]).await {
                        Ok((status, _)) if status.is_success() => {
                            last.store(next, Ordering::Relaxed);
                            next += 1;
                        }
                        // The server is being killed: nothing was answered, nothing is claimed.
                        _ => tokio::time::sleep(Duration::from_millis(20)).await,
                    }
                }
            })
        })
        .collect();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(700)).await;
        server.kill().unwrap();
        server.launch().await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    writing.store(false, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    for (number, last) in acknowledged.iter().enumerate() {
        let last = last.load(Ordering::Relaxed);
        assert!(last > 20, "writer {number} got only {last} answers");
        let kept = raw(&server, &format!("load_test{{writer=\"{number}\"}}[10m]")).await;
        for wanted in 0..=last {
            let (at, value) = kept[usize::try_from(wanted).unwrap()];
            assert_eq!(at, base + wanted, "writer {number}");
            assert_eq!(value, f64::from(i32::try_from(wanted).unwrap()), "writer {number}");
        }
    }
}

#[tokio::test]
async fn an_agent_loses_nothing_while_the_server_is_away_and_catches_up_in_order() {
    let mut server = Server::start("[rules]\ndefaults = false\n").await.unwrap();
    let mut agent = Agent::start(&server, "[collect]\ninterval_seconds = 1\n").unwrap();
    let query = format!("node_time_seconds{{instance=\"{}\"}}[10m]", agent.instance().unwrap());
    wait_for("first samples", LONG, async || (raw(&server, &query).await.len() >= 3).then_some(())).await;

    server.kill().unwrap();
    tokio::time::sleep(Duration::from_secs(8)).await;
    // The agent itself is killed as well while it holds samples that nobody has.
    agent.kill().unwrap();
    agent.launch().unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    let back = now_ms();
    server.launch().await.unwrap();

    let samples = wait_for("the agent to catch up", LONG, async || {
        let samples = raw(&server, &query).await;
        samples.last().is_some_and(|&(at, _)| at > back + 2_000).then_some(samples)
    })
    .await;
    let gaps: Vec<i64> = samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    // One second between samples, but for the restart of the agent itself.
    let long: Vec<&i64> = gaps.iter().filter(|gap| **gap > 1_500).collect();
    assert!(long.len() <= 1 && long.iter().all(|gap| **gap < 4_000), "gaps in milliseconds: {gaps:?}");
    assert!(gaps.iter().all(|gap| *gap > 0));
    for (at, value) in &samples {
        #[expect(clippy::cast_precision_loss, reason = "times of today")]
        let distance = (*value - *at as f64 / 1_000.0).abs();
        assert!(distance < 1.0, "the value at {at} is {value}");
    }
}
