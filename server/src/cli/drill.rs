//! `siaga-server drill`: checks plans of continuity, runs a drill on a running server and follows it, lists drills.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, Subcommand};

use super::client::{Client, ServerArgs};
use super::drill_verify::{self, KeyArgs, VerifyArgs};
use super::out;
use crate::continuity::plan::{Plan, SCOPE_FILE, Scope};
use crate::continuity::{DrillBody, DrillDetail, DryRun, JournalBody, Started};

/// How often a running drill is looked at.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Debug, Args)]
pub(super) struct DrillArgs {
    #[command(subcommand)]
    command: DrillCommand,
}

#[derive(Debug, Subcommand)]
enum DrillCommand {
    /// Say everything that is wrong with plans, with file, line and field.
    Check {
        /// Files of plans.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Begin a drill on a running server and follow it to its end.
    Run {
        #[command(flatten)]
        server: ServerArgs,
        /// Identifier of the plan.
        plan: String,
        /// Why it is to begin though a blackout, a known event or an open incident holds it back.
        #[arg(long, value_name = "REASON")]
        despite: Option<String>,
    },
    /// Print everything that a drill would do, with nothing done.
    DryRun {
        #[command(flatten)]
        server: ServerArgs,
        /// Identifier of the plan.
        plan: String,
    },
    /// List drills, newest first.
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// Only drills of this plan.
        #[arg(long)]
        plan: Option<String>,
    },
    /// Prove that journals and figures of reports are as they were written, or name the first entry that is not.
    Verify(VerifyArgs),
    /// Print the public key with which anybody can check signatures, to be kept elsewhere.
    Key(KeyArgs),
}

pub(super) fn run(args: DrillArgs, runtime: &tokio::runtime::Runtime) -> anyhow::Result<()> {
    match args.command {
        DrillCommand::Check { files } => check(&files),
        DrillCommand::Run { server, plan, despite } => {
            runtime.block_on(follow(&Client::new(&server)?, &plan, despite.as_deref()))
        }
        DrillCommand::DryRun { server, plan } => runtime.block_on(dry_run(&Client::new(&server)?, &plan)),
        DrillCommand::List { server, plan } => {
            runtime.block_on(list(&Client::new(&server)?, plan.as_deref()))
        }
        DrillCommand::Verify(args) => drill_verify::run(&args),
        DrillCommand::Key(args) => drill_verify::key(&args),
    }
}

fn check(files: &[PathBuf]) -> anyhow::Result<()> {
    let mut wrong = 0;
    for file in files {
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                wrong += 1;
                out::line(format_args!("{}: cannot be read: {error}", file.display()))?;
                continue;
            }
        };
        if file.file_name().is_some_and(|name| name == SCOPE_FILE) {
            match Scope::read(&file.display().to_string(), &text) {
                Ok(scope) => {
                    let (services, scenarios) = (scope.service.len(), scope.scenario.len());
                    out::line(format_args!(
                        "{}: good, {services} services, {scenarios} scenarios",
                        file.display()
                    ))?;
                }
                Err(problems) => {
                    wrong += problems.len();
                    problems.iter().try_for_each(out::line)?;
                }
            }
            continue;
        }
        match Plan::read(&file.display().to_string(), &text) {
            Ok(plan) => {
                out::line(format_args!("{}: plan {} is good", file.display(), plan.id))?;
                plan.warnings.iter().try_for_each(|warning| out::line(format_args!("warning: {warning}")))?;
            }
            Err(problems) => {
                wrong += problems.len();
                problems.iter().try_for_each(out::line)?;
            }
        }
    }
    if wrong > 0 {
        bail!("{wrong} problem{} found", if wrong == 1 { "" } else { "s" });
    }
    Ok(())
}

async fn dry_run(client: &Client, plan: &str) -> anyhow::Result<()> {
    let plan: String = form_urlencoded::byte_serialize(plan.as_bytes()).collect();
    let found: DryRun = client.get(&format!("/api/v1/plans/{plan}/dry-run")).await?;
    out::line(serde_json::to_string_pretty(&found)?)?;
    if !found.against.is_empty() {
        bail!("a drill cannot begin now");
    }
    Ok(())
}

