//! What the architecture promises of the source tree, checked on the source tree.

use std::path::{Path, PathBuf};

/// Lines that a file may have, its tests included.
const MAX_LINES: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir()
            && !name.starts_with('.')
            && name != "target"
            && name != "data"
            && name != "demo-data"
        {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(&root(), &mut found);
    let name = |path: &PathBuf| path.strip_prefix(root()).unwrap().display().to_string();
    found.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn every_file_says_what_it_is_for_and_holds_one_thing() {
    let mut wrong = Vec::new();
    for (name, text) in all() {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{name} has {lines} lines, at most {MAX_LINES}"));
        }
        if !text.starts_with("//!") {
            wrong.push(format!("{name} does not begin with //!"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crates_know_only_what_the_map_allows() {
    // What may not be named in which folder.
    let forbidden = [
        ("protocol/src/", &["std::fs", "std::net", "SystemTime::now", "tokio"][..]),
        ("server/tsdb/src/", &["siaga_promql", "siaga_protocol", "axum", "reqwest"]),
        ("server/promql/src/", &["siaga_tsdb", "siaga_protocol", "rusqlite", "axum", "SystemTime::now"]),
        ("server/forecast/src/", &["siaga_", "rusqlite", "SystemTime::now", "std::fs", "std::net"]),
        ("agent/src/", &["siaga_server", "siaga_tsdb", "siaga_promql"]),
    ];
    let mut wrong = Vec::new();
    for (name, text) in all() {
        for (folder, words) in &forbidden {
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for (line, word) in code.flat_map(|line| words.iter().map(move |word| (line, word))) {
                let own = *word == "siaga_" && line.contains("siaga_forecast");
                if name.starts_with(folder) && line.contains(word) && !own {
                    wrong.push(format!("{name}: {word}: {}", line.trim()));
                }
            }
        }
        // SQL of records stands in one place.
        let sql = ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM "];
        if name.starts_with("server/src/") && !name.starts_with("server/src/records/") {
            let code = text.split("#[cfg(test)]").next().unwrap_or("");
            wrong.extend(
                code.lines()
                    .filter(|line| {
                        sql.iter().any(|word| line.contains(word)) && !line.trim_start().starts_with("//")
                    })
                    .map(|line| format!("{name}: SQL outside of records: {}", line.trim())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
