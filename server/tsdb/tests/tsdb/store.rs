//! What a store promises: durable, each sample once, bounded, tolerant of damage.

use crate::common::*;
use siaga_tsdb::{AppendError, MatchOp, Matcher, OpenError, SelectError, Synchronous, Tsdb};
use std::time::Duration;

const STALE: u64 = 0x7ff0_0000_0000_0002;

#[test]
fn what_was_appended_is_selected_in_order_with_nan_payloads_kept() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let odd = [
        (MIDNIGHT + 30, f64::from_bits(STALE)),
        (MIDNIGHT + 10, -0.0),
        (MIDNIGHT + 20, f64::from_bits(0x7ff8_dead_beef_0001)),
    ];
    let appended =
        store.append(batch("a", &[(up("b"), &odd), (up("a"), &[(MIDNIGHT, 1.0)])]), MIDNIGHT).unwrap();
    assert_eq!((appended.accepted, appended.duplicates), (4, 0));
    let again = store
        .append(batch("a", &[(up("b"), &[(MIDNIGHT + 10, 5.0), (MIDNIGHT + 11, 6.0)])]), MIDNIGHT)
        .unwrap();
    assert_eq!((again.accepted, again.duplicates), (1, 1));
    let found = everything(&store);
    assert_eq!(
        found.iter().map(|s| s.labels.to_string()).collect::<Vec<_>>(),
        [r#"up{host="a"}"#, r#"up{host="b"}"#]
    );
    let wanted = [odd[1], (MIDNIGHT + 11, 6.0), odd[2], odd[0]];
    assert_eq!(samples(&found[1]), bits(&wanted));
    let part = store.select(&[equal("host", "b")], MIDNIGHT + 11, MIDNIGHT + 20, ALL).unwrap();
    assert_eq!(samples(&part[0]), bits(&wanted[1..3]));
    assert!(store.select(&[equal("host", "b")], MIDNIGHT + 12, MIDNIGHT + 19, ALL).unwrap().is_empty());
}

#[test]
fn samples_pass_through_hours_and_days_unchanged_and_late_ones_join_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let all = regular(MIDNIGHT, MIDNIGHT + 3 * HOUR);
    let (late, on_time): (Vec<_>, Vec<_>) = all.iter().partition(|(t, _)| t % 45_000 == 0);
    store.append(batch("a", &[(up("a"), &on_time), (up("b"), &on_time)]), MIDNIGHT + 3 * HOUR).unwrap();
    let report = store.maintain(MIDNIGHT + 5 * HOUR).unwrap();
    assert_eq!(report.closed_buckets, 3);
    assert_eq!(store.stats().unwrap().head_samples, 0);
    store.append(batch("a", &[(up("a"), &late)]), MIDNIGHT + 5 * HOUR).unwrap();
    assert_eq!(samples(&everything(&store)[0]), bits(&all));
    store.maintain(MIDNIGHT + 7 * HOUR).unwrap();
    assert_eq!(samples(&everything(&store)[0]), bits(&all));
    assert_eq!(samples(&everything(&store)[1]), bits(&on_time));
    let report = store.maintain(MIDNIGHT + 4 * DAY).unwrap();
    assert_eq!((report.settled_chunks, report.more), (2, false));
    let stats = store.stats().unwrap();
    assert_eq!((stats.buckets, stats.chunk_samples), (1, (all.len() + on_time.len()) as u64));
    assert_eq!(samples(&everything(&store)[0]), bits(&all));
    assert_eq!(store.maintain(MIDNIGHT + 4 * DAY).unwrap(), Default::default());
}

