//! Reads the configuration again while the server runs. An invalid file is refused and the running one stays.
//!
//! Invariant: [`LiveConfig::current`] is always a configuration that was checked as a whole.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{RecursiveMode, Watcher as _};

use super::Config;

/// Writes of an editor come in bursts; one reload follows when it has been quiet for this long.
const QUIET: Duration = Duration::from_millis(300);

/// The configuration in force, shared by all parts.
#[derive(Debug, Clone)]
pub struct LiveConfig {
    current: Arc<Mutex<Arc<Config>>>,
}

impl LiveConfig {
    /// Starts with a checked configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { current: Arc::new(Mutex::new(Arc::new(config))) }
    }

    /// The configuration in force now.
    #[must_use]
    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over a new configuration, except for what only a start can change, which is named in the log.
    fn replace(&self, mut fresh: Config) {
        let running = self.current();
        for (key, changed) in [
            ("http", fresh.http != running.http),
            ("storage", fresh.storage != running.storage),
            ("metrics", fresh.metrics != running.metrics),
        ] {
            if changed {
                tracing::warn!(
                    section = key,
                    "changed in the configuration file; takes effect at the next start"
                );
            }
        }
        fresh.http = running.http.clone();
        fresh.storage = running.storage.clone();
        fresh.metrics = running.metrics.clone();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
    }

    /// Reads `file` again; keeps the running configuration when it is wrong.
    pub fn reload(&self, file: &Path) {
        if std::fs::metadata(file).is_ok_and(|found| found.len() == 0) {
            // An editor that empties the file before it writes must not put every key back to its default meanwhile.
            tracing::warn!(file = %file.display(), "the configuration file is empty, the running one stays");
            return;
        }
        match Config::load(file) {
            Ok(fresh) => {
                self.replace(fresh);
                tracing::info!(file = %file.display(), "configuration read again");
            }
            Err(error) => {
                tracing::error!(
                    error = format!("{:#}", anyhow::Error::from(error)),
                    "new configuration refused, the running one stays"
                );
            }
        }
    }
}

/// Watches `file` until the returned watcher is dropped. The folder is watched, because editors replace files.
///
/// # Errors
/// If the operating system refuses the watch.
pub fn watch(live: LiveConfig, file: PathBuf) -> notify::Result<notify::RecommendedWatcher> {
    let (wake, woken) = std::sync::mpsc::channel::<()>();
    let name = file.file_name().map(ToOwned::to_owned);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let ours = event.is_ok_and(|event| {
            !event.kind.is_access() && event.paths.iter().any(|path| path.file_name() == name.as_deref())
        });
        if ours {
            // The receiver is gone only while the server ends.
            let _ = wake.send(());
        }
    })?;
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
    watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    std::thread::spawn(move || {
        while woken.recv().is_ok() {
            while woken.recv_timeout(QUIET).is_ok() {}
            live.reload(&file);
        }
    });
    Ok(watcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_file_leaves_the_running_configuration_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.toml");
        let live = LiveConfig::new(Config::default());
        std::fs::write(&file, "[console]\norganisation = \"LPSE Kota\"\n").unwrap();
        live.reload(&file);
        assert_eq!(live.current().console.organisation, "LPSE Kota");
        for wrong in ["[console]\norganisation = 7\n", ""] {
            std::fs::write(&file, wrong).unwrap();
            live.reload(&file);
            assert_eq!(live.current().console.organisation, "LPSE Kota", "{wrong}");
        }
    }

    #[test]
    fn a_changed_file_is_read_again_while_running() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("server.toml");
        std::fs::write(&file, "").unwrap();
        let live = LiveConfig::new(Config::default());
        let _watcher = watch(live.clone(), file.clone()).unwrap();
        std::fs::write(&file, "[console]\norganisation = \"LPSE Kota\"\n").unwrap();
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while live.current().console.organisation != "LPSE Kota" {
            assert!(std::time::Instant::now() < deadline, "the change was not noticed");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    fn what_only_a_start_can_change_stays() {
        let live = LiveConfig::new(Config::default());
        let mut fresh = Config::default();
        fresh.http.listen = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
        fresh.query.max_points = 5;
        live.replace(fresh);
        assert_eq!(live.current().http, Config::default().http);
        assert_eq!(live.current().query.max_points, 5);
    }
}
