//! `siaga-server drill verify` and `key`: whether drills are as they were written and signed, beside a running server or
//! on a restored backup. The records are only read.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use ed25519_dalek::VerifyingKey;

use super::{ConfigFile, out};
use crate::access::signing_key;
use crate::continuity::{
    Evidence, Flaw, JOURNAL_KEY_FILE, State, Verification, from_pem, key_id, list_head, to_pem, verify,
    verify_list,
};
use crate::records::drills::{self, Drill};
use crate::records::rusqlite::Connection;
use crate::records::{Records, drill_seals};

/// Status 0: every drill that was asked for is intact, with --all but for those from before the signing, which are told
/// as not signed. Status 1: something is not as it was written, or cannot be proven.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Number or identifier of a drill.
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    drill: Option<String>,
    /// Look at all drills, and whether one is missing in between.
    #[arg(long)]
    all: bool,
    /// Public key as `drill key` printed it; may be given several times. Without it, that of the data folder counts.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    /// With --all: hash of the newest seal as an earlier call told it; it must still be there.
    #[arg(long, value_name = "HASH", requires = "all")]
    seal: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(flatten)]
    config: ConfigFile,
}

/// Prints the public key as PEM.
pub(super) fn key(args: &KeyArgs) -> anyhow::Result<()> {
    let key = own_key(&args.config)?;
    tracing::info!(key.id = key_id(&key), "fingerprint: SHA-256 of the key's DER form");
    out::print(to_pem(&key).as_bytes())
}

fn own_key(config: &ConfigFile) -> anyhow::Result<VerifyingKey> {
    let file = config.load()?.storage.data_dir.join(JOURNAL_KEY_FILE);
    let key =
        signing_key::load(&file).context("there is no key of journals; with --key, another one counts")?;
    Ok(key.verifying_key())
}

fn trusted(args: &VerifyArgs) -> anyhow::Result<Vec<VerifyingKey>> {
    if args.key.is_empty() {
        return Ok(vec![own_key(&args.config)?]);
    }
    let read = |file: &PathBuf| {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        from_pem(&text).with_context(|| format!("{} holds no Ed25519 public key as PEM", file.display()))
    };
    args.key.iter().map(read).collect()
}

pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<()> {
    let keys = trusted(args)?;
    let records = Records::open_read_only(&args.config.load()?.storage.data_dir)?;
    records.transaction(|db| match &args.drill {
        Some(wanted) => {
            let numbered = match wanted.parse() {
                Ok(number) => drills::by_number(db, number)?,
                Err(_) => None,
            };
            let by_id = || drills::get(db, wanted);
            let found = match numbered {
                Some(drill) => Some(drill),
                None => by_id()?,
            };
            let drill = found.with_context(|| format!("there is no drill {wanted}"))?;
            let found = verify(&Evidence::collect(db, drill.clone())?, &keys);
            tell(&drill, &found)?;
            match found.state {
                State::Intact => Ok(()),
                State::Altered => bail!("the drill is not as it was written"),
                State::NotSigned | State::Running => bail!("nothing is proven: the drill is not signed"),
            }
        }
        None => all(db, &keys, args.seal.as_deref()),
    })
}

fn all(db: &Connection, keys: &[VerifyingKey], noted: Option<&str>) -> anyhow::Result<()> {
    let numbers = drills::numbers(db)?;
    let mut wrong = 0;
    if numbers.is_empty() {
        out::line(format_args!("there are no drills"))?;
    }
    for (_, id) in &numbers {
        let Some(drill) = drills::get(db, id)? else { continue };
        let found = verify(&Evidence::collect(db, drill.clone())?, keys);
        tell(&drill, &found)?;
        wrong += usize::from(found.state == State::Altered);
    }
    let seals = drill_seals::all(db)?;
    let flaws = verify_list(&seals, &numbers, keys, noted);
    tell_flaws(&flaws)?;
    if let Some((seq, hash)) = list_head(&seals) {
        out::line(format_args!("newest seal {seq}: {hash}"))?;
    }
    match (wrong, flaws.len()) {
        (0, 0) => Ok(()),
        (0, _) => bail!("the list of drills is not as it was written"),
        (wrong, _) => bail!("{wrong} drills are not as they were written"),
    }
}

fn tell(drill: &Drill, found: &Verification) -> anyhow::Result<()> {
    let state = match found.state {
        State::Intact => "intact",
        State::Running => "running, not signed yet",
        State::NotSigned => "not signed",
        State::Altered => "ALTERED",
    };
    let (number, entries, head) = (drill.number, found.entries, &found.head);
    out::line(format_args!("drill {number} {}: {state}, {entries} entries, head {head}", drill.id))?;
    tell_flaws(&found.flaws)
}

fn tell_flaws(flaws: &[Flaw]) -> anyhow::Result<()> {
    flaws.iter().try_for_each(|flaw| out::line(format_args!("  {}", flaw.say("en"))))
}
