//! What the host is made of: sent at start and when it changes, until the server has it.
//!
//! Between two reports only a fingerprint is kept. The list of packages is read again only when the package
//! manager's file has changed. Watched files are looked at by a thread of their own (`watcher`), which says when they
//! changed; a dead filesystem among them delays no report.

mod facts;
mod files;
mod hardware;
mod packages;
mod watcher;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use siaga_protocol::inventory::Inventory;
use siaga_protocol::paths;

use crate::config::Config;
use crate::context::Context;
use crate::{backoff, state};

pub use facts::{assemble, without_packages};
pub use files::MAX_FILES;
pub(crate) use files::Names;
pub use packages::MAX_PACKAGES;

const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Shortest time between two reports: a file that changes all the time must not cost the host much.
const SHORTEST_PAUSE: Duration = Duration::from_secs(10);
/// Longest wait for the first look at the watched files, without which the first report goes.
const FIRST_LOOK: Duration = Duration::from_secs(5);

/// Changes when the inventory does.
fn fingerprint(inventory: &Inventory, root: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    // JSON is the one form that covers every field, also those that are added later.
    serde_json::to_string(inventory).unwrap_or_default().hash(&mut hasher);
    packages::version(root).hash(&mut hasher);
    hasher.finish()
}

/// Reports until it is stopped.
pub async fn run(context: Context) {
    let root = Path::new("/");
    let mut watched = context.running.clone();
    let mut listeners = context.discovery.listeners();
    let mut watcher = watcher::Watcher::start(root, watched.borrow().config.inventory.clone());
    if watched.borrow().config.inventory.enabled {
        drop(tokio::time::timeout(FIRST_LOOK, watcher.looked()).await);
    }
    let (mut accepted, mut failures) = (None, 0);
    loop {
        let running = std::sync::Arc::clone(&watched.borrow_and_update());
        let mut pause = running.config.inventory.check_interval_seconds.seconds();
        if running.config.inventory.enabled {
            let basis = Inventory {
                files: watcher.files(),
                listeners: listeners.borrow_and_update().clone(),
                ..read(root, &running.config)
            };
            let print = fingerprint(&basis, root);
            if accepted != Some(print) {
                let full = Inventory { packages: packages::read(root), ..basis };
                match running.api.send_json("send the inventory", Method::PUT, paths::INVENTORY, &full).await
                {
                    Ok(()) => {
                        tracing::info!(packages = full.packages.len(), "the server has the inventory");
                        (accepted, failures) = (Some(print), 0);
                    }
                    Err(error) => {
                        failures += 1;
                        if failures == 1 {
                            tracing::warn!(
                                error = crate::error_chain(&error),
                                "the inventory could not be sent"
                            );
                        }
                        pause = backoff::pause(failures, LONGEST_PAUSE, error.retry_after(), rand::random());
                    }
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = changed_later(&mut watcher), if failures == 0 => {}
            // No more often than discovery looks.
            _ = listeners.changed(), if failures == 0 => {}
            changed = watched.changed() => {
                if changed.is_err() {
                    return;
                }
                watcher.configure(watched.borrow().config.inventory.clone());
            }
        }
    }
}

async fn changed_later(watcher: &mut watcher::Watcher) {
    tokio::time::sleep(SHORTEST_PAUSE).await;
    watcher.changed().await;
}

fn read(root: &Path, config: &Config) -> Inventory {
    let machine_id = state::machine_id(root, &config.state_dir).unwrap_or_default();
    without_packages(root, &machine_id, &config.collect.filesystem)
}
