//! What the office remembers between two starts: who it is, the hosts' tokens, and what was done once and for all.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

const FILE: &str = "office.json";

/// What an office is asked to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) seed: u64,
    pub(super) hosts: usize,
    pub(super) days: u32,
}

/// An enrolled host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agent {
    pub(super) name: String,
    pub(super) instance: String,
    pub(super) token: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Content {
    wanted: Wanted,
    anchor_ms: i64,
    agents: Vec<Agent>,
    history_sent: bool,
    drill_started: bool,
    #[serde(default)]
    people_done: bool,
}

/// The state and its file. Every change is on disk when the call returns.
#[derive(Debug)]
pub(super) struct State {
    file: PathBuf,
    content: Content,
}

impl State {
    /// The state in a folder, or a new one whose history ends now.
    ///
    /// # Errors
    /// If the folder cannot be used, or holds another office.
    pub(super) fn open(folder: &Path, wanted: Wanted, now_ms: i64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let file = folder.join(FILE);
        let content = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} is not the state of an office", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Content {
                wanted,
                anchor_ms: now_ms,
                agents: Vec::new(),
                history_sent: false,
                drill_started: false,
                people_done: false,
            },
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        ensure!(
            content.wanted == wanted,
            "{} is of an office with seed {}, {} hosts and {} days; choose another folder",
            file.display(),
            content.wanted.seed,
            content.wanted.hosts,
            content.wanted.days
        );
        let state = Self { file, content };
        state.save()?;
        Ok(state)
    }

    /// When the history ends and the live part begins.
    pub(super) fn anchor_ms(&self) -> i64 {
        self.content.anchor_ms
    }

    pub(super) fn agent(&self, name: &str) -> Option<&Agent> {
        self.content.agents.iter().find(|agent| agent.name == name)
    }

    pub(super) fn add_agent(&mut self, agent: Agent) -> anyhow::Result<()> {
        self.content.agents.push(agent);
        self.save()
    }

    pub(super) fn is_history_sent(&self) -> bool {
        self.content.history_sent
    }

    pub(super) fn note_history_sent(&mut self) -> anyhow::Result<()> {
        self.content.history_sent = true;
        self.save()
    }

    pub(super) fn is_drill_started(&self) -> bool {
        self.content.drill_started
    }

    /// Whether the people of the office did what they do once.
    pub(super) fn is_people_done(&self) -> bool {
        self.content.people_done
    }

    pub(super) fn note_people_done(&mut self) -> anyhow::Result<()> {
        self.content.people_done = true;
        self.save()
    }

    pub(super) fn note_drill_started(&mut self) -> anyhow::Result<()> {
        self.content.drill_started = true;
        self.save()
    }

    /// Writes the file whole or not at all; it holds tokens, so only its owner reads it.
    fn save(&self) -> anyhow::Result<()> {
        let cannot = || format!("cannot write {}", self.file.display());
        let temporary = self.file.with_extension("new");
        let mut options = std::fs::OpenOptions::new();
        let mut out = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .with_context(cannot)?;
        out.write_all(&serde_json::to_vec_pretty(&self.content)?).with_context(cannot)?;
        out.sync_all().with_context(cannot)?;
        std::fs::rename(&temporary, &self.file).with_context(cannot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted = Wanted { seed: 1, hosts: 2, days: 3 };

    #[test]
    fn an_office_is_the_same_after_a_restart_and_its_file_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let mut state = State::open(folder.path(), WANTED, 1_000).unwrap();
        let agent = Agent { name: "web-01".into(), instance: "web-01-2".into(), token: "secret".into() };
        state.add_agent(agent.clone()).unwrap();
        state.note_history_sent().unwrap();
        let again = State::open(folder.path(), WANTED, 9_000).unwrap();
        assert_eq!(again.anchor_ms(), 1_000);
        assert_eq!(again.agent("web-01"), Some(&agent));
        assert!(again.is_history_sent() && !again.is_drill_started());
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_folder_of_another_office_or_with_a_broken_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        State::open(folder.path(), WANTED, 1).unwrap();
        let error = State::open(folder.path(), Wanted { seed: 2, ..WANTED }, 1).unwrap_err();
        assert!(error.to_string().contains("choose another folder"), "{error}");
        std::fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(State::open(folder.path(), WANTED, 1).is_err());
    }
}
