//! JSON of services: `/api/v1/capacity/services`.

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use serde::Serialize;
use siaga_forecast::{Headroom, LoadShape};

use super::analysis::{LoadFigures, PartFigures, Why};
use super::definition::{Entered, MAX_SERVICES, Service};
use super::run::{self, Analysed};
use super::what_if::{self, NoOutcome, Outcome, WhatIf};
use super::words;
use crate::access::Right;
use crate::app::App;
use crate::config::Language;
use crate::console::Page;
use crate::http::{ApiError, Caller, JsonBody, Routes};
use crate::records::{audit, capacity_services};
use crate::time::{Millis, now_ms};

pub(in crate::capacity) fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/v1/capacity/services",
            Right::ViewCapacity,
            "services with how their components follow their load, and how much load fits",
            list,
        )
        .put("/api/v1/capacity/services", Right::PlanCapacity, "enter a service", enter)
        .delete("/api/v1/capacity/services/{name}", Right::PlanCapacity, "take a service out", remove)
        .post(
            "/api/v1/capacity/services/{name}/what-if",
            Right::ViewCapacity,
            "what would be with more load, fewer servers, closing tenders, more capacity",
            ask,
        )
}

fn english(app: &App) -> Page {
    let console = app.config.current().console.clone();
    Page::detached(Language::English, &console.organisation, console.time_zone, console.simulation)
}

#[derive(Debug, Serialize)]
struct LoadBody {
    name: String,
    unit: String,
    now: Option<f64>,
    /// The busiest hour of the last weeks: what all statements start from.
    largest: Option<f64>,
    /// What one tender that closes adds in its hour.
    tender_adds: Option<f64>,
    /// Why the measure cannot be used.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct HeadroomBody {
    /// `load` (reaches the threshold), `saturates` (no more is served beyond), `beyond` (more than can be said) or
    /// `none` (the threshold is reached without load).
    kind: &'static str,
    /// The load, for the first two.
    load: Option<f64>,
    /// The same as a multiple of the busiest hour; for `beyond` the multiple up to which it surely fits.
    factor: Option<f64>,
}

#[derive(Debug, Serialize)]
struct PartBody {
    id: String,
    pool: String,
    threshold_percent: f64,
    now_percent: Option<f64>,
    largest_percent: Option<f64>,
    load: Option<String>,
    /// `linear` or `scalability`; of disks it is the growth that is fitted.
    shape: Option<&'static str>,
    /// Share of its spread that the load foretells.
    explained: Option<f64>,
    growth_percent_per_day: Option<f64>,
    headroom: Option<HeadroomBody>,
    headroom_cautious: Option<HeadroomBody>,
    /// Why nothing is known.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct ServiceBody {
    #[serde(flatten)]
    entered: Entered,
    analysed_at_ms: Millis,
    load_figures: Vec<LoadBody>,
    part_figures: Vec<PartBody>,
}

fn headroom(figures: &LoadFigures, headroom: Headroom) -> HeadroomBody {
    let factor = |load: f64| figures.largest.filter(|largest| *largest > 0.0).map(|largest| load / largest);
    let (kind, load, factor) = match headroom {
        Headroom::Load(load) => ("load", Some(load), factor(load)),
        Headroom::Saturates(load) => ("saturates", Some(load), factor(load)),
        Headroom::Beyond(factor) => ("beyond", None, Some(factor)),
        Headroom::None => ("none", None, None),
    };
    HeadroomBody { kind, load, factor }
}

impl ServiceBody {
    fn new(analysed: &Analysed, page: &Page) -> Self {
        let why = |why: &Why| words::why(page, why);
        let load = |figures: &LoadFigures| LoadBody {
            name: figures.load.name.clone(),
            unit: figures.load.unit.clone(),
            now: figures.now,
            largest: figures.largest,
            tender_adds: figures.tender.as_ref().ok().map(|effect| effect.each),
            reason: figures.why.as_ref().map(why),
        };
        let part = |figures: &PartFigures| {
            let follows = figures.follows.as_ref().ok();
            let of = follows.and_then(|follows| analysed.loads.get(follows.load));
            let both = follows.zip(of);
            PartBody {
                id: figures.part.id(),
                pool: figures.part.pool.clone(),
                threshold_percent: figures.threshold_percent,
                now_percent: figures.now,
                largest_percent: figures.largest,
                load: of.map(|load| load.load.name.clone()),
                shape: follows.map(|follows| match follows.fit.shape {
                    LoadShape::Linear => "linear",
                    LoadShape::Scalability => "scalability",
                }),
                explained: follows.map(|follows| follows.fit.explained),
                growth_percent_per_day: follows.and_then(|follows| follows.growth_a_day(1.0)),
                headroom: both.map(|(follows, load)| headroom(load, follows.likely)),
                headroom_cautious: both.map(|(follows, load)| headroom(load, follows.cautious)),
                reason: figures.follows.as_ref().err().map(why),
            }
        };
        Self {
            entered: analysed.entered.clone(),
            analysed_at_ms: analysed.at_ms,
            load_figures: analysed.loads.iter().map(load).collect(),
            part_figures: analysed.parts.iter().map(part).collect(),
        }
    }
}

async fn list(Shared(app): Shared<App>) -> Result<Json<Vec<ServiceBody>>, ApiError> {
    let page = english(&app);
    let mut all = Vec::new();
    for entered in app.records.run(|db| capacity_services::list(db)).await? {
        all.push(ServiceBody::new(&*run::of(&app, entered).await?, &page));
    }
    Ok(Json(all))
}

