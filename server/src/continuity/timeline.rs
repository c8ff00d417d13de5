//! The course of a drill as a picture: one lane a probe, one for steps, one for the rollback. Pure: facts in, SVG out.

use askama::Template;

use super::journal::{Entry as JournalEntry, Fact};
use super::measure::{Point, measure};
use super::plan::Plan;
use crate::console::Page;
use crate::http::ApiError;
use crate::time::{Millis, SECOND_MS, millis};

const LANE_HEIGHT: f64 = 34.0;
const BAR_HEIGHT: f64 = 22.0;
const TOP: f64 = 14.0;
/// Bars of one lane; a service that flaps more often than this is drawn up to here.
const MAX_BARS: usize = 500;

/// How the picture is laid out; all lengths are units of the drawing, in which letters are 12 high.
#[derive(Clone, Copy)]
struct Layout {
    class: &'static str,
    width: f64,
    /// What lies left and right of the part where time runs.
    left: f64,
    right: f64,
    /// Room above each bar for the name of its lane; names stand left of the bars if there is none.
    above: f64,
    /// Letters of a name.
    longest_name: usize,
    /// Marks of time along the bottom.
    ticks: i64,
}

/// For a desk and for paper.
const WIDE: Layout =
    Layout { class: "wide", width: 900.0, left: 170.0, right: 40.0, above: 0.0, longest_name: 24, ticks: 6 };
/// For a phone, drawn at about its own size.
const NARROW: Layout =
    Layout { class: "slim", width: 330.0, left: 2.0, right: 2.0, above: 16.0, longest_name: 46, ticks: 3 };

#[derive(Clone, Copy)]
struct Scale {
    from_ms: Millis,
    to_ms: Millis,
    layout: Layout,
}

impl Scale {
    fn x(self, at_ms: Millis) -> f64 {
        let share = (at_ms - self.from_ms) as f64 / (self.to_ms - self.from_ms).max(1) as f64;
        let Layout { width, left, right, .. } = self.layout;
        left + share.clamp(0.0, 1.0) * (width - left - right)
    }
}

struct Bar {
    x: String,
    width: String,
    kind: Kind,
    title: String,
}

/// What a bar says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Answered,
    AnsweredNot,
    Unmeasured,
    Acted,
    Undone,
    Failed,
}

impl Kind {
    /// In the order of the legend.
    const ALL: [Self; 6] =
        [Self::Answered, Self::AnsweredNot, Self::Unmeasured, Self::Acted, Self::Undone, Self::Failed];

    fn colour(self) -> &'static str {
        match self {
            Self::Answered => "#2e7d32",
            Self::AnsweredNot | Self::Failed => "#c62828",
            Self::Unmeasured => "none",
            Self::Acted => "#6a4c93",
            Self::Undone => "#1565c0",
        }
    }

    fn word(self, page: &Page) -> String {
        page.t(match self {
            Self::Answered => "continuity.answered",
            Self::AnsweredNot => "continuity.answered_not",
            Self::Unmeasured => "continuity.unmeasured",
            Self::Acted => "continuity.lane.steps",
            Self::Undone => "continuity.lane.rollback",
            Self::Failed => "continuity.status.failed",
        })
    }
}

struct Lane {
    y: f64,
    text_y: f64,
    name: String,
    bars: Vec<Bar>,
}

struct Tick {
    x: String,
    anchor: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "continuity/timeline.svg", escape = "html")]
struct Timeline {
    layout: Layout,
    height: f64,
    bar_height: f64,
    axis_y: f64,
    axis_end: f64,
    tick_y: f64,
    name: String,
    lanes: Vec<Lane>,
    ticks: Vec<Tick>,
}

/// The picture for a desk and the one for a phone, with what their colours say; empty if nothing happened.
pub(super) fn render(
    page: &Page,
    plan: Option<&Plan>,
    entries: &[JournalEntry],
    traces: &[(String, Vec<Point>)],
) -> Result<Pictures, ApiError> {
    let wide = picture(page, plan, entries, traces, WIDE)?;
    let narrow = picture(page, plan, entries, traces, NARROW)?;
    let mut found: Vec<Kind> = Vec::new();
    for (kinds, _) in [&wide, &narrow].into_iter().flatten() {
        found.extend(kinds);
    }
    let legend = Kind::ALL
        .into_iter()
        .filter(|kind| found.contains(kind))
        .map(|kind| (kind.colour(), kind.word(page)))
        .collect();
    let svg = [wide, narrow].into_iter().flatten().map(|(_, svg)| svg).collect();
    Ok(Pictures { svg, legend })
}

