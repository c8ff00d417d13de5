//! The collectors: one probe a file, each fails alone, names and labels are node_exporter's.
//!
//! `/proc` is parsed here in small functions and not through a crate: a collection runs every few seconds on every
//! server, and reading into one kept buffer without building a value for each line is what keeps the agent light.
//! Collectors know neither spool nor network. The root folder is given, so that a folder can stand in for the kernel.

mod arp;
mod bonding;
mod conntrack;
mod cpu;
mod cpufreq;
mod devices;
mod diskstats;
mod edac;
mod entropy;
mod filefd;
pub mod filesystem;
mod hwmon;
mod ipvs;
mod loadavg;
pub mod logs;
mod mdadm;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod nfs;
mod os;
mod own;
mod pressure;
mod process_groups;
mod processes;
pub mod runner;
mod schedstat;
mod selinux;
mod sockstat;
mod softnet;
mod stat;
pub mod textfile;
mod time;
mod timex;
mod udp_queues;
mod uname;
mod vmstat;
mod xfs;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::config::Collect;
use crate::counters::Counters;
use crate::samples::Output;
use crate::services::Boards;
use crate::source::{Source, SourceError};

pub(crate) use filesystem::read_mount_table;
pub use filesystem::{StatProbe, parse_mounts};
pub use os::parse_os_release;
pub use runner::Runner;
pub(crate) use textfile::is_reserved;

/// A collector, as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is documented in the file of its name")]
pub enum CollectorName {
    Arp,
    Bonding,
    Conntrack,
    Cpu,
    Cpufreq,
    Diskstats,
    Dmi,
    Edac,
    Entropy,
    Filefd,
    Filesystem,
    Hwmon,
    Ipvs,
    Loadavg,
    Logs,
    Mdadm,
    Meminfo,
    Netclass,
    Netdev,
    Netstat,
    Nfs,
    Nfsd,
    Nvme,
    Os,
    Own,
    Pressure,
    ProcessGroups,
    Processes,
    Schedstat,
    Selinux,
    Services,
    Sockstat,
    Softnet,
    Stat,
    Textfile,
    ThermalZone,
    Time,
    Timex,
    UdpQueues,
    Uname,
    Vmstat,
    Xfs,
}

impl CollectorName {
    /// All, in the order in which they run.
    pub const ALL: [Self; 42] = [
        Self::Cpu,
        Self::Stat,
        Self::Meminfo,
        Self::Vmstat,
        Self::Loadavg,
        Self::Pressure,
        Self::Diskstats,
        Self::Netdev,
        Self::Netclass,
        Self::Netstat,
        Self::Sockstat,
        Self::Softnet,
        Self::UdpQueues,
        Self::Arp,
        Self::Conntrack,
        Self::Entropy,
        Self::Filefd,
        Self::Processes,
        Self::Selinux,
        Self::Time,
        Self::Timex,
        Self::Uname,
        Self::Os,
        Self::Bonding,
        Self::Cpufreq,
        Self::Dmi,
        Self::Edac,
        Self::Hwmon,
        Self::Ipvs,
        Self::Mdadm,
        Self::Nfs,
        Self::Nfsd,
        Self::Nvme,
        Self::Schedstat,
        Self::ThermalZone,
        Self::Xfs,
        Self::Textfile,
        Self::Filesystem,
        Self::ProcessGroups,
        Self::Logs,
        Self::Services,
        Self::Own,
    ];

