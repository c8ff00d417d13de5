//! Which resources of a host are forecast, and the PromQL that reads them. Pure.
//!
//! Every query takes whole hours: the value at an hour's end is that hour's peak (what fills up) or mean (processors).

use siaga_forecast::SeriesKind;

use crate::config::{Capacity, Percent};

/// Kinds of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// Bytes of a mounted filesystem.
    Filesystem,
    /// Memory that is not available to programs.
    Memory,
    /// Processor time that is not idle.
    Cpu,
    /// Files of a mounted filesystem: a disk with room is full when it can hold no more of them.
    Inodes,
    /// Bytes of a quota, as `quota_used_bytes` and `quota_limit_bytes` of a host tell it.
    Quota,
}

impl ResourceKind {
    /// All kinds.
    pub const ALL: [Self; 5] = [Self::Filesystem, Self::Memory, Self::Cpu, Self::Inodes, Self::Quota];

    /// Code in records, addresses and labels.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Inodes => "inodes",
            Self::Quota => "quota",
        }
    }

    /// The kind of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// How the forecaster is to see it.
    #[must_use]
    pub const fn series_kind(self) -> SeriesKind {
        match self {
            Self::Filesystem | Self::Inodes | Self::Quota => SeriesKind::Stock,
            Self::Memory | Self::Cpu => SeriesKind::Flow,
        }
    }

    /// The label that tells those of a host from each other; none where a host has one.
    #[must_use]
    pub const fn item_label(self) -> Option<&'static str> {
        match self {
            Self::Filesystem | Self::Inodes => Some("mountpoint"),
            Self::Quota => Some("quota"),
            Self::Memory | Self::Cpu => None,
        }
    }

    /// Whether its use is told in bytes too.
    #[must_use]
    pub const fn is_bytes(self) -> bool {
        matches!(self, Self::Filesystem | Self::Quota)
    }

    /// Configured threshold.
    #[must_use]
    pub const fn threshold(self, config: &Capacity) -> Percent {
        match self {
            Self::Filesystem => config.filesystem_threshold,
            Self::Memory => config.memory_threshold,
            Self::Cpu => config.cpu_threshold,
            Self::Inodes => config.inode_threshold,
            Self::Quota => config.quota_threshold,
        }
    }
}

/// A resource of a host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// `instance` label of the host.
    pub instance: String,
    /// Kind.
    pub kind: ResourceKind,
    /// Mount point of a filesystem, name of a quota; empty for the others, of which a host has one.
    pub item: String,
}

impl ResourceKey {
    /// What is broken when this runs out, as incidents name it.
    #[must_use]
    pub fn component(&self) -> String {
        let code = self.kind.code();
        if self.kind.item_label().is_some() { format!("{code}:{}", self.item) } else { code.to_owned() }
    }
}

/// How far back use of now is looked for: the mean of processors and memory, and long enough for agents that collect
/// every five minutes, the slowest that is allowed.
const RECENT: &str = "15m";

/// How long a filesystem that is no longer reported stays in the list.
const LISTED_FOR: &str = "7d";

/// The PromQL of one kind of resource of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queries {
    /// What there is, now: the value is what `full` means (bytes), except for processors.
    pub listing: String,
    /// Use now, in the unit of `listing`'s value for filesystems, in percent for the others: a mean but for filesystems.
    pub now: String,
    /// Time of the newest sample that `now` stands on, in seconds.
    pub seen: String,
    /// The same, of all that is listed.
    pub last_seen: String,
    /// A value for what was measured for long enough to be judged.
    pub enough: String,
    /// Use of each hour, in the same unit as `now`.
    pub history: String,
}

/// The queries of a kind of resource.
#[must_use]
pub(super) fn queries(kind: ResourceKind, instance: &str) -> Queries {
    queries_of(kind, &format!("instance=\"{}\"", escape(instance)))
}

/// The queries of a kind of resource of all hosts.
#[must_use]
pub(super) fn fleet_queries(kind: ResourceKind) -> Queries {
    queries_of(kind, "instance!=\"\"")
}

