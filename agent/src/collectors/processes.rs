//! Number, states and threads of processes: `node_processes_*`.
//!
//! One open, read and close for each process would be most of the cost of a collection, so folders and files are read
//! through descriptors into buffers on the stack, and only every [`EVERY_ROUNDS`] collections; in between, the figures
//! of the last count are given again.

use std::mem::MaybeUninit;

use rustix::fs::{Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

use super::{CollectError, Collector, number, value};
use crate::samples::Output;
use crate::source::Source;

/// Collections from one count to the next: a minute with the default interval.
const EVERY_ROUNDS: u64 = 4;

#[derive(Default)]
pub(super) struct Processes {
    round: u64,
    counts: Counts,
}

/// States that always have a series, so that a rule on zombies sees a 0 and not a gap.
const STATES: [&str; 6] = ["D", "I", "R", "S", "T", "Z"];

#[derive(Default)]
struct Counts {
    processes: u64,
    threads: u64,
    states: [u64; 26],
}

impl Collector for Processes {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        if self.round.is_multiple_of(EVERY_ROUNDS) {
            self.counts = count(source)?;
        }
        self.round += 1;
        let counts = &self.counts;
        out.gauge("node_processes_pids", &[], value(counts.processes));
        out.gauge("node_processes_threads", &[], value(counts.threads));
        for (letter, number) in ('A'..='Z').zip(counts.states) {
            let mut buffer = [0; 4];
            let state: &str = letter.encode_utf8(&mut buffer);
            if number > 0 || STATES.contains(&state) {
                out.gauge("node_processes_state", &[("state", state)], value(number));
            }
        }
        for (name, file) in [
            ("node_processes_max_processes", "proc/sys/kernel/pid_max"),
            ("node_processes_max_threads", "proc/sys/kernel/threads-max"),
        ] {
            let limit = number(Some(source.read(file)?.trim()));
            out.gauge(name, &[], value(limit));
        }
        Ok(())
    }
}

fn count(source: &Source) -> Result<Counts, CollectError> {
    let failed = |operation| move |e: Errno| CollectError::System { operation, source: e.into() };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = rustix::fs::open(source.path("proc"), flags, Mode::empty()).map_err(failed("open /proc"))?;
    let mut counts = Counts::default();
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut folder = RawDir::new(&proc, &mut buffer);
    while let Some(entry) = folder.next() {
        let entry = entry.map_err(failed("list /proc"))?;
        let pid = entry.file_name().to_bytes();
        if !pid.iter().all(u8::is_ascii_digit) || pid.len() > 10 {
            continue;
        }
        // A process that has ended in between is no error: it is not there.
        if let Some((state, threads)) = read_stat(&proc, pid) {
            counts.processes += 1;
            counts.threads += threads;
            if state.is_ascii_uppercase() {
                counts.states[usize::from(state - b'A')] += 1;
            } else if state == b't' {
                counts.states[usize::from(b'T' - b'A')] += 1; // stopped by a debugger
            }
        }
    }
    Ok(counts)
}

fn read_stat(proc: &impl std::os::fd::AsFd, pid: &[u8]) -> Option<(u8, u64)> {
    let mut path = [0; 16];
    path[..pid.len()].copy_from_slice(pid);
    path[pid.len()..pid.len() + 5].copy_from_slice(b"/stat");
    let file = openat(proc, &path[..pid.len() + 5], OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 1024];
    let length = rustix::io::read(&file, &mut buffer).ok()?;
    parse_stat(&buffer[..length])
}

/// State and threads of a `/proc/PID/stat`. The name in parentheses may itself hold parentheses and blanks.
fn parse_stat(line: &[u8]) -> Option<(u8, u64)> {
    let end = line.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(&line[end + 1..]).ok()?;
    let mut words = rest.split_ascii_whitespace();
    let state = *words.next()?.as_bytes().first()?;
    Some((state, number(words.nth(16))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_hide_the_state() {
        let line = b"7 (a) R (b) Z 1 7 7 0 -1 4 0 0 0 0 1 2 3 4 20 0 11 0 5\n";
        assert_eq!(parse_stat(line), Some((b'Z', 11)));
        assert_eq!(parse_stat(b"7 (a"), None);
        assert_eq!(parse_stat(b"7 (a)"), None);
    }
}
