//! What a PostgreSQL server is asked. Column names are those of the labels and figures.

use std::ops::RangeInclusive;

use crate::samples::Kind::{self, Counter, Gauge};

/// One question.
pub(super) struct Query {
    /// Versions that understand it, as `server_version_num` has them.
    pub(super) versions: RangeInclusive<u32>,
    pub(super) sql: &'static str,
    /// Column, family and kind of each figure; the other columns are labels.
    pub(super) values: &'static [(&'static str, &'static str, Kind)],
}

const ALL: RangeInclusive<u32> = 0..=u32::MAX;
const BEFORE_17: RangeInclusive<u32> = 0..=169_999;
const SINCE_17: RangeInclusive<u32> = 170_000..=u32::MAX;

pub(super) const QUERIES: &[Query] = &[
    Query {
        versions: ALL,
        sql: "SELECT version() AS version, current_setting('server_version') AS short_version, 1 AS one",
        values: &[("one", "pg_static", Gauge)],
    },
    // A standby that gets nothing does not know how far it is behind: then its lag is the age of what it replayed last.
    Query {
        versions: ALL,
        sql: "SELECT current_setting('max_connections') AS connections, \
              current_setting('superuser_reserved_connections') AS reserved, \
              CASE pg_is_in_recovery() WHEN true THEN 1 ELSE 0 END AS replica, \
              CASE WHEN NOT pg_is_in_recovery() THEN 0 \
              WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() \
              AND EXISTS (SELECT FROM pg_stat_wal_receiver WHERE status = 'streaming') THEN 0 \
              ELSE greatest(0, extract(epoch FROM now() - \
              coalesce(pg_last_xact_replay_timestamp(), pg_postmaster_start_time()))) END AS lag, \
              extract(epoch FROM pg_postmaster_start_time()) AS started",
        values: &[
            ("connections", "pg_settings_max_connections", Gauge),
            ("reserved", "pg_settings_superuser_reserved_connections", Gauge),
            ("replica", "pg_replication_is_replica", Gauge),
            ("lag", "pg_replication_lag_seconds", Gauge),
            ("started", "pg_postmaster_start_time_seconds", Gauge),
        ],
    },
    Query {
        versions: ALL,
        sql: "SELECT d.datname, s.state, count(a.pid) AS count, \
              coalesce(max(extract(epoch FROM now() - a.xact_start)), 0) AS oldest \
              FROM pg_database d CROSS JOIN (VALUES ('active'), ('idle'), ('idle in transaction'), \
              ('idle in transaction (aborted)'), ('fastpath function call'), ('disabled')) AS s(state) \
              LEFT JOIN pg_stat_activity a ON a.datname = d.datname AND a.state = s.state \
              AND a.pid <> pg_backend_pid() WHERE d.datallowconn GROUP BY d.datname, s.state",
        values: &[
            ("count", "pg_stat_activity_count", Gauge),
            ("oldest", "pg_stat_activity_max_tx_duration", Gauge),
        ],
    },
    Query {
        versions: ALL,
        sql: "SELECT datname, pg_database_size(datname) AS size FROM pg_database \
              WHERE datallowconn AND has_database_privilege(datname, 'CONNECT')",
        values: &[("size", "pg_database_size_bytes", Gauge)],
    },
    Query {
        versions: ALL,
        sql: "SELECT datid, datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, \
              tup_fetched, tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, deadlocks \
              FROM pg_stat_database WHERE datname IS NOT NULL",
        values: &[
            ("numbackends", "pg_stat_database_numbackends", Gauge),
            ("xact_commit", "pg_stat_database_xact_commit", Counter),
            ("xact_rollback", "pg_stat_database_xact_rollback", Counter),
            ("blks_read", "pg_stat_database_blks_read", Counter),
            ("blks_hit", "pg_stat_database_blks_hit", Counter),
            ("tup_returned", "pg_stat_database_tup_returned", Counter),
            ("tup_fetched", "pg_stat_database_tup_fetched", Counter),
            ("tup_inserted", "pg_stat_database_tup_inserted", Counter),
            ("tup_updated", "pg_stat_database_tup_updated", Counter),
            ("tup_deleted", "pg_stat_database_tup_deleted", Counter),
            ("conflicts", "pg_stat_database_conflicts", Counter),
            ("temp_files", "pg_stat_database_temp_files", Counter),
            ("temp_bytes", "pg_stat_database_temp_bytes", Counter),
            ("deadlocks", "pg_stat_database_deadlocks", Counter),
        ],
    },
    Query {
        versions: ALL,
        sql: "SELECT d.datname, lower(m.mode) AS mode, count(l.pid) AS count \
              FROM pg_database d CROSS JOIN (VALUES ('AccessShareLock'), ('RowShareLock'), ('RowExclusiveLock'), \
              ('ShareUpdateExclusiveLock'), ('ShareLock'), ('ShareRowExclusiveLock'), ('ExclusiveLock'), \
              ('AccessExclusiveLock'), ('SIReadLock')) AS m(mode) \
              LEFT JOIN pg_locks l ON l.database = d.oid AND l.mode = m.mode AND l.pid <> pg_backend_pid() \
              WHERE d.datallowconn GROUP BY d.datname, m.mode",
        values: &[("count", "pg_locks_count", Gauge)],
    },
    Query {
        versions: BEFORE_17,
        sql: "SELECT checkpoints_timed, checkpoints_req, checkpoint_write_time / 1000 AS write_time, \
              checkpoint_sync_time / 1000 AS sync_time, buffers_checkpoint, buffers_clean, buffers_alloc, \
              maxwritten_clean FROM pg_stat_bgwriter",
        values: &[
            ("checkpoints_timed", "pg_stat_bgwriter_checkpoints_timed_total", Counter),
            ("checkpoints_req", "pg_stat_bgwriter_checkpoints_req_total", Counter),
            ("write_time", "pg_stat_bgwriter_checkpoint_write_time_total", Counter),
            ("sync_time", "pg_stat_bgwriter_checkpoint_sync_time_total", Counter),
            ("buffers_checkpoint", "pg_stat_bgwriter_buffers_checkpoint_total", Counter),
            ("buffers_clean", "pg_stat_bgwriter_buffers_clean_total", Counter),
            ("buffers_alloc", "pg_stat_bgwriter_buffers_alloc_total", Counter),
            ("maxwritten_clean", "pg_stat_bgwriter_maxwritten_clean_total", Counter),
        ],
    },
    Query {
        versions: SINCE_17,
        sql: "SELECT num_timed, num_requested, write_time / 1000 AS write_time, sync_time / 1000 AS sync_time, \
              buffers_written FROM pg_stat_checkpointer",
        values: &[
            ("num_timed", "pg_stat_checkpointer_num_timed_total", Counter),
            ("num_requested", "pg_stat_checkpointer_num_requested_total", Counter),
            ("write_time", "pg_stat_checkpointer_write_time_total", Counter),
            ("sync_time", "pg_stat_checkpointer_sync_time_total", Counter),
            ("buffers_written", "pg_stat_checkpointer_buffers_written_total", Counter),
        ],
    },
    Query {
        versions: ALL,
        sql: "SELECT archived_count, failed_count, \
              extract(epoch FROM now() - last_archived_time) AS age FROM pg_stat_archiver",
        values: &[
            ("archived_count", "pg_stat_archiver_archived_count", Counter),
            ("failed_count", "pg_stat_archiver_failed_count", Counter),
            ("age", "pg_stat_archiver_last_archive_age", Gauge),
        ],
    },
    Query {
        versions: ALL,
        sql: "SELECT application_name, coalesce(host(client_addr), '') AS client_addr, state, \
              pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() \
              ELSE pg_current_wal_lsn() END, replay_lsn) AS difference FROM pg_stat_replication",
        values: &[("difference", "pg_stat_replication_pg_wal_lsn_diff", Gauge)],
    },
];
