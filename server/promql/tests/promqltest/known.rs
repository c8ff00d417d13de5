//! The list of failures that are known and of what is not supported, each with its reason.

use std::collections::BTreeMap;
use std::path::Path;

/// What is known not to pass.
pub(crate) struct Known {
    /// Lines of `file.test:line reason`; the line may be `*`, for a file that tests what is not wanted.
    failures: BTreeMap<(String, String), String>,
    /// Lines of `unsupported: what: reason`.
    unsupported: BTreeMap<String, String>,
}

/// Start of the lines that say what is not supported.
const UNSUPPORTED: &str = "unsupported: ";

impl Known {
    pub(crate) fn load(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut known = Self { failures: BTreeMap::new(), unsupported: BTreeMap::new() };
        for l in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let no_reason = || panic!("no reason given: {l}");
            if let Some(l) = l.strip_prefix(UNSUPPORTED) {
                let (what, reason) = l.split_once(": ").unwrap_or_else(no_reason);
                known.unsupported.insert(what.to_owned(), reason.to_owned());
                continue;
            }
            let (place, reason) = l.split_once(' ').unwrap_or_else(no_reason);
            let (file, line) = place.split_once(':').unwrap_or_else(|| panic!("no line given: {l}"));
            known.failures.insert((file.to_owned(), line.to_owned()), reason.trim().to_owned());
        }
        known
    }

    /// Why this is not supported, if that is known.
    pub(crate) fn why_unsupported(&self, what: &str) -> Option<&str> {
        self.unsupported.get(what).map(String::as_str)
    }

    /// What was met as unsupported and is not listed.
    pub(crate) fn unlisted(&self, met: &BTreeMap<String, usize>) -> Vec<String> {
        let unlisted = met.iter().filter(|(what, _)| !self.unsupported.contains_key(*what));
        unlisted
            .map(|(what, count)| format!("{count} evaluations are unsupported and not listed: {what}"))
            .collect()
    }

    /// New failures of a file, and listed ones that are none any more.
    pub(crate) fn complaints(&self, file: &str, failed: &[(usize, String)]) -> Vec<String> {
        let is_listed = |line: &str| self.failures.contains_key(&(file.to_owned(), line.to_owned()));
        if is_listed("*") {
            return Vec::new();
        }
        let mut out = Vec::new();
        for (line, why) in failed.iter().filter(|(line, _)| !is_listed(&line.to_string())) {
            out.push(format!("{file}:{line} {why}"));
        }
        for (_, line) in self.failures.keys().filter(|(f, _)| f == file) {
            if !failed.iter().any(|(failed, _)| failed.to_string() == *line) {
                out.push(format!("{file}:{line} is listed as a known failure but passes: remove it"));
            }
        }
        out
    }
}
