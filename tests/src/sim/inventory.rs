//! What the simulated agents report of their hosts, before and after an upgrade.

use siaga_protocol::inventory::{Disk, Filesystem, Hardware, Interface, Inventory, Os, Package};

use super::cast::{GIB, Machine, Role, UPGRADE_AFTER_MS, Upgrade};
use super::noise;

/// Kernel release of all hosts.
pub const KERNEL: &str = "6.1.0-28-amd64";

/// On every host.
const BASE: &[(&str, &str)] = &[
    ("adduser", "3.134"),
    ("apt", "2.6.1"),
    ("base-files", "12.4+deb12u8"),
    ("bash", "5.2.15-2+b7"),
    ("ca-certificates", "20230311"),
    ("chrony", "4.3-2+deb12u1"),
    ("coreutils", "9.1-1"),
    ("cron", "3.0pl1-162"),
    ("curl", "7.88.1-10+deb12u8"),
    ("dpkg", "1.21.22"),
    ("gzip", "1.12-1"),
    ("iproute2", "6.1.0-3"),
    ("libc6", "2.36-9+deb12u9"),
    ("libssl3", "3.0.14-1~deb12u2"),
    ("linux-image-6.1.0-28-amd64", "6.1.119-1"),
    ("logrotate", "3.21.0-1"),
    ("nftables", "1.0.6-2+deb12u2"),
    ("openssh-server", "1:9.2p1-2+deb12u3"),
    ("openssl", "3.0.14-1~deb12u2"),
    ("rsyslog", "8.2302.0-1"),
    ("siaga-agent", super::series::AGENT_VERSION),
    ("sudo", "1.9.13p3-1+deb12u1"),
    ("systemd", "252.31-1~deb12u1"),
    ("tzdata", "2024a-0+deb12u1"),
    ("xz-utils", "5.4.1-0.2"),
];

/// Versions after the security update.
const UPDATED: &[(&str, &str)] =
    &[("curl", "7.88.1-10+deb12u12"), ("libssl3", "3.0.15-1~deb12u1"), ("openssl", "3.0.15-1~deb12u1")];

fn of_role(role: Role) -> &'static [(&'static str, &'static str)] {
    match role {
        Role::App => &[("openjdk-17-jre-headless", "17.0.13+11-2~deb12u1"), ("fontconfig", "2.14.1-4")],
        Role::Database | Role::Standby => {
            &[("postgresql-15", "15.10-0+deb12u1"), ("postgresql-client-15", "15.10-0+deb12u1")]
        }
        Role::Files => &[("nfs-kernel-server", "1:2.6.2-4"), ("acl", "2.3.1-3")],
        Role::Proxy => &[("nginx", "1.22.1-9"), ("certbot", "2.1.0-4")],
        Role::Mail => &[("postfix", "3.7.11-0+deb12u1"), ("dovecot-core", "1:2.3.19.1+dfsg1-2.1")],
        Role::Dns => &[("bind9", "1:9.18.28-1~deb12u2")],
        Role::Backup => &[("borgbackup", "1.2.4-1"), ("rsync", "3.2.7-1")],
        Role::Helpdesk => &[("apache2", "2.4.62-1~deb12u2"), ("request-tracker5", "5.0.3+dfsg-3~deb12u2")],
        Role::Development => {
            &[("git", "1:2.39.5-0+deb12u1"), ("openjdk-17-jdk-headless", "17.0.13+11-2~deb12u1")]
        }
        Role::Monitoring => &[("grafana", "11.3.1"), ("siaga-server", super::series::AGENT_VERSION)],
        Role::Desk => &[("cups", "2.4.2-3+deb12u8"), ("samba", "2:4.17.12+dfsg-0+deb12u1")],
    }
}

/// The identity of a host of the office with this seed, as in `/etc/machine-id`.
#[must_use]
pub fn machine_id(machine: &Machine, seed: u64) -> String {
    let high = noise::hash(seed, &machine.name);
    format!("{high:016x}{:016x}", noise::mix(high))
}

