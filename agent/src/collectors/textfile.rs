//! What other programs of this host leave in files `*.prom`, in Prometheus text format: their own names, and
//! `node_textfile_mtime_seconds`, `node_textfile_scrape_error`.
//!
//! A file that is wrong or too large gives nothing of itself, and the error. Times on lines are not taken,
//! nor names that only Siaga writes.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::UNIX_EPOCH;

use siaga_protocol::exposition::{self, Line, TimeUnit};

use super::{CollectError, Collector, round_to_micro};
use crate::config::{Textfile as Config, guard};
use crate::samples::{Kind, Output};
use crate::source::Source;

/// Largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Most files.
pub const MAX_FILES: usize = 64;

pub(super) struct Textfile {
    config: Config,
}

impl Textfile {
    pub(super) fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Collector for Textfile {
    fn collect(&mut self, _: &mut Source, out: &mut Output) -> Result<(), CollectError> {
        let mut failed = false;
        if let Some(folder) = &self.config.directory {
            match std::fs::read_dir(&**folder) {
                Ok(entries) => {
                    let files = entries.flatten().map(|entry| entry.path());
                    let mut files: Vec<_> =
                        files.filter(|path| path.extension().is_some_and(|e| e == "prom")).collect();
                    files.sort_unstable();
                    failed |= files.len() > MAX_FILES;
                    for path in files.iter().take(MAX_FILES) {
                        failed |= read(path, out).is_none();
                    }
                }
                Err(_) => failed = true,
            }
        }
        out.gauge("node_textfile_scrape_error", &[], f64::from(u8::from(failed)));
        Ok(())
    }
}

/// Records what a file says; `None` if it is not readable as a whole.
fn read(path: &Path, out: &mut Output) -> Option<()> {
    // No link: another program's folder must not lead to what only the agent may read.
    let file = guard::open_readable(path, false).ok()?;
    let meta = file.metadata().ok().filter(|meta| meta.len() <= MAX_FILE_BYTES)?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).ok()?;
    record_text(&text, out)?;
    let changed = meta.modified().ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    out.gauge("node_textfile_mtime_seconds", &[("file", path.to_str()?)], round_to_micro(changed));
    Some(())
}

/// Records a text in Prometheus format, all of it or nothing.
fn record_text(text: &str, out: &mut Output) -> Option<()> {
    let lines: Vec<Line> = text
        .lines()
        .map(|line| exposition::parse_line(line, TimeUnit::Milliseconds).ok())
        .collect::<Option<_>>()?;
    let mut kinds = HashMap::new();
    for line in &lines {
        if let Line::Type { name, kind } = line {
            kinds.insert(name.as_str(), Kind::of_text(kind));
        }
    }
    for line in &lines {
        let Line::Sample(sample) = line else { continue };
        let mut labels: Vec<(&str, &str)> =
            sample.labels.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let place = labels.iter().position(|(name, _)| *name == "__name__")?;
        let (_, name) = labels.remove(place);
        if is_reserved(name) {
            continue;
        }
        let kind = kinds.get(name).copied().unwrap_or(Kind::Untyped);
        out.record(kind, name, &labels, sample.value);
    }
    Some(())
}

/// Whether only Siaga itself writes series of this name; the server would refuse a whole request for one of them.
pub(crate) fn is_reserved(name: &str) -> bool {
    ["up", "ALERTS", "ALERTS_FOR_STATE"].contains(&name) || name.starts_with("siaga_") || name.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Recorder;

    #[test]
    fn files_are_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "a.prom",
                "# TYPE backup_age_seconds gauge\nbackup_age_seconds{job_name=\"db\"} 12.5\nup 1\na:b 1\n",
            ),
            ("b.prom", "good 1\nbad line here\n"),
            ("c.txt", "other 1\n"),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("c.txt", dir.path().join("d.prom")).unwrap();
        let (mut output, mut recorder) = (Output::default(), Recorder::default());
        let mut collector =
            Textfile::new(Config { directory: Some(dir.path().to_owned().try_into().unwrap()) });
        collector.collect(&mut Source::new(dir.path()), &mut output).unwrap();
        recorder.begin();
        recorder.take_up(&output);
        recorder.end();
        let text = recorder.to_text();
        assert!(text.contains("# TYPE backup_age_seconds gauge\nbackup_age_seconds{job_name=\"db\"} 12.5\n"));
        assert!(text.contains("node_textfile_scrape_error 1\n") && text.contains("/a.prom\"}"), "{text}");
        assert!(!text.contains("up 1") && !text.contains("a:b"), "{text}");
        assert!(!text.contains("good") && !text.contains("other") && !text.contains("b.prom"), "{text}");
    }
}
