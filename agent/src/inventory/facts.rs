//! Puts the report together: system, disks, filesystems, interfaces. Hardware and packages have files of their own.
//!
//! Interfaces and the processor come from `sysinfo`, which knows the machine that it runs on; everything else is
//! read below a root folder.

use std::path::Path;
use std::time::Duration;

use siaga_protocol::inventory::{Disk, Filesystem, Interface, Inventory, Os};

use super::{hardware, packages};
use crate::collectors::{StatProbe, parse_mounts, parse_os_release, read_mount_table};
use crate::config::FilesystemFilter;
use crate::source::Source;
use crate::state;

/// Bytes of a sector in `/sys/block/*/size`.
const SECTOR_BYTES: u64 = 512;
/// Types whose content lives in memory: mounted, but no place for data.
const VOLATILE_TYPES: [&str; 3] = ["tmpfs", "ramfs", "devtmpfs"];

/// The whole report.
#[must_use]
pub fn assemble(root: &Path, machine_id: &str, filter: &FilesystemFilter) -> Inventory {
    Inventory { packages: packages::read(root), ..without_packages(root, machine_id, filter) }
}

/// The report without the packages, which are dear to read.
#[must_use]
pub fn without_packages(root: &Path, machine_id: &str, filter: &FilesystemFilter) -> Inventory {
    let mut source = Source::new(root);
    Inventory {
        hostname: state::hostname(),
        machine_id: machine_id.to_owned(),
        os: os(&mut source),
        hardware: hardware::read(&mut source),
        disks: disks(&mut source),
        filesystems: filesystems(&mut source, filter),
        interfaces: interfaces(),
        packages: Vec::new(),
        files: None,
        listeners: None,
    }
}

fn os(source: &mut Source) -> Os {
    let uname = rustix::system::uname();
    let mut os = Os {
        kernel: uname.release().to_string_lossy().into_owned(),
        architecture: uname.machine().to_string_lossy().into_owned(),
        ..Os::default()
    };
    let path = if source.exists("etc/os-release") { "etc/os-release" } else { "usr/lib/os-release" };
    let Ok(text) = source.read(path) else { return os };
    for (key, value) in parse_os_release(text) {
        match key {
            "NAME" => value.clone_into(&mut os.name),
            "VERSION_ID" => value.clone_into(&mut os.version),
            _ => {}
        }
    }
    os
}

fn disks(source: &mut Source) -> Vec<Disk> {
    let Ok(folder) = std::fs::read_dir(source.path("sys/block")) else { return Vec::new() };
    let mut names: Vec<String> =
        folder.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    // Loops, memory disks and mapped devices are not hardware.
    let is_disk =
        |name: &String| !["loop", "ram", "zram", "dm-", "md", "fd"].iter().any(|p| name.starts_with(p));
    names.retain(is_disk);
    let mut text = |name: &str, file: &str| {
        source
            .read(&format!("sys/block/{name}/{file}"))
            .map(|text| text.trim().to_owned())
            .unwrap_or_default()
    };
    let disks = names.iter().map(|name| Disk {
        name: name.clone(),
        size_bytes: text(name, "size").parse::<u64>().unwrap_or(0).saturating_mul(SECTOR_BYTES),
        model: text(name, "device/model"),
        rotational: text(name, "queue/rotational") == "1",
    });
    disks.filter(|disk| disk.size_bytes > 0).collect()
}

fn filesystems(source: &mut Source, filter: &FilesystemFilter) -> Vec<Filesystem> {
    let Ok(table) = read_mount_table(source) else { return Vec::new() };
    let mut mounts = parse_mounts(table, filter);
    mounts.retain(|mount| !VOLATILE_TYPES.contains(&mount.fstype.as_str()));
    let mut probe = StatProbe::new(Duration::from_millis(filter.deadline_milliseconds.get()));
    let mut filesystems: Vec<_> = mounts
        .into_iter()
        .map(|mount| {
            let stat = probe.stat(source.path(mount.mountpoint.trim_start_matches('/')));
            Filesystem {
                size_bytes: stat.map_or(0, |stat| stat.f_blocks.saturating_mul(stat.f_frsize)),
                mountpoint: mount.mountpoint,
                device: mount.device,
                fstype: mount.fstype,
            }
        })
        .collect();
    filesystems.sort_by(|a, b| a.mountpoint.cmp(&b.mountpoint));
    filesystems
}

fn interfaces() -> Vec<Interface> {
    let Ok(networks) = sysinfo::Networks::new_with_refreshed_list() else { return Vec::new() };
    let mut interfaces: Vec<_> = networks
        .iter()
        .map(|(name, data)| {
            let mut addresses: Vec<_> = data.ip_networks().iter().map(ToString::to_string).collect();
            addresses.sort();
            Interface {
                name: name.to_string_lossy().into_owned(),
                mac: data.mac_address().to_string(),
                addresses,
            }
        })
        .filter(|interface| interface.name != "lo")
        .collect();
    interfaces.sort_by(|a, b| a.name.cmp(&b.name));
    interfaces
}
