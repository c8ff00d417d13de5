//! Pages of planning: `/kapasitas/usulan`, `/kapasitas/komponen` and `/kapasitas/penilaian`.

use askama::Template;
use axum::extract::{Form, Path, State as Shared};
use axum::response::{Html, Redirect};
use serde::Deserialize;

use super::component::{Category, Component, ComponentKey, Entered};
use super::plan_http::{MAX_PROPOSALS, SCORED_DAYS, Word, read_scores};
use super::planning::{self, Decision, find};
use super::proposal::{Draft, Happened, Proposal, Status};
use super::resource::{ResourceKey, ResourceKind};
use super::score::Summary;
use super::{PLAN_AHEAD_DAYS, views};
use crate::access::Right;
use crate::app::App;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Routes};
use crate::records::{capacity_components, capacity_proposals};
use crate::time::{Millis, now_ms};

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/kapasitas/usulan", Right::ViewCapacity, "proposals against shortages", proposals)
        .page("/kapasitas/usulan/nomor/{id}", Right::ViewCapacity, "one proposal with its history", proposal)
        .form("/kapasitas/usulan/nomor/{id}", Right::PlanCapacity, "decide on a proposal", decide)
        .page("/kapasitas/komponen", Right::ViewCapacity, "the register of components", components)
        .form("/kapasitas/komponen", Right::PlanCapacity, "enter a component", enter)
        .form(
            "/kapasitas/komponen/hapus",
            Right::PlanCapacity,
            "take a component out of the register",
            remove,
        )
        .page("/kapasitas/penilaian", Right::ViewCapacity, "what past forecasts were worth", scores)
}

/// Name and host of a component: `Sistem berkas /data · web-01`.
pub(crate) fn component_name(page: &Page, key: &ResourceKey) -> String {
    format!("{} · {}", views::resource_name(page, key), key.instance)
}

/// What is to be done, in words: the planner's own, or Siaga's.
pub(super) fn what(page: &Page, what: &str, draft: &Draft) -> String {
    if !what.is_empty() {
        return what.to_owned();
    }
    let percent = page.percent(draft.add_percent);
    match draft.key.kind {
        kind if kind.is_bytes() => {
            let bytes = page.bytes(draft.full * draft.add_percent / 100.0);
            let total = page.bytes(draft.full * (1.0 + draft.add_percent / 100.0));
            page.tv(
                "capacity.proposal.add_bytes",
                &[("percent", &percent), ("bytes", &bytes), ("total", &total)],
            )
        }
        _ => page.tv("capacity.proposal.add_share", &[("percent", &percent)]),
    }
}

/// A row of the list of proposals, worded.
pub(super) struct ProposalRow {
    pub(super) address: String,
    pub(super) id: i64,
    pub(super) component: String,
    pub(super) what: String,
    pub(super) due: String,
    pub(super) status: String,
    pub(super) badge: &'static str,
}

impl ProposalRow {
    pub(super) fn new(page: &Page, proposal: &Proposal) -> Self {
        Self {
            address: proposal_address(proposal.id),
            id: proposal.id,
            component: component_name(page, &proposal.draft.key),
            what: what(page, &proposal.what, &proposal.draft),
            due: page.date_short(proposal.draft.due_ms),
            status: page.t(&format!("capacity.proposal.status.{}", proposal.status.code())),
            badge: proposal.status.badge(),
        }
    }
}

/// Address of a proposal's page.
pub(crate) fn proposal_address(id: i64) -> String {
    format!("/kapasitas/usulan/nomor/{id}")
}

#[derive(Template)]
#[template(path = "capacity/proposals.html")]
struct ProposalsTemplate<'a> {
    page: &'a Page,
    open: Vec<ProposalRow>,
    decided: Vec<ProposalRow>,
    note: String,
}

async fn proposals(Shared(app): Shared<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let all = app.records.run(|db| capacity_proposals::list(db, None, MAX_PROPOSALS)).await;
    let all = all.map_err(|e| PageError::new(&page, e))?;
    let (open, decided): (Vec<_>, Vec<_>) = all.iter().partition(|one| one.status == Status::Open);
    let rows = |all: Vec<&Proposal>| all.into_iter().map(|one| ProposalRow::new(&page, one)).collect();
    let template = ProposalsTemplate {
        page: &page,
        open: rows(open),
        decided: rows(decided),
        note: page.tv("capacity.proposal.note", &[("days", &PLAN_AHEAD_DAYS.to_string())]),
    };
    render(&template).map_err(|e| PageError::new(&page, e))
}

/// A line of a proposal's history, worded.
struct HistoryRow {
    at: String,
    who: String,
    action: String,
    what: String,
    due: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "capacity/proposal.html")]
