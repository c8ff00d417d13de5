//! What pages and incidents say about an evaluation, in the viewer's words. Pure.

use super::evaluation::{Crossing, Evaluation, Made, Reason, Remark};
use super::resource::ResourceKey;
use crate::console::Page;
use crate::http::{ApiError, encode_component};
use crate::time::{DAY_MS, Millis};

/// Name of a resource: `Sistem berkas /data`.
pub(crate) fn resource_name(page: &Page, key: &ResourceKey) -> String {
    let kind = page.t(&format!("capacity.resource.{}", key.kind.code()));
    if key.item.is_empty() { kind } else { format!("{kind} {}", key.item) }
}

/// Address of a resource's page.
pub(crate) fn address(key: &ResourceKey) -> String {
    let instance = encode_component(&key.instance).replace('/', "%2F");
    let path = format!("/kapasitas/{instance}/{}", key.kind.code());
    if key.item.is_empty() { path } else { format!("{path}?item={}", encode_component(&key.item)) }
}

/// A date with its distance, or the words for none.
pub(crate) fn date(page: &Page, at_ms: Option<Millis>, now_ms: Millis) -> String {
    let Some(at_ms) = at_ms else { return page.t("capacity.not_within_a_year") };
    let days = distance(page, at_ms, now_ms);
    page.tv("capacity.date", &[("date", &page.date(at_ms)), ("days", &days)])
}

/// The three dates of a forecast, each with its distance; `None` if it has no date at all.
pub(super) fn dates_and_distances(page: &Page, made: &Made, now_ms: Millis) -> Option<[(String, String); 3]> {
    let split = |at: Option<Millis>| match at {
        Some(at) => {
            (page.date_short(at), page.tv("capacity.distance", &[("days", &distance(page, at, now_ms))]))
        }
        None => (page.t("capacity.not_within_a_year"), String::new()),
    };
    match made.crossing {
        Crossing::Past | Crossing::Never => None,
        Crossing::Within { earliest_ms, likely_ms, latest_ms } => {
            Some([earliest_ms, likely_ms, latest_ms].map(split))
        }
    }
}

/// What stands where there is no date: that it is passed, that it is far off, or why there is no forecast.
pub(super) fn without_dates(page: &Page, evaluation: &Evaluation) -> String {
    match &evaluation.outcome {
        Ok(Made { crossing: Crossing::Past, .. }) => page.t("capacity.past"),
        Ok(_) => page.t("capacity.not_within_a_year"),
        Err(_) if evaluation.is_exceeded() => page.t("capacity.past"),
        Err(why) => reason(page, why),
    }
}

/// Days until a time.
fn distance(page: &Page, at_ms: Millis, now_ms: Millis) -> String {
    let days = (at_ms - now_ms).max(0) as f64 / DAY_MS as f64;
    page.number(days, usize::from(days < 10.0))
}

/// The three dates of a forecast.
pub(super) fn dates(page: &Page, made: &Made, now_ms: Millis) -> [String; 3] {
    match made.crossing {
        Crossing::Past => [page.t("capacity.past"), page.t("capacity.past"), page.t("capacity.past")],
        Crossing::Never => {
            let never = page.t("capacity.not_within_a_year");
            [never.clone(), never.clone(), never]
        }
        Crossing::Within { earliest_ms, likely_ms, latest_ms } => {
            [earliest_ms, likely_ms, latest_ms].map(|at| date(page, at, now_ms))
        }
    }
}

/// Why there is no forecast.
pub(super) fn reason(page: &Page, reason: &Reason) -> String {
    let number = |number: Option<u64>| number.unwrap_or(0).to_string();
    page.tv(
        &format!("capacity.reason.{}", reason.code),
        &[("have", &number(reason.have)), ("need", &number(reason.need))],
    )
}

/// A remark as a sentence.
pub(super) fn remark(page: &Page, remark: &Remark) -> String {
    let number = page.number(remark.number.unwrap_or(0.0), usize::from(remark.code != "gaps"));
    let when = remark.at_ms.map(|at| page.datetime(at)).unwrap_or_default();
    page.tv(&format!("capacity.remark.{}", remark.code), &[("number", &number), ("when", &when)])
}

/// A value of a resource: bytes with the share, or the share.
pub(super) fn amount(page: &Page, evaluation: &Evaluation, percent: f64) -> String {
    match evaluation.key.kind {
        kind if kind.is_bytes() => {
            let bytes = page.bytes(evaluation.full * percent / 100.0);
            format!("{} ({bytes})", page.percent(percent))
        }
        _ => page.percent(percent),
    }
}

/// When the use of now was measured, where that is past: `per 12 Nov 2026 10.15`.
pub(super) fn as_of(page: &Page, evaluation: &Evaluation) -> Option<String> {
    let at_ms = evaluation.standing.late_ms().filter(|_| evaluation.current_percent.is_some())?;
    Some(page.tv("capacity.as_of", &[("when", &page.datetime_short(at_ms))]))
}

/// Name of a model for people; the code where it has none.
pub(super) fn model(page: &Page, made: &Made) -> String {
    model_name(page, &made.model)
}

/// Name of a model by its code.
pub(super) fn model_name(page: &Page, code: &str) -> String {
    match code {
        code @ ("robust_trend" | "level" | "combination") => page.t(&format!("capacity.model.{code}")),
        code => code.to_owned(),
    }
}

