//! Block devices, from `/proc/diskstats`: `node_disk_*`. Old kernels write fewer fields; those are left out.
//! `node_disk_info` adds what udev knows of the device, where udev runs.

use super::{CollectError, Collector, value};
use crate::config::DiskFilter;
use crate::samples::{Kind, Output};
use crate::source::{Folder, Source};

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
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let udev = source.folder("run/udev/data");
        for line in source.read("proc/diskstats")?.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(major), Some(minor), Some(device)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            if self.filter.exclude_devices.matches(device) {
                continue;
            }
            tell_info(udev.as_ref(), device, (major, minor), out);
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

/// Label of `node_disk_info` and key of udev's database.
const INFO: [(&str, &str); 5] = [
    ("model", "E:ID_MODEL="),
    ("path", "E:ID_PATH="),
    ("revision", "E:ID_REVISION="),
    ("serial", "E:ID_SERIAL_SHORT="),
    ("wwn", "E:ID_WWN="),
];

fn tell_info(udev: Option<&Folder>, device: &str, (major, minor): (&str, &str), out: &mut Output) {
    let mut buffer = [0; 8192];
    let text = udev.and_then(|udev| udev.read(&format!("b{major}:{minor}"), &mut buffer)).unwrap_or_default();
    let mut labels = [
        ("device", device),
        ("major", major),
        ("minor", minor),
        ("", ""),
        ("", ""),
        ("", ""),
        ("", ""),
        ("", ""),
    ];
    for (label, (name, key)) in labels.iter_mut().skip(3).zip(INFO) {
        *label = (name, text.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default());
    }
    out.gauge("node_disk_info", &labels, 1.0);
}
