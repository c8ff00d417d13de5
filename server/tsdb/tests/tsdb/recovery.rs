//! Crashes and damage: what was acknowledged is there again; what is damaged costs only itself.

use crate::common::*;
use siaga_tsdb::Tsdb;
use std::path::Path;

/// The files as a crash would leave them.
fn crash_copy(from: &Path, to: &Path) {
    for name in ["metrics.db", "metrics.db-wal"] {
        if from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[test]
fn every_acknowledged_sample_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let run = regular(MIDNIGHT, MIDNIGHT + 6 * HOUR);
    for (at, part) in run.chunks(100).enumerate() {
        let now = part.last().unwrap().0;
        store.append(batch("a", &[(up("a"), part), (up("b"), part)]), now).unwrap();
        if at % 4 == 3 {
            store.maintain(now).unwrap();
        }
        let crashed = tempfile::tempdir().unwrap();
        crash_copy(folder.path(), crashed.path());
        let back = open(crashed.path());
        let wanted = bits(&run[..at * 100 + part.len()]);
        for series in everything(&back) {
            assert_eq!(samples(&series), wanted, "after batch {at}");
        }
        assert_eq!(everything(&back).len(), 2);
    }
}

#[test]
fn writers_and_upkeep_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let run = regular(MIDNIGHT, MIDNIGHT + 8 * HOUR);
    let end = MIDNIGHT + 8 * HOUR;
    std::thread::scope(|scope| {
        for host in ["a", "b"] {
            let (store, run) = (&store, &run);
            scope.spawn(move || {
                for part in run.chunks(20) {
                    store.append(batch(host, &[(up(host), part)]), end).unwrap();
                    // What is acknowledged can be seen, whatever upkeep does at this moment.
                    let found = store.select(&[equal("host", host)], 0, i64::MAX, ALL).unwrap();
                    let until = run.partition_point(|s| s.0 <= part.last().unwrap().0);
                    assert_eq!(samples(&found[0]), bits(&run[..until]));
                }
            });
        }
        for step in 0..60 {
            store.maintain(end + step * HOUR + 12 * HOUR).unwrap();
        }
    });
    while store.maintain(end + 4 * DAY).unwrap().more {}
    assert_eq!(store.stats().unwrap().damaged_rows, 0, "what is not committed yet is no damage");
    drop(store);
    let store = open(folder.path());
    assert!(everything(&store).iter().all(|s| samples(s) == bits(&run)));
}

/// Runs SQL beside the store.
fn tamper_with(folder: &Path, sql: &str) {
    rusqlite::Connection::open(folder.join("metrics.db")).unwrap().execute_batch(sql).unwrap();
}

/// Runs SQL on a closed store; returns the rows it changed.
fn tamper(folder: &Path, sql: &str) -> usize {
    let connection = rusqlite::Connection::open(folder.join("metrics.db")).unwrap();
    connection.execute(sql, []).unwrap()
}

fn closed_hours(folder: &Path) -> Vec<(i64, f64)> {
    let store = open(folder);
    let run = regular(MIDNIGHT, MIDNIGHT + 2 * HOUR);
    store.append(batch("a", &[(up("a"), &run), (up("b"), &run)]), MIDNIGHT + 2 * HOUR).unwrap();
    store.maintain(MIDNIGHT + 4 * HOUR).unwrap();
    run
}

#[test]
fn a_damaged_chunk_costs_itself_and_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let run = closed_hours(folder.path());
    let flip = "UPDATE chunk SET data = substr(data, 1, 7) || x'ff' || substr(data, 9) WHERE id = (SELECT min(id) FROM chunk)";
    assert_eq!(tamper(folder.path(), flip), 1);
    let store = open(folder.path());
    let found = everything(&store);
    assert_eq!(samples(&found[0]), bits(&run[240..]));
    assert_eq!(samples(&found[1]), bits(&run));
    assert_eq!(store.stats().unwrap().damaged_rows, 1);
    // It does not stop the day from settling.
    store.maintain(MIDNIGHT + 4 * DAY).unwrap();
    assert_eq!(samples(&everything(&store)[1]), bits(&run));
    assert_eq!(samples(&everything(&store)[0]), bits(&run[240..]));
}

#[test]
fn damaged_timelines_directory_entries_and_log_rows_cost_only_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let run = closed_hours(folder.path());
    {
        let store = open(folder.path());
        let now = MIDNIGHT + 4 * HOUR;
        store.append(batch("a", &[(up("a"), &[(now, 1.0)])]), now).unwrap();
        store.append(batch("a", &[(up("a"), &[(now + 1, 2.0)])]), now).unwrap();
    }
    assert_eq!(
        tamper(folder.path(), "UPDATE timeline SET data = x'00' WHERE id = (SELECT min(id) FROM timeline)"),
        1
    );
    assert_eq!(
        tamper(folder.path(), "UPDATE bucket SET series = x'ffff' WHERE id = (SELECT max(id) FROM bucket)"),
        1
    );
    assert_eq!(tamper(folder.path(), "UPDATE log SET data = x'01' WHERE id = (SELECT min(id) FROM log)"), 1);
    let store = open(folder.path());
    let found = everything(&store);
    let mut wanted = run[240..].to_vec();
    assert_eq!(samples(&found[1]), bits(&wanted));
    wanted.push((MIDNIGHT + 4 * HOUR + 1, 2.0));
    assert_eq!(samples(&found[0]), bits(&wanted));
    assert_eq!(store.stats().unwrap().damaged_rows, 4);
}

