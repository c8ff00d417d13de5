//! The load of one server, minute by minute, and what its counters have added up to.
//!
//! Time is cut into minutes of the epoch. Within a minute rates stand still, so that a counter at any moment is its
//! sum at the minute's start plus rate times the rest: what is live continues the history exactly, and the figures do
//! not depend on how often they were asked for.

use super::calendar::{Activity, Calendar, DAY_MS, Day, MINUTE_MS, local_day};
use super::cast::{Machine, RESTART_MS, Role};
use super::filesystem::used_share;
use super::noise::{self, as_f64};

/// Most of the processors' time that work takes, so that idle always grows a little.
const MAX_BUSY: f64 = 0.86;
/// Most of the processors' time that waits for disks.
const MAX_IOWAIT: f64 = 0.07;
/// Bytes a second at which a disk is busy all the time.
const DISK_BYTES_PER_SECOND: f64 = 320e6;
/// Minutes that the longest load average looks back.
const LOAD_MINUTES: usize = 15;
/// Longest time that a server had been up when its history begins.
const MAX_UPTIME_DAYS: f64 = 60.0;

/// How a figure depends on the office: at rest, by ordinary work, by deadlines, by the nightly backup.
#[derive(Debug, Clone, Copy)]
struct Shape([f64; 4]);

impl Shape {
    fn at(self, activity: Activity) -> f64 {
        let [rest, office, deadline, backup] = self.0;
        rest + office * activity.office + deadline * activity.deadline + backup * activity.backup
    }
}

/// Load of a role. Shares are 0 to 1, flows are in bytes a second.
#[derive(Debug, Clone, Copy)]
struct Profile {
    busy: Shape,
    memory: Shape,
    read: Shape,
    write: Shape,
    receive: Shape,
    transmit: Shape,
}

impl Profile {
    #[rustfmt::skip]
    fn of(role: Role) -> Self {
        let table = |rows: [[f64; 4]; 6]| {
            let [busy, memory, read, write, receive, transmit] = rows.map(Shape);
            Self { busy, memory, read, write, receive, transmit }
        };
        match role {
            Role::App => table([[0.04, 0.32, 0.46, 0.03], [0.52, 0.12, 0.14, 0.0], [2e4, 9e5, 2e6, 3e6], [8e4, 9e5, 3e6, 5e5], [3e4, 2.2e6, 1.6e7, 1e5], [4e4, 4.5e6, 5e6, 3e6]]),
            Role::Database => table([[0.05, 0.24, 0.40, 0.16], [0.64, 0.07, 0.08, 0.04], [2e5, 6e6, 1.5e7, 9e7], [4e5, 4e6, 1.2e7, 2e6], [3e4, 1.2e6, 4e6, 2e5], [6e4, 3.5e6, 6e6, 6e7]]),
            Role::Standby => table([[0.03, 0.07, 0.12, 0.05], [0.55, 0.03, 0.03, 0.02], [5e4, 2e5, 4e5, 1e7], [4e5, 4e6, 1.2e7, 1e6], [4e4, 8e5, 2.5e6, 1e5], [2e4, 1e5, 2e5, 5e6]]),
            Role::Files => table([[0.02, 0.09, 0.33, 0.14], [0.31, 0.06, 0.12, 0.08], [5e4, 2e6, 4e6, 1.1e8], [6e4, 1.5e6, 2.2e7, 1e6], [3e4, 1.2e6, 2.1e7, 2e5], [3e4, 2.5e6, 4e6, 9e7]]),
            Role::Proxy => table([[0.02, 0.15, 0.28, 0.01], [0.28, 0.08, 0.12, 0.0], [1e4, 6e4, 1e5, 5e5], [5e4, 5e5, 2e6, 1e5], [5e4, 5e6, 2.4e7, 1e5], [5e4, 6e6, 2.1e7, 1e6]]),
            Role::Mail => table([[0.02, 0.10, 0.05, 0.05], [0.44, 0.06, 0.02, 0.02], [4e4, 7e5, 2e5, 2e7], [1e5, 1.2e6, 4e5, 5e5], [2e4, 6e5, 2e5, 1e5], [2e4, 5e5, 2e5, 1.5e7]]),
            Role::Dns => table([[0.01, 0.03, 0.03, 0.0], [0.30, 0.02, 0.01, 0.0], [1e3, 5e3, 5e3, 1e5], [1e4, 2e4, 2e4, 1e4], [5e3, 6e4, 5e4, 1e3], [6e3, 9e4, 8e4, 5e4]]),
            Role::Backup => table([[0.01, 0.01, 0.02, 0.45], [0.20, 0.01, 0.01, 0.22], [1e4, 2e4, 2e4, 1e6], [2e4, 3e4, 3e4, 1.6e8], [1e4, 2e4, 2e4, 1.1e8], [1e4, 1e4, 1e4, 2e6]]),
            Role::Helpdesk => table([[0.02, 0.12, 0.04, 0.03], [0.48, 0.08, 0.01, 0.0], [2e4, 2e5, 5e4, 4e6], [4e4, 3e5, 5e4, 1e5], [1e4, 2e5, 5e4, 1e4], [1e4, 5e5, 1e5, 3e6]]),
            Role::Development => table([[0.02, 0.22, 0.0, 0.05], [0.40, 0.18, 0.0, 0.02], [3e4, 3e6, 0.0, 1e7], [5e4, 2e6, 0.0, 2e5], [1e4, 4e5, 0.0, 1e4], [1e4, 3e5, 0.0, 8e6]]),
            Role::Monitoring => table([[0.06, 0.04, 0.03, 0.03], [0.42, 0.03, 0.02, 0.01], [5e4, 2e5, 1e5, 1e7], [6e5, 5e4, 4e4, 1e5], [2e5, 4e4, 3e4, 1e4], [5e4, 3e5, 1e5, 8e6]]),
            Role::Desk => table([[0.02, 0.10, 0.01, 0.03], [0.35, 0.12, 0.0, 0.0], [2e4, 3e5, 0.0, 2e6], [3e4, 3e5, 0.0, 1e5], [1e4, 3e5, 0.0, 1e4], [1e4, 1e5, 0.0, 1e6]]),
        }
    }
}

