//! `siaga-server backup` and `restore`: one folder out, one folder in. A backup runs beside a running server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::ConfigFile;
use crate::access::FIRST_RUN_FILE;
use crate::continuity::JOURNAL_KEY_FILE;
use crate::fleet::ORDER_KEY_FILE;

/// Databases of the data folder.
const DATABASES: [&str; 2] = ["records.db", "metrics/series.db"];
/// Further files; a missing one is passed over.
const FILES: [&str; 3] = [ORDER_KEY_FILE, JOURNAL_KEY_FILE, FIRST_RUN_FILE];
/// Pages that are copied between two pauses, so that writers of a running server get their turn.
const PAGES_A_STEP: i32 = 4_096;

#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// New folder for the backup.
    folder: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    #[command(flatten)]
    config: ConfigFile,
    /// Folder of a backup.
    folder: PathBuf,
}

pub(super) fn backup(args: &BackupArgs) -> anyhow::Result<()> {
    let data_dir = args.config.load()?.storage.data_dir;
    if args.folder.exists() {
        bail!("{} exists already", args.folder.display());
    }
    let parent = args.folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let real = |path: &Path| path.canonicalize().with_context(|| format!("cannot use {}", path.display()));
    if real(parent)?.starts_with(real(&data_dir)?) {
        bail!("{} lies within the data folder itself", args.folder.display());
    }
    let staged = args.folder.with_added_extension("partial");
    copy_all(&data_dir, &staged)?;
    std::fs::rename(&staged, &args.folder)
        .with_context(|| format!("cannot rename {} to {}", staged.display(), args.folder.display()))?;
    super::out::line(format_args!("backup of {} in {}", data_dir.display(), args.folder.display()))
}

pub(super) fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let data_dir = args.config.load()?.storage.data_dir;
    // What a database left beside itself would be played back over the restored one.
    let left =
        DATABASES.iter().flat_map(|name| ["", "-wal", "-shm", "-journal"].map(|end| format!("{name}{end}")));
    if let Some(name) = left.into_iter().find(|name| data_dir.join(name).exists()) {
        bail!("{} holds data already ({name}); restore into an empty folder", data_dir.display());
    }
    let staged = data_dir.join("restore.partial");
    copy_all(&args.folder, &staged)?;
    // The records come last: without them no server was here before.
    for name in FILES.into_iter().chain(DATABASES.into_iter().rev()) {
        let (from, to) = (staged.join(name), data_dir.join(name));
        if from.exists() {
            let folder = to.parent().unwrap_or(&data_dir);
            let moved = std::fs::create_dir_all(folder).and_then(|()| std::fs::rename(&from, &to));
            moved.with_context(|| format!("cannot rename {} to {}", from.display(), to.display()))?;
        }
    }
    std::fs::remove_dir_all(&staged).with_context(|| format!("cannot remove {}", staged.display()))?;
    super::out::line(format_args!("{} restored from {}", data_dir.display(), args.folder.display()))
}

/// Copies everything to a folder of its own; leaves nothing of it when a part cannot be copied.
fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in DATABASES {
        if !from.join(name).is_file() {
            bail!("{} does not exist", from.join(name).display());
        }
    }
    // What an earlier attempt left when it was killed.
    if to.exists() {
        std::fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    let copied = copy_parts(from, to);
    if copied.is_err()
        && let Err(error) = std::fs::remove_dir_all(to)
    {
        tracing::warn!(folder = %to.display(), error = error.to_string(), "an unfinished copy is left");
    }
    copied
}

fn copy_parts(from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in DATABASES {
        let (source, target) = (from.join(name), to.join(name));
        let parent = target.parent().unwrap_or(to);
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        copy_database(&source, &target)
            .with_context(|| format!("cannot copy {} to {}", source.display(), target.display()))?;
    }
    for name in FILES {
        let source = from.join(name);
        if source.exists() {
            let content =
                std::fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?;
            crate::access::write_private(&to.join(name), &content)?;
        }
    }
    Ok(())
}

/// Copies a database as it is at one moment, also while it is written to, and makes sure that the copy is whole.
fn copy_database(source: &Path, target: &Path) -> anyhow::Result<()> {
    let source = Connection::open_with_flags(source, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(Duration::from_secs(10))?;
    let mut target = Connection::open(target)?;
    Backup::new(&source, &mut target)?.run_to_completion(PAGES_A_STEP, Duration::from_millis(5), None)?;
    let whole: String = target.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if whole == "ok" { Ok(()) } else { bail!("the database is damaged: {whole}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{Records, users};

    #[test]
    fn what_is_backed_up_is_restored_and_nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir_all(data.join("metrics")).unwrap();
        let records = Records::open(&data).unwrap();
        crate::access::ensure_first_user(&records, &data, "http://x", 1).unwrap();
        std::fs::write(data.join(JOURNAL_KEY_FILE), "key").unwrap();
        Connection::open(data.join("metrics/series.db")).unwrap().execute("CREATE TABLE t (a)", []).unwrap();

        let copy = folder.path().join("copy");
        copy_all(&data, &copy).unwrap();
        let restored = Records::open(&copy).unwrap();
        assert_eq!(restored.transaction(|db| users::count(db)).unwrap(), 1);
        assert!(copy.join("first-run.json").exists());
        assert_eq!(std::fs::read(copy.join(JOURNAL_KEY_FILE)).unwrap(), b"key");

        let config_of = |data: &Path| {
            let config = folder.path().join("server.toml");
            std::fs::write(&config, format!("[storage]\ndata_dir = \"{}\"\n", data.display())).unwrap();
            ConfigFile { config: Some(config) }
        };
        let within = BackupArgs { config: config_of(&data), folder: data.join("copy") };
        assert!(backup(&within).unwrap_err().to_string().contains("within the data folder"));
        let taken = RestoreArgs { config: config_of(&data), folder: copy.clone() };
        assert!(restore(&taken).unwrap_err().to_string().contains("holds data already"));

        // A log that stayed behind when its database was removed is data too.
        for left in ["records.db-wal", "metrics/series.db-wal"] {
            let partly = folder.path().join("partly");
            std::fs::create_dir_all(partly.join("metrics")).unwrap();
            std::fs::write(partly.join(left), "pages").unwrap();
            let error =
                restore(&RestoreArgs { config: config_of(&partly), folder: copy.clone() }).unwrap_err();
            assert!(error.to_string().contains(left), "{error:#}");
            std::fs::remove_dir_all(partly).unwrap();
        }

        // A damaged backup leaves nothing behind, and a good one can be restored after it.
        let damaged = folder.path().join("damaged");
        copy_all(&data, &damaged).unwrap();
        let mut bytes = std::fs::read(damaged.join("records.db")).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..].fill(0x55);
        std::fs::write(damaged.join("records.db"), bytes).unwrap();
        let fresh = folder.path().join("fresh");
        let error = restore(&RestoreArgs { config: config_of(&fresh), folder: damaged }).unwrap_err();
        assert!(format!("{error:#}").contains("records.db"), "{error:#}");
        assert_eq!(std::fs::read_dir(&fresh).unwrap().count(), 0);
        restore(&RestoreArgs { config: config_of(&fresh), folder: copy }).unwrap();
        assert_eq!(Records::open(&fresh).unwrap().transaction(|db| users::count(db)).unwrap(), 1);
        assert!(fresh.join("metrics/series.db").exists() && fresh.join("first-run.json").exists());
        assert!(!fresh.join("restore.partial").exists());
    }
}
