//! The course of a drill as a state machine. Pure: facts in, the next task out; no clock, no I/O.
//!
//! Invariants: nothing acts before the steady state was found; every started step that has an undo is undone exactly
//! once, newest first, before the end is checked, however the drill went; what could not be undone is remembered; a step
//! whose agent refused the order did nothing, so that the steady state alone tells whether the system is as it was.

use serde::{Deserialize, Serialize};

/// Where a drill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The steady state is looked for.
    CheckingBefore,
    /// Steps act.
    Steps,
    /// Probes are evaluated.
    Measuring,
    /// Steps are undone.
    RollingBack,
    /// The steady state is looked for again.
    CheckingAfter,
    /// Only the result is to be written down.
    Closing,
    /// Over.
    Finished,
}

/// How a drill ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything as expected, and the system is where it began.
    Passed,
    /// A step, a target or the way back was not as expected.
    Failed,
    /// Stopped by a person, or the server ended in the middle.
    Aborted,
    /// Nothing was done: the conditions were not met.
    Refused,
}

impl Verdict {
    /// Code in records and in the API.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Refused => "refused",
        }
    }
}

/// What has happened, as far as it decides what comes next. Steps are named by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The steady state holds, or not.
    CheckedBefore {
        /// Whether it holds.
        held: bool,
    },
    /// A step is about to act: from here on it has to be undone.
    StepStarted(usize),
    /// The agent refused the order of a step: nothing was done.
    StepRefused(usize),
    /// A step has ended.
    StepEnded {
        /// Which.
        step: usize,
        /// Whether it did what it should.
        good: bool,
    },
    /// Probes were evaluated.
    Measured {
        /// Whether the targets were met.
        met: bool,
    },
    /// Rows were counted.
    RowsCounted {
        /// Whether no more was lost than the target allows.
        met: bool,
    },
    /// A person asked for the end, or the server had ended in the middle.
    Stopped,
    /// An undo has ended.
    UndoEnded {
        /// Of which step.
        step: usize,
        /// Whether it succeeded.
        good: bool,
    },
    /// The time of the rollback was evaluated.
    RollbackMeasured {
        /// Whether the rollback disturbed the service no longer than the target allows.
        met: bool,
    },
    /// The steady state holds again, or not.
    CheckedAfter {
        /// Whether it holds.
        held: bool,
    },
    /// The result is written down.
    Closed,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Look for the steady state.
    CheckBefore,
    /// Carry out these steps at the same time.
    RunSteps(Vec<usize>),
    /// Evaluate the probes.
    Measure,
    /// Undo a step.
    Undo(usize),
    /// Look for the steady state again.
    CheckAfter,
    /// Write down the result.
    Close,
    /// Nothing: it is over.
    Nothing,
}

/// The course of one drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// For each step, whether it has an undo.
    undoable: Vec<bool>,
    /// Steps that are carried out at the same time, in order.
    waves: Vec<Vec<usize>>,
    phase: Phase,
    /// Steps that have ended well.
    done: Vec<usize>,
    to_undo: Vec<usize>,
    started: Vec<usize>,
    refused: Vec<usize>,
    not_undone: Vec<usize>,
    verdict: Verdict,
    steady_after: Option<bool>,
}

impl Machine {
    /// A drill that has not begun, whose steps come one after another. `undoable` says of each whether it has an undo.
    #[must_use]
    pub fn new(undoable: Vec<bool>) -> Self {
        let waves = (0..undoable.len()).map(|step| vec![step]).collect();
        Self::in_waves(undoable, waves)
    }

    /// A drill that has not begun, whose steps are carried out list by list.
    #[must_use]
    pub fn in_waves(undoable: Vec<bool>, waves: Vec<Vec<usize>>) -> Self {
        Self {
            undoable,
            waves,
            phase: Phase::CheckingBefore,
            done: Vec::new(),
            to_undo: Vec::new(),
            started: Vec::new(),
            refused: Vec::new(),
            not_undone: Vec::new(),
            verdict: Verdict::Passed,
            steady_after: None,
        }
    }

    /// Where the drill is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// How it ended, or would end if all went well from here on.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Steps that acted and whose undo failed.
    #[must_use]
    pub fn not_undone(&self) -> &[usize] {
        &self.not_undone
    }

    /// Whether any step acted, as far as is known: one whose agent refused it did not.
    #[must_use]
    pub fn acted(&self) -> bool {
        self.started.iter().any(|step| !self.refused.contains(step))
    }

    /// Whether the system is where it began: nothing was begun, or all that acted was undone and the steady state was
    /// found again.
    #[must_use]
    pub fn restored(&self) -> bool {
        self.started.is_empty()
            || (self.to_undo.is_empty() && self.not_undone.is_empty() && self.steady_after == Some(true))
    }

