//! What the configuration cannot have the agent read, whoever wrote it: files in places of secrets never become figures,
//! be it by their text or by counting what matches in them; secrets that the agent itself needs are read from small plain
//! files, and go only where they belong.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

/// Folders of settings, keys and the kernel; nothing in them is a log or was left there as figures.
const PLACES: [&str; 10] = [
    "/boot",
    "/dev",
    "/etc",
    "/proc",
    "/root",
    "/run/credentials",
    "/run/secrets",
    "/sys",
    "/usr/local/etc",
    "/var/spool/cron",
];
/// Names of files and folders that hold secrets wherever they lie.
const NAMES: [&str; 13] = [
    ".aws",
    ".docker",
    ".env",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".my.cnf",
    ".netrc",
    ".pgpass",
    ".ssh",
    "credentials.json",
    "first-run.json",
    "trust.json",
];
/// Endings of such files.
const ENDINGS: [&str; 12] =
    ["conf", "env", "jks", "kdbx", "key", "keystore", "p12", "password", "pem", "pfx", "secret", "token"];
/// Largest file of a secret that the agent needs, in bytes.
const MAX_SECRET_BYTES: u64 = 4_096;

/// Whether files there hold secrets, as far as their path tells.
#[must_use]
pub fn is_secret_place(path: &Path) -> bool {
    let named = |part: Component<'_>| NAMES.iter().any(|name| part.as_os_str() == *name);
    PLACES.iter().any(|place| path.starts_with(place))
        || path.components().any(named)
        || path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known))
}

/// A path that a collector may read: absolute, and not of a place of secrets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
pub struct ReadablePath(PathBuf);

impl TryFrom<PathBuf> for ReadablePath {
    type Error = String;

    fn try_from(path: PathBuf) -> Result<Self, String> {
        if !path.is_absolute() || path.components().any(|part| part == Component::ParentDir) {
            return Err(format!("{path:?} is no absolute path without .."));
        }
        if is_secret_place(&path) {
            return Err(format!("{path:?} is a place of settings and secrets, which are never read"));
        }
        Ok(Self(path))
    }
}

impl std::ops::Deref for ReadablePath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

/// Opens a plain file that may be read into figures. Where it really lies counts, not the links that lead there; with
/// `follow` false the last part of the path may be no link at all.
///
/// # Errors
/// It cannot be opened, is no plain file, or lies in a place of secrets.
pub fn open_readable(path: &Path, follow: bool) -> std::io::Result<File> {
    // Without waiting: a pipe would be opened only when somebody writes.
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | if follow { 0 } else { libc::O_NOFOLLOW };
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no plain file"));
    }
    let real = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    if is_secret_place(&real) {
        return Err(std::io::Error::other("it lies in a place of settings and secrets"));
    }
    Ok(file)
}

/// A secret that the agent needs: the text of a small plain file, without the end of its line.
///
/// # Errors
/// It cannot be read, is no plain file, no text, or too large.
pub fn read_secret(path: &Path) -> std::io::Result<String> {
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() || meta.len() > MAX_SECRET_BYTES {
        return Err(std::io::Error::other(format!(
            "it is no plain file of at most {MAX_SECRET_BYTES} bytes"
        )));
    }
    let mut text = String::new();
    file.take(MAX_SECRET_BYTES).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_secrets_are_no_logs_and_logs_are_none() {
        for path in [
            "/etc/shadow",
            "/proc/self/environ",
            "/root/.bash_history",
            "/home/appserver/.ssh/id_ed25519",
            "/home/appserver/spse/conf/application.conf",
            "/var/lib/siaga-agent/credentials.json",
            "/srv/tls/site.key",
            "/run/secrets/db",
            "relative.log",
            "/var/log/../../etc/shadow",
        ] {
            assert!(ReadablePath::try_from(PathBuf::from(path)).is_err(), "{path}");
        }
        for path in ["/var/log/nginx/error.log", "/home/appserver/spse/logs/application.log", "/srv/etc.log"]
        {
            assert!(ReadablePath::try_from(PathBuf::from(path)).is_ok(), "{path}");
        }
    }

    #[test]
    fn links_to_secrets_and_what_is_no_plain_file_are_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("plain.log"), "x\n").unwrap();
        std::fs::write(path("site.key"), "secret\n").unwrap();
        for (link, target) in [("a.log", "plain.log"), ("b.log", "site.key"), ("c.log", "/etc/passwd")] {
            std::os::unix::fs::symlink(target, path(link)).unwrap();
        }
        assert!(
            open_readable(&path("plain.log"), false).is_ok() && open_readable(&path("a.log"), true).is_ok()
        );
        assert!(open_readable(&path("a.log"), false).is_err());
        for refused in [path("b.log"), path("c.log"), dir.path().to_owned(), "/dev/null".into()] {
            assert!(open_readable(&refused, true).is_err(), "{}", refused.display());
        }
        assert_eq!(read_secret(&path("site.key")).unwrap(), "secret");
        assert!(read_secret(Path::new("/dev/zero")).is_err());
        std::fs::write(path("large"), "x".repeat(5_000)).unwrap();
        assert!(read_secret(&path("large")).is_err());
    }
}
