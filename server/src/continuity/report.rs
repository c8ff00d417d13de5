//! The report of a drill as one HTML document that stands on its own: it can be saved, printed and signed on paper.
//!
//! Invariant: everything in it comes from the drill's row, its journal and its raw traces; nothing is computed anew
//! from what the system is now.

use askama::Template;
use axum::http::header;
use axum::response::{Html, IntoResponse as _, Response};
use siaga_protocol::orders::Outcome;

use super::approval::ApprovalNote;
use super::bodies::{load, load_traces, measured_of, reasons_of, rollback_of, verified};
use super::finding_rows::{FindingRow, finding_rows, signatures};
use super::findings;
use super::journal::{self, AnswerNote, CheckTime, Despite, Entry as JournalEntry, Fact};
use super::machine::{Phase, Verdict};
use super::measure::Measurement;
use super::plan::{Plan, Undo};
use super::proof::Proof;
use super::reason::{Reason, agent_words, found_words, say_all};
use super::targets::figures;
use super::timeline;
use crate::app::App;
use crate::config::Language;
use crate::console::{Page, policy, render};
use crate::http::ApiError;
use crate::records::drills::{self, Drill};
use crate::time::{Millis, SECOND_MS, millis, now_ms};

/// The document's own style; the answer allows exactly this one by its hash.
const STYLE: &str = include_str!("../../templates/continuity/report.css");

/// One thing that happened, for people.
pub(super) struct Row {
    pub(super) at: String,
    pub(super) what: String,
    pub(super) detail: String,
    pub(super) badge: &'static str,
}

/// What one probe measured, for people.
pub(super) struct MeasuredRow {
    pub(super) probe: String,
    /// Which part of the drill the figures are of.
    pub(super) part: String,
    pub(super) resolution: String,
    pub(super) detection: String,
    pub(super) downtime: String,
    pub(super) longest: String,
    pub(super) rto: String,
    pub(super) failed: String,
    pub(super) unmeasured: Option<String>,
}

/// A check before or after, for people.
struct CheckRow {
    name: String,
    before: String,
    after: String,
    good: bool,
}

#[derive(Template)]
#[template(path = "continuity/report.html")]
struct Report<'a> {
    page: &'a Page,
    style: &'a str,
    drill: &'a Drill,
    plan: Option<&'a Plan>,
    name: String,
    status: String,
    badge: &'static str,
    started_by: String,
    approved_by: Vec<String>,
    began: String,
    ended: String,
    target: String,
    kind: String,
    rpo: String,
    /// The recovery point that was measured, and whether the target was met.
    rpo_found: Option<(String, bool)>,
    /// What became of the rows that were written.
    rows: Vec<(String, String)>,
    findings: Vec<FindingRow>,
    signed: Vec<String>,
    rto: String,
    met: bool,
    /// The disturbance by the rollback, whether it was short enough, and the downtime of all.
    whole: Option<(String, bool, String)>,
    checks: Vec<CheckRow>,
    measured: Vec<MeasuredRow>,
    reasons: Vec<String>,
    rollback: Vec<Row>,
    facts: Vec<Row>,
    without_undo: Vec<(String, String)>,
    timeline: timeline::Pictures,
    proof: Proof,
    made: String,
}

/// What a report comes as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// An HTML document.
    Html,
    /// A PDF to be signed and kept.
    Pdf,
}

/// The report as an answer.
pub(super) async fn respond(
    app: &App,
    id: &str,
    language: Language,
    form: Form,
) -> Result<Response, ApiError> {
    if form == Form::Pdf {
        let (number, pdf) = as_pdf(app, id, language).await?;
        return Ok(crate::reports::pdf::answer(&file_name(number), pdf));
    }
    let mut response = Html(html(app, id, language).await?.1).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy(STYLE)?);
    Ok(response)
}

/// Name of a report's file.
pub(super) fn file_name(number: i64) -> String {
    format!("laporan-uji-coba-{number}.pdf")
}

