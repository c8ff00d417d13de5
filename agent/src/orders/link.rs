//! The agent's connection with the executor of its host, which it starts itself where nothing else does.
//!
//! Invariants: no executor is started on a host whose file names no action; an executor that runs is used, whoever
//! started it; one that this agent started is told to end when the agent ends, and goes on when the agent is killed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use siaga_protocol::orders::{AgentUndo, OrderResult};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, oneshot, watch};

use crate::backoff;
use crate::config::Config;
use crate::context::Context;
use crate::executor::wire::{self, Answer, FromExecutor, ToExecutor};

/// How long an offer waits for an executor that is starting.
const START_WITHIN: Duration = Duration::from_secs(10);
/// How long an executor may think about an offer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Pause before a connection is tried again, at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A socket that is just being made is looked for this often.
const LOOK: Duration = Duration::from_millis(50);
/// Messages that wait to be said.
const WAITING: usize = 4;

/// Why an offer has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// The host's file names no action, so that there is no executor.
    NoActions,
    /// There is no executor.
    NotThere,
    /// The connection broke, or nothing was said in time: it may have been heard.
    Interrupted,
}

struct Message {
    value: ToExecutor,
    answer: Option<oneshot::Sender<Answer>>,
}

/// What the agent's tasks hold of the connection.
pub(super) struct Link {
    context: Context,
    messages: mpsc::Sender<Message>,
    is_up: watch::Receiver<bool>,
}

/// The other end of a [`Link`].
pub(super) struct Connection {
    context: Context,
    messages: mpsc::Receiver<Message>,
    is_up: watch::Sender<bool>,
    results: mpsc::Sender<OrderResult>,
    undos: mpsc::Sender<AgentUndo>,
    child: Option<Own>,
}

impl Link {
    /// A link and the task that serves it.
    pub(super) fn new(
        context: Context,
        results: mpsc::Sender<OrderResult>,
        undos: mpsc::Sender<AgentUndo>,
    ) -> (Self, Connection) {
        let (sender, messages) = mpsc::channel(WAITING);
        let (up, is_up) = watch::channel(false);
        let connection =
            Connection { context: context.clone(), messages, is_up: up, results, undos, child: None };
        (Self { context, messages: sender, is_up }, connection)
    }

    /// Offers an order and awaits the answer.
    pub(super) async fn offer(&self, value: ToExecutor) -> Result<Answer, Unanswered> {
        if self.context.now().config.actions.is_empty() {
            return Err(Unanswered::NoActions);
        }
        let mut is_up = self.is_up.clone();
        let is_there = async { is_up.wait_for(|up| *up).await.is_ok() };
        if tokio::time::timeout(START_WITHIN, is_there).await != Ok(true) {
            return Err(Unanswered::NotThere);
        }
        let (answer, answered) = oneshot::channel();
        let said = self.messages.send(Message { value, answer: Some(answer) }).await;
        said.map_err(|_| Unanswered::NotThere)?;
        match tokio::time::timeout(ANSWER_WITHIN, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Unanswered::Interrupted),
        }
    }

    /// Says something that needs no answer. Without a connection it is lost: the executor will ask again.
    pub(super) async fn tell(&self, value: ToExecutor) {
        // The other end lives as long as the agent's tasks.
        let _ = self.messages.send(Message { value, answer: None }).await;
    }
}

