//! Units of systemd, under the names of node_exporter's collector `systemd`: `node_systemd_units`, `..._unit_state`,
//! `..._system_running`, `..._version`. Units that failed are always told; of others only those that the configuration
//! names, for five series a unit are much for what a host has.
//!
//! Asked through `systemctl show`, which every user may run; a client of D-Bus would weigh more than the rest of this.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::Command;

use crate::collectors::value;
use crate::config::services::Systemd;
use crate::samples::Output;

/// Exists where systemd runs the host (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
/// States of a unit, as node_exporter knows them.
const STATES: [&str; 5] = ["activating", "active", "deactivating", "failed", "inactive"];
/// Largest answer, in bytes; a unit takes about 100.
const MAX_ANSWER_BYTES: u64 = 4 * 1024 * 1024;
/// Units that are told one by one.
const MAX_UNITS: usize = 500;

/// Asks systemd, where there is one, and records the states.
pub(super) async fn ask(systemd: &Systemd, out: &mut Output) {
    if Path::new(BOOTED).exists() {
        ask_program(Path::new("systemctl"), systemd, out).await;
    }
}

async fn ask_program(program: &Path, systemd: &Systemd, out: &mut Output) {
    let mut found = Output::default();
    let asked = async {
        let manager = run(program, &["show", "--property=Version,SystemState"]).await?;
        tell_manager(&manager, &mut found);
        let units = run(program, &["show", "--property=Id,LoadState,ActiveState,Type", "*"]).await?;
        tell_units(&units, systemd, &mut found);
        Ok::<_, String>(())
    };
    let result = tokio::time::timeout(systemd.asked().timeout(), asked).await;
    if let Err(reason) = result.unwrap_or_else(|_| Err("no answer in time".into())) {
        tracing::debug!(reason, "systemd gives nothing");
    }
    out.append(&found);
}

async fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).arg("--no-pager").env("LC_ALL", "C").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let mut text = String::new();
    if let Some(output) = child.stdout.take() {
        output.take(MAX_ANSWER_BYTES).read_to_string(&mut text).await.map_err(|e| e.to_string())?;
    }
    let status = child.wait().await.map_err(|e| e.to_string())?;
    if status.success() { Ok(text) } else { Err(status.to_string()) }
}

fn tell_manager(text: &str, out: &mut Output) {
    for (key, told) in text.lines().filter_map(|line| line.split_once('=')) {
        match key {
            "SystemState" => {
                out.gauge("node_systemd_system_running", &[], f64::from(u8::from(told == "running")));
            }
            // 252 (252.39-1~deb12u1)
            "Version" => {
                let digits = told.trim_start_matches(|c: char| !c.is_ascii_digit());
                let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
                if let Some(number) = digits.get(..end).and_then(|number| number.parse().ok()) {
                    out.gauge("node_systemd_version", &[("version", told)], number);
                }
            }
            _ => {}
        }
    }
}

fn tell_units(text: &str, systemd: &Systemd, out: &mut Output) {
    let mut counts = BTreeMap::from(STATES.map(|state| (state, 0)));
    let mut told = 0;
    for block in text.split("\n\n") {
        let property = |name: &str| {
            let value = |line: &&str| line.split_once('=').is_some_and(|(key, _)| key == name);
            block.lines().find(value).and_then(|line| line.split_once('=')).map_or("", |(_, value)| value)
        };
        let (name, state) = (property("Id"), property("ActiveState"));
        let Some(count) = counts.get_mut(state) else { continue };
        // One that others only mention is none.
        if name.is_empty() || property("LoadState") == "not-found" {
            continue;
        }
        *count += 1;
        if told >= MAX_UNITS || !(state == "failed" || systemd.units.matches(name)) {
            continue;
        }
        told += 1;
        // Mounts have a type too, which is another thing.
        let kind = if name.ends_with(".service") { property("Type") } else { "" };
        for one in STATES {
            let labels = [("name", name), ("state", one), ("type", kind)];
            out.gauge("node_systemd_unit_state", &labels, f64::from(u8::from(one == state)));
        }
    }
    for (state, count) in counts {
        out.gauge("node_systemd_units", &[("state", state)], value(count));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::samples::Recorder;

    async fn text(script: &str, config: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("systemctl");
        std::fs::write(&program, format!("#!/bin/sh\n{script}")).unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let (mut out, mut recorder) = (Output::default(), Recorder::default());
        // Another test's process may hold the file open for writing in the moment of its start.
        while std::process::Command::new(&program).stdout(Stdio::null()).status().is_err() {}
        ask_program(&program, &toml::from_str(config).unwrap(), &mut out).await;
        recorder.begin();
        recorder.take_up(&out);
        recorder.end();
        recorder.to_text()
    }

    const SCRIPT: &str = r#"case "$3" in
        "*") cat <<END
Type=simple
Id=nginx.service
LoadState=loaded
ActiveState=active

Type=oneshot
Id=backup.service
LoadState=loaded
ActiveState=failed

Id=gone.service
LoadState=not-found
ActiveState=inactive

Id=-.mount
LoadState=loaded
ActiveState=active
END
;;
        *) printf 'Version=252 (252.39-1~deb12u1)\nSystemState=degraded\n' ;;
        esac"#;

    #[tokio::test]
    async fn failed_and_named_units_are_told_and_all_are_counted() {
        let text = text(SCRIPT, "units = '^nginx'").await;
        for line in [
            "node_systemd_system_running 0",
            "node_systemd_version{version=\"252 (252.39-1~deb12u1)\"} 252",
            "node_systemd_units{state=\"active\"} 2",
            "node_systemd_units{state=\"failed\"} 1",
            "node_systemd_units{state=\"inactive\"} 0",
            "node_systemd_unit_state{name=\"backup.service\",state=\"failed\",type=\"oneshot\"} 1",
            "node_systemd_unit_state{name=\"nginx.service\",state=\"active\",type=\"simple\"} 1",
            "node_systemd_unit_state{name=\"nginx.service\",state=\"failed\",type=\"simple\"} 0",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
        assert!(!text.contains("gone") && !text.contains("-.mount"), "{text}");
    }

    #[tokio::test]
    async fn a_systemd_that_refuses_or_hangs_gives_nothing_and_holds_up_nothing() {
        assert_eq!(text("exit 1", "").await, "");
        assert_eq!(text("[ $# -gt 0 ] && exec sleep 600", "timeout_seconds = 1").await, "");
    }
}
