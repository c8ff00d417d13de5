//! Places a chart's parts on the drawing and fills the template.

use askama::Template;

use super::scale::{TimeLabel, ValueAxis, decimals, time_ticks, value_axis};
use super::thin::{thin, thin_band};
use super::{Band, Chart, Line, LineStyle, Mark, Unit};
use crate::console::Page;
use crate::time::{DAY_MS, Millis};

/// A drawing and the plot in it, in units of the drawing.
#[derive(Debug, Clone, Copy)]
struct Frame {
    /// Class in the style sheet, which shows one of the drawings by the width that there is.
    class: &'static str,
    width: f64,
    height: f64,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    /// Most labels of the time axis.
    time_labels: i64,
}

impl Frame {
    /// Half a page, or a phone.
    const USUAL: Self = Self {
        class: "usual",
        width: 480.0,
        height: 192.0,
        left: 58.0,
        right: 470.0,
        top: 8.0,
        bottom: 166.0,
        time_labels: 6,
    };
    /// The whole width of a page.
    const WIDE: Self = Self {
        class: "wide",
        width: 1_120.0,
        height: 330.0,
        left: 62.0,
        right: 1_108.0,
        top: 10.0,
        bottom: 298.0,
        time_labels: 13,
    };

    /// One stretch of time for about each unit and a half of the plot's width.
    fn buckets(self) -> usize {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small constant")]
        let buckets = ((self.right - self.left) / 1.5) as usize;
        buckets
    }
}

/// Labels of the value axis.
const VALUE_STEPS: u32 = 4;
/// Rows of the table of figures.
const TABLE_ROWS: usize = 30;
/// Colours of lines in the style sheet: `s1` and so on.
const COLOURS: usize = 6;

/// A label at a place along an axis.
struct Tick {
    at: String,
    label: String,
    /// `odd` for every other one, which narrow screens leave out; `end` where it would leave the drawing.
    class: String,
}

struct LegendEntry {
    /// Classes of the sample.
    class: String,
    kind: &'static str,
    label: String,
}

struct Path {
    class: String,
    d: String,
}

struct Stretch {
    x: String,
    width: Option<String>,
    label: String,
}

struct Row {
    at: String,
    cells: Vec<String>,
}

/// One drawing of a chart.
struct Picture {
    frame: Frame,
    x_ticks: Vec<Tick>,
    y_ticks: Vec<Tick>,
    bands: Vec<Path>,
    lines: Vec<Path>,
    /// Heights of the thresholds; the legend names them, so that no label covers a line.
    thresholds: Vec<String>,
    marks: Vec<Stretch>,
}

#[derive(Template)]
#[template(path = "components/chart.html")]
struct ChartTemplate<'a> {
    page: &'a Page,
    title: &'a str,
    description: String,
    pictures: Vec<Picture>,
    legend: Vec<LegendEntry>,
    columns: Vec<&'a str>,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "components/empty.html")]
struct Empty<'a> {
    page: &'a Page,
    title: &'a str,
}

#[derive(Template)]
#[template(path = "components/sparkline.html")]
struct SparklineTemplate<'a> {
    label: &'a str,
    d: String,
}

/// Plot area in data units.
#[derive(Debug, Clone)]
struct Plot {
    frame: Frame,
    from_ms: Millis,
    to_ms: Millis,
    axis: ValueAxis,
}

impl Plot {
    #[expect(clippy::cast_precision_loss, reason = "a place on the drawing; milliseconds fit into 53 bits")]
    fn x(&self, at_ms: Millis) -> f64 {
        let share = (at_ms - self.from_ms) as f64 / (self.to_ms - self.from_ms).max(1) as f64;
        self.frame.left + share.clamp(0.0, 1.0) * (self.frame.right - self.frame.left)
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.axis.low) / (self.axis.high - self.axis.low);
        self.frame.bottom - share.clamp(0.0, 1.0) * (self.frame.bottom - self.frame.top)
    }
}

/// A number of the drawing, short.
fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), ToOwned::to_owned)
}

