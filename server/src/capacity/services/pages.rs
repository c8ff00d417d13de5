//! `/kapasitas/layanan`: services, how much load each carries, and the form of what would be.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Form, Path, State as Shared};
use axum::response::{Html, Redirect};
use serde::Deserialize;

use super::analysis::PartFigures;
use super::definition::{Service, read_lines, write_lines};
use super::run::Analysed;
use super::what_if::{NoOutcome, Outcome, Verdict, WhatIf};
use super::{http, run, words};
use crate::access::Right;
use crate::app::App;
use crate::capacity::resource::ResourceKind;
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Params, Routes, encode_component};
use crate::records::capacity_services;

/// Bytes of a gibibyte, in which people add disks.
const GIB: f64 = (1_u64 << 30) as f64;

pub(in crate::capacity) fn routes() -> Routes {
    Routes::new()
        .page("/kapasitas/layanan", Right::ViewCapacity, "services and how much load they carry", list)
        .form("/kapasitas/layanan", Right::PlanCapacity, "enter a service", enter)
        .form("/kapasitas/layanan/hapus", Right::PlanCapacity, "take a service out", remove)
        .page("/kapasitas/layanan/{name}", Right::ViewCapacity, "a service, and what would be", show)
}

/// Address of a service's page.
fn address(name: &str) -> String {
    format!("/kapasitas/layanan/{}", encode_component(name))
}

/// A service in the list.
struct ServiceRow {
    name: String,
    address: String,
    owner: String,
    /// The component with the least headroom, and how much that is.
    tightest: Option<(String, String)>,
    parts: usize,
    known: usize,
}

impl ServiceRow {
    fn new(page: &Page, analysed: &Analysed) -> Self {
        let factor = |part: &PartFigures| -> Option<f64> {
            let follows = part.follows.as_ref().ok()?;
            let largest = analysed.loads.get(follows.load)?.largest?;
            Some(match follows.likely {
                siaga_forecast::Headroom::Load(load) | siaga_forecast::Headroom::Saturates(load) => {
                    load / largest
                }
                siaga_forecast::Headroom::Beyond(factor) => factor,
                siaga_forecast::Headroom::None => 0.0,
            })
        };
        let known: Vec<(f64, &PartFigures)> =
            analysed.parts.iter().filter_map(|part| Some((factor(part)?, part))).collect();
        let tightest = known.iter().min_by(|a, b| a.0.total_cmp(&b.0)).and_then(|(_, part)| {
            let follows = part.follows.as_ref().ok()?;
            let load = analysed.loads.get(follows.load)?;
            Some((words::part(page, part), words::headroom(page, load, follows.likely)))
        });
        Self {
            name: analysed.name().to_owned(),
            address: address(analysed.name()),
            owner: analysed.entered.service.owner.clone(),
            tightest,
            parts: analysed.parts.len(),
            known: known.len(),
        }
    }
}

/// What stands in the form.
#[derive(Debug, Default, Deserialize)]
struct ServiceForm {
    name: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    loads: String,
    #[serde(default)]
    parts: String,
}

#[derive(Template)]
#[template(path = "capacity/services.html")]
struct ListTemplate<'a> {
    page: &'a Page,
    rows: Vec<ServiceRow>,
    form: ServiceForm,
    /// What is wrong with what was entered.
    problem: Option<String>,
    may_plan: bool,
}

impl ListTemplate<'_> {
    fn known(&self, row: &ServiceRow) -> String {
        let (known, parts) = (row.known.to_string(), row.parts.to_string());
        self.page.tv("capacity.service.known_of", &[("known", &known), ("parts", &parts)])
    }
}

async fn listing(
    app: &App,
    page: &Page,
    form: ServiceForm,
    problem: Option<String>,
) -> Result<Html<String>, ApiError> {
    let mut rows = Vec::new();
    for entered in app.records.run(|db| capacity_services::list(db)).await? {
        rows.push(ServiceRow::new(page, &*run::of(app, entered).await?));
    }
    render(&ListTemplate { page, rows, form, problem, may_plan: page.may(Right::PlanCapacity) })
}

async fn list(Shared(app): Shared<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    listing(&app, &page, ServiceForm::default(), None).await.map_err(|error| PageError::new(&page, error))
}

/// Enters what the form holds; what is wrong is told above the form, which keeps what was typed.
async fn enter(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<ServiceForm>,
) -> Result<Result<Redirect, Html<String>>, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let problem = match read_lines(&form.loads, &form.parts) {
        Err(line) => Some(page.tv("capacity.service.bad_line", &[("line", &line.to_string())])),
        Ok((loads, parts)) => {
            let service = Service {
                name: form.name.trim().to_owned(),
                owner: form.owner.trim().to_owned(),
                loads,
                parts,
            };
            let target = address(&service.name);
            match http::store(&app, service, principal.actor()).await {
                Ok(()) => return Ok(Ok(Redirect::to(&target))),
                Err(error) if error.status().is_client_error() => {
                    Some(page.tv("capacity.service.refused", &[("message", error.message())]))
                }
                Err(error) => return Err(failed(error)),
            }
        }
    };
    Ok(Err(listing(&app, &page, form, problem).await.map_err(failed)?))
}

