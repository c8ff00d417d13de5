//! What the agent remembers of orders, on disk: which it has seen, what came of them, and which undo is due when.
//!
//! Invariants: an order is written here before its command starts, so none is carried out twice, not even after a
//! crash; a dead man's undo stands here before the command that it takes back. Bounded by [`MAX_ORDERS`]: what has
//! expired and is answered is forgotten, for it would be refused by its expiry anyway.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use siaga_protocol::orders::{AgentUndo, Order, OrderKind, OrderResult, Outcome};

use crate::durable::{self, DurableError};

/// Orders that are remembered at the same time. More are not accepted.
pub(super) const MAX_ORDERS: usize = 1_000;
/// Times that an undo which fails is tried.
pub(super) const MAX_UNDO_ATTEMPTS: u32 = 5;
/// Undos by itself whose report waits. The oldest goes first.
const MAX_REPORTS: usize = 100;
/// Pause before the next attempt, times the number of attempts.
const UNDO_RETRY_MS: i64 = 10_000;
/// A result that nobody takes is given up after this time.
pub(super) const UNDELIVERED_MS: i64 = 24 * 3_600 * 1_000;

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

/// An undo that the agent carries out by itself unless the server orders it first.
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
}

/// The memory of orders.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    content: Content,
}

impl Journal {
    /// Reads it. Orders that were being carried out when the agent ended have failed.
    ///
    /// # Errors
    /// The file cannot be read or understood: without memory no order may be accepted.
    pub(super) fn open(path: PathBuf, now_ms: i64) -> Result<Self, DurableError> {
        let mut content: Content = durable::read_json(&path)?.unwrap_or_default();
        for (id, entry) in &mut content.orders {
            if let Stage::Started { at_ms } = entry.stage {
                entry.stage = Stage::Done(OrderResult {
                    order_id: id.clone(),
                    outcome: Outcome::Failed,
                    message: "the agent ended while the command ran".into(),
                    output: String::new(),
                    started_at_ms: at_ms,
                    ended_at_ms: now_ms,
                });
            }
        }
        Ok(Self { path, content })
    }

    fn save(&self) -> Result<(), DurableError> {
        durable::write_json(&self.path, &self.content)
    }

    /// What to do with a true order that the server offered in a question begun at `asked_at_ms`.
    #[must_use]
    pub(super) fn decide(&self, order_id: &str, asked_at_ms: i64) -> Decision {
        match self.content.orders.get(order_id).map(|entry| &entry.stage) {
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

    /// Whether a result is so old that it is given up.
    #[must_use]
    pub(super) fn is_too_old(result: &OrderResult, now_ms: i64) -> bool {
        now_ms.saturating_sub(result.ended_at_ms) > UNDELIVERED_MS
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
        let journal = Journal::open(dir.path().join("orders.json"), 0).unwrap();
        (dir, journal)
    }

    #[test]
    fn an_order_is_carried_out_once_and_a_later_offer_is_a_replay() {
        let (_dir, mut journal) = journal();
        assert_eq!(journal.decide("o", 0), Decision::CarryOut);
        journal.start(&order("o", None), 100).unwrap();
        assert_eq!(journal.decide("o", 150), Decision::Wait);
        journal.finish(result("o")).unwrap();
        assert_eq!(journal.decide("o", 250), Decision::Wait);
        journal.delivered("o", 300).unwrap();
        assert_eq!(journal.decide("o", 250), Decision::Wait);
        assert_eq!(journal.decide("o", 350), Decision::Replayed);
    }

    #[test]
    fn after_a_crash_the_order_has_failed_and_its_undo_is_still_armed() {
        let (dir, mut journal) = journal();
        journal.start(&order("o", Some(900)), 100).unwrap();
        let again = Journal::open(dir.path().join("orders.json"), 700).unwrap();
        assert_eq!(again.undelivered().unwrap().outcome, Outcome::Failed);
        assert_eq!(again.next_undo().unwrap().undo_at_ms, 900);
        assert_eq!(again.decide("o", 800), Decision::Wait);
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
        let mut again = Journal::open(dir.path().join("orders.json"), 2_000).unwrap();
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
        assert_eq!(journal.decide("new", 2), Decision::Full);
        journal.start(&order("late", None), 6_000).unwrap();
        assert_eq!(journal.content.orders.len(), 1);
    }
}
