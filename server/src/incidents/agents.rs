//! Turns silent agents, wrong clocks and copied hosts into signals, and writes the series `up` of every host and how far its clock is
//! from the server's.

use std::collections::BTreeMap;

use siaga_protocol::metric_names::{HOST_CLOCK_DIFFERENCE, UP};

use super::signal::{
    AGENT_COMPONENT, CLOCK_COMPONENT, Cause, IDENTITY_COMPONENT, Severity, Signal, SignalSource,
};
use crate::app::App;
use crate::config::Language;
use crate::console::Page;
use crate::fleet::http::host_is_silent;
use crate::fleet::{ClockVerdict, HostClock};
use crate::metrics::OwnSample;
use crate::records::{RecordsError, hosts, incident_signals};
use crate::time::{Millis, SECOND_MS, now_ms};

/// Whether an agent was heard since this server started.
pub(crate) fn host_was_heard(app: &App, host: &hosts::Host) -> bool {
    app.presence.last_heard(host) >= app.started_at_ms
}

/// Reports every silent agent and every wrong clock. A silence from before this server's start lasts until the agent
/// is heard, a wrong clock until a request shows it right; that of a silent host is not judged.
pub(super) async fn watch(app: App) -> anyhow::Result<()> {
    let (hosts, reported) = app
        .records
        .run(|db| {
            Ok::<_, RecordsError>((
                hosts::list(db)?,
                incident_signals::standing_causes(db, SignalSource::Agent)?,
            ))
        })
        .await?;
    // What stands already, and since when.
    let reported: BTreeMap<Cause, Millis> = reported.into_iter().collect();
    let since = |host: &hosts::Host, component: &str| {
        let cause = Cause { instance: host.instance.clone(), component: component.to_owned() };
        reported.get(&cause).copied()
    };
    let now = now_ms();
    let mut signals = Vec::new();
    for host in &hosts {
        let silent = host_is_silent(&app, host, now);
        if silent || (!host_was_heard(&app, host) && since(host, AGENT_COMPONENT).is_some()) {
            signals.push(silent_agent(&app, host));
        }
        let clock = app.presence.clock(&host.id).filter(|_| !silent);
        let since_ms = since(host, CLOCK_COMPONENT);
        if let Some(clock) = clock.and_then(|clock| reportable(clock, since_ms)) {
            signals.push(wrong_clock(&app, host, clock));
        }
        if let Some(since_ms) = app.presence.twins_since_ms(&host.id, now) {
            signals.push(copied_host(&app, host, since_ms));
        }
    }
    super::sync(&app, SignalSource::Agent, signals).await
}

/// A clock that is to be reported, which may have been since a time before this server started. One that was reported
/// stays so while it is doubtful.
fn reportable(clock: HostClock, reported_since_ms: Option<Millis>) -> Option<HostClock> {
    match (clock.verdict, reported_since_ms) {
        (ClockVerdict::Wrong, None) => Some(clock),
        (ClockVerdict::Wrong | ClockVerdict::Doubtful, Some(since_ms)) => {
            Some(HostClock { since_ms, ..clock })
        }
        (ClockVerdict::Doubtful, None) | (ClockVerdict::Right, _) => None,
    }
}

/// Gives a text of the catalogue for people who are not there yet.
fn in_words(app: &App, language: Language, say: impl FnOnce(&Page) -> String) -> String {
    let console = app.config.current().console.clone();
    say(&Page::detached(language, &console.organisation, console.time_zone.clone(), console.simulation))
}

