//! Tells the incidents which systems a drill did not leave as it found them, which exercises are overdue, and for which
//! planned ones approvals are missing, and which corrective actions are. The incident of a system ends when a later drill of the same plan finds
//! everything restored, that of an overdue exercise when a drill of the plan was carried out, that of approvals when
//! there are enough or the date has passed.

use super::approval::standing;
use super::begin::library;
use super::bodies::reasons_of;
use super::coverage::{Cell, Standing};
use super::hold::dated_blackouts;
use super::plan::{Entry, Plan};
use super::reason::{Reason, say_all};
use super::schedule::next_allowed;
use crate::app::App;
use crate::config::Language;
use crate::console::Page;
use crate::incidents::{self, Severity, Signal, SignalSource};
use crate::records::drills::{self, Drill};
use crate::records::{RecordsError, drill_approvals};
use crate::time::{Millis, millis, now_ms};

/// Drills of a plan that are looked at for the newest one that was carried out.
const LOOK_BACK: u32 = 50;

/// Hands over everything.
pub(super) async fn sync(app: &App) -> anyhow::Result<()> {
    let found = app.records.run(|db| drills::not_restored(db)).await?;
    let mut signals: Vec<Signal> = found.iter().map(not_restored).collect();
    signals.extend(app.records.run(|db| super::findings::overdue(db, now_ms())).await?);
    signals.extend(not_covered(app).await?);
    if app.config.current().continuity.scheduled {
        let library = library(app).await?;
        for (plan, entry) in library.good().filter(|(plan, _)| plan.schedule.is_some()) {
            let id = plan.id.clone();
            let history = app.records.run(move |db| drills::latest(db, Some(&id), LOOK_BACK)).await?;
            signals.extend(overdue(plan, &history));
            signals.extend(approval_missing(app, plan, entry, now_ms()).await?);
        }
    }
    incidents::sync(app, SignalSource::Drill, signals).await
}

/// Title and detail in a language: a text of the catalogue, and what to put into it.
pub(super) type Words<'a> = &'a dyn Fn(&str) -> (String, String);

pub(super) fn signal(
    component: String,
    severity: Severity,
    started_at_ms: Millis,
    words: Words<'_>,
) -> Signal {
    let ((title_id, detail_id), (title_en, detail_en)) = (words("id"), words("en"));
    Signal {
        key: component.clone(),
        instance: None,
        component,
        severity,
        title_id,
        title_en,
        detail_id,
        detail_en,
        value: None,
        started_at_ms,
    }
}

/// Scenarios of the scope that are to be exercised again. One that never was is told by the page alone: a new scope owes
/// nothing for the past.
async fn not_covered(app: &App) -> anyhow::Result<Vec<Signal>> {
    let cells = super::scope_pages::cells(app, now_ms())
        .await
        .map_err(|error| anyhow::anyhow!("{}", error.message()))?;
    let overdue = cells.into_iter().filter(|cell| cell.standing == Standing::Overdue);
    let signal = |cell: Cell| {
        let plans = cell.plans.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>().join(", ");
        let words = |language: &str| {
            let say = |key: &str| {
                rust_i18n::t!(key, locale = language)
                    .replace("%{scenario}", &cell.scenario.1)
                    .replace("%{service}", &cell.service.1)
                    .replace("%{plans}", &plans)
            };
            (say("scope.overdue.title"), say("scope.overdue.detail"))
        };
        let component = format!("drill-coverage:{}:{}", cell.service.0, cell.scenario.0);
        signal(component, Severity::Warning, cell.due_ms.unwrap_or_default(), &words)
    };
    Ok(overdue.map(signal).collect())
}

fn not_restored(drill: &Drill) -> Signal {
    let plan = Plan::read(&drill.plan_file, &drill.plan_text).ok();
    let words = |language: &str| {
        let name =
            plan.as_ref().map_or(drill.plan_name.as_str(), |plan| plan.say(language, &drill.plan_name));
        let title = rust_i18n::t!("continuity.signal.title", locale = language).replace("%{plan}", name);
        let detail = rust_i18n::t!("continuity.signal.detail", locale = language);
        let reasons = say_all(&reasons_of(drill), plan.as_ref(), language).join("; ");
        let detail = detail.replace("%{number}", &drill.number.to_string()).replace("%{reasons}", &reasons);
        (title, detail)
    };
    let started_at_ms = drill.ended_at_ms.unwrap_or(drill.created_at_ms);
    let component = format!("drill:{}", drill.plan_id);
    Signal { key: drill.plan_id.clone(), ..signal(component, Severity::Critical, started_at_ms, &words) }
}

