//! A file with damaged tables is made anew of what can be read, so that writing to it works again.
//!
//! The new file takes the old one's place in one step when it is whole; the old one stays beside it as `NAME.damaged`
//! (only the latest), for whoever wants to look for more in it. Needs room for a copy of the store.

use crate::directory::BucketInfo;
use crate::error::OpenError;
use crate::options::Synchronous;
use crate::scan::{self, ROWS, blob};
use crate::schema;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};

/// What came of damage that was found at the start.
#[derive(Debug)]
pub enum Repair {
    /// The file was made anew; the damaged one was set aside.
    Rebuilt {
        /// Where it is now.
        aside: PathBuf,
    },
    /// It could not be made anew; the store goes on with the damaged one, whose writing may fail.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Remembers over a restart that writing met damage: the next start makes the file anew.
pub(crate) fn remember(path: &Path) {
    // Where even this cannot be written, the damage is met again.
    drop(std::fs::File::create(beside(path, ".rebuild")));
}

/// Whether writing met damage before.
pub(crate) fn is_remembered(path: &Path) -> bool {
    beside(path, ".rebuild").exists()
}

/// Makes the file anew and opens it; where that fails, opens the old one. Gives what [`schema::open_writer`] gives.
pub(crate) fn rebuild(
    path: &Path,
    synchronous: Synchronous,
    connection: Connection,
    proven: bool,
) -> Result<(Connection, bool, Repair), OpenError> {
    let copy = beside(path, ".rebuilding");
    let aside = beside(path, ".damaged");
    let made = make(&connection, proven, &copy).and_then(|()| {
        // What waits in the write-ahead log belongs to the old file: it must not be there for the new one.
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))
    });
    drop(connection);
    let replaced = match made {
        Ok(0) => replace(path, &copy, &aside).map_err(Into::into),
        Ok(_) => Err("the write-ahead log is in use".into()),
        Err(error) => Err(error.into()),
    };
    let repair = match replaced {
        Ok(()) => Repair::Rebuilt { aside },
        Err(error) => {
            drop(std::fs::remove_file(&copy));
            Repair::Failed(error)
        }
    };
    let (connection, proven) = schema::open_writer(path, synchronous)?;
    Ok((connection, proven, repair))
}

fn replace(path: &Path, copy: &Path, aside: &Path) -> std::io::Result<()> {
    if std::fs::metadata(beside(path, "-wal")).is_ok_and(|wal| wal.len() > 0) {
        return Err(std::io::Error::other("the write-ahead log is not empty"));
    }
    drop(std::fs::remove_file(aside));
    std::fs::hard_link(path, aside)?;
    std::fs::rename(copy, path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::File::open(folder)?.sync_all()?;
    }
    drop(std::fs::remove_file(beside(path, ".rebuild")));
    Ok(())
}

/// Copies what can be read.
fn make(from: &Connection, proven: bool, copy: &Path) -> rusqlite::Result<()> {
    drop(std::fs::remove_file(copy));
    let to = schema::create_copy(copy)?;
    to.execute_batch("BEGIN")?;
    copy_series(from, proven, &to)?;
    copy_rows(from, &to, "chunk")?;
    copy_rows(from, &to, "log")?;
    let last_timeline = copy_rows(from, &to, "timeline")?;
    let (buckets, _) = scan::buckets(from)?;
    for (key, series) in scan::sets_of_chunks(&to)? {
        let samples = buckets.get(&key).map_or(0, |info| info.samples);
        schema::put_bucket(&to, key, &BucketInfo { series, samples })?;
    }
    to.execute("INSERT INTO meta(key, value) VALUES ('next_timeline', ?1)", [last_timeline + 1])?;
    to.execute_batch("COMMIT; PRAGMA journal_mode = WAL")
}

fn copy_series(from: &Connection, proven: bool, to: &Connection) -> rusqlite::Result<()> {
    let mut insert = to.prepare("INSERT INTO series(id, source, labels, crc) VALUES (?1, ?2, ?3, ?4)")?;
    let mut failed = Ok(());
    scan::series(from, proven, |id, source, labels, intact| {
        if intact && !labels.is_empty() && failed.is_ok() {
            let crc = schema::series_crc(id, source, labels);
            failed = insert.execute(params![id, source, labels, crc]).map(drop);
        }
    })?;
    failed
}

/// Copies a table of rows that carry a checksum of their own. Gives the highest number within a bucket.
fn copy_rows(from: &Connection, to: &Connection, table: &str) -> rusqlite::Result<u32> {
    let mut insert = to.prepare(&format!("INSERT INTO {table}(id, data) VALUES (?1, ?2)"))?;
    let (mut failed, mut highest) = (Ok(()), 0);
    scan::table(from, table, "data", ROWS, |id, row| {
        let data = blob(row, 1);
        if !data.is_empty() && failed.is_ok() {
            highest = highest.max(id as u32);
            failed = insert.execute(params![id, data]).map(drop);
        }
    })?;
    failed.map(|()| highest)
}
