//! What the executor remembers of orders, on disk: which it has seen, what came of them, and which undo is due when.
//!
//! Invariants: an order is written here before its command starts, so none is carried out twice, not even after a
//! crash; a dead man's undo stands here before the command that it takes back; a command stands here as long as it
//! runs. Bounded by [`MAX_ORDERS`]: what has expired and is answered is forgotten, for it would be refused by its expiry
//! anyway. Whoever lost this memory could carry out an order twice, so that none is taken for [`LOST_MS`].

use std::collections::BTreeMap;
use std::path::Path;

use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use siaga_protocol::orders::{AgentUndo, Order, OrderKind, OrderResult, Outcome};

use super::leftovers::{Ending, RunningCommand};
use super::twin_file::{Found, TwinFile};
use crate::durable::DurableError;

/// Orders that are remembered at the same time. More are not accepted.
pub(super) const MAX_ORDERS: usize = 1_000;
/// Times that an undo which fails is tried.
pub(super) const MAX_UNDO_ATTEMPTS: u32 = 5;
/// Undos by itself whose report waits. The oldest goes first.
const MAX_REPORTS: usize = 100;
/// Pause before the next attempt, times the number of attempts.
const UNDO_RETRY_MS: i64 = 10_000;
/// A result that nobody takes is given up after this time.
const UNDELIVERED_MS: i64 = 24 * 3_600 * 1_000;
/// After all memory was lost, nothing is run for this time: longer than any order of the server is valid.
const LOST_MS: i64 = 3_600 * 1_000;
/// Commands that are remembered while they run, or until they are known to be over. The oldest goes first.
const MAX_COMMANDS: usize = 64;
/// What an order came to that was being carried out when the executor ended.
const INTERRUPTED: &str = "the executor ended while the command ran";

/// Whether something that ended then is so old that it is given up.
pub(crate) fn is_too_old(ended_at_ms: i64, now_ms: i64) -> bool {
    now_ms.saturating_sub(ended_at_ms) > UNDELIVERED_MS
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    Started { at_ms: i64 },
    Done(OrderResult),
    Delivered { at_ms: i64 },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    expires_at_ms: i64,
    stage: Stage,
}

/// An undo that the executor carries out by itself unless the server orders it first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ArmedUndo {
    /// Order that armed it.
    pub(super) order_id: String,
    /// Its drill.
    pub(super) drill_id: String,
    /// Its action.
    pub(super) action: String,
    /// When it is due, milliseconds since the epoch.
    pub(super) undo_at_ms: i64,
    /// Attempts that failed.
    pub(super) attempts: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    orders: BTreeMap<String, Entry>,
    armed: Vec<ArmedUndo>,
    /// Undos by itself that the server has not heard of yet, oldest first.
    #[serde(default)]
    reports: Vec<AgentUndo>,
    /// Commands that run, oldest first.
    #[serde(default)]
    commands: Vec<RunningCommand>,
    /// When an earlier memory was lost.
    #[serde(default)]
    lost_at_ms: Option<i64>,
}

/// What is to be done with a true order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is new.
    CarryOut,
    /// It is being carried out, or its result is on the way.
    Wait,
    /// It was carried out and answered before the server offered it: somebody plays it again.
    Replayed,
    /// Too many orders are remembered.
    Full,
    /// It may have been carried out before the memory was lost.
    Lost,
}

/// The memory of orders.
#[derive(Debug)]
pub(super) struct Journal {
    file: TwinFile,
    content: Content,
}

