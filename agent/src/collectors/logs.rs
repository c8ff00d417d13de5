//! Log files, followed with patterns that become counters: `siaga_log_*`. No text of a line leaves the host.
//!
//! A file is followed from its end at the agent's start. Rotation is survived in both ways: where the file is moved and
//! a new one made, the rest of the old one is read first; where it is cut, reading begins again at its start. Lines
//! written while the agent is down are not counted.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};

use super::{CollectError, Collector, value};
use crate::config::guard;
use crate::config::services::{Log, Watched};
use crate::samples::Output;
use crate::source::Source;

/// Most bytes of one file that a collection reads; what is more waits for the next.
pub const MAX_BYTES_A_COLLECTION: u64 = 8 * 1024 * 1024;
/// A longer line is looked at up to here.
pub const MAX_LINE_BYTES: usize = 64 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Logs {
    followed: Vec<Followed>,
    chunk: Vec<u8>,
}

impl Logs {
    pub(super) fn new(logs: &Watched<Log>) -> Self {
        let followed = logs.iter().map(Followed::new).collect();
        Self { followed, chunk: vec![0; if logs.is_empty() { 0 } else { CHUNK_BYTES }] }
    }
}

impl Collector for Logs {
    fn collect(&mut self, _: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        for followed in &mut self.followed {
            let readable = followed.read(&mut self.chunk).is_ok();
            followed.begun = true;
            followed.tell(readable, out);
        }
        Ok(())
    }
}

struct Followed {
    log: Log,
    open: Option<(File, u64)>,
    /// Whether the agent has looked before: a file that is made later is read from its start.
    begun: bool,
    line: Vec<u8>,
    lines: u64,
    bytes: u64,
    matches: Vec<u64>,
}

impl Followed {
    fn new(log: &Log) -> Self {
        let matches = vec![0; log.patterns.iter().count()];
        let line = Vec::new();
        Self { log: log.clone(), open: None, begun: false, line, lines: 0, bytes: 0, matches }
    }

    fn read(&mut self, chunk: &mut [u8]) -> std::io::Result<()> {
        let mut left = MAX_BYTES_A_COLLECTION;
        if let Some((file, offset)) = self.open.take() {
            let offset = if file.metadata()?.len() < offset { self.begin_line(0) } else { offset };
            let offset = self.read_on(&file, offset, &mut left, chunk)?;
            let is_same = |now: &Metadata| {
                file.metadata().is_ok_and(|before| (before.dev(), before.ino()) == (now.dev(), now.ino()))
            };
            let now = std::fs::metadata(&*self.log.path);
            // As long as there is no new file, or bytes are left in the old one, the old one is followed.
            if left == 0 || now.as_ref().map_or(true, is_same) {
                self.open = Some((file, offset));
                return now.map(drop);
            }
            self.begin_line(0);
        }
        let file = guard::open_readable(&self.log.path, true)?;
        let start = if self.begun { 0 } else { file.metadata()?.len() };
        let offset = self.read_on(&file, start, &mut left, chunk)?;
        self.open = Some((file, offset));
        Ok(())
    }

    fn begin_line(&mut self, offset: u64) -> u64 {
        self.line.clear();
        offset
    }

    fn read_on(&mut self, file: &File, start: u64, left: &mut u64, chunk: &mut [u8]) -> std::io::Result<u64> {
        let mut offset = start;
        while *left > 0 {
            let room = usize::try_from(*left).unwrap_or(usize::MAX).min(chunk.len());
            let Some(part) = chunk.get_mut(..room) else { break };
            let length = file.read_at(part, offset)?;
            if length == 0 {
                break;
            }
            offset += length as u64;
            *left -= length as u64;
            self.bytes += length as u64;
            self.take(part.get(..length).unwrap_or_default());
        }
        Ok(offset)
    }

    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
            if part.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.line);
                for ((_, pattern), count) in self.log.patterns.iter().zip(&mut self.matches) {
                    *count += u64::from(pattern.matches(line.trim_end()));
                }
                self.lines += 1;
                self.line.clear();
            }
        }
    }

    fn tell(&self, readable: bool, out: &mut Output) {
        let log = ("log", self.log.name.as_str());
        out.gauge("siaga_log_readable", &[log], f64::from(u8::from(readable)));
        out.counter("siaga_log_lines_total", &[log], value(self.lines));
        out.counter("siaga_log_bytes_total", &[log], value(self.bytes));
        for ((pattern, _), count) in self.log.patterns.iter().zip(&self.matches) {
            out.counter("siaga_log_matches_total", &[log, ("pattern", pattern)], value(*count));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn append(path: &Path, text: &str) {
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_are_counted_once_through_every_kind_of_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("app.log");
        append(&path, "ERROR before the agent\n");
        let text = format!(
            "[[collect.logs]]\nname = \"app\"\npath = \"{}\"\npatterns = {{ error = '^ERROR', slow = 'took \\d+ s' }}\n",
            path.display()
        );
        let config = Config::parse(&text, Path::new("x")).unwrap();
        let mut followed = Followed::new(&config.collect.logs[0]);
        let mut chunk = vec![0; 7]; // smaller than a line
        let mut look = |step: &str, readable: bool, counts: [u64; 3]| {
            assert_eq!(followed.read(&mut chunk).is_ok(), readable, "{step}");
            followed.begun = true;
            assert_eq!([followed.lines, followed.matches[0], followed.matches[1]], counts, "{step}");
        };
        look("from the end", true, [0, 0, 0]);
        append(&path, "ERROR a took 5 s\nINFO b\nERROR hal");
        look("half a line waits", true, [2, 1, 1]);
        append(&path, "f\n");
        look("its rest", true, [3, 2, 1]);
        append(&path, "ERROR last of the old\n");
        std::fs::rename(&path, dir.path().join("app.log.1")).unwrap();
        look("moved, no new one yet", false, [4, 3, 1]);
        append(&dir.path().join("app.log.1"), "ERROR still written to\n");
        append(&path, "ERROR first of the new\n");
        look("moved, new one made", true, [6, 5, 1]);
        std::fs::write(&path, "ERROR\n").unwrap();
        look("cut", true, [7, 6, 1]);
        append(&path, &"x".repeat(MAX_LINE_BYTES * 2));
        append(&path, "\nERROR after a long one\n");
        look("a long line", true, [9, 7, 1]);
        assert!(followed.line.capacity() <= MAX_LINE_BYTES * 2);
    }
}