#[test]
fn the_first_of_a_timestamp_wins_wherever_the_second_falls() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let value =
        |at: i64, v: f64| store.append_history(batch("a", &[(up("a"), &[(MIDNIGHT, v)])]), at).unwrap();
    let check = || assert_eq!(samples(&everything(&store)[0]), bits(&[(MIDNIGHT, 1.0)]));
    value(MIDNIGHT, 1.0);
    value(MIDNIGHT + HOUR, 2.0);
    store.maintain(MIDNIGHT + 2 * HOUR).unwrap();
    value(MIDNIGHT + 2 * HOUR, 3.0);
    check();
    // By now the day has settled: this one goes to the day, not to the hour.
    value(MIDNIGHT + 5 * DAY, 4.0);
    check();
    for hour in [0, 1, 2] {
        store.maintain(MIDNIGHT + 5 * DAY + hour * HOUR).unwrap();
        check();
    }
    value(MIDNIGHT + 6 * DAY, 5.0);
    store.maintain(MIDNIGHT + 7 * DAY).unwrap();
    check();
    assert_eq!(store.stats().unwrap().chunk_samples, 1);
}

#[test]
fn series_of_one_collection_share_their_timestamps() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let run = regular(MIDNIGHT, MIDNIGHT + HOUR);
    store.append(batch("a", &[(up("a"), &run), (up("b"), &run)]), MIDNIGHT + HOUR).unwrap();
    store.maintain(MIDNIGHT + 3 * HOUR).unwrap();
    let found = everything(&store);
    assert!(std::sync::Arc::ptr_eq(&found[0].timestamps, &found[1].timestamps));
}

#[test]
fn an_import_of_months_is_stored_in_days() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let now = MIDNIGHT + 120 * DAY;
    let history: Vec<(i64, f64)> = (0..120 * 96).map(|i| (MIDNIGHT + i * 900_000, i as f64)).collect();
    for host in ["a", "b", "c"] {
        store.append_history(batch("import", &[(up(host), &history)]), now).unwrap();
    }
    while store.maintain(now + HOUR).unwrap().more {}
    let stats = store.stats().unwrap();
    // The two days before now have not settled: they are hours.
    assert_eq!(stats.buckets, 118 + 48, "{stats:?}");
    assert_eq!(stats.head_samples, 0);
    assert_eq!(samples(&everything(&store)[2]), bits(&history));
    let month =
        store.select(&[equal("host", "b")], MIDNIGHT + 30 * DAY, MIDNIGHT + 60 * DAY - 1, ALL).unwrap();
    assert_eq!(month[0].values.len(), 30 * 96);
}

#[test]
fn bad_batches_change_nothing_and_name_the_culprit() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.max_series_per_source = 2;
    options.max_series = 3;
    let store = Tsdb::open(options).unwrap();
    let good = (up("a"), &[(MIDNIGHT, 1.0)][..]);
    let old = MIDNIGHT - 26 * HOUR - 1;
    match store.append(batch("a", &[good.clone(), (up("b"), &[(old, 1.0)])]), MIDNIGHT) {
        Err(AppendError::TooOld { labels, timestamp_ms, limit_ms }) => {
            assert_eq!((labels, timestamp_ms, limit_ms), (up("b"), old, old + 1));
        }
        other => panic!("{other:?}"),
    }
    let new = MIDNIGHT + 600_001;
    let error = store.append(batch("a", &[good.clone(), (up("b"), &[(new, 1.0)])]), MIDNIGHT).unwrap_err();
    assert!(matches!(error, AppendError::TooNew { timestamp_ms, .. } if timestamp_ms == new));
    let nameless = labels(&[("host", "a")]);
    let error =
        store.append(batch("a", &[good.clone(), (nameless, &[(MIDNIGHT, 1.0)])]), MIDNIGHT).unwrap_err();
    assert!(matches!(error, AppendError::BadLabels { .. }));
    let three: Vec<_> = ["a", "b", "c"].iter().map(|h| (up(h), good.1)).collect();
    match store.append(batch("noisy", &three), MIDNIGHT) {
        Err(AppendError::TooManySeries { source_name, limit: 2, largest: None }) => {
            assert_eq!(source_name, "noisy")
        }
        other => panic!("{other:?}"),
    }
    assert!(everything(&store).is_empty());
    assert_eq!(store.stats().unwrap().series, 0);

    store.append(batch("noisy", &three[..2]), MIDNIGHT).unwrap();
    store.append(batch("noisy", &three[..2]), MIDNIGHT).unwrap();
    store.append(batch("quiet", &three[2..]), MIDNIGHT).unwrap();
    match store.append(batch("quiet", &[(up("d"), good.1)]), MIDNIGHT) {
        Err(AppendError::TooManySeries { source_name, limit: 3, largest: Some((name, 2)) }) => {
            assert_eq!((source_name.as_str(), name.as_str()), ("quiet", "noisy"));
        }
        other => panic!("{other:?}"),
    }
    // A day later the silent series no longer count.
    store.maintain(MIDNIGHT + 2 * DAY).unwrap();
    store.append(batch("noisy", &[(up("e"), &[(MIDNIGHT + 2 * DAY, 1.0)])]), MIDNIGHT + 2 * DAY).unwrap();
}