/// The report as a PDF, and the number of its drill.
pub(super) async fn as_pdf(app: &App, id: &str, language: Language) -> Result<(i64, Vec<u8>), ApiError> {
    let (number, html) = html(app, id, language).await?;
    Ok((number, crate::reports::pdf::render(app, &html).await?))
}

/// The report as a document, and the number of its drill.
async fn html(app: &App, id: &str, language: Language) -> Result<(i64, String), ApiError> {
    let (drill, rows) = load(app, id).await?;
    let traces = load_traces(app, id).await?;
    let entries = journal::entries(&rows)?;
    let console = app.config.current().console.clone();
    let page = Page::detached(language, &console.organisation, console.time_zone, console.simulation);
    let plan = Plan::read(&drill.plan_file, &drill.plan_text).ok();
    let verified = verified(app, drill.clone()).await?;
    let report = Report {
        style: STYLE,
        status: page.t(&format!("continuity.status.{}", drill.status)),
        badge: super::pages::badge(&drill.status),
        started_by: who(&page, &drill.started_by),
        approved_by: approvers(&page, &entries),
        began: page.datetime_seconds(drill.created_at_ms),
        ended: drill.ended_at_ms.map_or_else(|| "–".to_owned(), |at| page.datetime_seconds(at)),
        target: length(&page, drill.rto_target_ms),
        rpo: plan
            .as_ref()
            .and_then(|plan| plan.rpo)
            .map_or_else(|| "–".to_owned(), |rpo| length(&page, millis(rpo))),
        kind: plan
            .as_ref()
            .map_or_else(String::new, |plan| page.t(&format!("continuity.kind.{}", plan.kind.code()))),
        rpo_found: super::rows::recovery_point(&page, plan.as_ref(), &entries),
        rows: super::rows::found(&page, plan.as_ref(), &entries),
        findings: finding_rows(&page, findings::of_drill(app, id).await?, now_ms()),
        signed: signatures(&page, &findings::signed(app, id).await?),
        rto: recovery(&page, &drill),
        met: is_met(&drill),
        whole: whole(&page, &entries),
        checks: check_rows(&page, plan.as_ref(), &entries),
        measured: measured_rows(&page, plan.as_ref(), measured_of(&entries), rollback_of(&entries)),
        reasons: say_all(&reasons_of(&drill), plan.as_ref(), page.lang()),
        rollback: fact_rows(&page, plan.as_ref(), &only_rollback(&entries)),
        facts: fact_rows(&page, plan.as_ref(), &entries),
        without_undo: plan.as_ref().map_or_else(Vec::new, |plan| without_undo(&page, plan)),
        name: super::pages::plan_name(&page, &drill),
        timeline: timeline::render(&page, plan.as_ref(), &entries, &traces)?,
        proof: Proof::new(&page, drill.number, &verified),
        made: page.datetime_seconds(now_ms()),
        plan: plan.as_ref(),
        drill: &drill,
        page: &page,
    };
    Ok((drill.number, render(&report)?.0))
}

fn only_rollback(entries: &[JournalEntry]) -> Vec<JournalEntry> {
    let undo =
        |entry: &&JournalEntry| matches!(entry.fact, Fact::UndoStarted { .. } | Fact::UndoEnded { .. });
    entries.iter().filter(undo).cloned().collect()
}

/// A name of the plan in the viewer's language.
fn said(page: &Page, plan: Option<&Plan>, name: &str) -> String {
    plan.map_or(name, |plan| plan.say(page.lang(), name)).to_owned()
}

fn without_undo(page: &Page, plan: &Plan) -> Vec<(String, String)> {
    plan.steps
        .iter()
        .filter_map(|step| match &step.undo {
            Undo::ByAgent => None,
            // What a person does is not undone by anybody.
            Undo::Nothing(_) if step.order().is_none() => None,
            Undo::Nothing(reason) => {
                Some((said(page, Some(plan), &step.name), said(page, Some(plan), reason)))
            }
        })
        .collect()
}

