//! Built-in actions that change a host's network, in a network of their own: other hosts are cut off by nftables, an
//! address moves. Needs root, as making a network does.

use std::process::Command;

use serde_json::{Value, json};
use siaga_tests::harness::program;

/// Runs these lines in a network of their own, in which only the loopback is; `$AGENT` is the agent's program. Gives what
/// each line printed, and its status.
fn in_a_network(lines: &[String]) -> Vec<(String, i32)> {
    let mut script = "ip link set lo up; ip address add 10.9.9.1/32 dev lo\n".to_owned();
    for line in lines {
        script += &format!("said=$({line} 2>&1); status=$?; printf '%s\\0%s\\0' \"$said\" \"$status\"\n");
    }
    let output = Command::new("unshare")
        .args(["--net", "bash", "-c", &script])
        .env("AGENT", program("siaga-agent"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let parts: Vec<&str> = text.split('\0').collect();
    assert!(output.status.success(), "this test makes a network, which needs root: {output:?}");
    parts.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].parse().unwrap())).collect()
}

/// The command that carries an action out, as the executor starts it.
fn action(action: &Value, undo: &str) -> String {
    format!("$AGENT carry-out '{action}' --limit 20 {undo}")
}

#[test]
fn hosts_are_cut_off_and_the_cut_is_taken_back_however_often() {
    let cut = json!({ "network_cut": { "addresses": ["127.0.0.2", "2001:db8::/32"], "ports": [9] } });
    // Nobody listens there: an answer is a refusal, no answer a cut.
    let ask = |port: u16| format!("timeout 1 bash -c 'echo > /dev/tcp/127.0.0.2/{port}'");
    let found = in_a_network(&[
        ask(9),
        action(&cut, ""),
        ask(9),
        ask(10),
        action(&cut, ""),
        action(&cut, "--undo"),
        action(&cut, "--undo"),
        ask(9),
        "nft list tables".to_owned(),
    ]);
    let statuses: Vec<i32> = found.iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses, [1, 0, 124, 1, 0, 0, 0, 1, 0], "{found:?}");
    assert_eq!(found.last().unwrap().0, "", "no table is left");
}

#[test]
fn an_address_is_released_and_taken_back_and_a_device_that_is_not_there_is_told() {
    let release = json!({ "address": { "address": "10.9.9.1/32", "device": "lo", "task": "release" } });
    let nowhere = json!({ "address": { "address": "10.9.9.1/32", "device": "eth77", "task": "take" } });
    let look = "ip -oneline address show dev lo".to_owned();
    let found = in_a_network(&[
        action(&release, ""),
        look.clone(),
        action(&release, ""),
        action(&release, "--undo"),
        look,
        action(&nowhere, ""),
    ]);
    let statuses: Vec<i32> = found.iter().map(|(_, status)| *status).collect();
    assert_eq!(statuses, [0, 0, 0, 0, 0, 1], "{found:?}");
    assert!(!found[1].0.contains("10.9.9.1") && found[4].0.contains("10.9.9.1/32"), "{found:?}");
    assert!(found[5].0.lines().next_back().unwrap().starts_with("siaga: ip: "), "{found:?}");
}
