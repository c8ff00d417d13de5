//! The SQLite file: how it is opened, and its tables.

use crate::error::OpenError;
use crate::options::Synchronous;
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use std::path::Path;
use std::time::Duration;

/// Format of the file; see the crate's documentation.
const FORMAT: i64 = 1;
/// "SiTS": marks the file as ours.
const APPLICATION_ID: i64 = 0x5369_5453;
/// Measured: smaller pages waste more around day chunks, larger ones cost small commits more.
const PAGE_SIZE: i64 = 16 * 1024;
/// Pages of write-ahead log after which SQLite copies them into the file.
const CHECKPOINT_PAGES: i64 = 1024;
/// The write-ahead log is cut back to this when it starts anew: what it grows to between checkpoints.
const WAL_LIMIT_BYTES: i64 = CHECKPOINT_PAGES * PAGE_SIZE;
/// Page cache of the writer and of each reader, in KiB.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
const READER_CACHE_KIB: i64 = 8 * 1024;
/// A lock inside SQLite (a backup, a checkpoint) is waited for this long.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

const TABLES: &str = "
    CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE series(id INTEGER PRIMARY KEY, source TEXT NOT NULL, labels BLOB NOT NULL);
    CREATE TABLE log(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE chunk(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE timeline(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE bucket(id INTEGER PRIMARY KEY, samples INTEGER NOT NULL, crc INTEGER NOT NULL, series BLOB NOT NULL);
";

/// Opens the writer's connection, creating or checking the tables.
pub(crate) fn open_writer(path: &Path, synchronous: Synchronous) -> Result<Connection, OpenError> {
    let storage = |source| OpenError::Storage { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(storage)?;
    let found = prepare(&mut connection, synchronous).map_err(storage)?;
    if found != FORMAT {
        return Err(OpenError::Format { path: path.to_owned(), found, known: FORMAT });
    }
    Ok(connection)
}

fn prepare(connection: &mut Connection, synchronous: Synchronous) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", synchronous.pragma())?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT_BYTES)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    if tables > 0 {
        return Ok(if application == APPLICATION_ID { version } else { -1 });
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(FORMAT)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

/// Whether SQLite found its own file damaged: that costs what was to be read, not the store.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
}

/// The next unused timeline number. Where the record of it is lost it is found again from the timelines.
pub(crate) fn next_timeline(connection: &Connection) -> rusqlite::Result<u32> {
    let recorded = connection
        .query_row("SELECT value FROM meta WHERE key = 'next_timeline'", [], |row| row.get::<_, i64>(0))
        .optional()
        .or_else(|error| if is_damage(&error) { Ok(None) } else { Err(error) })?;
    let value = match recorded {
        Some(value) => value,
        None => {
            connection
                .query_row("SELECT coalesce(max(id & 4294967295), 0) + 1 FROM timeline", [], |r| r.get(0))?
        }
    };
    Ok(u32::try_from(value).unwrap_or(1).max(1))
}

/// Bytes of the pages in use, and of all pages.
pub(crate) fn size_bytes(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (page, all, free) = (read("page_size")?, read("page_count")?, read("freelist_count")?);
    Ok(((page * (all - free)).max(0) as u64, (page * all).max(0) as u64))
}