#[derive(Debug, Deserialize)]
struct NameForm {
    name: String,
}

async fn remove(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
    Form(form): Form<NameForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let done = http::take_out(&app, form.name, principal.actor()).await;
    done.map_err(|error| PageError::new(&page, error))?;
    Ok(Redirect::to("/kapasitas/layanan"))
}

/// A measure of load, worded.
struct LoadRow {
    name: String,
    now: String,
    largest: String,
    tender: String,
}

/// A component, worded.
struct PartRow {
    name: String,
    /// Address of its forecast.
    address: Option<String>,
    pool: String,
    threshold: String,
    now: String,
    load: String,
    shape: String,
    likely: String,
    cautious: String,
}

/// What would be of a component, worded.
struct OutcomeRow {
    name: String,
    load: String,
    used: String,
    at_most: String,
    threshold: String,
    badge: &'static str,
    verdict: String,
}

/// A field of the form of what would be.
struct Field {
    name: String,
    label: String,
    value: String,
    max: String,
}

#[derive(Template)]
#[template(path = "capacity/service.html")]
struct ShowTemplate<'a> {
    page: &'a Page,
    name: &'a str,
    owner: &'a str,
    made: String,
    loads: Vec<LoadRow>,
    parts: Vec<PartRow>,
    factor: String,
    tenders: String,
    pools: Vec<Field>,
    added: Vec<Field>,
    outcomes: Vec<OutcomeRow>,
    form: ServiceForm,
    may_plan: bool,
}

impl ShowTemplate<'_> {
    /// Whether something is added, so that the fields are to be seen.
    fn adds(&self) -> bool {
        self.added.iter().any(|field| !field.value.is_empty())
    }
}

/// Reads the question of the form: `faktor`, `tender`, `kurang.POOL`, `tambah.COMPONENT` (GiB for filesystems).
fn question(analysed: &Analysed, asked: &BTreeMap<String, String>) -> Result<WhatIf, ApiError> {
    let number = |name: &str, text: &str| {
        text.trim()
            .replace(',', ".")
            .parse::<f64>()
            .map_err(|_| ApiError::bad_request("a number is wanted").at(name.to_owned()))
    };
    let mut question = WhatIf::default();
    for (name, text) in asked.iter().filter(|(_, text)| !text.trim().is_empty()) {
        if name == "faktor" {
            question.load_factor = number(name, text)?;
        } else if name == "tender" {
            question.tenders = whole(number(name, text)?, name)?;
        } else if let Some(pool) = name.strip_prefix("kurang.") {
            let less = whole(number(name, text)?, name)?;
            if less > 0 {
                question.servers_less.insert(pool.to_owned(), less);
            }
        } else if let Some(id) = name.strip_prefix("tambah.") {
            let part = analysed.parts.iter().find(|part| part.part.id() == id);
            let bytes = part.is_some_and(is_filesystem);
            question.added.insert(id.to_owned(), number(name, text)? * if bytes { GIB } else { 1.0 });
        }
    }
    Ok(question)
}

fn whole(number: f64, name: &str) -> Result<u32, ApiError> {
    if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and fits")]
        return Ok(number as u32);
    }
    Err(ApiError::bad_request("a whole number is wanted").at(name.to_owned()))
}

fn is_filesystem(part: &PartFigures) -> bool {
    part.part.key().is_some_and(|key| key.kind == ResourceKind::Filesystem)
}

