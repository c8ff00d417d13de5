//! Services on the page of a server: what was found, how it would be watched, and the buttons.

use axum::extract::{Form, Path, State};
use axum::response::Redirect;
use serde::Deserialize;
use siaga_protocol::inventory::Listener;

use super::state::{Decision, Service, ServiceState};
use super::{decide, kind_name};
use crate::access::Right;
use crate::app::App;
use crate::console::{Page, PageError, Section, View};
use crate::http::{ApiError, Caller, encode_component};

/// A service as a row.
pub struct ServiceRow {
    /// Identifier.
    pub id: String,
    /// What it is.
    pub name: String,
    /// Where it listens, and who holds it.
    pub facts: String,
    /// Class of the badge.
    pub class: &'static str,
    /// Where it stands.
    pub state: String,
    /// Who decided and when, or why the agent did not do it.
    pub note: String,
    /// Piece of configuration.
    pub config: String,
    /// What people should see to.
    pub needs: Vec<String>,
    /// Code, words and class of the buttons.
    pub choices: Vec<(&'static str, String, &'static str)>,
}

/// Rows for a page, what wants a decision first.
#[must_use]
pub fn rows(page: &Page, services: Vec<Service>) -> Vec<ServiceRow> {
    let mut services = services;
    services.sort_by_key(|service| match service.state {
        ServiceState::Refused | ServiceState::Unanswered | ServiceState::Waiting => 0,
        ServiceState::Proposed => 1,
        ServiceState::Watched | ServiceState::Configured => 2,
        ServiceState::Known => 3,
        ServiceState::Dismissed => 4,
    });
    services.into_iter().map(|service| row(page, service)).collect()
}

fn row(page: &Page, service: Service) -> ServiceRow {
    let may = page.may(Right::ManageFleet);
    let choice = |decision: &Decision| {
        let class = if *decision == Decision::Watch { "" } else { "second" };
        (decision.code(), page.t(&format!("discovery.do.{}", decision.code())), class)
    };
    let proposal = service.listener.as_ref().and_then(|listener| listener.proposal.as_ref());
    // What is watched, or of no interest, needs no advice.
    let is_open = !matches!(service.state, ServiceState::Configured | ServiceState::Dismissed);
    let need = |code: &String| page.t_or(&format!("discovery.need.{code}"), code);
    let needs = proposal.filter(|_| is_open).map(|proposal| proposal.needs.iter().map(need).collect());
    ServiceRow {
        name: name(page, &service),
        facts: service.listener.as_ref().map_or_else(|| page.t("discovery.gone"), facts),
        class: match service.state {
            ServiceState::Watched | ServiceState::Configured => "ok",
            ServiceState::Waiting | ServiceState::Refused | ServiceState::Unanswered => "warn",
            ServiceState::Proposed => "info",
            ServiceState::Dismissed | ServiceState::Known => "unknown",
        },
        state: page.t(&format!("discovery.state.{}", service.state.code())),
        note: note(page, &service),
        config: proposal.map(|proposal| proposal.config.clone()).unwrap_or_default(),
        needs: needs.unwrap_or_default(),
        choices: if may { service.choices.iter().map(choice).collect() } else { Vec::new() },
        id: service.id,
    }
}

fn name(page: &Page, service: &Service) -> String {
    match &service.listener {
        Some(listener) => format!("{} :{}", kind_name(page, &listener.kind), listener.port),
        None => match service.id.rsplit_once('-') {
            Some((kind, port)) => format!("{} :{port}", kind_name(page, kind)),
            None => service.id.clone(),
        },
    }
}

fn facts(listener: &Listener) -> String {
    let held_by = [&listener.process, &listener.user, &listener.banner];
    let addresses = listener.addresses.join(", ");
    let texts = std::iter::once(&addresses).chain(held_by).filter(|text| !text.is_empty());
    texts.map(String::as_str).collect::<Vec<_>>().join(" · ")
}

fn note(page: &Page, service: &Service) -> String {
    if !service.reason.is_empty() {
        return service.reason.clone();
    }
    let Some(at) = service.decided_at_ms else { return String::new() };
    let (who, when) = (page.actor(&service.decided_by), page.datetime_short(at));
    page.tv("discovery.decided", &[("who", &who), ("when", &when)])
}

#[derive(Debug, Deserialize)]
pub(super) struct DecisionForm {
    service: String,
    decision: Decision,
}

pub(super) async fn decide_form(
    State(app): State<App>,
    view: View,
    Caller(principal): Caller,
    Path(instance): Path<String>,
    Form(form): Form<DecisionForm>,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Servers);
    decide(&app, &instance, &form.service, form.decision, &principal.actor())
        .await
        .map_err(|error| PageError::new(&page, ApiError::from(error)))?;
    Ok(Redirect::to(&format!("/server/{}#layanan", encode_component(&instance))))
}
