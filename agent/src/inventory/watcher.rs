//! Looks at the watched files: at start, when the kernel says that something happened, and at the interval of the
//! inventory, for what the kernel does not say (network filesystems, too many folders).
//!
//! A thread, because a dead filesystem would hold up everything else; it ends when the agent does or with its
//! [`Watcher`]. One look answers all that happened shortly before: an installation changes many files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use siaga_protocol::inventory::WatchedFile;
use tokio::sync::watch;

use super::files::{self, Known};
use crate::config::Inventory as Config;

/// The files are looked at when nothing has happened for this time, ...
const QUIET: Duration = Duration::from_millis(500);
/// ... but after so many such times at the latest.
const MAX_QUIETS: usize = 20;

/// What the last look found.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// Whether there was a look at all.
    looked: bool,
    /// None where none are watched.
    files: Option<Vec<WatchedFile>>,
}

/// Tells what the watched files are, and when they changed.
pub(super) struct Watcher {
    config: Arc<Mutex<Config>>,
    wake: SyncSender<()>,
    found: watch::Receiver<Told>,
}

impl Watcher {
    /// Begins to look.
    pub(super) fn start(root: &Path, config: Config) -> Self {
        // One that waits says enough.
        let (wake, woken) = sync_channel(1);
        let config = Arc::new(Mutex::new(config));
        let (found, told) = watch::channel(Told::default());
        let look = Look {
            root: root.to_owned(),
            config: Arc::clone(&config),
            known: Known::default(),
            watched: BTreeSet::new(),
            kernel: kernel(&wake),
            found,
        };
        let name = "watched-files".to_owned();
        if let Err(error) = std::thread::Builder::new().name(name).spawn(move || look.run(&woken)) {
            tracing::error!(%error, "files cannot be watched");
        }
        Self { config, wake, found: told }
    }

    /// What they are; none before the first look and where none are watched.
    pub(super) fn files(&mut self) -> Option<Vec<WatchedFile>> {
        self.found.borrow_and_update().files.clone()
    }

    /// Waits for the end of the first look.
    pub(super) async fn looked(&mut self) {
        // Without its thread there will be none.
        drop(self.found.wait_for(|told| told.looked).await);
    }

    /// Waits until they are something else than when asked last.
    pub(super) async fn changed(&mut self) {
        if self.found.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Goes on with other settings.
    pub(super) fn configure(&self, config: Config) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
        let _ = self.wake.try_send(());
    }
}

/// Passes on that something happened; what, is seen by looking.
fn kernel(wake: &SyncSender<()>) -> Option<RecommendedWatcher> {
    let wake = wake.clone();
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // An error means that events were lost; looking once too often is harmless.
        if event.map_or(true, |event| !event.kind.is_access()) {
            let _ = wake.try_send(());
        }
    });
    watcher.map_err(|error| tracing::warn!(%error, "changed files are seen at the interval only")).ok()
}

/// What comes at once is one thing that happened; where something happens all the time, it is looked at all the same.
fn await_quiet(woken: &Receiver<()>) {
    for _ in 0..MAX_QUIETS {
        std::thread::sleep(QUIET);
        if woken.try_recv().is_err() {
            return;
        }
    }
}

struct Look {
    root: PathBuf,
    config: Arc<Mutex<Config>>,
    known: Known,
    watched: BTreeSet<PathBuf>,
    kernel: Option<RecommendedWatcher>,
    found: watch::Sender<Told>,
}

impl Look {
    fn run(mut self, woken: &Receiver<()>) {
        while !self.found.is_closed() {
            let config = self.config.lock().unwrap_or_else(PoisonError::into_inner).clone();
            self.look(&config);
            match woken.recv_timeout(config.check_interval_seconds.seconds()) {
                Ok(()) => await_quiet(woken),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn look(&mut self, config: &Config) {
        let is_off = !config.enabled || config.files.paths.is_empty();
        let (files, folders) = if is_off {
            (None, BTreeSet::new())
        } else {
            let found = files::look(&self.root, &config.files, &mut self.known);
            if found.cut {
                tracing::debug!(files = found.files.len(), "there are more files than are watched");
            }
            (Some(found.files), found.folders)
        };
        self.watch(folders);
        let now = Told { looked: true, files };
        self.found.send_if_modified(|told| {
            let is_new = *told != now;
            *told = now;
            is_new
        });
    }

    /// Has the kernel tell of these folders and no others.
    fn watch(&mut self, folders: BTreeSet<PathBuf>) {
        let Some(kernel) = &mut self.kernel else { return };
        for gone in self.watched.difference(&folders) {
            // A folder that was removed is not watched any more.
            drop(kernel.unwatch(gone));
        }
        let mut watched: BTreeSet<PathBuf> = self.watched.intersection(&folders).cloned().collect();
        for new in folders.difference(&self.watched) {
            match kernel.watch(new, RecursiveMode::NonRecursive) {
                Ok(()) => drop(watched.insert(new.clone())),
                // It is tried again at the next look.
                Err(error) => tracing::debug!(%error, folder = %new.display(), "a folder cannot be watched"),
            }
        }
        self.watched = watched;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(path: &Path) -> Config {
        toml::from_str(&format!("check_interval_seconds = 86400\n[files]\npaths = [{path:?}]")).unwrap()
    }

    async fn files(watcher: &mut Watcher) -> Vec<String> {
        let changed = tokio::time::timeout(Duration::from_secs(60), watcher.changed());
        changed.await.expect("no change was seen");
        watcher
            .files()
            .unwrap_or_default()
            .into_iter()
            .map(|file| format!("{} {}", file.path, file.size_bytes))
            .collect()
    }

    #[tokio::test]
    async fn a_change_is_told_at_once_also_of_what_was_not_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("conf");
        let mut watcher = Watcher::start(Path::new("/"), config(&folder));
        watcher.looked().await;
        assert_eq!(watcher.files(), Some(Vec::new()));
        std::fs::create_dir_all(folder.join("deep")).unwrap();
        std::fs::write(folder.join("deep/a"), "1").unwrap();
        let path = folder.join("deep/a").display().to_string();
        assert_eq!(files(&mut watcher).await, [format!("{path} 1")]);
        std::fs::write(folder.join("deep/a"), "12").unwrap();
        assert_eq!(files(&mut watcher).await, [format!("{path} 2")]);
        watcher.configure(config(&dir.path().join("none")));
        assert_eq!(files(&mut watcher).await, [""; 0]);
    }
}