/// What is shown of the course of a drill.
pub(super) struct Pictures {
    /// Both pictures; the document's style shows one of them.
    pub(super) svg: String,
    /// Colours and what they say.
    pub(super) legend: Vec<(&'static str, String)>,
}

fn picture(
    page: &Page,
    plan: Option<&Plan>,
    entries: &[JournalEntry],
    traces: &[(String, Vec<Point>)],
    layout: Layout,
) -> Result<Option<(Vec<Kind>, String)>, ApiError> {
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(None) };
    let scale = Scale { from_ms: first.at_ms, to_ms: last.at_ms.max(first.at_ms + SECOND_MS), layout };
    let said = |name: &str| plan.map_or(name, |plan| plan.say(page.lang(), name)).to_owned();
    let mut lanes: Vec<(String, Vec<Bar>)> = traces
        .iter()
        .map(|(probe, points)| (said(probe), probe_bars(page, points, interval_ms(plan, probe), scale)))
        .collect();
    let name = |index: usize| {
        plan.and_then(|plan| plan.steps.get(index))
            .map_or_else(|| format!("#{}", index + 1), |step| said(&step.name))
    };
    lanes.push((page.t("continuity.lane.steps"), act_bars(entries, scale, &name, false)));
    lanes.push((page.t("continuity.lane.rollback"), act_bars(entries, scale, &name, true)));
    let kinds = lanes.iter().flat_map(|(_, bars)| bars).map(|bar| bar.kind).collect();
    let axis_y = TOP + lanes.len() as f64 * (LANE_HEIGHT + layout.above);
    let lanes = (0_u32..)
        .zip(lanes)
        .map(|(index, (name, bars))| {
            let y = TOP + layout.above + f64::from(index) * (LANE_HEIGHT + layout.above);
            let text_y = if layout.above > 0.0 { y - 5.0 } else { y + 15.0 };
            Lane { y, text_y, name: shorten(&name, layout.longest_name), bars }
        })
        .collect();
    let picture = Timeline {
        layout,
        height: axis_y + 30.0,
        bar_height: BAR_HEIGHT,
        axis_y,
        axis_end: layout.width - layout.right,
        tick_y: axis_y + 18.0,
        name: page.t("continuity.timeline"),
        lanes,
        ticks: ticks(page, scale),
    };
    Ok(Some((kinds, picture.render().map_err(anyhow::Error::from)?)))
}

fn ticks(page: &Page, scale: Scale) -> Vec<Tick> {
    let count = scale.layout.ticks;
    (0..=count)
        .map(|index| {
            let at = scale.from_ms + (scale.to_ms - scale.from_ms) * index / count;
            let seconds = page.number((at - scale.from_ms) as f64 / 1_000.0, 1);
            let anchor = match index {
                // Beside the edge there is no room for half a text.
                0 if scale.layout.left < 20.0 => "start",
                _ if index == count && scale.layout.right < 20.0 => "end",
                _ => "middle",
            };
            let text = page.tv("unit.seconds", &[("n", &seconds)]);
            Tick { x: format!("{:.1}", scale.x(at)), anchor, text }
        })
        .collect()
}

/// The pace of a probe; of one that no plan names, one second, the coarsest that is common.
fn interval_ms(plan: Option<&Plan>, probe: &str) -> Millis {
    let found = plan.and_then(|plan| plan.probes.iter().find(|known| known.name == probe));
    let marker = plan.and_then(|plan| plan.marker.as_ref()).filter(|marker| marker.name == probe);
    let found = found.map(|probe| probe.interval).or(marker.map(|marker| marker.interval));
    found.map_or(SECOND_MS, millis)
}

/// Names are cut so that they stay beside their lane.
fn shorten(name: &str, longest: usize) -> String {
    if name.chars().count() <= longest {
        return name.to_owned();
    }
    name.chars().take(longest - 1).chain(['…']).collect()
}

fn bar(scale: Scale, from_ms: Millis, to_ms: Millis, kind: Kind, title: String) -> Bar {
    let (from, to) = (scale.x(from_ms), scale.x(to_ms));
    Bar { x: format!("{from:.1}"), width: format!("{:.1}", (to - from).max(1.5)), kind, title }
}

