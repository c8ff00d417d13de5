//! What a drill has shown to be wrong, with the corrective action that is followed until it is closed, and the signatures
//! under its report.
//!
//! Invariants: findings and signatures belong to a drill that has ended; a finding has an owner and a date; who signs signs
//! a journal that was found to be as it was written, by its hash, and once.

use serde::{Deserialize, Serialize};

use super::bodies::{load, verified};
use super::verify::State;
use crate::access::{Right, Role, UserPrincipal, may, new_id};
use crate::app::App;
use crate::http::ApiError;
use crate::incidents::{Severity, Signal};
use crate::records::drill_findings::{self, Finding, SignOff};
use crate::records::drills::Drill;
use crate::records::{Result as RecordsResult, audit, drills};
use crate::time::{Millis, now_ms};

/// Longest finding, action or note, characters.
const MAX_TEXT: usize = 2_000;
/// Longest name of an owner, characters.
const MAX_OWNER: usize = 200;
/// Findings of one drill.
const MAX_FINDINGS: usize = 100;
/// Open findings that are told as overdue.
const MAX_OVERDUE: u32 = 200;

/// What somebody notes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoteBody {
    /// What was found.
    pub(super) finding: String,
    /// What is done about it.
    pub(super) action: String,
    /// By whom.
    pub(super) owner: String,
    /// Until when.
    pub(super) due_ms: Millis,
}

/// A finding for programs.
#[derive(Debug, Serialize)]
pub(super) struct FindingBody {
    id: String,
    drill_id: String,
    number: i64,
    finding: String,
    action: String,
    owner: String,
    due_ms: Millis,
    noted_by: String,
    noted_at_ms: Millis,
    closed_by: Option<String>,
    closed_at_ms: Option<Millis>,
    closed_note: Option<String>,
}

impl From<Finding> for FindingBody {
    fn from(one: Finding) -> Self {
        Self {
            id: one.id,
            drill_id: one.drill_id,
            number: one.number,
            finding: one.finding,
            action: one.action,
            owner: one.owner,
            due_ms: one.due_ms,
            noted_by: one.noted_by,
            noted_at_ms: one.noted_at_ms,
            closed_by: one.closed_by,
            closed_at_ms: one.closed_at_ms,
            closed_note: one.closed_note,
        }
    }
}

fn text(field: &str, text: &str, longest: usize, needed: bool) -> Result<String, ApiError> {
    let text = text.trim();
    if (needed && text.is_empty()) || text.chars().count() > longest {
        return Err(ApiError::bad_request(format!("is empty or longer than {longest} characters")).at(field));
    }
    Ok(text.to_owned())
}

/// Notes a finding of a drill that has ended.
pub(super) async fn note(app: &App, drill_id: &str, who: &str, body: NoteBody) -> Result<Finding, ApiError> {
    let (drill, _) = load(app, drill_id).await?;
    if drill.ended_at_ms.is_none() {
        return Err(ApiError::conflict("the drill runs"));
    }
    let new = Finding {
        id: new_id(),
        drill_id: drill.id,
        number: 0,
        finding: text("finding", &body.finding, MAX_TEXT, true)?,
        action: text("action", &body.action, MAX_TEXT, true)?,
        owner: text("owner", &body.owner, MAX_OWNER, true)?,
        due_ms: body.due_ms,
        noted_by: who.to_owned(),
        noted_at_ms: now_ms(),
        closed_by: None,
        closed_at_ms: None,
        closed_note: None,
    };
    if new.due_ms <= 0 {
        return Err(ApiError::bad_request("is no date").at("due_ms"));
    }
    let noted = app
        .records
        .run(move |db| {
            if drill_findings::of_drill(db, &new.drill_id)?.len() >= MAX_FINDINGS {
                return Err(ApiError::conflict(format!("the drill has {MAX_FINDINGS} findings already")));
            }
            drill_findings::insert(db, &new)?;
            audit::add(db, new.noted_at_ms, &new.noted_by, "drill.finding", &new.drill_id, &new.finding)?;
            drill_findings::get(db, &new.id)?.ok_or_else(|| ApiError::not_found("the finding"))
        })
        .await?;
    super::signals::sync(app).await?;
    Ok(noted)
}

