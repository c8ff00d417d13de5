//! Whether a drill is as it was written: its journal, its row with the figures of the report, its raw traces and the
//! list of all seals. Pure.
//!
//! Invariants: only what a trusted key signed is called intact; a drill from before the signing is never; of a journal
//! the first entry that does not fit is named.

use std::collections::BTreeSet;

use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::flaw::Flaw;
use super::journal::{self, Entry, Fact, GENESIS, JournalError, hex};
use super::journal_key::{from_pem, key_id};
use super::machine::Machine;
use super::plan::{Kind, Plan, Undo};
use super::seal::{self, BadSeal, Statement};
use super::targets::{figures, restore_ms};
use super::{bodies, reason::Reason};
use crate::records::Result;
use crate::records::drill_seals::{self, SealRow};
use crate::records::drills::{self, Drill, JournalRow};
use crate::records::rusqlite::Connection;
use crate::time::{Millis, millis};

/// What is known of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has not ended: nothing is signed yet.
    Running,
    /// Everything is as it was signed.
    Intact,
    /// It is of a time before drills were signed.
    NotSigned,
    /// Something is not as it was written.
    Altered,
}

/// Everything that is stored of a drill.
#[derive(Debug, Clone)]
pub struct Evidence {
    pub(super) drill: Drill,
    pub(super) rows: Vec<JournalRow>,
    pub(super) traces: Vec<(String, String)>,
    pub(super) seals: Vec<SealRow>,
    /// Lowest number of a drill that is sealed.
    pub(super) sealed_from: Option<i64>,
    /// The drill that the journal says was before it, and whether that still holds the entry that it names.
    pub(super) previous: Option<(String, bool)>,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Verification {
    /// What is known of the drill.
    pub state: State,
    /// Entries of the journal.
    pub entries: usize,
    /// Hash of the newest one.
    pub head: String,
    /// Fingerprint of the key of the newest seal.
    pub key_id: Option<String>,
    /// Seals of the drill, oldest first.
    pub seals: Vec<SealRow>,
    /// What is not as it was written.
    pub flaws: Vec<Flaw>,
}

impl Evidence {
    /// Reads everything of a drill.
    ///
    /// # Errors
    /// If the records cannot be read.
    pub fn collect(db: &Connection, drill: Drill) -> Result<Self> {
        let rows = drills::journal(db, &drill.id)?;
        let opened = rows.first().and_then(|row| serde_json::from_str::<Fact>(&row.body).ok());
        let previous = match opened {
            Some(Fact::Opened { previous: Some((id, hash)), .. }) => {
                let found = drills::has_journal_hash(db, &id, &hash)?;
                Some((id, found))
            }
            _ => None,
        };
        Ok(Self {
            traces: drills::traces(db, &drill.id)?,
            seals: drill_seals::of_drill(db, &drill.id)?,
            sealed_from: drill_seals::first_number(db)?,
            rows,
            previous,
            drill,
        })
    }
}

/// Looks at a drill.
#[must_use]
pub fn verify(evidence: &Evidence, trusted: &[VerifyingKey]) -> Verification {
    let Evidence { drill, rows, seals, .. } = evidence;
    let mut flaws = Vec::new();
    let chained = journal::verify(&drill.id, rows);
    // Where the chain is broken, more of the same would be said of the entries after it.
    let sound = chained.is_ok();
    flaws.extend(chained.err().map(Flaw::from));
    let entries = read_entries(rows, &mut flaws);
    if let Some((id, false)) = &evidence.previous {
        flaws.push(Flaw::PreviousMissing { drill_id: id.clone() });
    }
    let ended = drill.ended_at_ms.is_some();
    if ended {
        if let Some(entries) = &entries {
            compare_figures(drill, entries, !seals.is_empty(), &mut flaws);
        }
        check_seals(evidence, trusted, sound, &mut flaws);
    } else if !seals.is_empty() {
        flaws.push(Flaw::Reopened);
    }
    let state = match () {
        () if !flaws.is_empty() => State::Altered,
        () if !ended => State::Running,
        () if seals.is_empty() => State::NotSigned,
        () => State::Intact,
    };
    let key = seals.last().and_then(|one| from_pem(&one.public_key));
    Verification {
        state,
        entries: rows.len(),
        head: seal::head(rows).to_owned(),
        key_id: key.as_ref().map(key_id),
        seals: seals.clone(),
        flaws,
    }
}

impl From<JournalError> for Flaw {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Order { wanted, found } => Self::EntryOrder { wanted, found },
            JournalError::Chain(seq) => Self::EntryChain { seq },
            JournalError::Altered(seq) => Self::EntryAltered { seq },
        }
    }
}

