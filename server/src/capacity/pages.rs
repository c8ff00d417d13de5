//! Pages of the forecasts: `/kapasitas` and `/kapasitas/{instance}/{resource}`.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State as Shared};
use axum::response::{Html, Redirect};

use super::calendar;
use super::calendar::pages::EventRow;
use super::evaluation::{Evaluation, Paths};
use super::http::{ItemParams, key, newest, start_refresh};
use super::live;
use super::measure::measure_history;
use super::plan_pages::{ProposalRow, ScoreRow};
use super::{Component, ComponentEntered, ComponentKey, ResourceKind, views};
use crate::access::Right;
use crate::app::App;
use crate::console::chart::{Band, Chart, Line, LineStyle, Unit};
use crate::console::{Page, PageError, Section, View, render};
use crate::http::{ApiError, Caller, Params, Routes};
use crate::records::forecast_scores::{self, Of};
use crate::records::forecasts::{self, Latest, Run};
use crate::records::{capacity_components, capacity_proposals};
use crate::time::{DAY_MS, HOUR_MS, Millis, now_ms};

/// Past forecasts shown below a chart.
const PAST_SHOWN: usize = 30;
/// Past forecasts read for it: several may stand on the same hours.
const PAST_READ: u32 = 120;
/// Scores of a component that its page sums up, newest first.
const SCORES_READ: u32 = 3_000;
/// Most points of a line for short stretches; more would not be seen.
const CHART_POINTS: usize = 480;
/// Stretches longer than this are shown by the day: the hours of many days would only fill the picture.
const DAILY_FROM_DAYS: usize = 45;
/// Hours of a day.
const DAY: usize = 24;
/// Days of the forecast that the chart shows at least.
const CHART_DAYS: usize = 30;
/// How long the button waits for the pass before the list is shown again.
const BUTTON_WAIT: Duration = Duration::from_secs(5);

pub(super) fn routes() -> Routes {
    Routes::new()
        .page("/kapasitas", Right::ViewCapacity, "forecasts, the most urgent first", list)
        .form("/kapasitas", Right::PlanCapacity, "make all forecasts anew", refresh)
        .page("/kapasitas/{instance}/{resource}", Right::ViewCapacity, "one forecast with its chart", show)
}

/// A row of the list, worded.
struct ListRow {
    instance: String,
    resource: String,
    address: String,
    now: String,
    /// When that was measured, where it is past.
    as_of: Option<String>,
    threshold: String,
    /// Earliest, likely, latest, each with how far away it is; none where there is no date.
    dates: Option<[(String, String); 3]>,
    /// Why there is none.
    reason: String,
    badge: &'static str,
    state: String,
}

impl ListRow {
    fn new(page: &Page, latest: &Latest, now_ms: Millis) -> Self {
        let evaluation = &latest.evaluation;
        let made = evaluation.outcome.as_ref().ok();
        Self {
            instance: evaluation.key.instance.clone(),
            resource: views::resource_name(page, &evaluation.key),
            address: views::address(&evaluation.key),
            now: now_text(page, evaluation),
            as_of: views::as_of(page, evaluation),
            threshold: page.percent(evaluation.threshold_percent),
            dates: made.and_then(|made| views::dates_and_distances(page, made, now_ms)),
            reason: views::without_dates(page, evaluation),
            badge: evaluation.state.badge(),
            state: page.t(&format!("capacity.state.{}", evaluation.state.code())),
        }
    }
}

fn now_text(page: &Page, evaluation: &Evaluation) -> String {
    evaluation.current_percent.map_or_else(|| "–".to_owned(), |now| views::amount(page, evaluation, now))
}

#[derive(Template)]
#[template(path = "capacity/list.html")]
struct ListTemplate<'a> {
    page: &'a Page,
    rows: &'a [ListRow],
    made: String,
    running: Option<String>,
    may_plan: bool,
    /// Whether something is too new for a forecast.
    young: bool,
}

fn made_text(page: &Page, run: Option<&Run>, now_ms: Millis) -> String {
    // The run at the start of a new server came before the first samples.
    let Some(run) = run.filter(|run| run.resources > 0) else { return page.t("capacity.no_run") };
    page.tv(
        "capacity.last_run",
        &[
            ("when", &page.datetime(run.started_at_ms)),
            ("ago", &page.ago(run.started_at_ms, now_ms)),
            ("duration", &page.duration(run.duration_ms)),
            ("resources", &run.resources.to_string()),
            ("refused", &run.refused.to_string()),
        ],
    )
}