/// Wipes the header of a page of a table, as a bad sector would.
fn wipe_page_of(folder: &Path, table: &str) {
    let path = folder.join("metrics.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let root = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'");
    let root = connection.query_row(&root, [], |row| row.get::<_, u32>(0)).unwrap() as usize;
    drop(connection);
    let mut bytes = std::fs::read(&path).unwrap();
    let page = 16 * 1024;
    let at = (root - 1) * page;
    // The second child of the root: neither the first nor the last page of the table.
    assert_eq!(bytes[at], 5, "{table} has one page only");
    let cell = usize::from(u16::from_be_bytes([bytes[at + 14], bytes[at + 15]]));
    let child = u32::from_be_bytes(bytes[at + cell..at + cell + 4].try_into().unwrap()) as usize;
    let at = (child - 1) * page;
    bytes[at..at + 64].fill(0xaa);
    std::fs::write(&path, &bytes).unwrap();
}

fn many_hosts(folder: &Path) {
    let store = open(folder);
    let noise = |t: i64| (t, f64::from_bits((t as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2));
    let run: Vec<_> = (MIDNIGHT..MIDNIGHT + HOUR).step_by(15_000).map(noise).collect();
    let padding = "p".repeat(150);
    let hosts =
        (0..500).map(|h| labels(&[("__name__", "up"), ("host", &format!("{h:03}")), ("padding", &padding)]));
    let hosts: Vec<_> = hosts.collect();
    let series: Vec<_> = hosts.iter().map(|l| (l.clone(), &run[..])).collect();
    store.append(batch("a", &series), MIDNIGHT + HOUR).unwrap();
    store.maintain(MIDNIGHT + 2 * HOUR).unwrap();
    for second in 0..300 {
        let now = MIDNIGHT + 2 * HOUR + second * 1000;
        let series: Vec<_> = hosts[..40].iter().map(|l| (l.clone(), [(now, 1.0 / second as f64)])).collect();
        let series: Vec<_> = series.iter().map(|(l, s)| (l.clone(), &s[..])).collect();
        store.append(batch("a", &series), now).unwrap();
    }
}

#[test]
fn a_damaged_page_costs_its_rows_and_the_store_goes_on() {
    for (table, least_series, least_samples) in
        [("chunk", 450, 450 * 240), ("series", 350, 350 * 240), ("log", 500, 200 * 40)]
    {
        let folder = tempfile::tempdir().unwrap();
        many_hosts(folder.path());
        wipe_page_of(folder.path(), table);
        let store = Tsdb::open(options(folder.path())).unwrap();
        let found = everything(&store);
        let count: usize = found.iter().map(|s| s.values.len()).sum();
        assert!(count < 500 * 240 + 300 * 40, "{table}: nothing was lost");
        assert!(
            found.len() >= least_series && count >= least_samples,
            "{table}: {} series, {count} samples",
            found.len()
        );
        assert!(store.stats().unwrap().damaged_rows > 0, "{table}");
        let now = MIDNIGHT + 3 * HOUR;
        store.append(batch("a", &[(up("new"), &[(now, 1.0)])]), now).unwrap();
        let new = store.select(&[equal("host", "new")], 0, i64::MAX, ALL).unwrap();
        assert_eq!(samples(&new[0]), bits(&[(now, 1.0)]), "{table}");
    }
}

#[test]
fn a_failed_commit_answers_with_its_cause_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let good = [(up("a"), &[(MIDNIGHT, 1.0)][..])];
    store.append(batch("a", &good), MIDNIGHT).unwrap();
    // A trigger stands for a full disk: it fails the transaction in the middle.
    tamper_with(
        folder.path(),
        "CREATE TRIGGER full BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    let new = [(up("a"), &[(MIDNIGHT + 1, 2.0)][..]), (up("b"), &[(MIDNIGHT, 1.0)][..])];
    let error = store.append(batch("a", &new), MIDNIGHT).unwrap_err();
    assert!(std::error::Error::source(&error).unwrap().to_string().contains("disk full"), "{error:?}");
    assert_eq!(everything(&store).len(), 1);
    let stats = store.stats().unwrap();
    assert_eq!((stats.series, stats.active_series, stats.head_samples, stats.queued_samples), (1, 1, 1, 0));
    tamper_with(
        folder.path(),
        "DROP TRIGGER full; CREATE TRIGGER full BEFORE INSERT ON chunk BEGIN SELECT RAISE(ABORT, 'disk full'); END",
    );
    store.append(batch("a", &new), MIDNIGHT).unwrap();
    assert!(store.maintain(MIDNIGHT + 2 * HOUR).is_err());
    assert_eq!(samples(&everything(&store)[0]), bits(&[(MIDNIGHT, 1.0), (MIDNIGHT + 1, 2.0)]));
    tamper_with(folder.path(), "DROP TRIGGER full");
    assert_eq!(store.maintain(MIDNIGHT + 2 * HOUR).unwrap().closed_buckets, 1);
    assert_eq!(samples(&everything(&store)[0]), bits(&[(MIDNIGHT, 1.0), (MIDNIGHT + 1, 2.0)]));
    assert_eq!(store.stats().unwrap().head_samples, 0);
}