    /// What is to be done next.
    #[must_use]
    pub fn next(&self) -> Task {
        match self.phase {
            Phase::CheckingBefore => Task::CheckBefore,
            Phase::Steps => Task::RunSteps(self.next_steps()),
            Phase::Measuring => Task::Measure,
            Phase::RollingBack => self.to_undo.last().map_or(Task::CheckAfter, |step| Task::Undo(*step)),
            Phase::CheckingAfter => Task::CheckAfter,
            Phase::Closing => Task::Close,
            Phase::Finished => Task::Nothing,
        }
    }

    /// Takes note of what has happened. An event that does not belong to the phase changes nothing.
    pub fn apply(&mut self, event: Event) {
        match (self.phase, event) {
            (Phase::CheckingBefore, Event::CheckedBefore { held: true }) => self.go_on(),
            (Phase::CheckingBefore, Event::CheckedBefore { held: false }) => {
                self.verdict = Verdict::Refused;
                self.phase = Phase::Closing;
            }
            (Phase::CheckingBefore, Event::Stopped) => {
                self.verdict = Verdict::Aborted;
                self.phase = Phase::Closing;
            }
            (Phase::Steps, Event::StepStarted(step)) => self.start(step),
            // The answer may come after a stop, also after a restart.
            (_, Event::StepRefused(step)) if self.started.contains(&step) => self.refused.push(step),
            (Phase::Steps, Event::StepEnded { step, good: true }) if self.next_steps().contains(&step) => {
                self.done.push(step);
                self.go_on();
            }
            (Phase::Steps, Event::StepEnded { good: false, .. }) => self.roll_back(Verdict::Failed),
            (Phase::Measuring, Event::Measured { met }) => {
                self.roll_back(if met { Verdict::Passed } else { Verdict::Failed });
            }
            (_, Event::RowsCounted { met: false }) => self.worsen(Verdict::Failed),
            (Phase::Steps | Phase::Measuring, Event::Stopped) => self.roll_back(Verdict::Aborted),
            (Phase::RollingBack | Phase::CheckingAfter, Event::Stopped) => self.worsen(Verdict::Aborted),
            (Phase::RollingBack, Event::UndoEnded { step, good }) => self.undone(step, good),
            (Phase::RollingBack | Phase::CheckingAfter, Event::RollbackMeasured { met }) => {
                self.worsen(if met { Verdict::Passed } else { Verdict::Failed });
            }
            (Phase::RollingBack | Phase::CheckingAfter, Event::CheckedAfter { held })
                if self.to_undo.is_empty() =>
            {
                self.steady_after = Some(held);
                self.worsen(if held { Verdict::Passed } else { Verdict::Failed });
                self.phase = Phase::Closing;
            }
            (Phase::Closing, Event::Closed) => self.phase = Phase::Finished,
            _ => {}
        }
    }

    /// What is left of the first list that is not done.
    fn next_steps(&self) -> Vec<usize> {
        let left = |wave: &Vec<usize>| -> Vec<usize> {
            wave.iter().copied().filter(|step| !self.done.contains(step)).collect()
        };
        self.waves.iter().map(left).find(|wave| !wave.is_empty()).unwrap_or_default()
    }

    fn go_on(&mut self) {
        self.phase = if self.next_steps().is_empty() { Phase::Measuring } else { Phase::Steps };
    }

    fn start(&mut self, step: usize) {
        self.started.push(step);
        if self.undoable.get(step).copied().unwrap_or(false) && !self.to_undo.contains(&step) {
            self.to_undo.push(step);
        }
    }

    fn roll_back(&mut self, verdict: Verdict) {
        self.worsen(verdict);
        // A drill that was stopped before its first step has nothing to go back from.
        self.phase = if self.started.is_empty() { Phase::Closing } else { Phase::RollingBack };
    }

    fn undone(&mut self, step: usize, good: bool) {
        let Some(at) = self.to_undo.iter().position(|waiting| *waiting == step) else { return };
        self.to_undo.remove(at);
        if !good {
            if !self.refused.contains(&step) {
                self.not_undone.push(step);
            }
            self.worsen(Verdict::Failed);
        }
        if self.to_undo.is_empty() {
            self.phase = Phase::CheckingAfter;
        }
    }

