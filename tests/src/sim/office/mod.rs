//! The simulated office against a running server: enrols its hosts, sends live samples at once and the history behind
//! them, asks for forecasts, starts the shipped drill, and goes on until it is ended.
//!
//! A second start with the same folder goes on as the same office: nothing is enrolled, sent or started twice.

mod live;
mod people;
mod prepare;
mod state;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;
use clap::Args;
use tokio::task::JoinSet;

use super::cast::{self, MAX_HOSTS, Machine};
use super::client::Client;
use super::history::MAX_DAYS;
use state::{State, Wanted};

/// How the office is simulated.
#[derive(Debug, Clone, Args)]
pub struct OfficeArgs {
    /// Address of the server
    #[arg(long)]
    pub server: String,
    /// API token of a user who may enrol hosts, import history and run drills
    #[arg(long, env = "SIAGA_TOKEN", hide_env_values = true)]
    pub token: String,
    /// Folder in which the office remembers what it has done
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// The same seed gives the same office
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Servers
    #[arg(long, default_value_t = 12)]
    pub hosts: usize,
    /// Days of history
    #[arg(long, default_value_t = 120, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_DAYS)))]
    pub days: u32,
}

/// What all parts of the office share.
struct Office {
    client: Client,
    token: String,
    wanted: Wanted,
    anchor_ms: i64,
    clock: fn() -> i64,
}

/// Tells the person at the terminal what happens.
#[expect(clippy::print_stdout, reason = "this is what the program is asked for")]
fn say(text: &str) {
    println!("siaga-sim: {text}");
}

/// Simulates until a signal ends it.
///
/// # Errors
/// If the server cannot be reached or refuses what an office needs.
pub async fn run(args: OfficeArgs, clock: fn() -> i64) -> anyhow::Result<()> {
    ensure!((1..=MAX_HOSTS).contains(&args.hosts), "--hosts is not between 1 and {MAX_HOSTS}");
    let wanted = Wanted { seed: args.seed, hosts: args.hosts, days: args.days };
    let state = State::open(&args.state, wanted, clock())?;
    let office = Arc::new(Office {
        client: Client::new(&args.server)?,
        token: args.token,
        wanted,
        anchor_ms: state.anchor_ms(),
        clock,
    });
    let mut agents = JoinSet::new();
    tokio::select! {
        result = work(&office, state, &mut agents) => result,
        () = ended() => {
            say("ended");
            Ok(())
        }
    }
}

async fn work(office: &Arc<Office>, mut state: State, agents: &mut JoinSet<()>) -> anyhow::Result<()> {
    let machines = cast::office(office.wanted.hosts);
    prepare::enrol(office, &mut state, &machines).await?;
    start_agents(office, &state, &machines, agents);
    prepare::send_history(office, &mut state, &machines).await?;
    prepare::ask_for_forecasts(office).await;
    prepare::start_drill(office, &mut state).await?;
    if let Err(error) = people::work(office, &mut state, &machines).await {
        say(&format!("{error:#}"));
    }
    say("simulated office is alive");
    while agents.join_next().await.is_some() {}
    std::future::pending().await
}

fn start_agents(office: &Arc<Office>, state: &State, machines: &[Machine], agents: &mut JoinSet<()>) {
    for (machine, place) in machines.iter().zip(0_u64..) {
        if let Some(agent) = state.agent(&machine.name) {
            agents.spawn(live::run(Arc::clone(office), machine.clone(), agent.clone(), place));
        }
    }
    say(&format!("{} agents send a sample of each series every 15 s", machines.len()));
}

/// Ends when the process is asked to.
async fn ended() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
