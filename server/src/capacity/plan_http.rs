//! JSON of planning: proposals and decisions, the register of components, the scores of past forecasts.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State as Shared};
use serde::{Deserialize, Serialize};

use super::component::{Component, ComponentKey, Entered};
use super::planning::{self, Decision, find};
use super::proposal::{Evidence, Happened, Proposal, Status};
use super::resource::ResourceKey;
use super::score::{Score, Summary, summarise};
use crate::access::Right;
use crate::app::App;
use crate::http::{ApiError, Caller, JsonBody, Params, Routes};
use crate::records::forecast_scores::{self, Of};
use crate::records::{RecordsError, capacity_components, capacity_proposals};
use crate::time::{DAY_MS, Millis, now_ms};

/// Proposals in one answer or on one page.
pub(super) const MAX_PROPOSALS: u32 = 500;
/// Scores that one answer looks at, newest first.
const MAX_SCORES: u32 = 50_000;
/// Days that an evaluation of forecasts looks back, unless other is asked for.
pub(super) const SCORED_DAYS: u32 = 90;
/// Most days that may be asked for.
const MAX_SCORED_DAYS: u32 = 3_660;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get("/api/v1/capacity/proposals", Right::ViewCapacity, "proposals, newest first (status)", list)
        .get("/api/v1/capacity/proposals/{id}", Right::ViewCapacity, "one proposal with its history", show)
        .post(
            "/api/v1/capacity/proposals/{id}/decision",
            Right::PlanCapacity,
            "accept, change, reject or close a proposal, with a reason",
            decide,
        )
        .get(
            "/api/v1/capacity/components",
            Right::ViewCapacity,
            "what was entered about components",
            components,
        )
        .put("/api/v1/capacity/components", Right::PlanCapacity, "enter a component", enter)
        .delete(
            "/api/v1/capacity/components",
            Right::PlanCapacity,
            "take a component out of the register (instance, resource, item)",
            remove,
        )
        .get(
            "/api/v1/forecasts/scores",
            Right::ViewCapacity,
            "what past forecasts were worth (instance, days)",
            scores,
        )
}

/// A proposal in answers.
#[derive(Debug, Serialize)]
struct ProposalBody {
    id: i64,
    status: Status,
    instance: String,
    resource: &'static str,
    item: String,
    what: String,
    /// Percent of today's capacity.
    add_percent: f64,
    /// The same in bytes; filesystems only.
    add_bytes: Option<f64>,
    due_ms: Millis,
    created_at_ms: Millis,
    changed_at_ms: Millis,
    evidence: Evidence,
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<Happened>>,
}

impl ProposalBody {
    fn new(proposal: Proposal, history: Option<Vec<Happened>>) -> Self {
        let Proposal { id, status, what, draft, created_at_ms, changed_at_ms } = proposal;
        Self {
            id,
            status,
            add_bytes: draft.key.kind.is_bytes().then_some(draft.full * draft.add_percent / 100.0),
            instance: draft.key.instance,
            resource: draft.key.kind.code(),
            item: draft.key.item,
            what,
            add_percent: draft.add_percent,
            due_ms: draft.due_ms,
            created_at_ms,
            changed_at_ms,
            evidence: draft.evidence,
            history,
        }
    }
}

#[derive(Debug, Deserialize)]
struct ListParams {
    #[serde(default)]
    status: Option<Status>,
}

async fn list(
    Shared(app): Shared<App>,
    Params(params): Params<ListParams>,
) -> Result<Json<Vec<ProposalBody>>, ApiError> {
    let all = app.records.run(move |db| capacity_proposals::list(db, params.status, MAX_PROPOSALS)).await?;
    Ok(Json(all.into_iter().map(|proposal| ProposalBody::new(proposal, None)).collect()))
}

async fn show(Shared(app): Shared<App>, Path(id): Path<i64>) -> Result<Json<ProposalBody>, ApiError> {
    let body = app.records.run(move |db| {
        let proposal = find(db, id)?;
        Ok::<_, ApiError>(ProposalBody::new(proposal, Some(capacity_proposals::history(db, id)?)))
    });
    Ok(Json(body.await?))
}

/// Words of decisions in the API and in forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// As it is.
    Accept,
    /// With other figures.
    Change,
    /// Not at all.
    Reject,
    /// It was carried out.
    Done,
}

impl Word {
    /// What a proposal becomes by it.
    pub(super) const fn status(self) -> Status {
        match self {
            Self::Accept => Status::Accepted,
            Self::Change => Status::Changed,
            Self::Reject => Status::Rejected,
            Self::Done => Status::Done,
        }
    }
}

/// Body of a decision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionBody {
    decision: Word,
    reason: String,
    #[serde(default)]
    what: Option<String>,
    #[serde(default)]
    add_percent: Option<f64>,
    #[serde(default)]
    due_ms: Option<Millis>,
}

