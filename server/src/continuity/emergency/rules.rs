//! What may be declared, noted, told and lifted; each change in one transaction.

use serde::Deserialize;

use super::refresh;
use crate::access::new_id;
use crate::app::App;
use crate::config::{MailAddress, Recipient};
use crate::console::Page;
use crate::continuity::begin::library;
use crate::continuity::plan::{Plan, Unit};
use crate::http::ApiError;
use crate::records::disruptions::{self, Disruption, Entry, Notice};
use crate::records::rusqlite::Connection;
use crate::records::{Result as RecordsResult, audit};
use crate::reports::mail::{self, Message};
use crate::time::{Millis, millis, now_ms};

/// Longest text, characters.
const MAX_TEXT: usize = 4_000;
/// Entries of one disruption.
const MAX_ENTRIES: usize = 2_000;
/// Emergencies that are declared at once.
const MAX_OPEN: usize = 20;

/// What is declared.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclareBody {
    /// Plan whose service it is, whose units are told and whose steps become tasks.
    #[serde(default)]
    pub(super) plan: Option<String>,
    /// Service, without a plan.
    #[serde(default)]
    pub(super) service: Option<String>,
    /// Its domain and addresses.
    #[serde(default)]
    pub(super) address: String,
    /// What is the matter (bentuk gangguan).
    pub(super) form: String,
    /// Who reported it, and when.
    pub(super) reporter: String,
    /// When it was reported.
    pub(super) reported_at_ms: Millis,
    /// When it began.
    pub(super) began_at_ms: Millis,
    /// What the analysis says.
    pub(super) analysis: String,
    /// On what ground it is declared.
    pub(super) basis: String,
}

/// That the service is back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecoveredBody {
    /// When.
    pub(super) at_ms: Millis,
    /// Up to when the data are there; without it, nothing was lost.
    #[serde(default)]
    pub(super) data_until_ms: Option<Millis>,
    /// Cause.
    pub(super) cause: String,
    /// What it brought about.
    pub(super) effect: String,
}

fn text(field: &str, text: &str, needed: bool) -> Result<String, ApiError> {
    let text = text.trim();
    if (needed && text.is_empty()) || text.chars().count() > MAX_TEXT {
        return Err(ApiError::bad_request(format!("is empty or longer than {MAX_TEXT} characters")).at(field));
    }
    Ok(text.to_owned())
}

/// Declares an emergency; gives its identifier.
pub(super) async fn declare(app: &App, who: &str, body: DeclareBody) -> Result<String, ApiError> {
    let now = now_ms();
    let library = library(app).await?;
    let plan: Option<Plan> = match &body.plan {
        None => None,
        Some(id) => {
            let found = library.get(id).ok_or_else(|| ApiError::bad_request("no such plan").at("plan"))?;
            Some(found.0.clone())
        }
    };
    let service = match (&plan, &body.service) {
        (_, Some(service)) => text("service", service, true)?,
        (Some(plan), None) => plan.service.clone(),
        (None, None) => return Err(ApiError::bad_request("state a plan or a service").at("service")),
    };
    for (field, at_ms) in [("reported_at_ms", body.reported_at_ms), ("began_at_ms", body.began_at_ms)] {
        if at_ms <= 0 || at_ms > now {
            return Err(ApiError::bad_request("lies in the future, or is no time").at(field));
        }
    }
    let new = Disruption {
        id: new_id(),
        plan_id: body.plan.clone(),
        service,
        address: text("address", &body.address, false)?,
        form: text("form", &body.form, true)?,
        reporter: text("reporter", &body.reporter, true)?,
        reported_at_ms: body.reported_at_ms,
        analysis: text("analysis", &body.analysis, true)?,
        basis: text("basis", &body.basis, true)?,
        began_at_ms: body.began_at_ms,
        declared_by: who.to_owned(),
        declared_at_ms: now,
        rto_target_ms: plan.as_ref().map(|plan| millis(plan.rto)),
        rpo_target_ms: plan.as_ref().and_then(|plan| plan.rpo).map(millis),
        ..Disruption::default()
    };
    let (id, told) = (new.id.clone(), app.clone());
    app.records
        .run(move |db| {
            if disruptions::open(db)?.len() >= MAX_OPEN {
                return Err(ApiError::conflict(format!("{MAX_OPEN} emergencies are declared already")));
            }
            disruptions::insert(db, &new)?;
            audit::add(db, now, &new.declared_by, "emergency.declare", &new.id, &new.form)?;
            for step in plan.iter().flat_map(|plan| &plan.steps) {
                let task = Entry {
                    at_ms: now,
                    actor: new.declared_by.clone(),
                    kind: "task".to_owned(),
                    words: step.name.clone(),
                    ..Entry::default()
                };
                disruptions::add_entry(db, &new.id, &task)?;
            }
            let units = plan.as_ref().map_or(&[][..], |plan| plan.units.as_slice());
            Ok::<_, ApiError>(tell(&told, db, units, &new, "declared", now)?)
        })
        .await?;
    refresh(app).await?;
    Ok(id)
}

