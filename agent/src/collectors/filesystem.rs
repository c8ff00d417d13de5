//! Size and free space of filesystems: `node_filesystem_*`.
//!
//! `statvfs` on a dead network mount never returns. But for filesystems on devices of this host, which it is asked of
//! directly, it therefore runs on a thread of its own with a deadline: a
//! filesystem that does not answer is reported as `node_filesystem_device_error`, is left alone until its thread
//! comes back, and costs at most one deadline. The number of threads that hang is bounded by [`MAX_STUCK`].

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::StatVfs;

use super::{CollectError, Collector, value};
use crate::config::FilesystemFilter;
use crate::samples::Output;
use crate::source::Source;

/// Threads that may hang at the same time. Beyond, filesystems are reported as broken without being asked.
pub const MAX_STUCK: usize = 8;

/// Filesystems that answer from the kernel's memory. Should one hang all the same, the collector hangs alone.
const LOCAL: [&str; 7] = ["ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "vfat"];

/// One line of the mount table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Device or its name.
    pub device: String,
    /// Where it is mounted.
    pub mountpoint: String,
    /// Type.
    pub fstype: String,
    /// Mounted read-only.
    pub readonly: bool,
}

/// The lines of a mount table that the filter lets through; of several mounts on one another, the first.
#[must_use]
pub fn parse_mounts(text: &str, filter: &FilesystemFilter) -> Vec<Mount> {
    let mut seen = HashSet::new();
    text.lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (device, mountpoint, fstype, options) =
                (words.next()?, words.next()?, words.next()?, words.next()?);
            let mountpoint = unescape(mountpoint);
            if filter.exclude_fstypes.matches(fstype) || filter.exclude_mountpoints.matches(&mountpoint) {
                return None;
            }
            Some(Mount {
                device: unescape(device),
                mountpoint,
                fstype: fstype.to_owned(),
                readonly: options.split(',').any(|option| option == "ro"),
            })
        })
        .filter(|mount| seen.insert((mount.device.clone(), mount.mountpoint.clone(), mount.fstype.clone())))
        .collect()
}

/// The kernel writes blank, tab, line end and backslash as three octal digits.
fn unescape(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let digits = rest.get(at + 1..at + 4);
        if let Some(code) = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(u8::is_ascii)
        {
            out.push(char::from(code));
            rest = &rest[at + 4..];
        } else {
            out.push('\\');
            rest = &rest[at + 1..];
        }
    }
    out.push_str(rest);
    out
}

type Answer = std::io::Result<StatVfs>;

struct Worker {
    questions: Sender<PathBuf>,
    answers: Receiver<Answer>,
}

/// Asks filesystems for their sizes without ever waiting longer than the deadline.
pub struct StatProbe {
    worker: Option<Worker>,
    /// Asked and not answered yet.
    asked: Arc<Mutex<HashSet<PathBuf>>>,
    deadline: Duration,
    ask: fn(&std::path::Path) -> Answer,
}

impl StatProbe {
    /// A probe with this deadline for each filesystem.
    #[must_use]
    pub fn new(deadline: Duration) -> Self {
        Self::with(deadline, |path| rustix::fs::statvfs(path).map_err(std::io::Error::from))
    }

    fn with(deadline: Duration, ask: fn(&std::path::Path) -> Answer) -> Self {
        Self { worker: None, asked: Arc::default(), deadline, ask }
    }

    /// Size and free space of the filesystem at `path`.
    ///
    /// # Errors
    /// The kernel's own, or a timeout if it does not answer or did not answer earlier.
    pub fn stat(&mut self, path: PathBuf) -> Answer {
        let timed_out = || std::io::Error::from(std::io::ErrorKind::TimedOut);
        {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if asked.len() >= MAX_STUCK || !asked.insert(path.clone()) {
                return Err(timed_out());
            }
        }
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => self.start()?,
        };
        if worker.questions.send(path).is_err() {
            return Err(std::io::Error::other("the thread that asks filesystems has ended"));
        }
        match worker.answers.recv_timeout(self.deadline) {
            Ok(answer) => {
                self.worker = Some(worker);
                answer
            }
            // The worker is left to itself: it ends when it comes back and nobody asks any more.
            Err(_) => Err(timed_out()),
        }
    }

    fn start(&self) -> std::io::Result<Worker> {
        let (questions, incoming) = channel::<PathBuf>();
        let (outgoing, answers) = channel();
        let (asked, ask) = (Arc::clone(&self.asked), self.ask);
        std::thread::Builder::new().name("siaga-statvfs".into()).stack_size(64 * 1024).spawn(move || {
            while let Ok(path) = incoming.recv() {
                let answer = ask(&path);
                asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
                if outgoing.send(answer).is_err() {
                    return;
                }
            }
        })?;
        Ok(Worker { questions, answers })
    }
}

