//! Processes chosen by pattern, under the names of process-exporter: `namedprocess_namegroup_*`. No command line leaves
//! the host.
//!
//! Processor time of a group is a counter: time of processes that have ended stays in it. Which group a process belongs
//! to is looked up again in its first collections, since a program often begins as a copy of another.

use std::collections::HashMap;

use rustix::param::{clock_ticks_per_second, page_size};

use super::{CollectError, Collector, number, value};
use crate::config::services::{ProcessGroup, Watched};
use crate::samples::Output;
use crate::source::{Folder, Source};

/// Collections in which the command line of a process is looked at.
const LOOKS: u32 = 4;
/// Longest part of a command line that is matched, in bytes.
const MAX_COMMAND_BYTES: usize = 4096;

pub(super) struct ProcessGroups {
    groups: Watched<ProcessGroup>,
    known: HashMap<u64, Known>,
    /// User and system, ticks, by group.
    ticks: Vec<[u64; 2]>,
    round: u64,
}

#[derive(Default)]
struct Known {
    started: u64,
    group: Option<usize>,
    looks: u32,
    ticks: [u64; 2],
    round: u64,
}

/// What one collection finds of a group.
#[derive(Default, Clone)]
struct Sum {
    processes: u64,
    threads: u64,
    resident: u64,
    virtual_memory: u64,
    files: u64,
    worst_file_ratio: f64,
    oldest: Option<u64>,
}

/// Fields of `/proc/PID/stat`.
struct Stat {
    ticks: [u64; 2],
    threads: u64,
    started: u64,
    virtual_memory: u64,
    resident: u64,
}

impl ProcessGroups {
    pub(super) fn new(groups: &Watched<ProcessGroup>) -> Self {
        Self { groups: groups.clone(), known: HashMap::new(), ticks: vec![[0; 2]; groups.len()], round: 0 }
    }

    fn look_at(&mut self, proc: &Folder, source: &Source, pid: u64, sums: &mut [Sum]) -> Option<()> {
        let mut buffer = [0; 1024];
        let stat = parse(proc.read(&format!("{pid}/stat"), &mut buffer)?)?;
        let known = self.known.entry(pid).or_default();
        if known.started != stat.started {
            *known = Known { started: stat.started, ..Known::default() };
        }
        known.round = self.round;
        if known.looks < LOOKS {
            known.looks += 1;
            let mut buffer = [0; MAX_COMMAND_BYTES];
            let command = proc.read(&format!("{pid}/cmdline"), &mut buffer)?.trim_end_matches('\0');
            let command = command.replace('\0', " ");
            let group = self.groups.iter().position(|group| group.pattern.matches(&command));
            if group != known.group {
                // What it used before it belonged here is not this group's.
                known.ticks = if known.looks > 1 { stat.ticks } else { known.ticks };
            }
            known.group = group;
        }
        let group = known.group?;
        for (total, (now, before)) in
            self.ticks.get_mut(group)?.iter_mut().zip(stat.ticks.iter().zip(known.ticks))
        {
            *total += now.saturating_sub(before);
        }
        known.ticks = stat.ticks;
        sums.get_mut(group)?.add(&stat, files(proc, source, pid));
        Some(())
    }
}

impl Sum {
    fn add(&mut self, stat: &Stat, files: Option<(u64, u64)>) {
        self.processes += 1;
        self.threads += stat.threads;
        self.resident += stat.resident * page_size() as u64;
        self.virtual_memory += stat.virtual_memory;
        self.oldest = Some(self.oldest.map_or(stat.started, |oldest| oldest.min(stat.started)));
        if let Some((open, limit)) = files {
            self.files += open;
            self.worst_file_ratio = self.worst_file_ratio.max(value(open) / value(limit.max(1)));
        }
    }
}

impl Collector for ProcessGroups {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        if self.groups.is_empty() {
            return Ok(());
        }
        self.round += 1;
        let proc = source.folder("proc").ok_or(CollectError::Format { file: "proc", what: "folder" })?;
        let mut sums = vec![Sum::default(); self.groups.len()];
        for pid in source.names("proc").iter().filter_map(|name| name.parse().ok()) {
            // A process that has ended in between is no error.
            let _ = self.look_at(&proc, source, pid, &mut sums);
        }
        self.known.retain(|_, known| known.round == self.round);
        let boot = source.proc_stat()?.lines().find_map(|line| line.strip_prefix("btime "));
        let boot = value(number(boot));
        let seconds = |ticks: u64| value(ticks) / value(clock_ticks_per_second());
        for ((group, sum), ticks) in self.groups.iter().zip(&sums).zip(&self.ticks) {
            let name = ("groupname", group.name.as_str());
            for (mode, ticks) in ["user", "system"].into_iter().zip(ticks) {
                out.counter(
                    "namedprocess_namegroup_cpu_seconds_total",
                    &[name, ("mode", mode)],
                    seconds(*ticks),
                );
            }
            for (kind, bytes) in [("resident", sum.resident), ("virtual", sum.virtual_memory)] {
                out.gauge("namedprocess_namegroup_memory_bytes", &[name, ("memtype", kind)], value(bytes));
            }
            out.gauge("namedprocess_namegroup_num_procs", &[name], value(sum.processes));
            out.gauge("namedprocess_namegroup_num_threads", &[name], value(sum.threads));
            out.gauge("namedprocess_namegroup_open_filedesc", &[name], value(sum.files));
            out.gauge("namedprocess_namegroup_worst_fd_ratio", &[name], sum.worst_file_ratio);
            if let Some(oldest) = sum.oldest {
                let start = boot + seconds(oldest);
                out.gauge("namedprocess_namegroup_oldest_start_time_seconds", &[name], start);
            }
        }
        Ok(())
    }
}

