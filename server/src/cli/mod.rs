//! The command line: one subcommand a role of the program.

mod backup;
mod client;
mod drill;
mod drill_verify;
mod forecast;
mod import;
mod import_events;
mod out;
mod rules;
mod users;
mod what_if;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::records::Records;

/// Monitoring, capacity and continuity of public e-procurement.
#[derive(Debug, Parser)]
#[command(name = "siaga-server", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct ConfigFile {
    /// Configuration file (TOML); without it the embedded defaults hold, on loopback only.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(self.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load)?)
    }

    /// The records of a server that was started before, for subcommands that work beside it or without it. A folder
    /// without records is refused: a user or a token in records that no server reads would help nobody.
    fn records(&self) -> anyhow::Result<Records> {
        let data_dir = self.load()?.storage.data_dir;
        if !Records::exist(&data_dir) {
            anyhow::bail!(
                "{} holds no records of a server: name its configuration with --config FILE, or start it once",
                data_dir.display()
            );
        }
        Ok(Records::open(&data_dir)?)
    }
}

#[derive(Debug, clap::Args)]
struct EnrolTokenArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Make the token for this host in service alone, which was installed anew or lost its credentials; the host keeps
    /// its name and history, and its former token ends when this one is used.
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

#[derive(Debug, clap::Args)]
struct CheckConfigArgs {
    /// Configuration file; without it the embedded defaults are checked.
    file: Option<PathBuf>,
    /// The same, as the other subcommands have it.
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(ConfigFile),
    /// Say what is wrong with a configuration file, and with the rule files that it names.
    CheckConfig(CheckConfigArgs),
    /// Say what is wrong with rule files.
    CheckRules(rules::CheckRulesArgs),
    /// Make a one-time token with which an agent enrols.
    EnrolToken(EnrolTokenArgs),
    /// Add, list and change users.
    User(users::UserArgs),
    /// Copy everything that the server keeps to a new folder; the server may run meanwhile.
    Backup(backup::BackupArgs),
    /// Bring a backup into an empty data folder.
    Restore(backup::RestoreArgs),
    /// Bring history into a running server.
    ///
    /// A line that cannot be taken is named and left out, the others are stored. A sample for whose time one is stored
    /// already changes nothing. Times of CSV without a zone are UTC. Status: 0 if every line was taken, 3
    /// if some were left out, 1 if the import ended early.
    Import(import::ImportArgs),
    /// Bring holidays, tender deadlines and other known events into a running server, as iCalendar or CSV.
    ///
    /// Status as of `import`.
    ImportEvents(import_events::ImportEventsArgs),
    /// Show the forecasts of a running server, the most urgent first.
    Forecast(forecast::ForecastArgs),
    /// Ask a running server what would be of a service: more load, fewer servers, closing tenders, more capacity.
    WhatIf(what_if::WhatIfArgs),
    /// Check plans of continuity, run, list and verify drills.
    Drill(drill::DrillArgs),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    // What this program writes is read by its own user alone: passwords' hashes, tokens, the audit trail, backups.
    let _ = rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let filter = EnvFilter::try_from_env("SIAGA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    // An error means that a provider is installed already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) if error.is::<out::OutputClosed>() => ExitCode::from(out::CLOSED_STATUS),
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let done = match cli.command {
        Command::Serve(file) => runtime()?.block_on(crate::app::run(file.load()?, file.config)),
        Command::CheckConfig(args) => {
            let file = ConfigFile { config: args.file.or(args.config) };
            crate::rules::check_all(&file.load()?.rules)?;
            let name =
                file.config.map_or_else(|| "embedded defaults".to_owned(), |f| f.display().to_string());
            out::line(format_args!("{name}: good"))
        }
        Command::CheckRules(args) => rules::check(args),
        Command::EnrolToken(args) => {
            let valid = args.config.load()?.fleet.enrol_token_valid;
            let (records, host) = (args.config.records()?, args.host.as_deref());
            let now = crate::time::now_ms();
            out::line(crate::fleet::new_enrol_token(&records, host, valid, "siaga:cli", now)?)
        }
        Command::User(args) => users::run(args),
        Command::Backup(args) => backup::backup(&args),
        Command::Restore(args) => backup::restore(&args),
        Command::Import(args) => return import::run(args, &runtime()?),
        Command::ImportEvents(args) => return runtime()?.block_on(import_events::run(args)),
        Command::Forecast(args) => runtime()?.block_on(forecast::run(args)),
        Command::WhatIf(args) => runtime()?.block_on(what_if::run(args)),
        Command::Drill(args) => drill::run(args, &runtime()?),
    };
    done.map(|()| ExitCode::SUCCESS)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_configuration_is_named_the_same_way_everywhere() {
        for line in [
            ["siaga-server", "check-config", "--config", "a.toml"].as_slice(),
            &["siaga-server", "check-config", "a.toml"],
        ] {
            let Command::CheckConfig(args) = Cli::try_parse_from(line).unwrap().command else { panic!() };
            assert_eq!(args.file.or(args.config), Some(PathBuf::from("a.toml")), "{line:?}");
        }
    }
}
