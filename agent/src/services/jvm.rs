//! Java virtual machines through their HTTP endpoints, under the names of the Prometheus client for Java: `jvm_*`, and
//! `process_*` with the label `server`.
//!
//! Two endpoints are known: Jolokia, which answers for every JVM that its agent was put into (heap, memory pools, garbage
//! collection, threads, classes, files, processor time), and the status page of Play 1, which SPSE is written with (heap and
//! start). A JVM with a Prometheus exporter is watched as one of the scrapes.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::Value;

use crate::clock;
use crate::collectors::round_to_micro;
use crate::config::services::{Jvm, JvmKind};
use crate::samples::{Kind, Output};

/// All that is asked of Jolokia, in one request.
const QUESTIONS: &str = concat!(
    r#"[{"type":"read","mbean":"java.lang:type=Memory","attribute":["HeapMemoryUsage","NonHeapMemoryUsage"]},"#,
    r#"{"type":"read","mbean":"java.lang:type=MemoryPool,name=*","attribute":["Usage"]},"#,
    r#"{"type":"read","mbean":"java.lang:type=GarbageCollector,name=*","attribute":["CollectionCount","CollectionTime"]},"#,
    r#"{"type":"read","mbean":"java.lang:type=Threading","attribute":["ThreadCount","DaemonThreadCount","PeakThreadCount","TotalStartedThreadCount"]},"#,
    r#"{"type":"read","mbean":"java.lang:type=ClassLoading","attribute":["LoadedClassCount","TotalLoadedClassCount","UnloadedClassCount"]},"#,
    r#"{"type":"read","mbean":"java.lang:type=OperatingSystem","attribute":["OpenFileDescriptorCount","MaxFileDescriptorCount","ProcessCpuTime"]},"#,
    r#"{"type":"read","mbean":"java.lang:type=Runtime","attribute":["StartTime"]}]"#
);

/// Attribute, family, kind, and what it is divided by.
const ATTRIBUTES: [(&str, &str, Kind, f64); 11] = [
    ("ThreadCount", "jvm_threads_current", Kind::Gauge, 1.0),
    ("DaemonThreadCount", "jvm_threads_daemon", Kind::Gauge, 1.0),
    ("PeakThreadCount", "jvm_threads_peak", Kind::Gauge, 1.0),
    ("TotalStartedThreadCount", "jvm_threads_started_total", Kind::Counter, 1.0),
    ("LoadedClassCount", "jvm_classes_loaded", Kind::Gauge, 1.0),
    ("TotalLoadedClassCount", "jvm_classes_loaded_total", Kind::Counter, 1.0),
    ("UnloadedClassCount", "jvm_classes_unloaded_total", Kind::Counter, 1.0),
    ("OpenFileDescriptorCount", "process_open_fds", Kind::Gauge, 1.0),
    ("MaxFileDescriptorCount", "process_max_fds", Kind::Gauge, 1.0),
    ("ProcessCpuTime", "process_cpu_seconds_total", Kind::Counter, 1e9),
    ("StartTime", "process_start_time_seconds", Kind::Gauge, 1e3),
];

type Label<'a> = (&'a str, &'a str);

/// Asks the endpoint and records what it says; one that does not say what it should is down.
pub(super) async fn ask(jvm: &Jvm, out: &mut Output) {
    let label = ("server", jvm.name.as_str());
    let mut found = Output::default();
    let timeout = jvm.asked().timeout();
    let result = match jvm.kind {
        JvmKind::Jolokia => jolokia(jvm, timeout, label, &mut found).await,
        JvmKind::Play => play(jvm, timeout, label, &mut found).await,
    };
    match &result {
        Ok(()) => out.append(&found),
        Err(reason) => tracing::debug!(server = jvm.name, reason, "the JVM gives nothing"),
    }
    out.gauge("jvm_up", &[label], f64::from(u8::from(result.is_ok())));
}

async fn jolokia(jvm: &Jvm, timeout: Duration, label: Label<'_>, out: &mut Output) -> Result<(), String> {
    let client = super::client(timeout, jvm.url.is_tls()).map_err(|e| crate::error_chain(&e))?;
    let request = client.post(jvm.url.as_str()).body(QUESTIONS).header("content-type", "application/json");
    let text = super::read(authorized(request, jvm)?).await?;
    let answers: Vec<Value> = serde_json::from_str(&text).map_err(|_| "it is no answer of Jolokia")?;
    for answer in &answers {
        let (bean, value) = (answer.pointer("/request/mbean"), answer.get("value"));
        if let (Some(bean), Some(value)) = (bean.and_then(Value::as_str), value) {
            tell_bean(bean, value, label, out);
        }
    }
    if out.is_empty() { Err("it has none of the beans of a JVM".into()) } else { Ok(()) }
}