fn queries_of(kind: ResourceKind, host: &str) -> Queries {
    match kind {
        ResourceKind::Filesystem => {
            of_filesystem(host, "node_filesystem_size_bytes", "node_filesystem_avail_bytes")
        }
        ResourceKind::Inodes => of_filesystem(host, "node_filesystem_files", "node_filesystem_files_free"),
        ResourceKind::Quota => {
            let limit = format!("quota_limit_bytes{{{host}}}");
            let used = format!("quota_used_bytes{{{host}}}");
            let by = "max by (instance, quota)";
            Queries {
                // A quota of nothing is no quota.
                listing: format!("{by} (last_over_time({limit}[{LISTED_FOR}]) > 0)"),
                now: format!("{by} (last_over_time({used}[{RECENT}]))"),
                seen: format!("{by} (ts_of_last_over_time({used}[{RECENT}]))"),
                last_seen: format!("{by} (ts_of_last_over_time({used}[{LISTED_FOR}]))"),
                enough: format!("{by} (count_over_time({used}[{RECENT}]) >= 2)"),
                history: format!("{by} (max_over_time({used}[1h]))"),
            }
        }
        ResourceKind::Memory => {
            let total = format!("node_memory_MemTotal_bytes{{{host}}}");
            let available = format!("node_memory_MemAvailable_bytes{{{host}}}");
            Queries {
                listing: format!("last_over_time({total}[{LISTED_FOR}])"),
                now: format!(
                    "100 * (1 - avg_over_time({available}[{RECENT}]) / last_over_time({total}[{RECENT}]))"
                ),
                seen: format!("ts_of_last_over_time({available}[{RECENT}])"),
                last_seen: format!("ts_of_last_over_time({available}[{LISTED_FOR}])"),
                enough: format!("count_over_time({available}[5m] offset 10m)"),
                history: format!("100 * (1 - min_over_time({available}[1h]) / last_over_time({total}[1h]))"),
            }
        }
        ResourceKind::Cpu => {
            let idle = format!("node_cpu_seconds_total{{mode=\"idle\",{host}}}");
            let all = format!("node_cpu_seconds_total{{{host}}}");
            // A share of all modes, so that a window that is half empty (a host that went away) distorts nothing.
            let busy = |window: &str| {
                format!(
                    "100 * (1 - sum by (instance) (rate({idle}[{window}])) / sum by (instance) (rate({all}[{window}])))"
                )
            };
            let seen = |window: &str| format!("max by (instance) (ts_of_last_over_time({idle}[{window}]))");
            Queries {
                listing: format!("count by (instance) (last_over_time({idle}[{LISTED_FOR}]))"),
                now: busy(RECENT),
                seen: seen(RECENT),
                last_seen: seen(LISTED_FOR),
                enough: format!("count by (instance) (count_over_time({idle}[5m] offset 10m))"),
                history: busy("1h"),
            }
        }
    }
}

/// The queries of what a filesystem has and has left.
fn of_filesystem(host: &str, size: &str, left: &str) -> Queries {
    let size = format!("{size}{{{host}}}");
    let left = format!("{left}{{{host}}}");
    let readonly = format!("node_filesystem_readonly{{{host}}}");
    Queries {
        listing: format!(
            "last_over_time({size}[{LISTED_FOR}]) unless (last_over_time({readonly}[{LISTED_FOR}]) == 1)"
        ),
        now: format!("last_over_time({size}[{RECENT}]) - last_over_time({left}[{RECENT}])"),
        seen: format!("ts_of_last_over_time({left}[{RECENT}])"),
        last_seen: format!("ts_of_last_over_time({left}[{LISTED_FOR}])"),
        enough: format!("count_over_time({left}[{RECENT}]) >= 2"),
        history: format!("last_over_time({size}[1h]) - min_over_time({left}[1h])"),
    }
}

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Types of filesystems that hold nothing that fills up.
const PSEUDO_TYPES: [&str; 26] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "udf",
    "erofs",
];

