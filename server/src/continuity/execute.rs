//! Carries out a drill: asks the machine for the next task, does it, and writes down what happened.
//!
//! Invariants: a step is in the journal before its order is sent; an undo never overtakes the order that it undoes,
//! because that order's answer is awaited until it can no longer be carried out; whatever happens, the rollback is tried.

use std::collections::BTreeMap;
use std::time::Duration;

use siaga_protocol::orders::{Order, OrderKind, OrderResult, Outcome};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::checks::{Finding, look, look_until};
use super::journal::{self, AnswerNote, CheckTime, Entry, Fact, OrderNote};
use super::machine::{Machine, Phase, Task};
use super::marks::Marks;
use super::measure::Measurement;
use super::plan::{Check, Kind, Plan, ResolvedStep, Undo};
use super::prober::{Prober, client};
use super::reason::{Reason, UndoFailure};
use super::running::{Claim, StopCause};
use super::seal;
use super::stop_conditions;
use super::targets::figures;
use crate::access::new_id;
use crate::app::{App, ballast};
use crate::fleet::orders;
use crate::records::drills::{self, Ending};
use crate::records::{RecordsError, audit, hosts};
use crate::time::{Millis, millis, now_ms};

/// Times of the engine itself. A plan states the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// An agent must have started an action within this time.
    pub(super) start_within: Duration,
    /// An agent must have started an undo within this time: it may have to come back first.
    pub(super) undo_start_within: Duration,
    /// After the longest time of an action, its answer is awaited so much longer.
    pub(super) answer_grace: Duration,
    /// Probes ask so long before the first step, and must be good all the time.
    pub(super) baseline: Duration,
    /// A probe counts as recovered when it was good for this long.
    pub(super) stable: Duration,
    /// The agent undoes by itself so long after the drill should have done it.
    pub(super) dead_man_margin: Duration,
}

impl Pace {
    /// Times of real drills.
    pub(super) const NORMAL: Self = Self {
        start_within: Duration::from_secs(20),
        undo_start_within: Duration::from_secs(60),
        answer_grace: Duration::from_secs(5),
        baseline: Duration::from_secs(2),
        stable: Duration::from_secs(1),
        dead_man_margin: Duration::from_secs(60),
    };
}

/// Attempts to undo one step.
const UNDO_ATTEMPTS: u32 = 2;
/// Pause between two looks at whether probes have recovered.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What asks, writes and watches beside a drill, until it is dropped.
pub(super) struct Watched {
    pub(super) prober: Prober,
    pub(super) marks: Option<Marks>,
    // Dropping the set ends the watch.
    _stops: JoinSet<()>,
}

impl Watched {
    fn start(run: &Run) -> anyhow::Result<Self> {
        let (records, id) = (&run.app.records, &run.drill_id);
        // Rows are written where something acts; after a restart there is nothing to compare them with.
        let begins = run.machine.phase() == Phase::CheckingBefore;
        let marks = run.plan.marker.iter().filter(|_| begins);
        let marks = marks.map(|marker| Marks::start(marker, records.clone(), id)).next().transpose()?;
        Ok(Self {
            prober: Prober::start(&run.plan.probes, records.clone(), id)?,
            marks,
            _stops: stop_conditions::watch(&run.app, &run.claim, id, &run.plan.stops)?,
        })
    }

    async fn finish(self) -> anyhow::Result<()> {
        if let Some(marks) = self.marks {
            marks.finish().await?;
        }
        self.prober.finish().await
    }
}

/// A drill that is being carried out.
pub(super) struct Run {
    pub(super) app: App,
    pub(super) pace: Pace,
    pub(super) claim: Claim,
    pub(super) drill_id: String,
    pub(super) plan: Plan,
    pub(super) hosts: Vec<Option<ResolvedStep>>,
    pub(super) machine: Machine,
    client: reqwest::Client,
    orders: BTreeMap<usize, OrderNote>,
    reasons: Vec<Reason>,
    pub(super) fault_ms: Option<Millis>,
    /// What the probes measured up to the end of the steps; empty where nothing was to be measured.
    pub(super) measured: Option<Vec<Measurement>>,
    /// What they measured after that.
    pub(super) rollback: Vec<Measurement>,
    /// Where that begins: the first moment after the first measurement, if it was made by this run.
    pub(super) rest_from_ms: Option<Millis>,
    /// When the first order was written down, and the last answer: of a restore its time.
    pub(super) span_ms: Option<(Millis, Millis)>,
    /// Rows that were lost when they were counted after the steps.
    pub(super) lost: Option<usize>,
}