/// What happens in a second of one minute; shares are of all processors.
#[derive(Debug, Clone, Copy, Default)]
struct Rates {
    user: f64,
    system: f64,
    iowait: f64,
    io_time: f64,
    read: f64,
    write: f64,
    receive: f64,
    transmit: f64,
    memory: f64,
}

/// Sums since the server started; bytes, and seconds of the mean processor.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) up: f64,
    pub(super) user: f64,
    pub(super) system: f64,
    pub(super) iowait: f64,
    pub(super) io_time: f64,
    pub(super) read: f64,
    pub(super) write: f64,
    pub(super) receive: f64,
    pub(super) transmit: f64,
}

impl Totals {
    fn plus(&self, rates: &Rates, seconds: f64) -> Self {
        Self {
            up: self.up + seconds,
            user: self.user + rates.user * seconds,
            system: self.system + rates.system * seconds,
            iowait: self.iowait + rates.iowait * seconds,
            io_time: self.io_time + rates.io_time * seconds,
            read: self.read + rates.read * seconds,
            write: self.write + rates.write * seconds,
            receive: self.receive + rates.receive * seconds,
            transmit: self.transmit + rates.transmit * seconds,
        }
    }
}

/// Everything that there is to measure of a server at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// When, milliseconds since the epoch.
    pub at_ms: i64,
    /// When the server started, seconds since the epoch.
    pub boot_seconds: f64,
    pub(super) totals: Totals,
    /// Share of all processors at work, 0 to 1.
    pub busy: f64,
    /// Load averages of 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// Installed memory in bytes.
    pub memory_bytes: f64,
    /// Share of the memory that programs use, 0 to 1.
    pub memory_share: f64,
    /// Share in use of each volume, 0 to 1.
    pub volumes: Vec<f64>,
}

/// A server with its history so far.
#[derive(Debug, Clone)]
pub struct Host {
    /// The server.
    pub machine: Machine,
    /// When the history ends and the live part begins.
    pub anchor_ms: i64,
    seed: u64,
    calendar: Calendar,
    profile: Profile,
    day: Day,
    minute: i64,
    now: Rates,
    next: Rates,
    totals: Totals,
    boot_ms: i64,
    /// Share at work in the last minutes, newest last.
    recent: [f64; LOAD_MINUTES],
}

