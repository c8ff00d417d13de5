//! The command line.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};

use crate::collectors;
use crate::config::{Config, ServerUrl};
use crate::executor::{self, Started};
use crate::samples::Recorder;
use crate::services::{self, Boards};
use crate::{actions, enrol, run};

/// Watches this server for Siaga.
#[derive(Debug, Parser)]
#[command(name = "siaga-agent", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Collect, send and take orders until told to end.
    Run(ConfigFile),
    /// Carry out orders of drills, for the agent of this host. Where the agent starts it, nobody else needs to.
    Executor {
        #[command(flatten)]
        file: ConfigFile,
        /// Trust what the agent trusts, and end when there is nothing to do.
        #[arg(long, hide = true)]
        started_by_agent: bool,
    },
    /// Carry out a built-in action; the executor starts this.
    #[command(hide = true)]
    CarryOut {
        /// The action with its parameters, as JSON.
        action: String,
        /// Take it back instead.
        #[arg(long)]
        undo: bool,
        /// Seconds after which it would be killed.
        #[arg(long)]
        limit: u64,
    },
    /// Make this host known to a server, with a one-time token.
    Enrol(Enrol),
    /// Say what is wrong with a configuration file.
    CheckConfig(CheckConfig),
    /// Collect once and print the result in Prometheus text format.
    Once {
        /// Configuration file; without one, the defaults.
        #[arg(long)]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Args)]
struct ConfigFile {
    /// Configuration file.
    #[arg(long, default_value = "/etc/siaga/agent.toml")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct CheckConfig {
    /// Configuration file; without it, that of `run`.
    file: Option<PathBuf>,
    /// The same, as the other subcommands have it.
    #[arg(long, default_value = "/etc/siaga/agent.toml", conflicts_with = "file")]
    config: PathBuf,
}

#[derive(Debug, Args)]
struct Enrol {
    /// Address of the server, for example https://siaga.example.
    #[arg(long)]
    server: String,
    /// One-time token. Give it by the environment or by --token-file: arguments are seen by all users of this host.
    #[arg(long, env = "SIAGA_ENROL_TOKEN", hide_env_values = true, required_unless_present = "token_file")]
    token: Option<String>,
    /// File that holds the one-time token; `-` reads standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// Configuration file, for its state_dir and ca_file.
    #[arg(long, conflicts_with = "state_dir")]
    config: Option<PathBuf>,
    /// Folder for the credentials, instead of that of a configuration file.
    #[arg(long)]
    state_dir: Option<PathBuf>,
}

impl Cli {
    /// Carries out the command.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn carry_out(self) -> anyhow::Result<()> {
        match self.command {
            Command::Run(file) => run::run(file.config).await,
            Command::Executor { file, started_by_agent } => {
                let started = if started_by_agent { Started::ByAgent } else { Started::BySystem };
                executor::run(file.config, started).await
            }
            Command::CarryOut { action, undo, limit } => {
                actions::carry_out(&action, undo, Duration::from_secs(limit)).await
            }
            Command::Enrol(arguments) => enrol_host(arguments).await,
            Command::CheckConfig(named) => {
                let file = named.file.unwrap_or(named.config);
                Config::load(&file)?;
                print(&format!("{}: good\n", file.display()))
            }
            Command::Once { config } => once(config.as_deref()).await,
        }
    }
}

async fn enrol_host(arguments: Enrol) -> anyhow::Result<()> {
    let mut config = match &arguments.config {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    if let Some(state_dir) = arguments.state_dir {
        config.state_dir = state_dir;
    }
    let url = ServerUrl::try_from(arguments.server).map_err(anyhow::Error::msg)?;
    let token = match (arguments.token, &arguments.token_file) {
        (Some(token), _) => token,
        (None, Some(file)) => read_token(file)?,
        (None, None) => anyhow::bail!("no enrolment token given"),
    };
    let credentials = enrol::enrol(url, token.trim(), &config).await?;
    print(&format!("enrolled as {} (host {})\n", credentials.instance, credentials.host_id))
}

fn read_token(file: &Path) -> anyhow::Result<String> {
    let read = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    read.with_context(|| format!("cannot read the enrolment token from {}", file.display()))
}

async fn once(path: Option<&Path>) -> anyhow::Result<()> {
    let config = match path {
        Some(path) => Config::load(path)?,
        None => Config::default(),
    };
    let boards = Arc::new(Boards::default());
    services::ask_once(&config.services, &boards).await;
    let mut recorder = Recorder::default();
    collectors::runner(&config.collect, Path::new("/"), &Arc::default(), &boards)
        .collect(&mut recorder)
        .await;
    print(&recorder.to_text())
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