#[test]
fn history_has_no_age_limit_but_the_retention() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let oldest = store.oldest_accepted_ms(MIDNIGHT);
    store.append_history(batch("a", &[(up("a"), &[(oldest, 1.0)])]), MIDNIGHT).unwrap();
    let error = store.append_history(batch("a", &[(up("a"), &[(oldest - 1, 1.0)])]), MIDNIGHT).unwrap_err();
    assert!(matches!(error, AppendError::TooOld { .. }));
}

#[test]
fn queries_beyond_their_limits_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let run = regular(MIDNIGHT, MIDNIGHT + HOUR);
    store.append(batch("a", &[(up("a"), &run), (up("b"), &run)]), MIDNIGHT + HOUR).unwrap();
    for closed in [false, true] {
        if closed {
            store.maintain(MIDNIGHT + 3 * HOUR).unwrap();
        }
        let select = |max_series, max_samples| {
            store.select(&[], MIDNIGHT, MIDNIGHT + HOUR, siaga_tsdb::Limits { max_series, max_samples })
        };
        assert!(matches!(select(1, 1000), Err(SelectError::TooManySeries { found: 2, limit: 1 })));
        assert!(matches!(select(2, 479), Err(SelectError::TooManySamples { limit: 479 })));
        assert_eq!(select(2, 480).unwrap().len(), 2);
        // Only what lies in the range counts.
        let narrow = siaga_tsdb::Limits { max_series: 2, max_samples: 2 };
        assert_eq!(store.select(&[], MIDNIGHT, MIDNIGHT, narrow).unwrap().len(), 2);
    }
}

#[test]
fn a_query_of_many_series_answers_as_one_of_each_and_is_bounded_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let hosts: Vec<_> = (0..450).map(|host| (host, up(&format!("{host:03}")))).collect();
    for minute in 0..100 {
        let runs = hosts.iter().map(|(host, _)| [(MIDNIGHT + minute * 60_000 + host % 7, *host as f64)]);
        let runs: Vec<_> = runs.collect();
        let series: Vec<_> = hosts.iter().zip(&runs).map(|((_, l), run)| (l.clone(), &run[..])).collect();
        store.append(batch("a", &series), MIDNIGHT + minute * 60_000).unwrap();
    }
    // The first hour is closed, the second is in the head.
    assert_eq!(store.maintain(MIDNIGHT + 100 * 60_000).unwrap().closed_buckets, 1);
    let (start, end) = (MIDNIGHT + 30 * 60_000, MIDNIGHT + 90 * 60_000);
    let all = store.select(&[], start, end, ALL).unwrap();
    assert_eq!(all.len(), hosts.len());
    for (one, (_, labels)) in all.iter().zip(&hosts) {
        assert_eq!(one.labels, *labels);
        let alone = store.select(&[equal("host", labels.get("host").unwrap())], start, end, ALL).unwrap();
        assert_eq!(alone.as_slice(), std::slice::from_ref(one));
    }
    let samples = all.iter().map(|one| one.values.len()).sum::<usize>();
    let bounded = |max_samples| {
        store
            .select(&[], start, end, siaga_tsdb::Limits { max_series: 450, max_samples })
            .map(|all| all.len())
    };
    assert_eq!(bounded(samples).unwrap(), 450);
    assert!(matches!(bounded(samples - 1), Err(SelectError::TooManySamples { .. })));
}

