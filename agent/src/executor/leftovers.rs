//! Commands that an executor which was killed left running: found again when it is back, and ended before anything is
//! undone, for they could break again what the undo restores.
//!
//! A command bears a mark in its environment, and its session stands in the journal before it starts; its process group
//! with the start time of its first process follows as soon as it has one. Invariants: a group is killed only if it is
//! proven to be that of the command, by the mark of one of its processes or by the start time of its first one, in the
//! same boot and session, so that a number that was given away again is never hit. What a command put into a session of
//! its own (a service that it started) is meant to stay.
//!
//! `PR_SET_PDEATHSIG` is no second belt: it reaches the first process alone, is lost where that one changes its user,
//! and hangs on the thread that started it. Under systemd the end of the unit's control group is one already.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, getpid, kill_process_group};
use serde::{Deserialize, Serialize};

/// Variable of the environment in which a command bears its mark.
pub(super) const MARK: &str = "SIAGA_COMMAND";
/// Longest wait for the end of what was killed.
const END_WITHIN: Duration = Duration::from_secs(5);
const LOOK_PAUSE: Duration = Duration::from_millis(20);
/// Longest environment that is looked through, bytes; the kernel allows more, but the mark stands far in front.
const MAX_ENVIRONMENT: usize = 64 * 1024;

/// A command that is running, or was when the executor ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunningCommand {
    /// Unique.
    pub(super) mark: String,
    /// The order that it carries out; none for an undo that nobody ordered.
    pub(super) order_id: Option<String>,
    /// Its action.
    pub(super) action: String,
    boot_id: String,
    session: i32,
    leader: Option<Leader>,
}

/// First process of a group; the group bears its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Leader {
    pid: i32,
    /// When it started, in ticks since boot, as the kernel says.
    start_ticks: u64,
}

/// What became of a leftover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing of it ran any more.
    WasOver,
    /// It ran, and was killed.
    Killed,
    /// It runs still: the kernel holds it, or it belongs to another user.
    Runs,
}

impl RunningCommand {
    /// A command that is about to start.
    pub(super) fn new(order_id: Option<&str>, action: &str) -> Self {
        Self {
            mark: format!("{:032x}", rand::random::<u128>()),
            order_id: order_id.map(ToOwned::to_owned),
            action: action.to_owned(),
            boot_id: boot_id(),
            session: Process::own().map_or(0, |executor| executor.session),
            leader: None,
        }
    }

    /// It has started. A first process that is gone already leaves the mark alone to find the others by.
    pub(super) fn has_started(&mut self, pid: Pid) {
        let process = Process::read(pid.as_raw_pid());
        self.leader = process.map(|process| Leader { pid: process.pid, start_ticks: process.start_ticks });
    }

    /// Kills what still runs of it, and waits a moment for its end.
    pub(super) async fn end(&self) -> Ending {
        if self.boot_id != boot_id() {
            return Ending::WasOver;
        }
        let deadline = tokio::time::Instant::now() + END_WITHIN;
        let mut ending = Ending::WasOver;
        loop {
            let groups = self.groups(&processes(), |pid| is_marked(pid, &self.mark));
            if groups.is_empty() {
                return ending;
            }
            if tokio::time::Instant::now() >= deadline {
                return Ending::Runs;
            }
            ending = Ending::Killed;
            for group in groups.into_iter().filter_map(Pid::from_raw) {
                if let Err(error) = kill_process_group(group, Signal::KILL) {
                    tracing::debug!(action = self.action, %error, "a process group cannot be killed");
                }
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }

    /// Process groups that are this command's and have a process that lives. Pure.
    fn groups(&self, processes: &[Process], is_marked: impl Fn(i32) -> bool) -> BTreeSet<i32> {
        let is_leader = |process: &Process, leader: Leader| {
            process.pid == leader.pid && process.start_ticks == leader.start_ticks
        };
        let own_group = Process::own().map(|executor| executor.group);
        let proven = self.leader.filter(|leader| processes.iter().any(|process| is_leader(process, *leader)));
        processes
            .iter()
            .filter(|process| process.session == self.session && process.lives)
            .filter(|process| {
                proven.is_some_and(|leader| process.group == leader.pid) || is_marked(process.pid)
            })
            .map(|process| process.group)
            // An executor that such a command started bears its mark too.
            .filter(|group| Some(*group) != own_group && *group != getpid().as_raw_pid())
            .collect()
    }
}

/// Which boot of this machine it is; process numbers and ticks begin anew with each.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    pid: i32,
    group: i32,
    session: i32,
    start_ticks: u64,
    /// Neither dead nor waiting to be fetched by its parent.
    lives: bool,
}

impl Process {
    /// The executor itself. Its group and session are 0 where their first process is outside of its container,
    /// for which `getsid` and `getpgrp` of rustix have no value.
    fn own() -> Option<Self> {
        Self::read(getpid().as_raw_pid())
    }

    fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// Fields of `/proc/PID/stat` (proc(5)); the name, which may hold anything, ends with the last parenthesis.
    fn parse(pid: i32, stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        Some(Self {
            pid,
            lives: !matches!(*fields.first()?, "Z" | "X" | "x"),
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }
}

fn processes() -> Vec<Process> {
    let Ok(folder) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = folder.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::read).collect()
}

/// Whether a process bears the mark; false where its environment may not be read.
fn is_marked(pid: i32, mark: &str) -> bool {
    let read = |path: &Path| {
        let mut text = Vec::new();
        let file = std::fs::File::open(path).ok()?;
        std::io::Read::read_to_end(&mut std::io::Read::take(file, MAX_ENVIRONMENT as u64), &mut text).ok()?;
        Some(text)
    };
    let wanted = format!("{MARK}={mark}");
    read(Path::new(&format!("/proc/{pid}/environ")))
        .is_some_and(|text| text.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn spawn(command: &RunningCommand, script: &str) -> Child {
        let mut child = Command::new("sh");
        child.args(["-c", script]).env(MARK, &command.mark).stdout(Stdio::piped()).process_group(0);
        child.spawn().unwrap()
    }

    fn lives(pid: i32) -> bool {
        Process::read(pid).is_some_and(|process| process.lives)
    }

    fn first_line(child: &mut Child) -> i32 {
        let mut line = String::new();
        let output = child.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line).unwrap();
        line.trim().parse().unwrap()
    }

    #[tokio::test]
    async fn a_command_is_ended_with_its_children_by_its_first_process_and_by_its_mark() {
        for known in [true, false] {
            let mut command = RunningCommand::new(None, "a");
            let mut child = spawn(&command, "sleep 600 & echo $!; wait");
            let grandchild = first_line(&mut child);
            if known {
                command.has_started(Pid::from_child(&child));
                // The mark alone would not find it.
                command.mark = "other".to_owned();
            }
            assert_eq!(command.end().await, Ending::Killed, "{known}");
            assert!(!lives(grandchild) && !lives(child.id().cast_signed()));
            child.wait().unwrap();
            assert_eq!(command.end().await, Ending::WasOver);
        }
    }

    #[tokio::test]
    async fn what_is_left_of_a_group_whose_first_process_is_gone_is_found_by_its_mark() {
        let mut command = RunningCommand::new(None, "a");
        let mut child = spawn(&command, "sleep 600 >&- & echo $!");
        command.has_started(Pid::from_child(&child));
        let grandchild = first_line(&mut child);
        child.wait().unwrap();
        assert_eq!(command.end().await, Ending::Killed);
        assert!(!lives(grandchild));
    }

    #[tokio::test]
    async fn a_number_that_was_given_away_again_is_not_hit() {
        let other = RunningCommand::new(None, "b");
        let mut child = spawn(&other, "exec sleep 600");
        let mut command = RunningCommand::new(None, "a");
        command.has_started(Pid::from_child(&child));
        command.leader.as_mut().unwrap().start_ticks += 1;
        assert_eq!(command.end().await, Ending::WasOver);
        command.leader.as_mut().unwrap().start_ticks -= 1;
        command.boot_id = "of last week".to_owned();
        assert_eq!(command.end().await, Ending::WasOver);
        assert!(lives(child.id().cast_signed()));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_service_in_a_session_of_its_own_stays_and_the_dead_do_not_count() {
        let command = RunningCommand { session: 7, ..RunningCommand::new(None, "a") };
        let process = Process { pid: 10, group: 10, session: 7, start_ticks: 1, lives: true };
        let service = Process { pid: 11, group: 11, session: 11, ..process };
        let dead = Process { pid: 12, group: 12, lives: false, ..process };
        assert_eq!(command.groups(&[process, service, dead], |_| true), BTreeSet::from([10]));
    }

    #[test]
    fn the_fields_of_a_process_stand_after_its_name() {
        let stat = "42 (a) b) S 1 40 39 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 1 1";
        let process = Process { pid: 42, group: 40, session: 39, start_ticks: 98_765, lives: true };
        assert_eq!(Process::parse(42, stat), Some(process));
        assert_eq!(Process::parse(42, "42 (a) S 1"), None);
    }
}
