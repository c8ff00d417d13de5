//! Which scenarios of which services were exercised when, and which are to be exercised again. Pure.
//!
//! An exercise counts where it was carried out, however it ended: what it showed stands in its report. A scenario of a
//! service is due again after the time that the service's risk allows.

use super::plan::{Plan, Scope};
use crate::records::drills::Drill;
use crate::time::{Millis, millis};

/// How it stands with one scenario of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    /// Identifier and name of the service.
    pub(super) service: (String, String),
    /// Identifier and name of the scenario.
    pub(super) scenario: (String, String),
    /// Identifiers and names of the plans that exercise it.
    pub(super) plans: Vec<(String, String)>,
    /// The newest exercise: identifier, number, when, how it ended.
    pub(super) last: Option<(String, i64, Millis, String)>,
    /// When it is due again.
    pub(super) due_ms: Option<Millis>,
    /// How it stands.
    pub(super) standing: Standing,
}

/// How it stands with a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// No plan exercises it.
    NoPlan,
    /// It was never exercised.
    Never,
    /// It was exercised too long ago.
    Overdue,
    /// It was exercised.
    Current,
}

impl Standing {
    /// Code in the catalogue of texts, and the class of its badge.
    pub(super) const fn code(self) -> (&'static str, &'static str) {
        match self {
            Self::NoPlan => ("no_plan", "crit"),
            Self::Never => ("never", "crit"),
            Self::Overdue => ("overdue", "warn"),
            Self::Current => ("current", "ok"),
        }
    }
}

/// Whether a drill was carried out.
pub(super) fn carried_out(drill: &Drill) -> bool {
    matches!(drill.status.as_str(), "passed" | "failed" | "aborted")
}

/// Every scenario of every service. `plans` are all good ones, each with its newest drill that was carried out.
pub(super) fn coverage(scope: &Scope, plans: &[(&Plan, Option<Drill>)], now_ms: Millis) -> Vec<Cell> {
    let mut cells = Vec::new();
    for service in &scope.service {
        for scenario in scope.scenario.iter().filter(|one| one.services.contains(&service.id)) {
            let covers = |plan: &Plan| {
                let named = plan.covers.as_ref();
                named.is_some_and(|covers| covers.service == service.id && covers.scenario == scenario.id)
            };
            let of: Vec<&(&Plan, Option<Drill>)> = plans.iter().filter(|(plan, _)| covers(plan)).collect();
            let last =
                of.iter().filter_map(|(_, drill)| drill.as_ref()).max_by_key(|drill| drill.created_at_ms);
            let frequency = millis(scope.frequency.of(service.risk));
            let due_ms = last.map(|drill| drill.created_at_ms + frequency);
            let standing = match due_ms {
                _ if of.is_empty() => Standing::NoPlan,
                None => Standing::Never,
                Some(due_ms) if due_ms < now_ms => Standing::Overdue,
                Some(_) => Standing::Current,
            };
            cells.push(Cell {
                service: (service.id.clone(), service.name.clone()),
                scenario: (scenario.id.clone(), scenario.name.clone()),
                plans: of.iter().map(|(plan, _)| (plan.id.clone(), plan.name.clone())).collect(),
                last: last
                    .map(|drill| (drill.id.clone(), drill.number, drill.created_at_ms, drill.status.clone())),
                due_ms,
                standing,
            });
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::DAY_MS;

    #[test]
    fn a_scenario_is_due_again_after_the_time_that_the_risk_of_its_service_allows() {
        let scope = Scope::read("lingkup.toml", include_str!("../../../deploy/plans/lingkup.toml")).unwrap();
        let text = include_str!("../../../deploy/plans/postgresql.toml");
        let plan = Plan::read("postgresql.toml", text).unwrap();
        let drill = |age_days: i64| Drill {
            created_at_ms: 1_000 * DAY_MS - age_days * DAY_MS,
            status: "failed".to_owned(),
            ..Drill::default()
        };
        for (last, wanted) in
            [(None, Standing::Never), (Some(10), Standing::Current), (Some(93), Standing::Overdue)]
        {
            let cells = coverage(&scope, &[(&plan, last.map(drill))], 1_000 * DAY_MS);
            assert_eq!(cells[0].standing, wanted, "{last:?}");
            assert_eq!(cells[1].standing, Standing::NoPlan, "nothing exercises the other scenario");
        }
    }
}
