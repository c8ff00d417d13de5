//! A real disruption: declared, told by mail and webhook, shown on every page, worked on, lifted, and written up.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::routing::post;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::{Value, json};
use siaga_tests::harness::{MailServer, Server, free_port, wait_for};

const LONG: Duration = Duration::from_secs(60);

/// A webhook that keeps what it is told.
async fn webhook() -> (String, Arc<Mutex<Vec<Value>>>) {
    let told = Arc::<Mutex<Vec<Value>>>::default();
    let keep = Arc::clone(&told);
    let take = move |Json(body): Json<Value>| async move { keep.lock().unwrap().push(body) };
    let router = Router::new().route("/siaga", post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://127.0.0.1:{port}/siaga"), told)
}

fn plan(webhook: &str) -> String {
    format!(
        "id = \"p\"\nname = \"Darurat\"\nservice = \"SPSE\"\nscenario = \"s\"\nkind = \"tabletop\"\nrto = \"2h\"\n\
         rpo = \"10m\"\n[people]\ncoordinator = \"K\"\n\
         [[unit]]\nname = \"Helpdesk\"\nemail = \"helpdesk@lpse.example\"\n\
         [[unit]]\nname = \"Pokja\"\nwebhook = \"{webhook}\"\n\
         [[step]]\nid = \"pln\"\nname = \"Hubungi PLN\"\nconfirm = \"Sudah?\"\ntimeout = \"1h\"\n"
    )
}

async fn page(server: &Server, path: &str) -> String {
    let answer = server.api.request(Method::GET, path).header("accept", "text/html").send().await.unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{path}: {status}: {text}");
    text
}

#[tokio::test]
async fn an_emergency_is_declared_told_shown_everywhere_worked_on_lifted_and_written_up() {
    let (url, told) = webhook().await;
    let port = free_port();
    let relay = MailServer::start(port, None).await.unwrap();
    let plans = tempfile::tempdir().unwrap();
    std::fs::write(plans.path().join("p.toml"), plan(&url)).unwrap();
    let config = format!(
        "[continuity]\nplans_dir = \"{}\"\n[rules]\ndefaults = false\n[mail]\nserver = \"127.0.0.1\"\nport = {port}\n\
         tls = \"none\"\nretry_after = \"1s\"\nfrom = \"Siaga <siaga@lpse.example>\"\n",
        plans.path().display()
    );
    let server = Server::start(&config).await.unwrap();
    let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let (began, minute) = (now - 3_600_000, 60_000);
    // A deadline that falls into it, and one that does not.
    for (name, at) in [("Tender A", began + 30 * minute), ("Tender B", began - 600 * minute)] {
        let moment = |at_ms: i64| {
            jiff::Timestamp::from_millisecond(at_ms).unwrap().strftime("%Y%m%dT%H%M%SZ").to_string()
        };
        let calendar = format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VEVENT\r\nUID:{name}\r\nDTSTAMP:{0}\r\nDTSTART:{0}\r\n\
             DTEND:{0}\r\nSUMMARY:{name}\r\nCATEGORIES:tender\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            moment(at)
        );
        let file = plans.path().join("events.ics");
        std::fs::write(&file, calendar).unwrap();
        server.command(&["import-events", file.to_str().unwrap()]).unwrap();
    }

    let body = json!({
        "plan": "p", "address": "spse.example, 192.0.2.1", "form": "Layanan tidak dapat dibuka", "reporter": "Helpdesk",
        "reported_at_ms": began + minute, "began_at_ms": began, "analysis": "Listrik padam", "basis": "SOP 2.11",
    });
    let declared = server.api.post("/api/v1/emergencies", &body).await.unwrap();
    let path = format!("/api/v1/emergencies/{}", declared["id"].as_str().unwrap());
    for shown in ["/", "/kapasitas", "/insiden"] {
        assert!(page(&server, shown).await.contains("KONDISI DARURAT"), "{shown} does not show it");
    }
    wait_for("the webhook to be called", LONG, async || {
        let told = told.lock().unwrap();
        told.iter().any(|one| one["event"] == "emergency.declared" && one["unit"] == "Pokja").then_some(())
    })
    .await;
    wait_for("the mail to arrive", LONG, async || {
        let mails = relay.messages().unwrap();
        mails.iter().any(|mail| mail.contains("helpdesk@lpse.example")).then_some(())
    })
    .await;
    let timeline = wait_for("both to stand on the timeline", LONG, async || {
        let one = server.api.get(&path).await.unwrap();
        let entries = one["timeline"].as_array().unwrap().clone();
        let told = entries.iter().filter(|entry| entry["kind"] == "told").count();
        (told == 2).then_some(entries)
    })
    .await;
    let task = timeline.iter().find(|entry| entry["kind"] == "task").unwrap();
    assert_eq!(task["words"], "Hubungi PLN", "the steps of the plan are tasks");
    let send = async |rest: &str, body: Value| {
        let answer =
            server.api.request(Method::POST, &format!("{path}{rest}")).json(&body).send().await.unwrap();
        answer.status().as_u16()
    };
    let done = format!("/tasks/{}", task["seq"]);
    assert_eq!(send(&done, json!({ "words": "PLN datang" })).await, 201);
    assert_eq!(send(&done, json!({ "words": "lagi" })).await, 409, "a task is done once");
    assert_eq!(send("/lift", json!({ "words": "x" })).await, 409, "when it was over is not stated yet");
    let over = json!({ "at_ms": began + 40 * minute, "data_until_ms": began - 2 * minute, "cause": "MCB", "effect": "Unggah" });
    assert_eq!(send("/recovered", over).await, 201);
    assert_eq!(send("/lift", json!({ "words": "Layanan pulih" })).await, 201);
    assert_eq!(send("/entries", json!({ "words": "x" })).await, 409, "what is lifted stays as it is");
    let one = server.api.get(&path).await.unwrap();
    assert_eq!((&one["rto_ms"], &one["rpo_ms"]), (&json!(40 * minute), &json!(2 * minute)));
    assert!(!page(&server, "/").await.contains("KONDISI DARURAT"), "it is over");

    let home = format!("/kelangsungan/darurat/{}", declared["id"].as_str().unwrap());
    for (paper, wanted) in [
        ("", "Tender A"),
        ("/laporan", "PLN datang"),
        ("/pengumuman", "Pokja Pemilihan"),
        ("/berita-acara", "Berita Acara Gangguan"),
    ] {
        let html = page(&server, &format!("{home}{paper}")).await;
        assert!(html.contains(wanted), "{paper}: {html}");
        assert!(!html.contains("Tender B") && !html.contains("emergency."), "{paper}: {html}");
    }
}
