//! Forecasts that call for action, worded and handed to the incidents.

use super::signal_rule::{Urgency, urgency};
use super::views;
use crate::app::App;
use crate::config::Language;
use crate::console::Page;
use crate::incidents::{Severity, Signal, SignalSource};
use crate::records::forecasts::{self, Latest};
use crate::time::Millis;

/// Words the signals among the newest evaluations. `pages` are an Indonesian and an English one.
fn signals(latest: &[Latest], pages: [&Page; 2], now_ms: Millis) -> Vec<Signal> {
    latest.iter().filter_map(|latest| signal(latest, pages, now_ms)).collect()
}

fn signal(latest: &Latest, pages: [&Page; 2], now_ms: Millis) -> Option<Signal> {
    let started_at_ms = latest.memory.since_ms?;
    let evaluation = &latest.evaluation;
    let key = &evaluation.key;
    let values = |page: &Page| -> Vec<(&'static str, String)> {
        let none = || ["–"; 3].map(str::to_owned);
        let made = evaluation.outcome.as_ref().ok();
        let [earliest, likely, latest] = made.map_or_else(none, |made| views::dates(page, made, now_ms));
        let growth = made.map_or(0.0, |made| made.trend_percent_per_day);
        vec![
            ("resource", views::resource_name(page, key)),
            ("instance", key.instance.clone()),
            ("threshold", page.percent(evaluation.threshold_percent)),
            (
                "now",
                evaluation
                    .current_percent
                    .map_or_else(|| "–".to_owned(), |now| views::amount(page, evaluation, now)),
            ),
            ("growth", page.number(growth, 2)),
            ("earliest", earliest),
            ("likely", likely),
            ("latest", latest),
            (
                "reason",
                evaluation.outcome.as_ref().err().map_or_else(String::new, |why| views::reason(page, why)),
            ),
        ]
    };
    let word = |page: &Page, text: &str| {
        let values = values(page);
        let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        page.tv(text, &values)
    };
    let [title_id, title_en] = pages.map(|page| word(page, "capacity.signal.title"));
    let detail = match evaluation.outcome {
        Ok(_) => "capacity.signal.detail",
        // The signal lasts until new data say otherwise.
        Err(_) => "capacity.signal.detail_unknown",
    };
    let [detail_id, detail_en] = pages.map(|page| word(page, detail));
    Some(Signal {
        key: format!("{}/{}", key.instance, key.component()),
        instance: Some(key.instance.clone()),
        component: key.component(),
        severity: match urgency(evaluation) {
            Urgency::Warning => Severity::Warning,
            Urgency::Critical => Severity::Critical,
        },
        title_id,
        title_en,
        detail_id,
        detail_en,
        value: evaluation.current_percent,
        started_at_ms,
    })
}

/// Hands the complete set of forecast signals to the incidents.
///
/// # Errors
/// If the records fail.
pub(super) async fn hand_over(app: &App) -> anyhow::Result<()> {
    let latest = app.records.run(|db| forecasts::latest(db)).await?;
    let console = app.config.current().console.clone();
    let page = |language| {
        Page::detached(language, &console.organisation, console.time_zone.clone(), console.simulation)
    };
    let (id, en) = (page(Language::Indonesian), page(Language::English));
    let signals = signals(&latest, [&id, &en], crate::time::now_ms());
    crate::incidents::sync(app, SignalSource::Forecast, signals).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::{
        Crossing, Evaluation, Made, ResourceKey, ResourceKind, SignalMemory, Standing, State,
    };
    use crate::config::TimeZoneName;
    use crate::time::DAY_MS;

    #[test]
    fn a_signal_is_worded_in_both_languages_and_no_signal_is_silent() {
        let page = |language| Page::detached(language, "LPSE", TimeZoneName::default(), false);
        let (id, en) = (page(Language::Indonesian), page(Language::English));
        let made = Made {
            crossing: Crossing::Within {
                earliest_ms: Some(5 * DAY_MS),
                likely_ms: Some(8 * DAY_MS),
                latest_ms: None,
            },
            breach: [0.0; 3],
            model: String::new(),
            mase: None,
            smape: None,
            coverage: None,
            trend_percent_per_day: 1.25,
            significant: true,
            remarks: Vec::new(),
            horizons: Vec::new(),
        };
        let evaluation = Evaluation {
            key: ResourceKey {
                instance: "db".to_owned(),
                kind: ResourceKind::Filesystem,
                item: "/data".to_owned(),
            },
            made_at_ms: 0,
            data_end_ms: 0,
            known_hours: 100,
            full: 100.0 * 1024.0,
            threshold_percent: 90.0,
            current_percent: Some(80.0),
            standing: Standing::Firm,
            state: State::Warning,
            outcome: Ok(made),
        };
        let with = |since_ms| Latest {
            evaluation: evaluation.clone(),
            memory: SignalMemory { running: 0, counted_ms: 0, since_ms },
        };
        let found = signals(&[with(None), with(Some(7))], [&id, &en], 0);
        assert_eq!(found.len(), 1);
        let signal = &found[0];
        assert_eq!((signal.component.as_str(), signal.started_at_ms), ("filesystem:/data", 7));
        assert_eq!(signal.severity, Severity::Warning);
        assert_eq!(signal.title_id, "Sistem berkas /data di db diperkirakan mencapai ambang 90,0%");
        assert_eq!(signal.title_en, "Filesystem /data on db is forecast to reach its threshold of 90.0%");
        assert!(signal.detail_id.contains("9 Januari 1970 (8,0 hari lagi)"), "{}", signal.detail_id);
        let mut refused = with(Some(7));
        refused.evaluation.outcome = Err(crate::capacity::Reason::plain("unconfirmed"));
        let unknown = &signals(&[refused], [&id, &en], 0)[0];
        assert!(unknown.detail_id.contains("80,0%") && unknown.detail_id.contains("belum cukup"));
        assert!(
            !unknown.detail_id.contains('–') && !unknown.detail_id.contains("%{"),
            "{}",
            unknown.detail_id
        );
        assert!(!signal.detail_id.contains("%{") && !signal.detail_en.contains("%{"), "{}", signal.detail_en);
    }
}
