//! What other parts report: a signal says that something is broken or will be, since when, and how bad it is.
//! The queue turns signals into incidents, one per cause.

use super::priority::{Impact, Priority, Urgency, codes, priority_of};
use crate::time::Millis;

/// The component that stands for a host's agent, and with it for the host itself.
pub const AGENT_COMPONENT: &str = "agent";

/// The component that stands for a host's clock.
pub const CLOCK_COMPONENT: &str = "clock";

/// The component that stands for a host's identity, which only one agent may bear.
pub(super) const IDENTITY_COMPONENT: &str = "identity";

/// Who reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignalSource {
    /// A firing alert of a rule.
    Alert,
    /// A forecast that reaches its threshold soon.
    Forecast,
    /// What the server sees of an agent: silence, a wrong clock.
    Agent,
    /// A drill that failed.
    Drill,
    /// A quantity that is unusual by several signs.
    Anomaly,
}

codes!(SignalSource {
    Alert => "alert",
    Forecast => "forecast",
    Agent => "agent",
    Drill => "drill",
    Anomaly => "anomaly",
});

/// How bad it is, in the words of alert rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Needs attention.
    Warning,
    /// Needs attention now.
    Critical,
}

codes!(Severity { Info => "info", Warning => "warning", Critical => "critical" });

/// What is broken: one incident is open per cause at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// The host; empty where it is no single host's.
    pub instance: String,
    /// The part, for example `filesystem:/data`.
    pub component: String,
}

impl Cause {
    /// Whether this is a host's agent, and with it the host itself.
    #[must_use]
    pub fn is_whole_host(&self) -> bool {
        self.component == AGENT_COMPONENT
    }
}

/// One active signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Unique within its source, the same as long as it is the same signal.
    pub key: String,
    /// The host, if it is one host's.
    pub instance: Option<String>,
    /// What is broken: `filesystem:/data`, `memory`, `cpu`, `agent`, `drill:PLAN` or `rule:ALERT`.
    pub component: String,
    /// How bad it is.
    pub severity: Severity,
    /// One line, Indonesian.
    pub title_id: String,
    /// One line, English.
    pub title_en: String,
    /// What was seen, Indonesian.
    pub detail_id: String,
    /// What was seen, English.
    pub detail_en: String,
    /// The figure behind it.
    pub value: Option<f64>,
    /// When it began.
    pub started_at_ms: Millis,
}

impl Signal {
    /// Its cause.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause { instance: self.instance.clone().unwrap_or_default(), component: self.component.clone() }
    }
}

/// Impact and urgency, and so the priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grade {
    /// How much of the service is hit.
    pub impact: Impact,
    /// Whether it can wait.
    pub urgency: Urgency,
}

impl Grade {
    /// The grade of a signal that states none of its own.
    #[must_use]
    pub const fn of(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self { impact: Impact::Large, urgency: Urgency::Urgent },
            Severity::Warning => Self { impact: Impact::Medium, urgency: Urgency::NotUrgent },
            Severity::Info => Self { impact: Impact::Small, urgency: Urgency::NotUrgent },
        }
    }

    /// The priority.
    #[must_use]
    pub const fn priority(self) -> Priority {
        priority_of(self.impact, self.urgency)
    }
}

/// A signal with its grade.
#[derive(Debug, Clone, PartialEq)]
pub struct Graded {
    /// The signal.
    pub signal: Signal,
    /// Its grade.
    pub grade: Grade,
}

impl From<Signal> for Graded {
    fn from(signal: Signal) -> Self {
        Self { grade: Grade::of(signal.severity), signal }
    }
}
