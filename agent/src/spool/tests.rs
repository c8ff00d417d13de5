//! Behaviour of the spool as a whole: order, bounds, crashes, damage.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::samples::Recorder;

type Collection = Vec<(String, f64)>;

fn record(recorder: &mut Recorder, collection: &[(String, f64)]) {
    recorder.begin();
    for (device, value) in collection {
        recorder.counter("bytes_total", &[("device", device)], *value);
    }
    // Without `end`: stale markers are the recorder's matter and tested there.
}

fn numbered(n: u32) -> Collection {
    (0..50).map(|device| (format!("disk{device}"), f64::from(n) * 1.5 + f64::from(device))).collect()
}

fn open(folder: &Path, max_bytes: u64) -> (Spool, Arc<Counters>) {
    let counters = Arc::new(Counters::default());
    (Spool::open(folder, max_bytes, Arc::clone(&counters)).unwrap(), counters)
}

fn append(spool: &mut Spool, recorder: &mut Recorder, numbers: std::ops::Range<u32>) {
    for n in numbers {
        record(recorder, &numbered(n));
        spool.append(i64::from(n) * 1_000, recorder);
    }
}

/// Takes everything out, in batches of this size; gives the time of each collection.
fn drain(spool: &mut Spool, collections: usize) -> Vec<i64> {
    let mut times = Vec::new();
    while let Some(batch) = spool.next_batch(SERVER, usize::MAX, collections) {
        for rows in batch.rows.chunk_by(|a, b| a.time_ms == b.time_ms) {
            let n = u32::try_from(rows[0].time_ms / 1_000).unwrap();
            let got: Collection = rows
                .iter()
                .map(|row| (batch.series[row.series as usize][1].1.to_string(), row.value))
                .collect();
            assert_eq!(got, numbered(n));
            times.push(rows[0].time_ms);
        }
        let end = batch.end;
        spool.acknowledge(SERVER, end);
    }
    times
}

fn times(numbers: std::ops::Range<u32>) -> Vec<i64> {
    numbers.map(|n| i64::from(n) * 1_000).collect()
}

fn segment_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "spool"));
    files.sort();
    files
}

#[test]
fn collections_come_out_in_order_and_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, counters) = open(dir.path(), 1 << 20);
    let mut recorder = Recorder::default();
    append(&mut spool, &mut recorder, 1..8);
    assert_eq!(drain(&mut spool, 3), times(1..8));
    assert!(spool.next_batch(SERVER, usize::MAX, 10).is_none());
    append(&mut spool, &mut recorder, 8..10);
    assert_eq!(drain(&mut spool, 10), times(8..10));
    assert_eq!(counters.spool_bytes.get(), 0);
}

#[test]
fn what_was_not_acknowledged_comes_again_also_in_smaller_batches() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20);
    append(&mut spool, &mut Recorder::default(), 1..8);
    assert_eq!(spool.next_batch(SERVER, usize::MAX, 5).unwrap().collections, 5);
    assert_eq!(spool.next_batch(SERVER, usize::MAX, 2).unwrap().collections, 2);
    assert_eq!(drain(&mut spool, 1), times(1..8));
}

#[test]
fn a_batch_keeps_the_bound_of_samples_but_never_cuts_a_collection() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20);
    append(&mut spool, &mut Recorder::default(), 1..8);
    assert_eq!(spool.next_batch(SERVER, 120, 10).unwrap().collections, 2);
    assert_eq!(spool.next_batch(SERVER, 10, 10).unwrap().collections, 1);
}

#[test]
fn after_a_kill_everything_unacknowledged_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::default();
    let (mut spool, _) = open(dir.path(), 1 << 20);
    append(&mut spool, &mut recorder, 1..6);
    let end = spool.next_batch(SERVER, usize::MAX, 2).unwrap().end;
    spool.acknowledge(SERVER, end);
    std::mem::forget(spool); // as SIGKILL would: nothing is closed or flushed
    let (mut spool, _) = open(dir.path(), 1 << 20);
    append(&mut spool, &mut Recorder::default(), 6..9);
    assert_eq!(drain(&mut spool, 100), times(3..9));
    drop(spool);
    let (mut spool, _) = open(dir.path(), 1 << 20);
    assert!(spool.next_batch(SERVER, usize::MAX, 10).is_none());
}

