//! What is done to this host's network: an address is given up or taken, other hosts are cut off.

use anyhow::ensure;
use tokio::process::Command;

use super::program::run;
use super::{Job, say};
use crate::config::actions::{Address, AddressTask, NetworkCut};

/// Our table of nftables; nothing else stands in it.
const TABLE: &str = "siaga_drill";

pub(super) async fn move_address(asked: &Address, job: &Job) -> anyhow::Result<()> {
    let take = (asked.task == AddressTask::Take) != job.undo;
    let address = if asked.address.contains('/') {
        asked.address.clone()
    } else {
        format!("{}/{}", asked.address, if asked.address.contains(':') { 128 } else { 32 })
    };
    if has(&address, &asked.device, job).await? == take {
        say(&format!("{address} is {} already", if take { "there" } else { "gone" }));
        return Ok(());
    }
    let mut command = Command::new("ip");
    command.args(["address", if take { "add" } else { "delete" }, &address, "dev", &asked.device]);
    run(command, job).await?;
    ensure!(has(&address, &asked.device, job).await? == take, "{address} did not move");
    if take && !address.contains(':') {
        announce(&address, &asked.device, job).await;
    }
    Ok(())
}

async fn has(address: &str, device: &str, job: &Job) -> anyhow::Result<bool> {
    let mut command = Command::new("ip");
    command.args(["-oneline", "address", "show", "dev", device]);
    Ok(run(command, job).await?.split_whitespace().any(|word| word == address))
}

/// Tells the neighbours where the address is now, where `arping` is installed.
async fn announce(address: &str, device: &str, job: &Job) {
    let mut command = Command::new("arping");
    command.args(["-c", "1", "-U", "-I", device, address.split('/').next().unwrap_or(address)]);
    if let Err(error) = run(command, job).await {
        say(&format!("the neighbours are not told: {error:#}"));
    }
}

pub(super) async fn cut(asked: &NetworkCut, job: &Job) -> anyhow::Result<()> {
    if table_exists(job).await {
        remove(job).await?;
    }
    if job.undo {
        say("nothing is cut any more");
        return Ok(());
    }
    let done = add(asked, job).await;
    if done.is_err() && table_exists(job).await {
        // Half a cut is none.
        remove(job).await?;
    }
    done
}

async fn nft(words: &[&str], job: &Job) -> anyhow::Result<()> {
    let mut command = Command::new("nft");
    command.args(words);
    run(command, job).await.map(drop)
}

async fn table_exists(job: &Job) -> bool {
    let mut command = Command::new("nft");
    command.args(["list", "tables"]);
    let wanted = format!("table inet {TABLE}");
    run(command, job).await.is_ok_and(|text| text.lines().any(|line| line.trim() == wanted))
}

async fn remove(job: &Job) -> anyhow::Result<()> {
    nft(&["delete", "table", "inet", TABLE], job).await
}

/// Drops what comes from the addresses and what goes to them. Ports are those of either end.
async fn add(asked: &NetworkCut, job: &Job) -> anyhow::Result<()> {
    nft(&["add", "table", "inet", TABLE], job).await?;
    for (chain, side) in [("input", "saddr"), ("output", "daddr")] {
        let shape = format!("{{ type filter hook {chain} priority -300 ; policy accept ; }}");
        nft(&["add", "chain", "inet", TABLE, chain, &shape], job).await?;
        for (family, six) in [("ip", false), ("ip6", true)] {
            let of_family: Vec<&str> =
                asked.addresses.iter().filter(|one| one.contains(':') == six).map(String::as_str).collect();
            if of_family.is_empty() {
                continue;
            }
            let addresses = format!("{{ {} }}", of_family.join(", "));
            let rule = ["add", "rule", "inet", TABLE, chain, family, side, &addresses];
            if asked.ports.is_empty() {
                nft(&[&rule[..], &["drop"]].concat(), job).await?;
                continue;
            }
            let ports: Vec<String> = asked.ports.iter().map(ToString::to_string).collect();
            let ports = format!("{{ {} }}", ports.join(", "));
            for end in ["sport", "dport"] {
                nft(&[&rule[..], &["tcp", end, &ports, "drop"]].concat(), job).await?;
            }
        }
    }
    say(&format!("cut off: {}", asked.addresses.join(", ")));
    Ok(())
}
