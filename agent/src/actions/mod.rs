//! Built-in actions of drills: what the executor has this very program carry out, as a process of its own.
//!
//! Invariants: kind and parameters come from the host's own file alone; programs are started with lists of arguments,
//! never through a shell of ours; an undo leads to a state, from wherever it begins, so that a second one does nothing;
//! what failed is said in the last line of the output.

mod http;
mod network;
mod patroni;
mod pg_server;
mod postgres;
mod program;
mod restore;
mod systemd;

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Serialize;
use tokio::time::Instant;

use crate::config::Arguments;
use crate::config::actions::BuiltIn;

/// What stands before the reason in the last line of an action that failed.
pub(crate) const FAILED: &str = "siaga: ";
/// What stands before figures that an action has measured, as JSON.
const FIGURES: &str = "siaga-figures ";
/// Pause between two looks at what is awaited.
const PAUSE: Duration = Duration::from_millis(100);
/// So long before it would be killed an action ends by itself, with its reason.
const MARGIN: Duration = Duration::from_secs(1);

/// The command that carries out an action; this program, even where its file was replaced or lies where the action's
/// user cannot go.
pub(crate) fn command(action: &BuiltIn, undo: bool, limit: Duration) -> Option<Arguments> {
    let mut arguments = vec!["carry-out".to_owned(), "--limit".to_owned(), limit.as_secs().to_string()];
    if undo {
        arguments.push("--undo".to_owned());
    }
    arguments.push(serde_json::to_string(action).ok()?);
    Some(Arguments { program: "/proc/self/exe".to_owned(), arguments })
}

/// Carries out an action, or takes it back. Ends the process with a status other than 0 if it failed.
///
/// # Errors
/// If the action cannot be read or nothing can be printed.
pub async fn carry_out(action: &str, undo: bool, limit: Duration) -> anyhow::Result<()> {
    let action: BuiltIn = serde_json::from_str(action).context("no built-in action")?;
    let job = Job { undo, deadline: Instant::now() + limit.saturating_sub(MARGIN) };
    let done = match &action {
        BuiltIn::Postgres(postgres) => postgres::carry_out(postgres, &job).await,
        BuiltIn::Restore(restore) => restore::carry_out(restore, &job).await,
        BuiltIn::Patroni(patroni) => patroni::carry_out(patroni, &job).await,
        BuiltIn::Http(calls) => http::carry_out(calls, &job).await,
        BuiltIn::Systemd(unit) => systemd::carry_out(unit, &job).await,
        BuiltIn::Address(address) => network::move_address(address, &job).await,
        BuiltIn::NetworkCut(cut) => network::cut(cut, &job).await,
    };
    if let Err(error) = done {
        let reason = format!("{error:#}").lines().map(str::trim).collect::<Vec<_>>().join(" ");
        say(&format!("{FAILED}{reason}"));
        std::process::exit(1);
    }
    Ok(())
}

/// One carrying out.
#[derive(Debug)]
struct Job {
    undo: bool,
    deadline: Instant,
}

impl Job {
    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Looks again and again, until there is an answer. What was awaited and what was found instead are the reason if the
    /// time is over.
    async fn until<T>(
        &self,
        what: &str,
        mut look: impl AsyncFnMut() -> anyhow::Result<Result<T, String>>,
    ) -> anyhow::Result<T> {
        loop {
            let found = match look().await? {
                Ok(answer) => return Ok(answer),
                Err(found) => found,
            };
            if self.left().is_zero() {
                bail!("waited in vain for {what}: {found}");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// One line of output.
fn say(text: &str) {
    // Nobody may be listening any more; the work goes on.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// What was measured.
fn tell_figures(figures: &impl Serialize) {
    if let Ok(text) = serde_json::to_string(figures) {
        say(&format!("{FIGURES}{text}"));
    }
}

/// A file that holds a secret.
fn read_secret(path: &std::path::Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
