//! Whether a service answers, seen from this host: the figures of blackbox_exporter (`probe_*`), with `probe` and
//! `target` as labels.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Url;

use super::http::{self, Answer, Phases};
use super::tls::{self, Seen};
use super::{dns, icmp};
use crate::collectors::{round_to_micro, value};
use crate::config::services::{Probe, ProbeKind};
use crate::samples::Output;

/// Redirects that are followed, where they are followed at all.
const MAX_REDIRECTS: usize = 10;

#[derive(Default)]
struct Found {
    phases: Phases,
    answer: Option<Answer>,
    redirects: usize,
    /// Whether the last request was encrypted.
    encrypted: bool,
    failed_by_body: bool,
    dns: (dns::Phases, Option<dns::Answer>),
    icmp: icmp::Phases,
}

/// Probes and records. What does not answer in time has failed.
pub(super) async fn ask(probe: &Probe, out: &mut Output) {
    let (started, seen, mut found) = (Instant::now(), Arc::new(Seen::default()), Found::default());
    let timeout = probe.asked().timeout();
    let result = match probe.kind {
        ProbeKind::Http => tokio::time::timeout(timeout, by_http(probe, &mut found, &seen)).await,
        ProbeKind::Tcp => tokio::time::timeout(timeout, by_tcp(probe, &mut found, &seen)).await,
        ProbeKind::Dns => tokio::time::timeout(timeout, by_dns(probe, &mut found)).await,
        ProbeKind::Icmp => tokio::time::timeout(timeout, icmp::ask(&probe.target, &mut found.icmp)).await,
    };
    let result = result.unwrap_or_else(|_| Err("no answer in time".into()));
    if let Err(reason) = &result {
        tracing::debug!(probe = probe.name, reason, "the probe fails");
    }
    tell(probe, (result.is_ok(), started.elapsed()), &found, &seen, out);
}

async fn by_http(probe: &Probe, found: &mut Found, seen: &Arc<Seen>) -> Result<(), String> {
    let mut url = Url::parse(&probe.target).map_err(|e| e.to_string())?;
    loop {
        found.encrypted = url.scheme() == "https";
        let ca_file = probe.ca_file.as_deref();
        let answer = http::request(&url, &probe.method, ca_file, &mut found.phases, seen).await?;
        let (status, location) = (answer.status, answer.location.clone());
        found.answer = Some(answer);
        let follow = probe.follow_redirects && (300..400).contains(&status);
        let Some(location) = location.filter(|_| follow) else { break };
        found.redirects += 1;
        if found.redirects > MAX_REDIRECTS {
            return Err(format!("more than {MAX_REDIRECTS} redirects"));
        }
        url = url.join(&location).map_err(|e| e.to_string())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("a redirect to {}", url.scheme()));
        }
    }
    judge(probe, found)
}

fn judge(probe: &Probe, found: &mut Found) -> Result<(), String> {
    let Some(answer) = &found.answer else { return Err("no answer".into()) };
    let is_right = match probe.valid_statuses.as_slice() {
        [] => (200..300).contains(&answer.status),
        statuses => statuses.contains(&answer.status),
    };
    if !is_right {
        return Err(format!("status {}", answer.status));
    }
    let body = String::from_utf8_lossy(&answer.body);
    let must = probe.body_matches.as_ref().is_none_or(|pattern| pattern.matches(&body));
    let must_not = probe.body_must_not_match.as_ref().is_some_and(|pattern| pattern.matches(&body));
    found.failed_by_body = !must || must_not;
    if found.failed_by_body { Err("the body is not as it should be".into()) } else { Ok(()) }
}

async fn by_tcp(probe: &Probe, found: &mut Found, seen: &Arc<Seen>) -> Result<(), String> {
    let (host, port) = probe.target.rsplit_once(':').ok_or("the target has no port")?;
    let port = port.parse().map_err(|_| "the port is not a number")?;
    let stream = http::connect(host, port, &mut found.phases).await?;
    if probe.tls {
        let started = Instant::now();
        let begun = tls::begin(stream, host, probe.ca_file.as_deref(), seen).await;
        found.phases.tls = started.elapsed();
        begun?;
    }
    Ok(())
}

/// A server that says that there is no such record has answered, but not as it should.
async fn by_dns(probe: &Probe, found: &mut Found) -> Result<(), String> {
    let (phases, told) = &mut found.dns;
    let answer = dns::ask(&probe.target, &probe.query_name, &probe.query_type, phases).await?;
    *told = Some(answer);
    match answer {
        dns::Answer { rcode: 0, answers: 1.., .. } => Ok(()),
        dns::Answer { rcode: 0, .. } => Err("no such record".into()),
        dns::Answer { rcode, .. } => Err(format!("the name server answers with code {rcode}")),
    }
}