struct ProposalTemplate<'a> {
    page: &'a Page,
    title: String,
    row: ProposalRow,
    component_address: String,
    facts: Vec<(String, String)>,
    history: Vec<HistoryRow>,
    /// Decisions that are open: code and words.
    choices: Vec<(&'static str, String)>,
    /// What the fields of a change begin with.
    add_percent: String,
    due: String,
    planner_words: &'a str,
}

fn facts(page: &Page, proposal: &Proposal, now_ms: Millis) -> Vec<(String, String)> {
    let (draft, evidence) = (&proposal.draft, &proposal.draft.evidence);
    let percent = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| page.percent(value));
    let days = PLAN_AHEAD_DAYS.to_string();
    let growth = page.tv("capacity.growth_value", &[("n", &page.number(evidence.trend_percent_per_day, 2))]);
    let mut facts = vec![
        (page.t("capacity.proposal.what"), what(page, &proposal.what, draft)),
        (page.t("capacity.proposal.due"), page.date(draft.due_ms)),
        (page.t("capacity.use"), percent(evidence.current_percent)),
        (page.t("capacity.threshold"), page.percent(evidence.threshold_percent)),
        (page.t("capacity.growth"), growth),
        (page.tv("capacity.proposal.need", &[("days", &days)]), page.percent(evidence.need_percent)),
    ];
    if evidence.likely_ms.is_none() {
        facts.push((page.t("capacity.likely"), page.t("capacity.past")));
    } else {
        for (key, at) in [
            ("capacity.earliest", evidence.earliest_ms),
            ("capacity.likely", evidence.likely_ms),
            ("capacity.latest", evidence.latest_ms),
        ] {
            facts.push((page.t(key), views::date(page, at, now_ms)));
        }
    }
    facts.push((page.t("capacity.model"), views::model_name(page, &evidence.model)));
    facts.push((page.t("capacity.coverage"), percent(evidence.coverage.map(|share| share * 100.0))));
    facts.push((page.t("capacity.known_hours"), evidence.known_hours.to_string()));
    facts.push((page.t("capacity.made_at"), page.datetime(evidence.made_at_ms)));
    facts
}

fn history_row(page: &Page, draft: &Draft, happened: &Happened) -> HistoryRow {
    let then = Draft { add_percent: happened.add_percent, ..draft.clone() };
    HistoryRow {
        at: page.datetime_short(happened.at_ms),
        who: page.actor(&happened.actor),
        action: page.t_or(&format!("capacity.proposal.happened.{}", happened.action), &happened.action),
        what: what(page, &happened.what, &then),
        due: page.date_short(happened.due_ms),
        reason: happened.reason.clone(),
    }
}

async fn proposal(
    Shared(app): Shared<App>,
    view: View,
    Path(id): Path<i64>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let found = app.records.run(move |db| {
        let proposal = find(db, id)?;
        Ok::<_, ApiError>((proposal, capacity_proposals::history(db, id)?))
    });
    let (proposal, history) = found.await.map_err(|e| PageError::new(&page, e))?;
    let choices =
        [("accept", Word::Accept), ("change", Word::Change), ("reject", Word::Reject), ("done", Word::Done)];
    let may = page.may(Right::PlanCapacity);
    let choices = choices
        .into_iter()
        .filter(|(_, word)| may && proposal.status.may_become(word.status()))
        .map(|(code, _)| (code, page.t(&format!("capacity.proposal.decision.{code}"))))
        .collect();
    let template = ProposalTemplate {
        page: &page,
        title: format!("{} {id}", page.t("capacity.proposal")),
        row: ProposalRow::new(&page, &proposal),
        component_address: views::address(&proposal.draft.key),
        facts: facts(&page, &proposal, now_ms()),
        history: history.iter().map(|one| history_row(&page, &proposal.draft, one)).collect(),
        choices,
        add_percent: proposal.draft.add_percent.to_string(),
        due: views::date_field(&page, proposal.draft.due_ms),
        planner_words: &proposal.what,
    };
    render(&template).map_err(|e| PageError::new(&page, e))
}

#[derive(Debug, Deserialize)]
struct DecisionForm {
    decision: Word,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    what: String,
    #[serde(default)]
    add_percent: String,
    #[serde(default)]
    due: String,
}

/// A number of a form, with a comma or a point; none for an empty field.
fn number(field: &'static str, text: &str) -> Result<Option<f64>, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let parsed = text.replace(',', ".").parse::<f64>().ok().filter(|number| number.is_finite());
    parsed.map(Some).ok_or_else(|| ApiError::bad_request(format!("{text:?} is not a number")).at(field))
}

