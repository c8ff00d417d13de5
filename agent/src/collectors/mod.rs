//! The collectors: one probe a file, each fails alone, names and labels are node_exporter's.
//!
//! `/proc` is parsed here in small functions and not through a crate: a collection runs every few seconds on every
//! server, and reading into one kept buffer without building a value for each line is what keeps the agent light.
//! Collectors know neither spool nor network. The root folder is given, so that a folder can stand in for the kernel.

mod cpu;
mod diskstats;
mod filefd;
pub mod filesystem;
mod loadavg;
mod meminfo;
mod netdev;
mod os;
mod own;
mod processes;
mod stat;
mod time;
mod uname;
mod vmstat;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;

use crate::config::Collect;
use crate::counters::Counters;
use crate::samples::Recorder;
use crate::source::{Source, SourceError};

pub(crate) use filesystem::read_mount_table;
pub use filesystem::{StatProbe, parse_mounts};
pub use os::parse_os_release;

/// A collector, as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each is documented in the file of its name")]
pub enum CollectorName {
    Cpu,
    Diskstats,
    Filefd,
    Filesystem,
    Loadavg,
    Meminfo,
    Netdev,
    Os,
    Own,
    Processes,
    Stat,
    Time,
    Uname,
    Vmstat,
}

impl CollectorName {
    /// All, in the order in which they run.
    pub const ALL: [Self; 14] = [
        Self::Cpu,
        Self::Stat,
        Self::Meminfo,
        Self::Vmstat,
        Self::Loadavg,
        Self::Diskstats,
        Self::Netdev,
        Self::Filefd,
        Self::Processes,
        Self::Time,
        Self::Uname,
        Self::Os,
        Self::Filesystem,
        Self::Own,
    ];

    /// The value of the label `collector`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Diskstats => "diskstats",
            Self::Filefd => "filefd",
            Self::Filesystem => "filesystem",
            Self::Loadavg => "loadavg",
            Self::Meminfo => "meminfo",
            Self::Netdev => "netdev",
            Self::Os => "os",
            Self::Own => "own",
            Self::Processes => "processes",
            Self::Stat => "stat",
            Self::Time => "time",
            Self::Uname => "uname",
            Self::Vmstat => "vmstat",
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
    fn collect(&mut self, source: &mut Source, out: &mut Recorder) -> Result<(), CollectError>;
}

struct Entry {
    name: CollectorName,
    collector: Box<dyn Collector>,
    failing: bool,
}

/// The collectors that are switched on.
pub struct Registry {
    source: Source,
    entries: Vec<Entry>,
}

impl Registry {
    /// Collectors as configured, below `root` (normally `/`).
    #[must_use]
    pub fn new(config: &Collect, root: &Path, counters: Arc<Counters>) -> Self {
        let enabled =
            CollectorName::ALL.into_iter().filter(|name| !config.disabled_collectors.contains(name));
        let entries = enabled
            .map(|name| Entry { name, collector: build(name, config, &counters), failing: false })
            .collect();
        Self { source: Source::new(root), entries }
    }

    /// One collection. A collector that fails costs only its own series.
    pub fn collect(&mut self, out: &mut Recorder) {
        out.begin();
        self.source.begin();
        for entry in &mut self.entries {
            let started = Instant::now();
            let result = entry.collector.collect(&mut self.source, out);
            let labels = [("collector", entry.name.as_str())];
            out.gauge("node_scrape_collector_duration_seconds", &labels, round_to_micro(started.elapsed()));
            out.gauge("node_scrape_collector_success", &labels, f64::from(u8::from(result.is_ok())));
            match (&result, entry.failing) {
                (Err(error), false) => tracing::warn!(
                    collector = entry.name.as_str(),
                    error = crate::error_chain(error),
                    "collector fails"
                ),
                (Ok(()), true) => tracing::info!(collector = entry.name.as_str(), "collector works again"),
                _ => {}
            }
            entry.failing = result.is_err();
        }
        out.end();
    }
}

fn build(name: CollectorName, config: &Collect, counters: &Arc<Counters>) -> Box<dyn Collector> {
    match name {
        CollectorName::Cpu => Box::<cpu::Cpu>::default(),
        CollectorName::Diskstats => Box::new(diskstats::Diskstats::new(config.diskstats.clone())),
        CollectorName::Filefd => Box::new(filefd::Filefd),
        CollectorName::Filesystem => Box::new(filesystem::Filesystem::new(config.filesystem.clone())),
        CollectorName::Loadavg => Box::new(loadavg::Loadavg),
        CollectorName::Meminfo => Box::<meminfo::Meminfo>::default(),
        CollectorName::Netdev => Box::new(netdev::Netdev::new(config.netdev.clone())),
        CollectorName::Os => Box::new(os::Os),
        CollectorName::Own => Box::new(own::Own::new(Arc::clone(counters))),
        CollectorName::Processes => Box::new(processes::Processes),
        CollectorName::Stat => Box::new(stat::Stat),
        CollectorName::Time => Box::new(time::Time),
        CollectorName::Uname => Box::new(uname::UnameInfo),
        CollectorName::Vmstat => Box::<vmstat::Vmstat>::default(),
    }
}

/// A duration in seconds, to the microsecond: shorter in the spool, and finer than anybody can use.
pub(crate) fn round_to_micro(duration: std::time::Duration) -> f64 {
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