fn tell_dns(
    (phases, told): &(dns::Phases, Option<dns::Answer>),
    labels: &[(&str, &str); 2],
    out: &mut Output,
) {
    for (phase, took) in
        [("resolve", phases.resolve), ("connect", phases.connect), ("request", phases.request)]
    {
        out.gauge(
            "probe_dns_duration_seconds",
            &[("phase", phase), labels[0], labels[1]],
            round_to_micro(took),
        );
    }
    let records = |number: fn(&dns::Answer) -> u16| f64::from(told.as_ref().map_or(0, number));
    out.gauge("probe_dns_query_succeeded", labels, f64::from(u8::from(told.is_some())));
    out.gauge("probe_dns_answer_rrs", labels, records(|answer| answer.answers));
    out.gauge("probe_dns_authority_rrs", labels, records(|answer| answer.authorities));
    out.gauge("probe_dns_additional_rrs", labels, records(|answer| answer.additionals));
}

fn tell_icmp(phases: &icmp::Phases, labels: &[(&str, &str); 2], out: &mut Output) {
    for (phase, took) in [("resolve", phases.resolve), ("setup", phases.setup), ("rtt", phases.rtt)] {
        out.gauge(
            "probe_icmp_duration_seconds",
            &[("phase", phase), labels[0], labels[1]],
            round_to_micro(took),
        );
    }
}

fn tell(probe: &Probe, (success, took): (bool, Duration), found: &Found, seen: &Seen, out: &mut Output) {
    let (name, target) = (("probe", probe.name.as_str()), ("target", probe.target_label()));
    let labels = [name, target];
    let yes = |is: bool| f64::from(u8::from(is));
    out.gauge("probe_success", &labels, yes(success));
    out.gauge("probe_duration_seconds", &labels, round_to_micro(took));
    let lookup = found.phases.resolve + found.dns.0.resolve + found.icmp.resolve;
    out.gauge("probe_dns_lookup_time_seconds", &labels, round_to_micro(lookup));
    let protocols = [found.phases.ip_protocol, found.dns.0.ip_protocol, found.icmp.ip_protocol];
    out.gauge("probe_ip_protocol", &labels, f64::from(protocols.into_iter().max().unwrap_or(0)));
    if let Some(version) = seen.version() {
        out.gauge("probe_tls_version_info", &[name, target, ("version", version)], 1.0);
    }
    if let Some(expiry) = seen.earliest_expiry() {
        #[expect(clippy::cast_precision_loss, reason = "seconds of the next millennia")]
        out.gauge("probe_ssl_earliest_cert_expiry", &labels, expiry as f64);
    }
    match probe.kind {
        ProbeKind::Http => tell_http(found, &labels, out),
        // Nothing is read there that could be wrong.
        ProbeKind::Tcp => out.gauge("probe_failed_due_to_regex", &labels, 0.0),
        ProbeKind::Dns => tell_dns(&found.dns, &labels, out),
        ProbeKind::Icmp => tell_icmp(&found.icmp, &labels, out),
    }
}

fn tell_http(found: &Found, labels: &[(&str, &str); 2], out: &mut Output) {
    let [name, target] = *labels;
    let yes = |is: bool| f64::from(u8::from(is));
    let phases = &found.phases;
    for (phase, took) in [
        ("resolve", phases.resolve),
        ("connect", phases.connect),
        ("tls", phases.tls),
        ("processing", phases.processing),
        ("transfer", phases.transfer),
    ] {
        out.gauge("probe_http_duration_seconds", &[("phase", phase), name, target], round_to_micro(took));
    }
    let answer = found.answer.as_ref();
    out.gauge("probe_http_status_code", labels, answer.map_or(0.0, |answer| f64::from(answer.status)));
    out.gauge("probe_http_version", labels, answer.map_or(0.0, |answer| answer.version));
    let length = answer.map_or(0, |answer| answer.body.len() as u64);
    out.gauge("probe_http_uncompressed_body_length", labels, value(length));
    let told = answer.and_then(|answer| answer.content_length).map_or(-1.0, value);
    out.gauge("probe_http_content_length", labels, if answer.is_some() { told } else { 0.0 });
    out.gauge("probe_http_redirects", labels, value(found.redirects as u64));
    out.gauge("probe_http_ssl", labels, yes(found.encrypted));
    out.gauge("probe_failed_due_to_regex", labels, yes(found.failed_by_body));
}
