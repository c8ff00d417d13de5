//! Discovery on this machine with the real services that it knows: each is recognised, and what is proposed watches it.
//!
//! Needs nginx, Apache, Redis, an SSH server, PostgreSQL, a JDK and node_exporter, which `tests/install-tools.sh` installs.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "a test program")]

mod common;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use common::Server;
use siaga_agent::config::Config;
use siaga_agent::samples::{Output, Recorder};
use siaga_agent::services::{self, Boards};
use siaga_protocol::inventory::Listener;

/// A process of the test's own, ended with it.
struct Service {
    process: Child,
    port: u16,
}

impl Drop for Service {
    fn drop(&mut self) {
        // In order: a master ends its workers.
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_child(&self.process),
            rustix::process::Signal::TERM,
        );
        for _ in 0..100 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(command: &mut Command, port: u16) -> Service {
    let name = command.get_program().to_string_lossy().into_owned();
    let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut process = process.unwrap_or_else(|e| panic!("{name}: {e}: run tests/install-tools.sh"));
    for _ in 0..600 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Service { process, port };
        }
        assert!(matches!(process.try_wait(), Ok(None)), "{name} ended");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("{name} never listened");
}

fn nginx(dir: &Path) -> Service {
    let (port, folder) = (free_port(), dir.join("nginx"));
    std::fs::create_dir(&folder).unwrap();
    let text = format!(
        "daemon off;\nworker_processes 1;\npid {0}/pid;\nerror_log {0}/error;\nevents {{}}\nhttp {{\n\
         access_log off;\nclient_body_temp_path {0}/b;\nproxy_temp_path {0}/p;\nfastcgi_temp_path {0}/f;\n\
         uwsgi_temp_path {0}/u;\nscgi_temp_path {0}/s;\nserver {{ listen 127.0.0.1:{port};\n\
         location = /stub_status {{ stub_status; }} }}\n}}\n",
        folder.display()
    );
    let config = folder.join("nginx.conf");
    std::fs::write(&config, text).unwrap();
    start(
        Command::new("/usr/sbin/nginx").args(["-e", "stderr", "-p"]).arg(&folder).arg("-c").arg(&config),
        port,
    )
}

fn apache(dir: &Path) -> Service {
    let (port, folder) = (free_port(), dir.join("apache"));
    std::fs::create_dir(&folder).unwrap();
    let modules = ["mpm_event", "authz_core", "authz_host", "status"];
    let modules: String = modules
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let text = format!(
        "ServerRoot {0}\nServerName localhost\nListen 127.0.0.1:{port}\nPidFile {0}/pid\nErrorLog {0}/error\n\
         Mutex file:{0} default\n{modules}ExtendedStatus On\n\
         <Location /server-status>\nSetHandler server-status\nRequire local\n</Location>\n",
        folder.display()
    );
    let config = folder.join("apache.conf");
    std::fs::write(&config, text).unwrap();
    start(Command::new("/usr/sbin/apache2").args(["-DFOREGROUND", "-f"]).arg(&config), port)
}

fn redis(dir: &Path) -> Service {
    let port = free_port();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]).arg(dir);
    start(&mut command, port)
}

fn ssh(dir: &Path) -> Service {
    let (port, key) = (free_port(), dir.join("ssh-key"));
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
    assert!(made.expect("ssh-keygen: run tests/install-tools.sh").success());
    // Where the server's unit would make it.
    let _ = std::fs::create_dir("/run/sshd");
    let mut command = Command::new("/usr/sbin/sshd");
    command
        .args(["-D", "-e", "-f", "/dev/null", "-o", &format!("ListenAddress=127.0.0.1:{port}"), "-h"])
        .arg(&key);
    start(&mut command, port)
}

/// A JVM with a web server in it, as Play and Tomcat are.
fn java() -> Service {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/Jolokia.java");
    let mut process = Command::new("java")
        .args(["-Xmx64m", "-cp", "/usr/share/java/jolokia-core.jar:/usr/share/java/json-simple.jar"])
        .arg(source)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("java: run tests/install-tools.sh");
    let mut line = String::new();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut line).unwrap();
    Service { process, port: line.trim().parse().unwrap() }
}