impl Page {
    /// The pages of this capability: address, text, whether it is the current one.
    #[must_use]
    pub fn capacity_tabs(&self) -> Vec<(&'static str, String, bool)> {
        let here = self.path().split('?').next().unwrap_or_default();
        [
            ("/kapasitas", "capacity.tab.forecasts"),
            ("/kapasitas/usulan", "capacity.tab.proposals"),
            ("/kapasitas/layanan", "capacity.tab.services"),
            ("/kapasitas/komponen", "capacity.tab.components"),
            ("/kapasitas/penilaian", "capacity.tab.scores"),
            ("/kapasitas/kalender", "capacity.tab.calendar"),
            ("/kapasitas/laporan", "capacity.tab.report"),
        ]
        .map(|(address, key)| {
            let below = here.strip_prefix(address).is_some_and(|rest| rest.starts_with('/'));
            (address, self.t(key), here == address || (below && address != "/kapasitas"))
        })
        .to_vec()
    }
}

/// A number with a decimal only where one is needed.
pub(super) fn short_number(page: &Page, number: f64) -> String {
    page.number(number, usize::from(number.fract() != 0.0))
}

/// A day as a date field of a form has it: `2026-11-24`, in the zone of the office.
pub(super) fn date_field(page: &Page, at_ms: Millis) -> String {
    jiff::Timestamp::from_millisecond(at_ms)
        .map(|at| at.to_zoned(page.zone().clone()).date().to_string())
        .unwrap_or_default()
}

/// The start of the day of a date field; none for an empty one.
pub(super) fn read_date_field(
    page: &Page,
    field: &'static str,
    text: &str,
) -> Result<Option<Millis>, ApiError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let wrong = |_| ApiError::bad_request(format!("{text:?} is not a date like 2026-11-24")).at(field);
    let day = text.parse::<jiff::civil::Date>().map_err(wrong)?;
    let start = day.to_zoned(page.zone().clone()).map_err(wrong)?;
    Ok(Some(start.timestamp().as_millisecond()))
}

/// How good the model was on the past that it had not seen.
pub(super) fn error(page: &Page, made: &Made) -> String {
    made.smape.map_or_else(|| "–".to_owned(), |smape| page.percent(smape))
}

/// Order of the list: by state, then by the likely date, then by use, the fullest first.
pub(super) fn urgency(evaluation: &Evaluation) -> (super::State, Millis, i64) {
    let likely = match evaluation.outcome.as_ref().map(|made| made.crossing) {
        Ok(Crossing::Past) => Millis::MIN,
        Ok(Crossing::Within { likely_ms: Some(likely), .. }) => likely,
        _ => Millis::MAX,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a percentage in hundredths")]
    let used = (evaluation.current_percent.unwrap_or(-1.0) * 100.0) as i64;
    (evaluation.state, likely, -used)
}

#[cfg(test)]
mod tests {
    use super::super::resource::ResourceKind;
    use super::*;
    use crate::capacity::{State, examples};
    use crate::config::{Language, TimeZoneName};

    fn evaluation(state: State, likely_ms: Option<Millis>, used: f64) -> Evaluation {
        let crossing = Crossing::Within { earliest_ms: likely_ms, likely_ms, latest_ms: None };
        let outcome = match likely_ms {
            None => Err(Reason { code: "too_short".to_owned(), have: Some(3), need: Some(24) }),
            Some(_) => Ok(examples::made(crossing)),
        };
        let key = ResourceKey {
            instance: "a b/c".to_owned(),
            kind: ResourceKind::Filesystem,
            item: "/x y".to_owned(),
        };
        Evaluation { key, state, current_percent: Some(used), outcome, ..examples::disk(0, crossing) }
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let mut all = [
            evaluation(State::Normal, Some(5), 90.0),
            evaluation(State::Unknown, None, 80.0),
            evaluation(State::Warning, Some(9), 10.0),
            evaluation(State::Warning, Some(2), 10.0),
            evaluation(State::Unknown, None, 85.0),
            evaluation(State::Critical, Some(7), 10.0),
        ];
        all.sort_by_key(urgency);
        let order: Vec<_> = all.iter().map(|e| (e.state, e.current_percent.unwrap())).collect();
        assert_eq!(
            order,
            [
                (State::Critical, 10.0),
                (State::Warning, 10.0),
                (State::Warning, 10.0),
                (State::Unknown, 85.0),
                (State::Unknown, 80.0),
                (State::Normal, 90.0)
            ]
        );
    }

    #[test]
    fn every_code_has_its_text_in_both_languages() {
        for language in [Language::Indonesian, Language::English] {
            let page = Page::detached(language, "LPSE", TimeZoneName::default(), false);
            for code in ["too_short", "stale", "counter", "unusable", "interrupted", "unconfirmed"] {
                let text = reason(&page, &Reason { code: code.to_owned(), have: Some(3), need: Some(24) });
                assert!(!text.contains("capacity.") && !text.contains("%{"), "{text}");
            }
            for code in [
                "gaps",
                "stale",
                "outliers",
                "level_shift",
                "bend",
                "saw_tooth",
                "short_history",
                "counter",
                "constant",
            ] {
                let text =
                    remark(&page, &Remark { code: code.to_owned(), at_ms: Some(0), number: Some(2.0) });
                assert!(!text.contains("capacity.") && !text.contains("%{"), "{text}");
            }
            for state in State::ALL {
                assert!(!page.t(&format!("capacity.state.{}", state.code())).contains("capacity."));
            }
            for kind in ResourceKind::ALL {
                assert!(!page.t(&format!("capacity.resource.{}", kind.code())).contains("capacity."));
            }
        }
    }

    #[test]
    fn an_address_leads_back_to_its_resource() {
        assert_eq!(
            address(&evaluation(State::Normal, None, 0.0).key),
            "/kapasitas/a%20b%2Fc/filesystem?item=/x%20y"
        );
    }
}