async fn list(Shared(app): Shared<App>, view: View) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let (latest, run) = newest(&app).await.map_err(|e| PageError::new(&page, e))?;
    let now = now_ms();
    let rows: Vec<ListRow> = latest.iter().map(|latest| ListRow::new(&page, latest, now)).collect();
    let running = app.forecasting.progress().map(|progress| {
        let (done, total) = (progress.done.to_string(), progress.total.to_string());
        page.tv("capacity.running", &[("done", &done), ("total", &total)])
    });
    let template = ListTemplate {
        page: &page,
        rows: &rows,
        made: made_text(&page, run.as_ref(), now),
        running,
        may_plan: page.may(Right::PlanCapacity),
        young: latest
            .iter()
            .any(|one| one.evaluation.outcome.as_ref().is_err_and(|reason| reason.code == "too_short")),
    };
    render(&template).map_err(|e| PageError::new(&page, e))
}

async fn refresh(
    Shared(app): Shared<App>,
    view: View,
    Caller(principal): Caller,
) -> Result<Redirect, PageError> {
    let page = view.page(Section::Capacity);
    let started = start_refresh(&app, principal.actor(), BUTTON_WAIT).await;
    started.map_err(|e| PageError::new(&page, e))?;
    Ok(Redirect::to("/kapasitas"))
}

#[derive(Template)]
#[template(path = "capacity/show.html")]
struct ShowTemplate<'a> {
    page: &'a Page,
    title: String,
    instance: &'a str,
    badge: &'static str,
    state: String,
    chart: String,
    reason: Option<String>,
    facts: Vec<(String, String)>,
    remarks: Vec<String>,
    past: Vec<PastRow>,
    /// Whether it is a filesystem: what is used of one needs a word.
    filesystem: bool,
    /// Known events that the chart marks.
    events: Vec<EventRow>,
    key: &'a super::ResourceKey,
    /// What people entered about it.
    entered: Option<ComponentEntered>,
    may_plan: bool,
    scores: Vec<ScoreRow>,
    proposal: Option<ProposalRow>,
}

impl ShowTemplate<'_> {
    fn component(&self) -> Component {
        self.entered.as_ref().map(|entered| entered.component.clone()).unwrap_or_default()
    }

    fn entered_when(&self) -> String {
        let Some(entered) = &self.entered else { return self.page.t("capacity.component.not_entered") };
        let (who, when) = (self.page.actor(&entered.by), self.page.datetime(entered.at_ms));
        self.page.tv("assets.entered_by", &[("who", &who), ("when", &when)])
    }
}

/// A past forecast, worded.
struct PastRow {
    made: String,
    now: String,
    likely: String,
    model: String,
    badge: &'static str,
    state: String,
}

impl PastRow {
    fn new(page: &Page, evaluation: &Evaluation) -> Self {
        let likely = match &evaluation.outcome {
            Ok(made) => {
                let [_, likely, _] = views::dates(page, made, evaluation.made_at_ms);
                likely
            }
            Err(reason) => views::reason(page, reason),
        };
        Self {
            made: page.datetime(evaluation.made_at_ms),
            now: now_text(page, evaluation),
            likely,
            model: evaluation.outcome.as_ref().map(|made| views::model(page, made)).unwrap_or_default(),
            badge: evaluation.state.badge(),
            state: page.t(&format!("capacity.state.{}", evaluation.state.code())),
        }
    }
}

/// The newest forecast of each hour of data. A start of the server, a new host and a person's wish make further ones,
/// which stand on the same hours and say the same. `past` is in order, the newest first.
fn one_an_hour(mut past: Vec<Evaluation>) -> Vec<Evaluation> {
    past.dedup_by_key(|evaluation| evaluation.data_end_ms);
    past.truncate(PAST_SHOWN);
    past
}

