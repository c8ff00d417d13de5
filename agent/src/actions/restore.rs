//! A backup of PostgreSQL, restored in a scratch place and counted against its source.
//!
//! Invariants: neither backup nor source is written to; the copy listens on a socket in its own folder alone; the scratch
//! place is removed whatever happens, and only if this made it; a backup that does not fit its manifest, cannot be
//! recovered or lacks rows fails with the reason.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use tokio::process::Command;

use super::pg_server::{ask, connection};
use super::{Job, program, say, tell_figures};
use crate::config::actions::Restore;

/// File that says that a scratch place is one of ours.
const OURS: &str = "siaga-restore";
/// Time that is kept to stop the copy and remove it.
const TO_CLEAN: Duration = Duration::from_secs(3);
/// Lines of the copy's log that tell why it did not start.
const REASON_LINES: usize = 3;

pub(super) async fn carry_out(asked: &Restore, job: &Job) -> anyhow::Result<()> {
    if job.undo {
        return clean(asked, job).await;
    }
    ensure!(!asked.scratch.exists(), "the scratch place {} exists already", asked.scratch.display());
    let inner = Job { undo: false, deadline: job.deadline - TO_CLEAN.min(job.left() / 2) };
    let done = restore(asked, &inner).await;
    let cleaned = clean(asked, job).await;
    done.and(cleaned)
}

/// Stops the copy, if it runs, and removes the scratch place.
async fn clean(asked: &Restore, job: &Job) -> anyhow::Result<()> {
    if !asked.scratch.exists() {
        return Ok(());
    }
    ensure!(asked.scratch.join(OURS).exists(), "{} is no scratch place of Siaga's", asked.scratch.display());
    let data = asked.scratch.join("data");
    if data.join("postmaster.pid").exists() {
        let mut command = Command::new(program::of_postgres(asked.programs.as_ref(), "pg_ctl")?);
        command.arg("-D").arg(&data).args(["stop", "-m", "immediate", "-w", "-t", "5"]);
        // A copy that ended by itself leaves its file behind.
        if let Err(error) = program::run(command, job).await {
            say(&format!("{error:#}"));
        }
    }
    std::fs::remove_dir_all(&asked.scratch)
        .with_context(|| format!("cannot remove {}", asked.scratch.display()))
}

async fn restore(asked: &Restore, job: &Job) -> anyhow::Result<()> {
    let began = Instant::now();
    let backup = newest_backup(&asked.backup)?;
    say(&format!("backup {}", backup.display()));
    let cannot = || format!("cannot make {}", asked.scratch.display());
    std::fs::DirBuilder::new().mode(0o700).create(&asked.scratch).with_context(cannot)?;
    std::fs::write(asked.scratch.join(OURS), "").with_context(cannot)?;
    let data = asked.scratch.join("data");
    let mut copy = Command::new("cp");
    copy.args(["-a", "--reflink=auto", "--"]).arg(&backup).arg(&data);
    program::run(copy, job).await.context("the backup cannot be copied")?;
    let copied = began.elapsed();

    let mut verify = Command::new(program::of_postgres(asked.programs.as_ref(), "pg_verifybackup")?);
    // Its WAL is proven by being replayed; where it is archived, the backup holds none.
    verify.args(["--exit-on-error", "--no-parse-wal"]).arg(&data);
    program::run(verify, job).await.context("the backup is damaged")?;
    prepare(asked, &data)?;
    start(asked, &data, job).await?;
    let own = format!(
        "host={} port={} user={} dbname={}",
        asked.scratch.display(),
        asked.port,
        asked.superuser,
        asked.database
    );
    let copy = connection(&own, None)?;
    let recovered = async || match ask(&copy, "SELECT pg_is_in_recovery()", job.left()).await {
        Ok(row) if row.first().and_then(Option::as_deref) == Some("f") => Ok(Ok(())),
        Ok(_) => Ok(Err("it is still in recovery".to_owned())),
        Err(error) => match tail(&asked.scratch.join("log")) {
            said if is_fatal(&said) => {
                bail!("the backup cannot be recovered: {said}")
            }
            _ => Ok(Err(format!("{error:#}"))),
        },
    };
    job.until("the end of the recovery", recovered).await?;
    let restored = began.elapsed();
    say("restored and recovered");
    count(asked, &copy, job, (copied, restored)).await
}

