//! The SQLite file: how it is opened, and its tables.

use crate::bucket::BucketKey;
use crate::directory::BucketInfo;
use crate::error::OpenError;
use crate::options::Synchronous;
use crate::scan;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::path::Path;
use std::time::Duration;

/// Format of the file; see the crate's documentation.
const FORMAT: i64 = 2;
/// The format before it, whose rows of `series` carry no checksum.
const UNPROVEN_FORMAT: i64 = 1;
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
    CREATE TABLE series(id INTEGER PRIMARY KEY, source TEXT NOT NULL, labels BLOB NOT NULL, crc INTEGER);
    CREATE TABLE log(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE chunk(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE timeline(id INTEGER PRIMARY KEY, data BLOB NOT NULL);
    CREATE TABLE bucket(id INTEGER PRIMARY KEY, samples INTEGER NOT NULL, crc INTEGER NOT NULL, series BLOB NOT NULL);
";

/// Opens the writer's connection, creating or checking the tables. Says whether rows of `series` carry a checksum.
pub(crate) fn open_writer(path: &Path, synchronous: Synchronous) -> Result<(Connection, bool), OpenError> {
    let storage = |source| OpenError::Storage { path: path.to_owned(), source };
    let mut connection = Connection::open(path).map_err(storage)?;
    let found = prepare(&mut connection, synchronous).map_err(storage)?;
    if found != FORMAT && found != UNPROVEN_FORMAT {
        return Err(OpenError::Format { path: path.to_owned(), found, known: FORMAT });
    }
    Ok((connection, found == FORMAT))
}

fn prepare(connection: &mut Connection, synchronous: Synchronous) -> rusqlite::Result<i64> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0))?;
    if tables == 0 {
        connection.pragma_update(None, "page_size", PAGE_SIZE)?;
        // Writes to the file each time: a full disk must not keep an old store from being read.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
    }
    connection.pragma_update(None, "synchronous", synchronous.pragma())?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", WAL_LIMIT_BYTES)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    let application: i64 = connection.pragma_query_value(None, "application_id", |r| r.get(0))?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0))?;
    if tables > 0 {
        return Ok(if application == APPLICATION_ID { version } else { -1 });
    }
    let transaction = connection.transaction()?;
    create(&transaction)?;
    transaction.commit()?;
    Ok(FORMAT)
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(TABLES)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "user_version", FORMAT)
}

/// Makes a file with the tables, to be filled and to take another one's place when it is whole. It has no log of
/// its own: half-made it is of no use.
pub(crate) fn create_copy(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    connection.pragma_update(None, "journal_mode", "OFF")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    create(&connection)?;
    Ok(connection)
}

/// Brings a file of the format before to the newest: rows of `series` get their checksum. All of it or nothing.
pub(crate) fn add_checksums(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("ALTER TABLE series ADD COLUMN crc INTEGER")?;
    let mut checksums = Vec::new();
    scan::series(&transaction, false, |id, source, labels, _| {
        checksums.push((id, series_crc(id, source, labels)));
    })?;
    {
        let mut update = transaction.prepare("UPDATE series SET crc = ?2 WHERE id = ?1")?;
        for (id, crc) in checksums {
            update.execute([id, i64::from(crc)])?;
        }
    }
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Checksum of a row of `series`.
pub(crate) fn series_crc(id: i64, source: &str, labels: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&id.to_le_bytes());
    crc.update(&(source.len() as u64).to_le_bytes());
    crc.update(source.as_bytes());
    crc.update(labels);
    crc.finalize()
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
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, TooBig};
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | TooBig))
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

/// Writes the state of a bucket.
pub(crate) fn put_bucket(connection: &Connection, key: BucketKey, info: &BucketInfo) -> rusqlite::Result<()> {
    let series = info.series.encode();
    let crc = crc32fast::hash(&series);
    connection
        .prepare_cached("INSERT OR REPLACE INTO bucket(id, samples, crc, series) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![key.raw(), info.samples as i64, crc, series])?;
    Ok(())
}

/// Bytes of the pages in use, and of all pages.
pub(crate) fn size_bytes(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let read = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let (page, all, free) = (read("page_size")?, read("page_count")?, read("freelist_count")?);
    Ok(((page * (all - free)).max(0) as u64, (page * all).max(0) as u64))
}