fn check_rows(page: &Page, plan: Option<&Plan>, entries: &[JournalEntry]) -> Vec<CheckRow> {
    let mut rows: Vec<CheckRow> = Vec::new();
    for entry in entries {
        let Fact::Check { when, check, held, found } = &entry.fact else { continue };
        let found = found_words(page.lang(), found);
        let name = said(page, plan, check);
        let text =
            format!("{} – {found}", page.t(if *held { "continuity.holds" } else { "continuity.holds_not" }));
        let at = rows.iter().position(|row| row.name == name).unwrap_or_else(|| {
            let none = || "–".to_owned();
            rows.push(CheckRow { name, before: none(), after: none(), good: true });
            rows.len() - 1
        });
        match when {
            CheckTime::Before => rows[at].before = text,
            CheckTime::Step => continue,
            CheckTime::After => rows[at].after = text,
        }
        rows[at].good &= held;
    }
    rows.retain(|row| row.before != "–" || row.after != "–");
    rows
}

/// What the probes measured: of each probe the time up to the end of the steps, the rollback, and both together.
pub(super) fn measured_rows(
    page: &Page,
    plan: Option<&Plan>,
    steps: &[Measurement],
    rollback: &[Measurement],
) -> Vec<MeasuredRow> {
    let mut rows = Vec::new();
    for one in steps {
        let probe = said(page, plan, &one.probe);
        rows.push(measured_row(page, &probe, page.t("continuity.part.steps"), one));
        let Some(after) = rollback.iter().find(|after| after.probe == one.probe) else { continue };
        rows.push(measured_row(page, &probe, page.t("continuity.part.rollback"), after));
        let none = || "–".to_owned();
        let unmeasured_ms = one.unmeasured_ms() + after.unmeasured_ms();
        rows.push(MeasuredRow {
            part: page.t("continuity.part.whole"),
            resolution: none(),
            detection: none(),
            downtime: bound(page, one.downtime_ms + after.downtime_ms, unmeasured_ms > 0),
            longest: none(),
            rto: none(),
            unmeasured: (unmeasured_ms > 0).then(|| length(page, unmeasured_ms)),
            failed: format!("{} / {}", one.failed + after.failed, one.total + after.total),
            probe,
        });
    }
    rows
}

fn measured_row(page: &Page, probe: &str, part: String, one: &Measurement) -> MeasuredRow {
    let partly = !one.unmeasured.is_empty();
    let figure = |value: Millis| match one.is_empty() {
        true => page.t("continuity.unmeasured"),
        false => bound(page, value, partly),
    };
    MeasuredRow {
        probe: probe.to_owned(),
        part,
        resolution: length(page, one.interval_ms),
        detection: one.detection_ms.map_or_else(|| "–".to_owned(), |value| length(page, value)),
        downtime: figure(one.downtime_ms),
        longest: figure(one.longest_gap_ms),
        rto: match one.rto_ms {
            None if !one.is_empty() => page.t("continuity.not_recovered"),
            rto_ms => figure(rto_ms.unwrap_or(0)),
        },
        unmeasured: partly.then(|| length(page, one.unmeasured_ms())),
        failed: format!("{} / {}", one.failed, one.total),
    }
}

/// How long the rollback disturbed the service, whether that was short enough, and the downtime of the whole drill; of
/// the worst probe each. Nothing where the rollback was not measured.
fn whole(page: &Page, entries: &[JournalEntry]) -> Option<(String, bool, String)> {
    let (steps, rollback) = (measured_of(entries), rollback_of(entries));
    let met = entries.iter().rev().find_map(|entry| match &entry.fact {
        Fact::RollbackMeasured { met, .. } => Some(*met),
        _ => None,
    })?;
    let partly = |list: &[Measurement]| list.iter().any(|one| !one.unmeasured.is_empty());
    let longest: Option<Vec<Millis>> = rollback.iter().map(|one| one.rto_ms).collect();
    let outage = match longest {
        _ if rollback.iter().any(Measurement::is_empty) => page.t("continuity.unmeasured"),
        None => page.t("continuity.not_recovered"),
        Some(longest) => bound(page, longest.into_iter().max().unwrap_or(0), partly(rollback)),
    };
    let downtime = figures(steps, rollback).1.map_or_else(
        || page.t("continuity.unmeasured"),
        |downtime| bound(page, downtime, partly(steps) || partly(rollback)),
    );
    Some((outage, met, downtime))
}

