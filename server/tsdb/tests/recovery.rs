//! Crashes and damage: what was acknowledged is there again; what is damaged costs only itself.

mod common;

use common::*;
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
    drop(store);
    let store = open(folder.path());
    assert!(everything(&store).iter().all(|s| samples(s) == bits(&run)));
}

/// Runs SQL on a closed store.
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

#[test]
fn damaged_pages_of_chunks_do_not_take_the_store_down() {
    let folder = tempfile::tempdir().unwrap();
    {
        let store = open(folder.path());
        let noise = |t: i64| (t, f64::from_bits((t as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2));
        let run: Vec<_> = (MIDNIGHT..MIDNIGHT + HOUR).step_by(15_000).map(noise).collect();
        let hosts: Vec<_> = (0..200).map(|h| up(&format!("{h:03}"))).collect();
        let series: Vec<_> = hosts.iter().map(|l| (l.clone(), &run[..])).collect();
        store.append(batch("a", &series), MIDNIGHT + HOUR).unwrap();
        store.maintain(MIDNIGHT + 2 * HOUR).unwrap();
    }
    let path = folder.path().join("metrics.db");
    let mut bytes = std::fs::read(&path).unwrap();
    // A page full of chunks: wipe its header, as a bad sector would.
    let page = 16 * 1024;
    let chunks = rusqlite::Connection::open(&path).unwrap();
    let of_chunks = |number: usize| bytes[number * page] == 13 && bytes[number * page + 4] < 50;
    let leaf = (2..bytes.len() / page).filter(|&n| of_chunks(n)).last().unwrap();
    drop(chunks);
    bytes[leaf * page..leaf * page + 64].fill(0xaa);
    std::fs::write(&path, &bytes).unwrap();
    let store = Tsdb::open(options(folder.path())).unwrap();
    let found = everything(&store);
    assert!(found.len() < 200 && found.len() > 150, "{}", found.len());
    assert!(store.stats().unwrap().damaged_rows > 0);
    store.append(batch("a", &[(up("new"), &[(MIDNIGHT + 2 * HOUR, 1.0)])]), MIDNIGHT + 2 * HOUR).unwrap();
}
