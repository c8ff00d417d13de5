//! What is shown of a service, and what may be decided on it. Pure.

use serde::{Deserialize, Serialize};
use siaga_protocol::inventory::{Listener, WatchedBy};
use siaga_protocol::orders::{OrderKind, OrderResult, Outcome};

use crate::time::Millis;

/// What a person can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The agent is to watch it.
    Watch,
    /// The agent is to watch it no more.
    Unwatch,
    /// The proposal is of no interest.
    Dismiss,
    /// The proposal is of interest again.
    Propose,
}

impl Decision {
    const ALL: [Self; 4] = [Self::Watch, Self::Unwatch, Self::Dismiss, Self::Propose];

    /// Code in records and in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Unwatch => "unwatch",
            Self::Dismiss => "dismiss",
            Self::Propose => "propose",
        }
    }

    /// The decision of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.code() == code)
    }

    /// Action in the audit trail.
    #[must_use]
    pub const fn audited_as(self) -> &'static str {
        match self {
            Self::Watch => "host.watch",
            Self::Unwatch => "host.unwatch",
            Self::Dismiss => "host.dismiss",
            Self::Propose => "host.propose",
        }
    }

    /// The order that carries it to the agent; none for what is decided here alone.
    #[must_use]
    pub const fn order(self) -> Option<OrderKind> {
        match self {
            Self::Watch => Some(OrderKind::Watch),
            Self::Unwatch => Some(OrderKind::Unwatch),
            Self::Dismiss | Self::Propose => None,
        }
    }
}

/// The order that carried a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Not obeyed at or after this time.
    pub expires_at_ms: Millis,
    /// The agent's answer.
    pub result: Option<OrderResult>,
}

/// A decision that stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// What it is on.
    pub service_id: String,
    /// What it is.
    pub decision: Decision,
    /// Who.
    pub by: String,
    /// When.
    pub at_ms: Millis,
    /// How it went to the agent.
    pub sent: Option<Sent>,
}

impl Decided {
    fn is_open(&self, now_ms: Millis) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.result.is_none() && sent.expires_at_ms > now_ms)
    }

    fn has_expired(&self, now_ms: Millis) -> bool {
        self.sent.as_ref().is_some_and(|sent| sent.result.is_none() && sent.expires_at_ms <= now_ms)
    }

    /// Why the agent did not do it.
    fn refusal(&self) -> Option<&str> {
        let result = self.sent.as_ref()?.result.as_ref()?;
        (result.outcome != Outcome::Succeeded).then_some(result.message.as_str())
    }
}

/// Where a service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// Nobody has decided yet.
    Proposed,
    /// The agent watches it by order.
    Watched,
    /// The host's own file has it watched.
    Configured,
    /// The agent has not answered yet.
    Waiting,
    /// The agent did not do it; the reason stands beside.
    Refused,
    /// The agent did not answer in time.
    Unanswered,
    /// The proposal was dismissed.
    Dismissed,
    /// There is nothing to propose.
    Known,
}

impl ServiceState {
    /// Code in texts.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Proposed => "proposed",
            Self::Watched => "watched",
            Self::Configured => "configured",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Unanswered => "unanswered",
            Self::Dismissed => "dismissed",
            Self::Known => "known",
        }
    }
}

/// A service of a host, as it was found and decided on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Identifier.
    pub id: String,
    /// Where it stands.
    pub state: ServiceState,
    /// Why the agent refused.
    pub reason: String,
    /// What may be decided now.
    pub choices: Vec<Decision>,
    /// As the agent found it; none if it does not listen any more.
    pub listener: Option<Listener>,
    /// Who decided last; empty if nobody has.
    pub decided_by: String,
    /// When that was.
    pub decided_at_ms: Option<Millis>,
}