pub(super) fn chart(chart: &Chart, page: &Page) -> String {
    let Some(plot) = plot(chart) else {
        return Empty { page, title: &chart.title }.render().unwrap_or_default();
    };
    let classes = line_classes(&chart.lines);
    let frames: &[Frame] = if chart.wide { &[Frame::USUAL, Frame::WIDE] } else { &[Frame::USUAL] };
    let pictures =
        frames.iter().map(|frame| picture(chart, page, &Plot { frame: *frame, ..plot.clone() }, &classes));
    let template = ChartTemplate {
        page,
        title: &chart.title,
        description: description(chart, page),
        pictures: pictures.collect(),
        legend: legend(chart, page, &classes),
        columns: chart
            .lines
            .iter()
            .map(|l| l.label.as_str())
            .chain(chart.bands.iter().map(|b| b.label.as_str()))
            .collect(),
        rows: rows(chart, page),
    };
    template.render().unwrap_or_default()
}

fn picture(chart: &Chart, page: &Page, plot: &Plot, classes: &[String]) -> Picture {
    let step = plot.axis.ticks.windows(2).map(|pair| pair[1] - pair[0]).next().unwrap_or(1.0);
    let value_tick = |value: &f64| Tick {
        at: place(plot.y(*value)),
        label: value_label(page, chart.unit, *value, decimals(step)),
        class: String::new(),
    };
    Picture {
        frame: plot.frame,
        x_ticks: x_ticks(page, plot),
        y_ticks: plot.axis.ticks.iter().map(value_tick).collect(),
        bands: chart
            .bands
            .iter()
            .map(|band| Path { class: "band".to_owned(), d: band_path(plot, band) })
            .collect(),
        lines: chart
            .lines
            .iter()
            .zip(classes)
            .map(|(line, class)| Path { class: class.clone(), d: line_path(plot, &line.points) })
            .collect(),
        thresholds: thresholds(chart).map(|(_, value)| place(plot.y(*value))).collect(),
        marks: chart.marks.iter().filter_map(|mark| stretch(plot, mark)).collect(),
    }
}

/// Half the width of the longest label of the time axis.
const HALF_LABEL: f64 = 24.0;

fn x_ticks(page: &Page, plot: &Plot) -> Vec<Tick> {
    let ticks = time_ticks(page.zone(), plot.from_ms, plot.to_ms, plot.frame.time_labels);
    let mut year = None;
    let ticks = ticks.into_iter().enumerate().map(|(index, (at, kind))| {
        let x = plot.x(at);
        let mut class = String::from(if index % 2 == 1 { "tick-x odd" } else { "tick-x" });
        if x + HALF_LABEL > plot.frame.width {
            class.push_str(" end");
        }
        // A year is said once, at its first label.
        let label = match kind {
            TimeLabel::Month if year == Some(page.year(at)) => page.month_alone(at),
            _ => time_label(page, at, kind),
        };
        year = Some(page.year(at));
        Tick { at: place(x), label, class }
    });
    ticks.collect()
}

/// Limits that can be drawn.
fn thresholds(chart: &Chart) -> impl Iterator<Item = &(String, f64)> {
    chart.thresholds.iter().filter(|(_, value)| value.is_finite())
}

/// The stretch of time and of values that holds everything; `None` without a single finite value.
fn plot(chart: &Chart) -> Option<Plot> {
    let line_points =
        chart.lines.iter().flat_map(|line| &line.points).map(|(at, value)| (*at, *value, *value));
    let band_points = chart.bands.iter().flat_map(|band| &band.points).copied();
    let all = line_points.chain(band_points);
    let (first, last) = (all.clone().map(|point| point.0).min()?, all.clone().map(|point| point.0).max()?);
    let (from_ms, to_ms) = chart.window.map_or((first, last), |(from, to)| (from.min(first), to.max(last)));
    let values = all.flat_map(|(_, low, high)| [low, high]).filter(|value| value.is_finite());
    values.clone().next()?;
    let limits = chart.thresholds.iter().map(|(_, value)| *value).filter(|value| value.is_finite());
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in values.chain(limits) {
        min = min.min(value);
        max = max.max(value);
    }
    // What lies beyond the whole is drawn at its edge: a share of more than 100 means nothing to a reader.
    if chart.unit == Unit::Percent {
        (min, max) = (min.max(0.0), max.min(100.0));
    }
    Some(Plot { frame: Frame::USUAL, from_ms, to_ms, axis: value_axis(chart.unit, min, max, VALUE_STEPS) })
}