fn tell_bean(bean: &str, value: &Value, label: Label<'_>, out: &mut Output) {
    // It sorts the keys of a name.
    if bean.contains("name=*") {
        // By the names of the beans.
        for (name, attributes) in value.as_object().into_iter().flatten() {
            let name = name.split([':', ',']).find_map(|part| part.strip_prefix("name=")).unwrap_or_default();
            tell_named(name.trim_matches('"'), attributes, label, out);
        }
        return;
    }
    for (area, attribute) in [("heap", "HeapMemoryUsage"), ("nonheap", "NonHeapMemoryUsage")] {
        if let Some(usage) = value.get(attribute) {
            tell_usage("jvm_memory_bytes_", usage, &[("area", area), label], out);
        }
    }
    for (attribute, family, kind, divisor) in ATTRIBUTES {
        if let Some(figure) = value.get(attribute).and_then(Value::as_f64) {
            out.record(kind, family, &[label], figure / divisor);
        }
    }
}

/// A memory pool or a garbage collector.
fn tell_named(name: &str, attributes: &Value, label: Label<'_>, out: &mut Output) {
    if let Some(usage) = attributes.get("Usage") {
        tell_usage("jvm_memory_pool_bytes_", usage, &[("pool", name), label], out);
    }
    for (attribute, family, divisor) in [
        ("CollectionCount", "jvm_gc_collection_seconds_count", 1.0),
        ("CollectionTime", "jvm_gc_collection_seconds_sum", 1e3),
    ] {
        if let Some(figure) = attributes.get(attribute).and_then(Value::as_f64) {
            out.counter(family, &[("gc", name), label], figure / divisor);
        }
    }
}

fn tell_usage(family: &str, usage: &Value, labels: &[Label<'_>], out: &mut Output) {
    for part in ["used", "committed", "max", "init"] {
        if let Some(figure) = usage.get(part).and_then(Value::as_f64) {
            out.gauge(&format!("{family}{part}"), labels, figure);
        }
    }
}

async fn play(jvm: &Jvm, timeout: Duration, label: Label<'_>, out: &mut Output) -> Result<(), String> {
    let client = super::client(timeout, jvm.url.is_tls()).map_err(|e| crate::error_chain(&e))?;
    let text = super::read(authorized(client.get(jvm.url.join("/@status.json")), jvm)?).await?;
    let status: Value = serde_json::from_str(&text).map_err(|_| "it is no status of Play")?;
    // Which part of Play tells it depends on its version.
    let part =
        status.as_object().into_iter().flatten().find_map(|(_, part)| part.get("memory").map(|_| part));
    let part = part.ok_or("it is no status of Play")?;
    let figure = |path: &str| part.pointer(path).and_then(Value::as_f64);
    let (Some(max), Some(free), Some(total)) =
        (figure("/memory/max"), figure("/memory/free"), figure("/memory/total"))
    else {
        return Err("it tells no memory".into());
    };
    for (part, bytes) in [("used", total - free), ("committed", total), ("max", max)] {
        out.gauge(&format!("jvm_memory_bytes_{part}"), &[("area", "heap"), label], bytes);
    }
    if let Some(uptime_ms) = figure("/application/uptime").filter(|uptime| *uptime >= 0.0) {
        let now = Duration::from_millis(clock::now_ms().unsigned_abs());
        let started = round_to_micro(now) - uptime_ms / 1e3;
        // To the second, so that it does not tremble.
        out.gauge("process_start_time_seconds", &[label], started.round());
    }
    Ok(())
}

/// With the key of the endpoint, where it wants one.
fn authorized(request: reqwest::RequestBuilder, jvm: &Jvm) -> Result<reqwest::RequestBuilder, String> {
    let Some(path) = &jvm.key_file else { return Ok(request) };
    let key = crate::config::guard::read_secret(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let mut value =
        HeaderValue::try_from(key).map_err(|_| "the key holds characters that no header may hold")?;
    value.set_sensitive(true);
    Ok(request.header(AUTHORIZATION, value))
}