impl Service {
    /// Puts together what was found and what was decided. `None` if neither is left.
    #[must_use]
    pub fn new(listener: Option<Listener>, decided: Option<&Decided>, now_ms: Millis) -> Option<Self> {
        let is_over = decided.is_none_or(|decided| {
            matches!(decided.decision, Decision::Dismiss | Decision::Propose)
                || (decided.decision == Decision::Unwatch && !decided.is_open(now_ms))
        });
        if listener.is_none() && is_over {
            return None;
        }
        let id = listener.as_ref().map(|l| l.id.clone()).or_else(|| Some(decided?.service_id.clone()))?;
        let state = state(listener.as_ref(), decided, now_ms);
        Some(Self {
            id,
            state,
            reason: decided.and_then(Decided::refusal).unwrap_or_default().to_owned(),
            choices: choices(state, listener.as_ref(), decided),
            decided_by: decided.map(|decided| decided.by.clone()).unwrap_or_default(),
            decided_at_ms: decided.map(|decided| decided.at_ms),
            listener,
        })
    }
}

fn state(listener: Option<&Listener>, decided: Option<&Decided>, now_ms: Millis) -> ServiceState {
    let watched = listener.and_then(|listener| listener.watched);
    if watched == Some(WatchedBy::Configuration) {
        return ServiceState::Configured;
    }
    let undecided = match (watched, listener.and_then(|listener| listener.proposal.as_ref())) {
        (Some(_), _) => ServiceState::Watched,
        (None, Some(_)) => ServiceState::Proposed,
        (None, None) => ServiceState::Known,
    };
    let Some(decided) = decided else { return undecided };
    match decided.decision {
        Decision::Dismiss => ServiceState::Dismissed,
        Decision::Propose => undecided,
        _ if decided.is_open(now_ms) => ServiceState::Waiting,
        _ if decided.refusal().is_some() => ServiceState::Refused,
        _ if decided.has_expired(now_ms) => ServiceState::Unanswered,
        Decision::Watch => ServiceState::Watched,
        // The report that it is watched may be older than the answer.
        Decision::Unwatch if listener.is_some_and(|listener| listener.proposal.is_some()) => {
            ServiceState::Proposed
        }
        Decision::Unwatch => ServiceState::Known,
    }
}

fn choices(state: ServiceState, listener: Option<&Listener>, decided: Option<&Decided>) -> Vec<Decision> {
    let proposal = listener.and_then(|listener| listener.proposal.as_ref());
    let watch = proposal.is_some_and(|proposal| proposal.can_switch_on).then_some(Decision::Watch);
    let was_on = decided.is_some_and(|decided| decided.decision == Decision::Watch);
    let listed: [Option<Decision>; 2] = match state {
        ServiceState::Proposed => [watch, Some(Decision::Dismiss)],
        ServiceState::Watched => [Some(Decision::Unwatch), None],
        ServiceState::Waiting if was_on => [Some(Decision::Unwatch), None],
        ServiceState::Waiting => [watch, None],
        ServiceState::Refused | ServiceState::Unanswered if was_on => {
            [watch, Some(Decision::Unwatch).filter(|_| state == ServiceState::Unanswered)]
        }
        ServiceState::Refused | ServiceState::Unanswered => [Some(Decision::Unwatch), None],
        ServiceState::Dismissed => [Some(Decision::Propose), None],
        ServiceState::Configured | ServiceState::Known => [None, None],
    };
    listed.into_iter().flatten().collect()
}