async fn follow(client: &Client, plan: &str, despite: Option<&str>) -> anyhow::Result<()> {
    let plan: String = form_urlencoded::byte_serialize(plan.as_bytes()).collect();
    let path = format!("/api/v1/plans/{plan}/drills");
    let started: Started = client.post(&path, &serde_json::json!({ "despite": despite })).await?;
    let page = format!("{}/kelangsungan/latihan/{}", client.base(), started.id);
    out::line(format_args!("drill {} began: {page}", started.id))?;
    let mut shown = 0;
    loop {
        let detail: DrillDetail = client.get(&format!("/api/v1/drills/{}", started.id)).await?;
        for entry in detail.journal.iter().filter(|entry| entry.seq > shown) {
            out::line(line(entry))?;
        }
        shown = detail.journal.last().map_or(shown, |entry| entry.seq);
        if detail.drill.ended_at_ms.is_some() {
            return conclude(&detail.drill);
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn line(entry: &JournalBody) -> String {
    let at = out::moment(entry.at_ms);
    let value = serde_json::to_value(&entry.fact).unwrap_or_default();
    let event = value.get("event").and_then(|event| event.as_str()).unwrap_or("event").replace('_', " ");
    let step = value.get("step").and_then(serde_json::Value::as_u64);
    let step = step.map_or_else(String::new, |index| format!(" {}", index + 1));
    let reasons: Vec<String> = entry.fact.reasons().iter().map(|reason| reason.say("en")).collect();
    let check = match (value.get("check"), value.get("found")) {
        (Some(check), Some(found)) => {
            format!(": {} ({})", check.as_str().unwrap_or_default(), found.as_str().unwrap_or_default())
        }
        _ => String::new(),
    };
    let outcome = ["good", "held", "met"].into_iter().find_map(|key| value.get(key)?.as_bool());
    let outcome = outcome.map_or("", |good| if good { ": good" } else { ": NOT good" });
    let reasons = if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join("; ")) };
    format!("{at}  {event}{step}{outcome}{check}{reasons}")
}

fn conclude(drill: &DrillBody) -> anyhow::Result<()> {
    let time = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    out::line(format_args!(
        "{}: recovery time {} (target {}), downtime {}",
        drill.status,
        time(drill.rto_ms),
        time(Some(drill.rto_target_ms)),
        time(drill.downtime_ms)
    ))?;
    if drill.status == "passed" {
        // Such as figures that are lower bounds, because something was not measured.
        return drill.reasons.iter().try_for_each(|reason| out::line(format_args!("  note: {reason}")));
    }
    if drill.restored == Some(false) {
        bail!("the drill {}, and the system is not restored: {}", drill.status, drill.reasons.join("; "));
    }
    bail!("the drill {}: {}", drill.status, drill.reasons.join("; "))
}

async fn list(client: &Client, plan: Option<&str>) -> anyhow::Result<()> {
    let mut query = form_urlencoded::Serializer::for_suffix(
        String::from("/api/v1/drills?limit=100"),
        "/api/v1/drills?".len(),
    );
    if let Some(plan) = plan {
        query.append_pair("plan", plan);
    }
    let drills: Vec<DrillBody> = client.get(&query.finish()).await?;
    if drills.is_empty() {
        tracing::info!("no drill was carried out yet");
    }
    let time = |ms: Option<i64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms} ms"));
    let row = |drill: DrillBody| {
        let began = out::moment(drill.created_at_ms);
        let rto = time(drill.rto_ms);
        [drill.number.to_string(), began, drill.plan_id, drill.status, rto, drill.id]
    };
    let rows: Vec<[String; 6]> = drills.into_iter().map(row).collect();
    out::print(out::table(["NUMBER", "BEGAN", "PLAN", "STATUS", "RECOVERY", "ID"], &rows).as_bytes())
}