#[test]
fn names_and_values_are_those_of_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    store.append(batch("a", &[(up("old"), &[(MIDNIGHT, 1.0)])]), MIDNIGHT).unwrap();
    store.maintain(MIDNIGHT + 2 * HOUR).unwrap();
    let zone = labels(&[("__name__", "load"), ("host", "new"), ("zone", "z")]);
    let now = MIDNIGHT + 4 * HOUR;
    store.append(batch("a", &[(zone, &[(now, 1.0)])]), now).unwrap();
    let texts = |found: Vec<std::sync::Arc<str>>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(store.label_names(&[], 0, i64::MAX, 10)), ["__name__", "host", "zone"]);
    assert_eq!(texts(store.label_names(&[], 0, i64::MAX, 2)), ["__name__", "host"]);
    assert_eq!(texts(store.label_names(&[], MIDNIGHT, MIDNIGHT + HOUR, 10)), ["__name__", "host"]);
    assert_eq!(
        texts(store.label_names(&[equal("host", "new")], 0, i64::MAX, 10)),
        ["__name__", "host", "zone"]
    );
    assert_eq!(texts(store.label_values("host", &[], 0, i64::MAX, 10)), ["new", "old"]);
    assert_eq!(texts(store.label_values("host", &[], now, now, 10)), ["new"]);
    assert_eq!(texts(store.label_values("host", &[equal("__name__", "up")], 0, i64::MAX, 10)), ["old"]);
    let pattern = Matcher::new("host", MatchOp::Regex, "o.*|x").unwrap();
    assert_eq!(store.series(&[pattern], 0, i64::MAX, 10), [up("old")]);
}

#[test]
fn a_folder_serves_one_store_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    assert!(matches!(Tsdb::open(options(folder.path())), Err(OpenError::Locked { .. })));
    drop(store);
    open(folder.path());
}

#[test]
fn a_foreign_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE other(x)").unwrap();
    assert!(matches!(Tsdb::open(options(folder.path())), Err(OpenError::Format { found: -1, .. })));
    std::fs::write(&path, [b'x'; 10_000]).unwrap();
    assert!(matches!(Tsdb::open(options(folder.path())), Err(OpenError::Storage { .. })));
}

#[test]
fn retention_deletes_old_buckets_and_the_series_left_empty() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.retention = Duration::from_secs(10 * 24 * 3600);
    let store = Tsdb::open(options).unwrap();
    store.append(batch("a", &[(up("gone"), &regular(MIDNIGHT, MIDNIGHT + HOUR))]), MIDNIGHT + HOUR).unwrap();
    store.maintain(MIDNIGHT + 3 * DAY).unwrap();
    let now = MIDNIGHT + 12 * DAY;
    store.append(batch("a", &[(up("kept"), &[(now, 1.0)])]), now).unwrap();
    let report = store.maintain(now).unwrap();
    assert_eq!((report.expired_buckets, report.removed_series), (1, 1));
    assert_eq!(everything(&store).len(), 1);
    assert_eq!(store.label_values("host", &[], 0, i64::MAX, 9).len(), 1);
    // The series can come back.
    store.append(batch("a", &[(up("gone"), &[(now, 2.0)])]), now).unwrap();
    drop(store);
    assert_eq!(everything(&open(folder.path())).len(), 2);
}

