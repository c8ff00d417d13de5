//! Prints what the store does with a fleet's samples: ingest rate, bytes a sample, select latency.
//!
//! `bench_store [hosts] [hours] [samples of a series in each batch]`, by default 200 hosts, 6 hours, 1. A host has 100 series at 15 s with
//! jitter: CPU seconds, memory in pages, disk growth, bytes and packets, loads, slow counters and constants.

#![allow(clippy::print_stdout, reason = "a benchmark prints its results")]

use siaga_tsdb::{Batch, Labels, Limits, MatchOp, Matcher, Options, SeriesSamples, Tsdb};
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const START: i64 = 20_000 * 86_400_000;
const STEP: i64 = 15_000;
const HOUR: i64 = 3_600_000;
const SERIES: usize = 100;
/// Samples of one request.
const BATCH: usize = 10_000;
const ALL: Limits = Limits { max_series: usize::MAX, max_samples: usize::MAX };

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// How a series moves.
#[derive(Clone, Copy)]
enum Kind {
    Cpu,
    Memory,
    Filesystem,
    Bytes,
    Packets,
    Load,
    Slow,
    Constant,
}

struct Simulated {
    labels: Labels,
    kind: Kind,
    /// The value in its smallest unit.
    state: i64,
    rate: u64,
}

impl Simulated {
    fn next(&mut self, random: &mut Random) -> f64 {
        let step = match self.kind {
            Kind::Cpu => random.below(self.rate) as i64,
            Kind::Memory => random.below(2 * self.rate) as i64 - self.rate as i64,
            Kind::Filesystem => random.below(self.rate * 8) as i64,
            Kind::Bytes => random.below(self.rate * 20_000) as i64,
            Kind::Packets => random.below(self.rate * 50) as i64,
            Kind::Load => random.below(21) as i64 - 10,
            Kind::Slow => i64::from(random.below(20) == 0),
            Kind::Constant => 0,
        };
        self.state = (self.state + step).max(0);
        match self.kind {
            Kind::Cpu | Kind::Load => self.state as f64 / 100.0,
            Kind::Memory | Kind::Filesystem => (self.state * 4096) as f64,
            _ => self.state as f64,
        }
    }
}

struct Host {
    random: Random,
    series: Vec<Simulated>,
}

fn host(number: usize, names: &mut impl FnMut(&str) -> Arc<str>) -> Result<Host, Box<dyn Error>> {
    let mut random = Random(number as u64 + 1);
    let mut series = Vec::with_capacity(SERIES);
    let host = format!("h{number}");
    let mut add =
        |name: &str, kind, extra: &[(&str, String)], state: u64, rate: u64| -> Result<(), Box<dyn Error>> {
            let mut pairs = vec![
                (names("__name__"), names(name)),
                (names("host"), names(&host)),
                (names("job"), names("node")),
            ];
            pairs.extend(extra.iter().map(|(n, v)| (names(n), names(v))));
            let labels = Labels::from_shared(pairs)?;
            let jittered = random.below(state / 2 + 1) + state;
            series.push(Simulated { labels, kind, state: jittered as i64, rate: random.below(rate) + 2 });
            Ok(())
        };
    for cpu in 0..4 {
        for mode in ["user", "system", "idle", "iowait", "irq", "nice", "softirq", "steal"] {
            let busy = if mode == "idle" { 1400 } else { 200 };
            add(
                "node_cpu_seconds_total",
                Kind::Cpu,
                &[("cpu", cpu.to_string()), ("mode", mode.into())],
                1_000_000,
                busy,
            )?;
        }
    }
    for name in [
        "MemAvailable",
        "MemFree",
        "Cached",
        "Buffers",
        "Active",
        "Inactive",
        "Dirty",
        "Slab",
        "SwapFree",
        "Shmem",
    ] {
        add(&format!("node_memory_{name}_bytes"), Kind::Memory, &[], 1_000_000, 500)?;
    }
    for disk in 0..6 {
        add(
            "node_filesystem_used_bytes",
            Kind::Filesystem,
            &[("mountpoint", format!("/data{disk}"))],
            20_000_000,
            30,
        )?;
    }
    for device in ["eth0", "eth1", "lo", "docker0", "br0"] {
        for (way, kind) in [
            ("receive_bytes", Kind::Bytes),
            ("transmit_bytes", Kind::Bytes),
            ("receive_packets", Kind::Packets),
            ("transmit_packets", Kind::Packets),
        ] {
            add(
                &format!("node_network_{way}_total"),
                kind,
                &[("device", device.into())],
                1_000_000_000,
                100,
            )?;
        }
    }
    for device in ["sda", "sdb"] {
        for (what, kind) in [
            ("read_bytes", Kind::Bytes),
            ("written_bytes", Kind::Bytes),
            ("reads_completed", Kind::Packets),
            ("io_time_seconds", Kind::Cpu),
        ] {
            add(&format!("node_disk_{what}_total"), kind, &[("device", device.into())], 100_000_000, 50)?;
        }
    }
    for minutes in [1, 5, 15] {
        add(&format!("node_load{minutes}"), Kind::Load, &[], 100, 2)?;
    }
    for number in 0..9 {
        add("node_network_receive_errs_total", Kind::Slow, &[("device", format!("eth{number}"))], 10, 2)?;
    }
    for number in 0..12 {
        add("node_network_mtu_bytes", Kind::Constant, &[("device", format!("eth{number}"))], 1500, 2)?;
    }
    Ok(Host { random, series })
}

