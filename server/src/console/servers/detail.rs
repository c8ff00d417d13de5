//! The page of one server.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{Html, Redirect};
use serde::Deserialize;

use super::charts::{Charts, Stretch};
use super::figures::{quoted, single};
use super::{HostState, Limits, fleet_figures, host_state};
use crate::access::Right;
use crate::app::App;
use crate::console::overview::{BlockRow, incident_row};
use crate::console::page::{Page, PageError, Section, View, render};
use crate::continuity::drill_link;
use crate::discovery::pages::{ServiceRow, rows};
use crate::discovery::{self, Service};
use crate::fleet::http::{host_is_silent, wrong_clock};
use crate::fleet::{self, HostClock, RetireError};
use crate::http::{ApiError, Caller};
use crate::metrics::QueryError;
use crate::records::hosts::{self, Host};
use crate::records::incidents::{self, Filter, StateFilter};
use crate::records::{RecordsError, assets};
use crate::time::{Millis, SECOND_MS, now_ms};

#[derive(Debug, Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    rentang: String,
}

/// A stretch of time as a link.
struct Tab {
    code: &'static str,
    label: String,
    current: bool,
}

/// What the agent itself costs its host.
#[derive(Default)]
struct AgentCost {
    cpu_percent: Option<f64>,
    memory_bytes: Option<f64>,
    collect_seconds: Option<f64>,
    spool_bytes: Option<f64>,
}

#[derive(Template)]
#[template(path = "servers/detail.html")]
struct DetailTemplate<'a> {
    page: &'a Page,
    host: &'a Host,
    state: HostState,
    /// Key of the name, and the text.
    facts: Vec<(&'static str, String)>,
    tabs: Vec<Tab>,
    charts: Vec<String>,
    failure: Option<String>,
    incidents: Vec<BlockRow>,
    /// What its agent found.
    services: Vec<ServiceRow>,
    /// Code of its asset.
    asset: Option<String>,
    may_retire: bool,
}

pub(super) async fn show(
    State(app): State<App>,
    view: View,
    Path(instance): Path<String>,
    Query(choice): Query<Choice>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Servers);
    let failed = |error: ApiError| PageError::new(&page, error);
    let wanted = instance.clone();
    let host =
        app.records.run(move |db| hosts::by_instance(db, &wanted)).await.map_err(|e| failed(e.into()))?;
    let host = host.ok_or_else(|| failed(ApiError::not_found(format!("server {instance}"))))?;
    let now = now_ms();
    let stretch = match Stretch::from_code(&choice.rentang) {
        Some(chosen) => chosen,
        None => Stretch::fitting(&app, &host.instance, now).await,
    };
    let limits = Limits::of(&app.config.current().capacity);
    let (figures, charts, agent, failure) = match measured(&app, &page, &host, stretch, limits, now).await {
        Ok((figures, charts, agent)) => (figures, charts, agent, None),
        Err(error) => (None, Vec::new(), AgentCost::default(), Some(error.to_string())),
    };
    let silent = host_is_silent(&app, &host, now);
    // What a silent agent cost when it was last heard is no news.
    let agent = if silent { AgentCost::default() } else { agent };
    let Related { incidents, asset, services } =
        related(&app, &page, &host, now).await.map_err(|e| failed(e.into()))?;
    let template = DetailTemplate {
        page: &page,
        state: host_state(silent, &figures.unwrap_or_default(), limits),
        facts: facts(
            &page,
            &host,
            app.presence.last_heard(&host),
            wrong_clock(&app, &host, now),
            &agent,
            now,
        ),
        host: &host,
        tabs: tabs(&page, stretch),
        charts,
        failure,
        incidents,
        services: rows(&page, services),
        asset,
        may_retire: page.may(Right::ManageFleet),
    };
    render(&template).map_err(failed)
}

/// Open incidents shown beside the charts.
const MAX_INCIDENTS: u32 = 10;

/// What the page shows beside the charts.
struct Related {
    incidents: Vec<BlockRow>,
    asset: Option<String>,
    services: Vec<Service>,
}

