//! The list of failures that are known, each with its reason.

use std::collections::BTreeMap;
use std::path::Path;

/// Lines of `file.test:line reason`.
pub(crate) struct Known(BTreeMap<(String, usize), String>);

impl Known {
    pub(crate) fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let entries = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| {
            let (place, reason) = l.split_once(' ').unwrap_or_else(|| panic!("no reason given: {l}"));
            let (file, line) = place.split_once(':').unwrap_or_else(|| panic!("no line given: {l}"));
            ((file.to_owned(), line.parse().unwrap()), reason.trim().to_owned())
        });
        Self(entries.collect())
    }

    /// New failures of a file, and listed ones that are none any more.
    pub(crate) fn complaints(&self, file: &str, failed: &[(usize, String)]) -> Vec<String> {
        let mut out = Vec::new();
        for (line, why) in failed {
            if !self.0.contains_key(&(file.to_owned(), *line)) {
                out.push(format!("{file}:{line} {why}"));
            }
        }
        for (f, line) in self.0.keys().filter(|(f, _)| f == file) {
            if !failed.iter().any(|(l, _)| l == line) {
                out.push(format!("{f}:{line} is listed as a known failure but passes: remove it"));
            }
        }
        out
    }
}
