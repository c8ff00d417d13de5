//! Charts of servers over a stretch of time.

use siaga_promql::{MatrixSeries, Value};

use super::Limits;
use super::figures::{STORAGE, quoted};
use crate::app::App;
use crate::console::Page;
use crate::console::chart::{Chart, Line, LineStyle, Unit};
use crate::metrics::QueryError;
use crate::time::{HOUR_MS, Millis, SECOND_MS};

/// A stretch of time to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch {
    Hour,
    SixHours,
    Day,
    Week,
}

impl Stretch {
    pub(super) const ALL: [Self; 4] = [Self::Hour, Self::SixHours, Self::Day, Self::Week];

    /// Its name in the address.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Hour => "1j",
            Self::SixHours => "6j",
            Self::Day => "24j",
            Self::Week => "7h",
        }
    }

    pub(super) fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stretch| stretch.code() == code)
    }

    /// The one to begin with: a server that is new would be a dot at the edge of six hours.
    pub(super) async fn fitting(app: &App, instance: &str, now: Millis) -> Self {
        Self::showing(app, &format!("{{instance={}}}", quoted(instance)), now).await
    }

    /// One hour where these series had nothing before it, else six.
    async fn showing(app: &App, series: &str, now: Millis) -> Self {
        let query = format!("count({series} offset 1h)");
        match app.metrics.instant(&query, now).await.map(|answer| answer.value) {
            Ok(Value::Vector(found)) if found.is_empty() => Self::Hour,
            _ => Self::SixHours,
        }
    }

    pub(super) const fn length_ms(self) -> Millis {
        match self {
            Self::Hour => HOUR_MS,
            Self::SixHours => 6 * HOUR_MS,
            Self::Day => 24 * HOUR_MS,
            Self::Week => 7 * 24 * HOUR_MS,
        }
    }

    const fn step_ms(self) -> Millis {
        match self {
            Self::Hour => 15 * SECOND_MS,
            Self::SixHours => 60 * SECOND_MS,
            Self::Day => 300 * SECOND_MS,
            Self::Week => 1_800 * SECOND_MS,
        }
    }

    /// Window of rates: no shorter than a step, and long enough for history that was collected once a minute.
    const fn window_ms(self) -> Millis {
        match self {
            Self::Hour => 150 * SECOND_MS,
            Self::SixHours => 300 * SECOND_MS,
            Self::Day => 600 * SECOND_MS,
            Self::Week => 1_800 * SECOND_MS,
        }
    }
}

/// Lines of one chart are bounded; a server with more filesystems shows the first by name.
const MAX_LINES: usize = 8;

/// Asks for the charts of one server.
pub(super) struct Charts<'a> {
    pub(super) app: &'a App,
    pub(super) page: &'a Page,
    pub(super) instance: &'a str,
    pub(super) interval_seconds: u32,
    pub(super) stretch: Stretch,
    pub(super) now: Millis,
}