pub(super) struct Filesystem {
    filter: FilesystemFilter,
    probe: StatProbe,
    table: String,
    mounts: Vec<Mount>,
}

impl Filesystem {
    pub(super) fn new(filter: FilesystemFilter) -> Self {
        let probe = StatProbe::new(Duration::from_millis(filter.deadline_milliseconds.get()));
        Self { filter, probe, table: String::new(), mounts: Vec::new() }
    }
}

impl Collector for Filesystem {
    fn collect(&mut self, source: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let table = read_mount_table(source)?;
        // The table seldom changes; the patterns are tried only when it does.
        if table != self.table {
            self.mounts = parse_mounts(table, &self.filter);
            table.clone_into(&mut self.table);
        }
        for mount in &self.mounts {
            let labels = [
                ("device", mount.device.as_str()),
                ("fstype", mount.fstype.as_str()),
                ("mountpoint", mount.mountpoint.as_str()),
            ];
            let path = source.path(mount.mountpoint.trim_start_matches('/'));
            let answer = if LOCAL.contains(&mount.fstype.as_str()) {
                rustix::fs::statvfs(&path).map_err(std::io::Error::from)
            } else {
                self.probe.stat(path)
            };
            let broken = f64::from(u8::from(answer.is_err()));
            out.gauge("node_filesystem_device_error", &labels, broken);
            out.gauge("node_filesystem_readonly", &labels, f64::from(u8::from(mount.readonly)));
            let Ok(stat) = answer else { continue };
            for (name, amount) in [
                ("node_filesystem_size_bytes", stat.f_blocks.saturating_mul(stat.f_frsize)),
                ("node_filesystem_free_bytes", stat.f_bfree.saturating_mul(stat.f_frsize)),
                ("node_filesystem_avail_bytes", stat.f_bavail.saturating_mul(stat.f_frsize)),
                ("node_filesystem_files", stat.f_files),
                ("node_filesystem_files_free", stat.f_ffree),
            ] {
                out.gauge(name, &labels, value(amount));
            }
        }
        Ok(())
    }
}

/// The mount table of process 1, which sees the machine; an agent without that right reads its own.
pub(crate) fn read_mount_table(source: &mut Source) -> Result<&str, CollectError> {
    let path = if source.is_readable("proc/1/mounts") { "proc/1/mounts" } else { "proc/self/mounts" };
    Ok(source.read(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_filtered_unescaped_and_listed_once() {
        let text = "proc /proc proc rw 0 0\n\
                    /dev/sda1 / ext4 rw,relatime 0 0\n\
                    /dev/sda1 / ext4 rw,relatime 0 0\n\
                    srv:/x /mnt/data\\040kita nfs4 ro,vers=4.2 0 0\n\
                    tmpfs /dev/shm tmpfs rw 0 0\n\
                    broken\n";
        let mounts = parse_mounts(text, &FilesystemFilter::default());
        let seen: Vec<_> = mounts.iter().map(|m| (m.mountpoint.as_str(), m.readonly)).collect();
        assert_eq!(seen, [("/", false), ("/mnt/data kita", true)]);
        assert_eq!(unescape(r"a\134b\9\04"), r"a\b\9\04");
    }

    #[test]
    fn a_filesystem_that_does_not_answer_is_given_up_and_the_others_still_answer() {
        static GATE: Mutex<()> = Mutex::new(());
        fn ask(path: &std::path::Path) -> Answer {
            if path.to_string_lossy().starts_with("/dead") {
                let _waits = GATE.lock().unwrap_or_else(PoisonError::into_inner);
            }
            rustix::fs::statvfs("/").map_err(std::io::Error::from)
        }
        let hold = GATE.lock().unwrap();
        let mut probe = StatProbe::with(Duration::from_millis(50), ask);
        assert!(probe.stat("/".into()).is_ok());
        for dead in 0..MAX_STUCK - 1 {
            let path = PathBuf::from(format!("/dead{dead}"));
            assert_eq!(probe.stat(path.clone()).err().unwrap().kind(), std::io::ErrorKind::TimedOut);
            assert_eq!(probe.stat(path).err().unwrap().kind(), std::io::ErrorKind::TimedOut);
            assert!(probe.stat("/".into()).is_ok());
        }
        drop(hold);
        // The threads come back, and their filesystems are asked again.
        while !probe.asked.lock().unwrap().is_empty() {
            std::thread::yield_now();
        }
        assert!(probe.stat("/dead0".into()).is_ok());
    }
}