impl Journal {
    /// Reads it from `folder`. Orders that were being carried out when the agent ended have failed. What is broken is
    /// kept aside; where nothing is left, the memory begins anew.
    pub(super) fn open(folder: &Path, now_ms: i64) -> Self {
        let file = TwinFile::new(folder, "orders");
        let mut content: Content = match file.read() {
            Found::Nothing => Content::default(),
            Found::Whole(content) => content,
            Found::FromTwin(content) => {
                tracing::warn!("the memory of orders was read from its second file; nothing is lost");
                content
            }
            Found::Lost => {
                tracing::error!("the memory of orders is lost: undos that nobody orders may be missing");
                Content { lost_at_ms: Some(now_ms), ..Content::default() }
            }
        };
        for (id, entry) in &mut content.orders {
            if let Stage::Started { at_ms } = entry.stage {
                entry.stage = Stage::Done(OrderResult {
                    order_id: id.clone(),
                    outcome: Outcome::Failed,
                    message: INTERRUPTED.into(),
                    output: String::new(),
                    started_at_ms: at_ms,
                    ended_at_ms: now_ms.max(at_ms),
                });
            }
        }
        let journal = Self { file, content };
        if let Err(error) = journal.save() {
            tracing::error!(error = crate::error_chain(&error), "the memory of orders cannot be written");
        }
        journal
    }

    fn save(&self) -> Result<(), DurableError> {
        self.file.write(&self.content)
    }

    /// Whether a broken file of this memory lies aside, which a person has not taken away yet.
    #[must_use]
    pub(super) fn was_broken(&self) -> bool {
        self.file.broken().exists()
    }

    /// Commands that are not known to be over.
    #[must_use]
    pub(super) fn commands(&self) -> &[RunningCommand] {
        &self.content.commands
    }

    /// A command is about to start.
    ///
    /// # Errors
    /// It cannot be written; it is remembered in memory all the same.
    pub(super) fn begin_command(&mut self, command: RunningCommand) -> Result<(), DurableError> {
        if self.content.commands.len() >= MAX_COMMANDS {
            self.content.commands.remove(0);
        }
        self.content.commands.push(command);
        self.save()
    }

    /// A command has its first process.
    ///
    /// # Errors
    /// It cannot be written; the command can still be found by its mark.
    pub(super) fn command_started(&mut self, mark: &str, pid: Pid) -> Result<(), DurableError> {
        if let Some(command) = self.content.commands.iter_mut().find(|command| command.mark == mark) {
            command.has_started(pid);
        }
        self.save()
    }

    /// A command is over. To be written with what came of it.
    pub(super) fn end_command(&mut self, mark: &str) {
        self.content.commands.retain(|command| command.mark != mark);
    }

    /// What became of a command that an earlier executor left. The order that it carried out, if not reported yet, says so.
    pub(super) fn end_leftover(&mut self, command: &RunningCommand, ending: Ending) {
        if ending != Ending::Runs {
            self.end_command(&command.mark);
        }
        let words = match ending {
            Ending::WasOver => return,
            Ending::Killed => "; it still ran and was killed when it was back",
            Ending::Runs => "; it still runs and cannot be killed",
        };
        let entry = command.order_id.as_ref().and_then(|id| self.content.orders.get_mut(id));
        if let Some(Entry { stage: Stage::Done(result), .. }) = entry
            && result.message.starts_with(INTERRUPTED)
        {
            result.message = format!("{INTERRUPTED}{words}");
        }
    }

    /// What to do with a true order that the server offered in a question begun at `asked_at_ms`.
    #[must_use]
    pub(super) fn decide(&self, order_id: &str, kind: OrderKind, asked_at_ms: i64) -> Decision {
        let was_lost =
            self.content.lost_at_ms.is_some_and(|at_ms| asked_at_ms < at_ms.saturating_add(LOST_MS));
        match self.content.orders.get(order_id).map(|entry| &entry.stage) {
            // An undo, even a second one, only makes things better.
            None if was_lost && kind == OrderKind::Run => Decision::Lost,
            None if self.content.orders.len() >= MAX_ORDERS => Decision::Full,
            None => Decision::CarryOut,
            Some(Stage::Started { .. } | Stage::Done(_)) => Decision::Wait,
            // The offer may have crossed the answer on its way.
            Some(Stage::Delivered { at_ms }) if asked_at_ms <= *at_ms => Decision::Wait,
            Some(Stage::Delivered { .. }) => Decision::Replayed,
        }
    }

