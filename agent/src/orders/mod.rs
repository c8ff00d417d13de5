//! Asks the server for orders. Those of drills go to this host's executor, and what came of them to the server; those that
//! say which services are watched go to `discovery`.
//!
//! Invariant: the agent itself runs no command and decides on none; without an executor an order of a drill is refused.

mod link;
mod refusals;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Method;
use serde::Serialize;
use siaga_protocol::orders::{
    AgentUndo, Order, OrderBatch, OrderKind, OrderResult, Outcome, SignedOrder, verify,
};
use siaga_protocol::paths;
use tokio::sync::mpsc;

use crate::api::{ApiError, Verdict};
use crate::context::Context;
use crate::executor::is_too_old;
use crate::executor::wire::{Answer, ToExecutor};
use crate::{backoff, clock};
use link::{Link, Unanswered};
use refusals::Refusals;
pub(crate) use refusals::claimed_id;

/// Beyond what the server may hold a question open, the answer is awaited this long.
const POLL_GRACE: Duration = Duration::from_secs(10);
/// Pause after an answer without a new order: the server offers an order again until it has its result.
const QUIET_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Results, and undos, that wait to be delivered; the executor keeps the others.
const WAITING: usize = 4;

/// Takes orders until it is stopped.
pub async fn run(context: Context) {
    let (results, to_deliver) = mpsc::channel(WAITING);
    let (undos, to_report) = mpsc::channel(WAITING);
    let (link, connection) = Link::new(context.clone(), results, undos);
    let relay = Relay { context, link, refusals: Arc::default() };
    tokio::join!(connection.run(), relay.poll(), relay.deliver(to_deliver), relay.report_undos(to_report));
}

struct Relay {
    context: Context,
    link: Link,
    refusals: Arc<Mutex<Refusals>>,
}

