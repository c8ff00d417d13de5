//! What the API says of plans and drills.

use serde::{Deserialize, Serialize};

use super::flaw::Flaw;
use super::journal::{self, CheckTime, Entry as JournalEntry, Fact};
use super::machine::{Machine, Phase};
use super::marks::RowCount;
use super::measure::{Measurement, Point};
use super::plan::{Entry, Plan, PlanProblem, Undo};
use super::reason::{Reason, say_all};
use super::rows::counted;
use super::verify::{Evidence, State, Verification, verify};
use crate::app::App;
use crate::http::ApiError;
use crate::records::drill_seals::SealRow;
use crate::records::drills::{self, Drill, JournalRow};
use crate::time::{Millis, millis};

/// One thing that is wrong with a plan. Line 0: it is not in the text but in what the fleet can do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProblemBody {
    /// The problem, with its place.
    pub at: PlanProblem,
    /// One line as the command line prints it.
    pub text: String,
}

impl From<PlanProblem> for ProblemBody {
    fn from(problem: PlanProblem) -> Self {
        let text = match problem.line {
            0 => format!("{}: {}: {}", problem.file, problem.field, problem.reason),
            _ => problem.to_string(),
        };
        Self { at: problem, text }
    }
}

/// A plan, or a file that is none.
#[derive(Debug, Clone, Serialize)]
pub(super) struct PlanBody {
    /// File in the folder of plans.
    pub file: String,
    /// Identifier; `None` if the file is no plan.
    pub id: Option<String>,
    /// Name.
    pub name: Option<String>,
    /// Service.
    pub service: Option<String>,
    /// Scenario.
    pub scenario: Option<String>,
    /// Kind of exercise.
    pub kind: Option<&'static str>,
    /// Recovery time objective.
    pub rto_ms: Option<Millis>,
    /// Recovery point objective.
    pub rpo_ms: Option<Millis>,
    /// Cron rule.
    pub cron: Option<String>,
    /// Next date that no blackout covers.
    pub next_at_ms: Option<Millis>,
    /// How many people must have approved a drill.
    pub approvers: usize,
    /// Steps in order.
    pub steps: Vec<StepBody>,
    /// Everything that stands against a drill now.
    pub problems: Vec<ProblemBody>,
    /// What is allowed but unwise.
    pub warnings: Vec<ProblemBody>,
    /// Text of the file; only when one plan is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A step of a plan.
#[derive(Debug, Clone, Serialize)]
pub(super) struct StepBody {
    id: String,
    name: String,
    host: Option<String>,
    action: String,
    /// What a person is asked instead.
    confirm: Option<String>,
    retries: u32,
    undo: bool,
    no_undo: Option<String>,
}

impl PlanBody {
    pub(super) fn new(entry: &Entry, problems: Vec<ProblemBody>, next_at_ms: Option<Millis>) -> Self {
        let plan = entry.plan.as_ref().ok();
        let text = |part: fn(&Plan) -> &String| plan.map(|plan| part(plan).clone());
        Self {
            file: entry.file.clone(),
            id: text(|plan| &plan.id),
            name: text(|plan| &plan.name),
            service: text(|plan| &plan.service),
            scenario: text(|plan| &plan.scenario),
            kind: plan.map(|plan| plan.kind.code()),
            rto_ms: plan.map(|plan| millis(plan.rto)),
            rpo_ms: plan.and_then(|plan| plan.rpo).map(millis),
            cron: plan.and_then(|plan| plan.schedule.as_ref()).map(|schedule| schedule.text().to_owned()),
            next_at_ms,
            approvers: plan.and_then(|plan| plan.approval.as_ref()).map_or(0, |approval| approval.approvers),
            steps: plan.map_or_else(Vec::new, |plan| plan.steps.iter().map(StepBody::new).collect()),
            problems,
            warnings: plan
                .map_or_else(Vec::new, |plan| plan.warnings.iter().cloned().map(ProblemBody::from).collect()),
            text: None,
        }
    }
}

impl StepBody {
    fn new(step: &super::plan::Step) -> Self {
        let no_undo = match &step.undo {
            Undo::ByAgent => None,
            Undo::Nothing(reason) => Some(reason.clone()),
        };
        Self {
            id: step.id.clone(),
            name: step.name.clone(),
            host: step.order().and_then(|(host, _)| host).map(ToOwned::to_owned),
            action: step.order().map_or_else(String::new, |(_, action)| action.to_owned()),
            confirm: step.question().cloned(),
            retries: step.retries,
            undo: no_undo.is_none(),
            no_undo: no_undo.filter(|reason| !reason.is_empty()),
        }
    }
}

/// Answer to a request that begins or stops a drill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Started {
    /// Identifier of the drill.
    pub id: String,
}