    /// Remembers an order, and arms its undo, before its command starts.
    ///
    /// # Errors
    /// It cannot be written; it is remembered in memory all the same.
    pub(super) fn start(&mut self, order: &Order, now_ms: i64) -> Result<(), DurableError> {
        self.content.orders.retain(|_, entry| {
            !(matches!(entry.stage, Stage::Delivered { .. }) && entry.expires_at_ms <= now_ms)
        });
        let entry = Entry { expires_at_ms: order.expires_at_ms, stage: Stage::Started { at_ms: now_ms } };
        self.content.orders.insert(order.id.clone(), entry);
        if let (OrderKind::Run, Some(undo_at_ms)) = (order.kind, order.undo_at_ms) {
            self.content.armed.push(ArmedUndo {
                order_id: order.id.clone(),
                drill_id: order.drill_id.clone(),
                action: order.action.clone(),
                undo_at_ms,
                attempts: 0,
            });
        }
        self.save()
    }

    /// Remembers what came of an order.
    ///
    /// # Errors
    /// It cannot be written; it is remembered in memory all the same.
    pub(super) fn finish(&mut self, result: OrderResult) -> Result<(), DurableError> {
        if let Some(entry) = self.content.orders.get_mut(&result.order_id) {
            entry.stage = Stage::Done(result);
        }
        self.save()
    }

    /// The undo of an order's command is not needed: nothing was started.
    pub(super) fn disarm_order(&mut self, order_id: &str) {
        self.content.armed.retain(|armed| armed.order_id != order_id);
    }

    /// The action was taken back for this drill.
    pub(super) fn disarm(&mut self, drill_id: &str, action: &str) {
        self.content.armed.retain(|armed| armed.drill_id != drill_id || armed.action != action);
    }

    /// A result that the server has not taken yet.
    #[must_use]
    pub(super) fn undelivered(&self) -> Option<OrderResult> {
        self.content.orders.values().find_map(|entry| match &entry.stage {
            Stage::Done(result) => Some(result.clone()),
            _ => None,
        })
    }

    /// The server has taken a result, or never will.
    ///
    /// # Errors
    /// It cannot be written; the result may be sent once more after a restart.
    pub(super) fn delivered(&mut self, order_id: &str, now_ms: i64) -> Result<(), DurableError> {
        if let Some(entry) = self.content.orders.get_mut(order_id) {
            entry.stage = Stage::Delivered { at_ms: now_ms };
        }
        self.save()
    }

    /// The undo that is due first.
    #[must_use]
    pub(super) fn next_undo(&self) -> Option<&ArmedUndo> {
        self.content.armed.iter().min_by_key(|armed| armed.undo_at_ms)
    }

    /// Whether an undo is still wanted: no order has come in between.
    #[must_use]
    pub(super) fn is_armed(&self, undo: &ArmedUndo) -> bool {
        self.content.armed.contains(undo)
    }

    /// A report of an undo by itself that the server has not heard of yet.
    #[must_use]
    pub(super) fn unreported(&self) -> Option<AgentUndo> {
        self.content.reports.first().cloned()
    }

    /// The server has heard of an undo by itself, or never will.
    ///
    /// # Errors
    /// It cannot be written; the report may be sent once more after a restart.
    pub(super) fn reported(&mut self, id: &str) -> Result<(), DurableError> {
        self.content.reports.retain(|report| report.id != id);
        self.save()
    }

