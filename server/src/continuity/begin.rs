//! Begins drills, takes up those that the end of the server cut off, and tells the incidents what was not restored.

use anyhow::Context as _;

use super::approval::{ApprovalNote, standing, text_digest};
use super::execute::{Pace, Run};
use super::hold;
use super::journal::{self, Despite, Fact};
use super::machine::Verdict;
use super::plan::{Approval, HostState, HostTrouble, Library, Plan, read_folder, resolve};
use super::reason::{Reason, say_all};
use super::running::Claim;
use super::seal;
use crate::access::new_id;
use crate::app::App;
use crate::fleet::http::{host_is_silent, wrong_clock};
use crate::records::drill_approvals::{self, ApprovalRow};
use crate::records::drills::{self, Drill, Ending};
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, audit, hosts};
use crate::time::{Millis, millis, now_ms};

/// Why no drill begins.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// There is no such plan, or its file is wrong.
    #[error("plan {0} does not exist or has problems")]
    NoPlan(String),
    /// Too few have approved it.
    #[error(
        "{given} of {wanted} approvals are given{}",
        if *only_asker { ", and somebody else than who asks must have approved" } else { "" }
    )]
    NotApproved {
        /// How many people have approved.
        given: usize,
        /// How many must have.
        wanted: usize,
        /// Whether only the one who asks has.
        only_asker: bool,
    },
    /// Something stands against it now.
    #[error("the drill is held back: {}; who begins it all the same says why (despite)", say_all(.0, None, "en").join("; "))]
    Held(Vec<Reason>),
    /// The reason to begin it all the same is empty or too long.
    #[error("the reason to begin the drill all the same is empty or longer than {MAX_WHY} characters")]
    NoReason,
    /// One drill at a time.
    #[error("drill {0} is running")]
    Busy(String),
    /// The folder of plans cannot be read, or the records cannot be written.
    #[error("cannot begin the drill")]
    Internal(#[source] anyhow::Error),
}

impl From<anyhow::Error> for StartError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl From<RecordsError> for StartError {
    fn from(error: RecordsError) -> Self {
        Self::Internal(error.into())
    }
}

/// Reads the folder of plans anew. Without a folder there are none.
///
/// # Errors
/// If the folder cannot be listed.
pub(super) async fn library(app: &App) -> anyhow::Result<Library> {
    let Some(folder) = app.config.current().continuity.plans_dir.clone() else {
        return Ok(Library::default());
    };
    tokio::task::spawn_blocking(move || {
        read_folder(&folder).with_context(|| format!("cannot list the plans in {}", folder.display()))
    })
    .await?
}

/// What the fleet can do now.
///
/// # Errors
/// If the records cannot be read.
pub(super) async fn fleet(app: &App) -> Result<Vec<HostState>, RecordsError> {
    let now = now_ms();
    let hosts = app.records.run(|db| hosts::list(db)).await?;
    Ok(hosts
        .into_iter()
        .map(|host| HostState {
            trouble: trouble(app, &host, now),
            id: host.id,
            instance: host.instance,
            actions: host.actions,
        })
        .collect())
}

fn trouble(app: &App, host: &hosts::Host, now: Millis) -> Option<HostTrouble> {
    if host_is_silent(app, host, now) {
        Some(HostTrouble::Silent)
    } else if app.presence.twins_since_ms(&host.id, now).is_some() {
        Some(HostTrouble::Copied)
    } else {
        wrong_clock(app, host, now).map(|_| HostTrouble::WrongClock)
    }
}

/// Longest reason to begin a drill though something stands against it, characters.
const MAX_WHY: usize = 500;

/// Who asks for a drill.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// An actor of the audit trail, or `schedule`.
    pub(super) by: String,
    /// The instant of the schedule that it stands for.
    pub(super) scheduled_for_ms: Option<Millis>,
    /// Why it is to begin though something stands against it; counts by hand alone.
    pub(super) despite: Option<String>,
}

impl Asked {
    /// By the schedule.
    pub(super) fn by_schedule(at_ms: Millis) -> Self {
        Self { by: "schedule".to_owned(), scheduled_for_ms: Some(at_ms), despite: None }
    }

    /// By a person, as an actor.
    pub(super) fn by_hand(actor: &str, despite: Option<String>) -> Self {
        Self { by: actor.to_owned(), scheduled_for_ms: None, despite }
    }
}

/// Begins a drill of a plan and gives its identifier; it goes on in the background. What the fleet cannot do refuses
/// it, on record.
///
/// # Errors
/// If there is no such plan, something holds the drill back, or a drill is running.
pub(super) async fn start(app: &App, plan_id: &str, asked: Asked) -> Result<String, StartError> {
    start_at_pace(app, plan_id, asked, Pace::NORMAL).await
}

