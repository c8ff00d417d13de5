//! The servers of the office: what each is for, how large it is, and what happens to it.

use super::calendar::{DAY_MS, HOUR_MS, MINUTE_MS};
use super::filesystem::Growth;

/// Bytes of a gibibyte.
pub const GIB: u64 = 1 << 30;
/// The host whose agent goes silent does so this long after the live part begins.
pub const SILENT_AFTER_MS: i64 = MINUTE_MS;
/// What is upgraded is upgraded this long after the live part begins.
pub const UPGRADE_AFTER_MS: i64 = MINUTE_MS;
/// How long a restart in the history takes.
pub const RESTART_MS: i64 = 25 * MINUTE_MS;
/// Most servers of a simulated office.
pub const MAX_HOSTS: usize = 500;

/// What a server is for; decides the shape of its load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Role {
    App,
    Database,
    Standby,
    Files,
    Proxy,
    Mail,
    Dns,
    Backup,
    Helpdesk,
    Development,
    Monitoring,
    Desk,
}

/// A filesystem on a device of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// Where it is mounted.
    pub mountpoint: &'static str,
    /// Device of the filesystem.
    pub device: &'static str,
    /// Disk that it lies on.
    pub disk: &'static str,
    /// Size in bytes.
    pub size_bytes: u64,
    /// How it fills.
    pub growth: Growth,
}

/// What is upgraded while people watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// Memory becomes this many bytes.
    Memory(u64),
    /// Packages get their security updates.
    Packages,
}

/// A server of the office.
#[derive(Debug, Clone, PartialEq)]
pub struct Machine {
    /// Host name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Logical processors.
    pub cpus: u32,
    /// Memory in bytes, before an upgrade.
    pub memory_bytes: u64,
    /// Swap in bytes.
    pub swap_bytes: u64,
    /// Filesystems.
    pub volumes: Vec<Volume>,
    /// Whether its agent goes silent after [`SILENT_AFTER_MS`].
    pub falls_silent: bool,
    /// A restart, so long before the live part begins (milliseconds).
    pub restarted_before_ms: Option<i64>,
    /// What is upgraded after [`UPGRADE_AFTER_MS`].
    pub upgrade: Option<Upgrade>,
}

impl Machine {
    fn new(name: &str, role: Role, cpus: u32, memory_gib: u64) -> Self {
        Self {
            name: name.to_owned(),
            role,
            cpus,
            memory_bytes: memory_gib * GIB,
            swap_bytes: 2 * GIB,
            volumes: Vec::new(),
            falls_silent: false,
            restarted_before_ms: None,
            upgrade: None,
        }
    }

    fn root(self, size_gib: u64, growth: Growth) -> Self {
        self.volume("/", "/dev/sda2", "sda", size_gib, growth)
    }

    fn data(self, mountpoint: &'static str, size_gib: u64, growth: Growth) -> Self {
        self.volume(mountpoint, "/dev/sdb1", "sdb", size_gib, growth)
    }

    fn volume(
        mut self,
        mountpoint: &'static str,
        device: &'static str,
        disk: &'static str,
        size_gib: u64,
        growth: Growth,
    ) -> Self {
        self.volumes.push(Volume { mountpoint, device, disk, size_bytes: size_gib * GIB, growth });
        self
    }

    /// Memory in bytes at a time.
    #[must_use]
    pub fn memory_at(&self, anchor_ms: i64, at_ms: i64) -> u64 {
        match self.upgrade {
            Some(Upgrade::Memory(bytes)) if at_ms >= anchor_ms + UPGRADE_AFTER_MS => bytes,
            _ => self.memory_bytes,
        }
    }
}

/// The first `count` servers of the office, the telling ones first. Beyond the dozen come servers of the desks.
#[must_use]
pub fn office(count: usize) -> Vec<Machine> {
    let mut machines = dozen();
    machines.truncate(count);
    let known = machines.len();
    machines.extend((known..count.min(MAX_HOSTS)).map(|number| {
        Machine::new(&format!("kantor-{:03}", number + 1), Role::Desk, 2, 4)
            .root(60, Growth::Steady { now: 48.0, per_day: 0.03 })
    }));
    machines
}

