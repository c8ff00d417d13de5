//! The document itself: one template, for the page that is printed, the PDF and the mail.

use askama::Template;

use super::form::{self, FORECAST_DAYS, FormRow, Measured};
use super::gather::Gathered;
use super::period::Period;
use super::sections::SECTIONS;
use crate::capacity::calendar::pages::EventRow;
use crate::capacity::evaluation::Crossing;
use crate::capacity::plan_pages::{ProposalRow, ScoreRow, component_name};
use crate::capacity::proposal::Status;
use crate::capacity::{PLAN_AHEAD_DAYS, State, views};
use crate::console::Page;
use crate::time::Millis;

/// The document's own style; the answer with the page allows exactly this one by its hash.
pub(super) const STYLE: &str = concat!(
    include_str!("../../../templates/continuity/report.css"),
    include_str!("../../../templates/capacity/report.css")
);

/// Name of a month.
pub(super) fn period_name(page: &Page, period: Period) -> String {
    let (from_ms, _) = period.span(page.zone());
    page.month(from_ms)
}

/// A section with what stands in it.
#[derive(Debug, serde::Serialize)]
pub(super) struct SectionText {
    pub(super) code: &'static str,
    pub(super) number: &'static str,
    pub(super) title: String,
    pub(super) text: String,
    /// Whether it is Siaga's draft.
    pub(super) draft: bool,
}

pub(super) fn sections(page: &Page, gathered: &Gathered) -> Vec<SectionText> {
    let section = |section: &super::sections::Section| {
        let written = gathered.texts.get(section.code);
        SectionText {
            code: section.code,
            number: section.number,
            title: page.t(&format!("capacity.report.section.{}", section.code)),
            text: written.cloned().unwrap_or_else(|| draft(page, gathered, section.code)),
            draft: written.is_none(),
        }
    };
    SECTIONS.iter().map(section).collect()
}

/// What Siaga can say in a section as long as the planner has written nothing.
fn draft(page: &Page, gathered: &Gathered, code: &str) -> String {
    let number = |n: usize| n.to_string();
    let in_state =
        |state: State| number(gathered.measured.iter().filter(|one| one.evaluation.state == state).count());
    let hosts: std::collections::BTreeSet<&str> =
        gathered.measured.iter().map(|one| one.evaluation.key.instance.as_str()).collect();
    let values: Vec<(&str, String)> = match code {
        "scope" => vec![
            ("hosts", number(hosts.len())),
            ("measured", number(gathered.measured.len())),
            ("counted", number(gathered.counted.len())),
        ],
        "service_now" => vec![
            ("normal", in_state(State::Normal)),
            ("warning", in_state(State::Warning)),
            ("critical", in_state(State::Critical)),
            ("unknown", in_state(State::Unknown)),
        ],
        "service_ahead" => {
            let short = gathered.measured.iter().filter(|one| is_short(one)).count();
            vec![("short", number(short)), ("days", PLAN_AHEAD_DAYS.to_string())]
        }
        "options" => {
            let open = gathered.proposals.iter().filter(|p| p.status == Status::Open).count();
            vec![("open", number(open)), ("decided", number(agreed(gathered)))]
        }
        "recommendation" => vec![("decided", number(agreed(gathered)))],
        _ => Vec::new(),
    };
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    page.tv(&format!("capacity.report.draft.{code}"), &values)
}

fn agreed(gathered: &Gathered) -> usize {
    gathered.proposals.iter().filter(|p| matches!(p.status, Status::Accepted | Status::Changed)).count()
}

/// Whether a component has passed its threshold, or is expected to within the time that plans reach.
fn is_short(one: &Measured) -> bool {
    if one.evaluation.is_exceeded() {
        return true;
    }
    let until = one.evaluation.made_at_ms + Millis::from(PLAN_AHEAD_DAYS) * crate::time::DAY_MS;
    match one.evaluation.outcome.as_ref().map(|made| made.crossing) {
        Ok(Crossing::Past) => true,
        Ok(Crossing::Within { likely_ms: Some(likely), .. }) => likely <= until,
        _ => false,
    }
}

/// A row of the analysis of trends, worded.
#[derive(Debug, serde::Serialize)]
pub(super) struct TrendRow {
    component: String,
    unit: String,
    capacity: String,
    peak: String,
    mean: String,
    p95: String,
    growth: String,
    likely: String,
    interval: String,
    points: String,
    #[serde(skip)]
    badge: &'static str,
    state: String,
}

