//! What state a server is in, from its figures and limits. Pure.

use super::HostFigures;
use crate::config::Capacity;

/// Limits in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    pub(crate) filesystem: f64,
}

impl Limits {
    pub(crate) fn of(config: &Capacity) -> Self {
        Self {
            cpu: config.cpu_threshold.get(),
            memory: config.memory_threshold.get(),
            filesystem: config.filesystem_threshold.get(),
        }
    }
}

/// State of a server, as people call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HostState {
    /// Heard, and all well below its limits.
    Normal,
    /// Something is near its limit.
    Warning,
    /// Something is past its limit.
    Critical,
    /// The agent is not heard.
    Silent,
    /// Heard, but no figures are there.
    Unknown,
}

impl HostState {
    /// Class of its badge.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Normal => "ok",
            Self::Warning => "warn",
            Self::Critical | Self::Silent => "crit",
            Self::Unknown => "unknown",
        }
    }

    /// Key of its name.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Normal => "state.normal",
            Self::Warning => "state.warning",
            Self::Critical => "state.critical",
            Self::Silent => "state.silent",
            Self::Unknown => "state.unknown",
        }
    }
}

/// A value within this share of its limit is near it.
const NEAR: f64 = 0.9;

/// Class of a badge for a value and its limit: `crit` at or past it, `warn` near it, else none.
pub(super) fn class_of(value: f64, limit: f64) -> &'static str {
    if value >= limit {
        "crit"
    } else if value >= limit * NEAR {
        "warn"
    } else {
        ""
    }
}

/// State of a server.
pub(crate) fn host_state(silent: bool, figures: &HostFigures, limits: Limits) -> HostState {
    if silent {
        return HostState::Silent;
    }
    let fullest = figures.fullest.as_ref().map(|(_, percent)| *percent);
    let pairs = [
        (figures.cpu_percent, limits.cpu),
        (figures.memory_percent, limits.memory),
        (fullest, limits.filesystem),
    ];
    let mut classes =
        pairs.into_iter().filter_map(|(value, limit)| value.map(|v| class_of(v, limit))).peekable();
    if classes.peek().is_none() {
        return HostState::Unknown;
    }
    classes.fold(HostState::Normal, |worst, class| match (worst, class) {
        (HostState::Critical, _) | (_, "crit") => HostState::Critical,
        (HostState::Warning, _) | (_, "warn") => HostState::Warning,
        _ => HostState::Normal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_figure_decides_and_silence_above_all() {
        let limits = Limits { cpu: 85.0, memory: 90.0, filesystem: 90.0 };
        let figures = |cpu: Option<f64>, memory: Option<f64>, disk: Option<f64>| HostFigures {
            cpu_percent: cpu,
            memory_percent: memory,
            fullest: disk.map(|percent| ("/".to_owned(), percent)),
        };
        for (silent, found, wanted) in [
            (false, figures(Some(1.0), Some(2.0), Some(3.0)), HostState::Normal),
            (false, figures(Some(77.0), Some(2.0), Some(3.0)), HostState::Warning),
            (false, figures(Some(77.0), Some(2.0), Some(90.0)), HostState::Critical),
            (false, figures(Some(85.0), None, Some(82.0)), HostState::Critical),
            (false, figures(None, None, None), HostState::Unknown),
            (true, figures(Some(1.0), None, None), HostState::Silent),
        ] {
            assert_eq!(host_state(silent, &found, limits), wanted, "{found:?}");
        }
    }
}
