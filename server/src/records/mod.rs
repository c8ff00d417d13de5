//! Every relational row: migrations and queries. The one place that speaks SQL for records.
//!
//! Invariants: SQL stays within what SQLite and PostgreSQL share (but for the triggers of migration 10); values are bound, never put into the text;
//! one writer at a time, each write one transaction; queries never run on the async threads.

mod migrations;

pub mod asset_changes;
pub mod assets;
pub mod attempts;
pub mod audit;
pub mod capacity_components;
pub mod capacity_proposals;
pub mod capacity_reports;
pub mod capacity_services;
pub mod disruptions;
pub mod drill_approvals;
pub mod drill_findings;
pub mod drill_seals;
pub mod drills;
pub mod forecast_scores;
pub mod forecasts;
pub mod hosts;
pub mod incident_events;
pub mod incident_signals;
pub mod incidents;
pub mod known_events;
pub mod mail_outbox;
pub mod marker_rows;
pub mod orders;
pub mod rules;
pub mod server_state;
pub mod service_decisions;
pub mod tokens;
pub mod users;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

pub use rusqlite;

/// Why a row could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordsError {
    /// The database cannot be opened.
    #[error("cannot open the records in {}", path.display())]
    Open {
        /// File of the database.
        path: PathBuf,
        /// Reason.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer version of the program wrote the database.
    #[error("the records have schema {found}, this program knows up to {known}")]
    TooNew {
        /// Schema found.
        found: i64,
        /// Newest schema known.
        known: i64,
    },
    /// An older version of the program wrote the database, and it is not to be changed.
    #[error("the records have schema {found}, this program reads {known}: start the server once")]
    TooOld {
        /// Schema found.
        found: i64,
        /// Newest schema known.
        known: i64,
    },
    /// A migration failed; the database is as before.
    #[error("migration {number} failed")]
    Migrate {
        /// Number of the migration.
        number: i64,
        /// Reason.
        #[source]
        source: rusqlite::Error,
    },
    /// A statement failed.
    #[error("a statement on the records failed")]
    Statement(#[from] rusqlite::Error),
    /// A stored value is not what its column holds.
    #[error("a stored value of {column} cannot be read: {reason}")]
    Corrupt {
        /// Column.
        column: &'static str,
        /// Reason.
        reason: String,
    },
    /// The task that ran the statement was cancelled or panicked.
    #[error("the task for the records ended early")]
    Task,
}

/// File of the records in the data folder.
const FILE: &str = "records.db";

/// Result of a query on the records.
pub type Result<T, E = RecordsError> = std::result::Result<T, E>;

/// The database of records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Records {
    connection: Arc<Mutex<Connection>>,
    /// Whether it was opened to be read alone.
    read_only: bool,
}

impl Records {
    /// Opens the database in `data_dir` and brings it to the newest schema.
    ///
    /// # Errors
    /// If it cannot be opened, is from a newer program, or a migration fails.
    pub fn open(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(FILE);
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", "ON")?;
            Ok(connection)
        };
        let connection = open().map_err(|source| RecordsError::Open { path: path.clone(), source })?;
        Self::start(connection)
    }

    /// Opens the database in `data_dir` to read it alone: neither it nor its schema is changed.
    ///
    /// # Errors
    /// If it cannot be opened, or its schema is not the newest one.
    pub fn open_read_only(data_dir: &Path) -> Result<Self> {
        let path = data_dir.join(FILE);
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            connection.busy_timeout(std::time::Duration::from_secs(10))?;
            Ok(connection)
        };
        let connection = open().map_err(|source| RecordsError::Open { path: path.clone(), source })?;
        migrations::need_newest(&connection)?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { connection, read_only: true })
    }

    /// Whether a folder holds records.
    #[must_use]
    pub fn exist(data_dir: &Path) -> bool {
        data_dir.join(FILE).is_file()
    }

    /// A database in memory, for tests.
    ///
    /// # Errors
    /// If a migration fails.
    pub fn in_memory() -> Result<Self> {
        let connection = Connection::open_in_memory()?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        Self::start(connection)
    }

    fn start(mut connection: Connection) -> Result<Self> {
        migrations::run(&mut connection)?;
        let connection = Arc::new(Mutex::new(connection));
        Ok(Self { connection, read_only: false })
    }

    /// Runs `work` in one transaction, which is committed if it gives `Ok`. Blocks.
    ///
    /// # Errors
    /// What `work` or the commit gives; nothing was changed then.
    pub fn transaction<T, E: From<RecordsError>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let behaviour =
            if self.read_only { TransactionBehavior::Deferred } else { TransactionBehavior::Immediate };
        let transaction = connection.transaction_with_behavior(behaviour).map_err(RecordsError::from)?;
        let value = work(&transaction)?;
        transaction.commit().map_err(RecordsError::from)?;
        Ok(value)
    }

    /// [`Records::transaction`] off the async threads.
    ///
    /// # Errors
    /// As [`Records::transaction`], or [`RecordsError::Task`].
    pub async fn run<T, E>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<RecordsError> + Send + 'static,
    {
        let records = self.clone();
        tokio::task::spawn_blocking(move || records.transaction(work))
            .await
            .unwrap_or_else(|_| Err(RecordsError::Task.into()))
    }
}
