//! The series of a server: node_exporter's names and labels as the agent sends them, and their values at a moment.

use siaga_protocol::metric_names as names;
use siaga_protocol::remote_write::{Label, MetricMetadata, MetricType};

use super::cast::Machine;
use super::filesystem::BLOCK_BYTES;
use super::host::Snapshot;
use super::noise::as_f64;

/// Version that the simulated agents say they have.
pub const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Share of a filesystem that only root may fill.
const RESERVED: f64 = 0.05;
/// Bytes of a filesystem for each inode.
const BYTES_PER_INODE: f64 = 16_384.0;
/// Mean bytes of a packet and of a disk request.
const PACKET_BYTES: f64 = 870.0;
const REQUEST_BYTES: f64 = 24_576.0;

/// One series of a server.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Labels with `__name__`, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Whether it only grows.
    pub counter: bool,
    /// Whether history is made of it; what never changes and what only describes is sent live only.
    pub history: bool,
    quantity: Quantity,
}

impl Series {
    /// Metric name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.labels.iter().find(|(name, _)| name == "__name__").map_or("", |(_, value)| value)
    }

    /// Labels as they travel.
    #[must_use]
    pub fn wire_labels(&self) -> Vec<Label> {
        self.labels.iter().map(|(name, value)| Label { name: name.clone(), value: value.clone() }).collect()
    }

    /// The value at a moment.
    #[must_use]
    pub fn value(&self, at: &Snapshot) -> f64 {
        self.quantity.value(at)
    }

    /// Type of the family, as it travels.
    #[must_use]
    pub fn metadata(&self) -> MetricMetadata {
        let kind = if self.counter { MetricType::Counter } else { MetricType::Gauge };
        MetricMetadata {
            r#type: kind.into(),
            metric_family_name: self.name().to_owned(),
            ..Default::default()
        }
    }
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Quantity {
    /// Seconds of one processor; the factor is its part of the mean.
    Cpu(Mode, f64),
    Memory(Memory),
    Swap {
        size: f64,
        free: bool,
    },
    /// Index of the volume, its size.
    Volume(usize, f64, Space),
    /// The factor is this disk's part of all that is read and written.
    Disk(Io, f64),
    Network(Flow),
    Load(usize),
    Boot,
    Time,
    Fixed(f64),
    /// A number that goes with the load: at rest, and at full load.
    ByLoad(f64, f64),
    /// A number a second, at rest and for each second of work.
    Count {
        rest: f64,
        work: f64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Mode {
    User,
    System,
    Iowait,
    Idle,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Memory {
    Total,
    Free,
    Available,
    Cached,
    Buffers,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Space {
    Size,
    Available,
    Free,
    Files,
    FilesFree,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Io {
    Read,
    Written,
    Reads,
    Writes,
    ReadTime,
    WriteTime,
    Busy,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Flow {
    Received,
    Sent,
    ReceivedPackets,
    SentPackets,
}

fn blocks(bytes: f64) -> f64 {
    (bytes / BLOCK_BYTES).floor().max(0.0) * BLOCK_BYTES
}

/// To hundredths, as the kernel counts its ticks; never up, so that sums stay sums.
fn ticks(seconds: f64) -> f64 {
    (seconds * 100.0).floor() / 100.0
}

impl Quantity {
    fn value(self, at: &Snapshot) -> f64 {
        let totals = &at.totals;
        match self {
            Self::Cpu(mode, part) => ticks(match mode {
                Mode::User => totals.user * part,
                Mode::System => totals.system * part,
                Mode::Iowait => totals.iowait * part,
                Mode::Idle => totals.up - (totals.user + totals.system + totals.iowait) * part,
            }),
            Self::Memory(field) => blocks(field.bytes(at)),
            Self::Swap { size, free } => {
                // Swap is touched when memory is short.
                let used = (at.memory_share - 0.70).max(0.0) * 0.8;
                blocks(size * if free { 1.0 - used } else { 1.0 })
            }
            Self::Volume(index, size, space) => {
                space.amount(at.volumes.get(index).copied().unwrap_or_default(), size)
            }
            Self::Disk(io, part) => io.total(at, part),
            Self::Network(flow) => match flow {
                Flow::Received => totals.receive.floor(),
                Flow::Sent => totals.transmit.floor(),
                Flow::ReceivedPackets => (totals.receive / PACKET_BYTES).floor(),
                Flow::SentPackets => (totals.transmit / PACKET_BYTES).floor(),
            },
            Self::Load(which) => (at.load[which] * 100.0).round() / 100.0,
            Self::Boot => at.boot_seconds,
            Self::Time => as_f64(at.at_ms) / 1e3,
            Self::Fixed(value) => value,
            Self::ByLoad(rest, full) => (rest + (full - rest) * at.busy).round(),
            Self::Count { rest, work } => {
                ((totals.up * rest + (totals.user + totals.system) * work) * 100.0).floor() / 100.0
            }
        }
    }
}

impl Memory {
    fn bytes(self, at: &Snapshot) -> f64 {
        let total = at.memory_bytes;
        let available = total * (1.0 - at.memory_share);
        match self {
            Self::Total => total,
            Self::Available => available,
            Self::Cached => available * 0.72,
            Self::Buffers => available * 0.05,
            Self::Free => available * 0.2,
        }
    }
}

impl Space {
    fn amount(self, used: f64, size: f64) -> f64 {
        let inodes = (size / BYTES_PER_INODE).floor();
        match self {
            Self::Size => size,
            Self::Available => blocks(size * (1.0 - used)),
            Self::Free => blocks((size * (1.0 - used + RESERVED)).min(size)),
            Self::Files => inodes,
            Self::FilesFree => (inodes * (1.0 - used * 0.2)).floor(),
        }
    }
}

impl Io {
    fn total(self, at: &Snapshot, part: f64) -> f64 {
        let totals = &at.totals;
        let sectors = |bytes: f64| (bytes * part / 512.0).floor() * 512.0;
        let busy = totals.io_time * part;
        match self {
            Self::Read => sectors(totals.read),
            Self::Written => sectors(totals.write),
            Self::Reads => (totals.read * part / REQUEST_BYTES).floor(),
            Self::Writes => (totals.write * part / REQUEST_BYTES).floor(),
            Self::ReadTime => ticks(busy * 0.5),
            Self::WriteTime => ticks(busy * 0.9),
            Self::Busy => ticks(busy),
        }
    }
}

/// Builds the list of series.
struct Builder {
    instance: String,
    series: Vec<Series>,
}

impl Builder {
    fn add(&mut self, name: &str, labels: &[(&str, &str)], quantity: Quantity) -> &mut Series {
        let mut pairs: Vec<(String, String)> =
            [("__name__", name), ("instance", &self.instance), ("job", names::JOB)]
                .into_iter()
                .chain(labels.iter().copied())
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
        pairs.sort();
        let place = self.series.len();
        let counter = name.ends_with("_total");
        self.series.push(Series { labels: pairs, counter, history: true, quantity });
        &mut self.series[place]
    }

    fn live(&mut self, name: &str, labels: &[(&str, &str)], quantity: Quantity) {
        self.add(name, labels, quantity).history = false;
    }

    fn processors(&mut self, cpus: u32) {
        for cpu in 0..cpus {
            // Processors differ a little; their mean is what the host has.
            let part = 1.0 + 0.1 * (f64::from(cpu) - f64::from(cpus - 1) / 2.0) / f64::from(cpus);
            for (mode, name) in [
                (Mode::User, "user"),
                (Mode::System, "system"),
                (Mode::Iowait, "iowait"),
                (Mode::Idle, "idle"),
            ] {
                let number = cpu.to_string();
                self.add(
                    "node_cpu_seconds_total",
                    &[("cpu", &number), ("mode", name)],
                    Quantity::Cpu(mode, part),
                );
            }
        }
        for (place, name) in ["node_load1", "node_load5", "node_load15"].into_iter().enumerate() {
            self.add(name, &[], Quantity::Load(place));
        }
    }

    fn memory(&mut self, swap_bytes: u64) {
        for (name, field) in [
            ("node_memory_MemTotal_bytes", Memory::Total),
            ("node_memory_MemFree_bytes", Memory::Free),
            ("node_memory_MemAvailable_bytes", Memory::Available),
            ("node_memory_Cached_bytes", Memory::Cached),
            ("node_memory_Buffers_bytes", Memory::Buffers),
        ] {
            self.add(name, &[], Quantity::Memory(field));
        }
        let size = as_f64(swap_bytes.cast_signed());
        self.add("node_memory_SwapTotal_bytes", &[], Quantity::Swap { size, free: false });
        self.add("node_memory_SwapFree_bytes", &[], Quantity::Swap { size, free: true });
    }

    fn volumes(&mut self, machine: &Machine) {
        for (index, volume) in machine.volumes.iter().enumerate() {
            let labels = [("device", volume.device), ("fstype", "ext4"), ("mountpoint", volume.mountpoint)];
            let size = as_f64(volume.size_bytes.cast_signed());
            for (name, space) in [
                ("node_filesystem_size_bytes", Space::Size),
                ("node_filesystem_avail_bytes", Space::Available),
                ("node_filesystem_free_bytes", Space::Free),
                ("node_filesystem_files", Space::Files),
                ("node_filesystem_files_free", Space::FilesFree),
            ] {
                self.add(name, &labels, Quantity::Volume(index, size, space));
            }
            self.live("node_filesystem_readonly", &labels, Quantity::Fixed(0.0));
            self.live("node_filesystem_device_error", &labels, Quantity::Fixed(0.0));
            // A disk for the system has the smaller part of the work, one for data the larger.
            let part = match (machine.volumes.len(), index) {
                (1, _) => 1.0,
                (_, 0) => 0.12,
                _ => 0.88,
            };
            self.disk(volume.disk, part);
        }
    }

    fn disk(&mut self, device: &str, part: f64) {
        for (name, io) in [
            ("node_disk_read_bytes_total", Io::Read),
            ("node_disk_written_bytes_total", Io::Written),
            ("node_disk_reads_completed_total", Io::Reads),
            ("node_disk_writes_completed_total", Io::Writes),
            ("node_disk_read_time_seconds_total", Io::ReadTime),
            ("node_disk_write_time_seconds_total", Io::WriteTime),
            ("node_disk_io_time_seconds_total", Io::Busy),
        ] {
            self.add(name, &[("device", device)], Quantity::Disk(io, part));
        }
    }

    fn network(&mut self) {
        let device = [("device", "eth0")];
        for (name, flow) in [
            ("node_network_receive_bytes_total", Flow::Received),
            ("node_network_transmit_bytes_total", Flow::Sent),
            ("node_network_receive_packets_total", Flow::ReceivedPackets),
            ("node_network_transmit_packets_total", Flow::SentPackets),
        ] {
            self.add(name, &device, Quantity::Network(flow));
        }
        for name in ["receive_errs", "transmit_errs", "receive_drop", "transmit_drop"] {
            self.live(&format!("node_network_{name}_total"), &device, Quantity::Fixed(0.0));
        }
    }

    fn system(&mut self, machine: &Machine) {
        self.add("node_boot_time_seconds", &[], Quantity::Boot);
        self.add("node_context_switches_total", &[], Quantity::Count { rest: 900.0, work: 21_000.0 });
        self.add("node_forks_total", &[], Quantity::Count { rest: 0.8, work: 6.0 });
        let full = f64::from(machine.cpus);
        self.live("node_time_seconds", &[], Quantity::Time);
        self.live("node_procs_running", &[], Quantity::ByLoad(1.0, 3.0 * full));
        self.live("node_procs_blocked", &[], Quantity::ByLoad(0.0, 2.0));
        self.live("node_filefd_allocated", &[], Quantity::ByLoad(1_800.0, 24_000.0));
        self.live("node_filefd_maximum", &[], Quantity::Fixed(1_048_576.0));
        self.live("node_processes_pids", &[], Quantity::ByLoad(140.0, 420.0));
        self.live("node_processes_threads", &[], Quantity::ByLoad(320.0, 1_500.0));
        self.live("node_processes_max_processes", &[], Quantity::Fixed(4_194_304.0));
        for (state, rest, busy) in [("R", 1.0, 3.0 * full), ("S", 120.0, 380.0), ("I", 19.0, 40.0)] {
            self.live("node_processes_state", &[("state", state)], Quantity::ByLoad(rest, busy));
        }
        for state in ["D", "T", "Z"] {
            self.live("node_processes_state", &[("state", state)], Quantity::Fixed(0.0));
        }
        for name in ["node_vmstat_oom_kill", "node_vmstat_pswpin", "node_vmstat_pswpout"] {
            self.live(name, &[], Quantity::Fixed(0.0));
        }
        let uname = [
            ("machine", "x86_64"),
            ("nodename", machine.name.as_str()),
            ("release", super::inventory::KERNEL),
            ("sysname", "Linux"),
            ("version", "#1 SMP PREEMPT_DYNAMIC Debian"),
        ];
        self.live("node_uname_info", &uname, Quantity::Fixed(1.0));
        let os = [
            ("id", "debian"),
            ("name", "Debian GNU/Linux"),
            ("pretty_name", "Debian GNU/Linux 12 (bookworm)"),
            ("version", "12 (bookworm)"),
            ("version_codename", "bookworm"),
            ("version_id", "12"),
        ];
        self.live("node_os_info", &os, Quantity::Fixed(1.0));
    }

    fn agent(&mut self) {
        self.add(names::AGENT_CPU_SECONDS, &[], Quantity::Count { rest: 0.0004, work: 0.0002 });
        self.live(names::AGENT_RESIDENT_BYTES, &[], Quantity::Fixed(9_437_184.0));
        self.live(names::AGENT_COLLECT_SECONDS, &[], Quantity::Fixed(0.0021));
        self.live(names::AGENT_SPOOL_BYTES, &[], Quantity::Fixed(0.0));
        self.live(names::AGENT_SPOOL_DROPPED, &[], Quantity::Fixed(0.0));
        self.live(names::AGENT_SEND_FAILURES, &[], Quantity::Fixed(0.0));
        self.live(names::AGENT_BUILD_INFO, &[("version", AGENT_VERSION)], Quantity::Fixed(1.0));
    }
}

/// All series of a server, under the `instance` that the server gave it.
#[must_use]
pub fn series(machine: &Machine, instance: &str) -> Vec<Series> {
    let mut builder = Builder { instance: instance.to_owned(), series: Vec::new() };
    builder.processors(machine.cpus);
    builder.memory(machine.swap_bytes);
    builder.volumes(machine);
    builder.network();
    builder.system(machine);
    builder.agent();
    builder.series
}

/// Whether an agent was heard, for history; what is live is the server's own to say.
#[must_use]
pub fn up_labels(instance: &str) -> Vec<(String, String)> {
    [("__name__", names::UP), ("instance", instance), ("job", names::JOB)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::calendar::DAY_MS;
    use crate::sim::cast;
    use crate::sim::host::Host;
    use proptest::prelude::*;

    const ANCHOR: i64 = 1_795_399_200_000;

    fn within(name: &str, value: f64, snapshot: &Snapshot, machine: &Machine) -> bool {
        let memory = name.starts_with("node_memory_Mem") || name.starts_with("node_memory_Cached");
        let upper = match name {
            _ if memory => snapshot.memory_bytes,
            _ if name.starts_with("node_load") => f64::from(machine.cpus) * 1.2,
            _ => 1e15,
        };
        (0.0..=upper).contains(&value)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn counters_never_fall_and_gauges_stay_in_bounds(
            seed in 0_u64..1_000,
            which in 0_usize..12,
            steps in prop::collection::vec(1_i64..5_400_000, 1..80),
        ) {
            let machine = cast::office(12).swap_remove(which);
            let list = series(&machine, "x");
            let mut host = Host::new(Machine { restarted_before_ms: None, ..machine.clone() }, seed, ANCHOR - DAY_MS, ANCHOR);
            let mut at = ANCHOR - DAY_MS;
            let mut last: Vec<f64> = vec![0.0; list.len()];
            for step in steps {
                at += step;
                let snapshot = host.at(at).unwrap();
                for (series, last) in list.iter().zip(&mut last) {
                    let value = series.value(&snapshot);
                    prop_assert!(value.is_finite());
                    if series.counter {
                        prop_assert!(value >= *last, "{} fell from {last} to {value}", series.name());
                    } else {
                        prop_assert!(within(series.name(), value, &snapshot, &machine), "{} is {value}", series.name());
                    }
                    *last = value;
                }
            }
        }
    }

    #[test]
    fn processors_account_for_all_time() {
        let machine = cast::office(1).swap_remove(0);
        let list = series(&machine, "x");
        let mut host = Host::new(machine, 1, ANCHOR - DAY_MS, ANCHOR);
        let mut cpu = |at: i64| -> f64 {
            let snapshot = host.at(at).unwrap();
            let cpus = list.iter().filter(|series| series.name() == "node_cpu_seconds_total");
            cpus.map(|series| series.value(&snapshot)).sum()
        };
        let spent = -cpu(ANCHOR) + cpu(ANCHOR + 3_600_000);
        assert!((spent - 4.0 * 3_600.0).abs() < 1.0, "{spent}");
    }

    #[test]
    fn series_are_sorted_unique_and_of_a_reasonable_number() {
        for machine in cast::office(12) {
            let list = series(&machine, &machine.name);
            let unique: std::collections::BTreeSet<_> = list.iter().map(|series| &series.labels).collect();
            assert_eq!(unique.len(), list.len());
            assert!(list.iter().all(|series| series.labels.is_sorted()));
            let history = list.iter().filter(|series| series.history).count();
            assert!((30..=62).contains(&history), "{}: {history} series of history", machine.name);
        }
    }
}