#[test]
fn segments_are_closed_by_size_and_deleted_when_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20);
    append(&mut spool, &mut Recorder::default(), 1..3_000);
    assert!(segment_files(dir.path()).len() > 2);
    assert_eq!(drain(&mut spool, 200), times(1..3_000));
    assert_eq!(segment_files(dir.path()).len(), 1);
}

#[test]
fn beyond_its_bound_the_oldest_samples_go_and_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, counters) = open(dir.path(), 1 << 20);
    append(&mut spool, &mut Recorder::default(), 1..12_000);
    let on_disk: u64 = segment_files(dir.path()).iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(on_disk <= 1 << 20, "{on_disk}");
    let kept = drain(&mut spool, 100);
    assert_eq!(kept, times(12_000 - u32::try_from(kept.len()).unwrap()..12_000));
    assert_eq!(counters.spool_dropped_samples.get(), (11_999 - kept.len() as u64) * 50);
    assert!(counters.spool_dropped_samples.get() > 0);
}

#[test]
fn a_disk_that_takes_nothing_does_not_stop_the_samples() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("spool");
    let (mut spool, counters) = open(&folder, 1 << 20);
    let mut recorder = Recorder::default();
    append(&mut spool, &mut recorder, 1..3);
    // The folder is gone: no new segment can be made, as on a full disk.
    spool.close_segment();
    std::fs::remove_dir_all(&folder).unwrap();
    append(&mut spool, &mut recorder, 3..6);
    assert!(counters.spool_errors.get() > 0);
    assert_eq!(drain(&mut spool, 10), times(1..6)); // open files live on without their names
    append(&mut spool, &mut recorder, 6..8);
    std::fs::create_dir_all(&folder).unwrap();
    spool.flush();
    drop(spool);
    let (mut spool, _) = open(&folder, 1 << 20);
    assert_eq!(drain(&mut spool, 10), times(6..8));
}

#[test]
fn when_the_disk_takes_samples_again_those_in_memory_reach_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("spool");
    let (mut spool, _) = open(&folder, 1 << 20);
    let mut recorder = Recorder::default();
    std::fs::remove_dir_all(&folder).unwrap();
    append(&mut spool, &mut recorder, 1..3);
    std::fs::create_dir_all(&folder).unwrap();
    append(&mut spool, &mut recorder, 3..5);
    std::mem::forget(spool);
    let (mut spool, _) = open(&folder, 1 << 20);
    assert_eq!(drain(&mut spool, 10), times(1..5));
}

#[test]
fn a_segment_that_could_not_be_brought_to_disk_stands_in_nobodys_way() {
    let dir = tempfile::tempdir().unwrap();
    let mut segment = Segment::in_memory(7);
    segment.append(&vec![7; 100_000]).unwrap();
    assert!(!segment::has_room(Path::new("/dev/full"), 1));
    assert!(segment.persist(&dir.path().join("none")).is_err());
    segment.persist(dir.path()).unwrap();
    assert!(!segment.is_in_memory() && segment::has_room(dir.path(), 1_000));
    assert_eq!(segment_files(dir.path()).len(), 1);
}

#[test]
fn samples_in_memory_are_bounded_too() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("spool");
    let (mut spool, counters) = open(&folder, 1 << 24);
    std::fs::remove_dir_all(&folder).unwrap();
    append(&mut spool, &mut Recorder::default(), 1..12_000);
    assert!(counters.spool_bytes.get() <= MEMORY_BYTES);
    assert!(counters.spool_dropped_samples.get() > 0);
}

#[test]
fn damage_costs_the_rest_of_its_segment_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    for part in [1..6, 6..9] {
        let (mut spool, _) = open(dir.path(), 1 << 20);
        append(&mut spool, &mut Recorder::default(), part);
        spool.flush();
    }
    let first = &segment_files(dir.path())[0];
    let mut bytes = std::fs::read(first).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(first, bytes).unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20);
    assert_eq!(drain(&mut spool, 100), [times(1..5), times(6..9)].concat());
}