fn read_entries(rows: &[JournalRow], flaws: &mut Vec<Flaw>) -> Option<Vec<Entry>> {
    let mut entries = Vec::new();
    for row in rows {
        match serde_json::from_str(&row.body) {
            Ok(fact) => entries.push(Entry { at_ms: row.at_ms, fact }),
            Err(_) => {
                flaws.push(Flaw::EntryUnreadable { seq: row.seq });
                return None;
            }
        }
    }
    Some(entries)
}

/// Holds the row, from which the report takes its figures, against the journal, from which they follow. Earlier versions,
/// which signed nothing, reckoned recovery time and downtime in other ways.
fn compare_figures(drill: &Drill, entries: &[Entry], sealed: bool, flaws: &mut Vec<Flaw>) {
    if drill.status == drills::MISSED && entries.is_empty() {
        return;
    }
    let (Some(opened), Some((closed_ms, closed))) = (entries.first(), closed(entries)) else {
        flaws.push(Flaw::NotClosed);
        return;
    };
    let mut compare = |field: &str, record: String, journal: String| {
        if record != journal {
            flaws.push(Flaw::Figure { field: field.to_owned(), record, journal });
        }
    };
    if let Fact::Opened { plan_id, plan_sha256, by, .. } = &opened.fact {
        compare("plan_id", drill.plan_id.clone(), plan_id.clone());
        compare("plan_sha256", drill.plan_sha256.clone(), plan_sha256.clone());
        compare("plan_text", hex(&Sha256::digest(&drill.plan_text)), plan_sha256.clone());
        compare("started_by", drill.started_by.clone(), by.clone());
        compare("created_at_ms", drill.created_at_ms.to_string(), opened.at_ms.to_string());
    }
    let Fact::Closed { verdict, restored, reasons } = closed else { return };
    let plan = Plan::read(&drill.plan_file, &drill.plan_text).ok();
    let (rto_ms, downtime_ms) = match sealed {
        true => measured_figures(plan.as_ref(), entries, reasons),
        false => (drill.rto_ms, drill.downtime_ms),
    };
    let figure = |value: Option<Millis>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
    compare("status", drill.status.clone(), verdict.code().to_owned());
    compare("restored", format!("{:?}", drill.restored), format!("{:?}", Some(*restored)));
    compare("ended_at_ms", figure(drill.ended_at_ms), closed_ms.to_string());
    compare("rto_ms", figure(drill.rto_ms), figure(rto_ms));
    compare("downtime_ms", figure(drill.downtime_ms), figure(downtime_ms));
    compare("reasons", drill.reasons.clone(), serde_json::to_string(reasons).unwrap_or_default());
    if let Some(plan) = plan {
        compare("rto_target_ms", drill.rto_target_ms.to_string(), millis(plan.rto).to_string());
        compare("plan_name", drill.plan_name.clone(), plan.name);
        compare("service", drill.service.clone(), plan.service);
    }
}

fn closed(entries: &[Entry]) -> Option<(Millis, &Fact)> {
    let found = entries.iter().find(|entry| matches!(entry.fact, Fact::Closed { .. }))?;
    Some((found.at_ms, &found.fact))
}

