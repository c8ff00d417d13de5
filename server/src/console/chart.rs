//! Charts of time series as SVG that the style sheet colours, with the figures as a table for those who do not see it.
//! Pure: points in, markup out. `draw` places, `scale` finds round values and times, `thin` leaves out what no screen
//! can show.

mod draw;
mod scale;
mod thin;

use super::Page;
use crate::time::Millis;

pub use draw::sparkline;

/// Unit of the vertical axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// 0 to 100.
    Percent,
    /// Bytes.
    Bytes,
    /// A plain number.
    Number,
    /// Milliseconds.
    Milliseconds,
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineStyle {
    /// The measured series.
    Main,
    /// A further series.
    Second,
    /// A forecast; has the colour of the line before it.
    Dashed,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// Name in the legend.
    pub label: String,
    /// Time and value; a NaN breaks the line.
    pub points: Vec<(Millis, f64)>,
    /// How it is drawn.
    pub style: LineStyle,
}

impl Line {
    /// A line of the points of a range query, broken where steps are missing.
    #[must_use]
    pub fn of_steps(label: String, points: &[(Millis, f64)], step_ms: Millis, style: LineStyle) -> Self {
        Self { label, points: thin::with_gaps(points, step_ms), style }
    }
}

/// An area between two values, for example a forecast's interval.
#[derive(Debug, Clone)]
pub struct Band {
    /// Name in the legend.
    pub label: String,
    /// Time, lower and upper value.
    pub points: Vec<(Millis, f64, f64)>,
}

/// A marked stretch of time, for example a fault or a deadline. Equal ends make a line.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Name in the legend.
    pub label: String,
    /// Start.
    pub from_ms: Millis,
    /// End.
    pub to_ms: Millis,
}

/// A chart.
#[derive(Debug, Clone)]
pub struct Chart {
    /// What it shows.
    pub title: String,
    /// Unit of the values.
    pub unit: Unit,
    /// Lines.
    pub lines: Vec<Line>,
    /// Areas.
    pub bands: Vec<Band>,
    /// Horizontal lines: name and value.
    pub thresholds: Vec<(String, f64)>,
    /// Marked stretches.
    pub marks: Vec<Mark>,
    /// The stretch of time that is shown; without it, that of the data.
    pub window: Option<(Millis, Millis)>,
    /// Whether it is the one chart of a page: drawn once more for wide screens, where it fills the page's width.
    pub wide: bool,
}

impl Chart {
    /// A chart of lines alone.
    #[must_use]
    pub fn of_lines(title: String, unit: Unit, lines: Vec<Line>) -> Self {
        Self {
            title,
            unit,
            lines,
            bands: Vec::new(),
            thresholds: Vec::new(),
            marks: Vec::new(),
            window: None,
            wide: false,
        }
    }

    /// The same over a stretch of time, whether the data fill it or not.
    #[must_use]
    pub fn over(mut self, from_ms: Millis, to_ms: Millis) -> Self {
        self.window = Some((from_ms, to_ms));
        self
    }

    /// The chart as markup (safe: everything in it went through the template engine).
    #[must_use]
    pub fn render(&self, page: &Page) -> String {
        draw::chart(self, page)
    }
}