impl Run {
    /// A drill that was just opened. `hosts` has one entry a step.
    pub(super) fn new(
        app: App,
        pace: Pace,
        claim: Claim,
        drill_id: String,
        plan: Plan,
        hosts: Vec<Option<ResolvedStep>>,
    ) -> anyhow::Result<Self> {
        let undoable = plan.steps.iter().map(|step| step.undo == Undo::ByAgent).collect();
        let machine = Machine::in_waves(undoable, plan.waves.clone());
        Ok(Self {
            app,
            pace,
            claim,
            drill_id,
            plan,
            hosts,
            machine,
            client: client()?,
            orders: BTreeMap::new(),
            reasons: Vec::new(),
            fault_ms: None,
            measured: None,
            rollback: Vec::new(),
            rest_from_ms: None,
            span_ms: None,
            lost: None,
        })
    }

    /// Carries the drill out to its end.
    ///
    /// # Errors
    /// If the records cannot be written. The drill is then unfinished, and resumed like after a restart.
    pub(super) async fn drive(mut self) -> anyhow::Result<()> {
        let watched = Watched::start(&self)?;
        loop {
            self.note_stop().await?;
            match self.machine.next() {
                Task::CheckBefore => self.check_before(&watched).await?,
                Task::RunSteps(steps) => self.run_steps(&steps, &watched).await?,
                Task::Measure => self.measure(&watched).await?,
                Task::Undo(step) => {
                    self.measure_once(&watched).await?;
                    self.undo(step).await?;
                }
                Task::CheckAfter => {
                    self.measure_once(&watched).await?;
                    self.check_after(&watched).await?;
                }
                Task::Close | Task::Nothing => break,
            }
        }
        watched.finish().await?;
        self.close().await
    }

    /// Refuses the drill before anything was done.
    pub(super) async fn refuse(mut self, reasons: Vec<Reason>) -> anyhow::Result<()> {
        self.record(Fact::CheckedBefore { held: false, reasons }).await?;
        self.close().await
    }

    /// Takes up a drill that the end of the server cut off: what was done is undone, then it is closed as aborted.
    pub(super) async fn resume(mut self, entries: Vec<Entry>, further: Vec<Reason>) -> anyhow::Result<()> {
        let mut open: BTreeMap<usize, (OrderNote, OrderKind)> = BTreeMap::new();
        for entry in entries {
            match &entry.fact {
                Fact::StepStarted { step, order } | Fact::StepRetried { step, order } => {
                    open.insert(*step, (order.clone(), OrderKind::Run));
                }
                Fact::UndoStarted { step, order } => {
                    open.insert(*step, (order.clone(), OrderKind::Undo));
                }
                Fact::StepAnswered { step, .. } | Fact::UndoEnded { step, .. } => {
                    open.remove(step);
                }
                Fact::Measured { probes, .. } => self.measured = Some(probes.clone()),
                Fact::RollbackMeasured { probes, .. } => self.rollback.clone_from(probes),
                _ => {}
            }
            self.take(&entry.fact, entry.at_ms);
        }
        self.reasons.extend(further);
        if self.machine.phase() != Phase::Closing {
            self.record(Fact::Stopped { reason: Reason::ServerRestarted }).await?;
        }
        // What was measured across the end of the server would not be a measurement.
        self.measured.get_or_insert_default();
        for (step, (order, kind)) in open {
            let answer = self.wait(&order).await?;
            match kind {
                OrderKind::Run => self.record(Fact::StepAnswered { step, answer: answer.map(note) }).await?,
                OrderKind::Undo if succeeded(answer.as_ref()) => {
                    self.record(Fact::UndoEnded {
                        step,
                        good: true,
                        answer: answer.map(note),
                        reasons: vec![],
                    })
                    .await?;
                }
                OrderKind::Undo | OrderKind::Watch | OrderKind::Unwatch => {}
            }
        }
        self.drive().await
    }

    /// Writes a fact down, then lets it count.
    pub(super) async fn record(&mut self, fact: Fact) -> anyhow::Result<()> {
        let now = now_ms();
        loop {
            let (id, written) = (self.drill_id.clone(), fact.clone());
            match self.app.records.run(move |db| journal::append(db, &id, now, &written)).await {
                Ok(()) => break,
                Err(error) => self.make_room(error.into())?,
            }
        }
        self.take(&fact, now);
        Ok(())
    }

