//! Watches the configuration file and puts a new one into force. A wrong one is refused, and the running one stays.
//!
//! The folder is watched, not the file: editors and package managers put a new file in the place of the old.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::api::ApiError;
use crate::config::Config;

/// The file is read when nothing has happened to it for this time: writing is seldom one step.
const QUIET: Duration = Duration::from_millis(200);

/// Follows the file until it is stopped: `now` gives the configuration in force, `put` puts another one in its place.
///
/// # Errors
/// The folder cannot be watched.
pub async fn run(
    path: PathBuf,
    now: impl Fn() -> Config,
    put: impl Fn(Config) -> Result<(), ApiError>,
) -> notify::Result<()> {
    let changed = Arc::new(Notify::new());
    let _watcher = watch_file(&path, Arc::clone(&changed))?;
    loop {
        changed.notified().await;
        while tokio::time::timeout(QUIET, changed.notified()).await.is_ok() {}
        apply(&path, &now(), &put);
    }
}

fn watch_file(path: &Path, changed: Arc<Notify>) -> notify::Result<impl Watcher + use<>> {
    let name = path.file_name().map(ToOwned::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let concerns = |path: &PathBuf| path.file_name() == name.as_deref();
        // An error means that events were lost; reading once too often is harmless.
        if event.map_or(true, |event| !event.kind.is_access() && event.paths.iter().any(concerns)) {
            changed.notify_one();
        }
    })?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Reads the file and puts it into force if it is right and different.
fn apply(path: &Path, before: &Config, put: impl Fn(Config) -> Result<(), ApiError>) {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(error) => {
            tracing::error!(
                error = crate::error_chain(&error),
                "the new configuration is refused, the running one stays"
            );
            return;
        }
    };
    if config == *before {
        tracing::info!(path = %path.display(), "configuration read again, nothing differs");
        return;
    }
    let places =
        |config: &Config| (config.state_dir.clone(), config.executor_dir(), config.executor_socket());
    if places(&config) != places(before) {
        tracing::error!(
            "a new state_dir, executor_dir or executor_socket needs a restart; the new configuration is refused, \
             the running one stays"
        );
        return;
    }
    match put(config) {
        Ok(()) => tracing::info!(path = %path.display(), "new configuration in force"),
        Err(error) => tracing::error!(
            error = crate::error_chain(&error),
            "the new configuration is refused, the running one stays"
        ),
    }
}
