//! The figures of a real PostgreSQL, which the test starts on a socket of its own.
//!
//! Needs Debian's `postgresql`, which `tests/install-tools.sh` installs; without it the test fails.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use siaga_agent::config::Config;
use siaga_agent::samples::{Output, Recorder};
use siaga_agent::services::{self, Boards};

/// The newest version's folder of programs.
fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    newest.expect("PostgreSQL is not installed: run tests/install-tools.sh")
}

/// A program of PostgreSQL; as the user postgres where the test runs as root, which PostgreSQL refuses.
fn program(name: &str) -> Command {
    let path = programs().join(name);
    let mut command = if rustix::process::getuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(path);
        command
    } else {
        Command::new(path)
    };
    command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

struct Database {
    folder: tempfile::TempDir,
}

/// A folder that PostgreSQL's user may write to.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    if rustix::process::getuid().is_root() {
        let owned = Command::new("chown").arg("postgres").arg(folder.path()).status().unwrap();
        assert!(owned.success());
    }
    folder
}

impl Database {
    fn start() -> Self {
        let folder = folder();
        let data = folder.path().join("data");
        let made = program("initdb")
            .args(["--auth=trust", "--username=admin", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .status()
            .unwrap();
        assert!(made.success(), "initdb");
        Self::serve(folder)
    }

    /// A standby that follows the other one.
    fn standby(primary: &Self) -> Self {
        let folder = folder();
        let copied = program("pg_basebackup")
            .args(["--username=admin", "--checkpoint=fast", "--write-recovery-conf", "--no-sync", "-h"])
            .arg(primary.socket())
            .arg("-D")
            .arg(folder.path().join("data"))
            .status()
            .unwrap();
        assert!(copied.success(), "pg_basebackup");
        Self::serve(folder)
    }

    fn serve(folder: tempfile::TempDir) -> Self {
        let data = folder.path().join("data");
        let socket = folder.path().display();
        let options = format!(
            "-k {socket} -c listen_addresses= -c fsync=off -c shared_buffers=2MB -c max_connections=20 \
             -c archive_mode=on -c archive_command=true"
        );
        let started = program("pg_ctl")
            .args(["start", "-w", "-t", "60", "-o", &options, "-l"])
            .arg(folder.path().join("log"))
            .arg("-D")
            .arg(&data)
            .status()
            .unwrap();
        assert!(started.success(), "pg_ctl start");
        Self { folder }
    }

    fn socket(&self) -> &Path {
        self.folder.path()
    }

    async fn admin(&self) -> tokio_postgres::Client {
        let (admin, connection) = tokio_postgres::Config::new()
            .host_path(self.socket())
            .user("admin")
            .dbname("postgres")
            .connect(tokio_postgres::NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        admin
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let _ = program("pg_ctl").args(["stop", "-m", "immediate", "-D"]).arg(data).status();
    }
}

async fn ask(socket: &Path, user: &str) -> String {
    let config = format!(
        "[[services.postgres]]\nname = \"spse\"\nhost = \"{}\"\nuser = \"{user}\"\ntimeout_seconds = 6\n\
         [[services.postgres.probes]]\nname = \"count\"\nsql = \"SELECT 42, 'x' UNION ALL SELECT 1, 'y'\"\n\
         [[services.postgres.probes]]\nname = \"many\"\nsql = \"SELECT 'x' FROM generate_series(1, 100000)\"\n\
         [[services.postgres.probes]]\nname = \"locked\"\nsql = \"SELECT count(*) FROM rahasia\"\n\
         [[services.postgres.probes]]\nname = \"writes\"\nsql = \"SELECT nextval('urutan')\"\n",
        socket.display()
    );
    let config = Config::parse(&config, Path::new("test.toml")).unwrap();
    let boards = Arc::new(Boards::default());
    services::ask_once(&config.services, &boards).await;
    let (mut output, mut recorder) = (Output::default(), Recorder::default());
    boards.read(&mut output);
    recorder.begin();
    recorder.take_up(&output);
    recorder.end();
    recorder.to_text()
}

fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find(|line| line.starts_with(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn a_question_of_the_hosts_own_is_one_select() {
    for sql in [
        "CREATE TABLE t ()",
        "COPY t TO PROGRAM 'sh'",
        "SELECT 1; DROP TABLE t",
        "SET default_transaction_read_only = off",
    ] {
        let config = format!(
            "[[services.postgres]]\nname = \"spse\"\nuser = \"siaga\"\n\
             [[services.postgres.probes]]\nname = \"x\"\nsql = \"{sql}\"\n"
        );
        let error = Config::parse(&config, Path::new("test.toml")).unwrap_err().to_string();
        assert!(error.contains("sql must be"), "{error}");
    }
}

#[tokio::test]
async fn a_database_server_tells_its_figures_to_a_role_that_may_only_monitor() {
    let database = Database::start();
    let sql = "CREATE ROLE siaga LOGIN; GRANT pg_monitor TO siaga; CREATE TABLE rahasia (isi text); \
               CREATE SEQUENCE urutan; GRANT ALL ON urutan TO siaga";
    let admin = database.admin().await;
    admin.batch_execute(sql).await.unwrap();
    admin.batch_execute("BEGIN; LOCK TABLE rahasia IN ACCESS EXCLUSIVE MODE").await.unwrap();

    let text = ask(database.socket(), "siaga").await;
    let value = |series: &str| value(&text, series);
    assert_eq!(value("pg_up{server=\"spse\"}"), 1.0);
    assert_eq!(value("pg_exporter_last_scrape_error{server=\"spse\"}"), 0.0, "{text}");
    assert_eq!(value("pg_settings_max_connections"), 20.0);
    assert_eq!(value("pg_replication_is_replica"), 0.0);
    assert_eq!(value("pg_replication_lag_seconds"), 0.0);
    assert_eq!(value("pg_locks_count{datname=\"postgres\",mode=\"accessexclusivelock\""), 1.0);
    let idle = "{datname=\"postgres\",server=\"spse\",state=\"idle in transaction\"}";
    assert_eq!(value(&format!("pg_stat_activity_count{idle}")), 1.0);
    assert!(value(&format!("pg_stat_activity_max_tx_duration{idle}")) > 0.0);
    assert!(value("pg_database_size_bytes{datname=\"postgres\"") > 1e6);
    assert!(value("pg_stat_database_blks_hit{datid=") >= 0.0);
    assert!(value("pg_stat_archiver_failed_count") >= 0.0 && value("pg_static{") == 1.0);
    assert!(
        text.contains("pg_stat_bgwriter_checkpoints_timed_total") || text.contains("pg_stat_checkpointer_")
    );
    for (series, expected) in [
        ("success{probe=\"count\"", 1.0),
        ("sql_value{probe=\"count\"", 42.0),
        ("sql_rows{probe=\"count\"", 2.0),
        ("sql_rows{probe=\"many\"", 10_000.0),
        // It waits for the lock of the other session until its share of the time is over.
        ("success{probe=\"locked\"", 0.0),
        ("success{probe=\"writes\"", 0.0),
    ] {
        assert_eq!(value(&format!("probe_{series}")), expected, "{series}");
    }
    assert!(!text.contains("LOCK TABLE") && !text.contains("rahasia"), "a query's text has left: {text}");

    // A superuser's SELECT could read every file of the server.
    let text = ask(database.socket(), "admin").await;
    assert!(text.contains("pg_up{server=\"spse\"} 1\n"), "{text}");
    assert!(text.contains("probe_success{probe=\"count\",target=\"spse\"} 0\n"), "{text}");
    assert!(!text.contains("probe_sql_value"), "{text}");

    let text = ask(database.socket(), "nobody").await;
    assert!(text.contains("probe_success{probe=\"count\",target=\"spse\"} 0\n"), "{text}");
    assert!(text.contains("pg_up{server=\"spse\"} 0\n") && !text.contains("pg_static"), "{text}");
}

#[tokio::test]
async fn a_standby_tells_how_far_it_is_behind_and_the_primary_what_it_sent_and_archived() {
    let primary = Database::start();
    let admin = primary.admin().await;
    admin
        .batch_execute("CREATE ROLE siaga LOGIN; GRANT pg_monitor TO siaga; CREATE TABLE t (n int)")
        .await
        .unwrap();
    let standby = Database::standby(&primary);
    let other = standby.admin().await;
    other.batch_execute("SELECT pg_wal_replay_pause()").await.unwrap();
    admin.batch_execute("INSERT INTO t SELECT generate_series(1, 1000)").await.unwrap();
    admin.batch_execute("SELECT pg_switch_wal()").await.unwrap();
    // What was sent is there and waits to be replayed; the segment before was archived.
    let sent = "pg_stat_replication_pg_wal_lsn_diff{application_name=\"walreceiver\"";
    let (mut behind, mut ahead) = (String::new(), String::new());
    for _ in 0..100 {
        (behind, ahead) = (ask(standby.socket(), "siaga").await, ask(primary.socket(), "siaga").await);
        let is_there = ahead.contains(sent) && value(&ahead, "pg_stat_archiver_archived_count{") > 0.0;
        if is_there && value(&behind, "pg_replication_lag_seconds{") > 0.0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(value(&behind, "pg_replication_is_replica{"), 1.0);
    assert!(value(&behind, "pg_replication_lag_seconds{") > 0.0, "{behind}");
    assert!(value(&ahead, sent) > 0.0, "{ahead}");
    assert!(value(&ahead, "pg_stat_archiver_archived_count{") > 0.0);
    assert!(value(&ahead, "pg_stat_archiver_last_archive_age{") >= 0.0);
    assert_eq!(value(&ahead, "pg_replication_is_replica{"), 0.0);

    // All is replayed; then nothing comes any more, which is not the same.
    other.batch_execute("SELECT pg_wal_replay_resume()").await.unwrap();
    until_lag(&standby, |lag| lag == 0.0).await;
    drop(primary);
    until_lag(&standby, |lag| lag > 0.0).await;
}

async fn until_lag(standby: &Database, is_right: impl Fn(f64) -> bool) {
    for _ in 0..200 {
        let text = ask(standby.socket(), "siaga").await;
        if is_right(value(&text, "pg_replication_lag_seconds{")) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("the lag of the standby stays");
}
