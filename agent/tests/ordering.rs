//! Orders: carried out, refused, taken back by themselves.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

mod common;

use std::path::Path;
use std::sync::Arc;

use common::{HOST, Server, context, signed};
use siaga_agent::context::Context;
use siaga_agent::executor::{self, Started, Trust};
use siaga_agent::{clock, durable, orders};
use siaga_protocol::orders::{Order, OrderKind, Outcome};
use tokio::sync::watch;

fn config(dir: &Path) -> String {
    let mark = dir.join("mark").display().to_string();
    format!(
        "[orders]\nwait_seconds = 1\nstart_executor = false\n\
         [actions.mark]\ncommand = [\"sh\", \"-c\", \"echo run >> {mark}; echo made\"]\n\
         undo = [\"sh\", \"-c\", \"echo undo >> {mark}\"]\n\
         [actions.slow]\ncommand = [\"sleep\", \"600\"]\ntimeout_seconds = 1\n"
    )
}

/// An agent and its executor, both as tasks of this process. They end when it is dropped.
struct Pair(Vec<tokio::task::JoinHandle<()>>);

impl Pair {
    fn start(context: &Context) -> Self {
        let config = context.now().config.clone();
        let (folder, socket) = (config.executor_dir(), config.executor_socket());
        durable::create_folder(&folder).unwrap();
        let listener = executor::listen(&socket).unwrap();
        let trust = Trust::of(&context.credentials);
        let executor = async move {
            let (_keep, config) = watch::channel(Arc::new(config));
            executor::serve(listener, &folder, trust, config, Started::BySystem).await;
        };
        Self(vec![tokio::spawn(executor), tokio::spawn(orders::run(context.clone()))])
    }

    async fn end(mut self) {
        for task in self.0.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

fn mark(dir: &Path) -> String {
    std::fs::read_to_string(dir.join("mark")).unwrap_or_default()
}

fn order(id: &str, action: &str, kind: OrderKind) -> Order {
    Order {
        id: id.into(),
        host_id: HOST.into(),
        drill_id: "drill-1".into(),
        action: action.into(),
        kind,
        expires_at_ms: clock::now_ms() + 60_000,
        undo_at_ms: None,
    }
}

#[tokio::test]
async fn an_order_is_carried_out_once_and_answered() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), &config(dir.path()));
    let pair = Pair::start(&context);
    server.record.lock().unwrap().orders =
        vec![signed(&order("o1", "mark", OrderKind::Run)), signed(&order("o2", "mark", OrderKind::Undo))];
    let results = server.until(|record| (record.results.len() == 2).then(|| record.results.clone())).await;
    let first = results.iter().find(|result| result.order_id == "o1").unwrap();
    assert_eq!((first.outcome, first.output.as_str()), (Outcome::Succeeded, "made\n"));
    assert!(first.ended_at_ms >= first.started_at_ms);
    assert_eq!(mark(dir.path()), "run\nundo\n");
    assert_eq!(context.counters.orders_refused.get(), 0);

    // The same order offered once more, as somebody on the way could: nothing is done.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    server.record.lock().unwrap().results.clear();
    let replayed = server.until(|record| record.results.first().cloned()).await;
    assert_eq!(
        (replayed.outcome, replayed.message.as_str()),
        (Outcome::Refused, "the order was carried out before")
    );
    assert_eq!(mark(dir.path()), "run\nundo\n");
    pair.end().await;
}

#[tokio::test]
async fn what_is_not_right_is_refused_with_its_reason() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), &config(dir.path()));
    let mut forged = signed(&order("forged", "mark", OrderKind::Run));
    forged.payload = forged.payload.replace("slow", "mark").replace("drill-1", "drill-2");
    let expired = Order { expires_at_ms: 1, ..order("expired", "mark", OrderKind::Run) };
    let misled = Order { host_id: "other".into(), ..order("misled", "mark", OrderKind::Run) };
    let bare = Order { undo_at_ms: Some(i64::MAX), ..order("bare", "slow", OrderKind::Run) };
    server.record.lock().unwrap().orders = vec![
        forged,
        signed(&expired),
        signed(&misled),
        signed(&bare),
        signed(&order("unknown", "format-disk", OrderKind::Run)),
        signed(&order("no-undo", "slow", OrderKind::Undo)),
    ];
    let pair = Pair::start(&context);
    let results = server.until(|record| (record.results.len() == 6).then(|| record.results.clone())).await;
    for (id, reason) in [
        ("forged", "the signature does not match the pinned key"),
        ("expired", "the order expired at 1 ms"),
        ("misled", "the order is for host other"),
        ("bare", "an undo by itself is asked for, but the action has none"),
        ("unknown", "this host's configuration has no such action"),
        ("no-undo", "the action has no undo"),
    ] {
        let result = results.iter().find(|result| result.order_id == id).unwrap();
        assert_eq!(result.outcome, Outcome::Refused, "{id}");
        assert!(result.message.starts_with(reason), "{id}: {}", result.message);
    }
    assert_eq!(context.counters.orders_refused.get(), 6);
    assert_eq!(mark(dir.path()), "");
    pair.end().await;
}