/// Open files and their limit; `None` where the agent may not look.
fn files(proc: &Folder, source: &Source, pid: u64) -> Option<(u64, u64)> {
    let mut buffer = [0; 2048];
    let limits = proc.read(&format!("{pid}/limits"), &mut buffer)?;
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let limit = limit.split_ascii_whitespace().next()?.parse().unwrap_or(u64::MAX);
    let open = source.count(&format!("proc/{pid}/fd"))?;
    Some((open, limit))
}

/// The name in parentheses may itself hold parentheses and blanks.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(')')?;
    let words: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |place: usize| number(words.get(place).copied());
    Some(Stat {
        ticks: [field(11), field(12)],
        threads: field(17),
        started: field(19),
        virtual_memory: field(20),
        resident: field(21),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::samples::Recorder;

    fn write(root: &Path, pid: u32, command: &str, [user, system]: [u64; 2]) {
        let folder = root.join(format!("proc/{pid}"));
        std::fs::create_dir_all(folder.join("fd")).unwrap();
        for fd in 0..4 {
            std::fs::write(folder.join("fd").join(fd.to_string()), "").unwrap();
        }
        std::fs::write(folder.join("cmdline"), command.replace(' ', "\0")).unwrap();
        let line =
            format!("{pid} (a) b) S 1 1 1 0 -1 4 0 0 0 0 {user} {system} 0 0 20 0 3 0 {pid} 8192 2 0\n");
        std::fs::write(folder.join("stat"), line).unwrap();
        std::fs::write(folder.join("limits"), "Max open files            8                    8   files\n")
            .unwrap();
    }

    #[test]
    fn a_group_is_summed_and_its_processor_time_never_runs_back() {
        let dir = tempfile::tempdir().unwrap();
        let text = "[[collect.process_groups]]\nname = \"db\"\npattern = '(^|/)postgres( |:|$)'\n";
        let config = Config::parse(text, Path::new("x")).unwrap();
        let mut collector = ProcessGroups::new(&config.collect.process_groups);
        let mut look = || {
            let (mut output, mut recorder) = (Output::default(), Recorder::default());
            let mut source = Source::new(dir.path());
            collector.collect(&mut source, &mut output).unwrap();
            recorder.begin();
            recorder.take_up(&output);
            recorder.end();
            recorder.to_text()
        };
        write(dir.path(), 500, "/usr/lib/postgres -D /data", [100, 200]);
        write(dir.path(), 600, "postgres: writer", [50, 0]);
        write(dir.path(), 700, "vi postgres.conf", [9, 9]);
        std::fs::write(dir.path().join("proc/stat"), "btime 1000\n").unwrap();
        let ticks = value(clock_ticks_per_second());
        let has = |text: &str, line: String| assert!(text.contains(&line), "{line}\n{text}");
        let cpu =
            |user: f64| format!("cpu_seconds_total{{groupname=\"db\",mode=\"user\"}} {}\n", user / ticks);
        let text = look();
        has(&text, "num_procs{groupname=\"db\"} 2\n".into());
        has(&text, "num_threads{groupname=\"db\"} 6\n".into());
        has(&text, "open_filedesc{groupname=\"db\"} 8\n".into());
        has(&text, "worst_fd_ratio{groupname=\"db\"} 0.5\n".into());
        has(&text, format!("memory_bytes{{groupname=\"db\",memtype=\"resident\"}} {}\n", 4 * page_size()));
        has(&text, format!("oldest_start_time_seconds{{groupname=\"db\"}} {}\n", 1_000.0 + 500.0 / ticks));
        has(&text, cpu(150.0));
        std::fs::remove_dir_all(dir.path().join("proc/600")).unwrap();
        write(dir.path(), 500, "/usr/lib/postgres -D /data", [130, 200]);
        let text = look();
        has(&text, "num_procs{groupname=\"db\"} 1\n".into());
        has(&text, cpu(180.0));
    }
}
