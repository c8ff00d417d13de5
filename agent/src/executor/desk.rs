//! Takes orders, checks them, carries out the actions that this host's own file defines, and takes back what nobody
//! takes back in time.
//!
//! Invariants: nothing is carried out that is not signed by the trusted key, meant for this host, in time and new;
//! one command of an action runs at a time, also after the executor was killed: what it left running is ended before
//! anything else is done; an undo with a time is carried out when the server does not order it, also after a restart and
//! also where orders are switched off.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use siaga_protocol::orders::{
    AgentUndo, Order, OrderError, OrderKind, OrderResult, Outcome, SignedOrder, verify,
};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use super::execute::{self, Execution};
use super::journal::{ArmedUndo, Decision, Journal};
use super::leftovers::{Ending, RunningCommand};
use super::trust::Trust;
use super::wire::Answer;
use crate::config::{Action, Arguments, Config, Work};
use crate::durable::DurableError;
use crate::{actions, clock};

/// Commands that run at the same time. Further orders wait at the server.
const MAX_RUNNING: usize = 8;
/// How often the clock is compared with the undo that is due next.
const UNDO_TICK: Duration = Duration::from_secs(1);
/// Why nothing is run beside a leftover that cannot be killed.
const STILL_RUNS: &str = "an earlier command of this action still runs and cannot be killed";

/// The configuration in force.
pub(super) type ConfigReceiver = watch::Receiver<Arc<Config>>;

/// Where orders are carried out.
#[derive(Clone)]
pub(super) struct Desk {
    config: ConfigReceiver,
    trust: Arc<Trust>,
    journal: Arc<Mutex<Journal>>,
    /// One lock for each action that was ever ordered; their number is bounded by the configuration.
    actions: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    running: Arc<Semaphore>,
    /// Rings when there is something for the server.
    news: Arc<Notify>,
}

impl Desk {
    /// Opens the memory in `folder`.
    pub(super) fn open(folder: &Path, trust: Trust, config: ConfigReceiver) -> Self {
        Self {
            config,
            trust: Arc::new(trust),
            journal: Arc::new(Mutex::new(Journal::open(folder, clock::now_ms()))),
            actions: Arc::default(),
            running: Arc::new(Semaphore::new(MAX_RUNNING)),
            news: Arc::new(Notify::new()),
        }
    }

    /// Waits until there may be something new for the server.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one order, which the server offered in a question begun at `asked_at_ms`. Its command becomes one of
    /// `commands`; it is killed when they are dropped.
    pub(super) fn take(&self, signed: &SignedOrder, asked_at_ms: i64, commands: &mut JoinSet<()>) -> Answer {
        // The agent is not trusted, and no question begins in the future.
        let asked_at_ms = asked_at_ms.min(clock::now_ms());
        let order = match verify(signed, &self.trust.order_key, &self.trust.host_id, clock::now_ms()) {
            Ok(order) => order,
            Err(error) => {
                let order_id = crate::orders::claimed_id(signed);
                // One that expired while it was carried out is no news.
                let known = order_id.as_deref().is_some_and(|id| {
                    self.journal().decide(id, OrderKind::Run, asked_at_ms) == Decision::Wait
                });
                if known && matches!(error, OrderError::Expired { .. }) {
                    return Answer::Known;
                }
                return Answer::Refused { order_id, reason: error.to_string() };
            }
        };
        let decision = self.journal().decide(&order.id, order.kind, asked_at_ms);
        let reason = match decision {
            Decision::Wait => return Answer::Known,
            Decision::Replayed => "the order was carried out before",
            Decision::Full => "too many orders are remembered",
            Decision::Lost => "this host has lost its memory of orders and runs none for an hour",
            Decision::CarryOut => match self.obstacle(&order) {
                Some(reason) => reason,
                None => return self.carry_out(order, commands),
            },
        };
        Answer::Refused { order_id: Some(order.id), reason: reason.to_owned() }
    }

