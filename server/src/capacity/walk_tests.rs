//! A planner's month over HTTP: the shortage is seen, decided on, put on record and printed; each page stands in both
//! languages, and who may only look cannot decide.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{Crossing, Evaluation, ResourceKey, SignalMemory, examples, planning};
use crate::access::FIRST_RUN_FILE;
use crate::app::App;
use crate::config::Config;
use crate::records::{RecordsError, forecasts};
use crate::time::{DAY_MS, now_ms};

fn filling(now: i64) -> Evaluation {
    let crossing = Crossing::Within {
        earliest_ms: Some(now + 8 * DAY_MS),
        likely_ms: Some(now + 10 * DAY_MS),
        latest_ms: None,
    };
    let disk = examples::disk(now, crossing);
    Evaluation { key: ResourceKey { instance: "db-01".to_owned(), ..disk.key }, full: 1e12, ..disk }
}

struct Browser {
    routes: Router,
    token: String,
    language: &'static str,
}

impl Browser {
    async fn send(&self, method: &str, path: &str, body: &str, kind: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .header(header::COOKIE, format!("siaga_bahasa={}", self.language))
            .header(header::CONTENT_TYPE, kind)
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 4 << 20).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn page(&self, path: &str) -> String {
        let (status, text) = self.send("GET", path, "", "text/plain").await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        assert!(!text.contains("capacity.") && !text.contains("%{"), "{path} has a text without words");
        text
    }

    async fn form(&self, path: &str, body: &str) -> (StatusCode, String) {
        self.send("POST", path, body, "application/x-www-form-urlencoded").await
    }
}

async fn scene(folder: &std::path::Path) -> (App, Browser) {
    // An error means that the provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::default();
    config.storage.data_dir = folder.to_owned();
    let app = crate::app::open(config, watch::channel(false).1).await.unwrap();
    let first = std::fs::read_to_string(folder.join(FIRST_RUN_FILE)).unwrap();
    let first: serde_json::Value = serde_json::from_str(&first).unwrap();
    let token = first["api_token"].as_str().unwrap().to_owned();
    let evaluation = filling(now_ms());
    let stored = app.records.run(move |db| {
        forecasts::store(db, &evaluation, None, SignalMemory::default())?;
        Ok::<_, RecordsError>(())
    });
    stored.await.unwrap();
    planning::follow(&app).await.unwrap();
    let browser = Browser { routes: crate::http::router(app.clone()), token, language: "id" };
    (app, browser)
}

#[tokio::test]
async fn a_shortage_is_seen_decided_on_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (_app, mut browser) = scene(folder.path()).await;
    assert!(browser.page("/kapasitas/usulan").await.contains("/kapasitas/usulan/nomor/1"));
    let proposal = "/kapasitas/usulan/nomor/1";
    let (status, _) = browser.form(proposal, "decision=accept&reason=").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "a decision needs a reason");
    let change = "decision=change&reason=APBD-P&what=Pindahkan+arsip&add_percent=40&due=2027-01-15";
    assert_eq!(browser.form(proposal, change).await.0, StatusCode::SEE_OTHER);
    let text = browser.page(proposal).await;
    assert!(text.contains("Pindahkan arsip") && text.contains("APBD-P") && text.contains("15 Jan 2027"));

    let (status, _) = browser
        .form(
            "/kapasitas/komponen",
            "resource=personnel&item=Helpdesk&capacity=4&used=3&expected=4&unit=orang",
        )
        .await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let register = "instance=db-01&resource=filesystem&item=%2Fdata&owner=Budi&threshold_percent=85";
    assert_eq!(browser.form("/kapasitas/komponen", register).await.0, StatusCode::SEE_OTHER);
    assert!(browser.page("/kapasitas/db-01/filesystem?item=/data").await.contains("Budi"));

    let service = "name=SPSE&owner=Budi&loads=Tender+ditutup&parts=";
    let (status, text) = browser.form("/kapasitas/layanan", service).await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.contains("role=\"alert\"") && text.contains("Tender ditutup"),
        "what was typed stays: {text}"
    );
    let service = format!("{service}db-01%7Cfilesystem%7C%2Fdata%7Cdb%0Adb-02%7Ccpu%7C%7Cdb");
    assert_eq!(browser.form("/kapasitas/layanan", &service).await.0, StatusCode::SEE_OTHER);
    let text = browser.page("/kapasitas/layanan/SPSE?faktor=1,5&kurang.db=1&tambah.db-02/cpu=50").await;
    assert!(text.contains("tidak terukur") && text.contains("value=\"1,5\""), "{text}");
    assert!(browser.page("/kapasitas/layanan").await.contains("0 dari 2 komponen"));

    let csv = "category=tender&text=nama%2Cmulai%0APaket%2C2027-01-05%0ARusak%2Cbesok%0A";
    let (status, text) = browser.form("/kapasitas/kalender", csv).await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("Baris 3") && text.contains("besok"), "the bad line is named");

    let month = "/kapasitas/laporan";
    let (status, _) = browser.form(month, "periode=&section=cost&text=Rp+1+miliar").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (status, _) = browser.form(month, "periode=1999-01&section=cost&text=x").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let report = browser.page("/kapasitas/laporan/cetak").await;
    let mut from = 0;
    for heading in [
        "1 Pendahuluan",
        "Latar Belakang",
        "Ruang Lingkup",
        "Metode Pengumpulan Data",
        "Asumsi yang Digunakan",
        "2 Ringkasan Layanan",
        "Layanan Saat Ini",
        "Prediksi Layanan Akan Datang",
        "3 Ringkasan Komponen Pendukung",
        "3.1 Penggunaan",
        "Batasan (Threshold)",
        "Penggunaan Resource",
        "Waktu Pemantauan",
        "Utilitas",
        "Kondisi Aktual",
        "Perkiraan Akan Datang",
        "Perkiraan Resource",
        "3 orang (75,0%)",
        "3.2 Analisis Tren",
        "3.3 Prediksi Kebutuhan",
        "Pindahkan arsip",
        "4 Pilihan Peningkatan Layanan",
        "5 Prediksi Pembiayaan",
        "Rp 1 miliar",
        "6 Rekomendasi Rencana Kapasitas",
    ] {
        let at = report[from..].find(heading);
        from += at.unwrap_or_else(|| panic!("{heading} does not follow"));
    }
    browser.language = "en";
    for path in [
        "/kapasitas",
        "/kapasitas/usulan",
        "/kapasitas/usulan/nomor/1",
        "/kapasitas/komponen",
        "/kapasitas/penilaian",
        "/kapasitas/kalender",
        "/kapasitas/layanan",
        "/kapasitas/layanan/SPSE",
        "/kapasitas/laporan",
        "/kapasitas/laporan/cetak",
        "/kapasitas/db-01/filesystem?item=/data",
    ] {
        browser.page(path).await;
    }
}