#[test]
fn a_damaged_acknowledgement_costs_a_repetition_and_no_sample() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20);
    append(&mut spool, &mut Recorder::default(), 1..6);
    let end = spool.next_batch(SERVER, usize::MAX, 2).unwrap().end;
    spool.acknowledge(SERVER, end);
    drop(spool);
    std::fs::OpenOptions::new().append(true).open(dir.path().join("acked")).unwrap().write_all(b"x").unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20);
    assert_eq!(drain(&mut spool, 100), times(1..6));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_truncated_segment_loses_only_its_tail(cut in 0usize..6_000) {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(dir.path(), 1 << 20);
        append(&mut spool, &mut Recorder::default(), 1..20);
        spool.flush();
        drop(spool);
        let file = &segment_files(dir.path())[0];
        let length = file.metadata().unwrap().len();
        let kept_bytes = length.saturating_sub(cut as u64);
        std::fs::OpenOptions::new().write(true).open(file).unwrap().set_len(kept_bytes).unwrap();
        let (mut spool, _) = open(dir.path(), 1 << 20);
        let kept = drain(&mut spool, 100);
        prop_assert_eq!(&kept, &times(1..1 + u32::try_from(kept.len()).unwrap()));
        prop_assert_eq!(kept.len() == 19, cut == 0);
    }

    #[test]
    fn a_segment_of_any_bytes_does_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("0000000000000003.spool");
        std::fs::write(&file, [b"SIAGASP1".as_slice(), &bytes].concat()).unwrap();
        let (mut spool, _) = open(dir.path(), 1 << 20);
        append(&mut spool, &mut Recorder::default(), 1..3);
        prop_assert_eq!(drain(&mut spool, 100), times(1..3));
    }

    #[test]
    fn any_payload_ends_in_rows_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Decoder::default().decode(&bytes, &mut Vec::new());
        let _ = payload::count(&bytes);
    }

    #[test]
    fn any_collections_come_back_as_they_were(
        collections in prop::collection::vec(prop::collection::btree_map("[a-e]", any::<f64>(), 1..5), 1..20)
    ) {
        let dir = tempfile::tempdir().unwrap();
        let (mut spool, _) = open(dir.path(), 1 << 20);
        let mut recorder = Recorder::default();
        for (time, collection) in (0i64..).zip(&collections) {
            record(&mut recorder, &collection.clone().into_iter().collect::<Vec<_>>());
            spool.append(time, &recorder);
        }
        let batch = spool.next_batch(SERVER, usize::MAX, usize::MAX).unwrap();
        let got: Vec<Vec<(String, u64)>> = batch
            .rows
            .chunk_by(|a, b| a.time_ms == b.time_ms)
            .map(|rows| {
                let pair = |row: &Row| (batch.series[row.series as usize][1].1.to_string(), row.value.to_bits());
                rows.iter().map(pair).collect()
            })
            .collect();
        let expected: Vec<Vec<(String, u64)>> =
            collections.iter().map(|c| c.iter().map(|(k, v)| (k.clone(), v.to_bits())).collect()).collect();
        prop_assert_eq!(got, expected);
    }
}

#[test]
fn each_destination_has_its_own_place_and_what_one_still_needs_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::default();
    let (mut spool, counters) = open(dir.path(), 1 << 20);
    spool.set_destinations(["other"]);
    append(&mut spool, &mut recorder, 0..10);
    assert_eq!(drain(&mut spool, 3), times(0..10));
    assert!(counters.spool_bytes.get() > 0, "the other has not read it");
    spool.flush();
    drop(spool);

    let (mut spool, counters) = open(dir.path(), 1 << 20);
    spool.set_destinations(["other"]);
    append(&mut spool, &mut recorder, 10..12);
    assert_eq!(drain(&mut spool, 3), times(10..12));
    let mut seen = 0;
    while let Some(batch) = spool.next_batch("other", usize::MAX, 5) {
        seen += batch.collections;
        let end = batch.end;
        spool.acknowledge("other", end);
    }
    assert_eq!((seen, counters.spool_bytes.get()), (12, 0));
    assert!(spool.next_batch("nobody", usize::MAX, 5).is_none());
    spool.set_destinations([]);
    assert!(!dir.path().join("acked-other").exists() && dir.path().join("acked").exists());
}

#[test]
fn a_clock_that_is_set_back_corrupts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = open(dir.path(), 1 << 20);
    let mut recorder = Recorder::default();
    for numbers in [100..105, 3..6, 4_000_000..4_000_002, 6..8] {
        append(&mut spool, &mut recorder, numbers);
    }
    let expected: Vec<_> = [100..105, 3..6, 4_000_000..4_000_002, 6..8].into_iter().flat_map(times).collect();
    assert_eq!(drain(&mut spool, 100), expected);
}