fn facts(page: &Page, latest: &Latest, now_ms: Millis) -> Vec<(String, String)> {
    let evaluation = &latest.evaluation;
    let now = now_text(page, evaluation);
    let now = views::as_of(page, evaluation).map_or(now.clone(), |as_of| format!("{now}, {as_of}"));
    let mut facts = vec![("capacity.use", now)];
    facts.push(("capacity.threshold", views::amount(page, evaluation, evaluation.threshold_percent)));
    if let Ok(made) = &evaluation.outcome {
        let [earliest, likely, last] = views::dates(page, made, now_ms);
        let chance = |p: f64| page.percent(p * 100.0);
        let [d7, d30, d90] = made.breach.map(chance);
        let growth = page.tv("capacity.growth_value", &[("n", &page.number(made.trend_percent_per_day, 2))]);
        let growth = if made.significant { growth } else { page.t("capacity.no_growth") };
        let coverage = made.coverage.map_or_else(|| "–".to_owned(), chance);
        facts.extend([
            ("capacity.earliest", earliest),
            ("capacity.likely", likely),
            ("capacity.latest", last),
            ("capacity.breach", page.tv("capacity.breach_value", &[("a", &d7), ("b", &d30), ("c", &d90)])),
            ("capacity.growth", growth),
            ("capacity.model", views::model(page, made)),
            ("capacity.error", views::error(page, made)),
            ("capacity.coverage", coverage),
        ]);
    }
    facts.push(("capacity.known_hours", evaluation.known_hours.to_string()));
    facts.push(("capacity.made_at", page.datetime(evaluation.made_at_ms)));
    if let Some(since) = latest.memory.since_ms {
        facts.push(("capacity.signal_since", page.datetime(since)));
    }
    facts.into_iter().map(|(key, value)| (page.t(key), value)).collect()
}

async fn show(
    Shared(app): Shared<App>,
    view: View,
    Path((instance, resource)): Path<(String, String)>,
    Params(params): Params<ItemParams>,
) -> Result<Html<String>, PageError> {
    let page = view.page(Section::Capacity);
    let failed = |error: ApiError| PageError::new(&page, error);
    let key = key(instance, &resource, params.item).map_err(failed)?;
    let wanted = key.clone();
    let found = app.records.run(move |db| {
        let found = forecasts::one(db, &wanted)?;
        let found = found
            .ok_or_else(|| ApiError::not_found(format!("{} on {}", wanted.component(), wanted.instance)))?;
        let plan = (
            capacity_components::get(db, &ComponentKey::from(&wanted))?,
            forecast_scores::list(db, Of::Component(&wanted), 0, SCORES_READ)?,
            capacity_proposals::newest_of(db, &wanted)?,
        );
        Ok::<_, ApiError>((found, forecasts::past(db, &wanted, PAST_READ)?, plan))
    });
    let ((mut latest, paths), past, (entered, scores, proposal)) = found.await.map_err(failed)?;
    let past = one_an_hour(past);
    live::judge(&app, std::slice::from_mut(&mut latest)).await;
    let config = app.config.current().capacity.clone();
    let history = measure_history(&app.metrics, &key, &config, now_ms())
        .await
        .map_err(|error| failed(anyhow::Error::from(error).into()))?;
    let full = latest.evaluation.full;
    let measured: Vec<(Millis, f64)> = (0..)
        .zip(&history.values)
        .map(|(hour, value)| (history.start_ms + hour * HOUR_MS, value / full * 100.0))
        .collect();
    let title = format!("{} · {}", views::resource_name(&page, &key), key.instance);
    let evaluation = &latest.evaluation;
    let mut chart = chart(&page, &title, evaluation, &measured, paths.as_ref());
    let events = match shown(&chart) {
        Some((from_ms, to_ms)) => {
            calendar::around(&app, &page, from_ms, to_ms).await.map_err(|e| failed(e.into()))?
        }
        None => Vec::new(),
    };
    chart.marks = calendar::pages::marks(&page, &events);
    let remarks = evaluation.outcome.iter().flat_map(|made| &made.remarks);
    let past = past.iter().map(|evaluation| PastRow::new(&page, evaluation)).collect();
    let template = ShowTemplate {
        page: &page,
        instance: &key.instance,
        badge: evaluation.state.badge(),
        state: page.t(&format!("capacity.state.{}", evaluation.state.code())),
        chart: chart.render(&page),
        reason: evaluation.outcome.as_ref().err().map(|reason| views::reason(&page, reason)),
        facts: facts(&page, &latest, now_ms()),
        remarks: remarks.map(|remark| views::remark(&page, remark)).collect(),
        past,
        filesystem: key.kind == ResourceKind::Filesystem,
        events: events.iter().map(|event| EventRow::new(&page, event)).collect(),
        key: &key,
        entered,
        may_plan: page.may(Right::PlanCapacity),
        scores: ScoreRow::by_distance(&page, &super::summarise(&scores)),
        proposal: proposal.map(|proposal| ProposalRow::new(&page, &proposal)),
        title,
    };
    render(&template).map_err(failed)
}

