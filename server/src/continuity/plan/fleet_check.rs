//! What only the fleet can tell about a plan: which host carries out each step, and whether it can. Pure.

use serde::{Deserialize, Serialize};
use siaga_protocol::agent_api::ActionOffer;

use super::place::PlanProblem;
use super::{Plan, Step, Undo};

/// What is known of a host.
#[derive(Debug, Clone)]
pub struct HostState {
    /// Identifier.
    pub id: String,
    /// Its `instance` label.
    pub instance: String,
    /// Why nothing can be ordered there now, if so.
    pub trouble: Option<HostTrouble>,
    /// What its own file allows.
    pub actions: Vec<ActionOffer>,
}

/// Why nothing can be ordered on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostTrouble {
    /// Its agent is silent.
    Silent,
    /// Two agents bear its identity: both would carry out what is ordered.
    Copied,
    /// Its clock is wrong: what it is to undo by itself at a time would come at another.
    WrongClock,
}

/// Where a step is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedStep {
    /// Identifier of the host.
    pub host_id: String,
    /// Its `instance` label.
    pub instance: String,
}

/// What the fleet cannot do, or need not do as it is meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum FleetProblem {
    /// The step names no host: who carries it out is up to what agents offer.
    HostNotNamed {
        /// Action.
        action: String,
    },
    /// The plan states a recovery point objective, but nothing measures it.
    RpoNotMeasured,
    /// No such host.
    NotEnrolled {
        /// Host.
        host: String,
    },
    /// No host offers the action.
    NobodyOffers {
        /// Action.
        action: String,
    },
    /// Several hosts offer the action, and the step names none.
    SeveralOffer {
        /// Action.
        action: String,
        /// One host.
        first: String,
        /// Another one.
        second: String,
    },
    /// The agent does not define the action.
    NotDefined {
        /// Host.
        host: String,
        /// Action.
        action: String,
    },
    /// The agent defines no undo of the action.
    NoUndo {
        /// Host.
        host: String,
        /// Action.
        action: String,
    },
    /// The agent may let the action run longer than the step waits.
    RunsLonger {
        /// Host.
        host: String,
        /// Action.
        action: String,
        /// The agent's time, seconds.
        seconds: u32,
    },
    /// The agent is silent.
    Silent {
        /// Host.
        host: String,
    },
    /// Two agents bear the host's identity.
    Copied {
        /// Host.
        host: String,
    },
    /// The host's clock is wrong.
    WrongClock {
        /// Host.
        host: String,
    },
}

impl FleetProblem {
    /// Field of the step that it is about.
    fn field(&self) -> &'static str {
        match self {
            Self::HostNotNamed { .. }
            | Self::NotEnrolled { .. }
            | Self::Silent { .. }
            | Self::Copied { .. }
            | Self::WrongClock { .. } => "host",
            Self::RpoNotMeasured => "rpo",
            Self::NobodyOffers { .. } | Self::SeveralOffer { .. } | Self::NotDefined { .. } => "action",
            Self::NoUndo { .. } => "undo",
            Self::RunsLonger { .. } => "timeout",
        }
    }

    /// The sentence in a language, by its code.
    #[must_use]
    pub fn say(&self, language: &str) -> String {
        let (key, values): (_, Vec<(&str, String)>) = match self.clone() {
            Self::HostNotNamed { action } => ("continuity.fleet.host_not_named", vec![("action", action)]),
            Self::RpoNotMeasured => ("continuity.fleet.rpo_not_measured", vec![]),
            Self::NotEnrolled { host } => ("continuity.fleet.not_enrolled", vec![("host", host)]),
            Self::NobodyOffers { action } => ("continuity.fleet.nobody_offers", vec![("action", action)]),
            Self::SeveralOffer { action, first, second } => (
                "continuity.fleet.several_offer",
                vec![("action", action), ("first", first), ("second", second)],
            ),
            Self::NotDefined { host, action } => {
                ("continuity.fleet.not_defined", vec![("host", host), ("action", action)])
            }
            Self::NoUndo { host, action } => {
                ("continuity.fleet.no_undo", vec![("host", host), ("action", action)])
            }
            Self::RunsLonger { host, action, seconds } => (
                "continuity.fleet.runs_longer",
                vec![("host", host), ("action", action), ("seconds", seconds.to_string())],
            ),
            Self::Silent { host } => ("continuity.fleet.silent", vec![("host", host)]),
            Self::Copied { host } => ("continuity.fleet.copied", vec![("host", host)]),
            Self::WrongClock { host } => ("continuity.fleet.wrong_clock", vec![("host", host)]),
        };
        let text = rust_i18n::t!(key, locale = language).into_owned();
        values.iter().fold(text, |text, (name, value)| text.replace(&format!("%{{{name}}}"), value))
    }
}

