//! Orders: asks for them, checks them, carries out the actions that this host's own file defines (drills), and passes on
//! which services are to be watched (`discovery`).
//!
//! Invariants: nothing is carried out that is not signed by the pinned key, meant for this host, in time and new;
//! one command of an action runs at a time, also after the agent was killed: what it left running is ended before
//! anything else is done; an undo with a time is carried out by the agent itself when the server
//! does not order it, also after a restart and also where orders are switched off.

mod execute;
mod journal;
mod leftovers;
mod refusals;
mod twin_file;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Method;
use siaga_protocol::orders::{
    AgentUndo, Order, OrderBatch, OrderError, OrderKind, OrderResult, Outcome, SignedOrder, verify,
};
use siaga_protocol::paths;
use tokio::sync::{Notify, Semaphore};

use crate::api::Verdict;
use crate::context::Context;
use crate::{backoff, clock};

use execute::Execution;
use journal::{ArmedUndo, Decision, Journal};
use leftovers::{Ending, RunningCommand};
use refusals::Refusals;

/// Commands that run at the same time. Further orders wait at the server.
const MAX_RUNNING: usize = 8;
/// Beyond what the server may hold a question open, the answer is awaited this long.
const POLL_GRACE: Duration = Duration::from_secs(10);
/// Pause after an answer without a new order: the server offers an order again until it has its result.
const QUIET_PAUSE: Duration = Duration::from_secs(1);
/// How often the clock is compared with the undo that is due next.
const UNDO_TICK: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Why nothing is run beside a leftover that cannot be killed.
const STILL_RUNS: &str = "an earlier command of this action still runs and cannot be killed";

#[derive(Clone)]
struct Desk {
    context: Context,
    journal: Arc<Mutex<Journal>>,
    refusals: Arc<Mutex<Refusals>>,
    /// One lock for each action that was ever ordered; their number is bounded by the configuration.
    actions: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    running: Arc<Semaphore>,
    /// Rings when there is a result to deliver.
    finished: Arc<Notify>,
    /// Rings when there is an undo by itself to report.
    undone: Arc<Notify>,
}

/// Takes orders until it is stopped.
pub async fn run(context: Context) {
    let journal = Journal::open(&context.now().config.state_dir, clock::now_ms());
    let desk = Desk {
        context,
        journal: Arc::new(Mutex::new(journal)),
        refusals: Arc::default(),
        actions: Arc::default(),
        running: Arc::new(Semaphore::new(MAX_RUNNING)),
        finished: Arc::new(Notify::new()),
        undone: Arc::new(Notify::new()),
    };
    desk.end_leftovers(None).await;
    // Commands are children of this set: when the task is stopped, they are killed.
    let mut commands = tokio::task::JoinSet::new();
    tokio::join!(desk.poll(&mut commands), desk.deliver(), desk.report_undos(), desk.watch_undos());
}