/// A drill in lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DrillBody {
    /// Identifier.
    pub id: String,
    /// Number for people.
    pub number: i64,
    /// Plan.
    pub plan_id: String,
    /// Its name at that time.
    pub plan_name: String,
    /// Service.
    pub service: String,
    /// Who started it.
    pub started_by: String,
    /// The date of the schedule that it stands for.
    pub scheduled_for_ms: Option<Millis>,
    /// When it began.
    pub created_at_ms: Millis,
    /// When it ended.
    pub ended_at_ms: Option<Millis>,
    /// `running`, `passed`, `failed`, `aborted`, `refused` or `missed`.
    pub status: String,
    /// Whether the system was found as it was before.
    pub restored: Option<bool>,
    /// Recovery time objective.
    pub rto_target_ms: Millis,
    /// Recovery time measured.
    pub rto_ms: Option<Millis>,
    /// Downtime measured, with that of the rollback.
    pub downtime_ms: Option<Millis>,
    /// Everything that was not as it should be, in English.
    pub reasons: Vec<String>,
}

impl DrillBody {
    pub(super) fn new(drill: &Drill) -> Self {
        Self {
            id: drill.id.clone(),
            number: drill.number,
            plan_id: drill.plan_id.clone(),
            plan_name: drill.plan_name.clone(),
            service: drill.service.clone(),
            started_by: drill.started_by.clone(),
            scheduled_for_ms: drill.scheduled_for_ms,
            created_at_ms: drill.created_at_ms,
            ended_at_ms: drill.ended_at_ms,
            status: drill.status.clone(),
            restored: drill.restored,
            rto_target_ms: drill.rto_target_ms,
            rto_ms: drill.rto_ms,
            downtime_ms: drill.downtime_ms,
            reasons: say_all(&reasons_of(drill), None, "en"),
        }
    }
}

/// Reasons of a drill.
pub(super) fn reasons_of(drill: &Drill) -> Vec<Reason> {
    serde_json::from_str(&drill.reasons).unwrap_or_default()
}

/// An entry of a journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JournalBody {
    /// Number, from 1.
    pub seq: i64,
    /// When.
    pub at_ms: Millis,
    /// What.
    pub fact: Fact,
    /// Hash of the entry.
    pub hash: String,
}

/// A drill with everything that is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DrillDetail {
    /// As in lists.
    pub drill: DrillBody,
    /// Where it is.
    pub phase: Phase,
    /// Measurements from the fault to the end of the steps, one a probe.
    pub measured: Vec<Measurement>,
    /// Measurements of the rollback and of the checks after it, one a probe.
    #[serde(default)]
    pub rollback: Vec<Measurement>,
    /// Rows that were written and lost, counted after the recovery.
    #[serde(default)]
    pub rows: Option<RowCount>,
    /// The same, counted after the way back.
    #[serde(default)]
    pub rows_after: Option<RowCount>,
    /// The step that waits for a person: its identifier and what is asked.
    #[serde(default)]
    pub waits_for: Option<(String, String)>,
    /// The journal.
    pub journal: Vec<JournalBody>,
    /// Hash of the newest entry, if the journal is what was written.
    pub journal_hash: Option<String>,
    /// What is wrong with the journal.
    pub journal_problem: Option<String>,
}

impl DrillDetail {
    pub(super) fn new(drill: &Drill, rows: &[JournalRow]) -> Result<Self, ApiError> {
        let entries = journal::entries(rows)?;
        let verified = journal::verify(&drill.id, rows);
        let phase = if drill.ended_at_ms.is_some() { Phase::Finished } else { phase_of(drill, &entries) };
        let journal = rows
            .iter()
            .zip(&entries)
            .map(|(row, entry)| JournalBody {
                seq: row.seq,
                at_ms: row.at_ms,
                fact: entry.fact.clone(),
                hash: row.hash.clone(),
            })
            .collect();
        Ok(Self {
            drill: DrillBody::new(drill),
            phase,
            measured: measured_of(&entries).to_vec(),
            rollback: rollback_of(&entries).to_vec(),
            rows: counted(&entries, CheckTime::Step).cloned(),
            rows_after: counted(&entries, CheckTime::After).cloned(),
            waits_for: if drill.ended_at_ms.is_none() { waits_for(drill, &entries) } else { None },
            journal,
            journal_problem: verified.as_ref().err().map(ToString::to_string),
            journal_hash: verified.ok(),
        })
    }
}

