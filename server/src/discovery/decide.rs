//! Puts decisions on the rows and sends their orders, all within one transaction.

use std::collections::BTreeMap;

use siaga_protocol::inventory::{Inventory, Listener};
use siaga_protocol::orders::{Order, OrderKind};

use super::state::{Decided, Decision, Service, order_again};
use crate::access::new_id;
use crate::app::App;
use crate::fleet::orders::{SendError, announce, put_down};
use crate::records::hosts::{self, Host};
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, assets, audit, service_decisions};
use crate::time::{Millis, SECOND_MS, now_ms};

/// How long an agent that is away may take to hear of a decision.
const ORDER_VALID_MS: Millis = 7 * 24 * 3_600 * SECOND_MS;

/// Why a decision does not stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecideError {
    /// No such host is in service.
    #[error("host {0} does not exist")]
    UnknownHost(String),
    /// Its agent has found no such service.
    #[error("the agent of this host has found no service {0}")]
    UnknownService(String),
    /// Not now.
    #[error("this cannot be decided now, the service is {0}")]
    NotNow(&'static str),
    /// The order cannot be sent.
    #[error("cannot order the agent to do it")]
    Send(#[from] SendError),
    /// The records cannot be read or written.
    #[error("cannot put down the decision")]
    Records(#[from] RecordsError),
}

/// All services of a host, by port as found, then those that only a decision remembers.
///
/// # Errors
/// If the records fail.
pub fn services(db: &Connection, host_id: &str, now_ms: Millis) -> Result<Vec<Service>, RecordsError> {
    let seen = match assets::by_host(db, host_id)? {
        Some(asset) => assets::facts(db, asset.id)?,
        None => None,
    };
    let mut decided: BTreeMap<String, Decided> = service_decisions::of_host(db, host_id)?
        .into_iter()
        .map(|decided| (decided.service_id.clone(), decided))
        .collect();
    let mut services = Vec::new();
    for listener in seen.and_then(|seen| seen.listeners).unwrap_or_default() {
        let decided = decided.remove(&listener.id);
        services.extend(Service::new(Some(listener), decided.as_ref(), now_ms));
    }
    services.extend(decided.values().filter_map(|decided| Service::new(None, Some(decided), now_ms)));
    Ok(services)
}

/// Puts down what `actor` decides on a service of a host, and sends the order if it needs one.
///
/// # Errors
/// See [`DecideError`]; nothing is changed then.
pub async fn decide(
    app: &App,
    instance: &str,
    service_id: &str,
    decision: Decision,
    actor: &str,
) -> Result<(), DecideError> {
    let (instance, id, actor) = (instance.to_owned(), service_id.to_owned(), actor.to_owned());
    let sender = app.clone();
    app.records
        .run(move |db| {
            let now = now_ms();
            let host = hosts::by_instance(db, &instance)?.ok_or(DecideError::UnknownHost(instance))?;
            let found = services(db, &host.id, now)?.into_iter().find(|service| service.id == id);
            let service = found.ok_or_else(|| DecideError::UnknownService(id.clone()))?;
            if !service.choices.contains(&decision) {
                return Err(DecideError::NotNow(service.state.code()));
            }
            put(&sender, db, &host, &id, decision, &actor, now)?;
            audit::add(db, now, &actor, decision.audited_as(), &host.id, &id)?;
            Ok(())
        })
        .await?;
    announce(app);
    Ok(())
}

fn put(
    app: &App,
    db: &Connection,
    host: &Host,
    service_id: &str,
    decision: Decision,
    actor: &str,
    now: Millis,
) -> Result<(), DecideError> {
    if decision == Decision::Propose {
        return Ok(service_decisions::remove(db, &host.id, service_id)?);
    }
    let order_id = match decision.order() {
        Some(kind) => Some(send(app, db, &host.id, service_id, kind, now)?),
        None => None,
    };
    Ok(service_decisions::set(db, &host.id, service_id, decision, order_id.as_deref(), actor, now)?)
}

/// Agents tell a later order from an earlier one by its end.
fn send(
    app: &App,
    db: &Connection,
    host_id: &str,
    service_id: &str,
    kind: OrderKind,
    now: Millis,
) -> Result<String, DecideError> {
    let before = service_decisions::latest_expiry(db, host_id, service_id)?.unwrap_or(0);
    let order = Order {
        id: new_id(),
        host_id: host_id.to_owned(),
        drill_id: String::new(),
        action: service_id.to_owned(),
        kind,
        expires_at_ms: (now + ORDER_VALID_MS).max(before + 1),
        undo_at_ms: None,
    };
    put_down(app, db, &order, now)?;
    Ok(order.id)
}

/// Orders again what an agent, by what it reports, does not do (any more). Works within the caller's transaction; says
/// whether there is an order to [`announce`].
///
/// # Errors
/// If the records fail or an order cannot be signed.
pub fn repair(
    app: &App,
    db: &Connection,
    host_id: &str,
    reported: &Inventory,
    now: Millis,
) -> Result<bool, DecideError> {
    let Some(listeners) = &reported.listeners else { return Ok(false) };
    let listeners: BTreeMap<&str, &Listener> = listeners.iter().map(|l| (l.id.as_str(), l)).collect();
    let mut any = false;
    for decided in service_decisions::of_host(db, host_id)? {
        let Some(listener) = listeners.get(decided.service_id.as_str()) else { continue };
        let Some(kind) = order_again(listener, &decided, now) else { continue };
        let order_id = send(app, db, host_id, &decided.service_id, kind, now)?;
        let (id, decision) = (&decided.service_id, decided.decision);
        service_decisions::set(db, host_id, id, decision, Some(&order_id), &decided.by, decided.at_ms)?;
        any = true;
    }
    Ok(any)
}
