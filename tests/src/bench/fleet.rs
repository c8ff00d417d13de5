//! The load: a fleet whose counters and gauges move as those of servers do, encoded as remote-write requests.

use siaga_protocol::remote_write::{self, Label, Sample, TimeSeries, WriteRequest};

use crate::sim::noise;

/// Series of a host.
pub const SERIES_PER_HOST: usize = 100;
/// Distance of two collections.
pub const STEP_MS: i64 = 15_000;
/// Samples of a request.
pub const REQUEST_SAMPLES: usize = 10_000;
/// Connections, each with half of the hosts.
pub const CONNECTIONS: usize = 2;
/// Series of which a request of history holds a day.
const SERIES_OF_A_DAY_REQUEST: usize = 25;
const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Collections come up to this many milliseconds late.
const JITTER_MS: u64 = 11;

/// Numbers that are the same in every run.
#[derive(Debug, Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = noise::mix(self.0);
        self.0
    }

    fn below(&mut self, n: u64) -> i64 {
        i64::try_from(self.next() % n).unwrap_or(0)
    }
}

/// How a series moves in each step, in its smallest unit.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// CPU seconds with two decimals.
    Cpu,
    /// Memory, up and down by whole pages.
    Memory,
    /// A file system that fills by whole pages.
    Filesystem,
    Bytes,
    Packets,
    /// Two decimals, up and down.
    Load,
    /// A counter that seldom counts.
    Slow,
    Constant,
}

#[derive(Debug, Clone)]
struct Series {
    labels: Vec<Label>,
    kind: Kind,
    state: i64,
    rate: u64,
}

