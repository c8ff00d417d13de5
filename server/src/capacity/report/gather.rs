//! Reads everything that the report is made of.

use std::collections::BTreeMap;

use super::form::Measured;
use super::period::Period;
use super::statistics::{Statistics, statistics};
use crate::app::App;
use crate::capacity::calendar;
use crate::capacity::component::{ComponentKey, Entered};
use crate::capacity::plan_http::{MAX_PROPOSALS, SCORED_DAYS, ScoreBody, read_scores};
use crate::capacity::proposal::Proposal;
use crate::capacity::{Evaluation, KnownEvent, PLAN_AHEAD_DAYS};
use crate::console::Page;
use crate::http::ApiError;
use crate::records::{RecordsError, capacity_components, capacity_proposals, capacity_reports};
use crate::time::{DAY_MS, Millis};

/// What there is to say.
pub(super) struct Gathered {
    /// Measured components, the most urgent first.
    pub(super) measured: Vec<Measured>,
    /// What people count.
    pub(super) counted: Vec<Entered>,
    /// Proposals, newest first.
    pub(super) proposals: Vec<Proposal>,
    /// What past forecasts were worth.
    pub(super) scores: ScoreBody,
    /// Known events of the time that plans reach.
    pub(super) events: Vec<KnownEvent>,
    /// What the planner wrote, by section.
    pub(super) texts: BTreeMap<String, String>,
}

/// Reads it for a period.
pub(super) async fn gather(
    app: &App,
    page: &Page,
    period: Period,
    now_ms: Millis,
) -> Result<Gathered, ApiError> {
    let (latest, _) = crate::capacity::newest(app).await?;
    let code = period.code();
    let read = app.records.run(move |db| {
        Ok::<_, RecordsError>((
            capacity_components::list(db)?,
            capacity_proposals::list(db, None, MAX_PROPOSALS)?,
            capacity_reports::texts(db, &code)?,
        ))
    });
    let (entered, proposals, texts) = read.await?;
    let ahead = now_ms + Millis::from(PLAN_AHEAD_DAYS) * DAY_MS;
    let events = calendar::around(app, page, now_ms, ahead).await?;
    let span = period.span(page.zone());
    let measured = latest.into_iter().map(|one| {
        let key = ComponentKey::from(&one.evaluation.key);
        let known = entered.iter().find(|entered| entered.component.key == key);
        Measured {
            statistics: of_period(app, &one.evaluation, span),
            note: known.map(|known| known.component.note.clone()).unwrap_or_default(),
            proposal: proposals.iter().find(|p| p.draft.key == one.evaluation.key).cloned(),
            evaluation: one.evaluation,
        }
    });
    Ok(Gathered {
        measured: measured.collect(),
        counted: entered.into_iter().filter(|one| one.component.key.is_counted()).collect(),
        scores: read_scores(app, SCORED_DAYS, None).await?,
        proposals,
        events,
        texts,
    })
}

/// Use in the period from the hours that the last pass read. None until a pass has run, and for what no pass remembers.
fn of_period(app: &App, evaluation: &Evaluation, (from_ms, to_ms): (Millis, Millis)) -> Option<Statistics> {
    let points = app.forecasting.hours_of(&evaluation.key);
    // A point stands at the end of its hour.
    let inside = points.into_iter().filter(|(end, _)| *end > from_ms && *end <= to_ms);
    statistics(inside.map(|(_, used)| used / evaluation.full * 100.0))
}
