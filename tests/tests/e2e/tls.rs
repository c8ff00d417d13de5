//! An agent that speaks HTTPS with a server whose certificate comes from an authority of the office's own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use siaga_tests::harness::{Server, program, wait_for};

/// An authority; its certificate is in the file.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    file: PathBuf,
}

fn authority(folder: &Path, name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let file = folder.join(format!("{name}.pem"));
    std::fs::write(&file, issuer.pem()).unwrap();
    Authority { issuer, file }
}

/// Tries to enrol an agent that trusts `ca` alone, and gives what it says if it is refused.
fn enrol(server: &Server, folder: &Path, ca: &Path) -> Result<PathBuf, String> {
    let config = folder.join("agent.toml");
    let state = folder.join("state");
    let text = format!(
        "state_dir = \"{}\"\n[server]\nca_file = \"{}\"\n[collect]\ninterval_seconds = 1\n",
        state.display(),
        ca.display()
    );
    std::fs::write(&config, text).unwrap();
    let token = server.command(&["enrol-token"]).unwrap();
    let output = Command::new(program("siaga-agent"))
        .args(["enrol", "--server", &server.api.url, "--config"])
        .arg(&config)
        .env("SIAGA_ENROL_TOKEN", token.trim())
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(config) } else { Err(log) }
}

#[tokio::test]
async fn an_agent_trusts_the_authority_of_its_file_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (own, other) = (authority(folder.path(), "own"), authority(folder.path(), "other"));
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &own.issuer).unwrap();
    let (crt, pem) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    std::fs::write(&crt, certificate.pem()).unwrap();
    std::fs::write(&pem, key.serialize_pem()).unwrap();

    let server = Server::start_with_tls(&crt, &pem, &own.file).await.unwrap();
    let refused = enrol(&server, folder.path(), &other.file).unwrap_err();
    assert!(refused.contains("certificate") || refused.contains("UnknownIssuer"), "{refused}");
    let config = enrol(&server, folder.path(), &own.file).unwrap();
    let mut agent =
        Command::new(program("siaga-agent")).arg("run").arg("--config").arg(&config).spawn().unwrap();
    wait_for("samples over HTTPS", Duration::from_secs(30), async || {
        server.api.query("node_time_seconds", None).await.ok().filter(|found| !found.is_empty())
    })
    .await;
    agent.kill().unwrap();
    agent.wait().unwrap();
}