impl Series {
    #[expect(clippy::cast_precision_loss, reason = "states stay far below 2^53")]
    fn next(&mut self, random: &mut Random) -> f64 {
        let rate = self.rate;
        let step = match self.kind {
            Kind::Cpu => random.below(rate),
            Kind::Memory => random.below(2 * rate) - i64::try_from(rate).unwrap_or(0),
            Kind::Filesystem => random.below(rate * 8),
            Kind::Bytes => random.below(rate * 20_000),
            Kind::Packets => random.below(rate * 50),
            Kind::Load => random.below(21) - 10,
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

#[derive(Debug, Clone)]
struct Host {
    random: Random,
    series: Vec<Series>,
}

/// Families: name, kind, label, its values, start, rate.
type Family = (&'static str, Kind, &'static str, &'static [&'static str], u64, u64);

const DEVICES: &[&str] = &["eth0", "eth1", "lo", "docker0", "br0"];
const DISKS: &[&str] = &["sda", "sdb"];
const FAMILIES: &[Family] = &[
    ("node_memory_MemAvailable_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_MemFree_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_Cached_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_Buffers_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_Active_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_Inactive_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_Dirty_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_Slab_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_SwapFree_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    ("node_memory_Shmem_bytes", Kind::Memory, "", &[""], 1_000_000, 500),
    (
        "node_filesystem_used_bytes",
        Kind::Filesystem,
        "mountpoint",
        &["/data0", "/data1", "/data2", "/data3", "/data4", "/data5"],
        20_000_000,
        30,
    ),
    ("node_network_receive_bytes_total", Kind::Bytes, "device", DEVICES, 1_000_000_000, 100),
    ("node_network_transmit_bytes_total", Kind::Bytes, "device", DEVICES, 1_000_000_000, 100),
    ("node_network_receive_packets_total", Kind::Packets, "device", DEVICES, 1_000_000_000, 100),
    ("node_network_transmit_packets_total", Kind::Packets, "device", DEVICES, 1_000_000_000, 100),
    ("node_disk_read_bytes_total", Kind::Bytes, "device", DISKS, 100_000_000, 50),
    ("node_disk_written_bytes_total", Kind::Bytes, "device", DISKS, 100_000_000, 50),
    ("node_disk_reads_completed_total", Kind::Packets, "device", DISKS, 100_000_000, 50),
    ("node_disk_io_time_seconds_total", Kind::Cpu, "device", DISKS, 100_000_000, 50),
    ("node_load1", Kind::Load, "", &[""], 100, 2),
    ("node_load5", Kind::Load, "", &[""], 100, 2),
    ("node_load15", Kind::Load, "", &[""], 100, 2),
    (
        "node_network_receive_errs_total",
        Kind::Slow,
        "device",
        &["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"],
        10,
        2,
    ),
    (
        "node_network_mtu_bytes",
        Kind::Constant,
        "device",
        &["e0", "e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8", "e9", "ea", "eb"],
        1500,
        2,
    ),
];
const MODES: &[&str] = &["user", "system", "idle", "iowait", "irq", "nice", "softirq", "steal"];

fn host(number: usize) -> Host {
    let mut random = Random(number as u64 + 1);
    let mut series = Vec::with_capacity(SERIES_PER_HOST);
    let name = format!("h{number}");
    let mut add = |metric: &str, kind, extra: &[(&str, &str)], state: u64, rate: u64| {
        let mut pairs = vec![("__name__", metric), ("host", &name), ("job", "node")];
        pairs.extend(extra.iter().copied().filter(|(name, _)| !name.is_empty()));
        pairs.sort_unstable();
        let labels = pairs.iter().map(|(n, v)| Label { name: (*n).to_owned(), value: (*v).to_owned() });
        let start = random.below(state / 2 + 1) + i64::try_from(state).unwrap_or(0);
        let rate = random.next() % rate + 2;
        series.push(Series { labels: labels.collect(), kind, state: start, rate });
    };
    for cpu in ["0", "1", "2", "3"] {
        for mode in MODES {
            let busy = if *mode == "idle" { 1400 } else { 200 };
            add("node_cpu_seconds_total", Kind::Cpu, &[("cpu", cpu), ("mode", mode)], 1_000_000, busy);
        }
    }
    for (metric, kind, label, values, state, rate) in FAMILIES {
        for value in *values {
            add(metric, *kind, &[(label, value)], *state, *rate);
        }
    }
    Host { random, series }
}

/// The samples to send.
#[derive(Debug)]
pub struct Load {
    hosts: usize,
    steps: usize,
    batch: usize,
    start_ms: i64,
}

impl Load {
    /// The load of the given size. It ends within the last day that is over, so that every server may settle it.
    #[must_use]
    pub fn new(hosts: usize, hours: usize, batch: usize, now_ms: i64) -> Self {
        Self::of_steps(hosts, hours * usize::try_from(HOUR_MS / STEP_MS).unwrap_or(0), batch, now_ms)
    }

    /// As [`Load::new`], by the number of collections.
    #[must_use]
    pub fn of_steps(hosts: usize, steps: usize, batch: usize, now_ms: i64) -> Self {
        let span = i64::try_from(steps).unwrap_or(0) * STEP_MS;
        let start_ms = now_ms.div_euclid(DAY_MS) * DAY_MS - HOUR_MS - span;
        Self { hosts, steps, batch: batch.max(1), start_ms }
    }

    /// A history of whole days; a request holds a day of a few series.
    #[must_use]
    pub fn of_days(hosts: usize, days: usize, now_ms: i64) -> Self {
        let steps = usize::try_from(DAY_MS / STEP_MS).unwrap_or(0);
        let days_ms = i64::try_from(days).unwrap_or(0) * DAY_MS;
        let start_ms = now_ms.div_euclid(DAY_MS) * DAY_MS - days_ms;
        Self { hosts, steps: steps * days, batch: steps, start_ms }
    }

    /// Time of the first collection, on the grid of the steps.
    #[must_use]
    pub fn start_ms(&self) -> i64 {
        self.start_ms
    }

    /// Calls `send` with the requests of each day and host, so that no more than that is in memory; as many threads as
    /// there are connections, each with its share of the hosts.
    ///
    /// # Errors
    /// A request cannot be packed or sent.
    pub fn each_day(&self, send: impl Fn(&[Vec<u8>]) -> anyhow::Result<()> + Sync) -> anyhow::Result<()> {
        let mut hosts: Vec<Host> = (0..self.hosts).map(host).collect();
        let share = self.hosts.div_ceil(CONNECTIONS).max(1);
        std::thread::scope(|scope| {
            let send = &send;
            let workers: Vec<_> = hosts
                .chunks_mut(share)
                .map(|hosts| scope.spawn(move || self.send_days(hosts, send)))
                .collect();
            for worker in workers {
                worker.join().map_err(|_| anyhow::anyhow!("sending ended in a panic"))??;
            }
            Ok(())
        })
    }

    fn send_days(
        &self,
        hosts: &mut [Host],
        send: &(impl Fn(&[Vec<u8>]) -> anyhow::Result<()> + Sync),
    ) -> anyhow::Result<()> {
        for from in (0..self.steps).step_by(self.batch) {
            for host in &mut *hosts {
                let mut series = Vec::new();
                self.collect(std::slice::from_mut(host), from..from + self.batch, &mut series);
                let mut requests = Vec::new();
                while !series.is_empty() {
                    let rest = series.split_off(series.len().min(SERIES_OF_A_DAY_REQUEST));
                    let timeseries = std::mem::replace(&mut series, rest);
                    requests.push(remote_write::encode(&WriteRequest { timeseries, metadata: Vec::new() })?);
                }
                send(&requests)?;
            }
        }
        Ok(())
    }

    /// Samples in all.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.hosts * SERIES_PER_HOST * self.steps
    }

    /// Time of the last collection, on the grid of the steps.
    #[must_use]
    pub fn end_ms(&self) -> i64 {
        self.start_ms + i64::try_from(self.steps).unwrap_or(0) * STEP_MS
    }

    /// The encoded requests of each connection, in the order of time.
    ///
    /// # Errors
    /// A request cannot be packed.
    pub fn requests(&self) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
        let mut hosts: Vec<Host> = (0..self.hosts).map(host).collect();
        let half = self.hosts.div_ceil(CONNECTIONS).max(1);
        std::thread::scope(|scope| {
            let workers: Vec<_> =
                hosts.chunks_mut(half).map(|hosts| scope.spawn(move || self.encode(hosts))).collect();
            let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
                worker.join().map_err(|_| anyhow::anyhow!("encoding ended in a panic"))?
            };
            workers.into_iter().map(join).collect()
        })
    }