impl Host {
    /// A server whose history begins at `origin_ms` and which is live from `anchor_ms`.
    #[must_use]
    pub fn new(machine: Machine, seed: u64, origin_ms: i64, anchor_ms: i64) -> Self {
        let calendar = Calendar::new(seed);
        let seed = noise::hash(seed, &machine.name);
        let minute = origin_ms.div_euclid(MINUTE_MS);
        let uptime = (1.0 + noise::unit(seed, 1) * MAX_UPTIME_DAYS) * as_f64(DAY_MS) / 1e3;
        let profile = Profile::of(machine.role);
        let day = calendar.day(local_day(minute * MINUTE_MS));
        let mut host = Self {
            machine,
            anchor_ms,
            seed,
            calendar,
            profile,
            day,
            minute,
            now: Rates::default(),
            next: Rates::default(),
            totals: Totals::default(),
            boot_ms: minute * MINUTE_MS - seconds_ms(uptime),
            recent: [0.0; LOAD_MINUTES],
        };
        // What it had done before is what it does on a mean day.
        let mean = host.rates_of(Activity { office: 0.3, deadline: 0.03, backup: 0.1 }, 0);
        host.totals = Totals::default().plus(&mean, uptime.floor());
        host.now = host.rates(minute);
        host.next = host.rates(minute + 1);
        host.recent = [host.now.user + host.now.system; LOAD_MINUTES];
        host
    }

    /// What there is to measure at `at_ms`, which must not lie before what was asked last. `None` while the server
    /// restarts.
    pub fn at(&mut self, at_ms: i64) -> Option<Snapshot> {
        while self.minute < at_ms.div_euclid(MINUTE_MS) {
            self.step();
        }
        (!self.is_down(at_ms)).then(|| self.snapshot(at_ms))
    }

    fn restart_ms(&self) -> Option<i64> {
        let before = self.machine.restarted_before_ms?;
        Some((self.anchor_ms - before).div_euclid(MINUTE_MS) * MINUTE_MS)
    }

    /// Whether the server restarts at this moment.
    #[must_use]
    pub fn is_down(&self, at_ms: i64) -> bool {
        self.restart_ms().is_some_and(|restart| (restart..restart + RESTART_MS).contains(&at_ms))
    }

    fn step(&mut self) {
        self.totals = self.totals.plus(&self.now, 60.0);
        self.minute += 1;
        self.recent.rotate_left(1);
        self.recent[LOAD_MINUTES - 1] = self.now.user + self.now.system + self.now.iowait;
        self.now = self.next;
        self.next = self.rates(self.minute + 1);
        let start = self.minute * MINUTE_MS;
        if self.restart_ms().is_some_and(|restart| start == restart + RESTART_MS) {
            self.totals = Totals::default();
            self.boot_ms = start - 20_000;
        }
    }

    fn rates(&mut self, minute: i64) -> Rates {
        let at_ms = minute * MINUTE_MS;
        let day = local_day(at_ms);
        if day != self.day.number {
            self.day = self.calendar.day(day);
        }
        self.rates_of(self.calendar.activity(&self.day, at_ms), minute)
    }

    fn rates_of(&self, activity: Activity, minute: i64) -> Rates {
        let wobble = |channel: u64, strength: f64| {
            let seed = self.seed ^ (channel << 32);
            let slow = noise::smooth(seed, minute, 17);
            let fast = 2.0 * noise::unit(seed ^ 0xff, minute) - 1.0;
            (1.0 + strength * (0.7 * slow + 0.3 * fast)).max(0.05)
        };
        let profile = &self.profile;
        let busy = (profile.busy.at(activity) * wobble(1, 0.30)).clamp(0.004, MAX_BUSY);
        let (read, write) =
            (profile.read.at(activity) * wobble(2, 0.5), profile.write.at(activity) * wobble(3, 0.4));
        let io_time = ((read + write) / DISK_BYTES_PER_SECOND).clamp(0.001, 0.97);
        Rates {
            user: busy * 0.77,
            system: busy * 0.23,
            iowait: (io_time * 0.12).min(MAX_IOWAIT),
            io_time,
            read,
            write,
            receive: profile.receive.at(activity) * wobble(4, 0.4),
            transmit: profile.transmit.at(activity) * wobble(5, 0.4),
            memory: profile.memory.at(activity)
                + 0.015 * noise::smooth(self.seed ^ 6, minute, 90)
                + 0.03 * noise::smooth(self.seed ^ 7, minute, 4 * 24 * 60),
        }
    }