/// A measured length of time; a lower bound if something was not measured beside it.
fn bound(page: &Page, value: Millis, at_least: bool) -> String {
    match (value, at_least) {
        (_, false) => length(page, value),
        (0, true) => page.t("continuity.cannot_tell"),
        (_, true) => page.tv("continuity.at_least", &[("length", &length(page, value))]),
    }
}

/// The recovery time of a drill, or why there is none.
pub(super) fn recovery(page: &Page, drill: &Drill) -> String {
    if drill.ended_at_ms.is_none() || matches!(drill.status.as_str(), "refused" | drills::MISSED) {
        return "–".to_owned();
    }
    match (drill.rto_ms, drill.downtime_ms) {
        (Some(rto), _) => {
            let partly = |reason: &Reason| matches!(reason, Reason::PartlyUnmeasured { .. });
            bound(page, rto, reasons_of(drill).iter().any(partly))
        }
        // A service that did not come back was down; one of which a probe knows nothing need not have been.
        (None, Some(downtime)) if downtime > 0 && !has_reason(drill, is_nothing_measured) => {
            page.t("continuity.not_recovered")
        }
        (None, _) => page.t("continuity.unmeasured"),
    }
}

fn is_nothing_measured(reason: &Reason) -> bool {
    matches!(reason, Reason::NothingMeasured { .. })
}

fn has_reason(drill: &Drill, wanted: fn(&Reason) -> bool) -> bool {
    reasons_of(drill).iter().any(wanted)
}

/// Whether the target of the recovery time was shown to be met. That nothing failed shows it only where the drill went
/// as planned: else the fault may never have come.
fn is_met(drill: &Drill) -> bool {
    let in_time = |rto| rto <= drill.rto_target_ms && (rto > 0 || drill.status == Verdict::Passed.code());
    drill.rto_ms.is_some_and(in_time)
        && !has_reason(drill, |reason| matches!(reason, Reason::RtoUnproven { .. }))
}

/// A measured length of time: milliseconds up to ten seconds, then seconds with one decimal.
pub(super) fn length(page: &Page, value: Millis) -> String {
    if value < 10 * SECOND_MS {
        let n = page.number(value as f64, 0);
        return page.tv("unit.milliseconds", &[("n", &n)]);
    }
    let n = page.number(value as f64 / 1_000.0, 1);
    page.tv("unit.seconds", &[("n", &n)])
}

/// Who started a drill, for people.
pub(super) fn who(page: &Page, actor: &str) -> String {
    match actor.split_once(':') {
        Some((_, name)) => name.to_owned(),
        None => page.t("continuity.by_schedule"),
    }
}

/// Who asked for a drill, who approved it, and what stood against it.
fn opened_words(
    page: &Page,
    plan: Option<&Plan>,
    by: &str,
    approved_by: &[ApprovalNote],
    despite: Option<&Despite>,
) -> String {
    let mut words = vec![who(page, by)];
    words.extend(approved_by.iter().map(|note| {
        let role = page.t(&format!("role.{}", note.role.code()));
        let values: [(&str, &str); 3] = [("name", &note.name), ("role", &role), ("reason", &note.reason)];
        page.tv("continuity.approval.note", &values)
    }));
    words.extend(despite.map(|despite| {
        let holds = say_all(&despite.holds, plan, page.lang()).join("; ");
        page.tv("continuity.despite", &[("holds", &holds), ("why", &despite.why)])
    }));
    words.join("; ")
}

