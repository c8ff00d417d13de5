//! What only the fleet can tell about a plan: which host carries out each step, and whether it can. Pure.

use siaga_protocol::agent_api::ActionOffer;

use super::place::PlanProblem;
use super::{Plan, Undo};

/// What is known of a host.
#[derive(Debug, Clone)]
pub struct HostState {
    /// Identifier.
    pub id: String,
    /// Its `instance` label.
    pub instance: String,
    /// Whether its agent is silent.
    pub silent: bool,
    /// What its own file allows.
    pub actions: Vec<ActionOffer>,
}

/// Where a step is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedStep {
    /// Identifier of the host.
    pub host_id: String,
    /// Its `instance` label.
    pub instance: String,
}

/// The host of each step. A step that names none goes to the one host that offers its action.
///
/// # Errors
/// Everything that stands against a drill now. Places are not given: they are not in the plan's text.
pub fn resolve(plan: &Plan, file: &str, hosts: &[HostState]) -> Result<Vec<ResolvedStep>, Vec<PlanProblem>> {
    let mut resolved = Vec::new();
    let mut problems = Vec::new();
    for (index, step) in plan.steps.iter().enumerate() {
        let mut add = |field: &str, reason: String| {
            problems.push(PlanProblem {
                file: file.to_owned(),
                line: 0,
                column: 0,
                field: format!("step[{index}].{field}"),
                reason,
            });
        };
        let host = match &step.host {
            Some(name) => hosts
                .iter()
                .find(|host| host.instance == *name)
                .ok_or_else(|| ("host", format!("host {name:?} is not enrolled"))),
            None => only_host_with(&step.action, hosts).map_err(|reason| ("action", reason)),
        };
        let host = match host {
            Ok(host) => host,
            Err((field, reason)) => {
                add(field, reason);
                continue;
            }
        };
        match host.actions.iter().find(|offer| offer.name == step.action) {
            None => {
                add("action", format!("the agent of {:?} does not define {:?}", host.instance, step.action))
            }
            Some(offer) => {
                if step.undo == Undo::ByAgent && !offer.has_undo {
                    add(
                        "undo",
                        format!("the agent of {:?} defines no undo of {:?}", host.instance, step.action),
                    );
                }
                if step.timeout.as_secs() < u64::from(offer.timeout_seconds) {
                    add(
                        "timeout",
                        format!(
                            "is shorter than the {} s that the agent of {:?} lets {:?} run",
                            offer.timeout_seconds, host.instance, step.action
                        ),
                    );
                }
            }
        }
        if host.silent {
            add("host", format!("the agent of {:?} is silent", host.instance));
        }
        resolved.push(ResolvedStep { host_id: host.id.clone(), instance: host.instance.clone() });
    }
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

fn only_host_with<'a>(action: &str, hosts: &'a [HostState]) -> Result<&'a HostState, String> {
    let mut offering = hosts.iter().filter(|host| host.actions.iter().any(|offer| offer.name == action));
    match (offering.next(), offering.next()) {
        (None, _) => Err(format!("no enrolled host offers {action:?}")),
        (Some(host), None) => Ok(host),
        (Some(first), Some(second)) => Err(format!(
            "{action:?} is offered by {:?}, {:?} and possibly others: name the host",
            first.instance, second.instance
        )),
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

    fn host(instance: &str, has_undo: bool, silent: bool) -> HostState {
        HostState {
            id: format!("id-{instance}"),
            instance: instance.to_owned(),
            silent,
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
        let mut other = host("b", true, false);
        other.actions.clear();
        let found = resolve(&plan(None), "lab.toml", &[other, host("a", true, false)]).unwrap();
        assert_eq!(found[0].instance, "a");
    }

    #[test]
    fn what_the_fleet_cannot_do_is_refused_with_the_reason() {
        for (plan, hosts, wanted) in [
            (plan(None), vec![], "step[0].action: no enrolled host offers \"lab-kill-a\""),
            (
                plan(None),
                vec![host("a", true, false), host("b", true, false)],
                "possibly others: name the host",
            ),
            (plan(Some("c")), vec![host("a", true, false)], "step[0].host: host \"c\" is not enrolled"),
            (plan(Some("a")), vec![host("a", false, false)], "defines no undo of"),
            (plan(Some("a")), vec![host("a", true, true)], "the agent of \"a\" is silent"),
        ] {
            let found = resolve(&plan, "lab.toml", &hosts).unwrap_err();
            assert!(found[0].to_string().contains(wanted), "{} instead of {wanted}", found[0]);
        }
    }

    #[test]
    fn an_agent_that_may_run_longer_than_the_step_waits_is_refused() {
        let mut slow = host("a", true, false);
        slow.actions[0].timeout_seconds = 600;
        let found = resolve(&plan(None), "lab.toml", &[slow]).unwrap_err();
        assert!(found[0].reason.contains("is shorter than the 600 s"), "{}", found[0]);
    }
}
