//! Debian's Patroni on etcd: a drill switches it over by its own interface, and back.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use siaga_tests::harness::{Agent, Server, account, free_port, wait_for};

const LONG: Duration = Duration::from_secs(120);

/// etcd and two members of a cluster; all are gone when this is dropped.
struct Cluster {
    folder: tempfile::TempDir,
    programs: Vec<Child>,
    rest: [u16; 2],
}

fn start(name: &str, arguments: &[&str], log: &Path) -> Child {
    let mut command = match account() {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.arg(format!("--reuid={user}")).arg(format!("--regid={user}"));
            command.args(["--clear-groups", "--", name]);
            command
        }
        None => Command::new(name),
    };
    let log = std::fs::File::create(log).unwrap();
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

fn programs_of_postgres() -> PathBuf {
    let versions =
        std::fs::read_dir("/usr/lib/postgresql").unwrap().flatten().map(|entry| entry.path().join("bin"));
    versions.filter(|bin| bin.join("initdb").exists()).max().unwrap()
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Some(user) = account() {
            assert!(Command::new("chown").arg(user).arg(folder.path()).status().unwrap().success());
        }
        let at = |name: &str| folder.path().join(name);
        let (client, peer) = (free_port(), free_port());
        let (client, peer) = (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let etcd = start(
            "etcd",
            &[
                "--data-dir",
                at("etcd").to_str().unwrap(),
                "--listen-client-urls",
                &client,
                "--advertise-client-urls",
                &client,
                "--listen-peer-urls",
                &peer,
                "--initial-advertise-peer-urls",
                &peer,
                "--initial-cluster",
                &format!("default={peer}"),
                "--unsafe-no-fsync",
            ],
            &at("etcd.log"),
        );
        let rest = [free_port(), free_port()];
        let mut cluster = Self { folder, programs: vec![etcd], rest };
        for (name, rest) in ["a", "b"].into_iter().zip(rest) {
            cluster.member(name, rest, client.trim_start_matches("http://"));
        }
        cluster
    }

    fn member(&mut self, name: &str, rest: u16, etcd: &str) {
        let folder = self.folder.path();
        let (port, programs) = (free_port(), programs_of_postgres());
        let config = format!(
            "scope: siaga\nname: {name}\n\
             restapi: {{ listen: '127.0.0.1:{rest}', connect_address: '127.0.0.1:{rest}' }}\n\
             etcd3: {{ host: '{etcd}' }}\n\
             bootstrap:\n  dcs: {{ ttl: 20, loop_wait: 1, retry_timeout: 3, postgresql: {{ use_pg_rewind: true }} }}\n  \
             initdb: [auth: trust, encoding: UTF8, locale: C, data-checksums]\n  \
             pg_hba: ['local all all trust', 'host all all 127.0.0.1/32 trust', \
             'host replication all 127.0.0.1/32 trust']\n\
             postgresql:\n  listen: '127.0.0.1:{port}'\n  connect_address: '127.0.0.1:{port}'\n  \
             data_dir: '{data}'\n  bin_dir: '{programs}'\n  pgpass: '{data}.pass'\n  \
             authentication: {{ replication: {{ username: postgres }}, superuser: {{ username: postgres }} }}\n  \
             parameters: {{ unix_socket_directories: '{folder}', fsync: 'off', shared_buffers: '8MB', \
             wal_retrieve_retry_interval: '200ms' }}\n",
            data = folder.join(name).display(),
            programs = programs.display(),
            folder = folder.display(),
        );
        let file = folder.join(format!("{name}.yml"));
        std::fs::write(&file, config).unwrap();
        let log = folder.join(format!("{name}.log"));
        self.programs.push(start("patroni", &[file.to_str().unwrap()], &log));
    }

    /// The leader, if the other member streams from it.
    async fn leader(&self) -> Option<String> {
        let url = format!("http://127.0.0.1:{}/cluster", self.rest[0]);
        let cluster: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        let members = cluster["members"].as_array()?;
        let follows = members.iter().any(|one| {
            one["role"] == "replica" && matches!(one["state"].as_str(), Some("running" | "streaming"))
        });
        let leader = members.iter().find(|one| one["role"] == "leader" && one["state"] == "running")?;
        (follows && members.len() == 2).then(|| leader["name"].as_str().map(str::to_owned)).flatten()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Members first, in order: they stop their databases.
        for mut program in self.programs.drain(..).rev() {
            let _ = Command::new("kill").arg("-TERM").arg(program.id().to_string()).status();
            let _ = program.wait();
        }
    }
}

#[tokio::test]
async fn a_cluster_of_patroni_is_switched_over_by_its_own_interface_and_back() {
    let cluster = Cluster::start();
    let first = wait_for("a leader and a follower", LONG, async || cluster.leader().await).await;
    let other = if first == "a" { "b" } else { "a" };
    let health = format!("http://127.0.0.1:{}/health", cluster.rest[0]);
    let plan = format!(
        "id = \"patroni\"\nname = \"Alih layanan Patroni\"\nservice = \"Basis data\"\nscenario = \"Pemeliharaan\"\n\
         kind = \"functional\"\nrto = \"60s\"\nsettle = \"30s\"\n[people]\ncoordinator = \"K\"\n\
         [[steady_state]]\nname = \"sehat\"\nhttp = {{ url = \"{health}\" }}\n\
         [[probe]]\nname = \"sehat\"\nurl = \"{health}\"\n\
         [[step]]\nid = \"alih\"\nname = \"Alihkan\"\nhost = \"db\"\naction = \"switch\"\ntimeout = \"60s\"\nundo = true\n"
    );
    let plans = tempfile::tempdir().unwrap();
    std::fs::write(plans.path().join("p.toml"), plan).unwrap();
    let config =
        format!("[continuity]\nplans_dir = \"{}\"\n[rules]\ndefaults = false\n", plans.path().display());
    let server = Server::start(&config).await.unwrap();
    let actions = format!(
        "[actions.switch.patroni]\nurl = \"http://127.0.0.1:{}\"\nleader = \"{first}\"\ncandidate = \"{other}\"\n",
        cluster.rest[0]
    );
    let _agent = Agent::start_as(&server, "db", &actions).await.unwrap();
    wait_for("the agent to offer its action", LONG, async || {
        let plan = server.api.get("/api/v1/plans/patroni").await.unwrap();
        (plan["problems"] == json!([])).then_some(())
    })
    .await;
    let started = server.api.post("/api/v1/plans/patroni/drills", &json!({})).await.unwrap();
    let path = format!("/api/v1/drills/{}", started["id"].as_str().unwrap());
    let done = wait_for("the drill to end", LONG, async || {
        let drill = server.api.get(&path).await.unwrap();
        (drill["drill"]["status"] != "running").then_some(drill)
    })
    .await;
    assert_eq!(done["drill"]["restored"], true, "{done:#}");
    let said = done["journal"].to_string();
    assert!(said.contains(&format!("{other} leads, {first} follows")), "{said}");
    assert!(said.contains(&format!("{first} leads, {other} follows")), "{said}");
    assert_eq!(cluster.leader().await.as_deref(), Some(first.as_str()), "it ends where it began");
}