fn silent_agent(app: &App, host: &hosts::Host) -> Signal {
    let heard: Millis = app.presence.last_heard(host);
    let text = |language, key: &str| {
        in_words(app, language, |page| {
            let time = page.datetime_seconds(heard);
            page.tv(key, &[("instance", &host.instance), ("time", &time)])
        })
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

/// As grave as the alert of a clock that is two seconds off (`ClockFarOff`), which has the same cause: bid deadlines
/// depend on it.
fn wrong_clock(app: &App, host: &hosts::Host, clock: HostClock) -> Signal {
    let title = if clock.difference_ms < 0 { "incidents.clock_behind" } else { "incidents.clock_ahead" };
    let text = |language, key: &str| {
        in_words(app, language, |page| {
            let difference = page.duration_exact(clock.difference_ms.abs());
            let time = page.datetime_seconds(clock.since_ms);
            page.tv(key, &[("instance", &host.instance), ("difference", &difference), ("time", &time)])
        })
    };
    Signal {
        key: format!("clock:{}", host.instance),
        instance: Some(host.instance.clone()),
        component: CLOCK_COMPONENT.to_owned(),
        severity: Severity::Critical,
        title_id: text(Language::Indonesian, title),
        title_en: text(Language::English, title),
        detail_id: text(Language::Indonesian, "incidents.clock_detail"),
        detail_en: text(Language::English, "incidents.clock_detail"),
        value: Some(seconds(clock.difference_ms)),
        started_at_ms: clock.since_ms,
    }
}

/// Two agents with one identity: their samples mix, and drills are not carried out there.
fn copied_host(app: &App, host: &hosts::Host, since_ms: Millis) -> Signal {
    let text = |language, key: &str| {
        in_words(app, language, |page| {
            page.tv(key, &[("instance", &host.instance), ("time", &page.datetime_seconds(since_ms))])
        })
    };
    Signal {
        key: format!("identity:{}", host.instance),
        instance: Some(host.instance.clone()),
        component: IDENTITY_COMPONENT.to_owned(),
        severity: Severity::Critical,
        title_id: text(Language::Indonesian, "incidents.copied"),
        title_en: text(Language::English, "incidents.copied"),
        detail_id: text(Language::Indonesian, "incidents.copied_detail"),
        detail_en: text(Language::English, "incidents.copied_detail"),
        value: None,
        started_at_ms: since_ms,
    }
}

fn seconds(length_ms: Millis) -> f64 {
    length_ms as f64 / SECOND_MS as f64
}

/// Writes `up`: 1 for a host that is heard, 0 for a silent one; nothing for one not heard since the start. And the
/// difference of the clock of each host that is heard.
pub(super) async fn write_up(app: App) -> anyhow::Result<()> {
    let hosts = app.records.run(|db| hosts::list(db)).await?;
    let now = now_ms();
    let mut samples = Vec::with_capacity(hosts.len() * 2);
    for host in &hosts {
        let silent = host_is_silent(&app, host, now);
        if !silent && !host_was_heard(&app, host) {
            continue;
        }
        let labels = [("instance", host.instance.as_str())];
        samples.push(OwnSample::new(UP, &labels, now, if silent { 0.0 } else { 1.0 }));
        if let Some(clock) = app.presence.clock(&host.id).filter(|_| !silent) {
            samples.push(OwnSample::new(HOST_CLOCK_DIFFERENCE, &labels, now, seconds(clock.difference_ms)));
        }
    }
    if !samples.is_empty() {
        app.metrics.append_own(samples).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_reported_stays_so_until_a_request_shows_it_right() {
        let clock = |verdict| HostClock { difference_ms: -90_000, since_ms: 500, verdict };
        for (verdict, reported, since) in [
            (ClockVerdict::Wrong, None, Some(500)),
            (ClockVerdict::Wrong, Some(100), Some(100)),
            (ClockVerdict::Doubtful, None, None),
            (ClockVerdict::Doubtful, Some(100), Some(100)),
            (ClockVerdict::Right, Some(100), None),
            (ClockVerdict::Right, None, None),
        ] {
            let given = reportable(clock(verdict), reported);
            assert_eq!(given.map(|clock| clock.since_ms), since, "{verdict:?} {reported:?}");
        }
    }
}
