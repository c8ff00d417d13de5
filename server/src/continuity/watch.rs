//! Says in the log when a file of the folder of plans becomes wrong, and when it is good again: once a change.

use std::collections::BTreeMap;

use super::plan::Library;

/// What was wrong with each file when it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Watch(BTreeMap<String, Vec<String>>);

/// Something to say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// A file is wrong, or wrong in another way than before.
    Wrong { file: String, problems: Vec<String> },
    /// A file that was wrong is good, or gone.
    Mended { file: String },
}

impl Watch {
    /// What has changed since the last look. Pure.
    pub(super) fn look(&mut self, library: &Library) -> Vec<News> {
        let wrong: BTreeMap<String, Vec<String>> = library
            .entries
            .iter()
            .filter_map(|entry| {
                let problems = entry.plan.as_ref().err()?;
                Some((entry.file.clone(), problems.iter().map(ToString::to_string).collect()))
            })
            .collect();
        let before = std::mem::replace(&mut self.0, wrong);
        let changed = self.0.iter().filter(|(file, problems)| before.get(*file) != Some(problems));
        let wrong =
            changed.map(|(file, problems)| News::Wrong { file: file.clone(), problems: problems.clone() });
        let mended = before.keys().filter(|file| !self.0.contains_key(*file));
        wrong.chain(mended.map(|file| News::Mended { file: file.clone() })).collect()
    }

    /// Looks, and writes the log.
    pub(super) fn tell(&mut self, library: &Library) {
        for news in self.look(library) {
            match news {
                News::Wrong { file, problems } => tracing::warn!(
                    file,
                    problems = problems.join("; "),
                    "plan is wrong, its schedule does not run"
                ),
                News::Mended { file } => tracing::info!(file, "plan is no longer wrong"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::read_folder;
    use super::*;

    #[test]
    fn a_plan_that_becomes_wrong_is_told_once_a_change_and_so_is_its_mending() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("p.toml"), text).unwrap();
        let mut watch = Watch::default();
        let mut look = || watch.look(&read_folder(folder.path()).unwrap());
        let good = include_str!("../../../deploy/plans/lab.toml");
        write(good);
        assert!(look().is_empty());
        write(&good.replace("kind = ", "kidn = "));
        let told = look();
        let [News::Wrong { file, problems }] = told.as_slice() else { panic!("not told") };
        assert!(file == "p.toml" && problems[0].contains("kidn"), "{problems:?}");
        assert!(look().is_empty(), "told twice");
        write("id = ");
        assert!(matches!(look().as_slice(), [News::Wrong { .. }]), "wrong in another way");
        write(good);
        assert_eq!(look(), [News::Mended { file: "p.toml".to_owned() }]);
    }
}
