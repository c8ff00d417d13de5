//! Series as a Linux fleet has them, with everything that is awkward: gaps, resets, stale markers, NaN, infinities.
//!
//! Samples never fall on a whole second, and queries are asked at whole seconds: Prometheus 2 counts the left edge of
//! a range as inside and Prometheus 3 does not, and so there is never a sample on an edge.

use siaga_protocol::remote_write::{Label, STALE_NAN_BITS, Sample, TimeSeries};
use siaga_tests::sim::noise::{hash, unit};

/// Distance of samples, milliseconds.
pub(super) const SCRAPE_MS: i64 = 15_000;
/// Samples of a series, three hours.
pub(super) const SCRAPES: i64 = 720;

const HOSTS: [&str; 6] = ["web-01", "web-02", "db-01", "db-02", "app-01", "cache.01"];
const MODES: [&str; 4] = ["user", "system", "idle", "iowait"];
const BOUNDS: [&str; 7] = ["0.005", "0.05", "0.1", "0.5", "1", "5", "+Inf"];
const CODES: [&str; 3] = ["200", "404", "500"];

/// A series in the making: a value for each scrape, `None` where there is none.
struct Draft {
    labels: Vec<(&'static str, String)>,
    values: Vec<Option<f64>>,
}

/// All series, from `base_ms` on.
pub(super) fn series(base_ms: i64) -> Vec<TimeSeries> {
    let mut drafts = Vec::new();
    for (number, host) in HOSTS.iter().enumerate() {
        node(host, number, &mut drafts);
        api(host, number, &mut drafts);
    }
    odd(&mut drafts);
    drafts.into_iter().map(|draft| finish(draft, base_ms)).collect()
}

fn finish(draft: Draft, base_ms: i64) -> TimeSeries {
    let mut labels = draft.labels;
    labels.sort();
    // Series of one host are collected together.
    let host = labels.iter().find(|(name, _)| *name == "instance").map_or("", |(_, host)| host.as_str());
    let seed = hash(7, host);
    let jitter = |scrape: i64| {
        let ms = 3.0 + unit(seed, scrape) * 900.0;
        ms as i64
    };
    let samples = (0..).zip(draft.values).filter_map(|(scrape, value)| {
        Some(Sample { value: value?, timestamp: base_ms + scrape * SCRAPE_MS + jitter(scrape) })
    });
    TimeSeries {
        labels: labels.into_iter().map(|(name, value)| Label { name: name.to_owned(), value }).collect(),
        samples: samples.collect(),
    }
}

fn labels(name: &str, host: &str, further: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let fixed = [("__name__", name), ("instance", host), ("job", "node")];
    fixed.iter().chain(further).map(|&(name, value)| (name, value.to_owned())).collect()
}

/// Scrapes at which a host was away.
fn is_away(number: usize, scrape: i64) -> bool {
    match number {
        1 => (200..260).contains(&scrape),
        3 => (400..404).contains(&scrape) || scrape % 97 == 0,
        4 => scrape < 150,
        _ => false,
    }
}

/// Scrapes at which a host's counters begin anew.
fn is_restart(number: usize, scrape: i64) -> bool {
    match number {
        1 => scrape == 330,
        2 => scrape % 210 == 100,
        5 => scrape % 50 == 7,
        _ => false,
    }
}

fn counter(seed: u64, number: usize, per_scrape: f64, decimals: f64) -> Vec<Option<f64>> {
    let mut total = 1_000.0 * per_scrape * (1.0 + unit(seed, -1));
    (0..SCRAPES)
        .map(|scrape| {
            if is_restart(number, scrape) {
                total = per_scrape * 40.0;
            }
            total += per_scrape * 2.0 * unit(seed, scrape);
            if is_away(number, scrape) { None } else { Some((total * decimals).round() / decimals) }
        })
        .collect()
}

fn gauge(seed: u64, number: usize, low: f64, high: f64) -> Vec<Option<f64>> {
    let at = |scrape| (!is_away(number, scrape)).then(|| low + (high - low) * unit(seed, scrape));
    (0..SCRAPES).map(at).collect()
}

fn node(host: &str, number: usize, drafts: &mut Vec<Draft>) {
    let seed = |what: &str| hash(11, &format!("{host}/{what}"));
    let mut add = |name: &str, further: &[(&'static str, &str)], values| {
        drafts.push(Draft { labels: labels(name, host, further), values });
    };
    for cpu in ["0", "1"] {
        for mode in MODES {
            let values = counter(seed(&format!("cpu{cpu}{mode}")), number, 3.0, 100.0);
            add("node_cpu_seconds_total", &[("cpu", cpu), ("mode", mode)], values);
        }
    }
    for device in ["eth0", "lo"] {
        let name = "node_network_receive_bytes_total";
        add(name, &[("device", device)], counter(seed(device), number, 40_000.0, 1.0));
    }
    for mountpoint in ["/", "/data", "/var"] {
        let further = [("mountpoint", mountpoint), ("fstype", "ext4")];
        let used = gauge(seed(mountpoint), number, 1e9, 4e10);
        add("node_filesystem_used_bytes", &further, used);
        add("node_filesystem_size_bytes", &further, vec![Some(5e10 + 1e9 * mountpoint.len() as f64); 720]);
    }
    add("node_load1", &[], gauge(seed("load"), number, 0.0, 4.0));
    add("node_memory_MemAvailable_bytes", &[], gauge(seed("memory"), number, 1e8, 8e9));
    add("node_temperature_celsius", &[("sensor", "a")], gauge(seed("temperature"), number, -20.0, 20.0));
    let boots = (0..SCRAPES).map(|scrape| {
        let last = (0..=scrape).rev().find(|s| is_restart(number, *s)).unwrap_or(-9_000);
        (!is_away(number, scrape)).then_some((last * 15) as f64)
    });
    add("node_boot_time_seconds", &[], boots.collect());
    let up = (0..SCRAPES).map(|scrape| Some(if is_away(number, scrape) { 0.0 } else { 1.0 }));
    add("up", &[], up.collect());
    let kernel = if number.is_multiple_of(2) { "6.1.0" } else { "5.10.0" };
    add("node_uname_info", &[("release", kernel), ("nodename", host)], vec![Some(1.0); 720]);
}

/// A classic histogram and its companions.
fn api(host: &str, number: usize, drafts: &mut Vec<Draft>) {
    if number > 2 {
        return;
    }
    for code in CODES {
        let seed = hash(13, &format!("{host}/{code}"));
        let mut below = vec![0.0; SCRAPES as usize];
        for (place, bound) in BOUNDS.iter().enumerate() {
            let part = counter(seed ^ place as u64, number, 7.0, 1.0);
            for (sum, value) in below.iter_mut().zip(&part) {
                *sum += value.unwrap_or(0.0);
            }
            let values = below.iter().zip(&part).map(|(sum, there)| there.map(|_| *sum)).collect();
            let further = [("code", code), ("le", *bound)];
            let labels = labels("http_request_duration_seconds_bucket", host, &further);
            drafts.push(Draft { labels, values });
        }
        let count = below.iter().enumerate().map(|(at, v)| (!is_away(number, at as i64)).then_some(*v));
        let count: Vec<Option<f64>> = count.collect();
        let sum = count.iter().map(|v| v.map(|v| v * 0.37)).collect();
        let name = "http_request_duration_seconds";
        drafts.push(Draft { labels: labels(&format!("{name}_sum"), host, &[("code", code)]), values: sum });
        drafts
            .push(Draft { labels: labels(&format!("{name}_count"), host, &[("code", code)]), values: count });
    }
}

/// Values that are no ordinary numbers, and series that end and begin.
fn odd(drafts: &mut Vec<Draft>) {
    let stale = f64::from_bits(STALE_NAN_BITS);
    let mut add = |kind: &str, value: &dyn Fn(i64) -> Option<f64>| {
        let labels = labels("odd_values", "odd", &[("kind", kind)]);
        drafts.push(Draft { labels, values: (0..SCRAPES).map(value).collect() });
    };
    let noise = |scrape| unit(17, scrape) * 10.0 - 5.0;
    add("nan", &|scrape| Some(if scrape % 4 == 1 { f64::NAN } else { noise(scrape) }));
    add("only_nan", &|_| Some(f64::NAN));
    add("inf", &|scrape| Some(if scrape % 40 == 3 { f64::INFINITY } else { noise(scrape) }));
    add("minus_inf", &|scrape| Some(if scrape % 60 == 9 { f64::NEG_INFINITY } else { noise(scrape) }));
    add("stale", &|scrape| Some(if scrape % 30 == 5 { stale } else { noise(scrape) }));
    add("flapping", &|scrape| match scrape % 25 {
        0..=9 => Some(noise(scrape)),
        10 => Some(stale),
        _ => None,
    });
    add("ended", &|scrape| match scrape {
        0..=299 => Some(noise(scrape)),
        300 => Some(stale),
        _ => None,
    });
    add("sparse", &|scrape| (scrape % 33 == 0).then_some(noise(scrape)));
    add("tiny", &|scrape| Some(noise(scrape) * 1e-300));
    add("huge", &|scrape| Some(noise(scrape).abs() * 1e300));
    add("integers", &|scrape| Some(noise(scrape).round() + 20.0));
    add("zero", &|_| Some(0.0));
    add("unicode é", &|scrape| Some(scrape as f64));
    add("line\nbreak \"quoted\"", &|scrape| Some(-(scrape as f64)));
}
