//! The folder of plans: each file on its own, so that a broken one does not hide the others. Blocks while it reads.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use super::scope::{SCOPE_FILE, Scope};
use super::{Plan, PlanProblem};

/// Files of a folder that are read at most.
const MAX_FILES: usize = 500;
/// Largest file that is read, bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// One file of the folder.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Name of the file.
    pub file: String,
    /// Its text as it was read.
    pub text: String,
    /// The plan, or what is wrong with it.
    pub plan: Result<Plan, Vec<PlanProblem>>,
}

impl Entry {
    /// Identifier that the text states, also where the rest of it is wrong.
    #[must_use]
    pub fn stated_id(&self) -> Option<String> {
        if let Ok(plan) = &self.plan {
            return Some(plan.id.clone());
        }
        let (table, _) = DeTable::parse_recoverable(&self.text);
        let id = table.get_ref().get("id")?.get_ref().as_str()?;
        (!id.is_empty()).then(|| id.to_owned())
    }
}

/// The file of the scope.
#[derive(Debug, Clone)]
pub struct ScopeEntry {
    /// The scope, or what is wrong with it.
    pub scope: Result<Scope, Vec<PlanProblem>>,
}

/// All plans, and the scope.
#[derive(Debug, Clone, Default)]
pub struct Library {
    /// One entry a file, by name of the file.
    pub entries: Vec<Entry>,
    /// The scope, if there is one.
    pub scope: Option<ScopeEntry>,
}

impl Library {
    /// The good plan of an identifier, with its file.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<(&Plan, &Entry)> {
        self.good().find(|(plan, _)| plan.id == id)
    }

    /// All good plans with their files.
    pub fn good(&self) -> impl Iterator<Item = (&Plan, &Entry)> {
        self.entries.iter().filter_map(|entry| entry.plan.as_ref().ok().map(|plan| (plan, entry)))
    }
}

/// Reads `*.toml` of a folder. Two files with the same plan identifier are both refused.
///
/// # Errors
/// If the folder cannot be listed.
pub fn read_folder(folder: &Path) -> std::io::Result<Library> {
    let mut files: Vec<_> = std::fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .take(MAX_FILES)
        .collect();
    files.sort();
    let is_scope = |path: &std::path::PathBuf| path.file_name().is_some_and(|name| name == SCOPE_FILE);
    let scope = files.iter().find(|path| is_scope(path)).map(|path| read_scope(path));
    files.retain(|path| !is_scope(path));
    let mut entries: Vec<Entry> = files.iter().map(|path| read_file(path)).collect();
    refuse_doubles(&mut entries);
    Ok(Library { entries, scope })
}

fn read_scope(path: &Path) -> ScopeEntry {
    let scope = match read_text(path) {
        Ok(text) => Scope::read(SCOPE_FILE, &text),
        Err(reason) => Err(vec![whole_file(SCOPE_FILE, reason)]),
    };
    ScopeEntry { scope }
}

fn read_text(path: &Path) -> Result<String, String> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() > MAX_FILE_BYTES => Err(format!("is larger than {MAX_FILE_BYTES} bytes")),
        Ok(_) => std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}")),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}

fn read_file(path: &Path) -> Entry {
    let file = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    match read_text(path) {
        Ok(text) => Entry { plan: Plan::read(&file, &text), file, text },
        Err(reason) => Entry { plan: Err(vec![whole_file(&file, reason)]), file, text: String::new() },
    }
}

fn whole_file(file: &str, reason: String) -> PlanProblem {
    PlanProblem { file: file.to_owned(), line: 1, column: 1, field: String::new(), reason, fleet: None }
}

fn refuse_doubles(entries: &mut [Entry]) {
    let mut files_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries.iter() {
        if let Ok(plan) = &entry.plan {
            files_of.entry(plan.id.clone()).or_default().push(entry.file.clone());
        }
    }
    for entry in entries {
        let Ok(plan) = &entry.plan else { continue };
        let Some(files) = files_of.get(&plan.id).filter(|files| files.len() > 1) else { continue };
        let reason = format!("id {:?} is used by {}", plan.id, files.join(" and "));
        entry.plan = Err(vec![PlanProblem { field: "id".to_owned(), ..whole_file(&entry.file, reason) }]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = include_str!("../../../../deploy/plans/lab.toml");

    #[test]
    fn a_broken_file_does_not_hide_the_good_ones() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("good.toml"), GOOD).unwrap();
        std::fs::write(folder.path().join("broken.toml"), "id = ").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "no plan").unwrap();
        let library = read_folder(folder.path()).unwrap();
        assert_eq!(library.entries.len(), 2);
        assert_eq!(library.good().count(), 1);
        assert_eq!(library.entries[0].plan.as_ref().unwrap_err()[0].file, "broken.toml");
    }

    #[test]
    fn a_broken_file_still_says_which_plan_it_is_where_that_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("a.toml", &GOOD.replace("kind = ", "kidn = "));
        write("b.toml", &format!("{GOOD}\nbroken ="));
        write("c.toml", "= 1");
        let ids: Vec<Option<String>> =
            read_folder(folder.path()).unwrap().entries.iter().map(Entry::stated_id).collect();
        let known = Plan::read("a.toml", GOOD).unwrap().id;
        assert_eq!(ids, [Some(known.clone()), Some(known), None]);
    }

    #[test]
    fn two_files_with_one_id_are_both_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("one.toml"), GOOD).unwrap();
        std::fs::write(folder.path().join("two.toml"), GOOD).unwrap();
        let library = read_folder(folder.path()).unwrap();
        assert_eq!(library.good().count(), 0);
        assert!(
            library
                .entries
                .iter()
                .all(|entry| entry.plan.as_ref().unwrap_err()[0].reason.contains("one.toml and two.toml"))
        );
    }
}