/// Classes of each line: solid lines take the colours in turn, a dashed one that of the line before it.
fn line_classes(lines: &[Line]) -> Vec<String> {
    let mut solid = 0_usize;
    lines
        .iter()
        .map(|line| {
            if line.style == LineStyle::Dashed {
                return format!("line s{} dashed", solid.saturating_sub(1) % COLOURS + 1);
            }
            solid += 1;
            format!("line s{}", (solid - 1) % COLOURS + 1)
        })
        .collect()
}

fn line_path(plot: &Plot, points: &[(Millis, f64)]) -> String {
    let thinned = thin(points, plot.frame.buckets());
    let mut d = String::new();
    for piece in thinned.split(|(_, value)| !value.is_finite()).filter(|piece| !piece.is_empty()) {
        for (index, (at, value)) in piece.iter().enumerate() {
            d.push(if index == 0 { 'M' } else { 'L' });
            d.push_str(&format!("{} {}", place(plot.x(*at)), place(plot.y(*value))));
        }
        if piece.len() == 1 {
            // Round ends make a dot of it.
            d.push_str("h0.1");
        }
    }
    d
}

fn band_path(plot: &Plot, band: &Band) -> String {
    let thinned = thin_band(&band.points, plot.frame.buckets());
    let mut d = String::new();
    for piece in
        thinned.split(|(_, low, high)| !(low.is_finite() && high.is_finite())).filter(|piece| piece.len() > 1)
    {
        let upper = piece.iter().map(|(at, _, high)| (at, high));
        let lower = piece.iter().rev().map(|(at, low, _)| (at, low));
        for (index, (at, value)) in upper.chain(lower).enumerate() {
            d.push(if index == 0 { 'M' } else { 'L' });
            d.push_str(&format!("{} {}", place(plot.x(*at)), place(plot.y(*value))));
        }
        d.push('Z');
    }
    d
}

fn stretch(plot: &Plot, mark: &Mark) -> Option<Stretch> {
    if mark.to_ms < plot.from_ms || mark.from_ms > plot.to_ms {
        return None;
    }
    let (x, end) = (plot.x(mark.from_ms), plot.x(mark.to_ms));
    let width = (end - x >= 1.0).then(|| place(end - x));
    Some(Stretch { x: place(x), width, label: mark.label.clone() })
}

fn legend(chart: &Chart, page: &Page, classes: &[String]) -> Vec<LegendEntry> {
    let lines = chart.lines.iter().zip(classes).map(|(line, class)| LegendEntry {
        class: class.clone(),
        kind: "line",
        label: line.label.clone(),
    });
    let bands = chart.bands.iter().map(|band| LegendEntry {
        class: "band".to_owned(),
        kind: "area",
        label: band.label.clone(),
    });
    let mut entries: Vec<LegendEntry> = lines.chain(bands).collect();
    for mark in &chart.marks {
        if !entries.iter().any(|entry| entry.label == mark.label) {
            entries.push(LegendEntry { class: "mark".to_owned(), kind: "area", label: mark.label.clone() });
        }
    }
    entries.extend(thresholds(chart).map(|(label, value)| LegendEntry {
        class: "threshold".to_owned(),
        kind: "line",
        label: format!("{label} {}", exact(page, chart.unit, *value)),
    }));
    // A single line is what the title says.
    if entries.len() == 1 && chart.lines.len() == 1 { Vec::new() } else { entries }
}

fn description(chart: &Chart, page: &Page) -> String {
    let sentences = chart.lines.iter().filter_map(|line| {
        let finite = || line.points.iter().map(|point| point.1).filter(|value| value.is_finite());
        let last = finite().next_back()?;
        let (low, high) = (finite().fold(last, f64::min), finite().fold(last, f64::max));
        let text = |value| exact(page, chart.unit, value);
        Some(page.tv(
            "chart.description",
            &[("label", &line.label), ("last", &text(last)), ("low", &text(low)), ("high", &text(high))],
        ))
    });
    sentences.collect::<Vec<_>>().join(" ")
}

