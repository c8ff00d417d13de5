//! The record form (Formulir Pencatatan): one row for each item, with up to four parameters. A host is an item; its
//! processor, memory and filesystems are its parameters, and a host with more than four goes on in a further row. What
//! people count is an item with one parameter. Pure.

use super::statistics::Statistics;
use crate::capacity::component::Entered;
use crate::capacity::evaluation::{Crossing, Evaluation};
use crate::capacity::proposal::{Proposal, Status};
use crate::capacity::resource::ResourceKind;
use crate::capacity::{plan_pages, views};
use crate::console::Page;
use crate::time::Millis;

/// Parameters of a row.
pub(super) const PARAMETERS: usize = 4;
/// Distance of the forecast in the form, days: the next period.
pub(super) const FORECAST_DAYS: u16 = 30;

/// A component with what the period and the register know of it.
pub(super) struct Measured {
    /// Its newest evaluation.
    pub(super) evaluation: Evaluation,
    /// Its use in the period.
    pub(super) statistics: Option<Statistics>,
    /// What people entered.
    pub(super) note: String,
    /// Its newest proposal.
    pub(super) proposal: Option<Proposal>,
}

/// A row, worded.
#[derive(Debug, serde::Serialize)]
pub(super) struct FormRow {
    pub(super) number: usize,
    pub(super) category: String,
    pub(super) item: String,
    pub(super) thresholds: String,
    pub(super) watched: String,
    pub(super) utilities: String,
    pub(super) actual: [String; PARAMETERS],
    pub(super) ahead: [String; PARAMETERS],
    pub(super) resource: String,
    pub(super) follow_up: String,
}

/// Order of a host's parameters: processor, memory, then filesystems, the fullest first.
fn order(measured: &Measured) -> (u8, i64) {
    let kind = match measured.evaluation.key.kind {
        ResourceKind::Cpu => 0,
        ResourceKind::Memory => 1,
        ResourceKind::Filesystem => 2,
        ResourceKind::Inodes => 3,
        ResourceKind::Quota => 4,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a percentage in hundredths")]
    let used = (measured.evaluation.current_percent.unwrap_or(-1.0) * 100.0) as i64;
    (kind, -used)
}

/// The rows of the form: hosts in the order of their names, then what people count.
pub(super) fn rows(
    page: &Page,
    all: &[Measured],
    counted: &[Entered],
    watched: &str,
    now_ms: Millis,
) -> Vec<FormRow> {
    let mut hosts: std::collections::BTreeMap<&str, Vec<&Measured>> = std::collections::BTreeMap::new();
    for one in all {
        hosts.entry(&one.evaluation.key.instance).or_default().push(one);
    }
    let mut rows = Vec::new();
    for (instance, mut components) in hosts {
        components.sort_by_key(|one| order(one));
        for chunk in components.chunks(PARAMETERS) {
            rows.push(host_row(page, instance, chunk, watched, now_ms));
        }
    }
    rows.extend(counted.iter().map(|one| counted_row(page, one)));
    for (number, row) in (1..).zip(&mut rows) {
        row.number = number;
    }
    rows
}

/// `P1 …; P2 …` of what each parameter has.
fn listed<T>(items: &[T], word: impl Fn(&T) -> Option<String>) -> String {
    let items = (1..).zip(items).filter_map(|(n, item)| Some(format!("P{n} {}", word(item)?)));
    items.collect::<Vec<_>>().join("; ")
}

fn each(items: &[&Measured], word: impl Fn(&Measured) -> String) -> [String; PARAMETERS] {
    std::array::from_fn(|at| items.get(at).map_or_else(String::new, |one| word(one)))
}

fn host_row(page: &Page, instance: &str, chunk: &[&Measured], watched: &str, now_ms: Millis) -> FormRow {
    let resource = listed(chunk, |one| need(page, &one.evaluation, now_ms));
    let follow_up = listed(chunk, |one| follow_up(page, one));
    let or = |text: String, key: &str| if text.is_empty() { page.t(key) } else { text };
    FormRow {
        number: 0,
        category: page.t("capacity.category.server"),
        item: instance.to_owned(),
        thresholds: listed(chunk, |one| Some(page.percent(one.evaluation.threshold_percent))),
        watched: watched.to_owned(),
        utilities: listed(chunk, |one| Some(views::resource_name(page, &one.evaluation.key))),
        actual: each(chunk, |one| percent(page, one.statistics.map(|s| s.peak))),
        ahead: each(chunk, |one| ahead(page, &one.evaluation)),
        resource: or(resource, "capacity.report.enough"),
        follow_up: or(follow_up, "capacity.report.watch_on"),
    }
}

fn percent(page: &Page, value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| page.percent(value))
}

/// The forecast of the next period: likely value and interval.
fn ahead(page: &Page, evaluation: &Evaluation) -> String {
    let point = evaluation
        .outcome
        .as_ref()
        .ok()
        .and_then(|made| made.horizons.iter().find(|point| point.days == FORECAST_DAYS));
    point.map_or_else(
        || "–".to_owned(),
        |p| format!("{} ({}–{})", page.percent(p.p50), page.number(p.p10, 1), page.percent(p.p90)),
    )
}