fn dozen() -> Vec<Machine> {
    let quiet = |level| Growth::Steady { now: level, per_day: 0.02 };
    vec![
        Machine {
            restarted_before_ms: Some(33 * DAY_MS + 5 * HOUR_MS),
            ..Machine::new("spse-app-01", Role::App, 4, 16).root(80, quiet(46.0))
        },
        // Crosses 90 % ten and a half mean days from now.
        Machine::new("spse-db-01", Role::Database, 4, 32).root(60, quiet(35.0)).data(
            "/var/lib/postgresql",
            500,
            Growth::Steady { now: 83.7, per_day: 0.6 },
        ),
        Machine::new("spse-berkas-01", Role::Files, 2, 8).root(40, quiet(31.0)).data(
            "/srv/berkas",
            2_000,
            Growth::Steady { now: 61.0, per_day: 0.11 },
        ),
        Machine {
            upgrade: Some(Upgrade::Packages),
            ..Machine::new("web-01", Role::Proxy, 2, 4).root(40, quiet(28.0)).data(
                "/var/log",
                40,
                Growth::SawTooth { low: 22.0, high: 71.0 },
            )
        },
        Machine::new("mail-01", Role::Mail, 2, 8).root(40, quiet(33.0)).data(
            "/var/mail",
            200,
            Growth::Flat { level: 93.2 },
        ),
        Machine {
            falls_silent: true,
            ..Machine::new("helpdesk-01", Role::Helpdesk, 2, 4).root(60, quiet(52.0))
        },
        Machine {
            upgrade: Some(Upgrade::Memory(24 * GIB)),
            ..Machine::new("spse-app-02", Role::App, 4, 16).root(80, quiet(44.0))
        },
        Machine::new("spse-db-02", Role::Standby, 4, 32).root(60, quiet(34.0)).data(
            "/var/lib/postgresql",
            1_000,
            Growth::Steady { now: 41.9, per_day: 0.3 },
        ),
        Machine::new("cadangan-01", Role::Backup, 2, 8).root(40, quiet(25.0)).data(
            "/srv/cadangan",
            8_000,
            Growth::Backups { now: 52.0, per_night: 2.6, per_day: 0.05 },
        ),
        Machine::new("dns-01", Role::Dns, 2, 2).root(20, Growth::Flat { level: 37.5 }),
        Machine::new("dev-01", Role::Development, 2, 8).root(60, quiet(39.0)).data(
            "/home",
            300,
            Growth::CleanedUp { now: 48.0, per_day: 0.25, freed: 27.0, days_ago: 41 },
        ),
        Machine::new("mon-01", Role::Monitoring, 2, 8).root(100, Growth::Steady { now: 55.0, per_day: 0.05 }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::filesystem::used_share;

    #[test]
    fn the_dozen_has_what_a_visitor_is_to_see() {
        let machines = office(12);
        assert_eq!(machines.len(), 12);
        assert_eq!(machines.iter().filter(|machine| machine.falls_silent).count(), 1);
        assert_eq!(machines.iter().filter(|machine| machine.restarted_before_ms.is_some()).count(), 1);
        assert_eq!(machines.iter().filter(|machine| machine.upgrade.is_some()).count(), 2);
        let names: std::collections::BTreeSet<_> =
            office(40).into_iter().map(|machine| machine.name).collect();
        assert_eq!(names.len(), 40);
    }

    #[test]
    fn whenever_the_office_starts_the_database_disk_is_full_in_eight_to_fourteen_days() {
        let machines = office(2);
        let growth = machines[1].volumes[1].growth;
        for hour in 0..7 * 24 {
            let anchor = 1_795_399_200_000 + hour * HOUR_MS;
            let full = |days: i64| used_share(growth, 1, anchor, anchor + days * DAY_MS) >= 0.90;
            assert!(!full(8) && full(14), "{hour} hours after Monday");
            assert!(used_share(growth, 1, anchor, anchor) < 0.85);
        }
    }
}
