//! A file in the data folder that only takes room, so that there is some to start with when the disk is full.
//!
//! Even a start that reads alone needs a little (the shared memory of SQLite). If it fails because the disk is full, a
//! part of the ballast is let go and it is tried again: the server must be there to say that the disk is full. The
//! ballast is made anew by upkeep when there is room.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// File in the data folder.
const FILE: &str = "ballast";
/// Bytes of the whole ballast: enough for eight starts.
const BYTES: u64 = 2 << 20;
/// Bytes that are let go at once.
const PART_BYTES: u64 = 256 << 10;

/// Whether an error comes from a disk that takes no more.
pub(super) fn is_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        if let Some(error) = cause.downcast_ref::<rusqlite::Error>() {
            let shared_memory = |error: &rusqlite::ffi::Error| error.extended_code == SHARED_MEMORY_SIZE;
            return error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull)
                || error.sqlite_error().is_some_and(shared_memory);
        }
        cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::StorageFull)
    })
}

/// SQLite has no room for the memory that its connections share.
const SHARED_MEMORY_SIZE: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// Lets a part go. `false` when there is none.
pub(super) fn release(folder: &Path) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(folder.join(FILE)) else { return false };
    let Ok(bytes) = file.metadata().map(|metadata| metadata.len()) else { return false };
    bytes > 0 && file.set_len(bytes.saturating_sub(PART_BYTES)).is_ok()
}

/// Lets a part go for what must be written even on a full disk. `false` when the disk is not what is wrong, or nothing
/// is left to let go.
pub(crate) fn relieve(folder: &Path, error: &anyhow::Error) -> bool {
    is_full(error) && release(folder)
}

/// Makes it whole where there is room for more than it. `false` when the disk has next to none. Blocks.
pub(crate) fn keep(folder: &Path) -> bool {
    let path = folder.join(FILE);
    let present = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let room =
        rustix::fs::statvfs(folder).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    if present >= BYTES {
        return room >= PART_BYTES;
    }
    let write = || {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        file.write_all(&vec![0; usize::try_from(BYTES - present).unwrap_or(0)])?;
        file.sync_all()
    };
    room > BYTES * 2 && write().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_is_let_go_in_parts_and_made_whole_again() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!release(folder.path()));
        assert!(keep(folder.path()) && keep(folder.path()));
        let bytes = || folder.path().join(FILE).metadata().unwrap().len();
        assert_eq!(bytes(), BYTES);
        assert_eq!((0..100).take_while(|_| release(folder.path())).count(), 8);
        assert_eq!(bytes(), 0);
        assert!(keep(folder.path()));
        assert_eq!(bytes(), BYTES);
    }

    #[test]
    fn only_a_full_disk_is_one() {
        use anyhow::Context as _;
        let sqlite = |code| rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let opening = |error: rusqlite::Error| is_full(&anyhow::Error::from(error).context("cannot open"));
        assert!(opening(sqlite(rusqlite::ffi::SQLITE_FULL)) && opening(sqlite(SHARED_MEMORY_SIZE)));
        assert!(!opening(sqlite(rusqlite::ffi::SQLITE_CORRUPT)));
        let write = Err::<(), _>(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert!(is_full(&write.context("cannot write").unwrap_err()));
    }
}
