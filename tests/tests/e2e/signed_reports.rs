//! What comes after a drill: its report by mail as a PDF, findings that are followed until they are closed, signatures.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use siaga_tests::harness::{MailServer, Server, free_port, wait_for};

const LONG: Duration = Duration::from_secs(120);

const PLAN: &str = "id = \"p\"\nname = \"Uji meja\"\nservice = \"SPSE\"\nscenario = \"Listrik padam\"\n\
                    kind = \"tabletop\"\nrto = \"2h\"\n[people]\ncoordinator = \"K\"\n\
                    [[step]]\nid = \"pln\"\nname = \"Hubungi PLN\"\nconfirm = \"Siapa dihubungi?\"\ntimeout = \"5m\"\n";

async fn send(server: &Server, path: &str, body: Value) -> u16 {
    let answer = server.api.request(Method::POST, path).json(&body).send().await.unwrap();
    answer.status().as_u16()
}

#[tokio::test]
async fn a_report_is_sent_its_findings_are_followed_and_it_is_signed() {
    let port = free_port();
    let relay = MailServer::start(port, None).await.unwrap();
    let plans = tempfile::tempdir().unwrap();
    std::fs::write(plans.path().join("p.toml"), PLAN).unwrap();
    let config = format!(
        "[continuity]\nplans_dir = \"{}\"\n[rules]\ndefaults = false\n[mail]\nserver = \"127.0.0.1\"\nport = {port}\n\
         tls = \"none\"\nretry_after = \"1s\"\nfrom = \"Siaga <siaga@lpse.example>\"\n\
         [mail.roles]\nkoordinator_kelangsungan_layanan = [\"kkl@lpse.example\"]\n",
        plans.path().display()
    );
    let server = Server::start(&config).await.unwrap();
    let started = server.api.post("/api/v1/plans/p/drills", &json!({})).await.unwrap();
    let path = format!("/api/v1/drills/{}", started["id"].as_str().unwrap());
    let early = send(&server, &format!("{path}/sign-off"), json!({})).await;
    assert_eq!(early, 409, "what runs has no report");
    wait_for("the step to wait for a person", LONG, async || {
        let drill = server.api.get(&path).await.unwrap();
        (drill["waits_for"][0] == "pln").then_some(())
    })
    .await;
    let said = json!({ "step": "pln", "done": true, "note": "Pak Budi dihubungi" });
    assert_eq!(send(&server, &format!("{path}/confirm"), said).await, 202);
    let done = wait_for("the drill to end", LONG, async || {
        let drill = server.api.get(&path).await.unwrap();
        (drill["drill"]["status"] != "running").then_some(drill)
    })
    .await;
    assert_eq!(done["drill"]["status"], "passed", "{done:#}");
    wait_for("the report to arrive by mail", LONG, async || {
        let mails = relay.messages().unwrap();
        let wanted =
            |mail: &String| mail.contains("kkl@lpse.example") && mail.contains("laporan-uji-coba-1.pdf");
        mails.iter().any(wanted).then_some(())
    })
    .await;

    let finding = json!({ "finding": "Nomor PLN usang", "action": "Perbarui kontak", "owner": "Helpdesk", "due_ms": 1_000 });
    assert_eq!(send(&server, &format!("{path}/findings"), finding).await, 201);
    let nothing = json!({ "finding": " ", "action": "x", "owner": "x", "due_ms": 1_000 });
    assert_eq!(send(&server, &format!("{path}/findings"), nothing).await, 400);
    let incident = async || server.api.get("/api/v1/incidents?limit=100").await.unwrap().to_string();
    wait_for("the overdue action to be an incident", LONG, async || {
        incident().await.contains("drill-finding:1:1").then_some(())
    })
    .await;
    let open = server.api.get("/api/v1/findings").await.unwrap();
    let close = format!("/api/v1/findings/{}/close", open[0]["id"].as_str().unwrap());
    assert_eq!(send(&server, &close, json!({ "note": "Kontak diperbarui" })).await, 200);
    assert_eq!(send(&server, &close, json!({ "note": "lagi" })).await, 409);
    assert_eq!(server.api.get("/api/v1/findings").await.unwrap(), json!([]));

    assert_eq!(send(&server, &format!("{path}/sign-off"), json!({ "note": "Disetujui" })).await, 201);
    assert_eq!(send(&server, &format!("{path}/sign-off"), json!({})).await, 409, "each person once");
    let get = async |path: &str| server.api.request(Method::GET, path).send().await.unwrap();
    let html = get(&format!("{path}/report")).await.text().await.unwrap();
    for wanted in ["Nomor PLN usang", "Kontak diperbarui", "Disetujui", "Pak Budi dihubungi", "Listrik padam"]
    {
        assert!(html.contains(wanted), "{wanted} is not in the report");
    }
    let pdf = get(&format!("{path}/report?format=pdf")).await;
    assert_eq!(pdf.headers()["content-type"], "application/pdf");
    assert!(pdf.bytes().await.unwrap().starts_with(b"%PDF-"));
    let proof = server.api.get(&format!("{path}/verification")).await.unwrap();
    assert_eq!(
        proof["state"], "intact",
        "findings and signatures do not touch the signed journal: {proof:#}"
    );
}
