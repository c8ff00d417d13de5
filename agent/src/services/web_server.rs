//! Status pages of web servers: nginx' `stub_status` under the names of nginx-prometheus-exporter, Apache's
//! `server-status?auto` under those of apache_exporter. The server's name is the label `server`.

use crate::collectors::value;
use crate::config::services::{WebServer, WebServerKind};
use crate::samples::Output;

/// States of Apache's scoreboard (mod_status), by their letters.
const SCOREBOARD: [(char, &str); 11] = [
    ('_', "idle"),
    ('S', "startup"),
    ('R', "read"),
    ('W', "reply"),
    ('K', "keepalive"),
    ('D', "dns"),
    ('C', "closing"),
    ('L', "logging"),
    ('G', "graceful_stop"),
    ('I', "idle_cleanup"),
    ('.', "open_slot"),
];

/// Asks the page and records what it says; one that does not say what it should is down.
pub(super) async fn ask(server: &WebServer, out: &mut Output) {
    let label = [("server", server.name.as_str())];
    let url = match server.kind {
        WebServerKind::Nginx => server.url.as_str().to_owned(),
        // The page for programs; an address of the configuration has no parameters.
        WebServerKind::Apache => server.url.join("?auto"),
    };
    let answer = super::fetch(&url, server.asked().timeout()).await;
    let mut found = Output::default();
    let mut read = |text: String| match server.kind {
        WebServerKind::Nginx => nginx(&text, &label, &mut found),
        WebServerKind::Apache => apache(&text, &label, &mut found),
    };
    let result = answer.and_then(|text| read(text).ok_or_else(|| "it is no status page".to_owned()));
    if let Err(reason) = &result {
        tracing::debug!(server = server.name, reason, "the web server gives no status");
    } else {
        out.append(&found);
    }
    let name = match server.kind {
        WebServerKind::Nginx => "nginx_up",
        WebServerKind::Apache => "apache_up",
    };
    out.gauge(name, &label, f64::from(u8::from(result.is_ok())));
}

/// Four lines of words and numbers:
///
/// ```text
/// Active connections: 3
/// server accepts handled requests
///  10 9 27
/// Reading: 0 Writing: 1 Waiting: 2
/// ```
fn nginx(text: &str, label: &[(&str, &str)], out: &mut Output) -> Option<()> {
    let mut lines = text.lines();
    let active = lines.next()?.strip_prefix("Active connections:")?.trim().parse().ok()?;
    lines.next()?.trim().strip_prefix("server accepts handled requests")?;
    let totals: Vec<u64> =
        lines.next()?.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [accepted, handled, requests] = *totals.as_slice() else { return None };
    let words: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
    out.gauge("nginx_connections_active", label, value(active));
    for (place, name) in
        [(1, "nginx_connections_reading"), (3, "nginx_connections_writing"), (5, "nginx_connections_waiting")]
    {
        out.gauge(name, label, value(words.get(place)?.parse().ok()?));
    }
    out.counter("nginx_connections_accepted", label, value(accepted));
    out.counter("nginx_connections_handled", label, value(handled));
    out.counter("nginx_http_requests_total", label, value(requests));
    Some(())
}

/// Lines `Key: value`.
fn apache(text: &str, label: &[(&str, &str)], out: &mut Output) -> Option<()> {
    let find = |key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        found.map(str::trim)
    };
    let figure = |key: &str| find(key)?.parse::<f64>().ok();
    let server = label.first().copied()?;
    for (state, key) in [("busy", "BusyWorkers"), ("idle", "IdleWorkers")] {
        out.gauge("apache_workers", &[server, ("state", state)], figure(key)?);
    }
    // Without ExtendedStatus there is no more.
    for (key, name) in [
        ("Total Accesses", "apache_accesses_total"),
        ("Total kBytes", "apache_sent_kilobytes_total"),
        ("Total Duration", "apache_duration_ms_total"),
        ("ServerUptimeSeconds", "apache_uptime_seconds_total"),
    ] {
        if let Some(figure) = figure(key) {
            out.counter(name, label, figure);
        }
    }
    if let Some(load) = figure("CPULoad") {
        out.gauge("apache_cpuload", label, load);
    }
    if let Some(board) = find("Scoreboard") {
        for (letter, state) in SCOREBOARD {
            let count = board.chars().filter(|other| *other == letter).count() as u64;
            out.gauge("apache_scoreboard", &[server, ("state", state)], value(count));
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::Recorder;

    type Read = fn(&str, &[(&str, &str)], &mut Output) -> Option<()>;

    fn lines(read: Read, text: &str) -> Option<String> {
        let (mut out, mut recorder) = (Output::default(), Recorder::default());
        read(text, &[("server", "w")], &mut out)?;
        recorder.begin();
        recorder.take_up(&out);
        recorder.end();
        Some(recorder.to_text())
    }

    #[test]
    fn the_pages_of_nginx_and_apache_become_figures() {
        let page = "Active connections: 3 \nserver accepts handled requests\n 10 9 27 \n\
                    Reading: 0 Writing: 1 Waiting: 2 \n";
        let text = lines(nginx, page).unwrap();
        for line in [
            "nginx_connections_active{server=\"w\"} 3",
            "nginx_connections_accepted{server=\"w\"} 10",
            "nginx_connections_handled{server=\"w\"} 9",
            "nginx_http_requests_total{server=\"w\"} 27",
            "nginx_connections_writing{server=\"w\"} 1",
            "nginx_connections_waiting{server=\"w\"} 2",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let page = "localhost\nServerVersion: Apache/2.4\nTotal Accesses: 12\nTotal kBytes: 34\nCPULoad: .5\n\
                    ServerUptimeSeconds: 99\nBusyWorkers: 1\nIdleWorkers: 4\nScoreboard: W____...\n";
        let text = lines(apache, page).unwrap();
        for line in [
            "apache_accesses_total{server=\"w\"} 12",
            "apache_sent_kilobytes_total{server=\"w\"} 34",
            "apache_cpuload{server=\"w\"} 0.5",
            "apache_uptime_seconds_total{server=\"w\"} 99",
            "apache_workers{server=\"w\",state=\"busy\"} 1",
            "apache_scoreboard{server=\"w\",state=\"idle\"} 4",
            "apache_scoreboard{server=\"w\",state=\"open_slot\"} 3",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }

    #[test]
    fn another_page_is_no_status() {
        for text in
            ["", "<html>", "Active connections: 3\nserver accepts handled requests\n1 2\nReading: 0\n"]
        {
            assert_eq!(lines(nginx, text), None, "{text}");
            assert_eq!(lines(apache, text), None, "{text}");
        }
    }
}