/// A bar for each outage, as long as the tables say: from the last good question before to the first good answer after.
/// Time that was not measured is a bar of its own, and all else was answered.
fn probe_bars(page: &Page, points: &[Point], interval_ms: Millis, scale: Scale) -> Vec<Bar> {
    let found = measure("", interval_ms, points, scale.from_ms, scale.to_ms);
    let outages: Vec<Span> =
        found.gaps.iter().take(MAX_BARS).map(|gap| (gap.from_ms, gap.to_ms.unwrap_or(scale.to_ms))).collect();
    let holes: Vec<Span> =
        found.unmeasured.iter().take(MAX_BARS).map(|hole| (hole.from_ms, hole.to_ms)).collect();
    let asked = points.first().zip(points.iter().map(Point::end_ms).max());
    // Beyond the last bar of a service that flaps too often, nothing is drawn.
    let end = |last: Millis| found.gaps.get(MAX_BARS).map_or(last, |gap| gap.from_ms);
    let asked: Vec<Span> = asked.map(|(first, last)| (first.0, end(last))).into_iter().collect();
    let answered = without(without(asked, &outages), &holes);
    let kinds = [
        (answered, Kind::Answered),
        (without(outages, &holes), Kind::AnsweredNot),
        (holes, Kind::Unmeasured),
    ];
    kinds
        .into_iter()
        .flat_map(|(spans, kind)| spans.into_iter().map(move |span| (span, kind)))
        .map(|((from_ms, to_ms), kind)| {
            bar(scale, from_ms, to_ms, kind, format!("{}: {} ms", kind.word(page), to_ms - from_ms))
        })
        .collect()
}

/// From and to.
type Span = (Millis, Millis);

/// What is left of `spans` outside of `cuts`.
fn without(spans: Vec<Span>, cuts: &[Span]) -> Vec<Span> {
    cuts.iter().fold(spans, |spans, cut| {
        let parts = |(from, to): Span| [(from, to.min(cut.0)), (from.max(cut.1), to)];
        spans
            .into_iter()
            .flat_map(|span| if span.1 <= cut.0 || span.0 >= cut.1 { [span, (0, 0)] } else { parts(span) })
            .filter(|(from, to)| from < to)
            .collect()
    })
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
            let kind = match (good, undo) {
                (false, _) => Kind::Failed,
                (true, false) => Kind::Acted,
                (true, true) => Kind::Undone,
            };
            bars.push(bar(
                scale,
                from,
                entry.at_ms,
                kind,
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

    fn opened_and_closed(length_ms: Millis) -> [JournalEntry; 2] {
        let fact = Fact::Opened {
            plan_id: "p".to_owned(),
            plan_sha256: String::new(),
            by: "schedule".to_owned(),
            previous: None,
            approved_by: vec![],
            despite: None,
        };
        [0, length_ms].map(|at_ms| JournalEntry { at_ms, fact: fact.clone() })
    }

    fn drawn(points: Vec<Point>, length_ms: Millis) -> Pictures {
        let page = Page::detached(Language::Indonesian, "LPSE", TimeZoneName::default(), false);
        render(&page, None, &opened_and_closed(length_ms), &[("<depan>".to_owned(), points)]).unwrap()
    }

    #[test]
    fn an_outage_is_a_bar_of_its_own_and_names_are_escaped() {
        let answers =
            [Answer::Good, Answer::Good, Answer::Connect, Answer::Connect, Answer::Good, Answer::Good];
        let points = (0..).zip(answers).map(|(index, answer)| Point(index * 100, 5, answer)).collect();
        let Pictures { svg, legend } = drawn(points, 600);
        let both = |kind: Kind| svg.matches(&format!("fill=\"{}\"", kind.colour())).count() / 2;
        assert_eq!((both(Kind::AnsweredNot), both(Kind::Answered)), (1, 2));
        assert!(svg.contains("depan") && !svg.contains("<depan>"));
        assert_eq!(legend.len(), 2);
        assert!(svg.contains("<title>tidak menjawab: 305 ms</title>"), "as long as in the table: {svg}");
    }

    #[test]
    fn time_without_questions_is_drawn_as_not_measured_and_not_as_answered() {
        let good = |at_ms| Point(at_ms, 5, Answer::Good);
        let points = [0, 500, 1_000, 9_000, 9_500].map(good).to_vec();
        let Pictures { svg, legend } = drawn(points, 20_000);
        assert!(svg.contains("<title>menjawab: 1005 ms</title>"), "{svg}");
        assert!(svg.contains("<title>menjawab: 505 ms</title>"), "{svg}");
        assert!(svg.contains("<title>tidak diukur: 7995 ms</title>"), "between two questions: {svg}");
        assert!(svg.contains("<title>tidak diukur: 10495 ms</title>"), "after the last one: {svg}");
        assert!(legend.iter().any(|(_, word)| word == "tidak diukur"));
    }
}