    fn snapshot(&self, at_ms: i64) -> Snapshot {
        let into = as_f64(at_ms - self.minute * MINUTE_MS) / 1e3;
        let part = into / 60.0;
        let between = |a: f64, b: f64| a + (b - a) * part;
        let at_work = |rates: &Rates| rates.user + rates.system + rates.iowait;
        let busy = between(at_work(&self.now), at_work(&self.next));
        let mean = |minutes: usize| {
            let past: f64 = self.recent[LOAD_MINUTES - minutes..].iter().sum();
            (past + busy) / as_f64(i64::try_from(minutes + 1).unwrap_or(1))
                * f64::from(self.machine.cpus)
                * 1.1
        };
        let memory_bytes = self.machine.memory_at(self.anchor_ms, at_ms);
        // More memory than before: programs do not need more of it.
        let given = as_f64(memory_bytes.cast_signed()) / as_f64(self.machine.memory_bytes.cast_signed());
        let share = between(self.now.memory, self.next.memory) / given;
        let volumes = self.machine.volumes.iter().zip(0..);
        Snapshot {
            at_ms,
            boot_seconds: as_f64(self.boot_ms.div_euclid(1_000)),
            totals: self.totals.plus(&self.now, into),
            busy,
            load: [mean(1), mean(5), mean(LOAD_MINUTES)],
            memory_bytes: as_f64(memory_bytes.cast_signed()),
            memory_share: share.clamp(0.05, 0.97),
            volumes: volumes
                .map(|(volume, index): (_, u64)| {
                    used_share(volume.growth, self.seed ^ (100 + index), self.anchor_ms, at_ms)
                })
                .collect(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an uptime of days")]
fn seconds_ms(seconds: f64) -> i64 {
    (seconds * 1e3) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::calendar::HOUR_MS;
    use crate::sim::cast;

    const ANCHOR: i64 = 1_795_399_200_000; // 2026-11-23T02:00:00Z, Monday 09:00 WIB

    fn host(name: &str, days: i64) -> Host {
        let machine = cast::office(12).into_iter().find(|machine| machine.name == name).unwrap();
        Host::new(machine, 1, ANCHOR - days * DAY_MS, ANCHOR)
    }

    #[test]
    fn figures_do_not_depend_on_how_often_they_were_asked_for() {
        let (mut rarely, mut often) = (host("spse-app-01", 3), host("spse-app-01", 3));
        for step in 0..3 * 24 * 4 {
            often.at(ANCHOR - 3 * DAY_MS + step * 15 * MINUTE_MS + 7_000);
        }
        assert_eq!(rarely.at(ANCHOR + 12_345), often.at(ANCHOR + 12_345));
    }

    #[test]
    fn working_hours_load_the_application_and_the_night_loads_the_backup() {
        let busy = |name: &str, hour: i64| {
            let mut host = host(name, 7);
            host.at(ANCHOR - 6 * DAY_MS + (hour - 9) * HOUR_MS).unwrap().busy
        };
        assert!(busy("spse-app-01", 10) > 3.0 * busy("spse-app-01", 4));
        assert!(busy("cadangan-01", 2) > 5.0 * busy("cadangan-01", 10));
    }

    #[test]
    fn a_restart_takes_a_while_and_starts_the_counters_anew() {
        let mut host = host("spse-app-01", 40);
        let restart = host.restart_ms().unwrap();
        let before = host.at(restart - 1).unwrap();
        assert_eq!(host.at(restart + MINUTE_MS), None);
        let after = host.at(restart + RESTART_MS).unwrap();
        assert!(after.totals.receive < before.totals.receive);
        assert!(after.boot_seconds > before.boot_seconds);
    }

    #[test]
    fn added_memory_shows_a_minute_after_the_live_part_begins() {
        let mut host = host("spse-app-02", 1);
        let before = host.at(ANCHOR).unwrap();
        let after = host.at(ANCHOR + 2 * MINUTE_MS).unwrap();
        assert!(after.memory_bytes > before.memory_bytes);
        assert!(after.memory_share < before.memory_share);
    }
}