impl Relay {
    async fn poll(&self) {
        let mut watched = self.context.running.clone();
        let mut failures = 0;
        loop {
            let running = Arc::clone(&watched.borrow_and_update());
            if !running.config.orders.enabled && !running.config.discovery.obeys() {
                if watched.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let wait = running.config.orders.wait_seconds.seconds();
            let path = format!("{}?wait_seconds={}", paths::ORDERS, wait.as_secs());
            let (asked_at_ms, asked) = (clock::now_ms(), tokio::time::Instant::now());
            let answer = tokio::select! {
                answer = running.api.poll_json::<OrderBatch>("ask for orders", &path, wait + POLL_GRACE) => answer,
                // The new configuration may name another server, or switch orders off.
                _ = watched.changed() => continue,
            };
            match answer {
                Ok(batch) => {
                    failures = 0;
                    let mut any_new = false;
                    for signed in batch.orders {
                        any_new |= self.hand_over(signed, asked_at_ms).await;
                    }
                    // An answer that came at once brought nothing new: do not ask in a circle.
                    if !any_new && asked.elapsed() < QUIET_PAUSE {
                        tokio::time::sleep(QUIET_PAUSE).await;
                    }
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(error = crate::error_chain(&error), "cannot ask for orders");
                    }
                    let pause = backoff::pause(failures, LONGEST_PAUSE, error.retry_after(), rand::random());
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    /// Hands one order to whom it concerns. True if it is new and being carried out.
    async fn hand_over(&self, order: SignedOrder, asked_at_ms: i64) -> bool {
        let credentials = &self.context.credentials;
        if let Ok(known) = verify(&order, &credentials.order_key, &credentials.host_id, clock::now_ms())
            && matches!(known.kind, OrderKind::Watch | OrderKind::Unwatch)
        {
            return self.watch(&order, &known).await;
        }
        if !self.context.now().config.orders.enabled {
            // As if it had not asked.
            return false;
        }
        let answer = self.link.offer(ToExecutor::Offer { order: order.clone(), asked_at_ms }).await;
        match answer {
            Ok(Answer::New) => true,
            // It may have been taken; the server will offer it again.
            Ok(Answer::Known) | Err(Unanswered::Interrupted) => false,
            Ok(Answer::Refused { order_id, reason }) => {
                self.refuse(&order, order_id, &reason).await;
                false
            }
            Err(Unanswered::NotThere) => {
                self.refuse(&order, claimed_id(&order), "the executor of this host does not run").await;
                false
            }
            Err(Unanswered::NoActions) => {
                let reason = "this host's configuration has no such action";
                self.refuse(&order, claimed_id(&order), reason).await;
                false
            }
        }
    }

    /// Has a service watched or not. Needs no journal: the same order twice changes nothing, and an older one is refused.
    async fn watch(&self, signed: &SignedOrder, order: &Order) -> bool {
        let now_ms = clock::now_ms();
        let running = self.context.now();
        if let Err(reason) = self.context.discovery.obey(order, &running.config, now_ms) {
            self.refuse(signed, Some(order.id.clone()), reason).await;
            return false;
        }
        tracing::info!(order = order.id, service = order.action, kind = ?order.kind, "the console decided what is watched");
        let result = OrderResult {
            order_id: order.id.clone(),
            outcome: Outcome::Succeeded,
            message: String::new(),
            output: String::new(),
            started_at_ms: now_ms,
            ended_at_ms: now_ms,
        };
        if let Err(error) = self.send(paths::ORDER_RESULTS, &result).await {
            // It will offer the order again; then it is told again.
            tracing::warn!(error = crate::error_chain(&error), "the server has not heard what is watched");
            return false;
        }
        true
    }

    async fn refuse(&self, signed: &SignedOrder, order_id: Option<String>, reason: &str) {
        let is_new = self.refusals.lock().unwrap_or_else(PoisonError::into_inner).remember(signed);
        if !is_new {
            return;
        }
        self.context.counters.orders_refused.add(1);
        let order_id = order_id.unwrap_or_default();
        tracing::warn!(order = order_id, reason, "order refused");
        if order_id.is_empty() {
            return;
        }
        let now_ms = clock::now_ms();
        let result = OrderResult {
            order_id,
            outcome: Outcome::Refused,
            message: reason.to_owned(),
            output: String::new(),
            started_at_ms: now_ms,
            ended_at_ms: now_ms,
        };
        if let Err(error) = self.send(paths::ORDER_RESULTS, &result).await {
            tracing::warn!(error = crate::error_chain(&error), "the server has not heard of the refusal");
            // It will offer the order again; then it is told again.
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).forget(signed);
        }
    }

    async fn send(&self, path: &str, value: &impl Serialize) -> Result<(), ApiError> {
        self.context.now().api.send_json("report an order", Method::POST, path, value).await
    }

    /// Brings results to the server, one after the other.
    async fn deliver(&self, mut results: mpsc::Receiver<OrderResult>) {
        while let Some(result) = results.recv().await {
            if result.outcome == Outcome::Refused {
                self.context.counters.orders_refused.add(1);
            }
            self.bring(paths::ORDER_RESULTS, &result, &result.order_id, result.ended_at_ms).await;
            self.link.tell(ToExecutor::Delivered { order_id: result.order_id }).await;
        }
    }

    /// Tells the server of undos that nobody ordered, one after the other.
    async fn report_undos(&self, mut undos: mpsc::Receiver<AgentUndo>) {
        while let Some(undo) = undos.recv().await {
            self.bring(paths::AGENT_UNDOS, &undo, &undo.order_id, undo.ended_at_ms).await;
            self.link.tell(ToExecutor::Reported { id: undo.id }).await;
        }
    }

    /// Brings something to the server until it has it, will never take it, or it is too old.
    async fn bring(&self, path: &str, value: &impl Serialize, order_id: &str, ended_at_ms: i64) {
        let mut failures = 0;
        while let Err(error) = self.send(path, value).await {
            if error.verdict() == Verdict::Rejected || is_too_old(ended_at_ms, clock::now_ms()) {
                let error = crate::error_chain(&error);
                tracing::error!(error, order = order_id, "what came of an order is given up");
                return;
            }
            failures += 1;
            if failures == 1 {
                let error = crate::error_chain(&error);
                tracing::warn!(error, order = order_id, "what came of an order is kept");
            }
            let pause = backoff::pause(failures, LONGEST_PAUSE, error.retry_after(), rand::random());
            tokio::time::sleep(pause).await;
        }
    }
}
