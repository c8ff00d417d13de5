//! Wires the tasks of a running agent, and ends them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::Config;
use crate::context::{Context, Running};
use crate::counters::Counters;
use crate::discovery::Discovery;
use crate::spool::Spool;
use crate::state::Credentials;
use crate::{clock, discovery, durable, hello, inventory, memory, orders, reload, sampler, sender, services};

/// Runs the agent until it is told to end.
///
/// # Errors
/// What it cannot start without; a task that ended by itself.
pub async fn run(path: PathBuf) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen to signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen to signals")?;
    let config = Config::load(&path)?;
    durable::create_folder(&config.state_dir)?;
    // Two would overwrite each other's spool and memory of orders.
    let _lock = durable::lock_folder(&config.state_dir)?;
    let credentials = Credentials::load(&config.state_dir)?.with_context(|| {
        let folder = config.state_dir.display();
        format!("this host is not enrolled ({folder} holds no credentials): run siaga-agent enrol")
    })?;
    let credentials = Arc::new(credentials);
    let counters = Arc::new(Counters::default());
    let mut spool =
        Spool::open(&config.state_dir.join("spool"), config.spool.max_bytes.get(), Arc::clone(&counters))?;
    spool.set_destinations(config.targets.iter().map(|target| target.name.as_str()));
    let discovery = Arc::new(Discovery::open(&config));
    let (sender_of_config, running) = watch::channel(Arc::new(Running::new(config, &credentials)?));
    let context = Context {
        running,
        config_path: path.clone(),
        credentials: Arc::clone(&credentials),
        spool: Arc::new(Mutex::new(spool)),
        counters,
        collected: Arc::new(watch::Sender::new(())),
        boards: Arc::default(),
        discovery,
        metadata: Arc::default(),
        started_at_ms: clock::now_ms(),
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        instance = credentials.instance,
        server = context.now().api.address(),
        "agent started"
    );

    let mut tasks = JoinSet::new();
    tasks.spawn(memory::run());
    tasks.spawn(sampler::run(context.clone()));
    tasks.spawn(services::run(context.clone()));
    tasks.spawn(sender::run(context.clone()));
    tasks.spawn(hello::run(context.clone()));
    tasks.spawn(inventory::run(context.clone()));
    tasks.spawn(discovery::run(context.clone()));
    tasks.spawn(orders::run(context.clone()));
    tasks.spawn(follow_spool_settings(context.clone()));
    tasks.spawn(async move {
        let now = || sender_of_config.borrow().config.clone();
        let put = |config| {
            sender_of_config.send_replace(Arc::new(Running::new(config, &credentials)?));
            Ok(())
        };
        if let Err(error) = reload::run(path, now, put).await {
            tracing::error!(error = crate::error_chain(&error), "the configuration file cannot be watched");
            // The agent goes on with what it has read.
            std::future::pending::<()>().await;
        }
    });

    let ended = tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        Some(task) = tasks.join_next() => {
            task.context("a task failed").and_then(|()| anyhow::bail!("a task ended by itself"))
        }
    };
    tasks.shutdown().await;
    context.spool.lock().unwrap_or_else(PoisonError::into_inner).flush();
    tracing::info!("agent ended");
    ended
}

async fn follow_spool_settings(context: Context) {
    let mut running = context.running.clone();
    while running.changed().await.is_ok() {
        let running = Arc::clone(&running.borrow_and_update());
        let mut spool = context.spool.lock().unwrap_or_else(PoisonError::into_inner);
        spool.set_max_bytes(running.config.spool.max_bytes.get());
        spool.set_destinations(running.config.targets.iter().map(|target| target.name.as_str()));
    }
    std::future::pending().await
}