    /// The value of the label `collector`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Arp => "arp",
            Self::Bonding => "bonding",
            Self::Conntrack => "conntrack",
            Self::Cpu => "cpu",
            Self::Cpufreq => "cpufreq",
            Self::Diskstats => "diskstats",
            Self::Dmi => "dmi",
            Self::Edac => "edac",
            Self::Entropy => "entropy",
            Self::Filefd => "filefd",
            Self::Filesystem => "filesystem",
            Self::Hwmon => "hwmon",
            Self::Ipvs => "ipvs",
            Self::Loadavg => "loadavg",
            Self::Logs => "logs",
            Self::Mdadm => "mdadm",
            Self::Meminfo => "meminfo",
            Self::Netclass => "netclass",
            Self::Netdev => "netdev",
            Self::Netstat => "netstat",
            Self::Nfs => "nfs",
            Self::Nfsd => "nfsd",
            Self::Nvme => "nvme",
            Self::Os => "os",
            Self::Own => "own",
            Self::Pressure => "pressure",
            Self::ProcessGroups => "process_groups",
            Self::Processes => "processes",
            Self::Schedstat => "schedstat",
            Self::Selinux => "selinux",
            Self::Services => "services",
            Self::Sockstat => "sockstat",
            Self::Softnet => "softnet",
            Self::Stat => "stat",
            Self::Textfile => "textfile",
            Self::ThermalZone => "thermal_zone",
            Self::Time => "time",
            Self::Timex => "timex",
            Self::UdpQueues => "udp_queues",
            Self::Uname => "uname",
            Self::Vmstat => "vmstat",
            Self::Xfs => "xfs",
        }
    }
}

/// Why a collector has nothing to say.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// A file could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A file does not look as it should.
    #[error("{file} has no {what}")]
    Format {
        /// The file, below the root.
        file: &'static str,
        /// What was looked for.
        what: &'static str,
    },
    /// It did not come back in time.
    #[error("it has not come back after {} s", .0.as_secs_f64())]
    Hangs(Duration),
    /// The kernel refused.
    #[error("cannot {operation}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// One probe.
pub trait Collector: Send {
    /// Reads, and records what it found.
    ///
    /// # Errors
    /// What could not be read; what was recorded before stays.
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError>;
}

/// The collectors that are switched on, below `root` (normally `/`), with their thread.
#[must_use]
pub fn runner(config: &Collect, root: &Path, counters: &Arc<Counters>, boards: &Arc<Boards>) -> Runner {
    let enabled = CollectorName::ALL.into_iter().filter(|name| !config.disabled_collectors.contains(name));
    let collectors = enabled.map(|name| (name.as_str(), build(name, config, (counters, boards))));
    Runner::new(collectors, root, config.deadline_seconds.seconds())
}

/// Collections from one look for what is seldom there, or seldom changes, to the next: five minutes with the default
/// interval.
const SELDOM_ROUNDS: u32 = 20;

/// A collector of what many hosts have not. Where its file is missing, it is looked for only every [`SELDOM_ROUNDS`]
/// collections.
struct IfThere {
    file: &'static str,
    collector: Box<dyn Collector>,
    wait: u32,
}

impl Collector for IfThere {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        if self.wait > 0 {
            self.wait -= 1;
        } else if source.exists(self.file) {
            return self.collector.collect(source, out);
        } else {
            self.wait = SELDOM_ROUNDS - 1;
        }
        Ok(())
    }
}

fn if_there(file: &'static str, collector: impl Collector + 'static) -> Box<dyn Collector> {
    Box::new(IfThere { file, collector: Box::new(collector), wait: 0 })
}

/// What the services said last.
struct FromBoards(Arc<Boards>);

impl Collector for FromBoards {
    fn collect(&mut self, _: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        self.0.read(out);
        Ok(())
    }
}