/// When a component needs more, if that is in sight.
fn need(page: &Page, evaluation: &Evaluation, now_ms: Millis) -> Option<String> {
    match evaluation.crossing() {
        Some(Crossing::Past) => Some(page.t("capacity.past")),
        Some(Crossing::Within { likely_ms: Some(likely), .. }) => {
            Some(views::date(page, Some(likely), now_ms))
        }
        Some(Crossing::Never | Crossing::Within { .. }) => None,
        None => Some(page.t("capacity.report.unknown")),
    }
}

/// The step that follows: what the register says, else the proposal that is open or decided.
fn follow_up(page: &Page, one: &Measured) -> Option<String> {
    if !one.note.is_empty() {
        return Some(one.note.clone());
    }
    let proposal = one
        .proposal
        .as_ref()
        .filter(|p| matches!(p.status, Status::Open | Status::Accepted | Status::Changed))?;
    let status = page.t(&format!("capacity.proposal.status.{}", proposal.status.code()));
    Some(format!("{} ({status})", plan_pages::what(page, &proposal.what, &proposal.draft)))
}

fn counted_row(page: &Page, entered: &Entered) -> FormRow {
    let component = &entered.component;
    let amount = |number: Option<f64>, share: Option<f64>| match (number, share) {
        (Some(number), Some(share)) => {
            format!("{} {} ({})", views::short_number(page, number), component.unit, page.percent(share))
        }
        (Some(number), None) => format!("{} {}", views::short_number(page, number), component.unit),
        (None, _) => "–".to_owned(),
    };
    let only = |text: String| [text, String::new(), String::new(), String::new()];
    let short = component.expected_percent().zip(component.threshold_percent);
    let resource = match short {
        Some((expected, threshold)) if expected >= threshold => page.t("capacity.report.short"),
        Some(_) => page.t("capacity.report.enough"),
        None => "–".to_owned(),
    };
    FormRow {
        number: 0,
        category: page
            .t_or(&format!("capacity.category.{}", component.key.resource), &component.key.resource),
        item: component.key.item.clone(),
        thresholds: percent(page, component.threshold_percent),
        watched: page.date_short(entered.at_ms),
        utilities: component.unit.clone(),
        actual: only(amount(component.used, component.used_percent())),
        ahead: only(amount(component.expected, component.expected_percent())),
        resource,
        follow_up: if component.note.is_empty() { "–".to_owned() } else { component.note.clone() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{Component, ComponentKey, HorizonPoint, Made, Reason, ResourceKey, examples};
    use crate::config::{Language, TimeZoneName};

    fn measured(kind: ResourceKind, item: &str, used: f64, forecast: bool) -> Measured {
        let horizons = vec![HorizonPoint { days: 30, p10: 40.0, p50: 42.5, p90: 45.0 }];
        Measured {
            evaluation: Evaluation {
                key: ResourceKey { instance: "web-01".to_owned(), kind, item: item.to_owned() },
                current_percent: Some(used),
                outcome: if forecast {
                    Ok(Made { horizons, ..examples::made(Crossing::Never) })
                } else {
                    Err(Reason { code: "too_short".to_owned(), have: Some(3), need: Some(24) })
                },
                ..examples::disk(0, Crossing::Never)
            },
            statistics: Some(Statistics { peak: used, mean: used, p95: used, hours: 10 }),
            note: String::new(),
            proposal: None,
        }
    }

    #[test]
    fn a_host_is_an_item_with_its_parameters_and_people_are_one_too() {
        let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
        let fs = ResourceKind::Filesystem;
        let all = [
            measured(fs, "/", 10.0, true),
            measured(fs, "/data", 80.0, true),
            measured(fs, "/boot", 5.0, false),
            measured(ResourceKind::Memory, "", 50.0, true),
            measured(ResourceKind::Cpu, "", 30.0, true),
        ];
        let people = Entered {
            component: Component {
                key: ComponentKey {
                    instance: String::new(),
                    resource: "personnel".to_owned(),
                    item: "Helpdesk".to_owned(),
                },
                unit: "orang".to_owned(),
                capacity: Some(4.0),
                used: Some(3.0),
                expected: Some(4.0),
                threshold_percent: Some(80.0),
                ..Component::default()
            },
            at_ms: 0,
            by: "user:a".to_owned(),
        };
        let rows = rows(&page, &all, &[people], "November 2026", 0);
        assert_eq!(rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(rows[0].utilities, "P1 Prosesor; P2 Memori; P3 Sistem berkas /data; P4 Sistem berkas /");
        assert_eq!(rows[0].actual, ["30,0%", "50,0%", "80,0%", "10,0%"]);
        assert_eq!(rows[0].ahead[0], "42,5% (40,0–45,0%)");
        assert_eq!(rows[1].actual, ["5,0%", "", "", ""]);
        assert_eq!(rows[1].resource, "P1 belum dapat diprakirakan");
        assert_eq!((rows[2].category.as_str(), rows[2].actual[0].as_str()), ("Personil", "3 orang (75,0%)"));
        assert_eq!(rows[2].resource, page.t("capacity.report.short"));
    }
}
