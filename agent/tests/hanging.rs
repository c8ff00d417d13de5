//! A filesystem that does not answer, as a dead network mount: a real one of FUSE, whose server is stopped.
//!
//! Needs Debian's `bindfs`, which `tests/install-tools.sh` installs, and the right to mount.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::process::{Command, Stdio};

/// In namespaces of its own, so that nobody else sees the mount: mounts, stops the server, collects, and lets it go on.
const SCRIPT: &str = r#"
bindfs -f "$1/source" "$1/dead" & server=$!
until grep -q "$1/dead" /proc/self/mounts; do sleep 0.05; done
kill -STOP $server
"$2" once; status=$?
kill -KILL $server
exit $status
"#;

#[test]
fn a_filesystem_that_hangs_is_told_as_broken_and_everything_else_is_there() {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["source", "dead"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    let mut command = Command::new("unshare");
    if !rustix::process::getuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    let output = command
        .args(["--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", SCRIPT, "sh"])
        .arg(dir.path())
        .arg(env!("CARGO_BIN_EXE_siaga-agent"))
        .stderr(Stdio::inherit())
        .output()
        .expect("unshare of util-linux");
    assert!(output.status.success(), "bindfs is not installed or must not mount: run tests/install-tools.sh");
    let text = String::from_utf8(output.stdout).unwrap();
    let of = |family: &str| {
        let is_dead = |line: &&str| line.starts_with(family) && line.contains("/dead\"}");
        text.lines().find(is_dead).and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value)
    };
    assert_eq!(of("node_filesystem_device_error"), Some("1"), "{text}");
    assert_eq!(of("node_filesystem_size_bytes"), None);
    assert!(
        text.contains("node_load1 ") && text.contains("node_scrape_collector_success{collector=\"own\"} 1")
    );
    let others = text.lines().filter(|line| line.starts_with("node_filesystem_size_bytes{"));
    assert!(others.count() > 0, "other filesystems are told:\n{text}");
}
