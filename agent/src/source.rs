//! Reads the kernel's files below a root folder into one kept buffer.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};

/// Largest file that is read, in bytes. `/proc/stat` of a very large machine stays far below.
pub const MAX_FILE_BYTES: usize = 8 * 1024 * 1024;

/// A file that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct SourceError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// The kernel's files below a root folder.
pub struct Source {
    root: PathBuf,
    text: Text,
    /// `/proc/stat` serves two collectors and is dear to read, so it is read once a collection.
    stat: Text,
    stat_is_fresh: bool,
}

#[derive(Default)]
struct Text {
    bytes: Vec<u8>,
    /// Only used where the bytes are not UTF-8, as names of mount points may be.
    lossy: String,
}

impl Source {
    /// Files below `root`, normally `/`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self { root: root.into(), text: Text::default(), stat: Text::default(), stat_is_fresh: false }
    }

    /// Begins a collection: what was read before is old.
    pub fn begin(&mut self) {
        self.stat_is_fresh = false;
    }

    /// Where a file below the root really is.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Whether a file is there.
    #[must_use]
    pub fn exists(&self, relative: &str) -> bool {
        self.path(relative).exists()
    }

    /// Whether a file can be opened.
    #[must_use]
    pub fn is_readable(&self, relative: &str) -> bool {
        File::open(self.path(relative)).is_ok()
    }

    /// The text of a file; bytes that are not UTF-8 become the replacement character.
    ///
    /// # Errors
    /// The file and why it could not be read.
    pub fn read(&mut self, relative: &str) -> Result<&str, SourceError> {
        let path = self.path(relative);
        self.text.fill(path)
    }

    /// The text of `/proc/stat`, read once a collection.
    ///
    /// # Errors
    /// Why it could not be read.
    pub fn proc_stat(&mut self) -> Result<&str, SourceError> {
        if self.stat_is_fresh {
            return Ok(self.stat.get());
        }
        let path = self.path("proc/stat");
        self.stat_is_fresh = true;
        self.stat.fill(path)
    }
}

/// An open folder, for many small files in it: `/sys` has one for each figure.
pub struct Folder(OwnedFd);

impl Source {
    /// Opens a folder below the root.
    #[must_use]
    pub fn folder(&self, relative: &str) -> Option<Folder> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(self.path(relative), flags, Mode::empty()).ok().map(Folder)
    }

    /// Names in a folder below the root, sorted; none if it is not there.
    #[must_use]
    pub fn names(&self, relative: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(relative)).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names
    }
}

impl Source {
    /// Number of names in a folder below the root; `None` if it may not be read.
    #[must_use]
    pub fn count(&self, relative: &str) -> Option<u64> {
        Some(std::fs::read_dir(self.path(relative)).ok()?.count() as u64)
    }
}

impl Folder {
    /// The text of a small file, blanks at its ends taken off. `None` if it cannot be read, is no text or does not fit:
    /// many files of `/sys` exist and refuse to be read.
    pub fn read<'b>(&self, name: &str, buffer: &'b mut [u8]) -> Option<&'b str> {
        let file = openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let length = rustix::io::read(&file, &mut *buffer).ok()?;
        std::str::from_utf8(buffer.get(..length)?).ok().map(str::trim)
    }

    /// The number in a small file.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        self.read(name, &mut [0; 64])?.parse().ok()
    }
}

impl Text {
    fn fill(&mut self, path: PathBuf) -> Result<&str, SourceError> {
        self.lossy.clear();
        if let Err(source) = read_into(&path, &mut self.bytes) {
            self.bytes.clear();
            return Err(SourceError { path, source });
        }
        if let Cow::Owned(replaced) = String::from_utf8_lossy(&self.bytes) {
            self.lossy = replaced;
        }
        Ok(self.get())
    }

    fn get(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap_or(&self.lossy)
    }
}

/// Like `read_to_end`, without its question for the size, which `/proc` answers with 0.
fn read_into(path: &Path, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut file = File::open(path)?;
    let mut length = 0;
    bytes.resize(bytes.capacity().max(4096), 0);
    loop {
        let read = file.read(&mut bytes[length..])?;
        length += read;
        if read == 0 {
            bytes.truncate(length);
            return Ok(());
        }
        if length == bytes.len() {
            if length >= MAX_FILE_BYTES {
                return Err(std::io::Error::other(format!("larger than {MAX_FILE_BYTES} bytes")));
            }
            bytes.resize(length * 2, 0);
        }
    }
}