    fn encode(&self, hosts: &mut [Host]) -> anyhow::Result<Vec<Vec<u8>>> {
        let at_once = (REQUEST_SAMPLES / SERIES_PER_HOST / self.batch).clamp(1, hosts.len());
        let groups = (REQUEST_SAMPLES / (at_once * SERIES_PER_HOST * self.batch)).max(1);
        let mut requests = Vec::new();
        for step in (0..self.steps).step_by(groups * self.batch) {
            for hosts in hosts.chunks_mut(at_once) {
                let mut timeseries = Vec::with_capacity(REQUEST_SAMPLES / self.batch);
                for group in 0..groups {
                    let from = step + group * self.batch;
                    self.collect(hosts, from..(from + self.batch).min(self.steps), &mut timeseries);
                }
                let request = WriteRequest { timeseries, metadata: Vec::new() };
                requests.push(remote_write::encode(&request)?);
            }
        }
        Ok(requests)
    }

    /// All series of one collection share their timestamp.
    fn collect(&self, hosts: &mut [Host], steps: std::ops::Range<usize>, out: &mut Vec<TimeSeries>) {
        if steps.is_empty() {
            return;
        }
        for host in hosts {
            let random = &mut host.random;
            let times: Vec<i64> = steps
                .clone()
                .map(|step| {
                    let grid = self.start_ms + i64::try_from(step).unwrap_or(0) * STEP_MS;
                    grid + 1 + random.below(JITTER_MS)
                })
                .collect();
            for series in &mut host.series {
                let mut sample = |&timestamp: &i64| Sample { value: series.next(random), timestamp };
                let samples = times.iter().map(&mut sample).collect();
                out.push(TimeSeries { labels: series.labels.clone(), samples });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_sent_once_in_full_requests() {
        for (hosts, steps, batch) in [(4, 60, 1), (4, 60, 10), (210, 2, 1)] {
            let load = Load::of_steps(hosts, steps, batch, 20_000 * DAY_MS + 7);
            let requests = load.requests().unwrap();
            assert_eq!(requests.len(), CONNECTIONS);
            let sizes: Vec<usize> = requests
                .iter()
                .flatten()
                .map(|body| remote_write::decode(body, 1 << 24).unwrap())
                .map(|request| request.timeseries.iter().map(|s| s.samples.len()).sum())
                .collect();
            assert_eq!(sizes.iter().sum::<usize>(), load.samples());
            assert!(sizes.iter().all(|&size| size <= REQUEST_SAMPLES), "{sizes:?}");
        }
    }

    #[test]
    fn a_host_has_as_many_series_as_is_said() {
        assert_eq!(host(1).series.len(), SERIES_PER_HOST);
    }
}