    /// An undo by itself has ended, which is to be reported. One that failed is tried again, up to
    /// [`MAX_UNDO_ATTEMPTS`] times.
    ///
    /// # Errors
    /// It cannot be written; the undo may be carried out once more after a restart.
    pub(super) fn undone(
        &mut self,
        undo: &ArmedUndo,
        report: AgentUndo,
        now_ms: i64,
    ) -> Result<(), DurableError> {
        let succeeded = report.outcome == Outcome::Succeeded;
        if self.content.reports.len() >= MAX_REPORTS {
            self.content.reports.remove(0);
        }
        self.content.reports.push(report);
        if succeeded || undo.attempts + 1 >= MAX_UNDO_ATTEMPTS {
            self.disarm(&undo.drill_id, &undo.action);
        } else if let Some(armed) = self.content.armed.iter_mut().find(|armed| *armed == undo) {
            armed.attempts += 1;
            armed.undo_at_ms = now_ms.saturating_add(UNDO_RETRY_MS * i64::from(armed.attempts));
        }
        self.save()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, undo_at_ms: Option<i64>) -> Order {
        Order {
            id: id.into(),
            host_id: "h".into(),
            drill_id: "d".into(),
            action: "stop".into(),
            kind: OrderKind::Run,
            expires_at_ms: 5_000,
            undo_at_ms,
        }
    }

    fn result(id: &str) -> OrderResult {
        OrderResult {
            order_id: id.into(),
            outcome: Outcome::Succeeded,
            message: String::new(),
            output: String::new(),
            started_at_ms: 1,
            ended_at_ms: 2,
        }
    }

