//! The list of failures that are known, each with its reason.

use std::collections::BTreeMap;
use std::path::Path;

/// Lines of `file.test:line reason`; the line may be `*`, for a file that tests what is not wanted.
pub(crate) struct Known(BTreeMap<(String, String), String>);

impl Known {
    pub(crate) fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let entries = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| {
            let (place, reason) = l.split_once(' ').unwrap_or_else(|| panic!("no reason given: {l}"));
            let (file, line) = place.split_once(':').unwrap_or_else(|| panic!("no line given: {l}"));
            ((file.to_owned(), line.to_owned()), reason.trim().to_owned())
        });
        Self(entries.collect())
    }

    /// New failures of a file, and listed ones that are none any more.
    pub(crate) fn complaints(&self, file: &str, failed: &[(usize, String)]) -> Vec<String> {
        let is_listed = |line: &str| self.0.contains_key(&(file.to_owned(), line.to_owned()));
        if is_listed("*") {
            return Vec::new();
        }
        let mut out = Vec::new();
        for (line, why) in failed.iter().filter(|(line, _)| !is_listed(&line.to_string())) {
            out.push(format!("{file}:{line} {why}"));
        }
        for (_, line) in self.0.keys().filter(|(f, _)| f == file) {
            if !failed.iter().any(|(failed, _)| failed.to_string() == *line) {
                out.push(format!("{file}:{line} is listed as a known failure but passes: remove it"));
            }
        }
        out
    }
}
