//! The units of systemd: that they are right, that the agent's is hardened, and that the agent needs nothing of what it takes
//! away.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const AGENT: &str = env!("CARGO_BIN_EXE_siaga-agent");
/// Highest exposure that `systemd-analyze security` may find, tenths; 10 is its best class, 100 its worst.
const MAX_EXPOSURE: &str = "22";

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/systemd").join(name)
}

fn analyze(arguments: &[&str]) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(arguments).env("LC_ALL", "C").output();
    let output = output.expect("systemd-analyze is not installed: run tests/install-tools.sh");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["siaga-agent.service", "siaga-executor.service"] {
        let copy = dir.path().join(name);
        let text = std::fs::read_to_string(unit(name)).unwrap().replace("/usr/bin/siaga-agent", AGENT);
        std::fs::write(&copy, text).unwrap();
        let (is_right, said) = analyze(&["verify", "--man=no", copy.to_str().unwrap()]);
        // Of units of this machine it may say something too.
        let of_this: Vec<_> = said.lines().filter(|line| line.contains("siaga")).collect();
        assert!(is_right && of_this.is_empty(), "{said}");
    }
}

#[test]
fn the_agents_unit_is_unprivileged_and_hardened() {
    let text = std::fs::read_to_string(unit("siaga-agent.service")).unwrap();
    for line in ["User=siaga-agent", "CapabilityBoundingSet=", "AmbientCapabilities=", "NoNewPrivileges=yes"]
    {
        assert!(text.lines().any(|have| have == line), "{line}");
    }
    let threshold = format!("--threshold={MAX_EXPOSURE}");
    let path = unit("siaga-agent.service");
    let (is_safe, said) = analyze(&["security", "--offline=true", &threshold, path.to_str().unwrap()]);
    assert!(is_safe, "{}", said.lines().last().unwrap_or_default());
}

/// System calls of a group of systemd, those of groups in it included.
fn group(name: &str) -> BTreeSet<String> {
    let (_, text) = analyze(&["syscall-filter", name]);
    let words = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (groups, calls): (Vec<_>, Vec<_>) = words.skip(1).partition(|word| word.starts_with('@'));
    groups.into_iter().flat_map(group).chain(calls.into_iter().map(str::to_owned)).collect()
}

fn as_nobody(arguments: &[&str]) -> Command {
    let mut command;
    if rustix::process::getuid().is_root() {
        command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--bounding-set=-all",
            "--no-new-privs",
            "--",
        ]);
        command.args(arguments);
    } else {
        command = Command::new(arguments[0]);
        command.args(&arguments[1..]);
    }
    command
}

#[test]
fn nothing_that_the_agent_does_is_forbidden_by_its_unit() {
    let text = std::fs::read_to_string(unit("siaga-agent.service")).unwrap();
    let lists: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
    let forbidden: BTreeSet<String> = lists
        .iter()
        .map(|list| list.strip_prefix('~').expect("a systemd without these groups would allow nothing"))
        .flat_map(str::split_ascii_whitespace)
        .flat_map(|word| if word.starts_with('@') { group(word) } else { [word.to_owned()].into() })
        .collect();
    assert!(forbidden.contains("clock_settime") && forbidden.contains("mount") && forbidden.len() > 50);
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .args([AGENT, "once"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.expect("strace is not installed: run tests/install-tools.sh").success());
    let text = String::from_utf8_lossy(&std::fs::read(&trace).unwrap()).into_owned();
    // 1234 openat(AT_FDCWD, ...
    let calls = text.lines().filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('));
    let calls: BTreeSet<&str> = calls.map(|(name, _)| name).collect();
    assert!(calls.contains("openat") && calls.contains("clock_adjtime"), "{calls:?}");
    let refused: Vec<_> = calls.iter().filter(|call| forbidden.contains(**call)).collect();
    assert!(refused.is_empty(), "{refused:?}");
}

#[test]
fn a_collection_without_privilege_is_as_complete_as_one_of_root() {
    let families = |mut command: Command| {
        let output = command.current_dir("/").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| line.split(['{', ' ']).next().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    let dir = tempfile::tempdir().unwrap();
    // Where everybody may run it.
    let agent = dir.path().join("siaga-agent");
    std::fs::copy(AGENT, &agent).unwrap();
    std::os::unix::fs::chown(&agent, None, None).unwrap();
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut own = Command::new(&agent);
    own.arg("once");
    let missing: Vec<_> =
        families(own).difference(&families(as_nobody(&[agent.to_str().unwrap(), "once"]))).cloned().collect();
    assert_eq!(missing, [""; 0]);
}