async fn decide(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody<DecisionBody>,
) -> Result<Json<ProposalBody>, ApiError> {
    let decision = Decision {
        status: body.decision.status(),
        reason: body.reason,
        what: body.what,
        add_percent: body.add_percent,
        due_ms: body.due_ms,
    };
    let actor = principal.actor();
    let decided = app.records.run(move |db| {
        let proposal = planning::decide(db, id, &decision, &actor, now_ms())?;
        Ok::<_, ApiError>(ProposalBody::new(proposal, Some(capacity_proposals::history(db, id)?)))
    });
    Ok(Json(decided.await?))
}

async fn components(Shared(app): Shared<App>) -> Result<Json<Vec<Entered>>, ApiError> {
    Ok(Json(app.records.run(|db| capacity_components::list(db)).await?))
}

/// Body of a component.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ComponentBody {
    instance: String,
    resource: String,
    item: String,
    owner: String,
    target: String,
    note: String,
    threshold_percent: Option<f64>,
    unit: String,
    capacity: Option<f64>,
    used: Option<f64>,
    expected: Option<f64>,
}

impl Default for ComponentBody {
    fn default() -> Self {
        Component::default().into()
    }
}

impl From<Component> for ComponentBody {
    fn from(component: Component) -> Self {
        Self {
            instance: component.key.instance,
            resource: component.key.resource,
            item: component.key.item,
            owner: component.owner,
            target: component.target,
            note: component.note,
            threshold_percent: component.threshold_percent,
            unit: component.unit,
            capacity: component.capacity,
            used: component.used,
            expected: component.expected,
        }
    }
}

async fn enter(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
    JsonBody(body): JsonBody<ComponentBody>,
) -> Result<Json<Entered>, ApiError> {
    let component = Component {
        key: ComponentKey { instance: body.instance, resource: body.resource, item: body.item },
        owner: body.owner,
        target: body.target,
        note: body.note,
        threshold_percent: body.threshold_percent,
        unit: body.unit,
        capacity: body.capacity,
        used: body.used,
        expected: body.expected,
    };
    let actor = principal.actor();
    let entered = app.records.run(move |db| {
        planning::enter(db, &component, &actor, now_ms())?;
        let entered = capacity_components::get(db, &component.key)?;
        entered.ok_or_else(|| ApiError::internal("a component that was entered is not there"))
    });
    Ok(Json(entered.await?))
}

async fn remove(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
    Params(key): Params<ComponentKey>,
) -> Result<Json<serde_json::Value>, ApiError> {
    let actor = principal.actor();
    app.records.run(move |db| planning::remove(db, &key, &actor, now_ms())).await?;
    Ok(Json(serde_json::json!({ "deleted": true })))
}

#[derive(Debug, Deserialize)]
struct ScoreParams {
    #[serde(default)]
    instance: Option<String>,
    #[serde(default)]
    days: Option<u32>,
}

/// The scores of one component.
#[derive(Debug, Serialize)]
pub(super) struct ComponentScores {
    pub(super) instance: String,
    pub(super) resource: &'static str,
    pub(super) item: String,
    /// By distance, the nearest first.
    pub(super) distances: Vec<Summary>,
}

/// What past forecasts were worth.
#[derive(Debug, Serialize)]
pub(super) struct ScoreBody {
    pub(super) since_ms: Millis,
    /// All components together.
    pub(super) distances: Vec<Summary>,
    pub(super) components: Vec<ComponentScores>,
}

impl ScoreBody {
    fn new(since_ms: Millis, scores: &[Score]) -> Self {
        let mut by_key: BTreeMap<&ResourceKey, Vec<&Score>> = BTreeMap::new();
        for score in scores {
            by_key.entry(&score.key).or_default().push(score);
        }
        let component = |(key, scores): (&ResourceKey, Vec<&Score>)| ComponentScores {
            instance: key.instance.clone(),
            resource: key.kind.code(),
            item: key.item.clone(),
            distances: summarise(scores),
        };
        Self {
            since_ms,
            distances: summarise(scores),
            components: by_key.into_iter().map(component).collect(),
        }
    }
}

/// What forecasts were worth that fell due within the last `days`; of one host or of all.
pub(super) async fn read_scores(
    app: &App,
    days: u32,
    instance: Option<String>,
) -> Result<ScoreBody, RecordsError> {
    let since_ms = now_ms() - Millis::from(days) * DAY_MS;
    let scores = app.records.run(move |db| {
        let of = instance.as_deref().map_or(Of::All, Of::Instance);
        forecast_scores::list(db, of, since_ms, MAX_SCORES)
    });
    let scores = scores.await?;
    Ok(ScoreBody::new(since_ms, &scores))
}

async fn scores(
    Shared(app): Shared<App>,
    Params(params): Params<ScoreParams>,
) -> Result<Json<ScoreBody>, ApiError> {
    let days = params.days.unwrap_or(SCORED_DAYS);
    if !(1..=MAX_SCORED_DAYS).contains(&days) {
        return Err(ApiError::bad_request(format!("1 to {MAX_SCORED_DAYS} is wanted")).at("days"));
    }
    Ok(Json(read_scores(&app, days, params.instance).await?))
}
