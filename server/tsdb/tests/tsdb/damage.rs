//! Random bytes in random pages: they cost what stood in those pages, and nothing else; writing goes on.

use crate::common::*;
use siaga_tsdb::{Labels, Repair, Tsdb};
use std::collections::{HashMap, HashSet};
use std::path::Path;

const PAGE: usize = 16 * 1024;
const HOSTS: usize = 700;
/// Most rows of a page of the store of these tests: of series, which are the smallest.
const PAGE_SERIES: usize = 90;

/// Repeatable noise.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn host(number: usize) -> Labels {
    let padding = "p".repeat(170);
    labels(&[("__name__", "up"), ("host", &number.to_string()), ("padding", &padding)])
}

/// A value tells by its whole part whose it is.
fn value(host: usize, t: i64) -> f64 {
    host as f64 + (Noise(t as u64 ^ (host as u64) << 45).next() >> 12) as f64 / (1_u64 << 52) as f64
}

fn append(store: &Tsdb, hosts: impl Iterator<Item = usize>, times: &[i64], now: i64) {
    let series: Vec<_> =
        hosts.map(|h| (host(h), times.iter().map(|&t| (t, value(h, t))).collect::<Vec<_>>())).collect();
    let series: Vec<_> = series.iter().map(|(l, s)| (l.clone(), &s[..])).collect();
    store.append(batch("a", &series), now).unwrap();
}

const CLOSED: i64 = MIDNIGHT + HOUR;
const NOW: i64 = MIDNIGHT + 2 * HOUR;

/// Every kind of row, in several pages each: closed hours of two shapes, and a log.
fn store_of_every_kind(folder: &Path) {
    let store = open(folder);
    for part in (0..HOSTS).collect::<Vec<_>>().chunks(50) {
        let shift = part[0] as i64;
        let times: Vec<_> = (MIDNIGHT..CLOSED).step_by(60_000).map(|t| t + shift).collect();
        append(&store, part.iter().copied(), &times, CLOSED);
    }
    store.maintain(NOW).unwrap();
    for minute in 0..10 {
        append(&store, 0..HOSTS, &[NOW + minute * 60_000], NOW + minute * 60_000);
    }
    drop(store);
    let connection = rusqlite::Connection::open(folder.join("metrics.db")).unwrap();
    connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
}