    fn report(id: &str, outcome: Outcome) -> AgentUndo {
        AgentUndo {
            id: id.into(),
            drill_id: "d".into(),
            order_id: "o".into(),
            action: "stop".into(),
            outcome,
            message: String::new(),
            output: String::new(),
            started_at_ms: 1,
            ended_at_ms: 2,
        }
    }

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), 0);
        (dir, journal)
    }

    #[test]
    fn an_order_is_carried_out_once_and_a_later_offer_is_a_replay() {
        let (_dir, mut journal) = journal();
        assert_eq!(journal.decide("o", OrderKind::Run, 0), Decision::CarryOut);
        journal.start(&order("o", None), 100).unwrap();
        assert_eq!(journal.decide("o", OrderKind::Run, 150), Decision::Wait);
        journal.finish(result("o")).unwrap();
        assert_eq!(journal.decide("o", OrderKind::Run, 250), Decision::Wait);
        journal.delivered("o", 300).unwrap();
        assert_eq!(journal.decide("o", OrderKind::Run, 250), Decision::Wait);
        assert_eq!(journal.decide("o", OrderKind::Run, 350), Decision::Replayed);
    }

    #[test]
    fn after_a_crash_the_order_has_failed_and_its_undo_is_still_armed() {
        let (dir, mut journal) = journal();
        journal.start(&order("o", Some(900)), 100).unwrap();
        let again = Journal::open(dir.path(), 700);
        assert_eq!(again.undelivered().unwrap().outcome, Outcome::Failed);
        assert_eq!(again.next_undo().unwrap().undo_at_ms, 900);
        assert_eq!(again.decide("o", OrderKind::Run, 800), Decision::Wait);
    }

    #[test]
    fn a_broken_file_costs_no_undo_and_a_lost_memory_runs_nothing_for_a_while() {
        let (dir, mut journal) = journal();
        journal.start(&order("o", Some(900)), 100).unwrap();
        assert!(!journal.was_broken());
        for file in ["orders.json", "orders.copy.json"] {
            let whole = std::fs::read(dir.path().join(file)).unwrap();
            std::fs::write(dir.path().join(file), &whole[..whole.len() / 2]).unwrap();
            let again = Journal::open(dir.path(), 700);
            assert_eq!(again.next_undo().unwrap().undo_at_ms, 900, "{file}");
            assert!(again.was_broken());
        }
        for file in ["orders.json", "orders.copy.json"] {
            std::fs::write(dir.path().join(file), "{").unwrap();
        }
        let lost = Journal::open(dir.path(), 700);
        assert_eq!(lost.next_undo(), None);
        let again = Journal::open(dir.path(), 800);
        for (kind, at_ms, decision) in [
            (OrderKind::Run, 900, Decision::Lost),
            (OrderKind::Undo, 900, Decision::CarryOut),
            (OrderKind::Run, 700 + LOST_MS, Decision::CarryOut),
        ] {
            assert_eq!(again.decide("o", kind, at_ms), decision);
        }
        std::fs::remove_file(dir.path().join("orders.broken.json")).unwrap();
        assert!(!again.was_broken());
    }

    #[test]
    fn a_command_is_remembered_while_it_runs_and_its_order_tells_what_became_of_it() {
        let (dir, mut journal) = journal();
        journal.start(&order("o", None), 100).unwrap();
        let command = RunningCommand::new(Some("o"), "stop");
        journal.begin_command(command.clone()).unwrap();
        journal.command_started(&command.mark, rustix::process::getpid()).unwrap();
        let mut again = Journal::open(dir.path(), 700);
        let left = again.commands().first().unwrap().clone();
        assert_ne!(left, command, "it has a first process now");
        again.end_leftover(&left, Ending::Runs);
        assert_eq!(again.commands().len(), 1);
        assert!(again.undelivered().unwrap().message.ends_with("; it still runs and cannot be killed"));
        again.end_leftover(&left, Ending::Killed);
        assert_eq!(again.commands(), []);
        assert!(again.undelivered().unwrap().message.ends_with("was killed when it was back"));
    }

    #[test]
    fn an_undo_that_fails_is_tried_again_and_given_up_in_the_end() {
        let (_dir, mut journal) = journal();
        journal.start(&order("o", Some(900)), 100).unwrap();
        for attempt in 1..MAX_UNDO_ATTEMPTS {
            let undo = journal.next_undo().unwrap().clone();
            journal.undone(&undo, report("u", Outcome::Failed), 1_000).unwrap();
            assert_eq!(journal.next_undo().unwrap().undo_at_ms, 1_000 + 10_000 * i64::from(attempt));
        }
        let undo = journal.next_undo().unwrap().clone();
        journal.undone(&undo, report("u", Outcome::Failed), 1_000).unwrap();
        assert_eq!(journal.next_undo(), None);
    }

    #[test]
    fn an_undo_by_itself_is_reported_also_after_a_restart_and_reports_are_bounded() {
        let (dir, mut journal) = journal();
        journal.start(&order("o", Some(900)), 100).unwrap();
        let undo = journal.next_undo().unwrap().clone();
        journal.undone(&undo, report("first", Outcome::Succeeded), 1_000).unwrap();
        let mut again = Journal::open(dir.path(), 2_000);
        assert_eq!(again.next_undo(), None);
        assert_eq!(again.unreported().unwrap().id, "first");
        for number in 0..MAX_REPORTS {
            again.undone(&undo, report(&number.to_string(), Outcome::Succeeded), 1_000).unwrap();
        }
        assert_eq!(again.unreported().unwrap().id, "0", "the oldest went");
        again.reported("0").unwrap();
        assert_eq!(again.unreported().unwrap().id, "1");
    }

    #[test]
    fn an_undo_concerns_its_own_drill_and_action() {
        let (_dir, mut journal) = journal();
        journal.start(&order("o", Some(900)), 100).unwrap();
        journal.disarm("other", "stop");
        journal.disarm("d", "other");
        assert!(journal.next_undo().is_some());
        journal.disarm("d", "stop");
        assert!(journal.next_undo().is_none());
    }

    #[test]
    fn memory_is_bounded_and_forgets_what_has_expired() {
        let (_dir, mut journal) = journal();
        for n in 0..MAX_ORDERS {
            let id = format!("o{n}");
            let entry = Entry { expires_at_ms: 5_000, stage: Stage::Delivered { at_ms: 1 } };
            journal.content.orders.insert(id, entry);
        }
        assert_eq!(journal.decide("new", OrderKind::Run, 2), Decision::Full);
        journal.start(&order("late", None), 6_000).unwrap();
        assert_eq!(journal.content.orders.len(), 1);
    }
}