/// Queues what each unit is to be told.
fn tell(
    app: &App,
    db: &Connection,
    units: &[Unit],
    one: &Disruption,
    event: &str,
    now: Millis,
) -> RecordsResult<()> {
    let config = app.config.current();
    let console = &config.console;
    let page = Page::detached(
        console.language,
        &console.organisation,
        console.time_zone.clone(),
        console.simulation,
    );
    for unit in units {
        if let Some(address) = unit.email.as_ref().and_then(|email| email.parse::<MailAddress>().ok()) {
            let (began, at) = (page.datetime(one.began_at_ms), page.datetime(now));
            let values: [(&str, &str); 7] = [
                ("service", &one.service),
                ("form", &one.form),
                ("basis", &one.basis),
                ("began", &began),
                ("at", &at),
                ("unit", &unit.name),
                ("organisation", page.organisation()),
            ];
            let message = Message {
                key: format!("emergency/{}/{event}", one.id),
                subject: page.tv(&format!("emergency.mail.{event}.subject"), &values),
                body: page.tv(&format!("emergency.mail.{event}.body"), &values),
                attachment: None,
            };
            // What cannot be sent stands on the timeline; the declaration itself holds all the same.
            let queued = mail::enqueue(db, &config.mail, &message, &[Recipient::Address(address)], now);
            let (kind, words) = match queued {
                Ok(_) => ("told", format!("{} (e-mail)", unit.name)),
                Err(error) => ("not_told", format!("{} (e-mail): {error}", unit.name)),
            };
            let actor = "siaga".to_owned();
            let entry = Entry { at_ms: now, actor, kind: kind.to_owned(), words, ..Entry::default() };
            disruptions::add_entry(db, &one.id, &entry)?;
        }
        if let Some(url) = &unit.webhook {
            let body = serde_json::json!({
                "event": format!("emergency.{event}"), "id": one.id, "service": one.service, "form": one.form,
                "basis": one.basis, "began_at_ms": one.began_at_ms, "declared_at_ms": one.declared_at_ms,
                "lifted_at_ms": one.lifted_at_ms, "unit": unit.name,
            });
            let (disruption_id, unit) = (one.id.clone(), unit.name.clone());
            let notice = Notice {
                id: new_id(),
                disruption_id,
                unit,
                url: url.to_string(),
                body: body.to_string(),
                attempts: 0,
            };
            disruptions::add_notice(db, &notice, now)?;
        }
    }
    Ok(())
}

fn found(db: &Connection, id: &str) -> Result<Disruption, ApiError> {
    disruptions::get(db, id)?.ok_or_else(|| ApiError::not_found(format!("emergency {id}")))
}

/// Notes something, or sets a task.
pub(super) async fn note(
    app: &App,
    id: &str,
    who: &str,
    words: &str,
    owner: Option<&str>,
) -> Result<(), ApiError> {
    let words = text("words", words, true)?;
    let owner = owner.map(|owner| text("owner", owner, true)).transpose()?;
    let kind = if owner.is_some() { "task" } else { "note" };
    let new = Entry {
        at_ms: now_ms(),
        actor: who.to_owned(),
        kind: kind.to_owned(),
        task: None,
        words,
        owner,
        seq: 0,
    };
    let id = id.to_owned();
    app.records.run(move |db| add(db, &id, &new)).await
}

