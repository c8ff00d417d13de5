//! A full disk: the server refuses what it cannot store, says so, still starts and answers, and goes on by itself.

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::{Method, StatusCode};
use siaga_tests::harness::{Server, series, wait_for};

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

/// Takes all room that is left.
fn fill(disk: &Path) {
    let mut filler = std::fs::OpenOptions::new().create(true).append(true).open(disk.join("filler")).unwrap();
    for size in [1 << 20, 4096, 1] {
        while filler.write_all(&vec![0; size]).is_ok() {}
    }
}

async fn status(server: &Server, path: &str) -> StatusCode {
    server.api.nameless(Method::GET, path).send().await.unwrap().status()
}

async fn write(server: &Server, round: u32) -> StatusCode {
    let many = (0..500).map(|number| {
        let number = format!("{round}-{number:0>200}");
        series(&[("__name__", "many"), ("number", &number)], &[(now_ms(), 1.0)])
    });
    server.api.write(many.collect()).await.unwrap().0
}

#[tokio::test]
async fn a_full_disk_stops_writing_alone_until_there_is_room() {
    if !rustix::process::geteuid().is_root() {
        return println!("not tested: only root may mount a small disk");
    }
    let mut server = Server::start_on_small_disk(24, "[rules]\ndefaults = false\n").await.unwrap();
    let good = vec![series(&[("__name__", "good")], &[(now_ms(), 1.0)])];
    assert_eq!(server.api.write(good).await.unwrap().0, StatusCode::NO_CONTENT);
    let disk = server.data_dir();
    fill(&disk);
    let mut round = 0;
    while write(&server, round).await == StatusCode::NO_CONTENT {
        round += 1;
        assert!(round < 100, "the disk is not full");
        fill(&disk);
    }
    assert_eq!(write(&server, round).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status(&server, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE);

    // A crash, then an end in order, which leaves less behind; what they freed is taken at once.
    for is_crash in [true, false] {
        if is_crash {
            server.kill().unwrap();
        } else {
            // It may complain of what it could not write down.
            let _status = server.stop().await.unwrap();
            // As an end without a complaint does: the next start needs room for them.
            for memory in ["records.db-shm", "metrics/series.db-shm"] {
                drop(std::fs::remove_file(disk.join(memory)));
            }
        }
        fill(&disk);
        server.launch_until("/healthz").await.unwrap();
        assert_eq!(status(&server, "/readyz").await, StatusCode::SERVICE_UNAVAILABLE, "crash: {is_crash}");
        let found = server.api.query("last_over_time(good[1h])", None).await.unwrap();
        assert_eq!(found.len(), 1, "crash: {is_crash}");
        assert_eq!(status(&server, "/masuk").await, StatusCode::OK, "crash: {is_crash}");
        fill(&disk);
        while write(&server, round).await == StatusCode::NO_CONTENT {
            round += 1;
            assert!(round < 100, "the disk is not full");
            fill(&disk);
        }
    }

    std::fs::remove_file(disk.join("filler")).unwrap();
    let stored = || async { (write(&server, round).await == StatusCode::NO_CONTENT).then_some(()) };
    wait_for("samples are stored again", Duration::from_secs(30), stored).await;
    let ready = || async { (status(&server, "/readyz").await == StatusCode::OK).then_some(()) };
    wait_for("the server is ready again", Duration::from_secs(60), ready).await;
    assert!(server.log().unwrap().contains("ballast is let go"), "the start needed no ballast");
}