/// Names and roles of those who approved a drill.
fn approvers(page: &Page, entries: &[JournalEntry]) -> Vec<String> {
    let Some(Fact::Opened { approved_by, .. }) = entries.first().map(|entry| &entry.fact) else {
        return Vec::new();
    };
    let one = |note: &ApprovalNote| {
        let role = page.t(&format!("role.{}", note.role.code()));
        format!("{} ({role}, {})", note.name, page.datetime(note.given_at_ms))
    };
    approved_by.iter().map(one).collect()
}

/// Code of a phase in the catalogue of texts.
pub(super) fn phase_code(phase: Phase) -> &'static str {
    match phase {
        Phase::CheckingBefore => "checking_before",
        Phase::Steps => "steps",
        Phase::Measuring => "measuring",
        Phase::RollingBack => "rolling_back",
        Phase::CheckingAfter => "checking_after",
        Phase::Closing => "closing",
        Phase::Finished => "finished",
    }
}

/// The journal for people.
pub(super) fn fact_rows(page: &Page, plan: Option<&Plan>, entries: &[JournalEntry]) -> Vec<Row> {
    entries
        .iter()
        .map(|entry| {
            let (key, detail, badge) = describe(page, plan, &entry.fact);
            let what = page.t(&format!("continuity.fact.{key}"));
            Row { at: page.datetime_seconds(entry.at_ms), what, detail, badge }
        })
        .collect()
}

