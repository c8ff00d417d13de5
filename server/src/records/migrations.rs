//! Forward-only migrations, each in its own transaction. The number of the newest one run is kept in `schema_version`.

use rusqlite::Connection;

use super::{RecordsError, Result};

/// All migrations, oldest first. A migration that was released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_access_and_fleet.sql"),
    include_str!("migrations/0002_rules_and_incidents.sql"),
    include_str!("migrations/0003_assets.sql"),
    include_str!("migrations/0004_capacity.sql"),
    include_str!("migrations/0005_continuity.sql"),
    include_str!("migrations/0006_hardening.sql"),
    include_str!("migrations/0007_capacity_plan.sql"),
    include_str!("migrations/0008_known_events.sql"),
    include_str!("migrations/0009_capacity_reports.sql"),
    include_str!("migrations/0010_signed_drills.sql"),
    include_str!("migrations/0011_drill_approvals.sql"),
    include_str!("migrations/0012_service_decisions.sql"),
    include_str!("migrations/0013_mail_outbox.sql"),
    include_str!("migrations/0014_capacity_services.sql"),
    include_str!("migrations/0015_drill_findings.sql"),
    include_str!("migrations/0016_disruptions.sql"),
    include_str!("migrations/0017_forecast_peaks.sql"),
];

/// Schema of a database, and the newest one known.
fn versions(connection: &Connection) -> Result<(i64, i64)> {
    let found: i64 =
        connection.query_row("SELECT COALESCE(MAX(version), 0) FROM schema_version", [], |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known { Err(RecordsError::TooNew { found, known }) } else { Ok((found, known)) }
}

/// Refuses a database that is not of the newest schema.
pub(super) fn need_newest(connection: &Connection) -> Result<()> {
    let (found, known) = versions(connection)?;
    if found < known { Err(RecordsError::TooOld { found, known }) } else { Ok(()) }
}

pub(super) fn run(connection: &mut Connection) -> Result<()> {
    connection.execute_batch("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")?;
    let (found, _) = versions(connection)?;
    for (number, sql) in (1..).zip(MIGRATIONS).filter(|(number, _)| *number > found) {
        let failed = |source| RecordsError::Migrate { number, source };
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(sql).map_err(failed)?;
        transaction.execute("INSERT INTO schema_version (version) VALUES (?1)", [number]).map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_run_once_and_a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        run(&mut connection).unwrap();
        run(&mut connection).unwrap();
        connection.execute("INSERT INTO schema_version (version) VALUES (9999)", []).unwrap();
        assert!(matches!(run(&mut connection), Err(RecordsError::TooNew { found: 9999, .. })));
    }
}
