//! The program `siaga-agent`: reads the command line and hands over to the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use siaga_agent::cli::Cli;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Variable with the log filter, for example `debug` or `info,siaga_agent::sender=trace`.
const LOG_VARIABLE: &str = "SIAGA_LOG";

fn main() -> ExitCode {
    siaga_agent::memory::be_sparing();
    siaga_agent::name_service::use_built_in();
    let cli = Cli::parse();
    start_log();
    siaga_agent::install_tls_provider();
    let result = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| {
            let result = runtime.block_on(cli.carry_out());
            // A name lookup or a dead filesystem must not delay the end.
            runtime.shutdown_background();
            result
        });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start_log() {
    let default = Targets::new().with_default(LevelFilter::INFO);
    let filter = std::env::var(LOG_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(filter).with(lines).init();
}
