//! What the people of the office do once: fill in the register of assets, record assets that no agent sees, enter the
//! service and what it is made of, work the queue of incidents.

use anyhow::Context as _;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::state::State;
use super::{Office, say};
use crate::sim::cast::{Machine, Role};

const ASSETS_PATH: &str = "/api/v1/assets";
const INCIDENTS_PATH: &str = "/api/v1/incidents";

#[derive(Debug, Deserialize)]
struct Assets {
    assets: Vec<Asset>,
}

#[derive(Debug, Deserialize)]
struct Asset {
    code: String,
    instance: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Incident {
    number: String,
}

/// Does all of it, once in the office's life.
pub(super) async fn work(office: &Office, state: &mut State, machines: &[Machine]) -> anyhow::Result<()> {
    if state.is_people_done() {
        return Ok(());
    }
    fill_register(office, state, machines).await.context("the register is not filled in")?;
    enter_service(office, state, machines).await.context("the service is not entered")?;
    work_queue(office).await.context("the queue is not worked")?;
    state.note_people_done()
}

/// Owner, custodian, place, supplier, classification (confidentiality, integrity, availability) and end of validity.
fn entered(machine: &Machine) -> Value {
    let (owner, classes, sub_class) = match machine.role {
        Role::App => ("Kepala Bidang Layanan Pengadaan", [2, 3, 3], "Server aplikasi"),
        Role::Database | Role::Standby => ("Kepala Bidang Layanan Pengadaan", [3, 3, 3], "Server basis data"),
        Role::Files | Role::Backup => ("Kepala Bidang Layanan Pengadaan", [3, 3, 2], "Penyimpanan"),
        Role::Proxy | Role::Dns | Role::Mail => {
            ("Kepala Subbagian Infrastruktur", [1, 2, 3], "Server jaringan")
        }
        Role::Helpdesk | Role::Monitoring => ("Kepala Subbagian Infrastruktur", [2, 2, 2], "Server layanan"),
        Role::Development | Role::Desk => ("Kepala Subbagian Pengembangan", [1, 1, 1], "Server lain"),
    };
    json!({
        "name": machine.name,
        "sub_class": sub_class,
        "owner": owner,
        "custodian": "Administrator Sistem",
        "location": "Rak A",
        "supplier": "Penyedia contoh",
        "confidentiality": classes[0],
        "integrity": classes[1],
        "availability": classes[2],
        "valid_until": "",
        "note": "Contoh dari simulasi",
    })
}

async fn fill_register(office: &Office, state: &State, machines: &[Machine]) -> anyhow::Result<()> {
    let known: Assets = office.client.get(&format!("{ASSETS_PATH}?limit=500"), &office.token).await?;
    for machine in machines {
        let instance = state.agent(&machine.name).map(|agent| &agent.instance);
        let Some(asset) = known.assets.iter().find(|asset| asset.instance.as_ref() == instance) else {
            continue;
        };
        let path = format!("{ASSETS_PATH}/{}", asset.code);
        office.client.send(Method::PUT, &path, &office.token, &entered(machine)).await?;
    }
    for (class, name, sub_class, owner) in [
        ("perangkat_lunak", "SPSE 4.5", "Aplikasi", "Kepala Bidang Layanan Pengadaan"),
        ("perangkat_lunak", "PostgreSQL 15", "Basis data", "Kepala Subbagian Infrastruktur"),
        ("informasi", "Data tender dan penawaran", "Data layanan", "Kepala Bidang Layanan Pengadaan"),
    ] {
        let entered = json!({
            "name": name, "sub_class": sub_class, "owner": owner, "custodian": "Administrator Sistem",
            "confidentiality": 3, "integrity": 3, "availability": 3, "note": "Contoh dari simulasi",
        });
        let body = json!({ "class": class, "entered": entered });
        office.client.send(Method::POST, ASSETS_PATH, &office.token, &body).await?;
    }
    say("the register of assets is filled in");
    Ok(())
}

/// The service SPSE: what it is made of, and the traffic of its proxy as its load.
async fn enter_service(office: &Office, state: &State, machines: &[Machine]) -> anyhow::Result<()> {
    let instance = |machine: &Machine| state.agent(&machine.name).map(|agent| agent.instance.clone());
    let mut parts = Vec::new();
    for machine in machines {
        let Some(instance) = instance(machine) else { continue };
        let part = |resource: &str, item: &str, pool: &str| json!({ "instance": instance, "resource": resource, "item": item, "pool": pool });
        // What grows with the tenders lies on a disk of its own.
        let data = machine
            .volumes
            .iter()
            .find(|volume| volume.disk != "sda")
            .map(|volume| part("filesystem", volume.mountpoint, ""));
        match machine.role {
            Role::App => parts.push(part("cpu", "", "app")),
            Role::Database => parts.extend(std::iter::once(part("cpu", "", "")).chain(data)),
            Role::Files => parts.extend(data),
            Role::Proxy => parts.push(part("cpu", "", "")),
            _ => {}
        }
    }
    let proxy = machines.iter().find(|machine| machine.role == Role::Proxy).and_then(instance);
    let Some(proxy) = proxy else { return Ok(()) };
    let query =
        format!("sum(rate(node_network_receive_packets_total{{instance=\"{proxy}\",device!=\"lo\"}}[5m]))");
    let service = json!({
        "name": "SPSE",
        "owner": "Kepala Bidang Layanan Pengadaan",
        "loads": [{ "name": "Paket masuk di proxy", "unit": "/s", "query": query }],
        "parts": parts,
    });
    office.client.send(Method::PUT, "/api/v1/capacity/services", &office.token, &service).await?;
    say("the service SPSE is entered with what it is made of");
    Ok(())
}

/// One incident reported by telephone and solved, one still being handled.
async fn work_queue(office: &Office) -> anyhow::Result<()> {
    let client = &office.client;
    let record = async |title: &str, detail: &str, urgency: &str| -> anyhow::Result<String> {
        let body = json!({ "title": title, "detail": detail, "impact": "small", "urgency": urgency });
        let incident: Incident = client.ask(Method::POST, INCIDENTS_PATH, &office.token, &body).await?;
        Ok(incident.number)
    };
    let act = async |number: &str, action: &str, body: Value| {
        let path = format!("{INCIDENTS_PATH}/{number}/{action}");
        client.send(Method::POST, &path, &office.token, &body).await.map(drop)
    };
    let solved = record(
        "Penyedia tidak dapat mengunggah dokumen penawaran",
        "Dilaporkan lewat telepon: unggahan berhenti pada 60 %.",
        "urgent",
    )
    .await?;
    act(&solved, "take", json!({})).await?;
    act(&solved, "comments", json!({ "text": "Berkas 2,1 GB; batas unggah 2 GB." })).await?;
    let solution = "Penyedia membagi dokumen menjadi dua berkas; unggahan berhasil.";
    act(&solved, "resolve", json!({ "solution": solution })).await?;
    let open = record(
        "Pokja meminta akun pengganti",
        "Pegawai pindah tugas; akun lama akan ditutup setelah berita acara.",
        "not_urgent",
    )
    .await?;
    act(&open, "take", json!({})).await?;
    act(&open, "comments", json!({ "text": "Menunggu surat tugas." })).await?;
    say("two incidents were reported by telephone, one is solved");
    Ok(())
}