/// Closes the corrective action of a finding; gives the drill.
pub(super) async fn close(app: &App, id: &str, who: &str, note: &str) -> Result<String, ApiError> {
    let (id, who, note) = (id.to_owned(), who.to_owned(), text("note", note, MAX_TEXT, true)?);
    let drill = app
        .records
        .run(move |db| {
            let found =
                drill_findings::get(db, &id)?.ok_or_else(|| ApiError::not_found(format!("finding {id}")))?;
            if !drill_findings::close(db, &id, &who, &note, now_ms())? {
                return Err(ApiError::conflict("it is closed already"));
            }
            audit::add(db, now_ms(), &who, "drill.finding.close", &found.drill_id, &note)?;
            Ok(found.drill_id)
        })
        .await?;
    super::signals::sync(app).await?;
    Ok(drill)
}

/// Findings of a drill.
pub(super) async fn of_drill(app: &App, drill_id: &str) -> Result<Vec<Finding>, ApiError> {
    load(app, drill_id).await?;
    let id = drill_id.to_owned();
    Ok(app.records.run(move |db| drill_findings::of_drill(db, &id)).await?)
}

/// Signatures under the report of a drill.
pub(super) async fn signed(app: &App, drill_id: &str) -> Result<Vec<SignOff>, ApiError> {
    let id = drill_id.to_owned();
    Ok(app.records.run(move |db| drill_findings::signed(db, &id)).await?)
}

/// The role in which a user signs: the first one that answers for drills.
pub(super) fn role_of(user: &UserPrincipal) -> Option<Role> {
    user.roles.iter().copied().find(|role| may(&[*role], Right::ApproveDrills))
}

/// Signs the report of a drill as it stands.
pub(super) async fn sign(
    app: &App,
    drill_id: &str,
    user: &UserPrincipal,
    note: &str,
) -> Result<(), ApiError> {
    let role = role_of(user).ok_or_else(|| ApiError::forbidden("none of your roles answers for drills"))?;
    let (drill, rows) = load(app, drill_id).await?;
    if drill.ended_at_ms.is_none() || rows.is_empty() {
        return Err(ApiError::conflict("there is no report to sign: the drill runs, or was not carried out"));
    }
    let found = verified(app, drill).await?;
    if found.state != State::Intact {
        return Err(ApiError::conflict("the journal is not as it was written and signed by this server"));
    }
    let new = SignOff {
        drill_id: drill_id.to_owned(),
        user_id: user.id.clone(),
        actor: format!("user:{}", user.username),
        name: user.display_name.clone(),
        role: role.code().to_owned(),
        journal_hash: found.head,
        note: text("note", note, MAX_TEXT, false)?,
        signed_at_ms: now_ms(),
    };
    app.records
        .run(move |db| {
            if !drill_findings::sign(db, &new)? {
                return Err(ApiError::conflict("you have signed it already"));
            }
            Ok(audit::add(db, new.signed_at_ms, &new.actor, "drill.sign", &new.drill_id, &new.journal_hash)?)
        })
        .await
}

/// Corrective actions that are not closed in time, as incidents. In a transaction.
pub(super) fn overdue(
    db: &crate::records::rusqlite::Connection,
    now_ms: Millis,
) -> RecordsResult<Vec<Signal>> {
    let mut signals = Vec::new();
    for one in drill_findings::open(db, MAX_OVERDUE)?.into_iter().filter(|one| one.due_ms < now_ms) {
        if let Some(drill) = drills::get(db, &one.drill_id)? {
            signals.push(signal(&one, &drill));
        }
    }
    Ok(signals)
}

fn signal(one: &Finding, drill: &Drill) -> Signal {
    let words = |language: &str| {
        let say = |key: &str| {
            rust_i18n::t!(key, locale = language)
                .replace("%{number}", &drill.number.to_string())
                .replace("%{finding}", &one.finding)
                .replace("%{action}", &one.action)
                .replace("%{owner}", &one.owner)
        };
        (say("continuity.finding.overdue.title"), say("continuity.finding.overdue.detail"))
    };
    let component = format!("drill-finding:{}:{}", drill.number, one.number);
    super::signals::signal(component, Severity::Warning, one.due_ms, &words)
}