/// Pages with the table they belong to and whether they hold rows.
fn pages(folder: &Path) -> Vec<(usize, String, bool)> {
    let connection = rusqlite::Connection::open(folder.join("metrics.db")).unwrap();
    let mut statement = connection.prepare("SELECT pageno, name, pagetype FROM dbstat").unwrap();
    let rows = statement.query_map([], |row| {
        Ok((row.get::<_, i64>(0)? as usize, row.get(1)?, row.get::<_, String>(2)? == "leaf"))
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// What the store has: each series once, with samples of its own alone.
fn check(store: &Tsdb, case: &str) -> HashMap<usize, HashSet<i64>> {
    let mut found = HashMap::new();
    for series in everything(store) {
        let number: usize = series.labels.get("host").unwrap().parse().unwrap();
        assert_eq!(series.labels, host(number), "{case}");
        assert!(series.timestamps.is_sorted_by(|a, b| a < b), "{case}");
        for (&t, &v) in series.timestamps.iter().zip(&series.values) {
            assert_eq!(v.to_bits(), value(number, t).to_bits(), "{case}: host {number} at {t}");
        }
        assert!(found.insert(number, series.timestamps.iter().copied().collect()).is_none(), "{case}: twice");
    }
    found
}

fn damaged_copy(from: &Path, to: &Path, page: usize, noise: &mut Noise) {
    let mut bytes = std::fs::read(from.join("metrics.db")).unwrap();
    let at = (page - 1) * PAGE + [982, 400, 1600, 2600, noise.below(PAGE - 200), 0][noise.below(6)];
    bytes[at..at + 200].iter_mut().for_each(|byte| *byte = noise.next() as u8);
    std::fs::write(to.join("metrics.db"), bytes).unwrap();
}

#[test]
fn random_damage_costs_what_its_page_held_and_writing_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    store_of_every_kind(folder.path());
    let pages = pages(folder.path());
    let tables = ["series", "log", "chunk", "timeline", "bucket", "meta", "sqlite_schema", ""];
    let whole = HOSTS * 70;
    for seed in 96..192 {
        let mut noise = Noise(seed);
        let table = tables[seed as usize % tables.len()];
        let of_table: Vec<_> = pages.iter().filter(|p| p.1 == table || table.is_empty()).collect();
        let (page, name, leaf) = of_table[noise.below(of_table.len())];
        // The map of pages is in no table.
        let page = if table.is_empty() && noise.below(4) == 0 { 2 } else { *page };
        let case = format!("seed {seed}, page {page} of {name}, leaf {leaf}");
        let copy = tempfile::tempdir().unwrap();
        damaged_copy(folder.path(), copy.path(), page, &mut noise);
        let store = match Tsdb::open(options(copy.path())) {
            Ok(store) => store,
            Err(error) => {
                assert_eq!(page, 1, "{case}: {error:?}");
                continue;
            }
        };
        assert!(!matches!(store.repair(), Some(Repair::Failed(_))), "{case}: {:?}", store.repair());
        let found = check(&store, &case);
        if *leaf {
            let samples: usize = found.values().map(HashSet::len).sum();
            let lost_rows = match name.as_str() {
                "log" => 2 * HOSTS,
                // All timelines are in one page: all chunks need it.
                "timeline" => whole,
                _ => PAGE_SERIES * 70,
            };
            assert!(found.len() + PAGE_SERIES >= HOSTS, "{case}: {} series are left", found.len());
            assert!(samples + lost_rows >= whole, "{case}: {samples} of {whole} samples are left");
            let lost = samples < whole;
            assert!(
                !lost || store.stats().unwrap().damaged_rows > 0,
                "{case}: {samples} and nothing is told"
            );
        }
        let now = NOW + 30 * 60_000;
        append(&store, 0..HOSTS + 100, &[now], now);
        let after = check(&store, &case);
        assert!(after.len() == HOSTS + 100 && after.values().all(|times| times.contains(&now)), "{case}");
        // Damage that only upkeep meets is mended at the next start.
        if store.maintain(NOW + 3 * HOUR).is_err() {
            drop(store);
            let store = open(copy.path());
            assert!(matches!(store.repair(), Some(Repair::Rebuilt { .. })), "{case}");
            store.maintain(NOW + 3 * HOUR).unwrap();
            drop(store);
        } else {
            drop(store);
        }
        let store = open(copy.path());
        assert!(store.repair().is_none(), "{case}: {:?}", store.repair());
        let again = check(&store, &case);
        assert!(after.iter().all(|(h, times)| again[h].is_superset(times)), "{case}");
    }
}

#[test]
fn a_file_of_the_format_before_gets_its_checksums_and_a_changed_row_is_found() {
    let folder = tempfile::tempdir().unwrap();
    store_of_every_kind(folder.path());
    let connection = rusqlite::Connection::open(folder.path().join("metrics.db")).unwrap();
    connection.execute_batch("ALTER TABLE series DROP COLUMN crc; PRAGMA user_version = 1").unwrap();
    drop(connection);
    let store = open(folder.path());
    assert_eq!(check(&store, "before").len(), HOSTS);
    assert_eq!(store.stats().unwrap().damaged_rows, 0);
    drop(store);
    let connection = rusqlite::Connection::open(folder.path().join("metrics.db")).unwrap();
    let version = connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(version, 2);
    // As a damaged page may: another number with the labels, or other labels with the number.
    let changed = "UPDATE series SET id = 5000 WHERE id = 3; \
        UPDATE series SET labels = (SELECT labels FROM series WHERE id = 5) WHERE id = 4";
    connection.execute_batch(changed).unwrap();
    drop(connection);
    let store = open(folder.path());
    assert_eq!(check(&store, "after").len(), HOSTS - 2);
    assert!(store.stats().unwrap().damaged_rows >= 2);
    let aside = match store.repair() {
        Some(Repair::Rebuilt { aside }) => aside.clone(),
        other => panic!("{other:?}"),
    };
    assert!(aside.exists());
}
