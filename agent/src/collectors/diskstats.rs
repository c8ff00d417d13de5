//! Block devices, from `/proc/diskstats`: `node_disk_*`. Old kernels write fewer fields; those are left out.

use super::{CollectError, Collector, value};
use crate::config::DiskFilter;
use crate::samples::{Kind, Recorder};
use crate::source::Source;

pub(super) struct Diskstats {
    filter: DiskFilter,
}

impl Diskstats {
    pub(super) fn new(filter: DiskFilter) -> Self {
        Self { filter }
    }
}

/// Bytes of a sector in the kernel's counting, whatever the device's own sectors are.
const SECTOR_BYTES: f64 = 512.0;

/// What one field is counted in.
#[derive(Clone, Copy)]
enum Unit {
    Count,
    Sectors,
    Milliseconds,
}

/// The fields behind the device's name, in the kernel's order (`Documentation/admin-guide/iostats.rst`).
const FIELDS: [(&str, Kind, Unit); 17] = [
    ("node_disk_reads_completed_total", Kind::Counter, Unit::Count),
    ("node_disk_reads_merged_total", Kind::Counter, Unit::Count),
    ("node_disk_read_bytes_total", Kind::Counter, Unit::Sectors),
    ("node_disk_read_time_seconds_total", Kind::Counter, Unit::Milliseconds),
    ("node_disk_writes_completed_total", Kind::Counter, Unit::Count),
    ("node_disk_writes_merged_total", Kind::Counter, Unit::Count),
    ("node_disk_written_bytes_total", Kind::Counter, Unit::Sectors),
    ("node_disk_write_time_seconds_total", Kind::Counter, Unit::Milliseconds),
    ("node_disk_io_now", Kind::Gauge, Unit::Count),
    ("node_disk_io_time_seconds_total", Kind::Counter, Unit::Milliseconds),
    ("node_disk_io_time_weighted_seconds_total", Kind::Counter, Unit::Milliseconds),
    ("node_disk_discards_completed_total", Kind::Counter, Unit::Count),
    ("node_disk_discards_merged_total", Kind::Counter, Unit::Count),
    ("node_disk_discarded_sectors_total", Kind::Counter, Unit::Count),
    ("node_disk_discard_time_seconds_total", Kind::Counter, Unit::Milliseconds),
    ("node_disk_flush_requests_total", Kind::Counter, Unit::Count),
    ("node_disk_flush_requests_time_seconds_total", Kind::Counter, Unit::Milliseconds),
];

impl Collector for Diskstats {
    fn collect(&mut self, source: &mut Source, out: &mut Recorder) -> Result<(), CollectError> {
        for line in source.read("proc/diskstats")?.lines() {
            let mut words = line.split_ascii_whitespace().skip(2);
            let Some(device) = words.next() else { continue };
            if self.filter.exclude_devices.matches(device) {
                continue;
            }
            for ((name, kind, unit), word) in FIELDS.iter().zip(words) {
                let Ok(count) = word.parse().map(value) else { continue };
                let amount = match unit {
                    Unit::Count => count,
                    Unit::Sectors => count * SECTOR_BYTES,
                    Unit::Milliseconds => count / 1_000.0,
                };
                out.record(*kind, name, &[("device", device)], amount);
            }
        }
        Ok(())
    }
}
