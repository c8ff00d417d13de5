//! Turns silent agents into signals, and writes the series `up` of every host.

use std::collections::BTreeSet;

use super::signal::{AGENT_COMPONENT, Severity, Signal, SignalSource};
use crate::app::App;
use crate::config::Language;
use crate::console::Page;
use crate::fleet::http::host_is_silent;
use crate::metrics::OwnSample;
use crate::records::{hosts, incident_signals};
use crate::time::{Millis, now_ms};

/// Whether an agent was heard since this server started.
pub(crate) fn host_was_heard(app: &App, host: &hosts::Host) -> bool {
    app.presence.last_heard(host) >= app.started_at_ms
}

/// Reports every silent agent. A silence from before this server's start lasts until the agent is heard.
pub(super) async fn watch(app: App) -> anyhow::Result<()> {
    let (hosts, reported) = app
        .records
        .run(|db| {
            Ok::<_, crate::records::RecordsError>((
                hosts::list(db)?,
                incident_signals::standing_instances(db, SignalSource::Agent)?,
            ))
        })
        .await?;
    let reported: BTreeSet<String> = reported.into_iter().collect();
    let now = now_ms();
    let signals = hosts
        .iter()
        .filter(|host| {
            host_is_silent(&app, host, now)
                || (!host_was_heard(&app, host) && reported.contains(&host.instance))
        })
        .map(|host| silent_agent(&app, host))
        .collect();
    super::sync(&app, SignalSource::Agent, signals).await
}

fn silent_agent(app: &App, host: &hosts::Host) -> Signal {
    let heard: Millis = app.presence.last_heard(host);
    let console = app.config.current().console.clone();
    let text = |language, key: &str| {
        let page =
            Page::detached(language, &console.organisation, console.time_zone.clone(), console.simulation);
        let time = page.datetime_seconds(heard);
        page.tv(key, &[("instance", &host.instance), ("time", &time)])
    };
    Signal {
        key: format!("agent:{}", host.instance),
        instance: Some(host.instance.clone()),
        component: AGENT_COMPONENT.to_owned(),
        severity: Severity::Critical,
        title_id: text(Language::Indonesian, "incidents.agent_silent"),
        title_en: text(Language::English, "incidents.agent_silent"),
        detail_id: text(Language::Indonesian, "incidents.agent_silent_detail"),
        detail_en: text(Language::English, "incidents.agent_silent_detail"),
        value: None,
        started_at_ms: heard,
    }
}

/// Writes `up`: 1 for a host that is heard, 0 for a silent one; nothing for one not heard since the start.
pub(super) async fn write_up(app: App) -> anyhow::Result<()> {
    let hosts = app.records.run(|db| hosts::list(db)).await?;
    let now = now_ms();
    let samples: Vec<OwnSample> = hosts
        .iter()
        .filter_map(|host| {
            let silent = host_is_silent(&app, host, now);
            let known = silent || host_was_heard(&app, host);
            let up = if silent { 0.0 } else { 1.0 };
            known.then(|| OwnSample::new("up", &[("instance", &host.instance)], now, up))
        })
        .collect();
    if !samples.is_empty() {
        app.metrics.append_own(samples).await?;
    }
    Ok(())
}