/// Recovery time and downtime as they follow from the journal.
fn measured_figures(
    plan: Option<&Plan>,
    entries: &[Entry],
    reasons: &[Reason],
) -> (Option<Millis>, Option<Millis>) {
    if reasons.contains(&Reason::PlanUnreadable) {
        return (None, None);
    }
    let undoable = plan.map_or_else(Vec::new, |plan| {
        plan.steps.iter().map(|step| step.undo == Undo::ByAgent).collect::<Vec<_>>()
    });
    if plan.is_some_and(|plan| plan.kind == Kind::Restore) {
        return (restore_ms(entries), None);
    }
    let mut machine = match plan {
        Some(plan) => Machine::in_waves(undoable, plan.waves.clone()),
        None => Machine::new(undoable),
    };
    entries.iter().filter_map(|entry| entry.fact.event()).for_each(|event| machine.apply(event));
    // Whether something acted follows from the plan; where that cannot be read, what was measured counts.
    let steps = if plan.is_none() || machine.acted() { bodies::measured_of(entries) } else { &[] };
    figures(steps, bodies::rollback_of(entries))
}

fn check_seals(evidence: &Evidence, trusted: &[VerifyingKey], sound: bool, flaws: &mut Vec<Flaw>) {
    let Evidence { drill, rows, seals, traces, sealed_from, .. } = evidence;
    if seals.is_empty() && sealed_from.is_some_and(|first| drill.number > first) {
        flaws.push(Flaw::SealMissing);
    }
    for (index, one) in seals.iter().enumerate() {
        let statement = match open_trusted(one, trusted) {
            Ok(statement) => statement,
            Err(flaw) => {
                flaws.push(flaw);
                continue;
            }
        };
        if sound {
            flaws.extend(unlike_signed(rows, &statement));
        }
        if index + 1 < seals.len() {
            continue;
        }
        if sound && let Some(row) = rows.get(statement.entries) {
            flaws.push(Flaw::EntryAdded { seq: row.seq });
        }
        if statement.number != drill.number || statement.record != seal::record_digest(drill) {
            flaws.push(Flaw::RecordChanged);
        }
        if statement.traces != seal::traces_digest(traces) {
            flaws.push(Flaw::TracesChanged);
        }
    }
}

/// The first entry that is not the one that was signed.
fn unlike_signed(rows: &[JournalRow], statement: &Statement) -> Option<Flaw> {
    let before = statement.entries.saturating_sub(statement.marks.len());
    let marked = rows.iter().skip(before).zip(&statement.marks);
    let unlike = marked.into_iter().find(|(row, signed)| seal::mark(&row.hash) != signed.as_str());
    if let Some((row, _)) = unlike {
        return Some(Flaw::EntryNotSigned { seq: row.seq });
    }
    if rows.len() < statement.entries {
        return Some(Flaw::EntriesMissing { signed: statement.entries, found: rows.len() });
    }
    let head = seal::head(rows.get(..statement.entries)?);
    let seq = i64::try_from(statement.entries).unwrap_or(i64::MAX);
    (head != statement.head).then_some(Flaw::EntryNotSigned { seq })
}

/// What a seal states, if one of the trusted keys signed it.
fn open_trusted(one: &SealRow, trusted: &[VerifyingKey]) -> Result<Statement, Flaw> {
    let Some(key) = from_pem(&one.public_key) else { return Err(Flaw::SealUnreadable { seal: one.seq }) };
    if !trusted.contains(&key) {
        return Err(Flaw::KeyUnknown { seal: one.seq, key: key_id(&key) });
    }
    seal::open(one, &key).map_err(|bad| match bad {
        BadSeal::Signature => Flaw::SignatureWrong { seal: one.seq },
        BadSeal::Unreadable => Flaw::SealUnreadable { seal: one.seq },
    })
}

/// Looks at the list of all seals: none is missing in its middle, and so is none of the drills. `numbers` are those of
/// all drills, in order; `noted` is the hash of a seal that somebody wrote down earlier.
#[must_use]
pub fn verify_list(
    seals: &[SealRow],
    numbers: &[(i64, String)],
    trusted: &[VerifyingKey],
    noted: Option<&str>,
) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let mut previous = GENESIS.to_owned();
    let known: BTreeSet<&str> = numbers.iter().map(|(_, id)| id.as_str()).collect();
    for (wanted, one) in (1..).zip(seals) {
        if one.seq != wanted {
            flaws.push(Flaw::SealGap { wanted, found: one.seq });
            break;
        }
        match open_trusted(one, trusted) {
            Err(flaw) => flaws.push(flaw),
            Ok(statement) if statement.previous != previous => flaws.push(Flaw::SealChain { seal: one.seq }),
            Ok(statement) if !known.contains(statement.drill_id.as_str()) => {
                flaws.push(Flaw::DrillMissing { number: statement.number });
            }
            Ok(_) => {}
        }
        previous = seal::statement_digest(&one.statement);
    }
    if let Some((wanted, _)) = (1..).zip(numbers).find(|(wanted, (number, _))| number != wanted) {
        let missing = Flaw::DrillMissing { number: wanted };
        if !flaws.contains(&missing) {
            flaws.push(missing);
        }
    }
    if let Some(noted) = noted
        && !seals.iter().any(|one| seal::statement_digest(&one.statement).eq_ignore_ascii_case(noted))
    {
        flaws.push(Flaw::SealGone { hash: noted.to_owned() });
    }
    flaws
}

