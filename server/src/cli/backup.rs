//! `siaga-server backup` and `restore`: one folder out, one folder in. A backup runs beside a running server.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use rusqlite::backup::Backup;
use rusqlite::{Connection, OpenFlags};

use super::ConfigFile;

/// Databases of the data folder.
const DATABASES: [&str; 2] = ["records.db", "metrics/series.db"];
/// Further files; a missing one is passed over.
const FILES: [&str; 2] = ["order.key", "first-run.json"];
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
    copy_all(&data_dir, &args.folder)?;
    super::out::line(format_args!("backup of {} in {}", data_dir.display(), args.folder.display()))?;
    Ok(())
}

pub(super) fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let data_dir = args.config.load()?.storage.data_dir;
    if DATABASES.iter().any(|name| data_dir.join(name).exists()) {
        bail!("{} holds data already; restore into an empty folder", data_dir.display());
    }
    copy_all(&args.folder, &data_dir)?;
    super::out::line(format_args!("{} restored from {}", data_dir.display(), args.folder.display()))?;
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> anyhow::Result<()> {
    for name in DATABASES {
        let (source, target) = (from.join(name), to.join(name));
        if !source.exists() {
            bail!("{} does not exist", source.display());
        }
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

/// Copies a database as it is at one moment, also while it is written to.
fn copy_database(source: &Path, target: &Path) -> rusqlite::Result<()> {
    let source = Connection::open_with_flags(source, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    source.busy_timeout(Duration::from_secs(10))?;
    let mut target = Connection::open(target)?;
    Backup::new(&source, &mut target)?.run_to_completion(PAGES_A_STEP, Duration::from_millis(5), None)?;
    let whole: String = target.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if whole == "ok" { Ok(()) } else { Err(rusqlite::Error::InvalidQuery) }
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
        Connection::open(data.join("metrics/series.db")).unwrap().execute("CREATE TABLE t (a)", []).unwrap();

        let copy = folder.path().join("copy");
        copy_all(&data, &copy).unwrap();
        let restored = Records::open(&copy).unwrap();
        assert_eq!(restored.transaction(|db| users::count(db)).unwrap(), 1);
        assert!(copy.join("first-run.json").exists());

        let config = folder.path().join("server.toml");
        std::fs::write(&config, format!("[storage]\ndata_dir = \"{}\"\n", data.display())).unwrap();
        let args = RestoreArgs { config: ConfigFile { config: Some(config) }, folder: copy };
        assert!(restore(&args).unwrap_err().to_string().contains("holds data already"));
    }
}
