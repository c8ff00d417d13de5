//! The steps of a drill, as they are carried out: orders to agents, of one list at the same time, tried again where the
//! plan says so, and questions to people.
//!
//! Invariants: all orders of a list are given before any answer is awaited; a list has ended only when every order of it
//! was answered, or can no longer be carried out, so that no undo overtakes one.

use std::time::Duration;

use siaga_protocol::orders::{Order, OrderKind, Outcome};
use tokio::time::Instant;

use super::execute::{Run, Watched, note};
use super::journal::{Fact, OrderNote};
use super::plan::{FleetProblem, Step, Undo};
use super::reason::Reason;
use crate::access::new_id;
use crate::fleet::orders;
use crate::time::{Millis, millis, now_ms};

/// A step whose order was given.
struct Given {
    index: usize,
    step: Step,
    order: OrderNote,
    tries_left: u32,
    /// Why it failed at once.
    failed: Option<Reason>,
    answered_ms: Millis,
}

impl Run {
    /// Carries out the steps of one list.
    pub(super) async fn run_steps(&mut self, indices: &[usize], watched: &Watched) -> anyhow::Result<()> {
        let mut given = Vec::new();
        let mut asked = Vec::new();
        for index in indices.iter().copied() {
            let Some(step) = self.plan.steps.get(index).cloned() else {
                anyhow::bail!("step {index} is not in the plan");
            };
            match step.order() {
                Some(_) => given.push(self.give(index, step).await?),
                None => asked.push((index, step)),
            }
        }
        for one in &mut given {
            self.await_answer(one).await?;
        }
        for (index, step) in asked {
            self.ask(index, &step).await?;
        }
        for one in given {
            let reasons = match one.failed {
                Some(reason) => vec![reason],
                None => {
                    self.pause(one.step.pause_after).await;
                    self.expect(one.step.recovers_within, &one.step.checks, one.answered_ms, &watched.prober)
                        .await?
                }
            };
            if reasons.is_empty() && self.asked_to_stop().is_some() {
                return Ok(());
            }
            self.record(Fact::StepEnded { step: one.index, good: reasons.is_empty(), reasons }).await?;
        }
        Ok(())
    }

    /// Writes a step down and gives its order.
    async fn give(&mut self, index: usize, step: Step) -> anyhow::Result<Given> {
        let Some(host) = self.hosts.get(index).cloned().flatten() else {
            anyhow::bail!("step {index} has no host");
        };
        let action = step.order().map_or_else(String::new, |(_, action)| action.to_owned());
        let now = now_ms();
        let undo_at_ms = (step.undo == Undo::ByAgent).then(|| now + millis(self.longest_from(index)));
        let expires_at_ms = now + millis(self.pace.start_within);
        let order = OrderNote {
            order_id: new_id(),
            host_id: host.host_id,
            host: host.instance,
            action,
            answer_until_ms: expires_at_ms + millis(step.timeout + self.pace.answer_grace),
            undo_at_ms,
        };
        let tries_left = step.retries;
        let mut given = Given { index, step, order, tries_left, failed: None, answered_ms: now };
        if self.start_step(index, &given.order).await? {
            self.fault_ms.get_or_insert_with(now_ms);
            self.send(&given.order, expires_at_ms).await?;
        } else {
            let problem = FleetProblem::NotEnrolled { host: given.order.host.clone() };
            let (field, why) = (format!("step[{index}].host"), problem.say("en"));
            given.failed = Some(Reason::NotPossible { field, why, problem: Some(problem) });
        }
        Ok(given)
    }

    async fn send(&self, note: &OrderNote, expires_at_ms: Millis) -> anyhow::Result<()> {
        let order = Order {
            id: note.order_id.clone(),
            host_id: note.host_id.clone(),
            drill_id: self.drill_id.clone(),
            action: note.action.clone(),
            kind: OrderKind::Run,
            expires_at_ms,
            undo_at_ms: note.undo_at_ms,
        };
        Ok(orders::send(&self.app, order).await?)
    }

    /// Awaits the answer to an order, and gives another one as long as the action fails and may be tried again.
    async fn await_answer(&mut self, given: &mut Given) -> anyhow::Result<()> {
        while given.failed.is_none() {
            let answer = self.wait(&given.order).await?;
            let step = given.index;
            self.record(Fact::StepAnswered { step, answer: answer.clone().map(note) }).await?;
            given.answered_ms = now_ms();
            let Some(reason) = self.failure(&given.step.name, &given.order, answer.as_ref()) else {
                return Ok(());
            };
            // What was refused would be again.
            let may_work =
                answer.is_some_and(|answer| matches!(answer.outcome, Outcome::Failed | Outcome::TimedOut));
            if !may_work || given.tries_left == 0 || self.asked_to_stop().is_some() {
                given.failed = Some(reason);
                return Ok(());
            }
            given.tries_left -= 1;
            let expires_at_ms = now_ms() + millis(self.pace.start_within);
            given.order = OrderNote {
                order_id: new_id(),
                answer_until_ms: expires_at_ms + millis(given.step.timeout + self.pace.answer_grace),
                ..given.order.clone()
            };
            self.record(Fact::StepRetried { step, order: given.order.clone() }).await?;
            self.send(&given.order, expires_at_ms).await?;
        }
        Ok(())
    }

    /// Asks people, and waits until one has confirmed.
    async fn ask(&mut self, index: usize, step: &Step) -> anyhow::Result<()> {
        let until_ms = now_ms() + millis(step.timeout);
        self.record(Fact::Asked { step: index, until_ms }).await?;
        let deadline = Instant::now() + step.timeout;
        let confirmation = loop {
            if let Some(found) = self.claim.confirmations.borrow_and_update().get(&step.id) {
                break Some(found.clone());
            }
            if self.asked_to_stop().is_some() {
                return Ok(());
            }
            let (mut confirmations, mut asked) = (self.claim.confirmations.clone(), self.claim.asked.clone());
            tokio::select! {
                _ = confirmations.changed() => {}
                _ = asked.wait_for(Option::is_some) => {}
                () = tokio::time::sleep_until(deadline) => break None,
            }
        };
        let reasons = match confirmation {
            Some(found) => {
                let (who, done, said) = (found.who.clone(), found.done, found.note.clone());
                self.record(Fact::Confirmed { step: index, who, done, note: said }).await?;
                let denied = || Reason::Denied { step: step.name.clone(), who: found.who, note: found.note };
                if done { Vec::new() } else { vec![denied()] }
            }
            None => vec![Reason::NotConfirmed { step: step.name.clone(), within_ms: millis(step.timeout) }],
        };
        if reasons.is_empty() && step.pause_after > Duration::ZERO {
            self.pause(step.pause_after).await;
        }
        self.record(Fact::StepEnded { step: index, good: reasons.is_empty(), reasons }).await
    }
}
