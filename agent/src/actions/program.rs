//! Programs that built-in actions start.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::{Job, say};

/// Lines of what a program that failed said that become its reason.
const REASON_LINES: usize = 3;
/// Where Debian has the programs of PostgreSQL, by version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// Runs a program to its end, gives its standard output, and says it.
pub(super) async fn run(mut command: Command, job: &Job) -> anyhow::Result<String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::null()).current_dir("/").kill_on_drop(true);
    let ended = tokio::time::timeout(job.left(), command.output())
        .await
        .with_context(|| format!("{name} did not end in time"))?
        .with_context(|| format!("cannot start {name}"))?;
    let (out, err) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    for line in out.lines().chain(err.lines()).filter(|line| !line.trim().is_empty()) {
        say(line);
    }
    if !ended.status.success() {
        let said: Vec<&str> = err.lines().chain(out.lines()).filter(|line| !line.trim().is_empty()).collect();
        let last = said.iter().rev().take(REASON_LINES).rev().copied().collect::<Vec<_>>().join("; ");
        bail!("{name}: {}: {last}", ended.status);
    }
    Ok(out.into_owned())
}

/// A program of PostgreSQL: of the folder that the host's file names, or of the newest version.
pub(super) fn of_postgres(programs: Option<&PathBuf>, name: &str) -> anyhow::Result<PathBuf> {
    if let Some(folder) = programs {
        return Ok(folder.join(name));
    }
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let versions = std::fs::read_dir(VERSIONS).with_context(|| format!("cannot list {VERSIONS}"))?;
    let newest = versions.flatten().map(|entry| entry.path()).filter(|path| number(path).is_some());
    let newest = newest.max_by_key(|path| number(path)).context("no PostgreSQL is installed")?;
    Ok(newest.join("bin").join(name))
}