impl Desk {
    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn poll(&self, commands: &mut tokio::task::JoinSet<()>) {
        let mut watched = self.context.running.clone();
        let mut failures = 0;
        loop {
            while commands.try_join_next().is_some() {}
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
                    for signed in &batch.orders {
                        any_new |= self.take(signed, asked_at_ms, commands).await;
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

    /// Takes one order. True if it is new and being carried out.
    async fn take(
        &self,
        signed: &SignedOrder,
        asked_at_ms: i64,
        commands: &mut tokio::task::JoinSet<()>,
    ) -> bool {
        let credentials = &self.context.credentials;
        let now_ms = clock::now_ms();
        let order = match verify(signed, &credentials.order_key, &credentials.host_id, now_ms) {
            Ok(order) => order,
            Err(error) => {
                let id = refusals::claimed_id(signed);
                // One that expired while it was carried out is no news.
                let known = id.as_deref().is_some_and(|id| {
                    self.journal().decide(id, OrderKind::Run, asked_at_ms) == Decision::Wait
                });
                if !(known && matches!(error, OrderError::Expired { .. })) {
                    self.refuse(signed, id, &error.to_string()).await;
                }
                return false;
            }
        };
        if matches!(order.kind, OrderKind::Watch | OrderKind::Unwatch) {
            return self.watch(signed, &order).await;
        }
        if !self.context.now().config.orders.enabled {
            // As if it had not asked; the undo by itself is carried out all the same.
            return false;
        }
        let decision = self.journal().decide(&order.id, order.kind, asked_at_ms);
        let reason = match decision {
            Decision::Wait => return false,
            Decision::Replayed => "the order was carried out before",
            Decision::Full => "too many orders are remembered",
            Decision::Lost => "this host has lost its memory of orders and runs none for an hour",
            Decision::CarryOut => match self.obstacle(&order) {
                Some(reason) => reason,
                None => return self.carry_out(order, commands),
            },
        };
        self.refuse(signed, Some(order.id), reason).await;
        false
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
        if let Err(error) = self.post(&result).await {
            // It will offer the order again; then it is told again.
            tracing::warn!(error = crate::error_chain(&error), "the server has not heard what is watched");
            return false;
        }
        true
    }

    /// Why this host cannot carry out a true order.
    fn obstacle(&self, order: &Order) -> Option<&'static str> {
        let running = self.context.now();
        match running.config.actions.get(&order.action) {
            None => Some("this host's configuration has no such action"),
            Some(action) if action.undo.is_none() && order.kind == OrderKind::Undo => {
                Some("the action has no undo")
            }
            Some(action) if action.undo.is_none() && order.undo_at_ms.is_some() => {
                Some("an undo by itself is asked for, but the action has none")
            }
            Some(_) => None,
        }
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
        if let Err(error) = self.post(&result).await {
            tracing::warn!(error = crate::error_chain(&error), "the server has not heard of the refusal");
            // It will offer the order again; then it is told again.
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).forget(signed);
        }
    }

    async fn post(&self, result: &OrderResult) -> Result<(), crate::api::ApiError> {
        self.context.now().api.send_json("report an order", Method::POST, paths::ORDER_RESULTS, result).await
    }

    fn carry_out(&self, order: Order, commands: &mut tokio::task::JoinSet<()>) -> bool {
        let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() else { return false };
        if let Err(error) = self.journal().start(&order, clock::now_ms()) {
            tracing::error!(
                error = crate::error_chain(&error),
                order = order.id,
                "the order cannot be remembered"
            );
            // Without memory a command could run twice or never be taken back. An undo only makes things better.
            if order.kind == OrderKind::Run {
                self.journal().disarm_order(&order.id);
                self.finish(&order, clock::now_ms(), refused("this host cannot write to its disk"));
                return true;
            }
        }
        let desk = self.clone();
        commands.spawn(async move {
            let _permit = permit;
            desk.carry_out_now(order).await;
        });
        true
    }

    async fn carry_out_now(&self, order: Order) {
        let lock = self.lock_of(&order.action);
        let _alone = lock.lock().await;
        let started_at_ms = clock::now_ms();
        let execution = if started_at_ms >= order.expires_at_ms {
            refused("the order expired while another command of its action ran")
        } else {
            tracing::info!(order = order.id, drill = order.drill_id, action = order.action, kind = ?order.kind, "order begins");
            self.execute(&order.action, order.kind, Some(&order.id)).await
        };
        match order.kind {
            OrderKind::Run if !execution.started => self.journal().disarm_order(&order.id),
            OrderKind::Undo if execution.outcome == Outcome::Succeeded => {
                self.journal().disarm(&order.drill_id, &order.action);
            }
            _ => {}
        }
        self.finish(&order, started_at_ms, execution);
    }

    fn finish(&self, order: &Order, started_at_ms: i64, execution: Execution) {
        if execution.outcome == Outcome::Refused {
            self.context.counters.orders_refused.add(1);
        }
        tracing::info!(order = order.id, action = order.action, outcome = ?execution.outcome, message = execution.message, "order ended");
        let result = OrderResult {
            order_id: order.id.clone(),
            outcome: execution.outcome,
            message: execution.message,
            output: execution.output,
            started_at_ms,
            // The clock may have been set back meanwhile.
            ended_at_ms: clock::now_ms().max(started_at_ms),
        };
        if let Err(error) = self.journal().finish(result) {
            tracing::error!(
                error = crate::error_chain(&error),
                "the result of an order is kept in memory only"
            );
        }
        self.finished.notify_one();
    }

    /// Runs the command of an action, which the caller has locked.
    async fn execute(&self, name: &str, kind: OrderKind, order_id: Option<&str>) -> Execution {
        let running = self.context.now();
        let Some(action) = running.config.actions.get(name) else {
            return refused("the action was taken out of this host's configuration");
        };
        let arguments = match kind {
            OrderKind::Run => &action.command,
            OrderKind::Undo => match &action.undo {
                Some(undo) => undo,
                None => return refused("the action has no undo"),
            },
            OrderKind::Watch | OrderKind::Unwatch => return refused("that is no command"),
        };
        let all_ended = self.end_leftovers(Some(name)).await;
        let command = RunningCommand::new(order_id, name);
        let mark = command.mark.clone();
        let remembered = self.journal().begin_command(command);
        if kind == OrderKind::Run {
            if !all_ended {
                self.journal().end_command(&mark);
                return refused(STILL_RUNS);
            }
            if remembered.is_err() {
                self.journal().end_command(&mark);
                return refused("this host cannot write to its disk");
            }
        }
        let started = |pid| {
            if let Err(error) = self.journal().command_started(&mark, pid) {
                tracing::error!(error = crate::error_chain(&error), "the memory of orders cannot be written");
            }
        };
        let limit = action.timeout_seconds.seconds();
        let mut execution = execute::execute(arguments, action.user.as_deref(), limit, &mark, started).await;
        self.journal().end_command(&mark);
        if !all_ended && execution.outcome == Outcome::Succeeded {
            // It may be broken again by what still runs: it is not done, and will be tried again.
            execution.outcome = Outcome::Failed;
            execution.message = format!("undone, but {STILL_RUNS}");
        }
        execution
    }

    /// Ends what an earlier agent left running: of an action, which the caller has locked, or of all before anything is
    /// done. True if nothing of it runs any more.
    async fn end_leftovers(&self, action: Option<&str>) -> bool {
        let is_of = |command: &&RunningCommand| action.is_none_or(|action| command.action == action);
        let left: Vec<_> = self.journal().commands().iter().filter(is_of).cloned().collect();
        let mut all_ended = true;
        for command in left {
            let ending = command.end().await;
            match ending {
                Ending::WasOver => {}
                Ending::Killed => tracing::warn!(
                    action = command.action,
                    order = command.order_id,
                    "a command that an earlier agent left running was killed"
                ),
                Ending::Runs => tracing::error!(
                    action = command.action,
                    order = command.order_id,
                    "a command that an earlier agent left running cannot be killed"
                ),
            }
            all_ended &= ending != Ending::Runs;
            self.journal().end_leftover(&command, ending);
        }
        all_ended
    }

    fn lock_of(&self, action: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(actions.entry(action.to_owned()).or_default())
    }

    /// Brings results to the server until it has them.
    async fn deliver(&self) {
        let mut failures = 0;
        loop {
            let Some(result) = self.journal().undelivered() else {
                self.finished.notified().await;
                continue;
            };
            let given_up = match self.post(&result).await {
                Ok(()) => false,
                Err(error) => {
                    let final_word = error.verdict() == Verdict::Rejected;
                    if !final_word && !Journal::is_too_old(&result, clock::now_ms()) {
                        failures += 1;
                        if failures == 1 {
                            tracing::warn!(
                                error = crate::error_chain(&error),
                                "the result of an order is kept"
                            );
                        }
                        let pause =
                            backoff::pause(failures, LONGEST_PAUSE, error.retry_after(), rand::random());
                        tokio::time::sleep(pause).await;
                        continue;
                    }
                    tracing::error!(
                        error = crate::error_chain(&error),
                        order = result.order_id,
                        "the result of an order is given up"
                    );
                    true
                }
            };
            failures = 0;
            if let Err(error) = self.journal().delivered(&result.order_id, clock::now_ms()) {
                tracing::error!(
                    error = crate::error_chain(&error),
                    given_up,
                    "the memory of orders cannot be written"
                );
            }
        }
    }

    /// The dead man's switch.
    async fn watch_undos(&self) {
        loop {
            let due = self.journal().next_undo().filter(|undo| undo.undo_at_ms <= clock::now_ms()).cloned();
            match due {
                Some(undo) => self.undo_by_itself(&undo).await,
                None => {
                    let was_broken = self.journal().was_broken();
                    self.context.counters.orders_memory_broken.set(u64::from(was_broken));
                    tokio::time::sleep(UNDO_TICK).await;
                }
            }
        }
    }

    async fn undo_by_itself(&self, undo: &ArmedUndo) {
        let lock = self.lock_of(&undo.action);
        let _alone = lock.lock().await;
        // While the lock was awaited, the server's own order may have come.
        if !self.journal().is_armed(undo) {
            return;
        }
        tracing::warn!(
            drill = undo.drill_id,
            action = undo.action,
            "no undo was ordered in time, the agent undoes by itself"
        );
        let started_at_ms = clock::now_ms();
        let execution = self.execute(&undo.action, OrderKind::Undo, None).await;
        let succeeded = execution.outcome == Outcome::Succeeded;
        if succeeded {
            tracing::warn!(drill = undo.drill_id, action = undo.action, "undone by itself");
        } else {
            tracing::error!(
                drill = undo.drill_id,
                action = undo.action,
                attempt = undo.attempts + 1,
                message = execution.message,
                output = execution.output,
                "the undo by itself failed"
            );
        }
        let now_ms = clock::now_ms();
        let report = AgentUndo {
            id: format!("{:032x}", rand::random::<u128>()),
            drill_id: undo.drill_id.clone(),
            order_id: undo.order_id.clone(),
            action: undo.action.clone(),
            outcome: execution.outcome,
            message: execution.message,
            output: execution.output,
            started_at_ms,
            ended_at_ms: now_ms.max(started_at_ms),
        };
        if let Err(error) = self.journal().undone(undo, report, now_ms) {
            tracing::error!(error = crate::error_chain(&error), "the memory of orders cannot be written");
        }
        self.undone.notify_one();
    }

    /// Tells the server of undos by itself until it has heard of them.
    async fn report_undos(&self) {
        let mut failures = 0;
        loop {
            let Some(report) = self.journal().unreported() else {
                self.undone.notified().await;
                continue;
            };
            let api = Arc::clone(&self.context.now());
            let sent = api.api.send_json("report an undo", Method::POST, paths::AGENT_UNDOS, &report).await;
            if let Err(error) = sent
                && error.verdict() != Verdict::Rejected
                && clock::now_ms().saturating_sub(report.ended_at_ms) < journal::UNDELIVERED_MS
            {
                failures += 1;
                if failures == 1 {
                    tracing::warn!(error = crate::error_chain(&error), "the report of an undo is kept");
                }
                let pause = backoff::pause(failures, LONGEST_PAUSE, error.retry_after(), rand::random());
                tokio::time::sleep(pause).await;
                continue;
            }
            failures = 0;
            if let Err(error) = self.journal().reported(&report.id) {
                tracing::error!(error = crate::error_chain(&error), "the memory of orders cannot be written");
            }
        }
    }
}

fn refused(message: &str) -> Execution {
    Execution {
        outcome: Outcome::Refused,
        message: message.to_owned(),
        output: String::new(),
        started: false,
    }
}
