//! Which hosts nothing is known of, so that a missing series of theirs does not count as good news.

use std::collections::BTreeSet;

use crate::app::App;
use crate::fleet::http::host_is_silent;
use crate::records::{RecordsError, hosts};
use crate::time::Millis;

/// Hosts without news, by instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Silence {
    /// Their agent is silent.
    pub silent: BTreeSet<String>,
    /// Not heard since this server started, but not for long enough to be silent.
    pub not_yet_heard: BTreeSet<String>,
}

impl Silence {
    /// All hosts of which nothing is known now.
    #[must_use]
    pub fn unknown(&self) -> BTreeSet<String> {
        self.silent.union(&self.not_yet_heard).cloned().collect()
    }
}

/// Looks at all hosts.
///
/// # Errors
/// If the records cannot be read.
pub async fn silence(app: &App, now_ms: Millis) -> Result<Silence, RecordsError> {
    let hosts = app.records.run(|db| hosts::list(db)).await?;
    let mut silence = Silence::default();
    for host in hosts {
        if host_is_silent(app, &host, now_ms) {
            silence.silent.insert(host.instance);
        } else if !super::host_was_heard(app, &host) {
            silence.not_yet_heard.insert(host.instance);
        }
    }
    Ok(silence)
}