async fn decide(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Path(id): Path<i64>,
    Form(form): Form<DecisionForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let mut decision = Decision {
        status: form.decision.status(),
        reason: form.reason.replace("\r\n", "\n"),
        what: None,
        add_percent: None,
        due_ms: None,
    };
    // The fields of a change are on the page in any case, and filled.
    if form.decision == Word::Change {
        decision.what = Some(form.what.trim().to_owned());
        decision.add_percent = number("add_percent", &form.add_percent).map_err(failed)?;
        decision.due_ms = views::read_date_field(&page, "due", &form.due).map_err(failed)?;
    }
    let actor = principal.actor();
    let decided = app.records.run(move |db| planning::decide(db, id, &decision, &actor, now_ms()));
    decided.await.map_err(failed)?;
    Ok(Redirect::to(&proposal_address(id)))
}

/// A row of the register, worded.
struct ComponentRow {
    category: String,
    name: String,
    /// Page of a measured one.
    address: Option<String>,
    capacity: String,
    used: String,
    /// When that was measured, where it is past.
    as_of: Option<String>,
    threshold: String,
    owner: String,
    target: String,
    note: String,
    /// A counted one, for its form.
    counted: Option<Entered>,
}

#[derive(Template)]
#[template(path = "capacity/components.html")]
struct ComponentsTemplate<'a> {
    page: &'a Page,
    rows: Vec<ComponentRow>,
    may_plan: bool,
}

impl ComponentsTemplate<'_> {
    fn categories(&self) -> [(&'static str, String); 3] {
        Category::ALL.map(|one| (one.code(), self.page.t(&format!("capacity.category.{}", one.code()))))
    }

    fn blank(&self) -> Component {
        Component::default()
    }

    fn plain(&self, number: &Option<f64>) -> String {
        number.map_or_else(String::new, |number| number.to_string())
    }
}

/// Measured components, then counted ones.
async fn component_rows(app: &App, page: &Page) -> Result<Vec<ComponentRow>, ApiError> {
    let (latest, _) = super::http::newest(app).await?;
    let entered = app.records.run(|db| capacity_components::list(db)).await?;
    let mut rows: Vec<ComponentRow> = latest
        .iter()
        .map(|one| {
            let evaluation = &one.evaluation;
            let key = ComponentKey::from(&evaluation.key);
            let known = entered.iter().find(|e| e.component.key == key).map(|e| e.component.clone());
            let known = known.unwrap_or_default();
            let capacity = match evaluation.key.kind {
                kind if kind.is_bytes() => page.bytes(evaluation.full),
                _ => "100%".to_owned(),
            };
            ComponentRow {
                category: page.t("capacity.category.server"),
                name: component_name(page, &evaluation.key),
                address: Some(views::address(&evaluation.key)),
                capacity,
                used: evaluation.current_percent.map_or_else(|| "–".to_owned(), |p| page.percent(p)),
                as_of: views::as_of(page, evaluation),
                threshold: page.percent(evaluation.threshold_percent),
                owner: known.owner,
                target: known.target,
                note: known.note,
                counted: None,
            }
        })
        .collect();
    rows.extend(entered.into_iter().filter(|one| one.component.key.is_counted()).map(|one| {
        let component = &one.component;
        let text = |number: Option<f64>| match number {
            Some(number) => format!("{} {}", views::short_number(page, number), component.unit),
            None => "–".to_owned(),
        };
        let percent = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |p| page.percent(p));
        ComponentRow {
            category: page
                .t_or(&format!("capacity.category.{}", component.key.resource), &component.key.resource),
            name: component.key.item.clone(),
            address: None,
            capacity: text(component.capacity),
            used: percent(component.used_percent()),
            as_of: None,
            threshold: percent(component.threshold_percent),
            owner: component.owner.clone(),
            target: component.target.clone(),
            note: component.note.clone(),
            counted: Some(one),
        }
    }));
    Ok(rows)
}

