//! Watched files and folders: what can be told of each without its content. Blocks; to be called away from the tasks.
//!
//! Invariants: no byte of a file leaves this module but in its SHA-256; at most [`MAX_FILES`] files in at most
//! [`MAX_FOLDERS`] folders are looked at; links are told by their target's name and never followed below a folder; a file
//! is read again only when its times, its size or its number have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use siaga_protocol::inventory::WatchedFile;

use crate::config::WatchedFiles;

/// Files of one host that are told.
pub const MAX_FILES: usize = 2_000;
/// Folders of one host that are looked into.
pub(super) const MAX_FOLDERS: usize = 256;
/// Levels of folders below one that is named.
const MAX_DEPTH: usize = 8;

/// What says that a file may have another content.
type Version = (u64, u64, i64, i64, i64, i64);

/// What is known from the look before.
#[derive(Debug, Default)]
pub(super) struct Known {
    hashes: BTreeMap<PathBuf, (Version, String)>,
    names: Names,
}

/// What a look found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Files, and folders that cannot be looked into, sorted by path.
    pub(super) files: Vec<WatchedFile>,
    /// Folders in which something may change.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Whether there was more than fits.
    pub(super) cut: bool,
}

/// Looks at everything that is named, below `root`.
pub(super) fn look(root: &Path, watched: &WatchedFiles, known: &mut Known) -> Found {
    let mut look = Look {
        root,
        watched,
        known,
        hashes: BTreeMap::new(),
        files: BTreeMap::new(),
        folders: BTreeSet::new(),
        cut: false,
    };
    look.known.names = Names::read(root);
    for pattern in &watched.paths {
        look.folders.extend(awaited_in(root, pattern.as_str()));
        for path in expand(root, pattern.as_str()) {
            look.folders.extend(path.parent().map(Path::to_owned));
            look.at(&path, 0);
        }
    }
    let (hashes, files, folders, cut) = (look.hashes, look.files, look.folders, look.cut);
    known.hashes = hashes;
    Found { files: files.into_values().collect(), folders, cut }
}

struct Look<'a> {
    root: &'a Path,
    watched: &'a WatchedFiles,
    known: &'a mut Known,
    hashes: BTreeMap<PathBuf, (Version, String)>,
    files: BTreeMap<PathBuf, WatchedFile>,
    folders: BTreeSet<PathBuf>,
    cut: bool,
}

impl Look<'_> {
    fn at(&mut self, path: &Path, depth: usize) {
        // One that is named itself may be a link: `/etc/nginx` on some hosts.
        let meta = if depth == 0 { std::fs::metadata(path) } else { std::fs::symlink_metadata(path) };
        let Ok(meta) = meta else { return };
        if self.watched.exclude.matches(&path.to_string_lossy()) {
            return;
        }
        if !meta.is_dir() {
            return self.take(path, &meta);
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) if depth < MAX_DEPTH => entries,
            // Its own time still tells that something in it came or went.
            _ => return self.take(path, &meta),
        };
        if self.folders.len() >= MAX_FOLDERS {
            self.cut = true;
            return;
        }
        self.folders.insert(path.to_owned());
        let mut names: Vec<_> = entries.flatten().take(MAX_FILES + 1).map(|entry| entry.path()).collect();
        names.sort();
        names.iter().for_each(|path| self.at(path, depth + 1));
    }

    fn take(&mut self, path: &Path, meta: &Metadata) {
        if self.files.len() >= MAX_FILES {
            self.cut = true;
            return;
        }
        let sha256 = if meta.is_file() {
            self.hash(path, meta)
        } else if meta.is_symlink() {
            std::fs::read_link(path)
                .map_or(String::new(), |to| hex(Sha256::digest(to.as_os_str().as_bytes())))
        } else {
            String::new()
        };
        let told = path.strip_prefix(self.root).unwrap_or(path);
        let file = WatchedFile {
            path: format!("/{}", told.to_string_lossy()),
            size_bytes: if meta.is_dir() { 0 } else { meta.len() },
            modified_ms: meta.mtime().saturating_mul(1_000).saturating_add(meta.mtime_nsec() / 1_000_000),
            sha256,
            mode: format!("{:04o}", meta.mode() & 0o7777),
            owner: format!("{}:{}", self.known.names.user(meta.uid()), self.known.names.group(meta.gid())),
        };
        self.files.insert(path.to_owned(), file);
    }

    /// Hash of a file's content; empty where it may not be read, or is too large.
    fn hash(&mut self, path: &Path, meta: &Metadata) -> String {
        if meta.len() > self.watched.max_hash_bytes.get() {
            return String::new();
        }
        let version =
            (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        let hash = match self.known.hashes.remove(path) {
            Some((before, hash)) if before == version => hash,
            _ => read_hash(path, self.watched.max_hash_bytes.get()).unwrap_or_default(),
        };
        self.hashes.insert(path.to_owned(), (version, hash.clone()));
        hash
    }
}

fn read_hash(path: &Path, limit: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?.take(limit);
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(hasher.finalize())),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Paths below `root` that a pattern stands for, at most [`MAX_FOLDERS`].
fn expand(root: &Path, pattern: &str) -> Vec<PathBuf> {
    let below = format!("{}{pattern}", glob::Pattern::escape(root.to_string_lossy().trim_end_matches('/')));
    // What may not be looked into holds nothing that could be told.
    glob::glob(&below).map(|paths| paths.flatten().take(MAX_FOLDERS).collect()).unwrap_or_default()
}

