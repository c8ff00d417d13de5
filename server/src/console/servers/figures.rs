//! Present figures of servers, asked from the store in PromQL.

use std::collections::BTreeMap;

use siaga_promql::{Answer, Labels, Value, VectorSample};

use crate::app::App;
use crate::metrics::QueryError;
use crate::time::Millis;

/// Filesystems that can fill up, as forecasts and rules see them: a tmpfs counts where somebody put it.
pub(super) const STORAGE: &str = r#"fstype!~"ramfs|squashfs|erofs|iso9660|udf|devtmpfs|autofs|efivarfs|fuse.lxcfs",mountpoint!~"/(run|dev|sys|proc)(/.*)?""#;

/// Present figures of one server.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct HostFigures {
    /// Share of the processors in use.
    pub(crate) cpu_percent: Option<f64>,
    /// Share of memory that is not available.
    pub(crate) memory_percent: Option<f64>,
    /// The fullest filesystem: where it is mounted, and how full it is.
    pub(crate) fullest: Option<(String, f64)>,
}

/// Present figures of all servers, by instance.
///
/// # Errors
/// What the evaluator says.
pub(crate) async fn fleet_figures(
    app: &App,
    now: Millis,
) -> Result<BTreeMap<String, HostFigures>, QueryError> {
    // Long enough for agents that collect every five minutes, the slowest that is allowed.
    let cpu = r#"100 * (1 - sum by (instance) (rate(node_cpu_seconds_total{mode="idle"}[11m])) / sum by (instance) (rate(node_cpu_seconds_total[11m])))"#;
    let memory =
        "max by (instance) (100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes))";
    let filesystems = format!(
        "max by (instance, mountpoint) \
         (100 * (1 - node_filesystem_avail_bytes{{{STORAGE}}} / node_filesystem_size_bytes{{{STORAGE}}} > 0))"
    );
    // A short window shows what is; the long one is for agents that the short one does not see.
    let cpu = format!("{} or {cpu}", cpu.replace("[11m]", "[2m]"));
    let (cpu, memory, filesystems) = tokio::join!(
        app.metrics.instant(&cpu, now),
        app.metrics.instant(memory, now),
        app.metrics.instant(&filesystems, now)
    );
    let mut all: BTreeMap<String, HostFigures> = BTreeMap::new();
    for (labels, value) in numbers(cpu?) {
        of(&mut all, &labels).cpu_percent = Some(value.clamp(0.0, 100.0));
    }
    for (labels, value) in numbers(memory?) {
        of(&mut all, &labels).memory_percent = Some(value);
    }
    for (labels, value) in numbers(filesystems?) {
        let mountpoint = labels.get("mountpoint").unwrap_or_default().to_owned();
        let figures = of(&mut all, &labels);
        if figures.fullest.as_ref().is_none_or(|(_, percent)| *percent < value) {
            figures.fullest = Some((mountpoint, value));
        }
    }
    Ok(all)
}

fn of<'a>(all: &'a mut BTreeMap<String, HostFigures>, labels: &Labels) -> &'a mut HostFigures {
    all.entry(labels.get("instance").unwrap_or_default().to_owned()).or_default()
}

/// The samples of an instant vector that are numbers.
fn numbers(answer: Answer) -> Vec<(Labels, f64)> {
    let number = |one: VectorSample| {
        let value = one.sample.float().filter(|value| value.is_finite())?;
        Some((one.labels, value))
    };
    match answer.value {
        Value::Vector(samples) => samples.into_iter().filter_map(number).collect(),
        _ => Vec::new(),
    }
}

/// The one number of a query, if it gives one.
///
/// # Errors
/// What the evaluator says.
pub(super) async fn single(app: &App, query: &str, now: Millis) -> Result<Option<f64>, QueryError> {
    Ok(numbers(app.metrics.instant(query, now).await?).first().map(|(_, value)| *value))
}

/// A text as a PromQL string.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        assert_eq!(quoted("a\"} or x{b=\"\\"), r#""a\"} or x{b=\"\\""#);
    }
}
