//! A continuity plan as checked data: what is exercised, how it is measured, which steps it has and how each is undone.
//!
//! Invariants: a [`Plan`] exists only after every check of its own text has passed (`text`), so the engine never meets
//! an impossible one; what only the fleet can tell (`fleet_check`) is checked again before each drill.

mod approval;
mod fleet_check;
mod library;
mod marker;
mod place;
mod scope;
mod shape;
mod steps;
mod text;
mod units;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::schedule::{Blackout, Schedule};

pub use approval::Approval;
pub use fleet_check::{FleetProblem, HostState, HostTrouble, ResolvedStep, resolve};
pub use library::{Entry, Library, read_folder};
pub use marker::{Marker, MarkerPath};
pub use place::PlanProblem;
pub use scope::{SCOPE_FILE, Scope, Service};
pub use units::Unit;

/// A plan of which every part was checked.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Identifier: small letters, digits and `-`.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Service that is exercised.
    pub service: String,
    /// What is supposed to have happened.
    pub scenario: String,
    /// Kind of exercise.
    pub kind: Kind,
    /// Recovery time objective.
    pub rto: Duration,
    /// Recovery point objective; measured where the plan has a [`Marker`].
    pub rpo: Option<Duration>,
    /// How long the system may take after the rollback until it is in its steady state.
    pub settle: Duration,
    /// Who leads the exercise.
    pub coordinator: String,
    /// Who takes part.
    pub participants: Vec<String>,
    /// Which scenario of which service of the scope it exercises.
    pub covers: Option<Covers>,
    /// Units that are told of an emergency.
    pub units: Vec<Unit>,
    /// Zone of the schedule and of blackouts.
    pub time_zone: TimeZone,
    /// When drills start by themselves.
    pub schedule: Option<Schedule>,
    /// When no drill starts by itself.
    pub blackouts: Vec<Blackout>,
    /// Whose approval a drill needs; none without it.
    pub approval: Option<Approval>,
    /// What holds before the first step and after the rollback.
    pub steady_state: Vec<Check>,
    /// What must hold after the rollback as well.
    pub after: Vec<Check>,
    /// What must hold all the time; as soon as one does not, the drill is stopped.
    pub stops: Vec<StopCondition>,
    /// What measures the service all the time.
    pub probes: Vec<Probe>,
    /// Rows that are written through the service's own path, and counted.
    pub marker: Option<Marker>,
    /// Steps; at least one.
    pub steps: Vec<Step>,
    /// Steps by their index, in the order in which they are carried out; those of one list at the same time.
    pub waves: Vec<Vec<usize>>,
    /// What pages in English show instead of a text of the plan.
    pub english: BTreeMap<String, String>,
    /// What is allowed but unwise.
    pub warnings: Vec<PlanProblem>,
}

/// Which scenario of which service of the scope a plan exercises.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covers {
    /// Identifier of the service.
    pub service: String,
    /// Identifier of the scenario.
    pub scenario: String,
}

/// Kinds of exercise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A review at a desk: people go through a checklist, and minutes are kept (tabletop).
    Tabletop,
    /// A part of the plan is carried out (fungsional).
    Functional,
    /// A real fault, and another instance takes over (alih layanan).
    Failover,
    /// A backup is restored in a scratch place and counted (pemulihan cadangan).
    Restore,
    /// The service goes back to where it ran before (alih balik).
    SwitchBack,
}

impl Kind {
    /// Code in records and in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tabletop => "tabletop",
            Self::Functional => "functional",
            Self::Failover => "failover",
            Self::Restore => "restore",
            Self::SwitchBack => "switch_back",
        }
    }

    /// Whether the service is disturbed, so that probes and a steady state are needed.
    #[must_use]
    pub const fn disturbs(self) -> bool {
        matches!(self, Self::Functional | Self::Failover | Self::SwitchBack)
    }
}

/// Something that must hold all the time.
#[derive(Debug, Clone, PartialEq)]
pub struct StopCondition {
    /// What must hold.
    pub check: Check,
    /// For how long it may not hold before the drill is stopped.
    pub patience: Duration,
}

/// Something that must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Name for people; unique within its list.
    pub name: String,
    /// What is asked.
    pub kind: CheckKind,
}

/// How a check asks.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckKind {
    /// An HTTP request from the server.
    Http(HttpExpectation),
    /// A PromQL instant query: at least one value, and the comparison holds for each.
    Promql {
        /// The query.
        query: String,
        /// What holds for each value.
        comparison: Comparison,
    },
}