/// The inventory of a host at a time.
#[must_use]
pub fn inventory(machine: &Machine, seed: u64, anchor_ms: i64, at_ms: i64) -> Inventory {
    Inventory {
        hostname: machine.name.clone(),
        machine_id: machine_id(machine, seed),
        os: Os {
            name: "Debian GNU/Linux".into(),
            version: "12".into(),
            kernel: KERNEL.into(),
            architecture: "x86_64".into(),
        },
        hardware: hardware(machine, machine.memory_at(anchor_ms, at_ms)),
        disks: disks(machine),
        filesystems: machine
            .volumes
            .iter()
            .map(|volume| Filesystem {
                mountpoint: volume.mountpoint.into(),
                device: volume.device.into(),
                fstype: "ext4".into(),
                size_bytes: volume.size_bytes,
            })
            .collect(),
        interfaces: vec![interface(machine, seed)],
        packages: packages(machine, at_ms >= anchor_ms + UPGRADE_AFTER_MS),
        files: None,
        listeners: None,
    }
}

fn hardware(machine: &Machine, memory_bytes: u64) -> Hardware {
    // The backup stands on its own iron, the others are guests.
    let physical = machine.role == Role::Backup;
    let (vendor, product) =
        if physical { ("Dell Inc.", "PowerEdge R540") } else { ("QEMU", "Standard PC (Q35 + ICH9)") };
    Hardware {
        vendor: vendor.into(),
        product: product.into(),
        cpu_model: if physical {
            "Intel(R) Xeon(R) Silver 4210R CPU @ 2.40GHz"
        } else {
            "Intel Xeon Processor (Cascadelake)"
        }
        .into(),
        cpu_count: machine.cpus,
        memory_bytes,
        virtualization: if physical { "" } else { "kvm" }.into(),
    }
}

fn disks(machine: &Machine) -> Vec<Disk> {
    let physical = machine.role == Role::Backup;
    machine
        .volumes
        .iter()
        .map(|volume| Disk {
            name: volume.disk.into(),
            // A partition table and a boot partition lie before the first filesystem.
            size_bytes: volume.size_bytes + if volume.disk == "sda" { GIB } else { GIB / 512 },
            model: if physical { "ST8000NM000A-2KE101" } else { "QEMU HARDDISK" }.into(),
            rotational: physical,
        })
        .collect()
}

fn interface(machine: &Machine, seed: u64) -> Interface {
    let number = noise::hash(seed, &machine.name);
    let [.., a, b, c] = number.to_be_bytes();
    Interface {
        name: "eth0".into(),
        mac: format!("52:54:00:{a:02x}:{b:02x}:{c:02x}"),
        // 192.0.2.0/24 is set aside for examples (RFC 5737).
        addresses: vec![format!("192.0.2.{}/24", 10 + number % 240)],
    }
}

fn packages(machine: &Machine, after_upgrade: bool) -> Vec<Package> {
    let updated = after_upgrade && machine.upgrade == Some(Upgrade::Packages);
    let all = BASE.iter().chain(of_role(machine.role));
    let mut packages: Vec<Package> = all
        .map(|(name, version)| {
            let newer = UPDATED.iter().find(|(other, _)| updated && other == name);
            Package { name: (*name).into(), version: newer.map_or(*version, |(_, version)| version).into() }
        })
        .collect();
    packages.sort();
    packages
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::cast;

    #[test]
    fn two_hosts_change_after_a_minute_and_the_others_do_not() {
        let changed: Vec<String> = cast::office(12)
            .iter()
            .filter(|machine| inventory(machine, 1, 0, 0) != inventory(machine, 1, 0, UPGRADE_AFTER_MS))
            .map(|machine| machine.name.clone())
            .collect();
        assert_eq!(changed, ["web-01", "spse-app-02"]);
    }

    #[test]
    fn hosts_have_identities_of_their_own_by_seed() {
        let ids: std::collections::BTreeSet<_> = cast::office(40)
            .iter()
            .flat_map(|machine| [machine_id(machine, 1), machine_id(machine, 2)])
            .collect();
        assert_eq!(ids.len(), 80);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
