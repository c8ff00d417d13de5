//! The report of a month that ended goes out once, to those named, if there is something to report.

use tokio::sync::watch;

use super::*;
use crate::capacity::history_cache::Hours;
use crate::capacity::{Crossing, SignalMemory, examples};
use crate::records::{RecordsError, forecasts};
use crate::time::{DAY_MS, HOUR_MS};

async fn office(folder: &std::path::Path) -> App {
    // An error means that the provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::default();
    config.storage.data_dir = folder.to_owned();
    config.mail.server = "relay.example".to_owned();
    config.reports.pdf_renderer = ["/bin/sh", "-c", "printf %%PDF-; cat"].map(str::to_owned).to_vec();
    config.capacity.report_to = ["ketua@lpse.example", "dewi@lpse.example"]
        .map(|address| crate::config::Recipient::Address(address.parse().unwrap()))
        .to_vec();
    let app = crate::app::open(config, watch::channel(false).1).await.unwrap();
    let disk = examples::disk(now_ms(), Crossing::Never);
    let stored = app.records.run(move |db| {
        forecasts::store(db, &disk, None, SignalMemory::default())?;
        Ok::<_, RecordsError>(())
    });
    stored.await.unwrap();
    app
}

#[tokio::test]
async fn the_month_that_ended_is_reported_once_and_only_if_something_was_measured_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let app = office(folder.path()).await;
    let outbox = async || app.records.run(|db| mail_outbox::due(db, i64::MAX, 9)).await.unwrap();
    run(&app).await.unwrap();
    assert_eq!(outbox().await, [], "nothing was measured");

    let page = own_page(&app.config.current());
    let month = Period::of(now_ms(), page.zone()).before();
    let (from_ms, to_ms) = month.span(page.zone());
    let hours = (from_ms / HOUR_MS + 1..=to_ms / HOUR_MS).map(|hour| (hour * HOUR_MS, 800.0)).collect();
    let key = examples::disk(0, Crossing::Never).key;
    app.forecasting.remember_hours(
        &key,
        (from_ms - DAY_MS, to_ms),
        &Hours::from([(key.item.clone(), hours)]),
    );
    run(&app).await.unwrap();
    run(&app).await.unwrap();
    let queued = outbox().await;
    let to: Vec<&str> = queued.iter().map(|one| one.recipient.as_str()).collect();
    assert_eq!(to, ["ketua@lpse.example", "dewi@lpse.example"]);
    let message = &queued[0].message;
    assert_eq!(message.key, format!("capacity_report/{}", month.code()));
    let attached = message.attachment.as_ref().unwrap();
    assert_eq!(attached.name, format!("laporan-kapasitas-{}.pdf", month.code()));
    let text = String::from_utf8(attached.bytes.clone()).unwrap();
    assert!(text.starts_with("%PDF-") && text.contains("80,0%"), "{text}");
    assert!(!format!("{} {}", message.subject, message.body).contains("%{"), "{message:?}");
}