/// Folders in which a tmpfs belongs to the system.
const SYSTEM_FOLDERS: [&str; 4] = ["/run", "/dev", "/sys", "/proc"];

/// Whether a filesystem is none that a planner could enlarge. An overlay counts only as the root of a container, a
/// tmpfs only where somebody put it.
#[must_use]
fn is_pseudo(fstype: &str, mountpoint: &str) -> bool {
    let below = |folder: &str| {
        mountpoint.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match fstype {
        "overlay" => mountpoint != "/",
        "tmpfs" => SYSTEM_FOLDERS.iter().any(|folder| below(folder)),
        other => PSEUDO_TYPES.contains(&other),
    }
}

/// A filesystem in a listing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ListedFilesystem {
    /// Where it is mounted.
    pub mountpoint: String,
    /// Device.
    pub device: String,
    /// Type.
    pub fstype: String,
    /// Size in bytes.
    pub size_bytes: f64,
}

/// The filesystems to forecast: no pseudo filesystems, and of several mounts of one device only the shortest path, so
/// that one full disk is one problem. Sorted by mount point.
#[must_use]
pub(super) fn choose_filesystems(mut listed: Vec<ListedFilesystem>) -> Vec<ListedFilesystem> {
    listed.retain(|f| f.size_bytes > 0.0 && !is_pseudo(&f.fstype, &f.mountpoint));
    listed.sort_by(|a, b| (a.mountpoint.len(), &a.mountpoint).cmp(&(b.mountpoint.len(), &b.mountpoint)));
    let mut chosen: Vec<ListedFilesystem> = Vec::new();
    for filesystem in listed {
        // A device that is no path, such as `tmpfs`, names many filesystems.
        let is_device = filesystem.device.contains('/');
        let known = chosen.iter().any(|other| {
            other.mountpoint == filesystem.mountpoint || (is_device && other.device == filesystem.device)
        });
        if !known {
            chosen.push(filesystem);
        }
    }
    chosen.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_can_enlarge_is_skipped() {
        for (fstype, mountpoint, pseudo) in [
            ("ext4", "/", false),
            ("xfs", "/data", false),
            ("nfs4", "/mnt/backup", false),
            ("proc", "/proc", true),
            ("squashfs", "/snap/core/1", true),
            ("tmpfs", "/run/user/1000", true),
            ("tmpfs", "/dev/shm", true),
            ("tmpfs", "/runner", false),
            ("tmpfs", "/mnt/scratch", false),
            ("overlay", "/", false),
            ("overlay", "/var/lib/docker/overlay2/x/merged", true),
        ] {
            assert_eq!(is_pseudo(fstype, mountpoint), pseudo, "{fstype} {mountpoint}");
        }
    }

    #[test]
    fn one_device_is_one_resource() {
        let listed = |device: &str, mountpoint: &str, size_bytes| ListedFilesystem {
            mountpoint: mountpoint.to_owned(),
            device: device.to_owned(),
            fstype: if device.contains('/') { "ext4" } else { "tmpfs" }.to_owned(),
            size_bytes,
        };
        let chosen = choose_filesystems(vec![
            listed("/dev/sdb", "/var/lib/bind", 9.0),
            listed("/dev/sdb", "/data", 9.0),
            listed("/dev/sda", "/", 5.0),
            listed("tmpfs", "/mnt/a", 1.0),
            listed("tmpfs", "/mnt/b", 1.0),
            listed("/dev/sdc", "/empty", 0.0),
        ]);
        let mounts: Vec<&str> = chosen.iter().map(|f| f.mountpoint.as_str()).collect();
        assert_eq!(mounts, ["/", "/data", "/mnt/a", "/mnt/b"]);
    }

    #[test]
    fn a_name_cannot_leave_its_quotes() {
        let queries = queries(ResourceKind::Memory, "a\"} or up{x=\"\\");
        assert!(queries.now.contains(r#"instance="a\"} or up{x=\"\\""#), "{}", queries.now);
    }
}