/// The order that brings an agent back to what was decided, after it reported this listener. An agent that refused is
/// left alone.
pub(super) fn order_again(listener: &Listener, decided: &Decided, now_ms: Millis) -> Option<OrderKind> {
    if decided.is_open(now_ms) || decided.refusal().is_some() {
        return None;
    }
    let can_switch_on = listener.proposal.as_ref().is_some_and(|proposal| proposal.can_switch_on);
    match (decided.decision, listener.watched) {
        (Decision::Watch, None) if can_switch_on => Some(OrderKind::Watch),
        (Decision::Unwatch, Some(WatchedBy::Console)) => Some(OrderKind::Unwatch),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use siaga_protocol::inventory::Proposal;

    use super::*;

    fn listener(watched: Option<WatchedBy>) -> Listener {
        let proposal = Some(Proposal { can_switch_on: true, ..Proposal::default() });
        Listener { id: "ssh-22".into(), proposal, watched, ..Listener::default() }
    }

    fn decided(decision: Decision, outcome: Option<Outcome>) -> Decided {
        let result = outcome.map(|outcome| OrderResult {
            order_id: "o".into(),
            outcome,
            message: "no".into(),
            output: String::new(),
            started_at_ms: 1,
            ended_at_ms: 1,
        });
        let sent = decision.order().map(|_| Sent { expires_at_ms: 100, result });
        Decided { service_id: "ssh-22".into(), decision, by: "user:ani".into(), at_ms: 1, sent }
    }

    #[test]
    fn a_service_goes_from_proposal_to_watched_and_back() {
        use Decision as D;
        use Outcome::{Refused, Succeeded};
        use ServiceState as S;
        let console = Some(WatchedBy::Console);
        for (found, decision, now, state, choices) in [
            (Some(None), None, 50, S::Proposed, &[D::Watch, D::Dismiss][..]),
            (Some(None), Some((D::Watch, None)), 50, S::Waiting, &[D::Unwatch]),
            (Some(None), Some((D::Watch, Some(Succeeded))), 50, S::Watched, &[D::Unwatch]),
            (Some(console), Some((D::Watch, Some(Succeeded))), 50, S::Watched, &[D::Unwatch]),
            (None, Some((D::Watch, Some(Succeeded))), 50, S::Watched, &[D::Unwatch]),
            (Some(None), Some((D::Watch, Some(Refused))), 50, S::Refused, &[D::Watch]),
            (Some(None), Some((D::Watch, None)), 100, S::Unanswered, &[D::Watch, D::Unwatch]),
            (Some(console), Some((D::Unwatch, None)), 50, S::Waiting, &[D::Watch]),
            (Some(console), Some((D::Unwatch, Some(Succeeded))), 50, S::Proposed, &[D::Watch, D::Dismiss]),
            (Some(None), Some((D::Dismiss, None)), 50, S::Dismissed, &[D::Propose]),
            (Some(console), None, 50, S::Watched, &[D::Unwatch]),
            (Some(Some(WatchedBy::Configuration)), Some((D::Watch, None)), 50, S::Configured, &[]),
        ] {
            let decision = decision.map(|(decision, outcome)| decided(decision, outcome));
            let service = Service::new(found.map(listener), decision.as_ref(), now).unwrap();
            assert_eq!(
                (service.state, service.choices.as_slice()),
                (state, choices),
                "{found:?} {decision:?}"
            );
        }
        for over in [None, Some(decided(D::Dismiss, None)), Some(decided(D::Unwatch, Some(Succeeded)))] {
            assert_eq!(Service::new(None, over.as_ref(), 50), None, "{over:?}");
        }
    }

    #[test]
    fn what_a_host_forbids_is_proposed_without_the_choice() {
        let mut listener = listener(None);
        listener.proposal = Some(Proposal::default());
        let service = Service::new(Some(listener), None, 50).unwrap();
        assert_eq!((service.state, service.choices), (ServiceState::Proposed, vec![Decision::Dismiss]));
    }

    #[test]
    fn an_agent_that_has_lost_its_memory_is_ordered_again() {
        use Outcome::{Refused, Succeeded};
        let console = Some(WatchedBy::Console);
        for (watched, decision, outcome, now, order) in [
            (None, Decision::Watch, Some(Succeeded), 50, Some(OrderKind::Watch)),
            (None, Decision::Watch, None, 50, None),
            (None, Decision::Watch, None, 100, Some(OrderKind::Watch)),
            (None, Decision::Watch, Some(Refused), 50, None),
            (console, Decision::Watch, Some(Succeeded), 50, None),
            (console, Decision::Unwatch, Some(Succeeded), 50, Some(OrderKind::Unwatch)),
            (Some(WatchedBy::Configuration), Decision::Unwatch, Some(Succeeded), 50, None),
            (None, Decision::Dismiss, None, 50, None),
        ] {
            let found = order_again(&listener(watched), &decided(decision, outcome), now);
            assert_eq!(found, order, "{watched:?} {decision:?} {outcome:?}");
        }
    }
}