    /// A disk that fills up during a drill must not stand between a fault and its undo.
    fn make_room(&self, error: anyhow::Error) -> anyhow::Result<()> {
        let folder = self.app.config.current().storage.data_dir.clone();
        if !ballast::relieve(&folder, &error) {
            return Err(error);
        }
        tracing::error!(
            error = format!("{error:#}"),
            "the disk is full: a part of the ballast is let go for a drill"
        );
        Ok(())
    }

    fn take(&mut self, fact: &Fact, at_ms: Millis) {
        match (fact, &mut self.span_ms) {
            (Fact::StepStarted { .. }, span @ None) => *span = Some((at_ms, at_ms)),
            (Fact::StepAnswered { .. }, Some((_, to_ms))) => *to_ms = at_ms,
            _ => {}
        }
        if let Fact::StepStarted { step, order } | Fact::StepRetried { step, order } = fact {
            self.orders.insert(*step, order.clone());
        }
        self.reasons.extend_from_slice(fact.reasons());
        if let Some(event) = fact.event() {
            self.machine.apply(event);
        }
    }

    pub(super) fn asked_to_stop(&self) -> Option<StopCause> {
        let before_rollback =
            matches!(self.machine.phase(), Phase::CheckingBefore | Phase::Steps | Phase::Measuring);
        if before_rollback { self.claim.asked.borrow().clone() } else { None }
    }

    async fn note_stop(&mut self) -> anyhow::Result<()> {
        match self.asked_to_stop() {
            Some(StopCause::Person(who)) => {
                self.record(Fact::Stopped { reason: Reason::StoppedBy { who } }).await
            }
            Some(StopCause::Condition { check, found }) => {
                self.record(Fact::Stopped { reason: Reason::StopCondition { check, found } }).await
            }
            None => Ok(()),
        }
    }

    /// Waits, but not beyond a wish to stop.
    pub(super) async fn pause(&mut self, length: Duration) {
        if self.asked_to_stop().is_none() {
            // An error of the channel means that nobody can ask any more.
            let _ = tokio::time::timeout(length, self.claim.asked.wait_for(Option::is_some)).await;
        }
    }

    async fn check_before(&mut self, watched: &Watched) -> anyhow::Result<()> {
        self.pause(self.pace.baseline).await;
        if self.asked_to_stop().is_some() {
            return Ok(());
        }
        let mut reasons: Vec<Reason> =
            watched.prober.unhealthy().into_iter().map(|probe| Reason::ProbeUnhealthy { probe }).collect();
        if let Some(marks) = watched.marks.as_ref().filter(|marks| !marks.healthy()) {
            reasons.push(Reason::RowsNotWritten { marker: marks.name().to_owned() });
        }
        let findings = look(&self.app, &self.client, &self.plan.steady_state).await;
        reasons.extend(self.note_findings(CheckTime::Before, findings).await?);
        self.record(Fact::CheckedBefore { held: reasons.is_empty(), reasons }).await
    }

    /// Writes findings down and gives those that do not hold.
    async fn note_findings(
        &mut self,
        when: CheckTime,
        findings: Vec<Finding>,
    ) -> anyhow::Result<Vec<Reason>> {
        let mut reasons = Vec::new();
        for Finding { check, held, found } in findings {
            if !held {
                reasons.push(Reason::CheckFailed { check: check.clone(), found: found.clone() });
            }
            self.record(Fact::Check { when, check, held, found }).await?;
        }
        Ok(reasons)
    }

    /// Writes down that a step begins, unless its host was taken out of service since the drill was opened: from the
    /// same transaction on, the host cannot be (`hold`).
    pub(super) async fn start_step(&mut self, step: usize, order: &OrderNote) -> anyhow::Result<bool> {
        let fact = Fact::StepStarted { step, order: order.clone() };
        let (id, written, host_id, now) =
            (self.drill_id.clone(), fact.clone(), order.host_id.clone(), now_ms());
        let begun = self
            .app
            .records
            .run(move |db| {
                let in_service = hosts::by_id(db, &host_id)?.is_some();
                if in_service {
                    journal::append(db, &id, now, &written)?;
                }
                Ok::<_, RecordsError>(in_service)
            })
            .await?;
        if begun {
            self.take(&fact, now);
        }
        Ok(begun)
    }

