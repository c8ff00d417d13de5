//! Units of systemd: keepalived, a web server, a database.

use anyhow::ensure;
use tokio::process::Command;

use super::program::run;
use super::{Job, say};
use crate::config::actions::{Systemd, SystemdTask};

pub(super) async fn carry_out(asked: &Systemd, job: &Job) -> anyhow::Result<()> {
    let (words, active): (&[&str], bool) = match (asked.task, job.undo) {
        (SystemdTask::Stop, false) | (SystemdTask::Start, true) => (&["stop"], false),
        // The manager would start it again at once where the unit says so: that is part of what is exercised.
        (SystemdTask::Kill, false) => (&["kill", "--signal=SIGKILL", "--kill-who=all"], false),
        (SystemdTask::Restart, false) => (&["restart"], true),
        (SystemdTask::Start, false) | (_, true) => (&["start"], true),
    };
    let mut command = Command::new("systemctl");
    command.args(words).arg("--").arg(&asked.unit);
    run(command, job).await?;
    if asked.task == SystemdTask::Kill && !job.undo {
        return Ok(());
    }
    let look = async || {
        let state = state_of(&asked.unit, job).await?;
        Ok(if (state == "active") == active { Ok(state) } else { Err(format!("it is {state}")) })
    };
    let wanted = format!("{} to be {}", asked.unit, if active { "active" } else { "inactive" });
    let state = job.until(&wanted, look).await?;
    say(&format!("{} is {state}", asked.unit));
    Ok(())
}

/// `active`, `inactive`, `failed` and the like.
async fn state_of(unit: &str, job: &Job) -> anyhow::Result<String> {
    let mut command = Command::new("systemctl");
    command.args(["show", "--property=ActiveState", "--value", "--"]).arg(unit);
    let state = run(command, job).await?;
    let state = state.trim().to_owned();
    ensure!(!state.is_empty(), "systemctl says nothing about {unit}");
    Ok(state)
}