impl Charts<'_> {
    /// All charts of the server, rendered, in the order in which they stand on the page.
    pub(super) async fn render(&self, limits: Limits) -> Result<Vec<String>, QueryError> {
        let charts = tokio::try_join!(
            self.cpu(limits),
            self.memory(limits),
            self.filesystems(limits),
            self.load(),
            self.disk_io(),
            self.network(),
        )?;
        let (cpu, memory, filesystems, load, disk_io, network) = charts;
        Ok([cpu, memory, filesystems, load, disk_io, network]
            .into_iter()
            .map(|chart| chart.over(self.now - self.stretch.length_ms(), self.now).render(self.page))
            .collect())
    }

    /// Selector of the server, with further matchers.
    fn of(&self, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { "," };
        format!("{{instance={}{comma}{more}}}", quoted(self.instance))
    }

    /// Window of rates: four collections, so that one lost sample leaves no gap, and never below the stretch's own.
    fn window(&self) -> String {
        let collections = i64::from(self.interval_seconds) * 4;
        format!("[{}s]", collections.max(self.stretch.window_ms() / SECOND_MS))
    }

    async fn series(&self, query: &str) -> Result<Vec<MatrixSeries>, QueryError> {
        range(self.app, query, self.stretch, self.now).await
    }

    /// One line for each query.
    async fn lines(&self, queries: &[(&str, String)]) -> Result<Vec<Line>, QueryError> {
        let mut lines = Vec::with_capacity(queries.len());
        for (key, query) in queries {
            for series in self.series(query).await?.into_iter().take(1) {
                let style = if lines.is_empty() { LineStyle::Main } else { LineStyle::Second };
                lines.push(Line::of_steps(self.page.t(key), &series.points, self.gap_ms(), style));
            }
        }
        Ok(lines)
    }

    /// A line breaks where more than a step, and more than a collection, is missing.
    fn gap_ms(&self) -> Millis {
        self.stretch.step_ms().max(i64::from(self.interval_seconds) * SECOND_MS)
    }

    async fn cpu(&self, limits: Limits) -> Result<Chart, QueryError> {
        let share = |mode: &str| {
            format!(
                "100 * sum(rate(node_cpu_seconds_total{}{w})) / ignoring(mode) group_left() \
                 sum(rate(node_cpu_seconds_total{}{w}))",
                self.of(mode),
                self.of(""),
                w = self.window()
            )
        };
        let lines = self
            .lines(&[
                ("servers.cpu.used", share(r#"mode!="idle""#)),
                ("servers.cpu.system", share(r#"mode="system""#)),
                ("servers.cpu.iowait", share(r#"mode="iowait""#)),
            ])
            .await?;
        let mut chart = Chart::of_lines(self.page.t("servers.cpu"), Unit::Percent, lines);
        chart.thresholds.push((self.page.t("servers.limit"), limits.cpu));
        Ok(chart)
    }

    async fn memory(&self, limits: Limits) -> Result<Chart, QueryError> {
        let of = self.of("");
        let used = |free: &str, total: &str| format!("100 * (1 - {free}{of} / ({total}{of} > 0))");
        let lines = self
            .lines(&[
                ("servers.memory.used", used("node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes")),
                ("servers.memory.swap", used("node_memory_SwapFree_bytes", "node_memory_SwapTotal_bytes")),
            ])
            .await?;
        let mut chart = Chart::of_lines(self.page.t("servers.memory"), Unit::Percent, lines);
        chart.thresholds.push((self.page.t("servers.limit"), limits.memory));
        Ok(chart)
    }

    async fn filesystems(&self, limits: Limits) -> Result<Chart, QueryError> {
        let of = self.of(STORAGE);
        let query = format!(
            "max by (mountpoint) (100 * (1 - node_filesystem_avail_bytes{of} / (node_filesystem_size_bytes{of} > 0)))"
        );
        let mut series = self.series(&query).await?;
        let name = |series: &MatrixSeries| series.labels.get("mountpoint").unwrap_or_default().to_owned();
        series.sort_by_key(name);
        let lines = series
            .iter()
            .take(MAX_LINES)
            .map(|series| Line::of_steps(name(series), &series.points, self.gap_ms(), LineStyle::Second))
            .collect();
        let mut chart = Chart::of_lines(self.page.t("servers.filesystems"), Unit::Percent, lines);
        chart.thresholds.push((self.page.t("servers.limit"), limits.filesystem));
        Ok(chart)
    }

    async fn load(&self) -> Result<Chart, QueryError> {
        let of = self.of("");
        let lines = self
            .lines(&[
                ("servers.load.1", format!("max(node_load1{of})")),
                ("servers.load.5", format!("max(node_load5{of})")),
                ("servers.load.15", format!("max(node_load15{of})")),
            ])
            .await?;
        Ok(Chart::of_lines(self.page.t("servers.load"), Unit::Number, lines))
    }

    async fn disk_io(&self) -> Result<Chart, QueryError> {
        let rate = |metric: &str| format!("sum(rate({metric}{}{}))", self.of(""), self.window());
        let lines = self
            .lines(&[
                ("servers.disk.read", rate("node_disk_read_bytes_total")),
                ("servers.disk.written", rate("node_disk_written_bytes_total")),
            ])
            .await?;
        Ok(Chart::of_lines(self.page.t("servers.disk"), Unit::Bytes, lines))
    }

    async fn network(&self) -> Result<Chart, QueryError> {
        let rate =
            |metric: &str| format!("sum(rate({metric}{}{}))", self.of(r#"device!="lo""#), self.window());
        let lines = self
            .lines(&[
                ("servers.network.received", rate("node_network_receive_bytes_total")),
                ("servers.network.sent", rate("node_network_transmit_bytes_total")),
            ])
            .await?;
        Ok(Chart::of_lines(self.page.t("servers.network"), Unit::Bytes, lines))
    }
}

async fn range(
    app: &App,
    query: &str,
    stretch: Stretch,
    now: Millis,
) -> Result<Vec<MatrixSeries>, QueryError> {
    let step = stretch.step_ms();
    // Steps at round times, so that a page that is refreshed shows the same points.
    let end = now - now.rem_euclid(step);
    match app.metrics.range(query, end - stretch.length_ms(), end, step).await?.value {
        Value::Matrix(series) => Ok(series),
        _ => Ok(Vec::new()),
    }
}

/// Servers that a chart of the fleet shows: those with the highest values now.
const FLEET_LINES: usize = 6;

/// Use of processors and of memory of the busiest servers over the last six hours, or one where they are new, rendered.
///
/// # Errors
/// What the evaluator says.
pub(crate) async fn fleet_charts(app: &App, page: &Page, now: Millis) -> Result<Vec<String>, QueryError> {
    let cpu = r#"100 * (1 - sum by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])) / sum by (instance) (rate(node_cpu_seconds_total[5m])))"#;
    let memory =
        "max by (instance) (100 * (1 - node_memory_MemAvailable_bytes / (node_memory_MemTotal_bytes > 0)))";
    let stretch = Stretch::showing(app, "node_cpu_seconds_total", now).await;
    let (cpu, memory) = tokio::try_join!(range(app, cpu, stretch, now), range(app, memory, stretch, now))?;
    let length = page.duration(stretch.length_ms());
    Ok([("overview.fleet_cpu", cpu), ("overview.fleet_memory", memory)]
        .into_iter()
        .map(|(key, series)| {
            let title = page.tv(key, &[("stretch", &length)]);
            fleet_chart(title, series, stretch).over(now - stretch.length_ms(), now).render(page)
        })
        .collect())
}

fn fleet_chart(title: String, mut series: Vec<MatrixSeries>, stretch: Stretch) -> Chart {
    let last = |series: &MatrixSeries| series.points.last().map_or(0.0, |point| point.1);
    series.sort_by(|a, b| last(b).total_cmp(&last(a)));
    let lines = series
        .iter()
        .take(FLEET_LINES)
        .map(|series| {
            let name = series.labels.get("instance").unwrap_or_default().to_owned();
            Line::of_steps(name, &series.points, stretch.window_ms(), LineStyle::Second)
        })
        .collect();
    Chart::of_lines(title, Unit::Percent, lines)
}