fn postgres(dir: &Path) -> Service {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let bin = versions.map(|entry| entry.path().join("bin")).filter(|bin| bin.join("initdb").exists()).max();
    let bin: PathBuf = bin.expect("PostgreSQL is not installed: run tests/install-tools.sh");
    let (port, folder) = (free_port(), dir.join("postgres"));
    std::fs::create_dir(&folder).unwrap();
    let program = |name: &str| {
        let mut command = Command::new("setpriv");
        if rustix::process::getuid().is_root() {
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        }
        command.arg("--").arg(bin.join(name)).current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    if rustix::process::getuid().is_root() {
        assert!(Command::new("chown").arg("postgres").arg(&folder).status().unwrap().success());
    }
    let data = folder.join("data");
    let made = program("initdb").args(["--auth=trust", "--no-sync", "--locale=C", "-D"]).arg(&data).status();
    assert!(made.unwrap().success(), "initdb");
    let mut command = program("postgres");
    command.arg("-D").arg(&data).args([
        "-h",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-c",
        "fsync=off",
        "-k",
        "",
    ]);
    start(&mut command, port)
}

fn exporter() -> Service {
    // Where exporters are looked for.
    let port = (9_600..9_700).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let mut command = Command::new("prometheus-node-exporter");
    start(command.args([format!("--web.listen-address=127.0.0.1:{port}")]), port)
}

async fn ask(config: &str) -> String {
    let config = Config::parse(config, Path::new("test.toml")).unwrap();
    let boards = Arc::new(Boards::default());
    services::ask_once(&config.services, &boards).await;
    let (mut output, mut recorder) = (Output::default(), Recorder::default());
    boards.read(&mut output);
    recorder.begin();
    recorder.take_up(&output);
    recorder.end();
    recorder.to_text()
}

#[tokio::test]
async fn real_services_are_recognised_and_what_is_proposed_watches_them() {
    let (server, dir) = (Server::start().await, tempfile::tempdir().unwrap());
    // Servers that give up root must be able to enter.
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let state = dir.path().join("state");
    server.credentials().store(&state).unwrap();
    let running = [
        ("nginx", nginx(dir.path()), "nginx_up{server=\"nginx-PORT\"} 1"),
        ("apache", apache(dir.path()), "apache_up{server=\"apache-PORT\"} 1"),
        ("redis", redis(dir.path()), "probe_success{probe=\"redis-PORT\",target=\"127.0.0.1:PORT\"} 1"),
        ("ssh", ssh(dir.path()), "probe_success{probe=\"ssh-PORT\",target=\"127.0.0.1:PORT\"} 1"),
        ("jvm", java(), "probe_success{probe=\"jvm-PORT\",target=\"http://127.0.0.1:PORT/\"} 1"),
        // Its role is for the host's people to make.
        ("postgresql", postgres(dir.path()), "pg_up{server=\"postgresql-PORT\"} 0"),
        ("exporter", exporter(), "siaga_scrape_up{job=\"exporter-PORT\"} 1"),
    ];
    let config = dir.path().join("agent.toml");
    let text =
        format!("state_dir = {state:?}\n[discovery]\ninterval_seconds = 1\n[inventory.files]\npaths = []\n");
    std::fs::write(&config, text).unwrap();
    let agent = Command::new(env!("CARGO_BIN_EXE_siaga-agent"))
        .arg("run")
        .arg("--config")
        .arg(&config)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _agent = Service { process: agent, port: 0 };
    let of = |listeners: &[Listener], service: &Service| {
        listeners.iter().find(|listener| listener.port == service.port).cloned()
    };
    let found: Vec<Listener> = server
        .until(|record| {
            let listeners = record.inventories.last()?.listeners.clone()?;
            let proposed = |(_, service, _): &(&str, Service, &str)| {
                of(&listeners, service).filter(|listener| listener.proposal.is_some())
            };
            running.iter().map(proposed).collect()
        })
        .await;
    for ((kind, service, expected), listener) in running.iter().zip(&found) {
        assert_eq!((listener.kind.as_str(), listener.watched), (*kind, None), "{listener:?}");
        let proposal = listener.proposal.as_ref().unwrap();
        let text = ask(&proposal.config).await;
        let expected = expected.replace("PORT", &service.port.to_string());
        assert!(text.contains(&format!("{expected}\n")), "{expected}\n{}\n{text}", proposal.config);
    }
}