/// Whether a drill is as it was written, with what another program needs to check the signatures itself.
#[derive(Debug, Clone, Serialize)]
pub(super) struct VerificationBody {
    drill_id: String,
    state: State,
    entries: usize,
    head: String,
    key_id: Option<String>,
    flaws: Vec<FlawBody>,
    /// Seals of the drill, oldest first.
    seals: Vec<SealBody>,
}

#[derive(Debug, Clone, Serialize)]
struct FlawBody {
    at: Flaw,
    text: String,
}

#[derive(Debug, Clone, Serialize)]
struct SealBody {
    /// What was signed, byte for byte.
    statement: String,
    /// Ed25519 signature, base64.
    signature: String,
    /// PEM.
    public_key: String,
}

impl VerificationBody {
    pub(super) fn new(drill_id: &str, found: Verification) -> Self {
        let flaw = |flaw: Flaw| FlawBody { text: flaw.say("en"), at: flaw };
        let seal = |seal: SealRow| {
            let SealRow { statement, signature, public_key, .. } = seal;
            SealBody { statement, signature, public_key }
        };
        Self {
            drill_id: drill_id.to_owned(),
            state: found.state,
            entries: found.entries,
            head: found.head,
            key_id: found.key_id,
            flaws: found.flaws.into_iter().map(flaw).collect(),
            seals: found.seals.into_iter().map(seal).collect(),
        }
    }
}

/// Looks whether a drill is as it was written and as this server signed it.
pub(super) async fn verified(app: &App, drill: Drill) -> Result<Verification, ApiError> {
    let evidence = app.records.run(move |db| Evidence::collect(db, drill)).await?;
    Ok(verify(&evidence, &[app.journal_key.verifying_key()]))
}

/// The measurements of a journal.
pub(super) fn measured_of(entries: &[JournalEntry]) -> &[Measurement] {
    let found = entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::Measured { probes, .. } => Some(probes.as_slice()),
        _ => None,
    });
    found.unwrap_or_default()
}

/// The measurements of the rollback in a journal.
pub(super) fn rollback_of(entries: &[JournalEntry]) -> &[Measurement] {
    let found = entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::RollbackMeasured { probes, .. } => Some(probes.as_slice()),
        _ => None,
    });
    found.unwrap_or_default()
}

/// Where a drill is, by its journal.
pub(super) fn phase_of(drill: &Drill, entries: &[JournalEntry]) -> Phase {
    let Ok(plan) = Plan::read(&drill.plan_file, &drill.plan_text) else { return Phase::CheckingBefore };
    let mut machine = Machine::in_waves(
        plan.steps.iter().map(|step| step.undo == Undo::ByAgent).collect(),
        plan.waves.clone(),
    );
    entries.iter().filter_map(|entry| entry.fact.event()).for_each(|event| machine.apply(event));
    machine.phase()
}

/// The step that waits for a person: its identifier, and what is asked.
pub(super) fn waits_for(drill: &Drill, entries: &[JournalEntry]) -> Option<(String, String)> {
    let asked = entries.iter().rev().find_map(|entry| match entry.fact {
        Fact::Asked { step, .. } => Some(Some(step)),
        Fact::Confirmed { .. } | Fact::StepEnded { .. } | Fact::Stopped { .. } => Some(None),
        _ => None,
    });
    let plan = Plan::read(&drill.plan_file, &drill.plan_text).ok()?;
    let step = plan.steps.get(asked??)?;
    Some((step.id.clone(), plan.say("id", step.question()?).to_owned()))
}

/// A drill and its journal.
pub(super) async fn load(app: &App, id: &str) -> Result<(Drill, Vec<JournalRow>), ApiError> {
    let wanted = id.to_owned();
    let found = app
        .records
        .run(move |db| {
            let rows = drills::journal(db, &wanted)?;
            Ok::<_, ApiError>(drills::get(db, &wanted)?.map(|drill| (drill, rows)))
        })
        .await?;
    found.ok_or_else(|| ApiError::not_found(format!("drill {id}")))
}

/// Raw traces: probe and points.
pub(super) async fn load_traces(app: &App, id: &str) -> Result<Vec<(String, Vec<Point>)>, ApiError> {
    let wanted = id.to_owned();
    let parts = app.records.run(move |db| drills::traces(db, &wanted)).await?;
    let mut traces: Vec<(String, Vec<Point>)> = Vec::new();
    for (probe, points) in parts {
        let points: Vec<Point> = drills::parse_json("drill_traces.points", &points)?;
        match traces.last_mut().filter(|(name, _)| *name == probe) {
            Some((_, all)) => all.extend(points),
            None => traces.push((probe, points)),
        }
    }
    for (_, points) in &mut traces {
        points.sort_by_key(|point| point.0);
    }
    Ok(traces)
}