/// The figures at up to [`TABLE_ROWS`] times, evenly chosen among all times that occur.
fn rows(chart: &Chart, page: &Page) -> Vec<Row> {
    let mut times: Vec<Millis> = chart
        .lines
        .iter()
        .flat_map(|line| line.points.iter().map(|point| point.0))
        .chain(chart.bands.iter().flat_map(|band| band.points.iter().map(|point| point.0)))
        .collect();
    times.sort_unstable();
    times.dedup();
    // What is one figure a day has no hour of its own.
    let daily = times.windows(2).map(|pair| pair[1] - pair[0]).min().is_some_and(|step| step >= DAY_MS);
    let count = times.len().min(TABLE_ROWS);
    let chosen: Vec<Millis> = (0..count)
        .filter_map(|row| times.get(row * (times.len() - 1) / (count - 1).max(1)))
        .copied()
        .collect();
    let reach = chosen.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(0) / 2;
    chosen
        .into_iter()
        .map(|at| {
            let lines = chart.lines.iter().map(|line| {
                nearest(&line.points, at, reach, |point| point.0)
                    .map_or_else(|| "–".to_owned(), |(_, value)| exact(page, chart.unit, *value))
            });
            let bands = chart.bands.iter().map(|band| {
                nearest(&band.points, at, reach, |point| point.0).map_or_else(
                    || "–".to_owned(),
                    |(_, low, high)| {
                        format!("{} – {}", exact(page, chart.unit, *low), exact(page, chart.unit, *high))
                    },
                )
            });
            Row {
                at: if daily { page.date(at) } else { page.datetime(at) },
                cells: lines.chain(bands).collect(),
            }
        })
        .collect()
}

/// The point nearest to a time, if it lies within `reach` of it. Points are in order of time.
fn nearest<T>(points: &[T], at: Millis, reach: Millis, time: impl Fn(&T) -> Millis) -> Option<&T> {
    let after = points.partition_point(|point| time(point) < at);
    let candidates = [after.checked_sub(1).and_then(|index| points.get(index)), points.get(after)];
    candidates
        .into_iter()
        .flatten()
        .min_by_key(|point| (time(point) - at).abs())
        .filter(|point| (time(point) - at).abs() <= reach)
}

fn time_label(page: &Page, at: Millis, kind: TimeLabel) -> String {
    match kind {
        TimeLabel::Clock => page.clock(at),
        TimeLabel::Day => page.day_short(at),
        TimeLabel::Month => page.month_short(at),
    }
}

/// A value beside its tick: no more decimals than tell the labels apart.
fn value_label(page: &Page, unit: Unit, value: f64, places: usize) -> String {
    match unit {
        Unit::Percent => format!("{}%", page.number(value, places)),
        Unit::Number => page.number(value, places),
        Unit::Milliseconds if value.abs() < 1_000.0 => format!("{} ms", page.number(value, places)),
        Unit::Milliseconds => {
            format!("{} s", page.number(value / 1_000.0, usize::from(value % 1_000.0 != 0.0)))
        }
        Unit::Bytes => page.bytes_round(value),
    }
}

/// A value in a sentence or a table.
fn exact(page: &Page, unit: Unit, value: f64) -> String {
    match unit {
        _ if !value.is_finite() => "–".to_owned(),
        Unit::Percent => page.percent(value),
        Unit::Bytes => page.bytes(value),
        Unit::Number => page.number(value, if value.abs() < 100.0 { 2 } else { 0 }),
        Unit::Milliseconds => format!("{} ms", page.number(value, usize::from(value.abs() < 10.0))),
    }
}

