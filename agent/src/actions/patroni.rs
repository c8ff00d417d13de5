//! A switchover by Patroni's own REST interface, and one back.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::json;

use super::http::{answer, client};
use super::{Job, read_secret, say, tell_figures};
use crate::config::actions::Patroni;

/// Longest time for one request; a switchover answers when it is done.
const REQUEST: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
struct Cluster {
    #[serde(default)]
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    name: String,
    role: String,
    #[serde(default)]
    state: String,
}

impl Cluster {
    fn leader(&self) -> Option<&str> {
        self.members
            .iter()
            .find(|member| matches!(member.role.as_str(), "leader" | "master" | "primary"))
            .map(|member| member.name.as_str())
    }

    /// The wanted leader leads and the other one follows; what is the case instead, if not.
    fn is_led_by(&self, leader: &str, follower: &str) -> Result<(), String> {
        let state_of = |name: &str| {
            let member = self.members.iter().find(|member| member.name == name);
            member.map_or("absent", |member| member.state.as_str())
        };
        let follows = matches!(state_of(follower), "running" | "streaming");
        match self.leader() {
            Some(found) if found == leader && follows => Ok(()),
            found => {
                Err(format!("{} leads, {follower} is {}", found.unwrap_or("nobody"), state_of(follower)))
            }
        }
    }
}

pub(super) async fn carry_out(asked: &Patroni, job: &Job) -> anyhow::Result<()> {
    let (from, to) =
        if job.undo { (&asked.candidate, &asked.leader) } else { (&asked.leader, &asked.candidate) };
    let began = std::time::Instant::now();
    let cluster = cluster(asked, job).await?;
    match cluster.leader() {
        Some(leader) if leader == to => say(&format!("{to} leads already")),
        Some(leader) if leader == from => switch(asked, from, to, job).await?,
        Some(other) => bail!("{other} leads, neither {from} nor {to}"),
        None => bail!("nobody leads the cluster"),
    }
    let look = async || match self::cluster(asked, job).await {
        Ok(cluster) => Ok(cluster.is_led_by(to, from)),
        Err(error) => Ok(Err(format!("{error:#}"))),
    };
    job.until("the other member to lead", look).await?;
    say(&format!("{to} leads, {from} follows"));
    tell_figures(&json!({ "took_ms": u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX) }));
    Ok(())
}

fn request(
    asked: &Patroni,
    method: reqwest::Method,
    path: &str,
    job: &Job,
) -> anyhow::Result<reqwest::RequestBuilder> {
    let url = format!("{}{path}", asked.url.trim_end_matches('/'));
    let request = client()?.request(method, url).timeout(REQUEST.min(job.left()));
    let Some(file) = &asked.credentials_file else { return Ok(request) };
    let secret = read_secret(file)?;
    let (user, password) = secret.split_once(':').context("the file of credentials is not user:password")?;
    Ok(request.basic_auth(user, Some(password)))
}

async fn cluster(asked: &Patroni, job: &Job) -> anyhow::Result<Cluster> {
    let (status, body) = answer(request(asked, reqwest::Method::GET, "/cluster", job)?).await?;
    ensure!(status == 200, "Patroni answers HTTP {status} when asked for its cluster");
    serde_json::from_str(&body).context("Patroni's cluster cannot be read")
}

/// Asks for the switchover; again, where no member can lead yet: one that has just come back needs a moment.
async fn switch(asked: &Patroni, from: &str, to: &str, job: &Job) -> anyhow::Result<()> {
    let body = json!({ "leader": from, "candidate": to });
    let ask = async || {
        let request = request(asked, reqwest::Method::POST, "/switchover", job)?.json(&body);
        let (status, said) = answer(request).await?;
        say(&format!("HTTP {status}: {}", said.trim()));
        match status {
            200 => Ok(Ok(())),
            412 | 503 => Ok(Err(format!("HTTP {status}: {}", said.trim()))),
            _ => bail!("Patroni refuses the switchover: HTTP {status}: {}", said.trim()),
        }
    };
    job.until("Patroni to accept the switchover", ask).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_switched_only_when_the_other_one_leads_and_the_first_follows() {
        let cluster = |leader: &str, state: &str| -> Cluster {
            let other = if leader == "a" { "b" } else { "a" };
            serde_json::from_value(json!({ "members": [
                { "name": leader, "role": "leader", "state": "running" },
                { "name": other, "role": "replica", "state": state, "lag": 0 },
            ]}))
            .unwrap()
        };
        assert_eq!(cluster("b", "streaming").is_led_by("b", "a"), Ok(()));
        assert_eq!(cluster("b", "stopped").is_led_by("b", "a").unwrap_err(), "b leads, a is stopped");
        assert_eq!(cluster("a", "running").is_led_by("b", "a").unwrap_err(), "a leads, a is running");
    }
}