/// The nearest folder above a pattern that has no wildcard in it and is there: what is awaited appears below it.
fn awaited_in(root: &Path, pattern: &str) -> Option<PathBuf> {
    let plain = pattern.split('/').take_while(|part| !part.contains(['*', '?', '[']));
    let path: PathBuf = root.join(plain.collect::<PathBuf>());
    let above = path.ancestors().skip(usize::from(path.is_file())).find(|path| path.is_dir());
    above.filter(|folder| folder.starts_with(root)).map(Path::to_owned)
}

/// Names of users and groups, from the host's own files; a number where there is none.
#[derive(Debug, Default)]
pub(crate) struct Names {
    users: BTreeMap<u32, String>,
    groups: BTreeMap<u32, String>,
}

impl Names {
    pub(crate) fn read(root: &Path) -> Self {
        let read = |path: &str| {
            let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
            text.lines().filter_map(number_and_name).collect()
        };
        Self { users: read("etc/passwd"), groups: read("etc/group") }
    }

    pub(crate) fn user(&self, id: u32) -> String {
        self.users.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn group(&self, id: u32) -> String {
        self.groups.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }
}

fn number_and_name(line: &str) -> Option<(u32, String)> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn host() -> (tempfile::TempDir, WatchedFiles) {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("etc/passwd", format!("ani:x:{}:1::/:", rustix::process::getuid().as_raw())),
            ("etc/nginx/nginx.conf", "worker_processes 2;".into()),
            ("etc/nginx/sites/spse.conf", "server {}".into()),
            ("etc/nginx/sites/.spse.conf.swp", "x".into()),
            ("home/appserver/a/conf/application.conf", "a".into()),
            ("home/appserver/b/other", "b".into()),
        ] {
            std::fs::create_dir_all(dir.path().join(path).parent().unwrap()).unwrap();
            std::fs::write(dir.path().join(path), text).unwrap();
        }
        let paths = ["/etc/nginx", "/etc/crontab", "/home/appserver/*/conf"];
        let paths = paths.map(|path| path.to_owned().try_into().unwrap()).to_vec();
        (dir, WatchedFiles { paths, ..WatchedFiles::default() })
    }

    fn paths(found: &Found) -> Vec<&str> {
        found.files.iter().map(|file| file.path.as_str()).collect()
    }

    #[test]
    fn files_are_told_with_all_but_their_content() {
        let (dir, watched) = host();
        let conf = dir.path().join("etc/nginx/nginx.conf");
        std::fs::set_permissions(&conf, PermissionsExt::from_mode(0o640)).unwrap();
        let found = look(dir.path(), &watched, &mut Known::default());
        assert_eq!(
            paths(&found),
            [
                "/etc/nginx/nginx.conf",
                "/etc/nginx/sites/spse.conf",
                "/home/appserver/a/conf/application.conf"
            ]
        );
        let file = &found.files[0];
        assert_eq!((file.size_bytes, file.mode.as_str()), (19, "0640"));
        assert_eq!(file.sha256, hex(Sha256::digest("worker_processes 2;")));
        assert!(file.owner.starts_with("ani:") && file.modified_ms > 1_600_000_000_000, "{file:?}");
        assert!(
            found.folders.contains(&dir.path().join("etc")),
            "a file that is not there yet is awaited there"
        );
        assert!(found.folders.contains(&dir.path().join("etc/nginx/sites")) && !found.cut);
    }

    #[test]
    fn a_change_of_content_mode_or_link_is_seen_and_nothing_else_is_read_again() {
        let (dir, watched) = host();
        let (conf, link) = (dir.path().join("etc/nginx/nginx.conf"), dir.path().join("etc/nginx/on"));
        symlink("/nowhere", &link).unwrap();
        let mut known = Known::default();
        let first = look(dir.path(), &watched, &mut known);
        known.hashes.get_mut(&dir.path().join("etc/nginx/sites/spse.conf")).unwrap().1 = "kept".into();
        std::fs::write(&conf, "worker_processes 4;").unwrap();
        std::fs::set_permissions(&conf, PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::remove_file(&link).unwrap();
        symlink("/elsewhere", &link).unwrap();
        let second = look(dir.path(), &watched, &mut known);
        assert_ne!(first.files[0].sha256, second.files[0].sha256);
        assert_eq!(second.files[0].mode, "0600");
        assert_ne!(first.files[1].sha256, second.files[1].sha256, "{:?}", second.files[1]);
        assert_eq!(second.files[2].sha256, "kept");
    }

    #[test]
    fn bounds_hold_and_large_files_are_not_read() {
        let (dir, mut watched) = host();
        watched.max_hash_bytes = 9.try_into().unwrap();
        let found = look(dir.path(), &watched, &mut Known::default());
        assert_eq!(found.files[0].sha256, "");
        assert_ne!(found.files[1].sha256, "");
        for number in 0..MAX_FILES {
            std::fs::write(dir.path().join(format!("etc/nginx/{number}")), "").unwrap();
        }
        let found = look(dir.path(), &watched, &mut Known::default());
        assert!(found.cut && found.files.len() == MAX_FILES);
    }
}