impl TrendRow {
    fn new(page: &Page, one: &Measured) -> Self {
        let (evaluation, statistics) = (&one.evaluation, one.statistics);
        let bytes = evaluation.key.kind.is_bytes();
        let percent = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| page.percent(v));
        let made = evaluation.outcome.as_ref().ok();
        let (likely, interval) = match made.map(|made| made.crossing) {
            Some(Crossing::Past) => (page.t("capacity.past"), "–".to_owned()),
            Some(Crossing::Never) => (page.t("capacity.not_within_a_year"), "–".to_owned()),
            Some(Crossing::Within { earliest_ms, likely_ms, latest_ms }) => {
                let day = |at: Option<Millis>| {
                    at.map_or_else(|| page.t("capacity.not_within_a_year"), |at| page.date_short(at))
                };
                (day(likely_ms), format!("{} – {}", day(earliest_ms), day(latest_ms)))
            }
            None => (page.t("capacity.state.unknown"), "–".to_owned()),
        };
        let growth = made.map_or_else(
            || "–".to_owned(),
            |made| {
                let value = page.number(made.trend_percent_per_day, 2);
                if made.significant {
                    page.tv("capacity.growth_value", &[("n", &value)])
                } else {
                    page.t("capacity.no_growth")
                }
            },
        );
        Self {
            component: component_name(page, &evaluation.key),
            unit: page.t(if bytes { "capacity.report.unit.bytes" } else { "capacity.report.unit.percent" }),
            capacity: if bytes { page.bytes(evaluation.full) } else { "100%".to_owned() },
            peak: percent(statistics.map(|s| s.peak)),
            mean: percent(statistics.map(|s| s.mean)),
            p95: percent(statistics.map(|s| s.p95)),
            growth,
            likely,
            interval,
            points: statistics.map_or_else(|| "–".to_owned(), |s| s.hours.to_string()),
            badge: evaluation.state.badge(),
            state: page.t(&format!("capacity.state.{}", evaluation.state.code())),
        }
    }
}

#[derive(Template)]
#[template(path = "capacity/report.html")]
pub(super) struct PrintTemplate<'a> {
    page: &'a Page,
    style: &'a str,
    period_name: String,
    made: String,
    pub(super) sections: Vec<SectionText>,
    events: Vec<EventRow>,
    pub(super) form: Vec<FormRow>,
    form_note: String,
    pub(super) trends: Vec<TrendRow>,
    /// Components that pass their threshold in the time that plans reach.
    short: Vec<(String, String)>,
    proposals: Vec<ProposalRow>,
    scores: Vec<ScoreRow>,
}

impl PrintTemplate<'_> {
    fn section(&self, code: &str) -> Option<&SectionText> {
        self.sections.iter().find(|section| section.code == code)
    }
}

/// Known events named in the document.
const EVENTS_NAMED: usize = 60;

/// Words everything that was gathered of a period.
pub(super) fn print_template<'a>(
    page: &'a Page,
    gathered: &Gathered,
    period: Period,
    now_ms: Millis,
) -> PrintTemplate<'a> {
    let period_name = period_name(page, period);
    let short = gathered.measured.iter().filter(|one| is_short(one)).map(|one| {
        let made = one.evaluation.outcome.as_ref().ok();
        // What is exceeded without a forecast is exceeded all the same.
        let likely = made.map(|made| views::dates(page, made, now_ms)[1].clone());
        let likely = likely.unwrap_or_else(|| page.t("capacity.past"));
        (component_name(page, &one.evaluation.key), likely)
    });
    let kept = |status: Status| !matches!(status, Status::Withdrawn | Status::Done);
    let proposals = gathered.proposals.iter().filter(|proposal| kept(proposal.status));
    PrintTemplate {
        page,
        style: STYLE,
        made: page.datetime(now_ms),
        sections: sections(page, gathered),
        events: gathered.events.iter().take(EVENTS_NAMED).map(|event| EventRow::new(page, event)).collect(),
        form: form::rows(page, &gathered.measured, &gathered.counted, &period_name, now_ms),
        form_note: page.tv("capacity.report.form_note", &[("days", &FORECAST_DAYS.to_string())]),
        trends: gathered.measured.iter().map(|one| TrendRow::new(page, one)).collect(),
        short: short.collect(),
        proposals: proposals.map(|proposal| ProposalRow::new(page, proposal)).collect(),
        scores: ScoreRow::by_distance(page, &gathered.scores.distances),
        period_name,
    }
}