fn add(db: &Connection, id: &str, new: &Entry) -> Result<(), ApiError> {
    if found(db, id)?.lifted_at_ms.is_some() {
        return Err(ApiError::conflict("the emergency is lifted"));
    }
    if disruptions::entries(db, id)?.len() >= MAX_ENTRIES {
        return Err(ApiError::conflict(format!("there are {MAX_ENTRIES} entries already")));
    }
    Ok(disruptions::add_entry(db, id, new)?)
}

/// Ends a task.
pub(super) async fn done(app: &App, id: &str, who: &str, task: i64, words: &str) -> Result<(), ApiError> {
    let words = text("words", words, false)?;
    let (id, who) = (id.to_owned(), who.to_owned());
    app.records
        .run(move |db| {
            let entries = disruptions::entries(db, &id)?;
            if !entries.iter().any(|one| one.seq == task && one.kind == "task") {
                return Err(ApiError::not_found(format!("task {task}")));
            }
            if entries.iter().any(|one| one.task == Some(task)) {
                return Err(ApiError::conflict("the task is done already"));
            }
            let (at_ms, kind) = (now_ms(), "done".to_owned());
            add(db, &id, &Entry { seq: 0, at_ms, actor: who, kind, task: Some(task), words, owner: None })
        })
        .await
}

/// Notes when the service was back, what was lost and why it happened.
pub(super) async fn recovered(app: &App, id: &str, who: &str, body: RecoveredBody) -> Result<(), ApiError> {
    let (id, who) = (id.to_owned(), who.to_owned());
    let (cause, effect) = (text("cause", &body.cause, true)?, text("effect", &body.effect, true)?);
    app.records
        .run(move |db| {
            let mut one = found(db, &id)?;
            if body.at_ms < one.began_at_ms || body.at_ms > now_ms() {
                return Err(
                    ApiError::bad_request("lies before the disruption began, or in the future").at("at_ms")
                );
            }
            let data_until_ms = body.data_until_ms.unwrap_or(one.began_at_ms);
            if data_until_ms > one.began_at_ms {
                return Err(ApiError::bad_request("lies after the disruption began").at("data_until_ms"));
            }
            one.recovered_at_ms = Some(body.at_ms);
            one.data_until_ms = Some(data_until_ms);
            (one.cause, one.effect) = (Some(cause), Some(effect));
            if !disruptions::recovered(db, &one)? {
                return Err(ApiError::conflict("the emergency is lifted"));
            }
            Ok(audit::add(
                db,
                now_ms(),
                &who,
                "emergency.recovered",
                &id,
                one.cause.as_deref().unwrap_or_default(),
            )?)
        })
        .await
}

/// Lifts an emergency whose service is back.
pub(super) async fn lift(app: &App, id: &str, who: &str, note: &str) -> Result<(), ApiError> {
    let note = text("note", note, true)?;
    let (id, who, library, told) = (id.to_owned(), who.to_owned(), library(app).await?, app.clone());
    app.records
        .run(move |db| {
            let mut one = found(db, &id)?;
            if one.recovered_at_ms.is_none() {
                return Err(ApiError::conflict("when the service was back is not stated yet"));
            }
            let now = now_ms();
            if !disruptions::lift(db, &id, &who, &note, now)? {
                return Err(ApiError::conflict("the emergency is lifted already"));
            }
            audit::add(db, now, &who, "emergency.lift", &id, &note)?;
            one.lifted_at_ms = Some(now);
            let plan = one.plan_id.as_deref().and_then(|plan| library.get(plan));
            let units = plan.map_or(&[][..], |(plan, _)| plan.units.as_slice());
            Ok::<_, ApiError>(tell(&told, db, units, &one, "lifted", now)?)
        })
        .await?;
    Ok(refresh(app).await?)
}

/// The recovery time and the recovery point, as people stated them.
pub(super) fn figures(one: &Disruption) -> (Option<Millis>, Option<Millis>) {
    let rto = one.recovered_at_ms.map(|at| at - one.began_at_ms);
    (rto, one.data_until_ms.map(|until| one.began_at_ms - until))
}