/// Open incidents of the server, the code of its asset, and its services.
async fn related(app: &App, page: &Page, host: &Host, now: Millis) -> Result<Related, RecordsError> {
    let (id, instance) = (host.id.clone(), host.instance.clone());
    let (open, asset, services) = app
        .records
        .run(move |db| {
            let filter =
                Filter { state: Some(StateFilter::Open), instance: Some(instance), ..Filter::default() };
            Ok::<_, RecordsError>((
                incidents::queue(db, &filter, MAX_INCIDENTS, 0)?,
                assets::by_host(db, &id)?,
                discovery::services(db, &id, now)?,
            ))
        })
        .await?;
    let rows = open.iter().map(|incident| {
        // The page is about one server: its name says nothing new in a row.
        let note = page.duration_exact(now - incident.started_at_ms);
        BlockRow { note, ..incident_row(page, incident, now) }
    });
    Ok(Related { incidents: rows.collect(), asset: asset.map(|asset| asset.code), services })
}

fn facts(
    page: &Page,
    host: &Host,
    heard: Millis,
    clock: Option<HostClock>,
    agent: &AgentCost,
    now: Millis,
) -> Vec<(&'static str, String)> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let mut facts = vec![
        ("servers.hostname", host.hostname.clone()),
        ("servers.heard", format!("{} ({})", page.ago(heard, now), page.datetime_seconds(heard))),
        ("servers.enrolled", page.datetime(host.enrolled_at_ms)),
        ("servers.agent", host.agent_version.clone()),
        ("servers.running_since", or_dash(host.started_at_ms.map(|at| page.datetime(at)))),
        ("servers.interval", page.duration(i64::from(host.interval_seconds) * SECOND_MS)),
        ("servers.agent_cpu", or_dash(agent.cpu_percent.map(|value| format!("{}%", page.number(value, 2))))),
        ("servers.agent_memory", or_dash(agent.memory_bytes.map(|value| page.bytes(value)))),
        (
            "servers.agent_collect",
            or_dash(agent.collect_seconds.map(|value| format!("{} ms", page.number(value * 1_000.0, 1)))),
        ),
        ("servers.agent_spool", or_dash(agent.spool_bytes.map(|value| page.bytes(value)))),
    ];
    if let Some(clock) = clock {
        facts.insert(2, ("servers.clock", clock_text(page, clock)));
    }
    facts
}

fn clock_text(page: &Page, clock: HostClock) -> String {
    let (difference, time) =
        (page.duration_exact(clock.difference_ms.abs()), page.datetime_seconds(clock.since_ms));
    let key = if clock.difference_ms < 0 { "servers.clock_behind" } else { "servers.clock_ahead" };
    page.tv(key, &[("difference", &difference), ("time", &time)])
}

fn tabs(page: &Page, current: Stretch) -> Vec<Tab> {
    Stretch::ALL
        .into_iter()
        .map(|stretch| Tab {
            code: stretch.code(),
            label: page.duration(stretch.length_ms()),
            current: stretch == current,
        })
        .collect()
}

type Measured = (Option<super::HostFigures>, Vec<String>, AgentCost);

async fn measured(
    app: &App,
    page: &Page,
    host: &Host,
    stretch: Stretch,
    limits: Limits,
    now: Millis,
) -> Result<Measured, QueryError> {
    let instance = &host.instance;
    let charts = Charts { app, page, instance, interval_seconds: host.interval_seconds, stretch, now };
    let of = format!("{{instance={}}}", quoted(instance));
    let window = format!("[{}s]", (host.interval_seconds * 4).max(120));
    let cpu = format!("100 * sum(rate(siaga_agent_cpu_seconds_total{of}{window}))");
    let memory = format!("max(siaga_agent_resident_memory_bytes{of})");
    let collect = format!("max(siaga_agent_collection_duration_seconds{of})");
    let spool = format!("max(siaga_agent_spool_bytes{of})");
    let (mut figures, charts, cpu, memory, collect, spool) = tokio::try_join!(
        fleet_figures(app, now),
        charts.render(limits),
        single(app, &cpu, now),
        single(app, &memory, now),
        single(app, &collect, now),
        single(app, &spool, now),
    )?;
    let agent =
        AgentCost { cpu_percent: cpu, memory_bytes: memory, collect_seconds: collect, spool_bytes: spool };
    Ok((figures.remove(instance), charts, agent))
}

/// Takes a server out of service.
pub(super) async fn retire(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(instance): Path<String>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Servers);
    if let Err(error) = fleet::retire(&app, &instance, &principal.actor()).await {
        let link = match &error {
            RetireError::InDrill(drill) => Some(drill_link(&page, drill)),
            _ => None,
        };
        let shown = PageError::new(&page, error);
        return Err(match link {
            Some(link) => shown.saying(page.t("servers.retire_in_drill"), link),
            None => shown,
        });
    }
    Ok(Redirect::to("/server"))
}