/// A request: one collection of as many hosts as fit.
fn request(hosts: &mut [Host], step: i64, samples: i64) -> Vec<SeriesSamples> {
    let mut series = Vec::with_capacity(hosts.len() * SERIES);
    for host in hosts {
        let times: Vec<i64> =
            (0..samples).map(|i| START + (step + i) * STEP + host.random.below(11) as i64).collect();
        for simulated in &mut host.series {
            let samples = times.iter().map(|&t| (t, simulated.next(&mut host.random))).collect();
            series.push(SeriesSamples { labels: simulated.labels.clone(), samples });
        }
    }
    series
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|f| f.parse::<f64>().ok()).sum();
    ticks / 100.0
}

fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or("");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

/// Appends everything over two threads; returns seconds spent and the samples.
fn ingest(
    store: &Tsdb,
    hosts: Vec<Host>,
    steps: i64,
    per_batch: i64,
) -> Result<(Duration, usize), Box<dyn Error>> {
    let (samples, clock) = (AtomicUsize::new(0), AtomicI64::new(START));
    let per_request = (BATCH / SERIES / per_batch as usize).max(1);
    let mut halves: Vec<Vec<Host>> = vec![Vec::new(), Vec::new()];
    for (at, host) in hosts.into_iter().enumerate() {
        halves[at / per_request % 2].push(host);
    }
    let busy = std::sync::Mutex::new(Duration::ZERO);
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let workers: Vec<_> = halves
            .iter_mut()
            .map(|hosts| {
                let (samples, clock, busy) = (&samples, &clock, &busy);
                scope.spawn(move || -> Result<(), String> {
                    for step in (0..steps).step_by(per_batch as usize) {
                        let now = START + (step + per_batch) * STEP;
                        clock.fetch_max(now, Ordering::Relaxed);
                        for hosts in hosts.chunks_mut(per_request) {
                            let series = request(hosts, step, per_batch);
                            let began = Instant::now();
                            let appended = store
                                .append(Batch { source: "bench", series }, now)
                                .map_err(|e| e.to_string())?;
                            if let Ok(mut busy) = busy.lock() {
                                *busy += began.elapsed();
                            }
                            samples.fetch_add(appended.accepted, Ordering::Relaxed);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        while !workers.iter().all(|w| w.is_finished()) {
            store.maintain(clock.load(Ordering::Relaxed))?;
            std::thread::sleep(Duration::from_millis(50));
        }
        for worker in workers {
            worker.join().map_err(|_| "a sender panicked")??;
        }
        Ok(())
    })?;
    let busy = busy.into_inner()?;
    Ok((busy, samples.into_inner()))
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Result<Matcher, Box<dyn Error>> {
    Ok(Matcher::new(name, op, value)?)
}

fn selects(store: &Tsdb, end: i64) -> Result<(), Box<dyn Error>> {
    use MatchOp::{Equal, Regex};
    let start = end - 6 * HOUR;
    let cases = [
        (
            "one host's CPU, user, 6 h",
            vec![
                matcher("__name__", Equal, "node_cpu_seconds_total")?,
                matcher("host", Equal, "h42")?,
                matcher("mode", Equal, "user")?,
            ],
        ),
        ("one host, everything, 6 h", vec![matcher("host", Equal, "h42")?]),
        ("load of all hosts, 6 h", vec![matcher("__name__", Equal, "node_load1")?]),
        (
            "filesystems of h1.*, 6 h",
            vec![matcher("__name__", Equal, "node_filesystem_used_bytes")?, matcher("host", Regex, "h1.*")?],
        ),
        ("CPU of all hosts, 6 h", vec![matcher("__name__", Equal, "node_cpu_seconds_total")?]),
    ];
    for (what, matchers) in cases {
        let mut times = Vec::new();
        let (mut series, mut samples) = (0, 0);
        let cpu = cpu_seconds();
        for _ in 0..7 {
            let began = Instant::now();
            let found = store.select(&matchers, start, end, ALL)?;
            times.push(began.elapsed());
            (series, samples) = (found.len(), found.iter().map(|s| s.values.len()).sum::<usize>());
        }
        times.sort();
        println!(
            "  {what:<28} {series:>6} series {samples:>9} samples  median {:>9.3} ms  worst {:>9.3} ms  CPU {:>7.1} ms",
            ms(times[3]),
            ms(times[6]),
            (cpu_seconds() - cpu) / 7.0 * 1e3,
        );
    }
    let began = Instant::now();
    let hosts = store.label_values("host", &[], start, end, usize::MAX).len();
    println!(
        "  {:<28} {hosts:>6} values                             {:>9.3} ms",
        "label values of host",
        ms(began.elapsed())
    );
    Ok(())
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn report_size(store: &Tsdb, what: &str) -> Result<(), Box<dyn Error>> {
    let stats = store.stats()?;
    let samples = stats.chunk_samples + stats.head_samples as u64;
    println!(
        "{what}: {:.3} bytes a sample ({} samples, {} in the head, {} buckets, {} MB used, {} MB of files)",
        stats.used_bytes as f64 / samples as f64,
        samples,
        stats.head_samples,
        stats.buckets,
        stats.used_bytes >> 20,
        stats.disk_bytes >> 20,
    );
    Ok(())
}

/// Four months at 15 minutes of five hosts, series by series, on this thread.
fn import(store: &Tsdb, names: &mut impl FnMut(&str) -> Arc<str>, now: i64) -> Result<(), Box<dyn Error>> {
    const DAYS: i64 = 120;
    let (mut samples, mut busy, cpu) = (0, Duration::ZERO, cpu_seconds());
    for number in 1000..1005 {
        let mut host = host(number, names)?;
        for simulated in &mut host.series {
            let from = now - (DAYS + 4) * 24 * HOUR;
            let run =
                (0..DAYS * 96).map(|i| (from + i * HOUR / 4, simulated.next(&mut host.random))).collect();
            let series = vec![SeriesSamples { labels: simulated.labels.clone(), samples: run }];
            let began = Instant::now();
            samples += store.append_history(Batch { source: "import", series }, now)?.accepted;
            busy += began.elapsed();
        }
    }
    let began = Instant::now();
    while store.maintain(now + 24 * HOUR)?.more {}
    busy += began.elapsed();
    println!(
        "import of {samples} samples: {:.0} samples/s, closing included; {:.2} CPU s per million",
        samples as f64 / busy.as_secs_f64(),
        (cpu_seconds() - cpu) / samples as f64 * 1e6,
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<i64> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let at = |i: usize, default| arguments.get(i).copied().unwrap_or(default).max(1);
    let (hosts, hours, per_batch) = (at(0, 200), at(1, 6), at(2, 1));
    let folder = std::env::temp_dir().join(format!("siaga-bench-store-{}", std::process::id()));
    let mut options = Options::new(folder.join("metrics.db"));
    options.max_series_per_source = usize::MAX;
    let store = Tsdb::open(options.clone())?;
    let mut symbols = std::collections::HashSet::<Arc<str>>::new();
    let mut names = |text: &str| match symbols.get(text) {
        Some(known) => Arc::clone(known),
        None => {
            let new: Arc<str> = text.into();
            symbols.insert(Arc::clone(&new));
            new
        }
    };
    let fleet = (0..hosts as usize).map(|n| host(n, &mut names)).collect::<Result<Vec<_>, _>>()?;
    let steps = hours * HOUR / STEP;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let (busy, samples) = ingest(&store, fleet, steps, per_batch)?;
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        "{hosts} hosts x {SERIES} series, {hours} h at 15 s, {per_batch} samples of a series in a batch"
    );
    println!(
        "ingest: {:.0} samples/s of wall time, {:.0} per sender while it waits; {:.2} CPU s per million (the simulation included); peak {:.0} MB",
        samples as f64 / wall,
        samples as f64 / busy.as_secs_f64(),
        cpu / samples as f64 * 1e6,
        peak_mb(),
    );
    let end = START + hours * HOUR;
    println!("selects while the last hour is in the head:");
    selects(&store, end)?;
    while store.maintain(end + 2 * HOUR)?.more {}
    report_size(&store, "hours closed")?;
    selects(&store, end)?;
    let began = Instant::now();
    while store.maintain(end + 4 * 24 * HOUR)?.more {}
    println!("settled in {:.2} s", began.elapsed().as_secs_f64());
    report_size(&store, "settled")?;
    selects(&store, end)?;
    import(&store, &mut names, end)?;
    drop(store);
    let began = Instant::now();
    drop(Tsdb::open(options)?);
    println!("reopened in {:.2} s", began.elapsed().as_secs_f64());
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
