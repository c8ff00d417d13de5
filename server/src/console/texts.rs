//! Keeps the catalogue in `texts/` and its uses in step: every key that is asked for exists, in both languages, and
//! none lies there unused.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Contents of all files below a folder with an ending.
pub(super) fn files(folder: &Path, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|e| e == ending) {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

fn catalogue() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (path, text) in files(&root().join("texts"), "yml") {
        let mut entries: BTreeMap<String, serde_json::Value> = serde_saphyr::from_str(&text).unwrap();
        assert_eq!(entries.remove("_version"), Some(2.into()), "{}", path.display());
        for (key, value) in entries {
            let texts = serde_json::from_value(value).unwrap_or_else(|e| panic!("{key}: {e}"));
            assert!(all.insert(key.clone(), texts).is_none(), "{key} stands in two places");
        }
    }
    all
}

/// Sources and templates, without what stands in tests.
fn users_of_keys() -> Vec<(PathBuf, String)> {
    let mut sources = files(&root().join("src"), "rs");
    sources.retain(|(path, _)| path.file_name().is_some_and(|name| name != "texts.rs"));
    for (_, text) in &mut sources {
        let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
        text.truncate(end);
    }
    sources.extend(files(&root().join("templates"), "html"));
    sources
}

/// Every string literal of a text that looks like a key: lower-case words joined by dots.
fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').filter(|piece| {
        piece.contains('.')
            && piece.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "._{}-".contains(c))
    })
}

/// Keys that are asked for directly, by `t("…")`, `tv("…"` or `t!("…"`.
fn asked(text: &str) -> impl Iterator<Item = &str> {
    ["t(", "tv(", "i18n::t!("].into_iter().flat_map(move |call| {
        text.match_indices(call).filter_map(move |(at, _)| {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            let rest = text[at + call.len()..].trim_start().strip_prefix('"')?;
            (before == '.' || call == "i18n::t!(").then(|| rest.split('"').next().unwrap_or(""))
        })
    })
}

#[test]
fn every_key_that_is_asked_for_exists() {
    let known = catalogue();
    let missing: BTreeSet<String> = users_of_keys()
        .iter()
        .flat_map(|(path, text)| {
            asked(text)
                .filter(|key| !known.contains_key(*key))
                .map(|key| format!("{key} ({})", path.display()))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_text_is_in_both_languages_with_the_same_places_for_values() {
    for (key, texts) in catalogue() {
        let languages: Vec<&str> = texts.keys().map(String::as_str).collect();
        assert_eq!(languages, ["en", "id"], "{key}");
        let places = |text: &str| -> BTreeSet<String> {
            text.split("%{")
                .skip(1)
                .filter_map(|rest| rest.split('}').next())
                .map(ToOwned::to_owned)
                .collect()
        };
        assert_eq!(places(&texts["id"]), places(&texts["en"]), "{key}");
        assert!(texts.values().all(|text| !text.trim().is_empty()), "{key}");
    }
}

#[test]
fn no_text_lies_unused() {
    let sources = users_of_keys();
    let used: BTreeSet<&str> = sources.iter().flat_map(|(_, text)| literals(text)).collect();
    // `format!("role.{}")` uses every key that begins so.
    let beginnings: BTreeSet<&str> = used
        .iter()
        .filter_map(|piece| piece.split_once('{'))
        .map(|(start, _)| start)
        .filter(|s| !s.is_empty())
        .collect();
    let unused: Vec<String> = catalogue()
        .into_keys()
        .filter(|key| !used.contains(key.as_str()) && !beginnings.iter().any(|start| key.starts_with(start)))
        .collect();
    assert!(unused.is_empty(), "{unused:#?}");
}