async fn show(
    Shared(app): Shared<App>,
    Path(name): Path<String>,
    view: View,
    Params(asked): Params<BTreeMap<String, String>>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let entered = http::find(&app, name).await.map_err(failed)?;
    let analysed = run::of(&app, entered).await.map_err(failed)?;
    let question = question(&analysed, &asked).map_err(failed)?;
    let outcomes = http::answer(&analysed, &question).map_err(failed)?;
    let service = &analysed.entered.service;
    let (loads, parts) = write_lines(service);
    let value = |name: &str| asked.get(name).cloned().unwrap_or_default();
    let template = ShowTemplate {
        page: &page,
        name: &service.name,
        owner: &service.owner,
        made: page.datetime(analysed.at_ms),
        loads: analysed.loads.iter().map(|load| load_row(&page, load)).collect(),
        parts: analysed.parts.iter().map(|part| part_row(&page, &analysed, part)).collect(),
        factor: if value("faktor").is_empty() { "1".to_owned() } else { value("faktor") },
        tenders: value("tender"),
        pools: service
            .pools()
            .into_iter()
            .map(|pool| Field {
                name: format!("kurang.{pool}"),
                label: pool.to_owned(),
                value: value(&format!("kurang.{pool}")),
                max: (service.pool_size(pool) - 1).to_string(),
            })
            .collect(),
        added: analysed
            .parts
            .iter()
            .map(|part| {
                let unit = if is_filesystem(part) { "GiB" } else { unit(part) };
                let name = format!("tambah.{}", part.part.id());
                Field {
                    label: format!("{} ({unit})", words::part(&page, part)),
                    value: value(&name),
                    max: String::new(),
                    name,
                }
            })
            .collect(),
        outcomes: analysed
            .parts
            .iter()
            .zip(&outcomes)
            .map(|(part, outcome)| outcome_row(&page, &analysed, part, outcome))
            .collect(),
        form: ServiceForm { name: service.name.clone(), owner: service.owner.clone(), loads, parts },
        may_plan: page.may(Right::PlanCapacity),
    };
    render(&template).map_err(failed)
}

fn unit(part: &PartFigures) -> &str {
    if part.part.query.is_empty() { "%" } else { &part.part.unit }
}

fn load_row(page: &Page, load: &super::analysis::LoadFigures) -> LoadRow {
    let or_none = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| words::load(page, load, v));
    LoadRow {
        name: load.load.name.clone(),
        now: match &load.why {
            Some(why) => words::why(page, why),
            None => or_none(load.now),
        },
        largest: or_none(load.largest),
        tender: match &load.tender {
            Ok(_) if load.load.query.is_empty() => "–".to_owned(),
            Ok(effect) => format!("+{}", words::load(page, load, effect.each)),
            Err(why) => words::why(page, why),
        },
    }
}

fn percent(page: &Page, value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| page.percent(value))
}

fn part_row(page: &Page, analysed: &Analysed, part: &PartFigures) -> PartRow {
    let known =
        part.follows.as_ref().ok().and_then(|follows| Some((follows, analysed.loads.get(follows.load)?)));
    let dash = || "–".to_owned();
    PartRow {
        name: words::part(page, part),
        address: part.part.key().map(|key| crate::capacity::views::address(&key)),
        pool: part.part.pool.clone(),
        threshold: page.percent(part.threshold_percent),
        now: percent(page, part.now),
        load: known.map_or_else(dash, |(_, load)| load.load.name.clone()),
        shape: match &part.follows {
            Ok(follows) => words::shape(page, follows),
            Err(why) => words::why(page, why),
        },
        likely: known.map_or_else(dash, |(follows, load)| words::headroom(page, load, follows.likely)),
        cautious: known.map_or_else(dash, |(follows, load)| words::headroom(page, load, follows.cautious)),
    }
}

fn outcome_row(
    page: &Page,
    analysed: &Analysed,
    part: &PartFigures,
    outcome: &Result<Outcome, NoOutcome>,
) -> OutcomeRow {
    let name = words::part(page, part);
    let threshold = page.percent(part.threshold_percent);
    let known = part.follows.as_ref().ok().and_then(|follows| analysed.loads.get(follows.load));
    let (Ok(outcome), Some(load)) = (outcome, known) else {
        let why = outcome.as_ref().err().map(|reason| words::no_outcome(page, reason)).unwrap_or_default();
        let dash = || "–".to_owned();
        return OutcomeRow {
            name,
            load: dash(),
            used: dash(),
            at_most: dash(),
            threshold,
            badge: "unknown",
            verdict: why,
        };
    };
    let arrow = |before: String, after: String| format!("{before} → {after}");
    let days = |days: f64| match days {
        days if days > 365.0 => page.t("capacity.not_within_a_year"),
        days => page.tv("capacity.service.days", &[("n", &page.number(days, 0))]),
    };
    let a_day = |percent: f64| page.tv("capacity.growth_value", &[("n", &page.number(percent, 2))]);
    let badge = match outcome.verdict {
        Verdict::Exceeded => "crit",
        Verdict::Close => "warn",
        Verdict::Fits => "ok",
    };
    let stock = outcome.days.is_some();
    OutcomeRow {
        name,
        load: arrow(words::load(page, load, outcome.load[0]), words::load(page, load, outcome.load[1])),
        used: if stock {
            arrow(a_day(outcome.used[0]), a_day(outcome.used[1]))
        } else {
            arrow(page.percent(outcome.used[0]), page.percent(outcome.used[1]))
        },
        at_most: match outcome.days {
            Some([before, after]) => arrow(days(before), days(after)),
            None => percent(page, outcome.at_most),
        },
        threshold,
        badge,
        verdict: page.t(&format!(
            "capacity.service.verdict.{}{}",
            outcome.verdict.code(),
            if stock { "_stock" } else { "" }
        )),
    }
}