    fn worsen(&mut self, verdict: Verdict) {
        self.verdict = self.verdict.max(verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Plays a drill. `answers` decides the outcome of each task; `stop_at` is the task before which a stop comes;
    /// `crash_at` is the task in whose middle the server ends and starts again from its facts.
    fn play(
        undoable: &[bool],
        mut answers: impl FnMut() -> bool,
        stop_at: usize,
        crash_at: usize,
    ) -> (Machine, Vec<usize>, Vec<usize>) {
        let mut facts = Vec::new();
        // Each second step is carried out together with the one before it.
        let all: Vec<usize> = (0..undoable.len()).collect();
        let new = || Machine::in_waves(undoable.to_vec(), all.chunks(2).map(<[usize]>::to_vec).collect());
        let mut machine = new();
        let (mut started, mut undone) = (Vec::new(), Vec::new());
        for round in 0..200 {
            if round == stop_at {
                facts.push(Event::Stopped);
                machine.apply(Event::Stopped);
            }
            let good = answers();
            let events: Vec<Event> = match machine.next() {
                Task::CheckBefore => vec![Event::CheckedBefore { held: good }],
                Task::RunSteps(steps) => {
                    started.extend(&steps);
                    let ends = steps.iter().map(|step| Event::StepEnded { step: *step, good });
                    steps.iter().map(|step| Event::StepStarted(*step)).chain(ends).collect()
                }
                Task::Measure => vec![Event::Measured { met: good }],
                Task::Undo(step) => {
                    if round != crash_at {
                        undone.push(step);
                    }
                    vec![Event::UndoEnded { step, good }]
                }
                Task::CheckAfter => {
                    vec![Event::RollbackMeasured { met: good }, Event::CheckedAfter { held: good }]
                }
                Task::Close => vec![Event::Closed],
                Task::Nothing => return (machine, started, undone),
            };
            let kept = if round == crash_at { events.len() - 1 } else { events.len() };
            for event in &events[..kept] {
                facts.push(*event);
                machine.apply(*event);
            }
            if round == crash_at {
                machine = new();
                facts.push(Event::Stopped);
                facts.iter().for_each(|event| machine.apply(*event));
            }
        }
        panic!("the drill does not end: {machine:?}");
    }

    proptest! {
        #[test]
        fn every_started_step_is_undone_once_and_newest_first_on_every_path(
            undoable in prop::collection::vec(any::<bool>(), 1..6),
            answers in prop::collection::vec(prop::bool::weighted(0.8), 40),
            stop_at in 0_usize..30,
            crash_at in 0_usize..30,
        ) {
            let mut answers = answers.into_iter().cycle();
            let (machine, started, undone) =
                play(&undoable, || answers.next().unwrap_or(true), stop_at, crash_at);
            let wanted: Vec<usize> = started.iter().rev().copied().filter(|step| undoable[*step]).collect();
            prop_assert_eq!(undone, wanted);
            prop_assert_eq!(machine.phase(), Phase::Finished);
            prop_assert_eq!(machine.acted(), !started.is_empty());
            if machine.verdict() == Verdict::Passed {
                prop_assert!(machine.restored() && started.len() == undoable.len());
            }
            if machine.verdict() == Verdict::Refused {
                prop_assert!(started.is_empty());
            }
        }
    }

    #[test]
    fn a_drill_without_its_steady_state_is_refused_before_any_action() {
        let (machine, started, _) = play(&[true], || false, 99, 99);
        assert_eq!((machine.verdict(), started.len(), machine.restored()), (Verdict::Refused, 0, true));
    }

    #[test]
    fn a_failed_undo_does_not_stop_the_others_and_is_remembered() {
        // Before, two steps at once, measured, undo of 1 fails, undo of 0 succeeds, steady state found, closed.
        let mut answers = [true, true, true, false, true, true, true].into_iter();
        let (machine, _, undone) = play(&[true, true], || answers.next().unwrap_or(true), 99, 99);
        assert_eq!(undone, [1, 0]);
        assert_eq!(machine.not_undone(), [1]);
        assert_eq!(machine.verdict(), Verdict::Failed);
        assert!(!machine.restored());
    }

    #[test]
    fn where_the_agent_refused_run_and_undo_the_steady_state_tells_whether_the_system_is_as_it_was() {
        for held in [true, false] {
            let mut machine = Machine::new(vec![true]);
            for event in [
                Event::CheckedBefore { held: true },
                Event::StepStarted(0),
                Event::StepRefused(0),
                Event::StepEnded { step: 0, good: false },
                Event::UndoEnded { step: 0, good: false },
                Event::CheckedAfter { held },
            ] {
                machine.apply(event);
            }
            assert_eq!((machine.verdict(), machine.restored()), (Verdict::Failed, held));
            assert!(!machine.acted() && machine.not_undone().is_empty());
        }
    }

    #[test]
    fn a_rollback_that_disturbs_the_service_too_long_fails_a_drill_that_went_well() {
        let mut machine = Machine::new(vec![true]);
        for event in [
            Event::CheckedBefore { held: true },
            Event::StepStarted(0),
            Event::StepEnded { step: 0, good: true },
            Event::Measured { met: true },
            Event::UndoEnded { step: 0, good: true },
            Event::RollbackMeasured { met: false },
            Event::CheckedAfter { held: true },
        ] {
            machine.apply(event);
        }
        assert_eq!((machine.verdict(), machine.restored()), (Verdict::Failed, true));
    }

    #[test]
    fn a_stop_leads_through_the_rollback_to_aborted() {
        let (machine, started, undone) = play(&[true, true, true], || true, 2, 99);
        assert_eq!((started, undone), (vec![0, 1], vec![1, 0]));
        assert_eq!(machine.verdict(), Verdict::Aborted);
        assert!(machine.restored());
    }
}