#[test]
fn retention_by_size_deletes_the_oldest_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.max_bytes = Some(1 << 20);
    let store = Tsdb::open(options).unwrap();
    let noise = |t: i64| (t, f64::from_bits((t as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 2));
    let hosts: Vec<_> = (0..100).map(|h| up(&h.to_string())).collect();
    for hour in 0..20 {
        let start = MIDNIGHT + hour * HOUR;
        let run: Vec<_> = (start..start + HOUR).step_by(15_000).map(noise).collect();
        let series: Vec<_> = hosts.iter().map(|l| (l.clone(), &run[..])).collect();
        store.append(batch("a", &series), start + HOUR).unwrap();
        while store.maintain(start + 2 * HOUR).unwrap().more {}
    }
    let stats = store.stats().unwrap();
    assert!(stats.used_bytes <= 1 << 20, "{stats:?}");
    // Most of it is the write-ahead log.
    assert!(stats.disk_bytes < 24 << 20, "{stats:?}");
    let left = everything(&store);
    let oldest = left[0].timestamps[0];
    assert!(oldest > MIDNIGHT && *left[0].timestamps.last().unwrap() == MIDNIGHT + 20 * HOUR - 15_000);
}

#[test]
fn deleted_samples_are_gone_for_good_and_the_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let run = regular(MIDNIGHT, MIDNIGHT + 3 * HOUR);
    store.append(batch("a", &[(up("a"), &run), (up("b"), &run)]), MIDNIGHT + 3 * HOUR).unwrap();
    store.maintain(MIDNIGHT + 2 * HOUR).unwrap();
    let (from, to) = (MIDNIGHT + HOUR / 2, MIDNIGHT + 5 * HOUR / 2);
    assert_eq!(store.delete_series(&[equal("host", "a")], from, to).unwrap(), 481);
    store.delete_series(&[equal("host", "b")], 0, i64::MAX).unwrap();
    drop(store);
    let store = open(folder.path());
    let left: Vec<_> = run.iter().copied().filter(|(t, _)| !(from..=to).contains(t)).collect();
    let found = everything(&store);
    assert_eq!(found.len(), 1);
    assert_eq!(samples(&found[0]), bits(&left));
    assert_eq!(store.maintain(MIDNIGHT + 3 * HOUR).unwrap().removed_series, 1);
}

#[test]
fn a_backup_made_in_use_opens_with_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let run = regular(MIDNIGHT, MIDNIGHT + 2 * HOUR);
    store.append(batch("a", &[(up("a"), &run)]), MIDNIGHT + 2 * HOUR).unwrap();
    store.maintain(MIDNIGHT + 2 * HOUR).unwrap();
    let copy = tempfile::tempdir().unwrap();
    let path = copy.path().join("metrics.db");
    store.backup(&path).unwrap();
    assert!(matches!(store.backup(&path), Err(siaga_tsdb::BackupError::Exists(_))));
    assert_eq!(samples(&everything(&open(copy.path()))[0]), bits(&run));
}

#[test]
fn a_full_queue_refuses_and_stores_nothing_of_what_it_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = options(folder.path());
    options.queue_batches = 1;
    options.synchronous = Synchronous::Normal;
    let store = Tsdb::open(options).unwrap();
    let run = regular(MIDNIGHT, MIDNIGHT + HOUR);
    let stored: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|i| {
                let (store, run) = (&store, &run);
                scope.spawn(move || {
                    let host = up(&i.to_string());
                    let appended = store.append(batch("a", &[(host, run)]), MIDNIGHT + HOUR);
                    assert!(matches!(appended, Ok(_) | Err(AppendError::Busy)), "{appended:?}");
                    usize::from(appended.is_ok())
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert!(stored > 0);
    assert_eq!(everything(&store).len(), stored);
    assert_eq!(store.stats().unwrap().queued_samples, 0);
}