/// An executor that this agent started.
struct Own(Child);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(pid) = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed())) {
            // It may have ended in this moment.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Connection {
    /// Keeps the connection up as long as the host's file names actions.
    pub(super) async fn run(mut self) {
        let mut watched = self.context.running.clone();
        let mut failures = 0;
        loop {
            let running = Arc::clone(&watched.borrow_and_update());
            let wanted = !running.config.actions.is_empty();
            self.context.counters.executor_wanted.set(u64::from(wanted));
            if !wanted {
                self.child = None;
                tokio::select! {
                    changed = watched.changed() => if changed.is_err() { return },
                    () = self.drop_messages() => return,
                }
                continue;
            }
            let connected = self.connect(&running.config).await;
            match connected {
                Ok(stream) => {
                    failures = 0;
                    self.show(true);
                    tokio::select! {
                        () = self.converse(stream) => {}
                        () = until_no_action(&mut watched) => {}
                    }
                    self.show(false);
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        let socket = running.config.executor_socket();
                        tracing::warn!(%error, socket = %socket.display(), "the executor cannot be reached");
                    }
                }
            }
            let pause = backoff::pause(failures, LONGEST_PAUSE, None, rand::random());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.drop_messages() => return,
                _ = watched.changed() => {}
            }
        }
    }

    fn show(&self, is_up: bool) {
        self.is_up.send_replace(is_up);
        self.context.counters.executor_up.set(u64::from(is_up));
    }

    /// Nobody is there to hear: whoever waits for an answer learns it at once.
    async fn drop_messages(&mut self) {
        while self.messages.recv().await.is_some() {}
    }

    /// Connects with the executor that runs, or starts one.
    async fn connect(&mut self, config: &Config) -> std::io::Result<UnixStream> {
        let socket = config.executor_socket();
        match UnixStream::connect(&socket).await {
            Err(_) if config.orders.start_executor => {}
            other => return other,
        }
        let has_ended = match &mut self.child {
            Some(Own(child)) => child.try_wait()?.is_some(),
            None => true,
        };
        if has_ended {
            self.child = Some(Own(start(&self.context.config_path)?));
        }
        let connect = async {
            loop {
                match UnixStream::connect(&socket).await {
                    Ok(stream) => return Ok(stream),
                    Err(_) => tokio::time::sleep(LOOK).await,
                }
                if let Some(Own(child)) = &mut self.child
                    && let Some(status) = child.try_wait()?
                {
                    return Err(std::io::Error::other(format!("the executor ended with {status}")));
                }
            }
        };
        let late = |_| std::io::Error::other("the executor has made no socket in time");
        tokio::time::timeout(START_WITHIN, connect).await.map_err(late)?
    }

    async fn converse(&mut self, stream: UnixStream) {
        let (from, mut to) = stream.into_split();
        let mut said = wire::read::<FromExecutor>(from);
        // The executor answers in order; whoever gave up waiting has a place all the same.
        let mut asked = VecDeque::new();
        loop {
            tokio::select! {
                value = said.recv() => match value {
                    None => return,
                    Some(FromExecutor::Answer(answer)) => {
                        if let Some(asked) = asked.pop_front() {
                            let _ = oneshot::Sender::send(asked, answer);
                        }
                    }
                    // A full channel would stop the answers; the executor offers the next one only after this.
                    Some(FromExecutor::Result(result)) => drop(self.results.try_send(result)),
                    Some(FromExecutor::Undone(undo)) => drop(self.undos.try_send(undo)),
                    Some(FromExecutor::MemoryBroken(broken)) => {
                        self.context.counters.orders_memory_broken.set(u64::from(broken));
                    }
                },
                message = self.messages.recv() => {
                    let Some(message) = message else { return };
                    if wire::write(&mut to, &message.value).await.is_err() {
                        return;
                    }
                    asked.extend(message.answer);
                }
            }
        }
    }
}

/// Waits until the configuration names no action any more.
async fn until_no_action(watched: &mut crate::context::RunningReceiver) {
    while watched.changed().await.is_ok() {
        if watched.borrow_and_update().config.actions.is_empty() {
            return;
        }
    }
    std::future::pending().await
}

/// Starts this very program as executor. Not killed with the agent: what it must undo, it undoes alone.
fn start(config: &std::path::Path) -> std::io::Result<Child> {
    // The file may have been replaced by a newer one meanwhile; the link of the kernel leads to the one that runs.
    let own = std::env::current_exe().ok().filter(|path| path.exists());
    let program = own.unwrap_or_else(|| "/proc/self/exe".into());
    let mut command = Command::new(program);
    command.args(["executor", "--started-by-agent", "--config"]).arg(config);
    command.stdin(std::process::Stdio::null()).spawn()
}
