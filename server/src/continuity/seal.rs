//! What the server signs of a drill: the head of its journal, its row, its raw traces, and which drill was signed before.
//!
//! Invariants: a drill is sealed in the transaction that ends it, and again in each that adds an entry after that; seals
//! of all drills are one chain, each statement naming the hash of the one before, so that none can vanish from its middle.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::journal::{GENESIS, hex};
use super::journal_key::to_pem;
use crate::records::drill_seals::{self, SealRow};
use crate::records::drills::{self, Drill, JournalRow};
use crate::records::rusqlite::Connection;
use crate::records::{RecordsError, Result};
use crate::time::Millis;

/// Form of the statements that this version writes.
const VERSION: u32 = 1;
/// Hexadecimal digits of an entry's hash that tell which entry is another one; the head vouches for all.
const MARK_DIGITS: usize = 16;

/// What is signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Statement {
    /// Form of this statement.
    pub(super) version: u32,
    /// Place in the one list of all seals, from 1.
    pub(super) seq: i64,
    /// SHA-256 of the statement before it in that list.
    pub(super) previous: String,
    /// Identifier of the drill.
    pub(super) drill_id: String,
    /// Its number.
    pub(super) number: i64,
    /// Entries of its journal.
    pub(super) entries: usize,
    /// Hash of the newest of them.
    pub(super) head: String,
    /// Beginnings of the hashes of the entries that no earlier seal of the drill covers.
    pub(super) marks: Vec<String>,
    /// SHA-256 of the drill's row.
    pub(super) record: String,
    /// SHA-256 of its raw traces.
    pub(super) traces: String,
    /// When it was signed.
    pub(super) signed_at_ms: Millis,
}

/// Why a seal proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadSeal {
    /// The statement or its row is not in a form that this version reads.
    Unreadable,
    /// The signature is not that of the statement.
    Signature,
}

/// SHA-256 of what a drill's row says, as it is signed.
pub(super) fn record_digest(drill: &Drill) -> String {
    // The order belongs to version 1 of the statement: what is added to the row needs another version.
    let values = serde_json::json!([
        drill.id,
        drill.number,
        drill.plan_id,
        drill.plan_name,
        drill.service,
        drill.plan_file,
        drill.plan_text,
        drill.plan_sha256,
        drill.started_by,
        drill.scheduled_for_ms,
        drill.created_at_ms,
        drill.ended_at_ms,
        drill.status,
        drill.restored,
        drill.rto_target_ms,
        drill.rto_ms,
        drill.downtime_ms,
        drill.reasons
    ]);
    hex(&Sha256::digest(values.to_string()))
}

/// SHA-256 of the parts of raw traces, in order.
pub(super) fn traces_digest(parts: &[(String, String)]) -> String {
    hex(&Sha256::digest(serde_json::json!(parts).to_string()))
}

/// SHA-256 of a statement.
pub(super) fn statement_digest(statement: &str) -> String {
    hex(&Sha256::digest(statement))
}

/// The beginning of an entry's hash.
pub(super) fn mark(hash: &str) -> &str {
    hash.get(..MARK_DIGITS).unwrap_or(hash)
}

/// Signs a drill as it stands now, at the end of the list of seals.
///
/// # Errors
/// If the records cannot be read or written.
pub(super) fn add(db: &Connection, key: &SigningKey, drill_id: &str, now_ms: Millis) -> Result<()> {
    let corrupt = |reason: &str| RecordsError::Corrupt { column: "drill_seals", reason: reason.to_owned() };
    let drill = drills::get(db, drill_id)?.ok_or_else(|| corrupt("there is no such drill"))?;
    let rows = drills::journal(db, drill_id)?;
    let newest = drill_seals::newest(db)?;
    let covered = match drill_seals::of_drill(db, drill_id)?.last() {
        Some(seal) => drills::parse_json::<Statement>("drill_seals.statement", &seal.statement)?.entries,
        None => 0,
    };
    let statement = Statement {
        version: VERSION,
        seq: newest.as_ref().map_or(1, |seal| seal.seq + 1),
        previous: newest.map_or_else(|| GENESIS.to_owned(), |seal| statement_digest(&seal.statement)),
        drill_id: drill.id.clone(),
        number: drill.number,
        entries: rows.len(),
        head: head(&rows).to_owned(),
        marks: rows.iter().skip(covered).map(|row| mark(&row.hash).to_owned()).collect(),
        record: record_digest(&drill),
        traces: traces_digest(&drills::traces(db, drill_id)?),
        signed_at_ms: now_ms,
    };
    let text = serde_json::to_string(&statement).map_err(|error| corrupt(&error.to_string()))?;
    let seal = SealRow {
        seq: statement.seq,
        drill_id: drill.id,
        signature: STANDARD.encode(key.sign(text.as_bytes()).to_bytes()),
        statement: text,
        public_key: to_pem(&key.verifying_key()),
    };
    drill_seals::add(db, &seal)
}

/// Signs a drill anew if it was signed before: an entry came after its end. One of earlier versions stays unsigned.
///
/// # Errors
/// If the records cannot be read or written.
pub(super) fn renew(db: &Connection, key: &SigningKey, drill_id: &str, now_ms: Millis) -> Result<()> {
    if drill_seals::of_drill(db, drill_id)?.is_empty() { Ok(()) } else { add(db, key, drill_id, now_ms) }
}

/// Hash of the newest entry of a journal.
pub(super) fn head(rows: &[JournalRow]) -> &str {
    rows.last().map_or(GENESIS, |row| &row.hash)
}

/// What a seal states, if `key` signed exactly that, and the row says nothing else.
pub(super) fn open(seal: &SealRow, key: &VerifyingKey) -> Result<Statement, BadSeal> {
    let signature = STANDARD.decode(&seal.signature).ok();
    let signature = signature.and_then(|bytes| Signature::from_slice(&bytes).ok());
    let signed = signature.is_some_and(|one| key.verify_strict(seal.statement.as_bytes(), &one).is_ok());
    if !signed {
        return Err(BadSeal::Signature);
    }
    let statement: Statement = serde_json::from_str(&seal.statement).map_err(|_| BadSeal::Unreadable)?;
    let fits = statement.version == VERSION
        && statement.seq == seal.seq
        && statement.drill_id == seal.drill_id
        && statement.marks.len() <= statement.entries;
    if fits { Ok(statement) } else { Err(BadSeal::Unreadable) }
}
