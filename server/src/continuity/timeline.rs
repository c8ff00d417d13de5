//! The course of a drill as a picture: one lane a probe, one for steps, one for the rollback. Pure: facts in, SVG out.

use askama::Template;

use super::journal::{Entry as JournalEntry, Fact};
use super::measure::Point;
use super::plan::Plan;
use crate::console::Page;
use crate::http::ApiError;
use crate::time::{Millis, SECOND_MS};

/// Width of the picture, and what lies left and right of the part where time runs.
const WIDTH: f64 = 900.0;
const LEFT: f64 = 170.0;
const RIGHT: f64 = 40.0;
const LANE_HEIGHT: f64 = 34.0;
const TOP: f64 = 14.0;
/// Marks of time along the bottom.
const TICKS: i64 = 6;
/// Bars of one lane; a service that flaps more often than this is drawn up to here.
const MAX_BARS: usize = 500;

#[derive(Clone, Copy)]
struct Scale {
    from_ms: Millis,
    to_ms: Millis,
}

impl Scale {
    fn x(self, at_ms: Millis) -> f64 {
        let share = (at_ms - self.from_ms) as f64 / (self.to_ms - self.from_ms).max(1) as f64;
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }
}

struct Bar {
    x: String,
    width: String,
    colour: &'static str,
    title: String,
}

struct Lane {
    y: f64,
    text_y: f64,
    name: String,
    bars: Vec<Bar>,
}

struct Tick {
    x: String,
    text: String,
}

#[derive(Template)]
#[template(path = "continuity/timeline.svg", escape = "html")]
struct Timeline {
    width: f64,
    height: f64,
    axis_y: f64,
    tick_y: f64,
    name: String,
    lanes: Vec<Lane>,
    ticks: Vec<Tick>,
}

const GOOD: &str = "#2e7d32";
const BAD: &str = "#c62828";
const ACT: &str = "#6a4c93";
const BACK: &str = "#1565c0";

/// The picture; empty if nothing happened.
pub(super) fn render(
    page: &Page,
    plan: Option<&Plan>,
    entries: &[JournalEntry],
    traces: &[(String, Vec<Point>)],
) -> Result<String, ApiError> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(String::new()) };
    let scale = Scale { from_ms: first.at_ms, to_ms: last.at_ms.max(first.at_ms + SECOND_MS) };
    let said = |name: &str| plan.map_or(name, |plan| plan.say(page.lang(), name)).to_owned();
    let mut lanes: Vec<(String, Vec<Bar>)> =
        traces.iter().map(|(probe, points)| (said(probe), probe_bars(page, points, scale))).collect();
    let name = |index: usize| {
        plan.and_then(|plan| plan.steps.get(index))
            .map_or_else(|| format!("#{}", index + 1), |step| said(&step.name))
    };
    lanes.push((page.t("continuity.lane.steps"), act_bars(entries, scale, &name, false)));
    lanes.push((page.t("continuity.lane.rollback"), act_bars(entries, scale, &name, true)));
    let axis_y = TOP + lanes.len() as f64 * LANE_HEIGHT;
    let lanes = (0_u32..)
        .zip(lanes)
        .map(|(index, (name, bars))| {
            let y = TOP + f64::from(index) * LANE_HEIGHT;
            Lane { y, text_y: y + 15.0, name: shorten(&name), bars }
        })
        .collect();
    let ticks = (0..=TICKS)
        .map(|index| {
            let at = scale.from_ms + (scale.to_ms - scale.from_ms) * index / TICKS;
            let seconds = page.number((at - scale.from_ms) as f64 / 1_000.0, 1);
            Tick { x: format!("{:.1}", scale.x(at)), text: page.tv("unit.seconds", &[("n", &seconds)]) }
        })
        .collect();
    let picture = Timeline {
        width: WIDTH,
        height: axis_y + 30.0,
        axis_y,
        tick_y: axis_y + 18.0,
        name: page.t("continuity.timeline"),
        lanes,
        ticks,
    };
    Ok(picture.render().map_err(anyhow::Error::from)?)
}

/// Names are cut so that they stay beside their lane.
fn shorten(name: &str) -> String {
    const LONGEST: usize = 24;
    if name.chars().count() <= LONGEST {
        return name.to_owned();
    }
    name.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn bar(scale: Scale, from_ms: Millis, to_ms: Millis, colour: &'static str, title: String) -> Bar {
    let (from, to) = (scale.x(from_ms), scale.x(to_ms));
    Bar { x: format!("{from:.1}"), width: format!("{:.1}", (to - from).max(1.5)), colour, title }
}

/// Neighbouring answers of the same kind are one bar, which lasts until the next one begins.
fn probe_bars(page: &Page, points: &[Point], scale: Scale) -> Vec<Bar> {
    let text = |good| page.t(if good { "continuity.answered" } else { "continuity.answered_not" });
    let runs: Vec<&[Point]> = points.chunk_by(|one, next| one.good() == next.good()).take(MAX_BARS).collect();
    let starts = runs.iter().skip(1).map(|next| next.first().map(|point| point.0)).chain([None]);
    runs.iter()
        .zip(starts)
        .filter_map(|(run, next)| {
            let (first, last) = (run.first()?, run.last()?);
            let to_ms = next.unwrap_or(last.0 + Millis::from(last.1));
            let colour = if first.good() { GOOD } else { BAD };
            let title = format!("{}: {} ms", text(first.good()), to_ms - first.0);
            Some(bar(scale, first.0, to_ms, colour, title))
        })
        .collect()
}

fn act_bars(entries: &[JournalEntry], scale: Scale, name: &dyn Fn(usize) -> String, undo: bool) -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut open: Option<(usize, Millis)> = None;
    for entry in entries {
        let ended = match (&entry.fact, undo) {
            (Fact::StepStarted { step, .. }, false) | (Fact::UndoStarted { step, .. }, true) => {
                open.get_or_insert((*step, entry.at_ms));
                None
            }
            (Fact::StepEnded { good, .. }, false) | (Fact::UndoEnded { good, .. }, true) => Some(*good),
            (Fact::Stopped { .. } | Fact::Closed { .. }, _) => Some(false),
            _ => None,
        };
        if let (Some(good), Some((step, from))) = (ended, open) {
            let colour = match (good, undo) {
                (false, _) => BAD,
                (true, false) => ACT,
                (true, true) => BACK,
            };
            bars.push(bar(
                scale,
                from,
                entry.at_ms,
                colour,
                format!("{}: {} ms", name(step), entry.at_ms - from),
            ));
            open = None;
        }
    }
    bars
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Language, TimeZoneName};
    use crate::continuity::measure::Answer;

    #[test]
    fn an_outage_is_a_bar_of_its_own_and_names_are_escaped() {
        let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
        let answers = [Answer::Good, Answer::Connect, Answer::Connect, Answer::Good];
        let points = (0..).zip(answers).map(|(index, answer)| Point(index * 100, 5, answer)).collect();
        let opened = Fact::Opened {
            plan_id: "p".to_owned(),
            plan_sha256: String::new(),
            by: "schedule".to_owned(),
            previous: None,
        };
        let entries = [JournalEntry { at_ms: 0, fact: opened }];
        let svg = render(&page, None, &entries, &[("<depan>".to_owned(), points)]).unwrap();
        assert_eq!(svg.matches(BAD).count(), 1);
        assert_eq!(svg.matches(GOOD).count(), 2);
        assert!(svg.contains("depan") && !svg.contains("<depan>"));
    }
}