/// A small line without axes, for a cell of a table. `label` says in words what it shows.
#[must_use]
pub fn sparkline(label: &str, points: &[(Millis, f64)]) -> String {
    let finite = || points.iter().map(|point| point.1).filter(|value| value.is_finite());
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return String::new();
    }
    let axis = ValueAxis { low, high: if high > low { high } else { low + 1.0 }, ticks: Vec::new() };
    let plot = Plot { frame: Frame::USUAL, from_ms: first.0, to_ms: last.0, axis };
    SparklineTemplate { label, d: line_path(&plot, points) }.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Language, TimeZoneName};
    use crate::time::HOUR_MS;

    const START: Millis = 1_795_503_600_000; // 2026-11-24 14:00 WIB

    fn page(language: Language) -> Page {
        Page::detached(language, "LPSE", TimeZoneName::default(), false)
    }

    fn line(label: &str, style: LineStyle, values: &[f64]) -> Line {
        let points = (0_i64..).map(|hour| START + hour * HOUR_MS).zip(values.iter().copied()).collect();
        Line { label: label.to_owned(), points, style }
    }

    #[test]
    fn a_chart_has_axes_lines_a_band_limits_marks_and_its_figures_as_text() {
        let chart = Chart {
            title: "Pemakaian /data & <lainnya>".to_owned(),
            unit: Unit::Percent,
            lines: vec![
                line("terukur", LineStyle::Main, &[10.0, 12.5, f64::NAN, 40.0, 61.0]),
                line("prakiraan", LineStyle::Dashed, &[61.0, 70.0, 80.0, 90.0, 100.0, 120.0]),
            ],
            bands: vec![Band {
                label: "rentang".to_owned(),
                points: vec![(START, 50.0, 70.0), (START + HOUR_MS, 60.0, 90.0)],
            }],
            thresholds: vec![("Batas".to_owned(), 90.0)],
            marks: vec![
                Mark { label: "pemeliharaan".to_owned(), from_ms: START, to_ms: START + HOUR_MS },
                Mark { label: "batas akhir".to_owned(), from_ms: START + HOUR_MS, to_ms: START + HOUR_MS },
            ],
            window: None,
            wide: false,
        };
        insta::assert_snapshot!(chart.render(&page(Language::Indonesian)));
    }

    #[test]
    fn a_chart_without_a_value_says_so() {
        let empty =
            Chart::of_lines("CPU".to_owned(), Unit::Percent, vec![line("a", LineStyle::Main, &[f64::NAN])]);
        insta::assert_snapshot!(empty.render(&page(Language::English)));
    }

    #[test]
    fn many_points_make_a_short_path_and_a_table_of_thirty_rows() {
        let values: Vec<f64> = (0..20_000).map(|i| f64::from(i % 97)).collect();
        let chart = Chart::of_lines("x".to_owned(), Unit::Number, vec![line("a", LineStyle::Main, &values)]);
        let markup = chart.render(&page(Language::English));
        assert!(markup.len() < 20_000, "{}", markup.len());
        assert_eq!(markup.matches("<tr>").count(), 1 + TABLE_ROWS);
    }

    #[test]
    fn a_line_breaks_at_a_gap_and_a_lone_point_is_a_dot() {
        let plot =
            Plot { frame: Frame::USUAL, from_ms: 0, to_ms: 4, axis: value_axis(Unit::Number, 0.0, 1.0, 1) };
        let d = line_path(&plot, &[(0, 0.0), (1, 1.0), (2, f64::NAN), (3, 1.0), (4, f64::INFINITY)]);
        assert_eq!(d, "M58 166L161 8M367 8h0.1");
    }

    #[test]
    fn a_chart_shows_the_chosen_stretch_and_a_wide_one_is_drawn_for_both_widths() {
        let mut chart =
            Chart::of_lines("x".to_owned(), Unit::Number, vec![line("a", LineStyle::Main, &[1.0, 2.0])])
                .over(START - 5 * HOUR_MS, START + 5 * HOUR_MS);
        let markup = chart.render(&page(Language::English));
        assert!(markup.contains("d=\"M264 "), "the data begin in the middle: {markup}");
        chart.wide = true;
        let markup = chart.render(&page(Language::English));
        assert_eq!(markup.matches("<svg viewBox=\"0 0 1120 330\"").count(), 1);
        assert_eq!(markup.matches("<svg viewBox=\"0 0 480 192\"").count(), 1);
    }

    #[test]
    fn a_year_is_said_once_on_an_axis_of_months() {
        let values = vec![1.0; 24 * 150];
        let chart = Chart::of_lines("x".to_owned(), Unit::Number, vec![line("a", LineStyle::Main, &values)]);
        let ticks = x_ticks(&page(Language::Indonesian), &plot(&chart).unwrap());
        let labels: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["Des 2026", "Jan 2027", "Feb", "Mar", "Apr"]);
        assert_eq!(ticks[1].class, "tick-x odd");
    }

    #[test]
    fn a_sparkline_of_nothing_is_nothing() {
        assert_eq!(sparkline("x", &[(0, f64::NAN)]), "");
        assert!(sparkline("a < b", &[(0, 1.0), (9, 2.0)]).contains("a &#60; b"));
    }
}
