//! The process that carries out orders of drills. It runs only where the host's own file names actions, apart from the
//! agent: the agent speaks with the network and needs no rights, the executor has the rights that the actions need and
//! speaks with nobody but the agent, over a local socket.
//!
//! Invariants: one executor holds its folder; it goes on, and undoes what is due, while no agent is there; one that the
//! agent started ends when nothing is left to do and no agent comes back.

mod desk;
mod execute;
mod journal;
mod leftovers;
mod trust;
mod twin_file;
pub(crate) mod wire;

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::config::Config;
use crate::state::Credentials;
use crate::{durable, reload};
use desk::Desk;
pub(crate) use journal::is_too_old;
pub use trust::Trust;
use wire::{FromExecutor, ToExecutor};

/// How long an executor that the agent started stays when no agent is there and nothing is to be done.
const LINGER: Duration = Duration::from_secs(60);
/// How often it is looked whether a broken memory was taken away, and whether anything is left to do.
const LOOK: Duration = Duration::from_secs(1);

/// How an executor was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// By the agent, with the agent's rights.
    ByAgent,
    /// By the system, with rights of its own.
    BySystem,
}

/// Carries out orders until it is told to end.
///
/// # Errors
/// What it cannot start without.
pub async fn run(path: PathBuf, started: Started) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let config = Config::load(&path)?;
    let folder = config.executor_dir();
    durable::create_folder(&folder)?;
    let _lock = durable::lock_folder(&folder)?;
    let credentials = Credentials::load(&config.state_dir)?
        .with_context(|| format!("this host is not enrolled ({})", config.state_dir.display()))?;
    let trust = match started {
        Started::ByAgent => Trust::of(&credentials),
        Started::BySystem => Trust::keep(&folder, &credentials)?,
    };
    let listener = listen(&config.executor_socket())?;
    let (sender, receiver) = watch::channel(Arc::new(config));
    let follow = async {
        let put = |config| {
            sender.send_replace(Arc::new(config));
            Ok(())
        };
        if let Err(error) = reload::run(path, || Config::clone(&sender.borrow()), put).await {
            tracing::error!(error = crate::error_chain(&error), "the configuration file cannot be watched");
            // It goes on with what it has read.
            std::future::pending::<()>().await;
        }
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), host = trust.host_id, "executor started");
    tokio::select! {
        () = serve(listener, &folder, trust, receiver, started) => {}
        () = follow => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("executor ended");
    Ok(())
}

/// Takes the place of a socket that an executor which is gone left: the lock on the folder says that it is gone.
///
/// # Errors
/// The socket and why it cannot be made.
pub fn listen(socket: &Path) -> anyhow::Result<UnixListener> {
    let cannot = || format!("cannot listen on {}", socket.display());
    if let Some(folder) = socket.parent() {
        std::fs::DirBuilder::new().recursive(true).mode(0o750).create(folder).with_context(cannot)?;
    }
    match std::fs::remove_file(socket) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error).with_context(cannot),
        _ => {}
    }
    let listener = UnixListener::bind(socket).with_context(cannot)?;
    // Who may enter its folder may speak: the agent's group, where the system made the folder so.
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o660)).with_context(cannot)?;
    Ok(listener)
}

/// Serves one agent at a time. Ends only as [`Started::ByAgent`], when nothing is left to do. What runs is killed with it.
pub async fn serve(
    listener: UnixListener,
    folder: &Path,
    trust: Trust,
    config: watch::Receiver<Arc<Config>>,
    started: Started,
) {
    let desk = Desk::open(folder, trust, config);
    desk.end_leftovers(None).await;
    let mut commands = JoinSet::new();
    let serve = async {
        let mut agent_was_here = Instant::now();
        loop {
            tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        converse(&desk, stream, &mut commands).await;
                        agent_was_here = Instant::now();
                    }
                    Err(error) => {
                        tracing::error!(%error, "cannot take the agent's connection");
                        tokio::time::sleep(LOOK).await;
                    }
                },
                () = tokio::time::sleep(LOOK) => {
                    while commands.try_join_next().is_some() {}
                    let is_idle = commands.is_empty() && desk.journal().next_undo().is_none();
                    if started == Started::ByAgent && is_idle && agent_was_here.elapsed() > LINGER {
                        return;
                    }
                }
            }
        }
    };
    tokio::select! {
        () = serve => {}
        () = desk.watch_undos() => {}
    }
}

/// Speaks with one agent until it hangs up.
async fn converse(desk: &Desk, stream: UnixStream, commands: &mut JoinSet<()>) {
    let (from, mut to) = stream.into_split();
    let mut said = wire::read::<ToExecutor>(from);
    // What the agent has been told and has not taken yet.
    let (mut result, mut undo, mut broken) = (None, None, None);
    loop {
        let news: Vec<_> = {
            let journal = desk.journal();
            let was_broken = journal.was_broken();
            let next_result = journal.undelivered().filter(|next| Some(&next.order_id) != result.as_ref());
            let next_undo = journal.unreported().filter(|next| Some(&next.id) != undo.as_ref());
            result = next_result.as_ref().map(|next| next.order_id.clone()).or(result);
            undo = next_undo.as_ref().map(|next| next.id.clone()).or(undo);
            [
                (broken.replace(was_broken) != Some(was_broken))
                    .then_some(FromExecutor::MemoryBroken(was_broken)),
                next_result.map(FromExecutor::Result),
                next_undo.map(FromExecutor::Undone),
            ]
            .into_iter()
            .flatten()
            .collect()
        };
        for value in news {
            if wire::write(&mut to, &value).await.is_err() {
                return;
            }
        }
        tokio::select! {
            value = said.recv() => match value {
                None => return,
                Some(ToExecutor::Offer { order, asked_at_ms }) => {
                    let answer = desk.take(&order, asked_at_ms, commands);
                    if wire::write(&mut to, &FromExecutor::Answer(answer)).await.is_err() {
                        return;
                    }
                }
                Some(ToExecutor::Delivered { order_id }) => desk.delivered(&order_id),
                Some(ToExecutor::Reported { id }) => desk.reported(&id),
            },
            () = desk.news() => {}
            () = tokio::time::sleep(LOOK) => while commands.try_join_next().is_some() {},
        }
    }
}