    /// Waits until probes and checks are good, and says what is not when the time is up.
    pub(super) async fn expect(
        &mut self,
        within: Option<Duration>,
        checks: &[Check],
        answered_ms: Millis,
        prober: &Prober,
    ) -> anyhow::Result<Vec<Reason>> {
        let allowed = within.unwrap_or(self.plan.settle);
        let since = Duration::from_millis(u64::try_from(now_ms() - answered_ms).unwrap_or(0));
        let stable_ms = millis(self.pace.stable);
        let left = (allowed + self.pace.stable).saturating_sub(since);
        let deadline = Instant::now() + left;
        let unstable = |prober: &Prober| match within {
            Some(_) => prober.unstable(answered_ms, stable_ms),
            None => Vec::new(),
        };
        while !unstable(prober).is_empty() && Instant::now() < deadline && self.asked_to_stop().is_none() {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        if self.asked_to_stop().is_some() {
            return Ok(Vec::new());
        }
        let within_ms = millis(allowed);
        let mut reasons: Vec<Reason> =
            unstable(prober).into_iter().map(|probe| Reason::NotRecovered { probe, within_ms }).collect();
        let findings = look_until(&self.app, &self.client, checks, deadline).await;
        reasons.extend(self.note_findings(CheckTime::Step, findings).await?);
        Ok(reasons)
    }

    async fn undo(&mut self, index: usize) -> anyhow::Result<()> {
        let (Some(step), Some(ran)) = (self.plan.steps.get(index).cloned(), self.orders.get(&index).cloned())
        else {
            anyhow::bail!("step {index} was never started");
        };
        let mut failure = None;
        for _ in 0..UNDO_ATTEMPTS {
            let expires_at_ms = now_ms() + millis(self.pace.undo_start_within);
            let order = OrderNote {
                order_id: new_id(),
                answer_until_ms: expires_at_ms + millis(step.timeout + self.pace.answer_grace),
                undo_at_ms: None,
                ..ran.clone()
            };
            self.record(Fact::UndoStarted { step: index, order: order.clone() }).await?;
            let answer = self.order(&order, OrderKind::Undo, expires_at_ms).await?;
            let answered = answer.clone().map(note);
            match self.failure(&step.name, &order, answer.as_ref()) {
                None => {
                    let fact = Fact::UndoEnded { step: index, good: true, answer: answered, reasons: vec![] };
                    return self.record(fact).await;
                }
                Some(_) => failure = Some(answered),
            }
        }
        let answer = failure.flatten();
        let cause = Some(match &answer {
            None => UndoFailure::NoAnswer,
            Some(answer) if answer.outcome == Outcome::Refused => UndoFailure::Refused,
            Some(_) => UndoFailure::Failed,
        });
        let message = answer.as_ref().map_or_else(String::new, |answer| answer.message.clone());
        let reason = Reason::UndoFailed { step: step.name, host: ran.host, message, cause };
        self.record(Fact::UndoEnded { step: index, good: false, answer, reasons: vec![reason] }).await
    }

    async fn check_after(&mut self, watched: &Watched) -> anyhow::Result<()> {
        let prober = &watched.prober;
        let (since_ms, deadline) = (now_ms(), Instant::now() + self.plan.settle);
        let stable_ms = millis(self.pace.stable);
        let checks: Vec<Check> = self.plan.steady_state.iter().chain(&self.plan.after).cloned().collect();
        let findings = look_until(&self.app, &self.client, &checks, deadline).await;
        while !prober.unstable(since_ms, stable_ms).is_empty() && Instant::now() < deadline {
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        let within_ms = millis(self.plan.settle);
        let mut reasons: Vec<Reason> = prober
            .unstable(since_ms, stable_ms)
            .into_iter()
            .map(|probe| Reason::NotRecovered { probe, within_ms })
            .collect();
        reasons.extend(self.note_findings(CheckTime::After, findings).await?);
        self.measure_rollback(prober).await?;
        if self.machine.acted() {
            self.count_rows(CheckTime::After, watched).await?;
        }
        self.record(Fact::CheckedAfter { held: reasons.is_empty(), reasons }).await
    }

    async fn close(mut self) -> anyhow::Result<()> {
        let (verdict, restored) = (self.machine.verdict(), self.machine.restored());
        let reasons = std::mem::take(&mut self.reasons);
        let measured = self.measured.take().filter(|_| self.machine.acted()).unwrap_or_default();
        let (rto_ms, downtime_ms) = match (self.plan.kind, self.span_ms) {
            // Nothing is down while a backup is restored beside it: its time is the figure.
            (Kind::Restore, Some((from_ms, to_ms))) => (Some(to_ms - from_ms), None),
            _ => figures(&measured, &self.rollback),
        };
        let (id, key, now) = (self.drill_id.clone(), self.app.journal_key.clone(), now_ms());
        self.app
            .records
            .run(move |db| {
                let text = serde_json::to_string(&reasons)
                    .map_err(|e| RecordsError::Corrupt { column: "drills.reasons", reason: e.to_string() })?;
                journal::append(db, &id, now, &Fact::Closed { verdict, restored, reasons })?;
                let ending = Ending {
                    ended_at_ms: now,
                    status: verdict.code(),
                    restored,
                    rto_ms,
                    downtime_ms,
                    reasons: &text,
                };
                drills::end(db, &id, ending)?;
                seal::add(db, &key, &id, now)?;
                audit::add(db, now, "siaga", "drill.end", &id, verdict.code())
            })
            .await?;
        tracing::info!(drill.id = self.drill_id, verdict = verdict.code(), restored, "drill ended");
        Ok(())
    }

    /// Gives an order and waits for its answer. Without an answer it can no longer be carried out when this returns.
    async fn order(
        &self,
        note: &OrderNote,
        kind: OrderKind,
        expires_at_ms: Millis,
    ) -> anyhow::Result<Option<OrderResult>> {
        let order = Order {
            id: note.order_id.clone(),
            host_id: note.host_id.clone(),
            drill_id: self.drill_id.clone(),
            action: note.action.clone(),
            kind,
            expires_at_ms,
            undo_at_ms: note.undo_at_ms,
        };
        while let Err(error) = orders::send(&self.app, order.clone()).await {
            self.make_room(error.into())?;
        }
        self.wait(note).await
    }

    pub(super) async fn wait(&self, note: &OrderNote) -> anyhow::Result<Option<OrderResult>> {
        let left = u64::try_from(note.answer_until_ms - now_ms()).unwrap_or(0);
        let deadline = Instant::now() + Duration::from_millis(left);
        Ok(orders::answer(&self.app, &note.order_id, deadline).await?)
    }

    pub(super) fn failure(
        &self,
        step: &str,
        order: &OrderNote,
        answer: Option<&OrderResult>,
    ) -> Option<Reason> {
        match answer {
            None => Some(Reason::NoAnswer { step: step.to_owned(), host: order.host.clone() }),
            Some(result) if result.outcome == Outcome::Succeeded => None,
            Some(result) if result.outcome == Outcome::Refused => {
                Some(Reason::ActionRefused { step: step.to_owned(), message: result.message.clone() })
            }
            Some(result) => {
                Some(Reason::ActionFailed { step: step.to_owned(), message: result.message.clone() })
            }
        }
    }

    /// Longest time until the undo of a step should have been ordered, with a margin.
    pub(super) fn longest_from(&self, index: usize) -> Duration {
        longest_from(&self.plan, self.pace, index)
    }
}

/// Longest time until the undo of a step should have been ordered, with a margin. Steps that come later undo earlier, so
/// that the order of the rollback is kept also where agents undo by themselves.
pub(super) fn longest_from(plan: &Plan, pace: Pace, index: usize) -> Duration {
    let one = |step: &super::plan::Step| {
        let waits = step.pause_after + step.recovers_within.unwrap_or(plan.settle);
        let order = pace.start_within + step.timeout + pace.answer_grace;
        let order = if step.order().is_some() { order * (1 + step.retries) } else { step.timeout };
        let later_undo = pace.undo_start_within + step.timeout + pace.answer_grace;
        order + waits + pace.stable + UNDO_ATTEMPTS * later_undo
    };
    let from = plan.waves.iter().position(|wave| wave.contains(&index)).unwrap_or(0);
    let later = plan.waves.iter().skip(from).flatten().filter_map(|step| plan.steps.get(*step));
    later.map(one).sum::<Duration>() + pace.dead_man_margin
}

fn succeeded(answer: Option<&OrderResult>) -> bool {
    answer.is_some_and(|result| result.outcome == Outcome::Succeeded)
}

pub(super) fn note(result: OrderResult) -> AnswerNote {
    AnswerNote {
        outcome: result.outcome,
        message: result.message,
        output: result.output,
        agent_started_ms: result.started_at_ms,
        agent_ended_ms: result.ended_at_ms,
    }
}
