//! Ringkasan: the office's state at a glance. Each block links to the page that says more.

mod blocks;

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use blocks::{Block, Card};
pub(super) use blocks::{BlockRow, incident_row};

use super::page::{Page, PageError, Section, View, render};
use super::servers::{Fleet, HostState, fleet_charts};
use crate::access::Right;
use crate::app::App;
use crate::http::{ApiError, Routes};
use crate::time::{Millis, now_ms};

pub(super) fn routes() -> Routes {
    Routes::new().page("/", Right::ViewServers, "the office's state at a glance", show)
}

#[derive(Template)]
#[template(path = "overview/overview.html")]
struct OverviewTemplate<'a> {
    page: &'a Page,
    cards: Vec<Card>,
    blocks: Vec<Block>,
    /// The servers that need a look.
    fleet: Fleet,
    hosts: usize,
    charts: Vec<String>,
    may_enrol: bool,
}

async fn show(State(app): State<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Overview);
    let html = async { render(&overview(&app, &page, now_ms()).await?) };
    html.await.map_err(|e: ApiError| PageError::new(&page, e))
}

async fn overview<'a>(app: &App, page: &'a Page, now: Millis) -> Result<OverviewTemplate<'a>, ApiError> {
    let mut fleet = Fleet::read(app, page, now).await?;
    let charts = fleet_charts(app, page, now).await.unwrap_or_else(|error| {
        fleet.failure.get_or_insert_with(|| error.to_string());
        Vec::new()
    });
    let mut cards = vec![blocks::servers(page, &fleet)];
    let mut blocks = Vec::new();
    let pairs = [
        blocks::incidents(app, page, now).await?,
        blocks::capacity(app, page, now).await?,
        blocks::continuity(app, page, now).await?,
    ];
    for (card, block) in pairs {
        cards.push(card);
        blocks.push(block);
    }
    let hosts = fleet.rows.len();
    fleet.rows.retain(|row| row.state != HostState::Normal);
    Ok(OverviewTemplate {
        page,
        cards,
        blocks,
        fleet,
        hosts,
        charts,
        may_enrol: page.may(Right::ManageFleet),
    })
}
