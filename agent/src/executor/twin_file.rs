//! The file of orders, twice on disk, so that one that is broken costs no undo.
//!
//! Invariants: each of the two is either old or new, never half; the second is written after the first, so that the
//! first is never the older one. One that cannot be understood is moved aside, where it stays until a person takes it
//! away; as long as it lies there, the executor says so.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::durable::{self, DurableError};

/// Both files, and where a broken one goes.
#[derive(Debug)]
pub(super) struct TwinFile {
    first: PathBuf,
    second: PathBuf,
    broken: PathBuf,
}

/// What was on disk.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// Neither file: the host is new.
    Nothing,
    /// All that was written.
    Whole(T),
    /// One was broken or away, the other had it.
    FromTwin(T),
    /// There was something, and nothing of it can be understood.
    Lost,
}

impl TwinFile {
    /// Files of this name in `folder`.
    pub(super) fn new(folder: &Path, name: &str) -> Self {
        let file = |end: &str| folder.join(format!("{name}.{end}"));
        Self { first: file("json"), second: file("copy.json"), broken: file("broken.json") }
    }

    /// Reads it, and moves aside what cannot be understood.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Found<T> {
        let first = match durable::read_json(&self.first) {
            Ok(Some(value)) => return Found::Whole(value),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        let is_away = first.is_none();
        if let Some(error) = first {
            self.move_aside(&self.first, &error);
        }
        match durable::read_json(&self.second) {
            Ok(Some(value)) => Found::FromTwin(value),
            Ok(None) if is_away => Found::Nothing,
            Ok(None) => Found::Lost,
            Err(error) => {
                self.move_aside(&self.second, &error);
                Found::Lost
            }
        }
    }

    /// Writes both.
    ///
    /// # Errors
    /// One cannot be written. When it is the second, the first has the value.
    pub(super) fn write(&self, value: &impl Serialize) -> Result<(), DurableError> {
        durable::write_json(&self.first, value)?;
        durable::write_json(&self.second, value)
    }

    /// Where a broken file lies, until a person takes it away.
    pub(super) fn broken(&self) -> &Path {
        &self.broken
    }

    fn move_aside(&self, path: &Path, error: &DurableError) {
        tracing::error!(
            error = crate::error_chain(error),
            kept_as = %self.broken.display(),
            "the memory of orders is broken; the file is kept under another name"
        );
        if let Err(error) = std::fs::rename(path, &self.broken) {
            tracing::error!(%error, file = %path.display(), "the broken file cannot be moved");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GARBAGE: &[u8] = b"{\"orders\": {\"\xff\x00";

    fn twin() -> (tempfile::TempDir, TwinFile) {
        let dir = tempfile::tempdir().unwrap();
        let twin = TwinFile::new(dir.path(), "orders");
        (dir, twin)
    }

    #[test]
    fn one_broken_or_missing_file_costs_nothing() {
        let (_dir, twin) = twin();
        assert_eq!(twin.read::<u32>(), Found::Nothing);
        twin.write(&7_u32).unwrap();
        assert_eq!(twin.read::<u32>(), Found::Whole(7));
        std::fs::write(&twin.second, GARBAGE).unwrap();
        assert_eq!(twin.read::<u32>(), Found::Whole(7));
        twin.write(&8_u32).unwrap();
        for broken in [GARBAGE, b""] {
            std::fs::write(&twin.first, broken).unwrap();
            assert_eq!(twin.read::<u32>(), Found::FromTwin(8));
            assert_eq!(std::fs::read(twin.broken()).unwrap(), broken, "it is kept");
            assert_eq!(twin.read::<u32>(), Found::FromTwin(8), "away is as broken");
        }
    }

    #[test]
    fn without_any_whole_file_all_is_lost_and_known_to_be() {
        let (_dir, twin) = twin();
        twin.write(&7_u32).unwrap();
        std::fs::write(&twin.first, GARBAGE).unwrap();
        std::fs::write(&twin.second, GARBAGE).unwrap();
        assert_eq!(twin.read::<u32>(), Found::Lost);
        assert!(twin.broken().exists());
        twin.write(&9_u32).unwrap();
        std::fs::remove_file(&twin.second).unwrap();
        std::fs::write(&twin.first, GARBAGE).unwrap();
        assert_eq!(twin.read::<u32>(), Found::Lost);
    }
}