/// The host of each step; none where a person does it. A step that names no host goes to the one that offers its action.
///
/// # Errors
/// Everything that stands against a drill now. Places are not given: they are not in the plan's text.
pub fn resolve(
    plan: &Plan,
    file: &str,
    hosts: &[HostState],
) -> Result<Vec<Option<ResolvedStep>>, Vec<PlanProblem>> {
    let mut resolved = Vec::new();
    let mut problems = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let mut add = |problem: FleetProblem| {
            problems.push(PlanProblem {
                file: file.to_owned(),
                line: 0,
                column: 0,
                field: format!("step[{index}].{}", problem.field()),
                reason: problem.say("en"),
                fleet: Some(problem),
            });
        };
        let Some((host, action)) = step.order() else {
            resolved.push(None);
            continue;
        };
        let found = match host {
            Some(name) => hosts
                .iter()
                .find(|host| host.instance == name)
                .ok_or_else(|| FleetProblem::NotEnrolled { host: name.to_owned() }),
            None => only_host_with(action, hosts),
        };
        match found {
            Ok(host) => {
                against(step, action, host).into_iter().for_each(&mut add);
                resolved
                    .push(Some(ResolvedStep { host_id: host.id.clone(), instance: host.instance.clone() }));
            }
            Err(problem) => add(problem),
        }
    }
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

/// What stands against a step on a host.
fn against(step: &Step, name: &str, found: &HostState) -> Vec<FleetProblem> {
    let (host, action) = (|| found.instance.clone(), || name.to_owned());
    let mut problems = Vec::new();
    match found.actions.iter().find(|offer| offer.name == name) {
        None => problems.push(FleetProblem::NotDefined { host: host(), action: action() }),
        Some(offer) => {
            if step.undo == Undo::ByAgent && !offer.has_undo {
                problems.push(FleetProblem::NoUndo { host: host(), action: action() });
            }
            if step.timeout.as_secs() < u64::from(offer.timeout_seconds) {
                let seconds = offer.timeout_seconds;
                problems.push(FleetProblem::RunsLonger { host: host(), action: action(), seconds });
            }
        }
    }
    problems.extend(found.trouble.map(|trouble| match trouble {
        HostTrouble::Silent => FleetProblem::Silent { host: host() },
        HostTrouble::Copied => FleetProblem::Copied { host: host() },
        HostTrouble::WrongClock => FleetProblem::WrongClock { host: host() },
    }));
    problems
}

fn only_host_with<'a>(action: &str, hosts: &'a [HostState]) -> Result<&'a HostState, FleetProblem> {
    let mut offering = hosts.iter().filter(|host| host.actions.iter().any(|offer| offer.name == action));
    match (offering.next(), offering.next()) {
        (None, _) => Err(FleetProblem::NobodyOffers { action: action.to_owned() }),
        (Some(host), None) => Ok(host),
        (Some(first), Some(second)) => Err(FleetProblem::SeveralOffer {
            action: action.to_owned(),
            first: first.instance.clone(),
            second: second.instance.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(host: Option<&str>) -> Plan {
        let host = host.map_or(String::new(), |host| format!("host = {host:?}\n"));
        let text = include_str!("../../../../deploy/plans/lab.toml");
        Plan::read("lab.toml", &text.replace("action = ", &format!("{host}action = "))).unwrap()
    }

    fn host(instance: &str, has_undo: bool, trouble: Option<HostTrouble>) -> HostState {
        HostState {
            id: format!("id-{instance}"),
            instance: instance.to_owned(),
            trouble,
            actions: vec![ActionOffer {
                name: "lab-kill-a".to_owned(),
                description: String::new(),
                has_undo,
                timeout_seconds: 10,
            }],
        }
    }

    #[test]
    fn a_step_without_a_host_goes_to_the_only_one_that_offers_its_action() {
        let mut other = host("b", true, None);
        other.actions.clear();
        let found = resolve(&plan(None), "lab.toml", &[other, host("a", true, None)]).unwrap();
        assert_eq!(found[0].as_ref().unwrap().instance, "a");
    }

    #[test]
    fn what_the_fleet_cannot_do_is_refused_with_the_reason() {
        for (plan, hosts, wanted) in [
            (plan(None), vec![], "step[0].action: no enrolled host offers lab-kill-a"),
            (
                plan(None),
                vec![host("a", true, None), host("b", true, None)],
                "possibly others: name the host",
            ),
            (plan(Some("c")), vec![host("a", true, None)], "step[0].host: host c is not enrolled"),
            (plan(Some("a")), vec![host("a", false, None)], "defines no undo of"),
            (plan(Some("a")), vec![host("a", true, Some(HostTrouble::Silent))], "the agent of a is silent"),
            (
                plan(Some("a")),
                vec![host("a", true, Some(HostTrouble::Copied))],
                "two agents bear the identity",
            ),
            (
                plan(Some("a")),
                vec![host("a", true, Some(HostTrouble::WrongClock))],
                "the clock of a is wrong",
            ),
        ] {
            let found = resolve(&plan, "lab.toml", &hosts).unwrap_err();
            assert!(found[0].to_string().contains(wanted), "{} instead of {wanted}", found[0]);
            let indonesian = found[0].fleet.as_ref().unwrap().say("id");
            assert!(!indonesian.contains("%{") && indonesian != found[0].reason, "{indonesian}");
        }
    }

    #[test]
    fn an_agent_that_may_run_longer_than_the_step_waits_is_refused() {
        let mut slow = host("a", true, None);
        slow.actions[0].timeout_seconds = 600;
        let found = resolve(&plan(None), "lab.toml", &[slow]).unwrap_err();
        assert!(found[0].reason.contains("is shorter than the 600 s"), "{}", found[0]);
    }
}