/// The folder itself if it is a backup, else the newest one in it.
fn newest_backup(folder: &Path) -> anyhow::Result<PathBuf> {
    let is_backup = |path: &Path| path.join("PG_VERSION").exists() || path.join("backup_label").exists();
    if is_backup(folder) {
        return Ok(folder.to_owned());
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let age =
        |path: &PathBuf| path.metadata().and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let found = entries.flatten().map(|entry| entry.path()).filter(|path| is_backup(path)).max_by_key(age);
    found.with_context(|| format!("{} holds no base backup", folder.display()))
}

/// A configuration of the copy's own: nothing of the source's is used, least of all its addresses and its archive.
fn prepare(asked: &Restore, data: &Path) -> anyhow::Result<()> {
    ensure!(data.join("backup_label").exists(), "the backup has no backup_label: it is no base backup");
    let fetch = match &asked.wal {
        // PostgreSQL hands this to a shell of its own; the path was checked to be plain.
        Some(wal) => format!("cp {}/%f %p", wal.display()),
        None => "false".to_owned(),
    };
    let scratch = asked.scratch.display();
    let text = format!(
        "listen_addresses = ''\nport = {}\nunix_socket_directories = '{scratch}'\nhba_file = '{scratch}/hba.conf'\n\
         ident_file = '{scratch}/ident.conf'\ndata_directory = '{scratch}/data'\nrestore_command = '{fetch}'\n\
         recovery_target_timeline = 'latest'\nhot_standby = off\narchive_mode = off\nfsync = off\n\
         shared_buffers = 64MB\nlogging_collector = off\nlog_destination = stderr\nssl = off\n\
         shared_preload_libraries = ''\n",
        asked.port
    );
    let files = [
        (asked.scratch.join("postgresql.conf"), text.as_str()),
        (asked.scratch.join("hba.conf"), "local all all trust\n"),
        (asked.scratch.join("ident.conf"), ""),
        (data.join("postgresql.auto.conf"), ""),
        (data.join("recovery.signal"), ""),
    ];
    for (path, text) in files {
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let signal = data.join("standby.signal");
    if signal.exists() {
        std::fs::remove_file(&signal).context("cannot remove standby.signal")?;
    }
    Ok(())
}

async fn start(asked: &Restore, data: &Path, job: &Job) -> anyhow::Result<()> {
    let mut command = Command::new(program::of_postgres(asked.programs.as_ref(), "pg_ctl")?);
    let log = asked.scratch.join("log");
    command.arg("-D").arg(data).args(["start", "-W", "-l"]).arg(&log);
    command.arg("-o").arg(format!("-c config_file={}", asked.scratch.join("postgresql.conf").display()));
    program::run(command, job)
        .await
        .map(drop)
        .with_context(|| format!("the copy does not start: {}", tail(&log)))
}

fn is_fatal(said: &str) -> bool {
    (said.contains("FATAL") || said.contains("PANIC")) && !said.contains("the database system is")
}

/// The end of the copy's log.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    // Who asks too early is refused, which is no reason.
    let refused =
        |line: &str| line.contains("the database system is") || line.contains("Hot standby mode is disabled");
    let worst =
        lines.iter().filter(|line| (line.contains("FATAL") || line.contains("PANIC")) && !refused(line));
    let mut said: Vec<&str> = worst.rev().take(REASON_LINES).copied().collect();
    if said.is_empty() {
        said = lines.iter().rev().take(REASON_LINES).copied().collect();
    }
    said.reverse();
    said.join("; ")
}

async fn number(config: &tokio_postgres::Config, sql: &str, job: &Job) -> anyhow::Result<f64> {
    let row = ask(config, sql, job.left()).await?;
    let cell = row.into_iter().next().flatten().context("it gives nothing")?;
    cell.parse().with_context(|| format!("{cell:?} is no number"))
}

/// Counts in the copy and in the source; a source that has more than was allowed fails.
async fn count(
    asked: &Restore,
    copy: &tokio_postgres::Config,
    job: &Job,
    (copied, restored): (Duration, Duration),
) -> anyhow::Result<()> {
    let source = asked.source.as_ref().map(|text| connection(text, asked.password_file.as_ref()));
    let source = source.transpose().context("source")?;
    let (mut rows, mut source_rows, mut missing) = (0.0, 0.0, 0.0_f64);
    for sql in &asked.count {
        let found =
            number(copy, sql, job).await.with_context(|| format!("the copy does not answer {sql:?}"))?;
        rows += found;
        if let Some(source) = &source {
            let wanted = number(source, sql, job)
                .await
                .with_context(|| format!("the source does not answer {sql:?}"))?;
            say(&format!("{sql}: {found} restored, {wanted} in the source"));
            source_rows += wanted;
            missing += (wanted - found).max(0.0);
        }
    }
    let mut behind_seconds = None;
    if let (Some(sql), Some(source)) = (&asked.newest, &source) {
        let (found, wanted) = (number(copy, sql, job).await?, number(source, sql, job).await?);
        behind_seconds = Some((wanted - found).max(0.0));
    }
    let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    tell_figures(&json!({
        "restored_ms": milliseconds(restored),
        "copied_ms": milliseconds(copied),
        "rows": rows,
        "source_rows": source.as_ref().map(|_| source_rows),
        "missing_rows": source.as_ref().map(|_| missing),
        "behind_seconds": behind_seconds,
    }));
    #[expect(clippy::cast_precision_loss, reason = "rows of a table stay far below 2^52")]
    let allowed = asked.max_missing_rows as f64;
    ensure!(missing <= allowed, "{missing} rows of the source are not in the backup, more than {allowed}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_backup_of_a_folder_is_taken_and_an_empty_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        assert!(newest_backup(folder.path()).is_err());
        for (name, age) in [("b", 10), ("a", 20)] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("PG_VERSION"), "15").unwrap();
            let when = SystemTime::now() - Duration::from_secs(age);
            std::fs::File::open(&path).unwrap().set_modified(when).unwrap();
        }
        assert_eq!(newest_backup(folder.path()).unwrap(), folder.path().join("b"));
        assert_eq!(newest_backup(&folder.path().join("a")).unwrap(), folder.path().join("a"));
    }
}
