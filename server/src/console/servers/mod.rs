//! Pages of the servers: all at a glance, and one with its charts.

mod charts;
mod detail;
mod figures;
mod state;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use super::page::{Page, PageError, Section, View, render};
use crate::access::Right;
use crate::app::App;
use crate::fleet::http::host_is_silent;
use crate::http::{ApiError, Routes};
use crate::records::hosts::{self, Host};
use crate::time::{Millis, now_ms};

pub(super) use charts::fleet_charts;
pub(super) use figures::{HostFigures, fleet_figures};
pub(super) use state::{HostState, Limits, host_state};

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/server", Right::ViewServers, "all servers at a glance", list)
        .page("/server/{instance}", Right::ViewServers, "one server with its charts", detail::show)
        .form(
            "/server/{instance}/pensiun",
            Right::ManageFleet,
            "take a server out of service",
            detail::retire,
        )
}

/// A figure against its limit, as a cell shows it.
pub(super) struct Cell {
    pub(super) text: String,
    /// Class of the badge; empty where the value is well below its limit.
    pub(super) class: &'static str,
}

impl Cell {
    fn new(page: &Page, value: Option<f64>, limit: f64) -> Self {
        match value {
            Some(value) => Self { text: page.percent(value), class: state::class_of(value, limit) },
            None => Self { text: "–".to_owned(), class: "" },
        }
    }
}

/// A row of the table of servers.
pub(super) struct HostRow {
    pub(super) instance: String,
    pub(super) state: HostState,
    pub(super) cpu: Cell,
    pub(super) memory: Cell,
    pub(super) filesystem: Cell,
    pub(super) mountpoint: String,
    pub(super) version: String,
    pub(super) heard: String,
    pub(super) heard_exactly: String,
}

/// Everything that the tables of servers show, from one reading of rows and figures.
pub(super) struct Fleet {
    pub(super) rows: Vec<HostRow>,
    /// Why some figures are missing.
    pub(super) failure: Option<String>,
}

impl Fleet {
    pub(super) async fn read(app: &App, page: &Page, now: Millis) -> Result<Self, ApiError> {
        let hosts = app.records.run(|db| hosts::list(db)).await?;
        let (figures, failure) = match fleet_figures(app, now).await {
            Ok(figures) => (figures, None),
            Err(error) => (BTreeMap::new(), Some(error.to_string())),
        };
        let limits = Limits::of(&app.config.current().capacity);
        let none = HostFigures::default();
        let rows = hosts
            .into_iter()
            .map(|host| {
                let own = figures.get(&host.instance).unwrap_or(&none);
                row(app, page, host, own, limits, now)
            })
            .collect();
        Ok(Self { rows, failure })
    }

    pub(super) fn count(&self, state: HostState) -> usize {
        self.rows.iter().filter(|row| row.state == state).count()
    }
}

fn row(app: &App, page: &Page, host: Host, figures: &HostFigures, limits: Limits, now: Millis) -> HostRow {
    let silent = host_is_silent(app, &host, now);
    let heard = app.presence.last_heard(&host);
    // What a silent host last said is history, not its state.
    let fullest = figures.fullest.as_ref().filter(|_| !silent);
    let current = |value: Option<f64>| value.filter(|_| !silent);
    HostRow {
        state: host_state(silent, figures, limits),
        cpu: Cell::new(page, current(figures.cpu_percent), limits.cpu),
        memory: Cell::new(page, current(figures.memory_percent), limits.memory),
        filesystem: Cell::new(page, fullest.map(|(_, percent)| *percent), limits.filesystem),
        mountpoint: fullest.map(|(mountpoint, _)| mountpoint.clone()).unwrap_or_default(),
        instance: host.instance,
        version: host.agent_version,
        heard: page.ago(heard, now),
        heard_exactly: page.datetime_seconds(heard),
    }
}

#[derive(Template)]
#[template(path = "servers/list.html")]
struct ListTemplate<'a> {
    page: &'a Page,
    fleet: Fleet,
    may_enrol: bool,
}

async fn list(State(app): State<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Servers);
    let fleet = Fleet::read(&app, &page, now_ms()).await.map_err(|e| PageError::new(&page, e))?;
    let template = ListTemplate { page: &page, fleet, may_enrol: page.may(Right::ManageFleet) };
    render(&template).map_err(|e| PageError::new(&page, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Language, TimeZoneName};

    #[test]
    fn the_table_of_servers_names_states_in_words() {
        let page = Page::detached(Language::Indonesian, "LPSE Contoh", TimeZoneName::default(), false);
        let row = |instance: &str, state, cpu| HostRow {
            instance: instance.to_owned(),
            state,
            cpu: Cell::new(&page, cpu, 85.0),
            memory: Cell::new(&page, Some(40.0), 90.0),
            filesystem: Cell::new(&page, Some(95.5), 90.0),
            mountpoint: "/data".to_owned(),
            version: "0.1.0".to_owned(),
            heard: "3 detik yang lalu".to_owned(),
            heard_exactly: "24 November 2026 pukul 14.00.00,000 WIB".to_owned(),
        };
        let fleet = Fleet {
            rows: vec![row("web", HostState::Critical, Some(78.0)), row("a/b ?", HostState::Silent, None)],
            failure: None,
        };
        let template = ListTemplate { page: &page, fleet, may_enrol: false };
        insta::assert_snapshot!(template.render().unwrap());
    }
}