/// Place and hash of the newest seal: who notes them can tell later whether the end of the list was cut off.
#[must_use]
pub fn list_head(seals: &[SealRow]) -> Option<(i64, String)> {
    seals.last().map(|one| (one.seq, seal::statement_digest(&one.statement)))
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::*;
    use crate::continuity::journal::{CheckTime, OrderNote, append};
    use crate::continuity::machine::Verdict;
    use crate::continuity::measure::{Answer, Measurement, Point, measure};
    use crate::records::Records;
    use crate::records::drills::Ending;

    const PLAN: &str = include_str!("../../../deploy/plans/lab.toml");

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    fn points() -> Vec<Point> {
        let answer = |n| if (3..6).contains(&n) { Answer::Connect } else { Answer::Good };
        (0..20).map(|n| Point(1_000 + n * 100, 5, answer(n))).collect()
    }

    fn measured() -> Vec<Measurement> {
        vec![measure("Alamat layanan", 100, &points(), 1_200, 2_900)]
    }

    fn course() -> Vec<Fact> {
        let order = |id: &str| OrderNote {
            order_id: id.to_owned(),
            host_id: "h".to_owned(),
            host: "server-1".to_owned(),
            action: "lab-kill-a".to_owned(),
            answer_until_ms: 9,
            undo_at_ms: None,
        };
        let (check, found) = ("Instans b melayani".to_owned(), "HTTP 200".to_owned());
        vec![
            Fact::CheckedBefore { held: true, reasons: vec![] },
            Fact::StepStarted { step: 0, order: order("o1") },
            Fact::Check { when: CheckTime::Step, check, held: true, found },
            Fact::StepEnded { step: 0, good: true, reasons: vec![] },
            Fact::Measured { met: true, probes: measured(), reasons: vec![] },
            Fact::UndoStarted { step: 0, order: order("o2") },
            Fact::UndoEnded { step: 0, good: true, answer: None, reasons: vec![] },
            Fact::CheckedAfter { held: true, reasons: vec![] },
            Fact::Closed { verdict: Verdict::Passed, restored: true, reasons: vec![] },
        ]
    }

    fn drill(db: &Connection, id: &str, sealed: bool) -> Result<()> {
        let (plan, plan_sha256) = (Plan::read("lab.toml", PLAN).unwrap(), hex(&Sha256::digest(PLAN)));
        let (rto_ms, downtime_ms) = figures(&measured(), &[]);
        let new = Drill {
            id: id.to_owned(),
            plan_id: plan.id.clone(),
            plan_name: plan.name.clone(),
            service: plan.service.clone(),
            plan_file: "lab.toml".to_owned(),
            plan_text: PLAN.to_owned(),
            plan_sha256: plan_sha256.clone(),
            started_by: "user:budi".to_owned(),
            created_at_ms: 1_000,
            status: drills::RUNNING.to_owned(),
            rto_target_ms: millis(plan.rto),
            reasons: "[]".to_owned(),
            ..Drill::default()
        };
        let (by, previous) = ("user:budi".to_owned(), drills::newest_head(db)?);
        drills::insert(db, &new)?;
        let (approved_by, despite) = (vec![], None);
        let opened = Fact::Opened { plan_id: plan.id, plan_sha256, by, previous, approved_by, despite };
        append(db, id, 1_000, &opened)?;
        drills::add_trace(db, id, "Alamat layanan", &serde_json::to_string(&points()).unwrap())?;
        for (at_ms, fact) in (2_000..).zip(course()) {
            append(db, id, at_ms, &fact)?;
        }
        let (status, reasons) = ("passed", "[]");
        let ending = Ending { ended_at_ms: 2_008, status, restored: true, rto_ms, downtime_ms, reasons };
        drills::end(db, id, ending)?;
        if sealed { seal::add(db, &key(), id, 2_008) } else { Ok(()) }
    }

    /// One drill of the time before signing, then three that are signed; whoever alters them is free of every trigger.
    fn records() -> Records {
        let records = Records::in_memory().unwrap();
        let write = |db: &Connection| {
            for (id, sealed) in [("old", false), ("a", true), ("b", true), ("c", true)] {
                drill(db, id, sealed)?;
            }
            let mut names =
                db.prepare("SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'drill%'")?;
            let names: Vec<String> =
                names.query_map([], |row| row.get(0))?.collect::<std::result::Result<_, _>>()?;
            assert_eq!(names.len(), 9);
            for statement in [
                "UPDATE drill_journal SET at_ms = 1",
                "DELETE FROM drill_journal",
                "UPDATE drill_seals SET signature = ''",
                "DELETE FROM drill_seals",
                "UPDATE drill_traces SET points = '[]'",
                "DELETE FROM drill_traces",
                "INSERT INTO drill_traces VALUES ('a', 'p', 9, '[]')",
                "UPDATE drills SET rto_ms = 1",
                "DELETE FROM drills",
            ] {
                assert!(db.execute_batch(statement).is_err(), "{statement} is refused");
            }
            names.iter().try_for_each(|name| db.execute_batch(&format!("DROP TRIGGER {name}")))?;
            Ok::<_, crate::records::RecordsError>(())
        };
        records.transaction(|db| write(db)).unwrap();
        records
    }

    fn look(db: &Connection, id: &str) -> Verification {
        let drill = drills::get(db, id).unwrap().unwrap();
        verify(&Evidence::collect(db, drill).unwrap(), &[key().verifying_key()])
    }

    /// The flaws of drill `b` after statements on the database.
    fn flaws_after(sql: &str) -> Vec<Flaw> {
        let mut found = Vec::new();
        let mut alter = |db: &Connection| {
            db.execute_batch("PRAGMA defer_foreign_keys = ON")?;
            db.execute_batch(sql)?;
            found = look(db, "b").flaws;
            Err::<(), _>(crate::records::RecordsError::Task)
        };
        assert!(records().transaction(|db| alter(db)).is_err(), "rolled back");
        found
    }

    #[test]
    fn what_nobody_touched_is_intact_but_an_unsigned_drill_is_never_called_so() {
        records()
            .transaction(|db| {
                let states =
                    ["old", "a", "b", "c"].map(|id| look(db, id)).map(|found| (found.state, found.flaws));
                let intact = || (State::Intact, vec![]);
                assert_eq!(states, [(State::NotSigned, vec![]), intact(), intact(), intact()]);
                let (seals, numbers) = (drill_seals::all(db)?, drills::numbers(db)?);
                let keys = [key().verifying_key()];
                let (seq, hash) = list_head(&seals).unwrap();
                assert_eq!(seq, 3);
                assert_eq!(verify_list(&seals, &numbers, &keys, Some(&hash)), []);
                let cut = verify_list(&seals[..2], &numbers, &keys, Some(&hash));
                assert_eq!(cut, [Flaw::SealGone { hash }]);
                Ok::<_, crate::records::RecordsError>(())
            })
            .unwrap();
    }

    #[test]
    fn each_altered_column_of_an_entry_is_found_and_named() {
        for (column, value, wanted) in [
            ("seq", "99", Flaw::EntryOrder { wanted: 3, found: 4 }),
            ("at_ms", "at_ms + 1", Flaw::EntryAltered { seq: 3 }),
            ("body", "replace(body, 'o1', 'o9')", Flaw::EntryAltered { seq: 3 }),
            ("previous_hash", "replace(previous_hash, 'a', 'b')", Flaw::EntryChain { seq: 3 }),
            ("hash", "replace(hash, 'a', 'b')", Flaw::EntryAltered { seq: 3 }),
            ("drill_id", "'c2'", Flaw::EntryOrder { wanted: 3, found: 4 }),
        ] {
            let sql = format!("UPDATE drill_journal SET {column} = {value} WHERE drill_id = 'b' AND seq = 3");
            assert_eq!(flaws_after(&sql).first(), Some(&wanted), "{column}");
        }
        let unreadable = "UPDATE drill_journal SET body = '{}' WHERE drill_id = 'b' AND seq = 3";
        assert!(flaws_after(unreadable).contains(&Flaw::EntryUnreadable { seq: 3 }));
    }

    #[test]
    fn removed_swapped_added_and_rechained_entries_are_found() {
        let removed = "DELETE FROM drill_journal WHERE drill_id = 'b' AND seq = 5";
        assert_eq!(flaws_after(removed)[0], Flaw::EntryOrder { wanted: 5, found: 6 });
        let last = "DELETE FROM drill_journal WHERE drill_id = 'b' AND seq = 10";
        assert!(flaws_after(last).contains(&Flaw::EntriesMissing { signed: 10, found: 9 }));
        assert!(flaws_after(last).contains(&Flaw::NotClosed));
        let swapped = "UPDATE drill_journal SET seq = -seq WHERE drill_id = 'b' AND seq IN (4, 5); \
                       UPDATE drill_journal SET seq = 9 + seq WHERE drill_id = 'b' AND seq < 0;";
        assert_eq!(flaws_after(swapped)[0], Flaw::EntryChain { seq: 4 });
        records()
            .transaction(|db| {
                append(db, "b", 9_000, &Fact::CheckedAfter { held: true, reasons: vec![] })?;
                assert_eq!(look(db, "b").flaws, [Flaw::EntryAdded { seq: 11 }]);
                // Who writes the journal anew, all hashes fitting, is found by the signature.
                let rows = drills::journal(db, "b")?;
                db.execute("DELETE FROM drill_journal WHERE drill_id = 'b'", [])?;
                for row in rows.iter().take(10) {
                    let mut fact: Fact = serde_json::from_str(&row.body).unwrap();
                    if let Fact::StepStarted { order, .. } = &mut fact {
                        order.host = "elsewhere".to_owned();
                    }
                    append(db, "b", row.at_ms, &fact)?;
                }
                let flaws = look(db, "b").flaws;
                assert_eq!(flaws, [Flaw::EntryNotSigned { seq: 3 }]);
                assert_eq!(look(db, "c").flaws, [Flaw::PreviousMissing { drill_id: "b".to_owned() }]);
                Ok::<_, crate::records::RecordsError>(())
            })
            .unwrap();
    }

    #[test]
    fn altered_figures_of_the_report_are_found_in_every_column() {
        for (column, value) in [
            ("number", "77"),
            ("plan_id", "'x'"),
            ("plan_name", "'x'"),
            ("service", "'x'"),
            ("plan_file", "'x'"),
            ("plan_text", "plan_text || ' '"),
            ("plan_sha256", "'x'"),
            ("started_by", "'user:x'"),
            ("scheduled_for_ms", "5"),
            ("created_at_ms", "5"),
            ("ended_at_ms", "5"),
            ("status", "'failed'"),
            ("restored", "0"),
            ("rto_target_ms", "99999"),
            ("rto_ms", "1"),
            ("downtime_ms", "NULL"),
            ("reasons", "'[{\"code\":\"server_restarted\"}]'"),
        ] {
            let flaws = flaws_after(&format!("UPDATE drills SET {column} = {value} WHERE id = 'b'"));
            assert!(flaws.contains(&Flaw::RecordChanged), "{column}: {flaws:?}");
            let free = matches!(column, "number" | "plan_file" | "scheduled_for_ms");
            let named = |flaw: &Flaw| matches!(flaw, Flaw::Figure { field, .. } if field == column);
            assert!(free || flaws.iter().any(named), "{column} follows from the journal: {flaws:?}");
        }
        let open = "UPDATE drills SET ended_at_ms = NULL WHERE id = 'b'";
        assert_eq!(flaws_after(open), [Flaw::Reopened]);
        for sql in [
            "UPDATE drill_traces SET points = replace(points, '1300', '1301') WHERE drill_id = 'b'",
            "UPDATE drill_traces SET probe = 'x' WHERE drill_id = 'b'",
            "DELETE FROM drill_traces WHERE drill_id = 'b'",
        ] {
            assert_eq!(flaws_after(sql), [Flaw::TracesChanged], "{sql}");
        }
    }

    #[test]
    fn altered_foreign_and_missing_seals_are_found() {
        let on = |change: &str| flaws_after(&format!("UPDATE drill_seals SET {change} WHERE drill_id = 'b'"));
        assert_eq!(
            on("signature = (SELECT signature FROM drill_seals WHERE drill_id = 'a')"),
            [Flaw::SignatureWrong { seal: 2 }]
        );
        assert_eq!(on("signature = ''"), [Flaw::SignatureWrong { seal: 2 }]);
        assert_eq!(on("statement = replace(statement, '2008', '2009')"), [Flaw::SignatureWrong { seal: 2 }]);
        assert_eq!(on("seq = 9"), [Flaw::SealUnreadable { seal: 9 }]);
        assert_eq!(on("public_key = 'x'"), [Flaw::SealUnreadable { seal: 2 }]);
        let foreign = SigningKey::from_bytes(&[8; 32]).verifying_key();
        let flaws = on(&format!("public_key = '{}'", crate::continuity::to_pem(&foreign)));
        assert_eq!(flaws, [Flaw::KeyUnknown { seal: 2, key: key_id(&foreign) }]);
        let borrowed = "DELETE FROM drill_seals WHERE drill_id = 'b'; \
                        UPDATE drill_seals SET drill_id = 'b' WHERE drill_id = 'c'";
        assert_eq!(flaws_after(borrowed), [Flaw::SealUnreadable { seal: 3 }]);
        assert_eq!(flaws_after("DELETE FROM drill_seals WHERE drill_id = 'b'"), [Flaw::SealMissing]);
    }

    #[test]
    fn a_drill_that_was_taken_out_of_the_middle_is_missed_in_the_list() {
        let after = |sql: &str| {
            let mut found = Vec::new();
            let mut alter = |db: &Connection| {
                db.execute_batch("PRAGMA defer_foreign_keys = ON")?;
                db.execute_batch(sql)?;
                let (seals, numbers) = (drill_seals::all(db)?, drills::numbers(db)?);
                found = verify_list(&seals, &numbers, &[key().verifying_key()], None);
                Err::<(), _>(crate::records::RecordsError::Task)
            };
            assert!(records().transaction(|db| alter(db)).is_err());
            found
        };
        let gone = "DELETE FROM drill_journal WHERE drill_id = 'b'; DELETE FROM drill_traces WHERE drill_id = 'b'; \
                    DELETE FROM drills WHERE id = 'b';";
        assert_eq!(after(gone), [Flaw::DrillMissing { number: 3 }]);
        let seal = "DELETE FROM drill_seals WHERE drill_id = 'b';";
        assert_eq!(after(seal), [Flaw::SealGap { wanted: 2, found: 3 }]);
        let moved = format!("{seal} UPDATE drill_seals SET seq = 2 WHERE seq = 3");
        assert_eq!(after(&moved), [Flaw::SealUnreadable { seal: 2 }]);
    }

    #[test]
    fn what_an_agent_reports_after_the_end_is_sealed_as_well_and_leaves_the_rest_intact() {
        records()
            .transaction(|db| {
                append(db, "b", 9_000, &Fact::CheckedAfter { held: true, reasons: vec![] })?;
                seal::renew(db, &key(), "b", 9_000)?;
                seal::renew(db, &key(), "old", 9_000)?;
                let found = look(db, "b");
                assert_eq!((found.state, found.seals.len(), found.entries), (State::Intact, 2, 11));
                assert_eq!(look(db, "old").state, State::NotSigned);
                let (seals, numbers) = (drill_seals::all(db)?, drills::numbers(db)?);
                assert_eq!(verify_list(&seals, &numbers, &[key().verifying_key()], None), []);
                Ok::<_, crate::records::RecordsError>(())
            })
            .unwrap();
    }
}
