//! Finds and reads rule files: the built-in ones and those of the configuration.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};

use super::format::{Group, MAX_FILE_BYTES, MAX_GROUPS, parse};
use crate::config::Rules as RulesConfig;

/// The built-in rules for Linux servers.
const LINUX: &str = include_str!("../../../deploy/rules/linux.yml");
/// Their name in answers and errors.
const LINUX_NAME: &str = "linux.yml (built in)";
/// Rule files in all.
const MAX_FILES: usize = 1_000;

/// Tells whether files changed: each file with time and size, or nothing where it cannot be seen.
pub(super) type Signature = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// Reads all rules of a configuration.
pub(super) fn load(config: &RulesConfig) -> anyhow::Result<Vec<Group>> {
    let mut groups = if config.defaults { parse(LINUX_NAME, LINUX)? } else { Vec::new() };
    for file in find(&config.files)? {
        groups.extend(load_file(&file)?);
    }
    if groups.len() > MAX_GROUPS {
        bail!("there are {} rule groups, more than {MAX_GROUPS}", groups.len());
    }
    Ok(groups)
}

/// Reads one file.
pub(super) fn load_file(file: &Path) -> anyhow::Result<Vec<Group>> {
    let read = || -> anyhow::Result<String> {
        let size = std::fs::metadata(file)?.len();
        if size > MAX_FILE_BYTES {
            bail!("it has {size} bytes, more than {MAX_FILE_BYTES}");
        }
        Ok(std::fs::read_to_string(file)?)
    };
    let text = read().with_context(|| format!("cannot read rule file {}", file.display()))?;
    Ok(parse(&file.display().to_string(), &text)?)
}

/// What the files look like now, without reading them.
pub(super) fn signature(config: &RulesConfig) -> Signature {
    let files = find(&config.files).unwrap_or_else(|_| config.files.clone());
    files
        .into_iter()
        .map(|file| {
            let seen =
                std::fs::metadata(&file).ok().and_then(|meta| Some((meta.modified().ok()?, meta.len())));
            (file, seen)
        })
        .collect()
}

/// The files of the configuration; a `*` in a file name stands for any part of a name.
fn find(patterns: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for pattern in patterns {
        match pattern.file_name().and_then(|name| name.to_str()).filter(|name| name.contains('*')) {
            None => files.push(pattern.clone()),
            Some(name) => {
                let folder = pattern.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let entries = std::fs::read_dir(folder)
                    .with_context(|| format!("cannot list the folder of rule files {}", folder.display()))?;
                let mut found = Vec::new();
                for entry in entries.take(MAX_FILES * 10) {
                    let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
                    if entry.file_name().to_str().is_some_and(|file| matches(name, file)) {
                        found.push(entry.path());
                    }
                }
                found.sort();
                files.extend(found);
            }
        }
    }
    if files.len() > MAX_FILES {
        bail!("there are {} rule files, more than {MAX_FILES}", files.len());
    }
    Ok(files)
}

/// Whether a name fits a pattern with `*`.
fn matches(pattern: &str, name: &str) -> bool {
    let parts: Vec<&str> = pattern.split('*').collect();
    let [first, middle @ .., last] = parts.as_slice() else { return pattern == name };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        for (pattern, name, wanted) in [
            ("*.yml", "a.yml", true),
            ("*.yml", ".yml", true),
            ("*.yml", "a.yaml", false),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("ab*ba", "aba", false),
            ("*", "x", true),
        ] {
            assert_eq!(matches(pattern, name), wanted, "{pattern} {name}");
        }
    }

    #[test]
    fn files_come_from_folders_and_a_changed_or_missing_one_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        let config = RulesConfig { defaults: false, files: vec![file("*.yml")], ..RulesConfig::default() };
        assert!(load(&config).unwrap().is_empty());
        let empty = signature(&config);
        std::fs::write(file("b.yml"), "groups: [{ name: b }]").unwrap();
        std::fs::write(file("a.yml"), "groups: [{ name: a }]").unwrap();
        std::fs::write(file("c.txt"), "no rules").unwrap();
        let names: Vec<String> = load(&config).unwrap().into_iter().map(|group| group.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_ne!(signature(&config), empty);
        let missing = RulesConfig { files: vec![file("none.yml")], ..config };
        assert!(format!("{:#}", load(&missing).unwrap_err()).starts_with("cannot read rule file "));
    }

    #[test]
    fn the_built_in_rules_are_good_and_say_everything_in_two_languages() {
        use crate::rules::format::Kind;
        let groups = parse(LINUX_NAME, LINUX).unwrap();
        let alerts = groups.iter().flat_map(|group| &group.rules).filter_map(|rule| match &rule.kind {
            Kind::Alerting { annotations, .. } => Some((rule, annotations)),
            Kind::Recording => None,
        });
        let mut count = 0;
        for (rule, annotations) in alerts {
            count += 1;
            let has = |list: &[(String, super::super::template::Text)], name: &str| {
                list.iter().any(|(found, text)| found == name && !text.source().trim().is_empty())
            };
            for label in ["severity", "impact", "urgency"] {
                assert!(has(&rule.labels, label), "{} lacks label {label}", rule.name);
            }
            for text in ["summary", "summary_en", "description", "description_en", "component"] {
                assert!(has(annotations, text), "{} lacks {text}", rule.name);
            }
        }
        assert!(count >= 15, "{count} alerts");
    }
}