#[tokio::test]
async fn a_command_that_does_not_end_is_killed_and_reported() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), &config(dir.path()));
    server.record.lock().unwrap().orders = vec![signed(&order("o1", "slow", OrderKind::Run))];
    let pair = Pair::start(&context);
    let result = server.until(|record| record.results.first().cloned()).await;
    assert_eq!(result.outcome, Outcome::TimedOut);
    pair.end().await;
}

async fn until_mark(dir: &Path, expected: &str) {
    let wait = async {
        while mark(dir) != expected {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait).await.expect("the undo never came");
}

#[tokio::test]
async fn an_undo_that_nobody_orders_is_carried_out_without_one_also_after_a_restart() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), &config(dir.path()));
    let undo_at_ms = Some(clock::now_ms() + 3_000);
    let run = Order { undo_at_ms, ..order("o1", "mark", OrderKind::Run) };
    server.record.lock().unwrap().orders = vec![signed(&run)];
    let pair = Pair::start(&context);
    server.until(|record| record.results.first().cloned()).await;
    pair.end().await;
    let again = Pair::start(&context);
    until_mark(dir.path(), "run\nundo\n").await;
    again.end().await;
}

#[tokio::test]
async fn an_ordered_undo_makes_another_needless() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), &config(dir.path()));
    let run = Order { undo_at_ms: Some(clock::now_ms() + 3_600_000), ..order("o1", "mark", OrderKind::Run) };
    server.record.lock().unwrap().orders = vec![signed(&run)];
    let pair = Pair::start(&context);
    server.until(|record| record.results.first().cloned()).await;
    let journal = || std::fs::read_to_string(dir.path().join("executor/orders.json")).unwrap();
    assert!(journal().contains("undo_at_ms"));
    server.record.lock().unwrap().orders.push(signed(&order("o2", "mark", OrderKind::Undo)));
    server.until(|record| (record.results.len() == 2).then_some(())).await;
    assert!(!journal().contains("undo_at_ms"));
    assert_eq!(mark(dir.path()), "run\nundo\n");
    pair.end().await;
}

#[tokio::test]
async fn a_broken_memory_costs_no_undo_and_is_told() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), &config(dir.path()));
    let run = Order { undo_at_ms: Some(clock::now_ms() + 1_000), ..order("o1", "mark", OrderKind::Run) };
    server.record.lock().unwrap().orders = vec![signed(&run)];
    let pair = Pair::start(&context);
    server.until(|record| record.results.first().cloned()).await;
    pair.end().await;
    std::fs::write(dir.path().join("executor/orders.json"), "{\"orders\": {\"o1").unwrap();
    let again = Pair::start(&context);
    let undo = server.until(|record| record.undos.first().cloned()).await;
    assert_eq!((undo.order_id.as_str(), undo.outcome), ("o1", Outcome::Succeeded));
    assert_eq!(mark(dir.path()), "run\nundo\n");
    server.until(|_| (context.counters.orders_memory_broken.get() == 1).then_some(())).await;
    again.end().await;
}

#[tokio::test]
async fn the_executor_finishes_and_undoes_while_no_agent_is_there() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), &config(dir.path()));
    let run = Order { undo_at_ms: Some(clock::now_ms() + 1_500), ..order("o1", "mark", OrderKind::Run) };
    server.record.lock().unwrap().orders = vec![signed(&run)];
    let mut pair = Pair::start(&context);
    server.until(|record| record.results.first().cloned()).await;
    let agent = pair.0.pop().unwrap();
    agent.abort();
    let _ = agent.await;
    until_mark(dir.path(), "run\nundo\n").await;
    assert!(server.record.lock().unwrap().undos.is_empty());
    // The next agent brings what came of it.
    pair.0.push(tokio::spawn(orders::run(context.clone())));
    let undo = server.until(|record| record.undos.first().cloned()).await;
    assert_eq!((undo.order_id.as_str(), undo.outcome), ("o1", Outcome::Succeeded));
    pair.end().await;
}

#[tokio::test]
async fn a_host_without_actions_has_no_executor_and_refuses() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    let (context, _keep) = context(&server, dir.path(), "[orders]\nwait_seconds = 1\n");
    server.record.lock().unwrap().orders = vec![signed(&order("o1", "mark", OrderKind::Run))];
    let agent = tokio::spawn(orders::run(context.clone()));
    let result = server.until(|record| record.results.first().cloned()).await;
    assert_eq!(
        (result.outcome, result.message.as_str()),
        (Outcome::Refused, "this host's configuration has no such action")
    );
    assert!(!context.now().config.executor_dir().exists());
    agent.abort();
}