async fn components(Shared(app): Shared<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let rows = component_rows(&app, &page).await.map_err(|e| PageError::new(&page, e))?;
    let template = ComponentsTemplate { page: &page, rows, may_plan: page.may(Right::PlanCapacity) };
    render(&template).map_err(|e| PageError::new(&page, e))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ComponentForm {
    instance: String,
    resource: String,
    item: String,
    owner: String,
    target: String,
    note: String,
    threshold_percent: String,
    unit: String,
    capacity: String,
    used: String,
    expected: String,
}

impl ComponentForm {
    fn read(self) -> Result<Component, ApiError> {
        Ok(Component {
            threshold_percent: number("threshold_percent", &self.threshold_percent)?,
            capacity: number("capacity", &self.capacity)?,
            used: number("used", &self.used)?,
            expected: number("expected", &self.expected)?,
            key: ComponentKey { instance: self.instance, resource: self.resource, item: self.item },
            owner: self.owner.trim().to_owned(),
            target: self.target.trim().to_owned(),
            note: self.note.trim().replace("\r\n", "\n"),
            unit: self.unit.trim().to_owned(),
        })
    }
}

async fn enter(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<ComponentForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let component = form.read().map_err(|e| PageError::new(&page, e))?;
    let back = match ResourceKind::from_code(&component.key.resource) {
        Some(kind) if !component.key.is_counted() => {
            let key = component.key.clone();
            views::address(&ResourceKey { instance: key.instance, kind, item: key.item })
        }
        _ => "/kapasitas/komponen".to_owned(),
    };
    let actor = principal.actor();
    let entered = app.records.run(move |db| planning::enter(db, &component, &actor, now_ms()));
    entered.await.map_err(|e| PageError::new(&page, e))?;
    Ok(Redirect::to(&back))
}

async fn remove(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(key): Form<ComponentKey>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let actor = principal.actor();
    let removed = app.records.run(move |db| planning::remove(db, &key, &actor, now_ms()));
    removed.await.map_err(|e| PageError::new(&page, e))?;
    Ok(Redirect::to("/kapasitas/komponen"))
}

/// One distance of the evaluation, worded.
pub(super) struct ScoreRow {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) due: String,
    pub(super) error: String,
    pub(super) unchanged: String,
    pub(super) coverage: String,
    pub(super) crossings: String,
}

impl ScoreRow {
    pub(super) fn new(page: &Page, name: String, address: String, summary: &Summary) -> Self {
        let points = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| page.number(v, 1));
        let mut crossings = page.tv(
            "capacity.score.crossings_value",
            &[
                ("hits", &summary.hits.to_string()),
                ("false", &summary.false_alarms.to_string()),
                ("missed", &summary.missed.to_string()),
            ],
        );
        if let Some(days) = summary.date_error_days {
            let days = page.number(days, 1);
            crossings.push_str(&page.tv("capacity.score.date_error", &[("days", &days)]));
        }
        Self {
            name,
            address,
            due: format!("{} / {}", summary.measured, summary.due),
            error: points(summary.error),
            unchanged: points(summary.error_unchanged),
            coverage: summary.coverage.map_or_else(|| "–".to_owned(), |share| page.percent(share * 100.0)),
            crossings,
        }
    }

    /// A row for each distance.
    pub(super) fn by_distance(page: &Page, distances: &[Summary]) -> Vec<Self> {
        let row = |summary: &Summary| {
            let name = page.tv("unit.days", &[("n", &summary.days.to_string())]);
            Self::new(page, name, String::new(), summary)
        };
        distances.iter().map(row).collect()
    }
}

/// Distance whose scores stand for a component in the list.
const LISTED_DAYS: u16 = 7;

#[derive(Template)]
#[template(path = "capacity/scores.html")]
struct ScoresTemplate<'a> {
    page: &'a Page,
    intro: String,
    all: Vec<ScoreRow>,
    heading: String,
    components: Vec<ScoreRow>,
}

async fn scores(Shared(app): Shared<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let body = read_scores(&app, SCORED_DAYS, None).await.map_err(|e| PageError::new(&page, e))?;
    let component = |one: &super::plan_http::ComponentScores| {
        let kind = ResourceKind::from_code(one.resource)?;
        let key = ResourceKey { instance: one.instance.clone(), kind, item: one.item.clone() };
        let summary = one.distances.iter().find(|summary| summary.days == LISTED_DAYS)?;
        Some(ScoreRow::new(&page, component_name(&page, &key), views::address(&key), summary))
    };
    let template = ScoresTemplate {
        page: &page,
        intro: page.tv("capacity.score.intro", &[("days", &SCORED_DAYS.to_string())]),
        all: ScoreRow::by_distance(&page, &body.distances),
        heading: page.tv("capacity.score.by_component", &[("days", &LISTED_DAYS.to_string())]),
        components: body.components.iter().filter_map(component).collect(),
    };
    render(&template).map_err(|e| PageError::new(&page, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_a_form_may_have_a_comma_and_must_be_one() {
        for (text, wanted) in [("", Some(None)), (" 12,5 ", Some(Some(12.5))), ("3", Some(Some(3.0)))] {
            assert_eq!(number("used", text).ok(), wanted, "{text}");
        }
        for wrong in ["dua", "NaN", "1.000,5"] {
            assert_eq!(number("used", wrong).unwrap_err().status(), 400, "{wrong}");
        }
    }
}
