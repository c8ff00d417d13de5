//! Failover of two PostgreSQL servers, of which one follows the other: killed, promoted, rebuilt, switched back.
//!
//! The way back loses nothing that was written after the failover: the promoted server becomes a standby that takes no
//! writes (`demote`), the old primary is rebuilt from it, catches up with it and is promoted (`be_primary`), and the other
//! one follows (`be_standby`). Invariants: a server becomes a primary only after the other one was seen to be none; one
//! that does not answer is not taken to be gone by an undo; each of the three leads there from any state.

use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use serde_json::json;

use super::pg_server::{Seen, Server, lock};
use super::{Job, say, tell_figures};
use crate::config::actions::{Postgres, PostgresRole, PostgresTask};

pub(super) async fn carry_out(asked: &Postgres, job: &Job) -> anyhow::Result<()> {
    let server = Server::new(asked)?;
    let _alone = lock(&asked.data, job).await?;
    let began = Instant::now();
    match (asked.task, job.undo, asked.role) {
        (PostgresTask::Crash, false, _) => server.kill(job).await,
        (PostgresTask::Crash, true, PostgresRole::Primary) => be_primary(&server, job).await,
        (PostgresTask::Crash, true, PostgresRole::Standby) | (PostgresTask::Follow, true, _) => {
            be_standby(&server, job).await
        }
        (PostgresTask::Promote, false, _) => promote(&server, job).await,
        (PostgresTask::Promote, true, _) => demote(&server, job).await,
        (PostgresTask::Follow, false, _) => check_follows(&server, job).await,
        (PostgresTask::Rejoin, false, _) => rejoin(&server, job).await,
        (PostgresTask::Rejoin, true, _) => bail!("it has no undo"),
    }?;
    tell_figures(&json!({ "took_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) }));
    Ok(())
}

/// How far a standby is behind the other server, bytes.
fn behind(own: &Seen, peer: &Seen) -> u64 {
    peer.position.saturating_sub(own.position)
}

/// Whether this server follows the other one closely; why not, if it does not.
fn follows(server: &Server<'_>, own: &Seen, peer: &Seen) -> Result<(), String> {
    let behind = behind(own, peer);
    match (own.standby, own.streaming) {
        (false, _) => Err("it is a primary".to_owned()),
        (true, false) => Err("it receives nothing from the other server".to_owned()),
        (true, true) if behind > server.asked.max_lag_bytes => {
            Err(format!("it is {behind} bytes behind, more than {}", server.asked.max_lag_bytes))
        }
        (true, true) => Ok(()),
    }
}

/// Says whether the standby is close, at once: one that lags is no standby for a drill.
async fn check_follows(server: &Server<'_>, _job: &Job) -> anyhow::Result<()> {
    let own = server.look().await.context("this server does not answer")?;
    let peer = server.look_at_peer().await.context("the other server does not answer")?;
    ensure!(!peer.standby, "the other server is no primary");
    follows(server, &own, &peer).map_err(anyhow::Error::msg)?;
    say(&format!("follows, {} bytes behind", behind(&own, &peer)));
    Ok(())
}

async fn promote(server: &Server<'_>, job: &Job) -> anyhow::Result<()> {
    let own = server.look().await.context("this server does not answer")?;
    if !own.standby {
        say("is a primary already");
        return Ok(());
    }
    if let Ok(peer) = server.look_at_peer().await {
        ensure!(peer.standby, "the other server is still a primary: with two of them, data would part");
    }
    become_primary(server, job).await
}

async fn become_primary(server: &Server<'_>, job: &Job) -> anyhow::Result<()> {
    say("promoting");
    server.tell(&format!("SELECT pg_promote(true, {})", job.left().as_secs().max(1)), job).await?;
    ensure!(!server.look().await?.standby, "the server was promoted but is still in recovery");
    say("is the primary");
    Ok(())
}

/// Makes this server one that takes no writes, with everything it has.
async fn demote(server: &Server<'_>, job: &Job) -> anyhow::Result<()> {
    if server.postmaster().is_some() && server.look().await.is_ok_and(|own| own.standby) {
        say("takes no writes already");
        return Ok(());
    }
    server.stop(job).await?;
    server.make_standby()?;
    server.start(job).await?;
    let own = server.look().await?;
    ensure!(own.standby, "the server was started as a standby but is none");
    say("takes no writes any more");
    Ok(())
}

/// Makes this server the primary, with everything that the other one has.
async fn be_primary(server: &Server<'_>, job: &Job) -> anyhow::Result<()> {
    let running = server.postmaster().is_some();
    let own = if running {
        Some(server.look().await.context("this server runs but does not answer")?)
    } else {
        None
    };
    let peer = server
        .look_at_peer()
        .await
        .context("whether the other server is a primary cannot be told, as it does not answer")?;
    match &own {
        Some(own) if !own.standby => {
            ensure!(peer.standby, "both servers are primaries");
            say("is the primary already");
            return Ok(());
        }
        _ => ensure!(peer.standby, "the other server is a primary: it has to be demoted first"),
    }
    if own.is_none() {
        let half = server.has_standby_signal();
        let parted = server.stopped_timeline()? < peer.timeline;
        if !half && !parted {
            server.start(job).await?;
            ensure!(!server.look().await?.standby, "the server was started but is no primary");
            say("is the primary, as it was");
            return Ok(());
        }
        if parted {
            server.rebuild(&peer, job).await?;
        }
        server.start(job).await?;
    }
    // The other one takes no writes, so that its position stands still.
    let caught_up = async || {
        let (own, peer) = (server.look().await?, server.look_at_peer().await?);
        ensure!(peer.standby, "the other server became a primary meanwhile");
        Ok(match behind(&own, &peer) {
            0 => Ok(()),
            behind => Err(format!("it is {behind} bytes behind the other server")),
        })
    };
    job.until("all that the other server has", caught_up).await?;
    become_primary(server, job).await
}

/// Makes this server a standby that follows the other one.
async fn be_standby(server: &Server<'_>, job: &Job) -> anyhow::Result<()> {
    let peer = server.look_at_peer().await.context("the other server does not answer")?;
    ensure!(!peer.standby, "the other server is no primary: it has to be one first");
    if server.postmaster().is_none() {
        server.make_standby()?;
        server.start(job).await?;
    } else if !server.look().await.context("this server runs but does not answer")?.standby {
        bail!("both servers are primaries");
    }
    // One whose history parted from the other's never receives; half of the time is left to rebuild it.
    let half = Job { undo: true, deadline: tokio::time::Instant::now() + job.left() / 2 };
    if let Err(error) = await_receiving(server, &half).await {
        say(&format!("{error:#}; it is rebuilt"));
        server.rebuild(&peer, job).await?;
        server.start(job).await?;
        await_receiving(server, job).await?;
    }
    Ok(())
}

/// How far behind it is, is said and not judged: it catches up by itself.
async fn await_receiving(server: &Server<'_>, job: &Job) -> anyhow::Result<()> {
    let look = async || match (server.look().await, server.look_at_peer().await) {
        (Ok(own), Ok(peer)) if own.standby && own.streaming => Ok(Ok(behind(&own, &peer))),
        (Ok(own), Ok(_)) => {
            Ok(Err(if own.standby { "it receives nothing" } else { "it is a primary" }.to_owned()))
        }
        (Err(error), _) | (_, Err(error)) => Ok(Err(format!("{error:#}"))),
    };
    let behind = job.until("the standby to receive", look).await?;
    say(&format!("is a standby, {behind} bytes behind"));
    Ok(())
}

async fn await_following(server: &Server<'_>, job: &Job) -> anyhow::Result<()> {
    let look = async || {
        let (own, peer) = match (server.look().await, server.look_at_peer().await) {
            (Ok(own), Ok(peer)) => (own, peer),
            (Err(error), _) | (_, Err(error)) => return Ok(Err(format!("{error:#}"))),
        };
        Ok(follows(server, &own, &peer).map(|()| behind(&own, &peer)))
    };
    let behind = job.until("the standby to follow", look).await?;
    say(&format!("follows, {behind} bytes behind"));
    Ok(())
}

/// Rebuilds the old primary as a standby of the new one.
async fn rejoin(server: &Server<'_>, job: &Job) -> anyhow::Result<()> {
    let peer = server.look_at_peer().await.context("the other server does not answer")?;
    ensure!(!peer.standby, "the other server is no primary: there is nothing to follow");
    if server.postmaster().is_some() {
        let own = server.look().await.context("this server runs but does not answer")?;
        ensure!(own.standby, "this server runs as a primary: it is not rebuilt");
    } else {
        server.rebuild(&peer, job).await?;
        server.start(job).await?;
    }
    await_following(server, job).await
}