fn build(
    name: CollectorName,
    config: &Collect,
    (counters, boards): (&Arc<Counters>, &Arc<Boards>),
) -> Box<dyn Collector> {
    match name {
        CollectorName::Arp => Box::<arp::Arp>::default(),
        CollectorName::Bonding => if_there("sys/class/net/bonding_masters", bonding::Bonding),
        CollectorName::Conntrack => {
            if_there("proc/sys/net/netfilter/nf_conntrack_count", conntrack::Conntrack)
        }
        CollectorName::Cpu => Box::<cpu::Cpu>::default(),
        CollectorName::Cpufreq => Box::<cpufreq::Cpufreq>::default(),
        CollectorName::Diskstats => Box::new(diskstats::Diskstats::new(config.diskstats.clone())),
        CollectorName::Dmi => Box::<devices::Dmi>::default(),
        CollectorName::Edac => if_there("sys/devices/system/edac/mc", edac::Edac),
        CollectorName::Entropy => Box::new(entropy::Entropy),
        CollectorName::Filefd => Box::new(filefd::Filefd),
        CollectorName::Filesystem => Box::new(filesystem::Filesystem::new(config.filesystem.clone())),
        CollectorName::Hwmon => if_there("sys/class/hwmon", hwmon::Hwmon::default()),
        CollectorName::Ipvs => if_there("proc/net/ip_vs_stats", ipvs::Ipvs),
        CollectorName::Loadavg => Box::new(loadavg::Loadavg),
        CollectorName::Logs => Box::new(logs::Logs::new(&config.logs)),
        CollectorName::Mdadm => if_there("proc/mdstat", mdadm::Mdadm),
        CollectorName::Meminfo => Box::<meminfo::Meminfo>::default(),
        CollectorName::Netclass => Box::new(netclass::Netclass::new(config.netdev.clone())),
        CollectorName::Netdev => Box::new(netdev::Netdev::new(config.netdev.clone())),
        CollectorName::Netstat => Box::<netstat::Netstat>::default(),
        CollectorName::Nfs => if_there("proc/net/rpc/nfs", nfs::Nfs),
        CollectorName::Nfsd => if_there("proc/net/rpc/nfsd", nfs::Nfsd),
        CollectorName::Nvme => if_there("sys/class/nvme", devices::Nvme),
        CollectorName::Os => Box::<os::Os>::default(),
        CollectorName::Own => Box::new(own::Own::new(Arc::clone(counters))),
        CollectorName::Pressure => if_there("proc/pressure", pressure::Pressure),
        CollectorName::ProcessGroups => Box::new(process_groups::ProcessGroups::new(&config.process_groups)),
        CollectorName::Processes => Box::<processes::Processes>::default(),
        CollectorName::Schedstat => if_there("proc/schedstat", schedstat::Schedstat),
        CollectorName::Selinux => Box::new(selinux::Selinux),
        CollectorName::Services => Box::new(FromBoards(Arc::clone(boards))),
        CollectorName::Sockstat => Box::<sockstat::Sockstat>::default(),
        CollectorName::Softnet => Box::new(softnet::Softnet),
        CollectorName::Stat => Box::new(stat::Stat),
        CollectorName::Textfile => Box::new(textfile::Textfile::new(config.textfile.clone())),
        CollectorName::ThermalZone => if_there("sys/class/thermal", devices::ThermalZone),
        CollectorName::Time => Box::<time::Time>::default(),
        CollectorName::Timex => Box::new(timex::Timex),
        CollectorName::UdpQueues => Box::new(udp_queues::UdpQueues),
        CollectorName::Uname => Box::new(uname::UnameInfo),
        CollectorName::Vmstat => Box::<vmstat::Vmstat>::default(),
        CollectorName::Xfs => if_there("sys/fs/xfs", xfs::Xfs::default()),
    }
}

/// A duration in seconds, to the microsecond: shorter in the spool, and finer than anybody can use.
pub(crate) fn round_to_micro(duration: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a double holds 285 years of microseconds exactly")]
    let micros = duration.as_micros() as f64;
    micros / 1e6
}

/// A number of the kernel; what is not one is 0, as a field that this kernel does not write.
pub(crate) fn number(word: Option<&str>) -> u64 {
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

/// A counter as a sample value.
#[expect(
    clippy::cast_precision_loss,
    reason = "samples are doubles; counters beyond 2^53 lose their last bits"
)]
pub(crate) fn value(count: u64) -> f64 {
    count as f64
}