/// An HTTP request and the answer that counts as good.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpExpectation {
    /// Address, `http` or `https`.
    pub url: reqwest::Url,
    /// Status that counts as good.
    pub status: u16,
    /// Text that the answer must hold.
    pub body_contains: Option<String>,
    /// Longest time for the whole request.
    pub timeout: Duration,
}

/// Measures availability at a fixed pace.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// Name for people; unique.
    pub name: String,
    /// What is asked each time, over a new connection.
    pub http: HttpExpectation,
    /// Time between two questions.
    pub interval: Duration,
}

/// Who does what a step asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// An agent, by an order.
    Order {
        /// `instance` of the host; without it, the one host that offers the action.
        host: Option<String>,
        /// Action in the agent's own file.
        action: String,
    },
    /// A person, who confirms it.
    Person {
        /// What is to be done or seen.
        question: String,
    },
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Identifier; unique.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Who does what.
    pub work: Work,
    /// Longest time for the action, and for its undo; or for the confirmation.
    pub timeout: Duration,
    /// How often an action that failed is tried again.
    pub retries: u32,
    /// How it is taken back.
    pub undo: Undo,
    /// Wait after the action, before anything is expected.
    pub pause_after: Duration,
    /// Every probe must be good again within this time after the action.
    pub recovers_within: Option<Duration>,
    /// What must hold within the same time.
    pub checks: Vec<Check>,
}

impl Step {
    /// Host and action, where an agent carries the step out.
    #[must_use]
    pub fn order(&self) -> Option<(Option<&str>, &str)> {
        match &self.work {
            Work::Order { host, action } => Some((host.as_deref(), action)),
            Work::Person { .. } => None,
        }
    }

    /// What a person is asked.
    #[must_use]
    pub fn question(&self) -> Option<&String> {
        match &self.work {
            Work::Order { .. } => None,
            Work::Person { question } => Some(question),
        }
    }
}

/// How a step is taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    /// By the undo of the same action, in the agent's own file.
    ByAgent,
    /// Not at all, for this reason.
    Nothing(String),
}

/// A comparison with a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    operator: Operator,
    value: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    /// Two-character signs first, so that `<=` is not read as `<`.
    const ALL: [(&'static str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<=", Self::LessOrEqual),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        (">", Self::Greater),
    ];
}

impl Comparison {
    /// Reads `>= 1`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (sign, operator) = Operator::ALL.into_iter().find(|(sign, _)| text.starts_with(sign))?;
        let value: f64 = text.strip_prefix(sign)?.trim().parse().ok()?;
        value.is_finite().then_some(Self { operator, value })
    }

    /// Whether it holds for a value; never for NaN.
    #[must_use]
    pub fn holds(self, found: f64) -> bool {
        #[expect(clippy::float_cmp, reason = "the plan asks for equality with a written number")]
        match self.operator {
            Operator::Equal => found == self.value,
            Operator::NotEqual => !found.is_nan() && found != self.value,
            Operator::Less => found < self.value,
            Operator::LessOrEqual => found <= self.value,
            Operator::Greater => found > self.value,
            Operator::GreaterOrEqual => found >= self.value,
        }
    }
}

impl std::fmt::Display for Comparison {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = Operator::ALL.into_iter().find(|(_, operator)| *operator == self.operator);
        write!(out, "{} {}", sign.map_or("?", |(sign, _)| sign), self.value)
    }
}

impl Plan {
    /// A text of the plan in a language, by its code; the text itself where the plan has no other.
    #[must_use]
    pub fn say<'a>(&'a self, language: &str, text: &'a str) -> &'a str {
        let english = (language == "en").then(|| self.english.get(text)).flatten();
        english.map_or(text, String::as_str)
    }

    /// Reads and checks a plan; `file` is only used in problems.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the text.
    pub fn read(file: &str, text: &str) -> Result<Self, Vec<PlanProblem>> {
        text::read(file, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_reads_its_sign_and_number_and_never_holds_for_nan() {
        for (text, found, wanted) in [
            ("== 1", 1.0, true),
            (">=1", 0.5, false),
            ("<= 2", 2.0, true),
            ("< 2", 2.0, false),
            ("> 2", 3.0, true),
            ("!= 0", 0.0, false),
            ("!= 0", f64::NAN, false),
        ] {
            assert_eq!(Comparison::parse(text).unwrap().holds(found), wanted, "{text} {found}");
        }
        assert_eq!(Comparison::parse("=> 1"), None);
        assert_eq!(Comparison::parse(">= inf"), None);
        assert_eq!(Comparison::parse(">= 1").unwrap().to_string(), ">= 1");
    }
}