    /// Why this host cannot carry out a true order.
    fn obstacle(&self, order: &Order) -> Option<&'static str> {
        if !matches!(order.kind, OrderKind::Run | OrderKind::Undo) {
            return Some("that is no command");
        }
        match self.config.borrow().actions.get(&order.action) {
            None => Some("this host's configuration has no such action"),
            Some(action) if !action.has_undo() && order.kind == OrderKind::Undo => {
                Some("the action has no undo")
            }
            Some(action) if !action.has_undo() && order.undo_at_ms.is_some() => {
                Some("an undo by itself is asked for, but the action has none")
            }
            Some(_) => None,
        }
    }

    fn carry_out(&self, order: Order, commands: &mut JoinSet<()>) -> Answer {
        let Ok(permit) = Arc::clone(&self.running).try_acquire_owned() else { return Answer::Known };
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
                return Answer::New;
            }
        }
        let desk = self.clone();
        commands.spawn(async move {
            let _permit = permit;
            desk.carry_out_now(order).await;
        });
        Answer::New
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
        self.news.notify_one();
    }

    /// Runs the command of an action, which the caller has locked.
    async fn execute(&self, name: &str, kind: OrderKind, order_id: Option<&str>) -> Execution {
        let config = Arc::clone(&self.config.borrow());
        let Some(action) = config.actions.get(name) else {
            return refused("the action was taken out of this host's configuration");
        };
        let arguments = match command_of(action, kind) {
            Ok(arguments) => arguments,
            Err(reason) => return refused(reason),
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
        let started = |pid| self.written(self.journal().command_started(&mark, pid));
        let limit = action.timeout_seconds.seconds();
        let mut execution = execute::execute(&arguments, action.user.as_deref(), limit, &mark, started).await;
        self.journal().end_command(&mark);
        if !all_ended && execution.outcome == Outcome::Succeeded {
            // It may be broken again by what still runs: it is not done, and will be tried again.
            execution.outcome = Outcome::Failed;
            execution.message = format!("undone, but {STILL_RUNS}");
        }
        execution
    }

    /// Ends what an earlier executor left running: of an action, which the caller has locked, or of all before anything is
    /// done. True if nothing of it runs any more.
    pub(super) async fn end_leftovers(&self, action: Option<&str>) -> bool {
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
                    "a command that an earlier executor left running was killed"
                ),
                Ending::Runs => tracing::error!(
                    action = command.action,
                    order = command.order_id,
                    "a command that an earlier executor left running cannot be killed"
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

    /// The server has a result, or never will.
    pub(super) fn delivered(&self, order_id: &str) {
        self.written(self.journal().delivered(order_id, clock::now_ms()));
    }

    /// The server has heard of an undo, or never will.
    pub(super) fn reported(&self, id: &str) {
        self.written(self.journal().reported(id));
    }

    fn written(&self, result: Result<(), DurableError>) {
        if let Err(error) = result {
            tracing::error!(error = crate::error_chain(&error), "the memory of orders cannot be written");
        }
    }

    /// The dead man's switch.
    pub(super) async fn watch_undos(&self) {
        loop {
            let due = self.journal().next_undo().filter(|undo| undo.undo_at_ms <= clock::now_ms()).cloned();
            match due {
                Some(undo) => self.undo_by_itself(&undo).await,
                None => tokio::time::sleep(UNDO_TICK).await,
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
            "no undo was ordered in time, it is done without one"
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
        self.written(self.journal().undone(undo, report, now_ms));
        self.news.notify_one();
    }
}

/// The command that carries an action out. A built-in one is carried out by this very program, as a process of its own,
/// so that it has its user, its time limit and its end as any other command.
fn command_of(action: &Action, kind: OrderKind) -> Result<Arguments, &'static str> {
    match (&action.work, kind) {
        (_, OrderKind::Watch | OrderKind::Unwatch) => Err("that is no command"),
        (_, OrderKind::Undo) if !action.has_undo() => Err("the action has no undo"),
        (Work::Command { run, .. }, OrderKind::Run) => Ok(run.clone()),
        (Work::Command { undo, .. }, OrderKind::Undo) => undo.clone().ok_or("the action has no undo"),
        (Work::BuiltIn(built_in), _) => {
            actions::command(built_in, kind == OrderKind::Undo, action.timeout_seconds.seconds())
                .ok_or("the action cannot be handed over")
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