/// Begins at another pace. It goes on though the caller vanishes: a drill that is open but not driven would stay until
/// it is found unfinished.
pub(super) async fn start_at_pace(
    app: &App,
    plan_id: &str,
    asked: Asked,
    pace: Pace,
) -> Result<String, StartError> {
    let (app, plan_id) = (app.clone(), plan_id.to_owned());
    let starting = tokio::spawn(async move { open_and_drive(&app, &plan_id, asked, pace).await });
    starting.await.map_err(|error| StartError::Internal(error.into()))?
}

async fn open_and_drive(app: &App, plan_id: &str, asked: Asked, pace: Pace) -> Result<String, StartError> {
    let library = library(app).await?;
    let (plan, entry) = library.get(plan_id).ok_or_else(|| StartError::NoPlan(plan_id.to_owned()))?;
    let despite = overruled(hold::holds(app, plan, now_ms()).await?, &asked)?;
    let resolved = resolve(plan, &entry.file, &fleet(app).await?);
    let drill = new_row(plan, &entry.file, &entry.text, &asked.by, asked.scheduled_for_ms);
    let id = drill.id.clone();
    let claim = app.running_drill.claim(&id).map_err(StartError::Busy)?;
    // A drill that cannot begin takes no approval away from the one that can.
    open(app, drill, plan.approval.clone(), despite, resolved.is_ok()).await?;
    let (hosts, refusal) = match resolved {
        Ok(hosts) => (hosts, Vec::new()),
        Err(problems) => (
            Vec::new(),
            problems
                .into_iter()
                .map(|problem| Reason::NotPossible {
                    field: problem.field,
                    why: problem.reason,
                    problem: problem.fleet,
                })
                .collect(),
        ),
    };
    let run = Run::new(app.clone(), pace, claim, id.clone(), plan.clone(), hosts)?;
    if refusal.is_empty() {
        let app = app.clone();
        let drill_id = id.clone();
        tokio::spawn(async move { finish(&app, &drill_id, run.drive().await).await });
    } else {
        run.refuse(refusal).await?;
    }
    Ok(id)
}

/// What stood against the drill, if the one who asks has a reason to begin it all the same.
fn overruled(holds: Vec<Reason>, asked: &Asked) -> Result<Option<Despite>, StartError> {
    let by_hand = asked.scheduled_for_ms.is_none();
    match asked.despite.as_deref().map(str::trim).filter(|_| by_hand) {
        _ if holds.is_empty() => Ok(None),
        None => Err(StartError::Held(holds)),
        Some(why) if why.is_empty() || why.chars().count() > MAX_WHY => Err(StartError::NoReason),
        Some(why) => Ok(Some(Despite { holds, why: why.to_owned() })),
    }
}

async fn finish(app: &App, drill_id: &str, outcome: anyhow::Result<()>) {
    if let Err(error) = outcome {
        tracing::error!(
            drill.id = drill_id,
            error = format!("{error:#}"),
            "drill interrupted, it will be taken up"
        );
    }
    if let Err(error) = super::mail_report::queue(app, drill_id).await {
        tracing::error!(
            drill.id = drill_id,
            error = format!("{error:#}"),
            "the report of the drill is not sent"
        );
    }
    if let Err(error) = super::signals::sync(app).await {
        tracing::error!(error = format!("{error:#}"), "cannot tell the incidents about drills");
    }
}

fn new_row(plan: &Plan, file: &str, text: &str, by: &str, scheduled_for_ms: Option<Millis>) -> Drill {
    Drill {
        id: new_id(),
        number: 0,
        plan_id: plan.id.clone(),
        plan_name: plan.name.clone(),
        service: plan.service.clone(),
        plan_file: file.to_owned(),
        plan_text: text.to_owned(),
        plan_sha256: text_digest(text),
        started_by: by.to_owned(),
        scheduled_for_ms,
        created_at_ms: now_ms(),
        ended_at_ms: None,
        status: drills::RUNNING.to_owned(),
        restored: None,
        rto_target_ms: millis(plan.rto),
        rto_ms: None,
        downtime_ms: None,
        reasons: "[]".to_owned(),
    }
}

async fn open(
    app: &App,
    drill: Drill,
    approval: Option<Approval>,
    despite: Option<Despite>,
    uses_approvals: bool,
) -> Result<(), StartError> {
    app.records
        .run(move |db| {
            let now = drill.created_at_ms;
            let rows = match approval {
                Some(approval) => approved(db, &drill, &approval)?,
                None => Vec::new(),
            };
            let fact = Fact::Opened {
                plan_id: drill.plan_id.clone(),
                plan_sha256: drill.plan_sha256.clone(),
                by: drill.started_by.clone(),
                previous: drills::newest_head(db)?,
                approved_by: rows.iter().map(ApprovalNote::from).collect(),
                despite,
            };
            drills::insert(db, &drill)?;
            journal::append(db, &drill.id, now, &fact)?;
            for row in rows.iter().filter(|_| uses_approvals) {
                drill_approvals::set_used(db, &row.id, &drill.id)?;
            }
            Ok(audit::add(db, now, &drill.started_by, "drill.start", &drill.id, &drill.plan_id)?)
        })
        .await
}

