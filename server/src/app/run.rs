//! The life of the daemon: open, serve, stop.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{App, OwnMetrics, Parts, Tasks, ballast};
use crate::access::{FIRST_RUN_FILE, ensure_first_user, signing_key};
use crate::config::{Config, LiveConfig, watch as watch_config};
use crate::continuity::{Emergencies, JOURNAL_KEY_FILE, RunningDrill};
use crate::fleet::{ORDER_KEY_FILE, Presence};
use crate::metrics::Metrics;
use crate::records::Records;
use crate::rules::Rules;
use crate::time::now_ms;

/// Runs the daemon until SIGINT or SIGTERM.
///
/// # Errors
/// If a part cannot be opened or the address cannot be used.
pub async fn run(config: Config, config_file: Option<PathBuf>) -> anyhow::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let app = open(config, stopping.clone()).await?;
    let _watcher = match config_file {
        Some(file) => {
            Some(watch_config(app.config.clone(), file).context("cannot watch the configuration file")?)
        }
        None => None,
    };
    let mut background = start_tasks(&app);
    let http = app.config.current().http.clone();
    tracing::info!(http.listen = %http.listen, tls = http.tls_certificate.is_some(), "serving");
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut server = tokio::spawn(crate::http::serve(app.clone(), stopping));
    let early = tokio::select! {
        _ = tokio::signal::ctrl_c() => None,
        _ = terminate.recv() => None,
        ended = &mut server => Some(ended),
    };
    tracing::info!("stopping");
    stop.send_replace(true);
    end_at_last();
    // Waiting polls look at the stop flag when they wake.
    app.order_news.send_modify(|count| *count += 1);
    let ended = match early {
        Some(ended) => ended,
        None => server.await,
    };
    while background.join_next().await.is_some() {}
    let (records, presence) = (app.records.clone(), app.presence.clone());
    tokio::task::spawn_blocking(move || presence.write_down(&records, now_ms())).await??;
    ended.context("the server task ended early")??;
    tracing::info!("stopped");
    Ok(())
}

pub(crate) async fn open(config: Config, stopping: watch::Receiver<bool>) -> anyhow::Result<App> {
    let app = tokio::task::spawn_blocking(move || {
        loop {
            match open_parts(config.clone(), stopping.clone()) {
                Err(error) if ballast::is_full(&error) && ballast::release(&config.storage.data_dir) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "the disk is full: a part of the ballast is let go to start");
                }
                opened => return opened,
            }
        }
    });
    app.await?
}

fn open_parts(config: Config, stopping: watch::Receiver<bool>) -> anyhow::Result<App> {
    let data_dir = config.storage.data_dir.clone();
    std::fs::create_dir_all(&data_dir).with_context(|| format!("cannot create {}", data_dir.display()))?;
    let records = Records::open(&data_dir)?;
    let scheme = if config.http.tls_certificate.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", config.http.listen);
    if let Some(first) = ensure_first_user(&records, &data_dir, &url, now_ms())? {
        let file = data_dir.join(FIRST_RUN_FILE);
        tracing::info!(user = first.user, file = %file.display(), "first start: the password is in the file");
    }
    let started_at_ms = now_ms();
    let presence = Presence::open(&records, started_at_ms)?;
    let rules = Rules::open(&config.rules, &records)?;
    let config = LiveConfig::new(config);
    Ok(App::new(Parts {
        records,
        rules,
        metrics: Metrics::open(&config)?,
        presence,
        order_key: signing_key::load_or_create(&data_dir.join(ORDER_KEY_FILE))?,
        journal_key: signing_key::load_or_create(&data_dir.join(JOURNAL_KEY_FILE))?,
        order_news: watch::Sender::new(0),
        answer_news: watch::Sender::new(0),
        running_drill: RunningDrill::default(),
        emergencies: Emergencies::default(),
        tasks: Tasks::default(),
        forecasting: crate::capacity::Forecasting::default(),
        anomalies: crate::capacity::Anomalies::default(),
        pdf_turns: crate::reports::pdf::PdfTurns::default(),
        own_metrics: OwnMetrics::new()?,
        started_at_ms,
        stopping,
        config,
    }))
}

fn start_tasks(app: &App) -> JoinSet<()> {
    let mut set = JoinSet::new();
    crate::access::start_tasks(&mut set, app);
    crate::fleet::start_tasks(&mut set, app);
    crate::ingest::start_tasks(&mut set, app);
    crate::query::start_tasks(&mut set, app);
    crate::rules::start_tasks(&mut set, app);
    crate::incidents::start_tasks(&mut set, app);
    crate::assets::start_tasks(&mut set, app);
    crate::capacity::start_tasks(&mut set, app);
    crate::continuity::start_tasks(&mut set, app);
    crate::reports::start_tasks(&mut set, app);
    set
}

/// Longest time that stopping may take; work that cannot be interrupted must not keep the process for ever.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Ends the process if stopping takes too long. Nothing is lost: what was acknowledged is durable.
fn end_at_last() {
    std::thread::spawn(|| {
        std::thread::sleep(STOP_LIMIT);
        tracing::error!(limit_seconds = STOP_LIMIT.as_secs(), "stopping took too long, ending now");
        std::process::exit(1);
    });
}