fn chart(
    page: &Page,
    title: &str,
    evaluation: &Evaluation,
    measured: &[(Millis, f64)],
    paths: Option<&Paths>,
) -> Chart {
    let hours = paths.map_or(0, |paths| hours_shown(evaluation, paths));
    let step = bucket_hours(measured.len() + hours);
    // Whole buckets up to the end: half a day has half a peak.
    let measured = &measured[measured.len() % step..];
    let measured_label = if step == DAY { "capacity.measured_daily" } else { "capacity.measured" };
    let mut chart = Chart {
        title: title.to_owned(),
        unit: Unit::Percent,
        lines: vec![Line {
            label: page.t(measured_label),
            points: peaks(measured, step),
            style: LineStyle::Main,
        }],
        bands: Vec::new(),
        thresholds: vec![(page.t("capacity.threshold"), evaluation.threshold_percent)],
        marks: Vec::new(),
        window: None,
        wide: true,
    };
    if let Some(paths) = paths {
        let path = |values: &[f64]| {
            let points = (0..).zip(values.iter().take(hours));
            let points: Vec<_> = points.map(|(hour, v)| (paths.start_ms + hour * HOUR_MS, *v)).collect();
            peaks(&points, step)
        };
        // Beside the measured peaks of days stand those that are foretold, not the largest of the hours' paths.
        let by_day = |(day, peak): (i64, &[f64; 3])| (paths.start_ms + day * DAY_MS, *peak);
        let [low, mid, high] = if step == DAY && !paths.peaks.is_empty() {
            let days: Vec<_> = (0..).zip(paths.peaks.iter().take(hours / DAY)).map(by_day).collect();
            [0, 1, 2].map(|which| days.iter().map(|(at, peak)| (*at, peak[which])).collect())
        } else {
            [path(&paths.p10), path(&paths.p50), path(&paths.p90)]
        };
        let (interval, median) = if step == DAY {
            ("capacity.interval_daily", "capacity.median_daily")
        } else {
            ("capacity.interval", "capacity.median")
        };
        chart.bands.push(Band {
            label: page.t(interval),
            points: low.iter().zip(&high).map(|((at, low), (_, high))| (*at, *low, *high)).collect(),
        });
        chart.lines.push(Line { label: page.t(median), points: mid, style: LineStyle::Dashed });
    }
    chart
}

/// The stretch of time that a chart shows; none without a point.
fn shown(chart: &Chart) -> Option<(Millis, Millis)> {
    let times = || chart.lines.iter().flat_map(|line| line.points.iter().map(|(at, _)| *at));
    Some((times().min()?, times().max()?))
}

/// Hours of the forecast to show: up to beyond the likely date, but at least [`CHART_DAYS`].
fn hours_shown(evaluation: &Evaluation, paths: &Paths) -> usize {
    let likely = match evaluation.outcome.as_ref().map(|made| made.crossing) {
        Ok(super::Crossing::Within { likely_ms: Some(likely), .. }) => (likely - paths.start_ms) / HOUR_MS,
        _ => 0,
    };
    let wanted = usize::try_from(likely).unwrap_or(0) * 5 / 4;
    wanted.max(CHART_DAYS * 24).min(paths.p50.len()).min(paths.p10.len()).min(paths.p90.len())
}

/// Hours that become one point, so that a chart can be read: whole days for long stretches, else as few as fit.
fn bucket_hours(hours: usize) -> usize {
    if hours > DAILY_FROM_DAYS * DAY { DAY } else { hours.div_ceil(CHART_POINTS).max(1) }
}

/// The largest value of each bucket, because peaks are what capacity is about.
fn peaks(points: &[(Millis, f64)], bucket: usize) -> Vec<(Millis, f64)> {
    let largest = |chunk: &[(Millis, f64)]| {
        let start = chunk.first().map_or(0, |(at, _)| *at);
        (start, chunk.iter().map(|(_, value)| *value).fold(f64::NAN, f64::max))
    };
    points.chunks(bucket).map(largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_keeps_its_peak_and_a_gap_stays_one() {
        let points: Vec<(Millis, f64)> = [1.0, 9.0, f64::NAN, 2.0, f64::NAN, f64::NAN, 3.0]
            .into_iter()
            .enumerate()
            .map(|(i, v)| (i as i64, v))
            .collect();
        let peaks = peaks(&points, 2);
        assert_eq!(peaks[..2], [(0, 9.0), (2, 2.0)]);
        assert!(peaks[2].1.is_nan());
        assert_eq!(peaks[3], (6, 3.0));
    }

    #[test]
    fn long_stretches_are_shown_by_the_day() {
        for (hours, bucket) in
            [(0, 1), (24, 1), (480, 1), (481, 2), (45 * 24, 3), (45 * 24 + 1, 24), (5_000, 24)]
        {
            assert_eq!(bucket_hours(hours), bucket, "{hours}");
        }
    }
}
