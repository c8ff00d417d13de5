//! Ringkasan: the office's state at a glance. Each block links to the page that says more.

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use super::page::{Page, PageError, Section, View, render};
use super::servers::{Fleet, HostState, fleet_charts};
use crate::access::Right;
use crate::app::App;
use crate::http::Routes;
use crate::time::now_ms;

pub(super) fn routes() -> Routes {
    Routes::new().page("/", Right::ViewServers, "the office's state at a glance", show)
}

/// A figure that leads on.
struct Card {
    href: &'static str,
    class: &'static str,
    label: String,
    figure: String,
    note: String,
}

#[derive(Template)]
#[template(path = "overview/overview.html")]
struct OverviewTemplate<'a> {
    page: &'a Page,
    cards: Vec<Card>,
    /// The servers that need a look.
    fleet: Fleet,
    hosts: usize,
    charts: Vec<String>,
    may_enrol: bool,
}

async fn show(State(app): State<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Overview);
    let now = now_ms();
    let mut fleet = Fleet::read(&app, &page, now).await.map_err(|e| PageError::new(&page, e))?;
    let charts = fleet_charts(&app, &page, now).await.unwrap_or_else(|error| {
        fleet.failure.get_or_insert_with(|| error.to_string());
        Vec::new()
    });
    let hosts = fleet.rows.len();
    let cards = vec![servers_card(&page, &fleet)];
    fleet.rows.retain(|row| row.state != HostState::Normal);
    let may_enrol = page.may(Right::ManageFleet);
    let template = OverviewTemplate { page: &page, cards, fleet, hosts, charts, may_enrol };
    render(&template).map_err(|e| PageError::new(&page, e))
}

fn servers_card(page: &Page, fleet: &Fleet) -> Card {
    let silent = fleet.count(HostState::Silent);
    let class = match (fleet.rows.len(), silent) {
        (0, _) => "unknown",
        (_, 0) => "ok",
        _ => "crit",
    };
    let note = if silent == 0 {
        page.t("overview.all_heard")
    } else {
        page.tv("overview.silent", &[("n", &silent.to_string())])
    };
    Card {
        href: "/server",
        class,
        label: page.t("overview.servers_heard"),
        figure: format!("{} / {}", fleet.rows.len() - silent, fleet.rows.len()),
        note: if fleet.rows.is_empty() { String::new() } else { note },
    }
}
