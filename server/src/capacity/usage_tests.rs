//! What a use is worth, through the real queries and a real store.

use tokio::sync::watch;

use super::*;
use crate::capacity::{Evaluation, State, Subject, evaluate};
use crate::config::Config;
use crate::metrics::{Metrics, OwnSample};
use crate::time::{DAY_MS, HOUR_MS, SECOND_MS, now_ms};

const MINUTE_MS: Millis = 60 * SECOND_MS;
const GIB: f64 = 1_073_741_824.0;

async fn metrics(folder: &std::path::Path) -> Metrics {
    // An error means that the provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::default();
    config.storage.data_dir = folder.to_owned();
    crate::app::open(config, watch::channel(false).1).await.unwrap().metrics.clone()
}

/// A host that is almost full in every respect, a sample a minute.
async fn full(metrics: &Metrics, instance: &str, from_ms: Millis, to_ms: Millis) {
    let mut at_ms = from_ms;
    while at_ms <= to_ms {
        let host = ("instance", instance);
        let sample = |name: &str, labels: &[(&str, &str)], value| OwnSample::new(name, labels, at_ms, value);
        let disk = [host, ("mountpoint", "/data"), ("device", "/dev/sdb"), ("fstype", "ext4")];
        let busy = (at_ms - from_ms) as f64 / 1_000.0;
        let cpu = |mode: &str, share: f64| {
            sample("node_cpu_seconds_total", &[host, ("cpu", "0"), ("mode", mode)], busy * share)
        };
        let samples = vec![
            sample("node_memory_MemTotal_bytes", &[host], 100.0 * GIB),
            sample("node_memory_MemAvailable_bytes", &[host], 4.0 * GIB),
            sample("node_filesystem_size_bytes", &disk, 100.0 * GIB),
            sample("node_filesystem_avail_bytes", &disk, 4.0 * GIB),
            sample("node_filesystem_files", &disk, 100.0 * GIB),
            sample("node_filesystem_files_free", &disk, 4.0 * GIB),
            sample("quota_limit_bytes", &[host, ("quota", "/data")], 100.0 * GIB),
            sample("quota_used_bytes", &[host, ("quota", "/data")], 96.0 * GIB),
            cpu("idle", 0.04),
            cpu("user", 0.96),
        ];
        metrics.append_own(samples).await.unwrap();
        at_ms += MINUTE_MS;
    }
}

fn key(instance: &str, kind: ResourceKind) -> ResourceKey {
    let item = if kind.item_label().is_some() { "/data" } else { "" };
    ResourceKey { instance: instance.to_owned(), kind, item: item.to_owned() }
}

#[tokio::test]
async fn only_what_is_new_and_of_long_enough_counts() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = metrics(folder.path()).await;
    let now = now_ms() / MINUTE_MS * MINUTE_MS;
    let gone_at = now - 3 * HOUR_MS;
    full(&metrics, "gone", gone_at - 20 * MINUTE_MS, gone_at).await;
    full(&metrics, "late", now - 30 * MINUTE_MS, now - 4 * MINUTE_MS).await;
    full(&metrics, "steady", now - 20 * MINUTE_MS, now).await;
    full(&metrics, "new", now - 5 * MINUTE_MS, now).await;
    full(&metrics, "newest", now, now).await;
    let hearing = |last_heard_ms| Hearing { last_heard_ms, patience_ms: 2 * MINUTE_MS };
    let hearings: BTreeMap<String, Hearing> = [
        // It was heard after its samples ended: they are found all the same.
        ("gone", now - HOUR_MS),
        ("late", now - 4 * MINUTE_MS),
        ("steady", now),
        ("new", now),
        ("newest", now),
    ]
    .into_iter()
    .map(|(instance, at)| (instance.to_owned(), hearing(at)))
    .collect();
    let wanted: BTreeSet<ResourceKey> =
        hearings.keys().flat_map(|host| ResourceKind::ALL.map(|kind| key(host, kind))).collect();
    let fleet = of_fleet(&metrics, &wanted, &hearings, now).await.unwrap();
    for kind in ResourceKind::ALL {
        let standing = |instance: &str| fleet.get(&key(instance, kind)).map(|usage| usage.standing);
        let filesystem = kind.item_label().is_some();
        assert_eq!(standing("gone"), Some(Standing::Late { at_ms: gone_at }), "{kind:?}");
        assert_eq!(standing("late"), Some(Standing::Late { at_ms: now - 4 * MINUTE_MS }), "{kind:?}");
        assert_eq!(standing("steady"), Some(Standing::Firm), "{kind:?}");
        let few = if filesystem { Standing::Firm } else { Standing::Brief };
        assert_eq!(standing("new"), Some(few), "{kind:?}");
        // One sample of a counter is no rate.
        let single = (kind != ResourceKind::Cpu).then_some(Standing::Brief);
        assert_eq!(standing("newest"), single, "{kind:?}");
        let used = fleet[&key("gone", kind)].used / if filesystem { GIB } else { 1.0 };
        assert!((used - 96.0).abs() < 0.5, "{kind:?} {used}");
        // A pass over one host judges as the pages do.
        for (host, hearing) in &hearings {
            let wanted = BTreeSet::from([key(host, kind)]);
            let own = of_host(&metrics, host, kind, &wanted, *hearing, now).await.unwrap();
            assert_eq!(own.get(&key(host, kind)), fleet.get(&key(host, kind)), "{host} {kind:?}");
        }
    }
}

fn judged(standing: Standing) -> Evaluation {
    let subject = Subject {
        key: key("a", ResourceKind::Memory),
        full: 100.0,
        threshold_percent: 90.0,
        current_percent: Some(96.0),
        standing,
        history: siaga_forecast::HourlySeries { start_ms: 0, values: vec![50.0; 3] },
    };
    evaluate(&subject, 3 * HOUR_MS, DAY_MS).0
}

#[test]
fn a_single_reading_of_a_young_machine_is_no_breach() {
    assert_eq!(judged(Standing::Brief).state, State::Unknown);
    assert_eq!(judged(Standing::Late { at_ms: 0 }).state, State::Unknown);
    assert_eq!(judged(Standing::Firm).state, State::Critical);
}
