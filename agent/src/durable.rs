//! Small files that are either old or new, never half, and readable by the agent alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest file that is read back, in bytes.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A file that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}", path.display())]
pub struct DurableError {
    operation: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// Makes a folder that only the agent may enter, with those above it.
///
/// # Errors
/// The folder and why it cannot be made.
pub fn create_folder(path: &Path) -> Result<(), DurableError> {
    let failed = |source| DurableError { operation: "create", path: path.into(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)
}

/// Name of the file by whose lock one agent holds its folder.
const LOCK_FILE: &str = "agent.lock";

/// Takes the folder for this process alone, until the file is dropped.
///
/// # Errors
/// Another agent has it, or the file cannot be made.
pub fn lock_folder(folder: &Path) -> Result<File, DurableError> {
    let path = folder.join(LOCK_FILE);
    let failed = |operation, source| DurableError { operation, path: path.clone(), source };
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600);
    let lock = options.open(&path).map_err(|e| failed("open", e))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(failed("lock", std::io::Error::other("another agent runs with this state_dir")))
        }
        Err(TryLockError::Error(source)) => Err(failed("lock", source)),
    }
}

/// Writes a value as JSON: beside, synced, then moved into place. Mode 0600.
///
/// # Errors
/// The file and why it cannot be written; the old one stays.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DurableError> {
    let failed = |operation, source| DurableError { operation, path: path.into(), source };
    let text = serde_json::to_vec_pretty(value).map_err(|e| failed("encode", e.into()))?;
    let beside = path.with_extension("new");
    let write = || {
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|e| failed("write", e))
}

/// Reads a value back; `None` if there is no such file.
///
/// # Errors
/// The file and why it cannot be read or understood.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, DurableError> {
    let failed = |operation, source| DurableError { operation, path: path.into(), source };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("read", error)),
        Ok(meta) if meta.len() > MAX_BYTES => {
            return Err(failed("read", std::io::Error::other(format!("larger than {MAX_BYTES} bytes"))));
        }
        Ok(_) => {}
    }
    let text = std::fs::read(path).map_err(|e| failed("read", e))?;
    serde_json::from_slice(&text).map(Some).map_err(|e| failed("decode", e.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_agent_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = lock_folder(folder.path()).unwrap();
        let error = lock_folder(folder.path()).unwrap_err();
        assert!(format!("{:#}", anyhow::Error::from(error)).contains("another agent runs"));
        drop(first);
        lock_folder(folder.path()).unwrap();
    }
}