/// The approvals on which a drill may begin.
fn approved(db: &Connection, drill: &Drill, wanted: &Approval) -> Result<Vec<ApprovalRow>, StartError> {
    let rows = drill_approvals::holding(db, &drill.plan_id, &drill.plan_sha256, drill.created_at_ms)?;
    let standing = standing(wanted, rows, Some(&drill.started_by));
    if standing.enough() {
        return Ok(standing.holding);
    }
    Err(StartError::NotApproved {
        given: standing.holding.len(),
        wanted: standing.wanted,
        only_asker: standing.only_asker,
    })
}

/// Records a date on which no drill began.
pub(super) async fn record_missed(
    app: &App,
    plan: &Plan,
    file: &str,
    text: &str,
    at_ms: Millis,
    reasons: Vec<Reason>,
) -> Result<(), RecordsError> {
    let mut drill = new_row(plan, file, text, "schedule", Some(at_ms));
    drill.status = drills::MISSED.to_owned();
    drill.ended_at_ms = Some(drill.created_at_ms);
    drill.restored = Some(true);
    let key = app.journal_key.clone();
    app.records
        .run(move |db| {
            drill.reasons = serde_json::to_string(&reasons)
                .map_err(|e| RecordsError::Corrupt { column: "drills.reasons", reason: e.to_string() })?;
            drills::insert(db, &drill)?;
            seal::add(db, &key, &drill.id, drill.created_at_ms)
        })
        .await
}

/// Takes up the oldest drill that is unfinished though none runs: the server ended in its middle.
///
/// # Errors
/// If the records cannot be read or written.
pub(super) async fn resume_unfinished(app: &App, pace: Pace) -> anyhow::Result<()> {
    if app.running_drill.id().is_some() {
        return Ok(());
    }
    let unfinished = app.records.run(|db| drills::running(db)).await?;
    let Some(drill) = unfinished.into_iter().next() else { return Ok(()) };
    // Somebody else may have begun a drill in this moment; the next look comes soon.
    let Ok(claim) = app.running_drill.claim(&drill.id) else { return Ok(()) };
    // It may have begun and ended since the look: only what is open while the place is ours is unfinished.
    let id = drill.id.clone();
    let still = app.records.run(move |db| drills::get(db, &id)).await?;
    if still.is_none_or(|found| found.ended_at_ms.is_some()) {
        return Ok(());
    }
    tracing::warn!(drill.id = drill.id, "an unfinished drill was found: it is rolled back and closed");
    let outcome = resume(app, pace, claim, &drill).await;
    finish(app, &drill.id, outcome).await;
    Ok(())
}

async fn resume(app: &App, pace: Pace, claim: Claim, drill: &Drill) -> anyhow::Result<()> {
    let id = drill.id.clone();
    let rows = app.records.run(move |db| drills::journal(db, &id)).await?;
    let altered = journal::verify(&drill.id, &rows).is_err();
    let (Ok(plan), Ok(entries)) = (Plan::read(&drill.plan_file, &drill.plan_text), journal::entries(&rows))
    else {
        return close_unreadable(app, drill.id.clone()).await;
    };
    let further = if altered { vec![Reason::JournalAltered] } else { Vec::new() };
    let run = Run::new(app.clone(), pace, claim, drill.id.clone(), plan, Vec::new())?;
    run.resume(entries, further).await
}

/// Nobody can say what is to be undone: the agents undo by themselves, and people are told.
async fn close_unreadable(app: &App, id: String) -> anyhow::Result<()> {
    let key = app.journal_key.clone();
    app.records
        .run(move |db| {
            let reasons = vec![Reason::ServerRestarted, Reason::PlanUnreadable];
            let text = serde_json::to_string(&reasons)
                .map_err(|e| RecordsError::Corrupt { column: "drills.reasons", reason: e.to_string() })?;
            let now = now_ms();
            journal::append(
                db,
                &id,
                now,
                &Fact::Closed { verdict: Verdict::Aborted, restored: false, reasons },
            )?;
            let status = Verdict::Aborted.code();
            let (rto_ms, downtime_ms) = (None, None);
            drills::end(
                db,
                &id,
                Ending { ended_at_ms: now, status, restored: false, rto_ms, downtime_ms, reasons: &text },
            )?;
            seal::add(db, &key, &id, now)
        })
        .await?;
    Ok(())
}