fn describe(page: &Page, plan: Option<&Plan>, fact: &Fact) -> (&'static str, String, &'static str) {
    let good = |held: bool| if held { "ok" } else { "crit" };
    let reasons = || say_all(fact.reasons(), plan, page.lang()).join("; ");
    let step = |index: usize| {
        let found = plan.and_then(|plan| plan.steps.get(index));
        found.map_or_else(|| format!("#{}", index + 1), |step| said(page, plan, &step.name))
    };
    let on = |index: usize, order: &journal::OrderNote| {
        format!("{} – {} @ {}", step(index), order.action, order.host)
    };
    // How it ended, and what stands behind that: the reasons, or else what the agent said.
    let outcome = |index: usize, held: bool, answer: Option<&AnswerNote>| {
        let word = page.t(if held { "continuity.outcome.good" } else { "continuity.outcome.failed" });
        let why = match (reasons(), answer) {
            (reasons, _) if !reasons.is_empty() => reasons,
            (_, Some(answer)) => agent_words(page.lang(), &answer.message),
            _ => String::new(),
        };
        let why = if why.is_empty() { why } else { format!(" – {why}") };
        format!("{}: {word}{why}", step(index))
    };
    match fact {
        Fact::Opened { by, approved_by, despite, .. } => (
            "opened",
            opened_words(page, plan, by, approved_by, despite.as_ref()),
            if despite.is_some() { "warn" } else { "info" },
        ),
        Fact::Check { check, held, found, .. } => (
            "check",
            format!("{}: {}", said(page, plan, check), found_words(page.lang(), found)),
            good(*held),
        ),
        Fact::CheckedBefore { held, .. } => ("checked_before", reasons(), good(*held)),
        Fact::StepStarted { step, order } => ("step_started", on(*step, order), "info"),
        Fact::StepAnswered { step: index, answer } => match answer {
            Some(answer) => (
                if answer.outcome == Outcome::Refused { "step_refused" } else { "step_answered" },
                format!("{}: {}", step(*index), agent_words(page.lang(), &answer.message)),
                good(answer.outcome == Outcome::Succeeded),
            ),
            None => ("step_unanswered", step(*index), "crit"),
        },
        Fact::StepRetried { step, order } => ("step_retried", on(*step, order), "warn"),
        Fact::Asked { step: index, until_ms } => (
            "asked",
            format!(
                "{} – {}",
                step(*index),
                page.tv("continuity.until", &[("at", &page.datetime_seconds(*until_ms))])
            ),
            "info",
        ),
        Fact::Confirmed { step: index, who: by, done, note } => {
            let note = if note.is_empty() { String::new() } else { format!(" – “{note}”") };
            ("confirmed", format!("{}: {}{note}", step(*index), who(page, by)), good(*done))
        }
        Fact::RowsCounted { count, met, .. } => {
            let words = super::rows::in_words(page, plan, count);
            let why = reasons();
            ("rows_counted", if why.is_empty() { words } else { format!("{words}; {why}") }, good(*met))
        }
        Fact::StepEnded { step, good: held, .. } => ("step_ended", outcome(*step, *held, None), good(*held)),
        Fact::Measured { met, .. } => ("measured", reasons(), good(*met)),
        Fact::Stopped { .. } => ("stopped", reasons(), "warn"),
        Fact::UndoStarted { step, order } => ("undo_started", on(*step, order), "info"),
        Fact::UndoEnded { step, good: held, answer, .. } => {
            ("undo_ended", outcome(*step, *held, answer.as_ref()), good(*held))
        }
        Fact::RollbackMeasured { met, .. } => ("rollback_measured", reasons(), good(*met)),
        Fact::UndoneByAgent { host, action, answer, .. } => (
            "undone_by_agent",
            format!("{action} @ {host}: {}", agent_words(page.lang(), &answer.message)),
            good(answer.outcome == Outcome::Succeeded),
        ),
        Fact::CheckedAfter { held, .. } => ("checked_after", reasons(), good(*held)),
        Fact::Closed { verdict, restored, .. } => {
            let status = page.t(&format!("continuity.status.{}", verdict.code()));
            ("closed", status, good(*restored))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TimeZoneName;

    #[test]
    fn measured_times_are_exact_where_they_are_short() {
        let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
        assert_eq!(length(&page, 405), "405 milidetik");
        assert_eq!(length(&page, 9_999), "9.999 milidetik");
        assert_eq!(length(&page, 12_340), "12,3 detik");
    }

    #[test]
    fn a_recovery_time_beside_unmeasured_time_is_a_lower_bound_and_none_is_claimed_without_measuring() {
        let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
        let partly = [Reason::PartlyUnmeasured { probe: "p".to_owned(), unmeasured_ms: 900 }];
        let partly = serde_json::to_string(&partly).unwrap();
        for (status, rto_ms, downtime_ms, reasons, wanted) in [
            ("passed", Some(405), Some(405), "[]", "405 milidetik"),
            ("passed", Some(405), Some(405), partly.as_str(), "sekurang-kurangnya 405 milidetik"),
            ("passed", Some(0), Some(0), partly.as_str(), "tidak dapat dipastikan"),
            ("failed", None, Some(900), "[]", "tidak pulih"),
            ("aborted", None, None, "[]", "tidak diukur"),
            ("refused", None, None, "[]", "–"),
        ] {
            let drill = Drill {
                status: status.to_owned(),
                ended_at_ms: Some(1),
                rto_ms,
                downtime_ms,
                reasons: reasons.to_owned(),
                ..Drill::default()
            };
            assert_eq!(recovery(&page, &drill), wanted);
        }
    }

    #[test]
    fn that_nothing_failed_shows_a_target_met_only_where_the_drill_went_as_planned() {
        for (status, rto_ms, wanted) in [
            ("passed", Some(0), true),
            ("failed", Some(0), false),
            ("failed", Some(400), true),
            ("passed", Some(5_001), false),
            ("failed", None, false),
        ] {
            let status = status.to_owned();
            let drill =
                Drill { status, rto_ms, rto_target_ms: 5_000, reasons: "[]".to_owned(), ..Drill::default() };
            assert_eq!(is_met(&drill), wanted, "{rto_ms:?}");
        }
    }

    #[test]
    fn actors_are_named_and_the_schedule_is_said_in_words() {
        let page = Page::detached(Language::English, "LPSE", TimeZoneName::default(), false);
        assert_eq!(who(&page, "user:budi"), "budi");
        assert_ne!(who(&page, "schedule"), "schedule:");
    }
}