/// The oldest date since the newest drill that was carried out on which none was, though the plan itself did not say so.
/// `history` is that of the plan, newest first.
fn overdue(plan: &Plan, history: &[Drill]) -> Option<Signal> {
    let not_carried_out = |drill: &&Drill| !matches!(drill.status.as_str(), "passed" | "failed" | "aborted");
    let since = history.iter().take_while(not_carried_out);
    let owed = |drill: &&Drill| drill.scheduled_for_ms.is_some() && is_owed(drill);
    let first = since.filter(owed).last()?;
    let words = |language: &str| {
        let name = plan.say(language, &plan.name);
        let title = rust_i18n::t!("continuity.overdue.title", locale = language).replace("%{plan}", name);
        (title, say_all(&reasons_of(first), Some(plan), language).join("; "))
    };
    let started_at_ms = first.scheduled_for_ms?;
    Some(signal(format!("drill-overdue:{}", plan.id), Severity::Warning, started_at_ms, &words))
}

/// Whether the exercise of that date still has to come: not where a blackout was foreseen.
fn is_owed(drill: &Drill) -> bool {
    let foreseen = |reason: &Reason| matches!(reason, Reason::InBlackout { .. } | Reason::InEvent { .. });
    match drill.status.as_str() {
        drills::MISSED => !reasons_of(drill).iter().all(foreseen),
        "refused" => true,
        _ => false,
    }
}

/// A date that is near, for which too few have approved.
async fn approval_missing(
    app: &App,
    plan: &Plan,
    entry: &Entry,
    now_ms: Millis,
) -> Result<Option<Signal>, RecordsError> {
    let (Some(approval), Some(schedule)) = (&plan.approval, &plan.schedule) else { return Ok(None) };
    let blackouts = dated_blackouts(app, plan, now_ms).await?;
    let Some(at_ms) = next_allowed(schedule, &blackouts, now_ms) else { return Ok(None) };
    if at_ms - now_ms > millis(approval.notice) {
        return Ok(None);
    }
    let (id, digest) = (plan.id.clone(), super::approval::text_digest(&entry.text));
    // Those that hold on the date itself.
    let rows = app.records.run(move |db| drill_approvals::holding(db, &id, &digest, at_ms)).await?;
    let standing = standing(approval, rows, None);
    if standing.enough() {
        return Ok(None);
    }
    let console = app.config.current().console.clone();
    let words = |language: &str| {
        let spoken = Language::from_code(language).unwrap_or(console.language);
        let page = Page::detached(spoken, &console.organisation, console.time_zone.clone(), false);
        let (at, given) = (page.datetime(at_ms), standing.holding.len().to_string());
        let roles: Vec<String> =
            approval.roles.iter().map(|role| page.t(&format!("role.{}", role.code()))).collect();
        let title = page.tv("continuity.unapproved.title", &[("plan", plan.say(language, &plan.name))]);
        let (wanted, roles) = (approval.approvers.to_string(), roles.join(", "));
        let values: [(&str, &str); 4] =
            [("at", &at), ("given", &given), ("wanted", &wanted), ("roles", &roles)];
        (title, page.tv("continuity.unapproved.detail", &values))
    };
    let component = format!("drill-approval:{}", plan.id);
    Ok(Some(signal(component, Severity::Info, now_ms, &words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exercise_is_overdue_until_it_was_not_carried_out_but_not_where_a_blackout_was_foreseen() {
        let plan = Plan::read("lab.toml", include_str!("../../../deploy/plans/lab.toml")).unwrap();
        let drill = |status: &str, at_ms: Option<Millis>, reason: Option<Reason>| Drill {
            status: status.to_owned(),
            scheduled_for_ms: at_ms,
            reasons: serde_json::to_string(&reason.into_iter().collect::<Vec<_>>()).unwrap(),
            ..Drill::default()
        };
        let missed = |at_ms| drill("missed", Some(at_ms), Some(Reason::DateMissed { others: 0 }));
        let unapproved = drill("missed", Some(3), Some(Reason::NotApproved { given: 0, wanted: 2 }));
        let foreseen = drill("missed", Some(4), Some(Reason::InBlackout { blackout: "x".to_owned() }));
        let (passed, refused) = (drill("passed", None, None), drill("refused", None, None));
        for (history, wanted) in [
            (vec![], None),
            (vec![missed(9)], Some(9)),
            (vec![foreseen.clone()], None),
            (vec![foreseen.clone(), unapproved.clone(), missed(2), passed.clone(), missed(1)], Some(2)),
            (vec![passed.clone(), unapproved.clone()], None),
            (vec![refused.clone()], None),
            (vec![drill("refused", Some(7), None), passed], Some(7)),
        ] {
            let found = overdue(&plan, &history);
            assert_eq!(found.as_ref().map(|signal| signal.started_at_ms), wanted, "{history:?}");
            assert!(found.is_none_or(|signal| signal.component == "drill-overdue:lab-alih-layanan"));
        }
    }
}