/// Enters a service, after its queries were tried.
pub(super) async fn store(app: &App, service: Service, actor: String) -> Result<(), ApiError> {
    service.check().map_err(|(field, reason)| ApiError::bad_request(reason).at(field))?;
    let now = now_ms();
    let loads =
        service.loads.iter().enumerate().map(|(at, load)| (format!("loads[{at}].query"), &load.query));
    let parts =
        service.parts.iter().enumerate().map(|(at, part)| (format!("parts[{at}].query"), &part.query));
    for (field, query) in loads.chain(parts).filter(|(_, query)| !query.is_empty()) {
        let wrapped = format!("sum({query})");
        for text in [query.as_str(), &wrapped] {
            if let Err(error) = app.metrics.instant(text, now).await {
                return Err(ApiError::bad_request(error.to_string()).at(field));
            }
        }
    }
    let stored = app.records.run(move |db| {
        let known = capacity_services::get(db, &service.name)?.is_some();
        if !known && capacity_services::list(db)?.len() >= MAX_SERVICES {
            return Err(ApiError::conflict(format!("at most {MAX_SERVICES} services are kept")));
        }
        capacity_services::enter(db, &service, &actor, now)?;
        Ok(audit::add(db, now, &actor, "service.enter", &service.name, "")?)
    });
    stored.await
}

async fn enter(
    Shared(app): Shared<App>,
    Caller(principal): Caller,
    JsonBody(service): JsonBody<Service>,
) -> Result<Json<ServiceBody>, ApiError> {
    let name = service.name.clone();
    store(&app, service, principal.actor()).await?;
    let analysed = run::of(&app, find(&app, name).await?).await?;
    Ok(Json(ServiceBody::new(&analysed, &english(&app))))
}

/// Takes a service out.
pub(super) async fn take_out(app: &App, name: String, actor: String) -> Result<(), ApiError> {
    let done = app.records.run(move |db| {
        if !capacity_services::remove(db, &name)? {
            return Err(ApiError::not_found(format!("service {name}")));
        }
        Ok(audit::add(db, now_ms(), &actor, "service.delete", &name, "")?)
    });
    done.await
}

async fn remove(
    Shared(app): Shared<App>,
    Path(name): Path<String>,
    Caller(principal): Caller,
) -> Result<StatusCode, ApiError> {
    take_out(&app, name, principal.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A service by its name.
pub(super) async fn find(app: &App, name: String) -> Result<Entered, ApiError> {
    let wanted = name.clone();
    let found = app.records.run(move |db| capacity_services::get(db, &wanted)).await?;
    found.ok_or_else(|| ApiError::not_found(format!("service {name}")))
}

#[derive(Debug, Serialize)]
struct OutcomeBody {
    id: String,
    load: Option<String>,
    /// Load of the busiest hour, and what it would be.
    load_now: Option<f64>,
    load_then: Option<f64>,
    /// Use at these loads, percent; of disks the growth a day.
    used_now_percent: Option<f64>,
    used_then_percent: Option<f64>,
    /// What nine of ten hours would stay below.
    used_at_most_percent: Option<f64>,
    threshold_percent: f64,
    /// Of disks: days until the threshold; none is never.
    days_now: Option<f64>,
    days_then: Option<f64>,
    /// `fits`, `close` or `exceeded`.
    verdict: Option<&'static str>,
    /// Why there is no figure.
    reason: Option<String>,
}

impl OutcomeBody {
    fn new(
        page: &Page,
        analysed: &Analysed,
        part: &PartFigures,
        outcome: &Result<Outcome, NoOutcome>,
    ) -> Self {
        let known = outcome.as_ref().ok();
        let of = part.follows.as_ref().ok().and_then(|follows| analysed.loads.get(follows.load));
        let days = |at: usize| {
            known.and_then(|known| known.days).map(|days| days[at]).filter(|days| days.is_finite())
        };
        Self {
            id: part.part.id(),
            load: of.map(|load| load.load.name.clone()),
            load_now: known.map(|known| known.load[0]),
            load_then: known.map(|known| known.load[1]),
            used_now_percent: known.map(|known| known.used[0]),
            used_then_percent: known.map(|known| known.used[1]),
            used_at_most_percent: known.and_then(|known| known.at_most),
            threshold_percent: part.threshold_percent,
            days_now: days(0),
            days_then: days(1),
            verdict: known.map(|known| known.verdict.code()),
            reason: outcome.as_ref().err().map(|reason| words::no_outcome(page, reason)),
        }
    }
}

#[derive(Debug, Serialize)]
struct AnswerBody {
    service: String,
    analysed_at_ms: Millis,
    components: Vec<OutcomeBody>,
}

/// Answers a question about a service.
pub(super) fn answer(
    analysed: &Analysed,
    question: &WhatIf,
) -> Result<Vec<Result<Outcome, NoOutcome>>, ApiError> {
    let service = &analysed.entered.service;
    question.check(service).map_err(|(field, reason)| ApiError::bad_request(reason).at(field))?;
    Ok(what_if::answer(service, &analysed.loads, &analysed.parts, question))
}

async fn ask(
    Shared(app): Shared<App>,
    Path(name): Path<String>,
    JsonBody(question): JsonBody<WhatIf>,
) -> Result<Json<AnswerBody>, ApiError> {
    let analysed = run::of(&app, find(&app, name).await?).await?;
    let outcomes = answer(&analysed, &question)?;
    let page = english(&app);
    let components = analysed
        .parts
        .iter()
        .zip(&outcomes)
        .map(|(part, outcome)| OutcomeBody::new(&page, &analysed, part, outcome));
    Ok(Json(AnswerBody {
        service: analysed.name().to_owned(),
        analysed_at_ms: analysed.at_ms,
        components: components.collect(),
    }))
}
